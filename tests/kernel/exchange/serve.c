// SPDX-License-Identifier: BSD-2-Clause
// Node 2: answers.
#include "exchange_test.h"

#include <corvus/supervisor_stubs.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HELD_MAX 64u
#define DRAIN_US 5000000u

static uint8_t buffers[2][1 << 20] __attribute__((aligned(4096)));
static uint64_t expected, misplaced;
static port_name_t kept, receive, deaf;

static uint64_t sum(uint64_t tag)
{
    uint64_t total = 0;
    unsigned items = (unsigned)((tag & TAG_ITEMS_MASK) >> TAG_ITEMS_SHIFT);

    for (unsigned i = 0; i < items; i++) {
        struct message_item item = utcb_self()->items[i];
        const uint8_t *bytes = (const uint8_t *)(uintptr_t)item.address;
        for (uint64_t j = 0; j < item.length; j++)
            total += bytes[j];
    }
    return total;
}

static void echo_rights(struct message *message)
{
    unsigned rights = (unsigned)((message->tag & TAG_RIGHTS_MASK) >> TAG_RIGHTS_SHIFT);

    for (unsigned i = 0; i < rights; i++) {
        struct message_right right = utcb_self()->rights[i];
        utcb_self()->rights[i] = right.disposition == RIGHT_SEND_ONCE ? move_send_once(right.name)
                                                                      : move_send(right.name);
    }
    message->tag = (message->tag & TAG_WORDS_MASK) | TAG_RIGHTS(rights);
}

static void call_back(struct message *message)
{
    struct message_right right = utcb_self()->rights[0];
    struct message call = {
        .tag = 1, .id = ECHO_WORDS, .destination = right.name, .words = {message->words[0]}};

    message->words[1] = msg_rpc(&call, TIMEOUT_NONE);
    message->words[0] = call.words[0];
    message->tag = 2;
    (void)port_deallocate(right.name);
}

static void send_back(const struct message *message)
{
    struct message answer = {.tag = 1,
                             .id = (uint32_t)message->words[1],
                             .destination = utcb_self()->rights[0].name,
                             .words = {message->words[0]}};

    (void)msg_send(&answer, TIMEOUT_NONE);
}

// Word 1 comes back when enough have come, to the last one first.
static void hold(const struct message *message)
{
    static struct message held[HELD_MAX];
    static unsigned count;
    port_name_t reply;

    if (count == HELD_MAX || message_save_reply(&reply) != ERR_OK)
        return;
    held[count++] =
        (struct message){.tag = 2, .destination = reply, .words = {0, message->words[1]}};
    if (count < message->words[0])
        return;
    while (count > 0)
        (void)msg_send(&held[--count], TIMEOUT_NONE);
}

static void make_port(struct message *message)
{
    port_name_t send = PORT_NULL;

    (void)port_allocate_with_send(0, &deaf, &send);
    utcb_self()->rights[0] = move_send(send);
    message->tag = TAG_RIGHTS(1);
}

static void plain(const struct message *message)
{
    bool whole = !(message->tag & TAG_ITEMS_MASK) || sum(message->tag) == message->words[1];

    if (message->words[0] == expected && whole)
        expected++;
    else
        misplaced++;
}

// Receives so many from the other port; then answers.
static void drain(const struct message *message)
{
    uint64_t wanted = message->words[0];
    port_name_t reply = PORT_NULL;
    struct message next;

    (void)message_save_reply(&reply);
    expected = misplaced = 0;
    for (uint64_t i = 0; i < wanted && msg_receive(&next, deaf, DRAIN_US) == ERR_OK; i++)
        plain(&next);
    next = (struct message){.tag = 1, .destination = reply, .words = {expected}};
    expected = misplaced = 0;
    (void)msg_send(&next, TIMEOUT_NONE);
}

static void tell_books(struct message *message)
{
    uint64_t state, incarnation, sessions, imports = 0, exports = 0;

    (void)netname_node(netname, 1, &state, &incarnation, &sessions, &imports, &exports);
    message->words[0] = imports;
    message->words[1] = exports;
    message->tag = 2;
}

