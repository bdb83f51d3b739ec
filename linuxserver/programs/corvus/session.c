// SPDX-License-Identifier: GPL-2.0-only
// The agent of a node: the thread of one process of a run. It waits for four things at a time:
// requests of the command, what the process writes, room for what the process is to read, its end.
#include "session.h"

#include <corvus/run_dispatch.h>
#include <corvus/run_stubs.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

// How long a line's begin waits for its end. A filter that writes whole blocks may be slow with the
// next one, and its line would be cut in two by another process's; a prompt can wait so long.
#define HOLD_MS 1000

static _Thread_local struct session *self;
static _Atomic unsigned session_count;

static void close_file(int *file)
{
    if (*file >= 0)
        close(*file);
    *file = -1;
}

// --- What the command asks -----------------------------------------------------------------------

// The caller knows the key of the node it says it is on: that node's agent is asked.
static corvus_error_t check_caller(void)
{
    port_name_t agent;
    corvus_error_t error;

    if (self->admitted)
        return ERR_OK;
    error = corvus_look_up(RUN_NAME, self->node, false, &agent);
    if (error != ERR_OK)
        return ERR_PEER_DIED;
    error = run_check(agent, self->key[0], self->key[1]);
    (void)port_deallocate(agent);
    self->admitted = error == ERR_OK;
    return error == ERR_OK || error == ERR_ACCESS_DENIED ? error : ERR_PEER_DIED;
}

static corvus_error_t do_program(uint64_t label, uint64_t length, uint64_t sum, const void *path,
                                 size_t path_length, uint64_t *there)
{
    corvus_error_t error = check_caller();

    (void)label;
    if (error != ERR_OK) {
        self->over = true;
        return error;
    }
    return program_name(&self->program, length, sum, path, path_length, there);
}

static corvus_error_t do_file(uint64_t label, uint64_t offset, const void *bytes, size_t length)
{
    (void)label;
    return self->process.number == 0 ? program_piece(&self->program, offset, bytes, length)
                                     : ERR_STATE;
}

static corvus_error_t do_begin(uint64_t label, uint64_t flags, uint64_t arguments, uint64_t strings,
                               const void *text, size_t length, uint64_t *step, uint64_t *reason)
{
    (void)label;
    if (self->process.number != 0 || !program_is_whole(&self->program))
        return ERR_STATE;
    // The text lies in this thread's own buffer.
    return process_begin(&self->process, &self->program, flags, arguments, strings, (char *)text,
                         length, step, reason);
}

static corvus_error_t do_input(uint64_t label, uint64_t length, const void *bytes,
                               size_t bytes_length)
{
    (void)label;
    if (length > bytes_length || length > RUN_PIECE_MAX || self->pending != NULL)
        return ERR_INVALID_ARGUMENT;
    if (self->process.input < 0)
        return ERR_PEER_DIED;
    if (length == 0) {
        close_file(&self->process.input);
        return ERR_OK;
    }
    self->pending = malloc(length);
    if (self->pending == NULL || message_save_reply(&self->pending_reply) != ERR_OK) {
        free(self->pending);
        self->pending = NULL;
        return ERR_INVALID_ARGUMENT;
    }
    memcpy(self->pending, bytes, length);
    self->pending_length = length;
    self->pending_done = 0;
    return SERVE_LATER;
}

static corvus_error_t do_signal(uint64_t label, uint64_t number)
{
    (void)label;
    if (number == 0 || number >= NSIG)
        return ERR_INVALID_ARGUMENT;
    if (self->process.number == 0)
        return ERR_STATE;
    (void)kill(-self->process.number, (int)number);
    return ERR_OK;
}

static const struct run_session_operations operations = {
    .run_program = do_program,
    .run_file = do_file,
    .run_begin = do_begin,
    .run_input = do_input,
    .run_signal = do_signal,
};

// Takes one message, if there is one, and answers it.
static void serve_one(uint8_t *buffer)
{
    struct message request, reply = {0};
    corvus_error_t error;

    utcb_self()->copy_buffers[0] = message_buffer(buffer, RUN_TEXT_MAX);
    error = msg_receive(&request, self->port, 0);
    if (error != ERR_OK) {
        self->over = self->over || error == ERR_INVALID_NAME || error == ERR_PEER_DIED;
        return;
    }
    if (request.id == MESSAGE_ID_DEAD_NAME) {
        self->over = true;
        return;
    }
    if (!run_session_serve(&request, &reply, &operations))
        message_refuse(&request, &reply);
    if (message_wants_reply(&request) && reply.tag != 0)
        (void)msg_reply(&reply);
}

// --- What the process does -----------------------------------------------------------------------

static bool send_output(int stream, const uint8_t *bytes, size_t length)
{
    return length == 0 ||
           run_output(self->command, self->rank, (uint64_t)stream + 1, bytes, length) == ERR_OK;
}

static bool send_held(int stream)
{
    struct held *held = &self->held[stream];
    size_t length = held->length;

    held->length = 0;
    return send_output(stream, held->bytes, length);
}

// Passes on what can be read, at most `room` bytes, but for a line's begin; false: there will be no
// more.
static bool pass_output(int stream, uint8_t *buffer, size_t room)
{
    struct held *held = &self->held[stream];
    size_t length = held->length, whole;
    ssize_t got;
    const uint8_t *end;

    memcpy(buffer, held->bytes, length);
    got = read(self->process.output[stream], buffer + length, room - length);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (got <= 0) {
        (void)send_held(stream);
        return false;
    }
    length += (size_t)got;
    end = memrchr(buffer, '\n', length);
    whole = end != NULL ? (size_t)(end - buffer) + 1 : 0;
    if (length - whole > sizeof held->bytes)
        whole = length;
    held->length = length - whole;
    memcpy(held->bytes, buffer + whole, held->length);
    return send_output(stream, buffer, whole);
}

