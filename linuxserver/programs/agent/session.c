// SPDX-License-Identifier: GPL-2.0-only
#include "session.h"

#include "spawn.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

// Credit is given in pieces, so that it costs few frames.
#define CREDIT_PIECE (AGENT_WINDOW / 4)
// What a terminal takes for the end of input.
#define END_OF_INPUT "\004"

static void close_file(int *file)
{
    if (*file >= 0)
        close(*file);
    *file = -1;
}

// --- Beginning and end --------------------------------------------------------

void session_open(struct session *session, uint32_t id, const struct open_request *request)
{
    *session = (struct session){.used = true, .id = id, .input = -1, .input_window = AGENT_WINDOW};
    for (int i = 0; i < AGENT_STREAMS; i++)
        session->outputs[i] = (struct output){.file = -1, .credit = AGENT_WINDOW};

    struct spawned spawned;
    const char *failure = spawn(request, &spawned);
    if (failure != NULL) {
        session->process = 0;
        session_refuse(session, failure, errno);
        return;
    }
    session->terminal = (request->flags & AGENT_OPEN_PTY) != 0;
    session->process = spawned.process;
    session->input = spawned.files[AGENT_STDIN];
    session->outputs[AGENT_STDOUT].file = spawned.files[AGENT_STDOUT];
    session->outputs[AGENT_STDERR].file = spawned.files[AGENT_STDERR];
}

// To all that belongs together: the processes before the terminal, or the
// process with those it started. A process that has been waited for is not
// signalled, since its number may be another's by now.
static void send_signal(const struct session *session, int number)
{
    if (session->process == 0)
        return;
    pid_t group = session->terminal ? tcgetpgrp(session->outputs[AGENT_STDOUT].file) : -1;
    // A child that has just begun has no group of its own yet.
    if (kill(group > 0 ? -group : -session->process, number) != 0)
        kill(session->process, number);
}

static void close_files(struct session *session)
{
    close_file(&session->input);
    queue_clear(&session->input_queue);
    for (int i = 0; i < AGENT_STREAMS; i++) {
        close_file(&session->outputs[i].file);
        session->outputs[i].end_due = false;
    }
}

void session_refuse(struct session *session, const char *why, int error)
{
    send_signal(session, SIGKILL);
    if (session->terminal && session->process > 0)
        kill(-session->process, SIGKILL);
    close_files(session);
    session->input_stop_due = false;
    session->input_taken = 0;
    session->process = 0; // waited for, but no longer ours
    session->end = AGENT_REFUSED;
    session->end_value = 0;
    session->end_text = why;
    session->end_error = error;
}

void session_process_ended(struct session *session, int status)
{
    session->process = 0;
    if (WIFSIGNALED(status)) {
        session->end = AGENT_SIGNALED;
        session->end_value = (uint32_t)WTERMSIG(status);
    } else {
        session->end = AGENT_EXITED;
        session->end_value = (uint32_t)WEXITSTATUS(status);
    }
}

void session_drop(struct session *session)
{
    send_signal(session, SIGHUP);
    close_files(session);
    session->used = false;
}

// --- From the host ------------------------------------------------------------

// Writes what the process takes; what it does not take stays in the queue.
static void feed_input(struct session *session)
{
    while (session->input >= 0 && session->input_queue.count > 0) {
        ssize_t written =
            write(session->input, queue_head(&session->input_queue), session->input_queue.count);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0 && errno == EAGAIN)
            return;
        if (written <= 0) {
            close_file(&session->input);
            queue_clear(&session->input_queue);
            session->input_stop_due = !session->input_end;
            return;
        }
        queue_take(&session->input_queue, (size_t)written);
        session->input_taken += (uint32_t)written;
    }
    if (session->input >= 0 && session->input_end)
        close_file(&session->input);
}

static void take_data(struct session *session, const struct frame *frame)
{
    if (frame->stream != AGENT_STDIN || session->input_end ||
        frame->length > session->input_window) {
        session_refuse(session, "DATA beyond credit or end", 0);
        return;
    }
    session->input_window -= frame->length;
    if (session->input < 0)
        return; // STOP is on its way
    if (!queue_append(&session->input_queue, frame->payload, frame->length))
        session_refuse(session, "standard input", ENOMEM);
    else
        feed_input(session);
}

