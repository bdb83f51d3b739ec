// SPDX-License-Identifier: BSD-2-Clause
// Both nodes: card, TCP/IP, transport, and the event loop; what it costs.
#include "net_test.h"

#include "netipc/card.h"
#include "netipc/identity.h"
#include "netipc/interface.h"
#include "netipc/loop.h"

#include <corvus/init_stubs.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK 50000000ull
#define FRAMES_UNTIL_TCP                                                                           \
    2u // that node 2 hears before it listens: who has the address, and an attempt
#define TICKS_UNTIL_TCP 10u
#define PATIENCE_MS     3000u

struct transport *transport;
static struct network_switch network;
static struct network_card *card;
static struct node_identity identity;
static unsigned tests, failures;
static uint64_t round_began, ticks, rounds;
static uint64_t next_tick;

void ok(bool passed, const char *text)
{
    printf("%sok %u - %s\n", passed ? "" : "not ", ++tests, text);
    failures += !passed;
}

void finish(void)
{
    printf("1..%u\n", tests);
    exit(failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

void fill_pattern(uint8_t *bytes, uint64_t place, size_t count)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = pattern_at(place + i);
}

bool is_pattern(const struct frame_piece *piece, uint64_t place)
{
    const uint8_t *bytes = piece->data;

    for (size_t i = 0; i < piece->bytes; i++) {
        if (bytes[i] != pattern_at(place + i))
            return false;
    }
    return true;
}

struct cost cost_now(void)
{
    return (struct cost){ticks, card->counters.received, card->counters.sent, rounds};
}

static void has_room(void)
{
    transport_has_room(transport);
}

static void open_transport(void)
{
    struct transport_settings settings = {.patience_ms = PATIENCE_MS};

    transport = transport_open(identity.number == 1 ? &active_events : &passive_events, &settings);
    if (transport == NULL) {
        printf("# no transport\n");
        exit(EXIT_FAILURE);
    }
    card_on_room(has_room);
}

// Node 2 listens only when somebody has tried to reach it and been refused.
static void passive_tick(void)
{
    static unsigned heard;

    if (transport == NULL && interface_counters()->received >= FRAMES_UNTIL_TCP &&
        ++heard == TICKS_UNTIL_TCP)
        open_transport();
    if (transport != NULL)
        (void)transport_beacon(transport, TRANSPORT_BROADCAST, "beacon of node 2", 16);
}

static uint64_t transport_step(struct event_step *step)
{
    uint64_t now = clock_now_ns(), deadline = UINT64_MAX;

    (void)step;
    if (now >= next_tick) {
        next_tick = now + TICK;
        if (identity.number == 1)
            active_tick();
        else
            passive_tick();
    }
    if (transport != NULL) {
        deadline = transport_poll(transport);
        transport_flush_all(transport);
    }
    return deadline < next_tick ? deadline : next_tick;
}

static uint64_t begin_round(struct event_step *step)
{
    (void)step;
    round_began = processor_time();
    return UINT64_MAX;
}

static uint64_t end_round(struct event_step *step)
{
    (void)step;
    ticks += processor_time() - round_began;
    rounds++;
    return UINT64_MAX;
}

int main(int count, char **words)
{
    static struct event_step begin = {.step = begin_round}, steps = {.step = transport_step},
                             end = {.step = end_round};
    struct interface_settings settings = {.mask = 0xffff0000u};

    if (identity_read(&identity, count - 1, words + 1) != NULL || server_open() != ERR_OK)
        return EXIT_FAILURE;
    server_add_step(&begin);
    card = card_open(&network);
    if (card == NULL) {
        printf("# no card\n");
        return EXIT_FAILURE;
    }
    settings.address = node_address(identity.number);
    settings.mtu = card->mtu;
    memcpy(settings.hardware, card->address, sizeof settings.hardware);
    if (!interface_open(&network, card, &settings))
        return EXIT_FAILURE;
    printf("# node %u, mtu %u\n", identity.number, card->mtu);
    if (identity.number == 1) {
        open_transport();
        active_begin();
    }
    server_add_step(&steps);
    card_finish_steps();
    server_add_step(&end);
    return (int)server_run();
}