// The process takes no more input, or the agent ends: its sender is told.
static void end_input(corvus_error_t error)
{
    struct message reply = {.tag = 1, .destination = self->pending_reply, .words = {error}};

    if (self->pending != NULL && msg_send(&reply, TIMEOUT_NONE) != ERR_OK)
        (void)port_deallocate(self->pending_reply);
    free(self->pending);
    self->pending = NULL;
}

static void pass_input(void)
{
    ssize_t wrote = write(self->process.input, self->pending + self->pending_done,
                          self->pending_length - self->pending_done);

    if (wrote < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (wrote < 0) {
        close_file(&self->process.input);
        end_input(ERR_PEER_DIED);
        return;
    }
    self->pending_done += (size_t)wrote;
    if (self->pending_done == self->pending_length)
        end_input(ERR_OK);
}

// What was in the pipes when the process ended; children that left its group may write for ever.
static void pass_rest(uint8_t *buffer)
{
    for (int i = 0; i < 2; i++) {
        int left = 0;
        if (self->process.output[i] < 0 || ioctl(self->process.output[i], FIONREAD, &left) != 0)
            continue;
        while (left > 0) {
            size_t room = self->held[i].length + (size_t)left;
            left -= RUN_PIECE_MAX - (int)self->held[i].length;
            if (!pass_output(i, buffer, room < RUN_PIECE_MAX ? room : RUN_PIECE_MAX))
                break;
        }
        (void)send_held(i);
    }
}

static void process_ended(uint8_t *buffer)
{
    int status = 0;

    // What it left behind in its group; the number is nobody else's before it has been waited for.
    (void)kill(-self->process.number, SIGKILL);
    if (waitpid(self->process.number, &status, WNOHANG) != self->process.number)
        return;
    pass_rest(buffer);
    self->process.number = 0;
    (void)run_ended(self->command, self->rank, (uint64_t)status);
    self->over = true;
}

// --- The thread ----------------------------------------------------------------------------------

enum { WAIT_REQUEST, WAIT_OUTPUT, WAIT_ERRORS, WAIT_INPUT, WAIT_END, WAIT_COUNT };

static void wait_and_serve(int requests, uint8_t *buffer)
{
    const struct process *process = &self->process;
    struct pollfd files[WAIT_COUNT] = {
        [WAIT_REQUEST] = {requests, POLLIN, 0},
        [WAIT_OUTPUT] = {process->output[0], POLLIN, 0},
        [WAIT_ERRORS] = {process->output[1], POLLIN, 0},
        [WAIT_INPUT] = {self->pending != NULL ? process->input : -1, POLLOUT, 0},
        [WAIT_END] = {process->ended, POLLIN, 0},
    };

    bool holds = self->held[0].length > 0 || self->held[1].length > 0;
    int events = poll(files, WAIT_COUNT, holds ? HOLD_MS : -1);

    // A command that takes no output is told the process when it writes again.
    for (int i = 0; events == 0 && i < 2; i++)
        (void)send_held(i);
    if (events <= 0)
        return;
    if (files[WAIT_REQUEST].revents != 0)
        serve_one(buffer);
    if (files[WAIT_INPUT].revents != 0)
        pass_input();
    for (int i = 0; i < 2; i++)
        if (files[WAIT_OUTPUT + i].revents != 0 && !pass_output(i, buffer, RUN_PIECE_MAX))
            close_file(&self->process.output[i]);
    if (files[WAIT_END].revents != 0)
        process_ended(buffer);
}

static void session_free(void)
{
    if (self->process.number > 0) {
        (void)kill(-self->process.number, SIGKILL);
        (void)waitpid(self->process.number, NULL, 0);
    }
    end_input(ERR_PEER_DIED);
    close_file(&self->process.output[0]);
    close_file(&self->process.output[1]);
    close_file(&self->process.input);
    close_file(&self->process.ended);
    program_free(&self->program);
    (void)port_deallocate(self->command);
    (void)port_deallocate(self->port);
    free(self);
    session_count--;
}

static void *session_main(void *session)
{
    uint8_t *buffer = malloc(RUN_TEXT_MAX);
    int requests;

    self = session;
    requests = corvus_port_file(self->port);
    // Of the command's death; it may have died already.
    self->over = buffer == NULL || requests < 0 ||
                 port_request_notification(self->command, NOTIFY_DEAD_NAME, self->port) != ERR_OK;
    while (!self->over)
        wait_and_serve(requests, buffer);
    if (requests >= 0)
        close(requests);
    free(buffer);
    session_free();
    return NULL;
}

corvus_error_t session_begin(uint64_t node, const uint64_t key[2], uint64_t rank,
                             struct message_right command, struct message_right *right)
{
    struct session *session = calloc(1, sizeof *session);
    pthread_t thread;

    if (session == NULL || session_count >= SESSIONS_MAX ||
        port_allocate(0, &session->port) != ERR_OK) {
        free(session);
        (void)port_deallocate(command.name);
        return ERR_NO_MEMORY;
    }
    session->command = command.name;
    session->node = node;
    memcpy(session->key, key, sizeof session->key);
    session->rank = rank;
    session->program.file = -1;
    session->process = (struct process){0, -1, {-1, -1}, -1};
    *right = make_send(session->port);
    session_count++;
    if (pthread_create(&thread, NULL, session_main, session) != 0) {
        session_count--;
        (void)port_deallocate(session->command);
        (void)port_deallocate(session->port);
        free(session);
        return ERR_NO_MEMORY;
    }
    (void)pthread_detach(thread);
    return ERR_OK;
}
