// SPDX-License-Identifier: BSD-2-Clause
// Node 1: one test after the other, each a link of its own. A test is begun when its
// link is connected and judged when it ends.
#include "net_test.h"

#include "netipc/memory.h"
#include "netipc/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNKS       8u
#define PINGS        300u
#define TICKS_MAX    1600u // of a test: 80 s
#define STALLED      20u   // ticks in which nothing is consumed
#define NO_SUCH_NODE 77u

enum test {
    TEST_REFUSED,
    TEST_SINK,
    TEST_GENERATE,
    TEST_STALLED,
    TEST_DISCARD,
    TEST_ANYTHING,
    TEST_ECHO,
    TEST_CLOSED,
    TEST_BROKEN,
    TEST_ABSENT,
    TEST_KILLED,
    TEST_END,
};

static struct {
    enum test test;
    struct transport_link *link;
    uint8_t *chunks, *request;
    uint64_t place, done, pings;
    unsigned in_flight, tick, beacons, attempts;
    bool good, connected, stalled;
    uint64_t began, most;
    struct cost cost;
    struct verdict verdict;
    size_t verdict_bytes;
} state;

static void begin(enum test test);

// --- Links ------------------------------------------------------------------------------------

static void connect_to(unsigned node)
{
    enum transport_error error =
        transport_connect(transport, node_address(node), NULL, &state.link);

    state.connected = false;
    if (error != TRANSPORT_OK) {
        printf("# connect: %s\n", transport_error_text(error));
        ok(false, "a connection can be tried");
        finish();
    }
}

static void begin(enum test test)
{
    state.test = test;
    state.place = state.done = state.pings = state.most = 0;
    state.in_flight = state.tick = 0;
    state.verdict_bytes = 0;
    state.good = true;
    state.stalled = test == TEST_STALLED;
    if (test == TEST_END)
        finish();
    connect_to(test == TEST_ABSENT ? NO_SUCH_NODE : 2);
}

static void end(bool passed, const char *text)
{
    ok(passed, text);
    if (state.link != NULL)
        transport_close(state.link, true);
    state.link = NULL;
    begin(state.test + 1);
}

static void say_cost(const char *what, uint64_t bytes)
{
    struct cost now = cost_now();
    uint64_t in = now.frames_in - state.cost.frames_in,
             out = now.frames_out - state.cost.frames_out;
    uint64_t spent = now.ticks - state.cost.ticks;

    printf("# %s: %lu bytes, %lu frames in, %lu out, %lu rounds, %lu ticks in the loop: %lu for a "
           "frame; %lu ms\n",
           what, bytes, in, out, now.rounds - state.cost.rounds, spent, spent / (in + out + 1),
           (clock_now_ns() - state.began) / 1000000);
}

// --- What goes out ---------------------------------------------------------------------------

static void ask(enum request request, uint32_t bytes)
{
    memset(state.request, 0, REQUEST_BYTES);
    state.request[0] = (uint8_t)request;
    memcpy(state.request + 4, &bytes, 4);
    state.began = clock_now_ns();
    state.cost = cost_now();
    if (transport_send(state.link, state.request, REQUEST_BYTES, state.request) != TRANSPORT_OK)
        state.good = false;
}

static void send_stream(void)
{
    while (state.in_flight < CHUNKS && state.place < STREAM_BYTES) {
        uint8_t *chunk = state.chunks + state.place % ((uint64_t)CHUNKS * STREAM_CHUNK);
        if (state.test == TEST_SINK)
            fill_pattern(chunk, state.place, STREAM_CHUNK);
        if (transport_send(state.link, chunk, STREAM_CHUNK, chunk) != TRANSPORT_OK)
            state.good = false;
        state.place += STREAM_CHUNK;
        state.in_flight++;
    }
}

static void ping(void)
{
    if (state.pings == 1) {
        state.cost = cost_now(); // the first finds the way
        state.began = clock_now_ns();
    }
    if (transport_send(state.link, state.chunks, 64, state.chunks) != TRANSPORT_OK)
        state.good = false;
}

static void connected(void *context, struct transport_link *link)
{
    (void)context, (void)link;
    state.connected = true;
    switch (state.test) {
    case TEST_REFUSED:
        ok(false, "a node that does not listen refuses");
        finish();
    case TEST_SINK:
    case TEST_DISCARD:
        ask(state.test == TEST_SINK ? REQUEST_SINK : REQUEST_DISCARD, STREAM_BYTES);
        send_stream();
        break;
    case TEST_ANYTHING:
        ask(REQUEST_ANYTHING, STREAM_BYTES);
        break;
    case TEST_GENERATE:
    case TEST_STALLED:
        ask(REQUEST_GENERATE, STREAM_BYTES);
        break;
    case TEST_ECHO:
        fill_pattern(state.chunks, 0, 64);
        ask(REQUEST_ECHO, 0);
        ping();
        break;
    case TEST_CLOSED:
        ask(REQUEST_CLOSE, 0);
        break;
    case TEST_BROKEN:
        ask(REQUEST_BREAK, 0);
        break;
    case TEST_KILLED:
        ask(REQUEST_ECHO, 0);
        printf("# node 2 can be killed\n");
        break;
    default:
        end(false, "no node, no connection");
    }
}

static void sent(void *context, struct transport_link *link, void *cookie)
{
    (void)context, (void)link;
    if (link != state.link || cookie == state.request)
        return;
    if (state.test == TEST_SINK || state.test == TEST_DISCARD) {
        state.in_flight--;
        send_stream();
    }
}

// --- What comes in -----------------------------------------------------------------------------

