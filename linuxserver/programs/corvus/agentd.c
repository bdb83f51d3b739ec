// SPDX-License-Identifier: GPL-2.0-only
// corvus agentd: the agent of a node, by which commands of other nodes start programs here
// (include/corvus/run.def). Its own thread only begins sessions; each has a thread (session.c).
#include "corvus.h"
#include "session.h"

#include <corvus/netname_stubs.h>
#include <corvus/run_dispatch.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

// How long to wait for a network server.
#define NETNAME_PAUSE_MS 1000

static uint64_t own_key[2];

static corvus_error_t do_check(uint64_t label, uint64_t key0, uint64_t key1)
{
    (void)label;
    // Neither half tells by its time whether the other is right.
    return ((key0 ^ own_key[0]) | (key1 ^ own_key[1])) == 0 ? ERR_OK : ERR_ACCESS_DENIED;
}

static corvus_error_t do_open(uint64_t label, uint64_t node, uint64_t key0, uint64_t key1,
                              uint64_t rank, struct message_right command,
                              struct message_right *session)
{
    uint64_t key[2] = {key0, key1};

    (void)label;
    return session_begin(node, key, rank, command, session);
}

static const struct run_operations operations = {
    .run_check = do_check,
    .run_open = do_open,
};

// Whoever can read this file may start programs on all nodes.
static bool write_key(void)
{
    int file;
    bool good;

    if (getrandom(own_key, sizeof own_key, 0) != sizeof own_key)
        return false;
    (void)unlink(RUN_KEY_FILE);
    file = open(RUN_KEY_FILE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
    if (file < 0)
        return false;
    good = write(file, own_key, sizeof own_key) == sizeof own_key;
    return close(file) == 0 && good;
}

// Publishes the port, and asks to hear when the network server dies: its successor knows no names.
// `notices` is nobody else's, for such a message tells a name to be given up.
static bool check_in(port_name_t port, port_name_t notices)
{
    uint64_t name[4];
    port_name_t server;
    corvus_error_t error;

    (void)corvus_name_words(RUN_NAME, name);
    if (corvus_netname(&server) != ERR_OK)
        return false;
    error = netname_check_in(server, name[0], name[1], name[2], name[3], 0, make_send(port));
    if (error == ERR_OK)
        error = port_request_notification(server, NOTIFY_DEAD_NAME, notices);
    // Held until then.
    if (error != ERR_OK)
        (void)port_deallocate(server);
    return error == ERR_OK;
}

static void serve_one(port_name_t port)
{
    struct message request, reply = {0};

    if (msg_receive(&request, port, 0) != ERR_OK)
        return;
    if (!run_serve(&request, &reply, &operations))
        message_refuse(&request, &reply);
    if (message_wants_reply(&request) && reply.tag != 0)
        (void)msg_reply(&reply);
}

// For ever.
static void serve_node(port_name_t port, port_name_t notices, struct pollfd files[2])
{
    bool checked_in = false;

    for (;;) {
        struct message notice;
        if (!checked_in)
            checked_in = check_in(port, notices);
        if (poll(files, 2, checked_in ? -1 : NETNAME_PAUSE_MS) <= 0)
            continue;
        if (files[0].revents != 0)
            serve_one(port);
        if (files[1].revents != 0 && msg_receive(&notice, notices, 0) == ERR_OK) {
            (void)port_deallocate((port_name_t)notice.words[0]);
            checked_in = false;
        }
    }
}

int command_agentd(const struct options *options, int argc, char **argv)
{
    port_name_t port, notices;
    struct pollfd files[2] = {{.events = POLLIN}, {.events = POLLIN}};

    (void)options;
    (void)argv;
    if (argc != 0)
        return wrong_arguments("no arguments are known");
    if (corvus_file() < 0) {
        // Not a node's Linux, which will not change: no reason to be started again and again.
        fail_errno(CORVUS_DEVICE);
        for (;;)
            pause();
    }
    (void)signal(SIGPIPE, SIG_IGN);
    if (!write_key())
        return fail_errno(RUN_KEY_FILE);
    if (port_allocate(0, &port) != ERR_OK || port_allocate(0, &notices) != ERR_OK)
        return fail_errno("port");
    files[0].fd = corvus_port_file(port);
    files[1].fd = corvus_port_file(notices);
    if (files[0].fd < 0 || files[1].fd < 0)
        return fail_errno("port");
    serve_node(port, notices, files);
    return STATUS_FAILED;
}