static void take_end(struct session *session, const struct frame *frame)
{
    if (frame->stream != AGENT_STDIN || session->input_end) {
        session_refuse(session, "END of a stream that has none", 0);
        return;
    }
    if (session->terminal && session->input >= 0 &&
        !queue_append(&session->input_queue, (const uint8_t *)END_OF_INPUT, 1))
        session_refuse(session, "standard input", ENOMEM);
    session->input_end = true;
    // A terminal's two directions are one file.
    feed_input(session);
}

static void take_stop(struct session *session, const struct frame *frame)
{
    if (frame->stream == AGENT_STDIN) {
        session_refuse(session, "STOP of a stream that is the host's", 0);
        return;
    }
    close_file(&session->outputs[frame->stream].file);
    session->outputs[frame->stream].end_due = true;
}

static void take_credit(struct session *session, const struct frame *frame)
{
    uint32_t credit = agent_get32(frame->payload);
    struct output *output = &session->outputs[frame->stream];
    if (frame->stream == AGENT_STDIN || credit > AGENT_WINDOW - output->credit)
        session_refuse(session, "CREDIT beyond the window", 0);
    else
        output->credit += credit;
}

static void take_signal(struct session *session, const struct frame *frame)
{
    uint32_t number = agent_get32(frame->payload);
    if (number == 0 || number >= NSIG)
        session_refuse(session, "SIGNAL without such a number", 0);
    else
        send_signal(session, (int)number);
}

static void take_resize(struct session *session, const struct frame *frame)
{
    struct winsize size = {.ws_row = (unsigned short)agent_get16(frame->payload),
                           .ws_col = (unsigned short)agent_get16(frame->payload + 2)};
    if (!session->terminal)
        session_refuse(session, "RESIZE without a terminal", 0);
    else if (session->outputs[AGENT_STDOUT].file >= 0)
        ioctl(session->outputs[AGENT_STDOUT].file, TIOCSWINSZ, &size);
}

void session_take(struct session *session, const struct frame *frame)
{
    static const struct {
        void (*take)(struct session *session, const struct frame *frame);
        int32_t length; // of the payload; -1: any
    } takers[AGENT_TYPES] = {
        [AGENT_DATA] = {take_data, -1},    [AGENT_END] = {take_end, 0},
        [AGENT_STOP] = {take_stop, 0},     [AGENT_CREDIT] = {take_credit, 4},
        [AGENT_SIGNAL] = {take_signal, 4}, [AGENT_RESIZE] = {take_resize, 4},
    };
    if (session->end == AGENT_REFUSED)
        return; // already lost
    if (takers[frame->type].take == NULL)
        session_refuse(session, "a frame that is not the host's to send", 0);
    else if (takers[frame->type].length >= 0 &&
             frame->length != (uint32_t)takers[frame->type].length)
        session_refuse(session, "a frame of a wrong length", 0);
    else
        takers[frame->type].take(session, frame);
}

// --- Waiting ------------------------------------------------------------------

unsigned session_poll(const struct session *session, struct pollfd *entries, bool room)
{
    unsigned count = 0;
    // Without events asked for, poll still tells that the reader has gone; a
    // terminal's hang-up is seen on its output.
    if (session->input >= 0 && (session->input_queue.count > 0 || !session->terminal))
        entries[count++] = (struct pollfd){.fd = session->input,
                                           .events = session->input_queue.count > 0 ? POLLOUT : 0};
    for (int i = AGENT_STDOUT; i < AGENT_STREAMS; i++) {
        const struct output *output = &session->outputs[i];
        if (output->file >= 0 && output->credit > 0 && room)
            entries[count++] = (struct pollfd){.fd = output->file, .events = POLLIN};
    }
    return count;
}

void session_ready(struct session *session, const struct pollfd *entry)
{
    if (entry->revents == 0)
        return;
    if (entry->fd == session->input) {
        if (!session->terminal && (entry->revents & POLLERR) != 0) {
            close_file(&session->input);
            queue_clear(&session->input_queue);
            session->input_stop_due = !session->input_end;
        } else {
            feed_input(session);
        }
        return;
    }
    for (int i = AGENT_STDOUT; i < AGENT_STREAMS; i++)
        if (entry->fd == session->outputs[i].file)
            session->outputs[i].ready = true;
}

