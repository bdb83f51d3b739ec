// SPDX-License-Identifier: BSD-2-Clause
// The node that answers.
#include "netbench.h"

#include <stdlib.h>

static uint8_t buffer[STREAM_BYTES] __attribute__((aligned(4096)));
static uint64_t sunk;

static void pour(const struct message *request)
{
    port_name_t to = utcb_self()->rights[0].name;
    uint64_t count = request->words[0];
    struct message message = {.tag = 0};

    (void)msg_reply(&message);
    for (uint64_t i = 0; i < count; i++) {
        message = (struct message){.tag = TAG_ITEMS(1), .id = BENCH_SINK, .destination = to};
        utcb_self()->items[0] = message_copy_item(buffer, sizeof buffer);
        if (msg_send(&message, TIMEOUT_NONE) != ERR_OK)
            break;
    }
    (void)port_deallocate(to);
}

// Fills in the answer. False: there is none, or it has been given.
static bool handle(struct message *message)
{
    struct message_item item = utcb_self()->items[0];

    switch (message->id) {
    case BENCH_ECHO:
        utcb_self()->items[0] = message_copy_item((void *)(uintptr_t)item.address, item.length);
        message->tag = TAG_ITEMS(1);
        return true;
    case BENCH_SINK:
        sunk += item.length;
        return false;
    case BENCH_SUNK:
        message->words[0] = sunk;
        sunk = 0;
        message->tag = 1;
        return true;
    case BENCH_SOURCE:
        pour(message);
        return false;
    default:
        message->tag = 0;
        return true;
    }
}

int bench_serve(void)
{
    struct message message;
    port_name_t receive, send;
    uint64_t w[4];

    bench_name(w);
    utcb_self()->copy_buffers[0] = message_buffer(buffer, sizeof buffer);
    if (port_allocate_with_send(0, &receive, &send) != ERR_OK ||
        netname_check_in(netname, w[0], w[1], w[2], w[3], 8, move_send(send)) != ERR_OK)
        return EXIT_FAILURE;
    for (;;) {
        corvus_error_t error = msg_receive(&message, receive, TIMEOUT_NONE);
        while (error == ERR_OK && handle(&message))
            error = msg_reply_receive(&message, receive, TIMEOUT_NONE);
        if (error != ERR_OK && error != ERR_PEER_DIED)
            return EXIT_FAILURE;
    }
}
