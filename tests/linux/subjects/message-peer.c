// SPDX-License-Identifier: BSD-2-Clause
// Two Linux programs on two nodes, by ports (tests/linux/message.sh):
//   message-peer serve NAME       checks a port in, and serves
//   message-peer call NAME NODE   looks it up on that node, calls, passes rights; prints TAP
//   message-peer wait NAME NODE   calls without being answered; says what the call's end was
#include "lib/linux/corvus.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEGABYTE (1u << 20)

enum { ADD = 1, COPY, KEEP, CALL_KEPT, DROP, NEVER, SEND_KEPT };

static uint8_t bytes[MEGABYTE], back[MEGABYTE];

static _Noreturn void fail(const char *what, corvus_error_t error)
{
    printf("# %s: error %d\n", what, (int)error);
    exit(1);
}

// --- The server ----------------------------------------------------------------------------------

static port_name_t kept;

// The answer to a request, in its place; false: there is none.
static bool answer(struct message *message)
{
    uint64_t tag = message->tag, id = message->id;

    message->tag = 1;
    switch (id) {
    case ADD:
        message->words[0] += message->words[1];
        break;
    case COPY:
        message->tag = TAG_ITEMS(1);
        utcb_self()->items[0] = message_copy_item(bytes, utcb_self()->items[0].length);
        break;
    case KEEP:
        if ((tag & TAG_RIGHTS_MASK) != TAG_RIGHTS(1))
            return false;
        kept = utcb_self()->rights[0].name;
        message->tag = TAG_RIGHTS(1); // and one back
        utcb_self()->rights[0] = copy_send(kept);
        break;
    case CALL_KEPT: {
        port_name_t reply;
        if (message_save_reply(&reply) != ERR_OK)
            return false;
        message->tag = 2;
        message->id = ADD;
        message->destination = kept;
        if (msg_rpc(message, TIMEOUT_NONE) != ERR_OK)
            message->words[0] = 0;
        *message = (struct message){.tag = 1, .destination = reply, .words = {message->words[0]}};
        (void)msg_send(message, TIMEOUT_NONE);
        return false;
    }
    case SEND_KEPT: // more than fits its queue
        for (uint64_t i = 0; i < 200; i++) {
            struct message one = {.tag = 1, .destination = kept, .words = {i}};
            if (msg_send(&one, TIMEOUT_NONE) != ERR_OK)
                return false;
        }
        return false;
    case DROP:
        (void)port_deallocate(kept);
        break;
    default: {
        port_name_t reply;
        (void)message_save_reply(&reply); // and keeps it
        return false;
    }
    }
    return (tag & TAG_REPLY) != 0;
}

static int serve_name(const char *name)
{
    port_name_t port;
    corvus_error_t error = port_allocate(1, &port);

    if (error == ERR_OK)
        error = corvus_check_in(name, make_send(port), 0);
    if (error != ERR_OK)
        fail("check in", error);
    puts("serving");
    for (;;) {
        struct message message;
        utcb_self()->copy_buffers[0] = message_buffer(bytes, sizeof bytes);
        error = msg_receive(&message, port, TIMEOUT_NONE);
        if (error != ERR_OK)
            fail("receive", error);
        error = answer(&message) ? msg_reply(&message) : ERR_OK;
        if (error != ERR_OK) {
            printf("# reply: error %d\n", (int)error);
        }
    }
}

// --- The client ----------------------------------------------------------------------------------

static port_name_t server;

static void ok(bool good, const char *text)
{
    printf("%sok - %s\n", good ? "" : "not ", text);
}

static corvus_error_t call(struct message *message)
{
    message->destination = server;
    return msg_rpc(message, TIMEOUT_NONE);
}

static void test_copy(void)
{
    bool good = true;

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 2654435761u >> 11);
    for (size_t size = 1; size <= sizeof bytes; size *= 32) {
        struct message message = {.tag = TAG_ITEMS(1), .id = COPY};
        utcb_self()->items[0] = message_copy_item(bytes, size);
        utcb_self()->copy_buffers[0] = message_buffer(back, sizeof back);
        memset(back, 0, sizeof back);
        corvus_error_t error = call(&message);
        if (error != ERR_OK || utcb_self()->items[0].length != size ||
            memcmp(bytes, back, size) != 0) {
            good = false;
            printf("# %zu bytes: error %d, %zu came\n", size, (int)error,
                   (size_t)utcb_self()->items[0].length);
        }
    }
    utcb_self()->copy_buffers[0].length = 0;
    ok(good, "1 byte to a megabyte there and back");
}

