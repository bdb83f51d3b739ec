// SPDX-License-Identifier: BSD-2-Clause
// The node that measures: rounds of all rows, with a pause behind each, in which
// tests/bench/net/compare.py stops this machine and lets another run.
#include "netbench.h"

#include "tests/linux/bench/mark.h"

#include <stdio.h>
#include <stdlib.h>

#define CALLS        400u
#define MESSAGES     128u // of a stream
#define WARM_UP_PART 10u  // calls before the measured ones, as a part of these
#define PAUSE_US     1500000u

static port_name_t server, mine, mine_send;
static uint8_t buffer[STREAM_BYTES] __attribute__((aligned(4096)));

_Noreturn static void give_up(const char *what, corvus_error_t error)
{
    printf("bench: failed %s: error %d\n", what, error);
    exit(EXIT_FAILURE);
}

static void call(uint32_t id, size_t bytes)
{
    struct message message = {.tag = bytes != 0 ? TAG_ITEMS(1) : 0, .id = id};
    corvus_error_t error;

    message.destination = server;
    if (bytes != 0)
        utcb_self()->items[0] = message_copy_item(buffer, bytes);
    error = msg_rpc(&message, TIMEOUT_NONE);
    if (error != ERR_OK)
        give_up("a call", error);
}

static void row(const char *name, uint64_t value, const char *kind)
{
    printf("bench: %s%s %llu\n", name, kind, (unsigned long long)value);
}

static int compare_times(const void *one, const void *other)
{
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;

    return a < b ? -1 : a > b;
}

// Two rows, in nanoseconds: the median of so many calls, and what one in ten is faster than, which
// says more when others want this machine's processors.
static void latency(const char *name, uint32_t id, size_t bytes, unsigned count)
{
    static uint64_t times[CALLS];

    for (unsigned i = 0; i < 1 + count / WARM_UP_PART; i++)
        call(id, bytes);
    mark_begin();
    for (unsigned i = 0; i < count; i++) {
        uint64_t begin = clock_now_ns();
        call(id, bytes);
        times[i] = clock_now_ns() - begin;
    }
    mark_end();
    qsort(times, count, sizeof times[0], compare_times);
    row(name, times[count / 2], "");
    row(name, times[count / 10], "_tenth");
}

static void pour(unsigned count)
{
    struct message message;
    corvus_error_t error;

    for (unsigned i = 0; i < count; i++) {
        message = (struct message){.tag = TAG_ITEMS(1), .id = BENCH_SINK, .destination = server};
        utcb_self()->items[0] = message_copy_item(buffer, sizeof buffer);
        error = msg_send(&message, TIMEOUT_NONE);
        if (error != ERR_OK)
            give_up("a stream", error);
    }
    message = (struct message){.tag = 0, .id = BENCH_SUNK, .destination = server};
    error = msg_rpc(&message, TIMEOUT_NONE);
    if (error != ERR_OK || message.words[0] != (uint64_t)count * sizeof buffer)
        give_up("a stream's end", error);
}

static void draw(unsigned count)
{
    struct message message = {.tag = 1 | TAG_RIGHTS(1), .id = BENCH_SOURCE, .words = {count}};
    corvus_error_t error;

    message.destination = server;
    utcb_self()->rights[0] = copy_send(mine_send);
    error = msg_rpc(&message, TIMEOUT_NONE);
    for (unsigned i = 0; i < count && error == ERR_OK; i++) {
        error = msg_receive(&message, mine, TIMEOUT_NONE);
        if (error == ERR_OK && utcb_self()->items[0].length != sizeof buffer)
            error = ERR_TOO_LARGE;
    }
    if (error != ERR_OK)
        give_up("a stream from there", error);
}

// Kilobytes (1,000) a second.
static uint64_t bandwidth(void (*stream)(unsigned count), unsigned count)
{
    stream(1 + count / WARM_UP_PART);
    mark_begin();
    uint64_t begin = clock_now_ns();
    stream(count);
    uint64_t took = clock_now_ns() - begin;
    mark_end();
    return (uint64_t)count * sizeof buffer * 1000000 / took;
}

static void round_of_all(unsigned divide)
{
    unsigned calls = CALLS / divide, messages = MESSAGES / divide;

    latency("null", BENCH_NULL, 0, calls);
    latency("64", BENCH_ECHO, 64, calls);
    row("out", bandwidth(pour, messages), "");
    row("in", bandwidth(draw, messages), "");
    printf("bench: end\n");
}

int bench_drive(uint64_t node, unsigned rounds, unsigned divide)
{
    struct message nothing;
    uint64_t w[4];
    corvus_error_t error;

    bench_name(w);
    error = netname_look_up(netname, w[0], w[1], w[2], w[3], node, 1, &server);
    if (error == ERR_OK)
        error = port_allocate_with_send(0, &mine, &mine_send);
    if (error != ERR_OK)
        give_up("the other node", error);
    utcb_self()->copy_buffers[0] = message_buffer(buffer, sizeof buffer);
    printf("bench: ready\n");
    for (unsigned i = 0; i < rounds; i++) {
        (void)msg_receive(&nothing, mine, PAUSE_US);
        round_of_all(divide);
    }
    return EXIT_SUCCESS;
}