static void take_stream(void)
{
    struct frame_piece pieces[16];
    unsigned count;

    while ((count = transport_peek(state.link, pieces, 16)) > 0) {
        size_t bytes = 0;
        for (unsigned i = 0; i < count; i++) {
            if (state.test != TEST_ANYTHING)
                state.good = state.good && is_pattern(&pieces[i], state.done + bytes);
            bytes += pieces[i].bytes;
        }
        state.done += bytes;
        transport_consume(state.link, bytes);
    }
    if (state.done < STREAM_BYTES)
        return;
    say_cost(state.test == TEST_ANYTHING ? "received, not looked at" : "received", state.done);
    end(state.good && state.done == STREAM_BYTES && (state.test != TEST_STALLED || state.most > 0),
        state.test == TEST_STALLED ? "10 MiB come whole after a while in which nothing was taken"
                                   : "10 MiB come whole");
}

static void take_verdict(void)
{
    struct frame_piece piece;

    while (transport_peek(state.link, &piece, 1) > 0) {
        size_t part = sizeof state.verdict - state.verdict_bytes;
        if (part > piece.bytes)
            part = piece.bytes;
        memcpy((uint8_t *)&state.verdict + state.verdict_bytes, piece.data, part);
        state.verdict_bytes += part;
        transport_consume(state.link, piece.bytes);
    }
    if (state.verdict_bytes < sizeof state.verdict)
        return;
    say_cost(state.test == TEST_DISCARD ? "sent, not looked at" : "sent", state.verdict.bytes);
    end(state.good && state.verdict.good == 1 && state.verdict.bytes == STREAM_BYTES &&
            transport_unacknowledged(state.link) == 0,
        "10 MiB arrive whole");
}

static void take_echo(void)
{
    struct frame_piece piece;

    while (transport_peek(state.link, &piece, 1) > 0) {
        state.good = state.good && is_pattern(&piece, state.done % 64);
        state.done += piece.bytes;
        transport_consume(state.link, piece.bytes);
    }
    if (state.done < (state.pings + 1) * 64)
        return;
    if (++state.pings < PINGS) {
        ping();
        return;
    }
    say_cost("300 echoes of 64 bytes", state.done);
    end(state.good && state.done == (uint64_t)PINGS * 64, "300 echoes come back");
}

static void received(void *context, struct transport_link *link)
{
    (void)context;
    if (link != state.link)
        return;
    if (state.test == TEST_SINK || state.test == TEST_DISCARD)
        take_verdict();
    else if (state.test == TEST_GENERATE || state.test == TEST_ANYTHING ||
             (state.test == TEST_STALLED && !state.stalled))
        take_stream();
    else if (state.test == TEST_ECHO)
        take_echo();
}

// --- Ends --------------------------------------------------------------------------

static void closed(void *context, struct transport_link *link, enum transport_error reason)
{
    uint64_t ms = (clock_now_ns() - state.began) / 1000000;

    (void)context;
    if (link != state.link)
        return;
    state.link = NULL;
    printf("# closed: %s, after %lu ms\n", transport_error_text(reason), ms);
    switch (state.test) {
    case TEST_REFUSED:
        if (reason == TRANSPORT_TIMED_OUT && ++state.attempts < 20)
            connect_to(2); // it is not there yet
        else
            ok(reason == TRANSPORT_REFUSED, "a node that does not listen refuses");
        break;
    case TEST_CLOSED:
        end(state.connected && reason == TRANSPORT_ENDED, "the other side closes");
        break;
    case TEST_BROKEN:
        end(state.connected && reason == TRANSPORT_RESET, "the other side breaks off");
        break;
    case TEST_ABSENT:
        end(!state.connected && reason == TRANSPORT_TIMED_OUT, "no node, no connection");
        break;
    case TEST_KILLED:
        end(state.connected && reason == TRANSPORT_TIMED_OUT && state.tick < 200,
            "a node that is killed is noticed");
        break;
    default:
        end(false, "a link closed that should not");
    }
}

static bool accepted(void *context, struct transport_link *link)
{
    (void)context, (void)link;
    return false;
}

static void beacon(void *context, uint32_t address, const void *data, size_t bytes)
{
    (void)context;
    if (address != node_address(2) || bytes != 16 || memcmp(data, "beacon of node 2", 16) != 0)
        return;
    if (++state.beacons > 3 && state.test == TEST_REFUSED && state.link == NULL) {
        ok(true, "beacons come");
        begin(TEST_SINK);
    }
}

void active_tick(void)
{
    if (++state.tick > TICKS_MAX) {
        printf("# test %d: %lu bytes done\n", (int)state.test, state.done);
        ok(false, "a test ends in time");
        finish();
    }
    if (state.stalled && state.connected) {
        uint64_t available = transport_available(state.link);
        state.good = state.good && available <= TRANSPORT_WINDOW;
        state.most = available > state.most ? available : state.most;
        if (state.tick > STALLED) {
            state.stalled = false;
            printf("# stalled at %lu bytes\n", state.most);
            take_stream();
        }
    }
    // Something must be owed for its absence to be noticed.
    if (state.test == TEST_KILLED && state.connected && state.link != NULL &&
        transport_unacknowledged(state.link) == 0)
        (void)transport_send(state.link, state.chunks, 64, state.chunks);
}

void active_begin(void)
{
    state.chunks = network_memory_allocate((size_t)CHUNKS * STREAM_CHUNK);
    state.request = network_memory_allocate(4096);
    if (state.chunks == NULL || state.request == NULL)
        exit(EXIT_FAILURE);
    state.began = clock_now_ns();
    begin(TEST_REFUSED);
}

const struct transport_events active_events = {
    .accepted = accepted,
    .connected = connected,
    .received = received,
    .sent = sent,
    .closed = closed,
    .beacon = beacon,
};