static void *add_for_ever(void *port)
{
    for (;;) {
        struct message message;
        if (msg_receive(&message, *(port_name_t *)port, TIMEOUT_NONE) != ERR_OK)
            return NULL;
        message.words[0] += message.words[1] + 1000;
        message.tag = 1;
        (void)msg_reply(&message);
    }
}

static void test_rights(void)
{
    port_name_t receive, send;
    uint64_t mine = 0, same = 0;
    pthread_t thread;
    struct port_status status = {0};

    (void)port_allocate_with_send(7, &receive, &send);
    struct message message = {.tag = TAG_RIGHTS(1), .id = KEEP};
    utcb_self()->rights[0] = move_send(send);
    ok(call(&message) == ERR_OK && (message.tag & TAG_RIGHTS_MASK) == TAG_RIGHTS(1),
       "a right goes there, and one comes back");
    port_name_t came = utcb_self()->rights[0].name;
    (void)task_right_info(NAME_TASK_SELF, receive, NULL, &mine, NULL);
    (void)task_right_info(NAME_TASK_SELF, came, NULL, &same, NULL);
    ok(mine == same && mine != 0, "which is the port's own again");
    (void)port_deallocate(came);
    (void)pthread_create(&thread, NULL, add_for_ever, &receive);
    message = (struct message){.tag = 2, .id = CALL_KEPT, .words = {1, 2}};
    ok(call(&message) == ERR_OK && message.words[0] == 1003, "the other program calls back");
    message = (struct message){.id = DROP};
    (void)call(&message);
    for (int i = 0; i < 200; i++) {
        (void)port_status(receive, &status);
        if (status.send_rights == 0)
            break;
        (void)poll(NULL, 0, 20);
    }
    ok(status.send_rights == 0, "a right that is dropped there is gone here");
    (void)port_deallocate(receive);
    (void)pthread_join(thread, NULL);
}

static void test_order(void)
{
    port_name_t receive, send;
    bool good = true;
    struct message message = {.tag = TAG_RIGHTS(1), .id = KEEP};

    (void)port_allocate_with_send(7, &receive, &send);
    utcb_self()->rights[0] = move_send(send);
    (void)call(&message);
    message = (struct message){.destination = server, .id = SEND_KEPT};
    good = msg_send(&message, TIMEOUT_NONE) == ERR_OK;
    for (uint64_t i = 0; i < 200; i++)
        good = msg_receive(&message, receive, 20000000) == ERR_OK && message.words[0] == i && good;
    ok(good, "200 messages to a queue of 16 come, and in order");
    (void)port_deallocate(receive);
}

static int call_name(void)
{
    bool good = true;

    for (uint64_t i = 0; i < 100; i++) {
        struct message message = {.tag = 2, .id = ADD, .words = {i, 5}};
        good = call(&message) == ERR_OK && message.words[0] == i + 5 && good;
    }
    ok(good, "100 calls to a port of a program on another node");
    test_copy();
    test_rights();
    test_order();
    return 0;
}

// The other node dies meanwhile.
static int wait_name(void)
{
    port_name_t told;
    struct message message;

    (void)port_allocate(3, &told);
    if (port_request_notification(server, NOTIFY_DEAD_NAME, told) != ERR_OK)
        fail("notification", ERR_STATE);
    puts("waiting");
    message = (struct message){.tag = 0, .id = NEVER};
    ok(call(&message) == ERR_PEER_DIED, "a call under way ends when the node dies");
    ok(msg_receive(&message, told, 20000000) == ERR_OK && message.id == MESSAGE_ID_DEAD_NAME &&
           message.words[0] == server,
       "the name is told to be dead");
    message = (struct message){.tag = 0, .id = ADD};
    ok(call(&message) == ERR_PEER_DIED, "a new call finds it dead");
    return 0;
}

int main(int count, char **words)
{
    // What was seen before a hang is to be read.
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (count == 3 && strcmp(words[1], "serve") == 0)
        return serve_name(words[2]);
    if (count != 4)
        return 2;
    corvus_error_t error = corvus_look_up(words[2], strtoull(words[3], NULL, 10), true, &server);
    if (error != ERR_OK)
        fail("look-up", error);
    return strcmp(words[1], "call") == 0 ? call_name() : wait_name();
}
