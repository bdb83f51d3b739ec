// SPDX-License-Identifier: GPL-2.0-only
// corvus run: while the program runs. Output and ends of its processes come as requests; the
// command's input and signals go to them.
#include "run.h"

#include <corvus/run_dispatch.h>
#include <corvus/run_stubs.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

static struct run *current;
static size_t left; // processes that have not ended
static int result;  // status of the first that failed

static void rank_ended(size_t rank, int status)
{
    current->ranks[rank].ended = true;
    left--;
    if (result == STATUS_OK)
        result = status;
}

// --- What agents ask -----------------------------------------------------------------------------

static corvus_error_t do_output(uint64_t label, uint64_t rank, uint64_t stream, const void *bytes,
                                size_t length)
{
    (void)label;
    if (rank >= current->count || stream < 1 || stream > 2)
        return ERR_INVALID_ARGUMENT;
    while (length > 0) {
        ssize_t wrote = write((int)stream, bytes, length);
        if (wrote < 0 && errno != EINTR)
            return ERR_PEER_DIED;
        if (wrote > 0) {
            bytes = (const char *)bytes + wrote;
            length -= (size_t)wrote;
        }
    }
    return ERR_OK;
}

static corvus_error_t do_ended(uint64_t label, uint64_t rank, uint64_t status)
{
    int number = (int)status;

    (void)label;
    if (rank >= current->count || current->ranks[rank].ended)
        return ERR_INVALID_ARGUMENT;
    if (WIFSIGNALED(number)) {
        fprintf(stderr, "corvus: %s: ended by signal %d (%s)\n", rank_name(current, rank),
                WTERMSIG(number), strsignal(WTERMSIG(number)));
        rank_ended(rank, STATUS_SIGNAL + WTERMSIG(number));
    } else {
        if (WEXITSTATUS(number) != 0)
            fprintf(stderr, "corvus: %s: exit status %d\n", rank_name(current, rank),
                    WEXITSTATUS(number));
        rank_ended(rank, WEXITSTATUS(number));
    }
    return ERR_OK;
}

static const struct run_command_operations operations = {
    .run_output = do_output,
    .run_ended = do_ended,
};

static void session_died(port_name_t session)
{
    for (size_t rank = 0; rank < current->count; rank++) {
        if (current->ranks[rank].session != session || current->ranks[rank].ended)
            continue;
        fail(rank_name(current, rank), "is lost: the node or its agent has died");
        rank_ended(rank, STATUS_NOT_RUN);
    }
}

static void serve_one(uint8_t *buffer)
{
    struct message request, reply = {0};

    utcb_self()->copy_buffers[0] = message_buffer(buffer, RUN_PIECE_MAX);
    if (msg_receive(&request, current->port, 0) != ERR_OK)
        return;
    if (request.id == MESSAGE_ID_DEAD_NAME) {
        session_died((port_name_t)request.words[0]);
        return;
    }
    if (!run_command_serve(&request, &reply, &operations))
        message_refuse(&request, &reply);
    if (message_wants_reply(&request) && reply.tag != 0)
        (void)msg_reply(&reply);
}

// --- What is passed on ---------------------------------------------------------------------------

// Not answered: an agent may at this moment wait for an answer of ours.
static void pass_signal(int file)
{
    struct signalfd_siginfo signal;

    if (read(file, &signal, sizeof signal) != sizeof signal)
        return;
    for (size_t rank = 0; rank < current->count; rank++) {
        struct message message = {.tag = 1,
                                  .destination = current->ranks[rank].session,
                                  .id = SERVICE_run_signal,
                                  .words = {signal.ssi_signo}};
        if (!current->ranks[rank].ended && msg_send(&message, 0) != ERR_OK)
            fail(rank_name(current, rank), "a signal could not be sent");
    }
}

// A thread of its own: reading waits, and so does an agent's answer, for its process to read.
static void *pass_input(void *unused)
{
    uint8_t *bytes = malloc(RUN_PIECE_MAX);
    ssize_t got = 0;

    (void)unused;
    while (bytes != NULL) {
        got = read(0, bytes, RUN_PIECE_MAX);
        if (got < 0 && errno == EINTR)
            continue;
        // Without input there is a byte that is not used.
        if (run_input(current->ranks[0].session, got > 0 ? (uint64_t)got : 0, bytes,
                      got > 0 ? (size_t)got : 1) != ERR_OK ||
            got <= 0)
            break;
    }
    free(bytes);
    return NULL;
}

static int open_signals(void)
{
    static const int passed[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof passed / sizeof passed[0]; i++)
        sigaddset(&set, passed[i]);
    return sigprocmask(SIG_BLOCK, &set, NULL) == 0 ? signalfd(-1, &set, SFD_CLOEXEC) : -1;
}

int run_serve_all(struct run *run)
{
    struct pollfd files[2] = {{.events = POLLIN}, {.events = POLLIN}};
    static uint8_t buffer[RUN_PIECE_MAX];
    pthread_t reader;

    current = run;
    left = run->count;
    files[0].fd = corvus_port_file(run->port);
    files[1].fd = open_signals();
    if (files[0].fd < 0 || files[1].fd < 0 ||
        (run->input && pthread_create(&reader, NULL, pass_input, NULL) != 0))
        return fail_errno("start"), STATUS_NOT_RUN;
    while (left > 0) {
        if (poll(files, 2, -1) < 0)
            continue;
        if (files[0].revents != 0)
            serve_one(buffer);
        if (files[1].revents != 0)
            pass_signal(files[1].fd);
    }
    return result;
}