static void restart_network(const struct message *message)
{
    uint64_t delay = message->words[0], w[4];
    struct message answer = {.tag = 1};

    (void)msg_reply(&answer);
    usleep((useconds_t)delay * 1000);
    name_words("no such server", w);
    bool refused = supervisor_end_server(NAME_BOOTSTRAP, w[0], w[1], w[2], w[3]) == ERR_NOT_FOUND;
    name_words("net", w);
    if (!refused || supervisor_end_server(NAME_BOOTSTRAP, w[0], w[1], w[2], w[3]) != ERR_OK)
        exit(EXIT_FAILURE);
}

static void handle(struct message *message)
{
    struct message_item item = utcb_self()->items[0];

    switch (message->id) {
    case ECHO_WORDS:
        message->tag &= TAG_WORDS_MASK;
        break;
    case ECHO_RIGHTS:
        echo_rights(message);
        break;
    case ECHO_COPY:
        utcb_self()->items[0] = message_copy_item((void *)(uintptr_t)item.address, item.length);
        message->tag = (message->tag & TAG_WORDS_MASK) | TAG_ITEMS(1);
        break;
    case ECHO_SUM:
        message->words[0] = sum(message->tag);
        message->tag = 1;
        break;
    case ECHO_COUNT:
        message->words[0] = expected;
        message->words[1] = misplaced;
        message->tag = 2;
        expected = misplaced = 0;
        break;
    case ECHO_PLAIN:
        plain(message);
        message->tag = 0;
        break;
    case ECHO_CALL:
        call_back(message);
        break;
    case ECHO_KEEP:
        kept = utcb_self()->rights[0].name;
        message->tag = 1;
        break;
    case ECHO_DROP:
        (void)port_deallocate(kept);
        message->tag = 1;
        break;
    case ECHO_SEND:
        send_back(message);
        break;
    case ECHO_KIND:
        message->words[0] = right_kind(kept);
        message->tag = 1;
        break;
    case ECHO_MAKE:
        make_port(message);
        break;
    case ECHO_CLOSE:
        (void)port_deallocate(deaf);
        message->tag = 1;
        break;
    case ECHO_NODE:
        tell_books(message);
        break;
    case ECHO_DIE:
        (void)port_deallocate(receive);
        exit(EXIT_SUCCESS);
    default:
        message->tag = 0;
    }
}

// True: it answers itself, or nobody.
static bool handle_late(const struct message *message)
{
    switch (message->id) {
    case ECHO_SILENT:
        return true;
    case ECHO_HOLD:
        hold(message);
        return true;
    case ECHO_DRAIN:
        drain(message);
        return true;
    case ECHO_RESTART:
        restart_network(message);
        return true;
    default:
        return false;
    }
}

// Also when the network server has been started again.
static bool check_in(void)
{
    uint64_t w[4];

    name_words("netname", w);
    if (bootstrap_look_up(NAME_BOOTSTRAP, w[0], w[1], w[2], w[3], 1, &netname) != ERR_OK)
        return false;
    name_words("echo", w);
    return netname_check_in(netname, w[0], w[1], w[2], w[3], 5, make_send(receive)) == ERR_OK &&
           port_request_notification(netname, NOTIFY_DEAD_NAME, receive) == ERR_OK;
}

int serve_others(void)
{
    struct message message;

    if (port_allocate(0, &receive) != ERR_OK || !check_in())
        return EXIT_FAILURE;
    for (unsigned i = 0; i < 2; i++)
        utcb_self()->copy_buffers[i] = message_buffer(buffers[i], sizeof buffers[i]);
    for (;;) {
        if (msg_receive(&message, receive, TIMEOUT_NONE) != ERR_OK)
            return EXIT_FAILURE;
        bool answer = message.tag & TAG_REPLY;
        if (message.id == MESSAGE_ID_DEAD_NAME && !check_in())
            return EXIT_FAILURE;
        if (message.id == MESSAGE_ID_DEAD_NAME || handle_late(&message))
            continue;
        handle(&message);
        if (answer)
            (void)msg_reply(&message);
    }
}