// --- To the host --------------------------------------------------------------

static void send_frame(const struct session *session, struct channel *channel, enum agent_type type,
                       uint32_t stream, const void *payload, uint32_t length)
{
    struct frame frame = {.type = type,
                          .stream = stream,
                          .session = session->id,
                          .length = length,
                          .payload = payload};
    channel_send(channel, &frame);
}

static bool send_credit(struct session *session, struct channel *channel)
{
    // The rest is worth saying when the host may be waiting for it.
    if (session->input_taken < CREDIT_PIECE && session->input_window > 0)
        return false;
    if (session->input_taken == 0 || session->input < 0)
        return false;
    uint8_t payload[4];
    agent_put32(payload, session->input_taken);
    session->input_window += session->input_taken;
    session->input_taken = 0;
    send_frame(session, channel, AGENT_CREDIT, AGENT_STDIN, payload, sizeof payload);
    return true;
}

// Reads one piece. After the process's end a terminal is only drained: others
// may keep it open for ever. A pipe is read until all who write have closed it.
static bool send_output(struct session *session, struct channel *channel, uint32_t stream)
{
    static uint8_t piece[AGENT_PIECE_BYTES];
    struct output *output = &session->outputs[stream];
    bool drain = session->terminal && session->process == 0;
    if (output->file < 0 || output->credit == 0 || (!output->ready && !drain))
        return false;
    output->ready = false;
    size_t most = output->credit < sizeof piece ? output->credit : sizeof piece;
    ssize_t got = read(output->file, piece, most);
    if (got < 0 && errno == EINTR)
        return true;
    if (got < 0 && errno == EAGAIN && !drain)
        return false;
    if (got <= 0) {
        close_file(&output->file);
        output->end_due = true;
        return true;
    }
    output->credit -= (uint32_t)got;
    // A full piece is seldom the last: saves a poll.
    output->ready = (size_t)got == most;
    send_frame(session, channel, AGENT_DATA, stream, piece, (uint32_t)got);
    return true;
}

static bool send_exit(struct session *session, struct channel *channel)
{
    if (session->process > 0 || session->outputs[AGENT_STDOUT].file >= 0 ||
        session->outputs[AGENT_STDERR].file >= 0)
        return false;
    uint8_t payload[8 + 256];
    int length = 0;
    agent_put32(payload, session->end);
    agent_put32(payload + 4, session->end_value);
    if (session->end_text != NULL)
        length = snprintf((char *)payload + 8, sizeof payload - 8, "%s%s%s", session->end_text,
                          session->end_error != 0 ? ": " : "",
                          session->end_error != 0 ? strerror(session->end_error) : "");
    send_frame(session, channel, AGENT_EXIT, 0, payload, 8 + (uint32_t)length);
    close_files(session);
    session->used = false;
    return true;
}

bool session_send(struct session *session, struct channel *channel)
{
    bool done = false;
    if (session->input_stop_due && channel_has_room(channel, 0)) {
        session->input_stop_due = false;
        send_frame(session, channel, AGENT_STOP, AGENT_STDIN, NULL, 0);
        done = true;
    }
    if (channel_has_room(channel, AGENT_PIECE_BYTES))
        done |= send_credit(session, channel);
    for (uint32_t i = AGENT_STDOUT; i < AGENT_STREAMS; i++) {
        if (channel_has_room(channel, AGENT_PIECE_BYTES))
            done |= send_output(session, channel, i);
        if (session->outputs[i].end_due && channel_has_room(channel, AGENT_PIECE_BYTES)) {
            session->outputs[i].end_due = false;
            send_frame(session, channel, AGENT_END, i, NULL, 0);
            done = true;
        }
    }
    bool ends_said =
        !session->outputs[AGENT_STDOUT].end_due && !session->outputs[AGENT_STDERR].end_due;
    if (ends_said && channel_has_room(channel, AGENT_PIECE_BYTES))
        done |= send_exit(session, channel);
    return done;
}
