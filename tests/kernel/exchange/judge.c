// SPDX-License-Identifier: BSD-2-Clause
// Node 1: asks, and judges.
#include "exchange_test.h"

#include "lib/x86/trap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_words(void)
{
    struct message message = {.tag = 3, .id = ECHO_WORDS, .words = {1, 2, 3}};

    equal(echo_call(&message), ERR_OK, "a call to a port of another node");
    ok(message.words[0] == 1 && message.words[2] == 3, "its words come back");
    message = (struct message){.tag = 64, .id = ECHO_WORDS};
    utcb_self()->words[63] = 99;
    ok(echo_call(&message) == ERR_OK && utcb_self()->words[63] == 99, "64 of them, too");
}

static void test_copy(void)
{
    static uint8_t bytes[1 << 20], back[1 << 20];
    uint64_t total = 0;

    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 2654435761u >> 11);
        total += bytes[i];
    }
    for (size_t size = 1; size <= sizeof bytes; size *= 32) {
        struct message message = {.tag = TAG_ITEMS(1), .id = ECHO_COPY};
        utcb_self()->items[0] = message_copy_item(bytes, size);
        utcb_self()->copy_buffers[0] = message_buffer(back, sizeof back);
        memset(back, 0, size);
        corvus_error_t error = echo_call(&message);
        utcb_self()->copy_buffers[0].length = 0;
        ok(error == ERR_OK && utcb_self()->items[0].length == size &&
               memcmp(bytes, back, size) == 0,
           "bytes go there and come back");
    }
    struct message message = {.tag = TAG_ITEMS(2), .id = ECHO_SUM};
    utcb_self()->items[0] = message_copy_item(bytes, 800000);
    utcb_self()->items[1] = message_copy_item(bytes + 800000, sizeof bytes - 800000);
    ok(echo_call(&message) == ERR_OK && message.words[0] == total, "a megabyte in two items");
}

static void test_rights(void)
{
    port_name_t receive, send;
    uint64_t mine = 0, back = 0;

    (void)port_allocate_with_send(7, &receive, &send);
    struct message message = {.tag = TAG_RIGHTS(2), .id = ECHO_RIGHTS};
    utcb_self()->rights[0] = copy_send(send);
    utcb_self()->rights[1] = copy_send(echo);
    equal(echo_call(&message), ERR_OK, "rights go there and come back");
    struct message_right rights[2] = {utcb_self()->rights[0], utcb_self()->rights[1]};
    (void)task_right_info(NAME_TASK_SELF, send, NULL, &mine, NULL);
    (void)task_right_info(NAME_TASK_SELF, rights[0].name, NULL, &back, NULL);
    ok(mine == back && mine != 0, "one's own port is itself again");
    (void)task_right_info(NAME_TASK_SELF, echo, NULL, &mine, NULL);
    (void)task_right_info(NAME_TASK_SELF, rights[1].name, NULL, &back, NULL);
    ok(mine == back && mine != 0, "theirs is the proxy it was");
    (void)port_deallocate(rights[0].name);
    (void)port_deallocate(rights[1].name);

    struct port_status status;
    message = (struct message){.tag = TAG_RIGHTS(1), .id = ECHO_KEEP};
    utcb_self()->rights[0] = move_send(send);
    ok(echo_call(&message) == ERR_OK, "a right is kept there");
    (void)port_request_notification(receive, NOTIFY_NO_SENDERS, receive);
    // That notice's own right counts; so it is the network server's that we ask after.
    (void)port_status(receive, &status);
    equal(status.send_rights, 1, "the network server holds one for it");
    message = (struct message){.tag = 0, .id = ECHO_DROP};
    (void)echo_call(&message);
    for (int i = 0; i < 200 && status.send_rights != 0; i++) {
        struct message nothing;
        (void)msg_receive(&nothing, receive, 10000);
        (void)port_status(receive, &status);
    }
    equal(status.send_rights, 0, "dropped there, it is dropped here");
    (void)port_deallocate(receive);
}

static void test_order(void)
{
    struct message message;

    for (uint64_t i = 0; i < 500; i++) {
        message = (struct message){.tag = 1, .id = ECHO_PLAIN, .destination = echo, .words = {i}};
        if (msg_send(&message, TIMEOUT_NONE) != ERR_OK) {
            ok(false, "a plain message is sent");
            return;
        }
    }
    message = (struct message){.tag = 0, .id = ECHO_COUNT};
    ok(echo_call(&message) == ERR_OK && message.words[0] == 500 && message.words[1] == 0,
       "500 plain messages come in order, each once");
}

static void test_errors(void)
{
    struct message message = {.tag = 0, .id = ECHO_SILENT};
    port_name_t nothing;

    equal(echo_call(&message), ERR_NO_REPLY, "who drops the right to answer");
    message = (struct message){.tag = TAG_ITEMS(1), .id = ECHO_COPY};
    static uint8_t bytes[100];
    utcb_self()->items[0] = message_copy_item(bytes, sizeof bytes);
    equal(echo_call(&message), ERR_NO_REPLY, "an answer for which there is no room");
    equal(find("no such name", 2, 0, &nothing), ERR_NOT_FOUND, "a name that nobody has there");
    equal(find("no such name", 0, 0, &nothing), ERR_NOT_FOUND, "or anywhere");
    equal(find("echo", 3, 0, &nothing), ERR_INVALID_ARGUMENT, "a node that is not in the cluster");
    ok(find("echo", 0, 0, &nothing) == ERR_OK, "a name of any node");
    (void)port_deallocate(nothing);
}

static int compare_times(const void *one, const void *other)
{
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;

    return a < b ? -1 : a > b;
}

// An answer that lay until the other server's next tick, 50 ms apart, took half of that.
static void measure(void)
{
    static uint64_t times[200];
    const unsigned count = sizeof times / sizeof times[0];

    for (unsigned i = 0; i < count; i++) {
        struct message message = {.tag = 1, .id = ECHO_WORDS, .words = {5}};
        uint64_t begin = clock_now_ns();
        (void)echo_call(&message);
        times[i] = clock_now_ns() - begin;
    }
    qsort(times, count, sizeof times[0], compare_times);
    ok(times[count / 2] < 20000000, "an answer leaves at once");
    printf("# null RPC between nodes: %llu ns at best, median %llu\n", (unsigned long long)times[0],
           (unsigned long long)times[count / 2]);
}

void judge(void)
{
    test_words();
    test_copy();
    test_rights();
    test_order();
    test_errors();
    measure();
}
