// SPDX-License-Identifier: BSD-2-Clause
// sources: deploy/wire/core.c deploy/wire/heap.c deploy/wire/addresses.c
// sources: deploy/wire/frame.c deploy/wire/spec.c deploy/wire/bit_errors.c
// The wire as a switch: where frames go, cuts and partitions, bounds of memory; and any sequence of
// events loses and counts nothing twice.
#include "tests/unit/wire.h"

#include <stdlib.h>

#include "deploy/wire/random.h"
#include "tap.h"

// True when exactly these ports got the frame, a bit each.
static bool reached(uint32_t ports, uint32_t number)
{
    uint32_t got = 0;
    for (unsigned i = 0; i < arrival_count; i++)
        if (arrivals[i].number == number)
            got |= UINT32_C(1) << arrivals[i].to;
    arrival_count = 0;
    return got == ports;
}

static void test_switching(void)
{
    begin(4, NULL);
    send(0, 0, EVERYBODY, 1);
    tap_ok(take(0) == 3 && reached(14, 1), "a broadcast reaches all others");
    send(0, 1, 3, 2);
    tap_ok(take(0) == 3 && reached(13, 2), "so does a frame to somebody unknown");
    send(0, 1, 0, 3);
    tap_ok(take(0) == 1 && reached(1, 3), "a frame to a known node reaches only that");
    send_as(0, 2, 1, EVERYBODY, 5, 14 + 4);
    send(0, 0, 1, 6);
    tap_ok(take(0) == 4 && reached(4, 6), "an address that moved is found at its new place");
    tap_ok(wire_next_time(&wire) == WIRE_NEVER, "nothing is under way");
    begin(4, NULL);
    for (uint32_t i = 0; i < 100; i++)
        send(i, 0, EVERYBODY, i);
    take(100);
    bool ordered = true;
    for (unsigned i = 3; i < arrival_count; i++)
        ordered = ordered && arrivals[i].number == arrivals[i - 3].number + 1;
    tap_ok(ordered && arrival_count == 300, "frames come in the order in which they were sent");
    tap_ok(end(), "no frame is missing");
}

static void test_cuts(void)
{
    begin(4, NULL);
    wire_cut_link(&wire, 0, 1);
    send(0, 0, EVERYBODY, 1);
    tap_ok(take(0) == 2 && reached(12, 1), "a cut link");
    send(0, 1, EVERYBODY, 2);
    tap_ok(take(0) == 3 && reached(13, 2), "is cut one way");
    wire_heal(&wire);
    wire_cut_group(&wire, 3);
    send(0, 0, EVERYBODY, 3);
    tap_ok(take(0) == 1 && reached(2, 3), "a group of two reach one another");
    send(0, 2, EVERYBODY, 4);
    tap_ok(take(0) == 1 && reached(8, 4), "and so do the others");
    wire_heal(&wire);
    send(0, 2, EVERYBODY, 5);
    tap_ok(take(0) == 3 && reached(11, 5), "healed");
    tap_ok(wire.links[0][1].counters.cut == 1 && wire.links[2][0].counters.cut == 1 &&
               wire.links[0][2].counters.cut == 1,
           "what a cut took is counted");
    begin(3, "delay=5ms");
    send(0, 0, EVERYBODY, 1);
    wire_cut_link(&wire, 0, 2);
    take(5 * MILLISECOND);
    tap_ok(reached(2, 1) && wire.links[0][2].counters.cut == 1, "a cut takes what is under way");
    tap_ok(end(), "no frame is missing");
}

// A node behind a cut speaks with another's address.
static void test_impostor(void)
{
    begin(3, NULL);
    send(0, 0, EVERYBODY, 1);
    send(0, 1, EVERYBODY, 2);
    wire_cut_group(&wire, 4);
    send_as(0, 2, 0, EVERYBODY, 3, 100);
    take(0);
    arrival_count = 0;
    send(0, 1, 0, 4);
    tap_ok(take(0) == 1 && reached(1, 4), "a node behind a cut draws nothing to itself");
    wire_heal(&wire);
    send_as(0, 2, 0, EVERYBODY, 5, 100);
    take(0);
    arrival_count = 0;
    send(0, 1, 0, 6);
    tap_ok(take(0) == 1 && reached(4, 6), "without a cut it does, as on every switch");
    wire_cut_group(&wire, 4);
    send(0, 2, EVERYBODY, 7);
    take(0);
    tap_ok(reached(0, 7), "its cut goes by its port, not by its addresses");
    tap_ok(end(), "no frame is missing");
}

static void test_bounds(void)
{
    const unsigned sent = 10000;
    bool taken = true;
    begin(4, "delay=1s");
    for (unsigned i = 0; i < sent; i++)
        taken = taken && send_as(0, 0, 0, EVERYBODY, i, 60);
    uint64_t refused = 0;
    for (unsigned to = 1; to < 4; to++)
        refused += wire.links[0][to].counters.memory;
    tap_ok(taken && wire.pending_count == WIRE_PENDING_MAX &&
               refused == sent * UINT64_C(3) - WIRE_PENDING_MAX,
           "as many are under way as may be, and the others are counted");
    tap_ok(pool.made <= WIRE_PENDING_MAX / 3 + 2, "memory has a bound");
    take(1000 * MILLISECOND);
    tap_ok(balanced(0, 1) && balanced(0, 2) && balanced(0, 3), "the counters agree");
    tap_ok(end(), "no frame is missing");
}

// --- Any sequence of events ----------------------------------------------------------------------

static uint64_t random_state = 4711;

static unsigned any(unsigned below)
{
    random_state += RANDOM_STEP;
    return (unsigned)(random_mix(random_state) % below);
}

static void any_event(uint64_t now)
{
    static const char *const specs[] = {
        "none",
        "loss=20%,dup=20%,reorder=20%,delay=3ms,jitter=2ms,biterror=1e-4",
        "rate=200kbit,queue=2k,reorder=50% 1>3:loss=100%",
        "*>3:delay=50ms 2>*:dup=100%,jitter=9ms",
    };
    static struct wire_spec spec;
    char message[SPEC_MESSAGE_BYTES];
    switch (any(320)) {
    case 0:
        spec_parse(specs[any(4)], 5, &spec, message);
        wire_impair(&wire, now, &spec);
        break;
    case 1:
        wire_cut_group(&wire, 1 + any(30));
        break;
    case 2:
        wire_cut_link(&wire, 0, 1 + any(4));
        break;
    case 3:
    case 4:
        wire_heal(&wire);
        break;
    default:
        send_as(now, any(5), any(7), any(3) == 0 ? EVERYBODY : any(7), any(1000),
                18 + any(any(10) == 0 ? 9000 : 100));
    }
}

static void test_any_events(void)
{
    uint64_t now = 0;
    bool timely = true, agree = true;
    begin(5, NULL);
    for (unsigned i = 0; i < 300000; i++) {
        any_event(now);
        now += any(20) == 0 ? any(10000000) : any(10000);
        if (any(3) != 0)
            continue;
        // What was to come must come: not before its time, and not forgotten.
        struct delivery delivery;
        uint64_t last = 0;
        while (wire_take(&wire, now, &delivery)) {
            timely = timely && delivery.time <= now && delivery.time >= last;
            last = delivery.time;
            frame_release(&pool, delivery.frame);
        }
        timely = timely && wire_next_time(&wire) > now;
    }
    arrival_count = 0;
    while (wire_next_time(&wire) != WIRE_NEVER) {
        take(wire_next_time(&wire));
        arrival_count = 0;
    }
    for (unsigned from = 0; from < 5; from++)
        for (unsigned to = 0; to < 5; to++)
            agree = agree && balanced(from, to);
    tap_ok(timely, "300,000 events: every frame comes in its time");
    const struct wire_link_counters *counters = &wire.links[0][1].counters;
    printf("# reordered %llu duplicated %llu queue %llu cut %llu\n",
           (unsigned long long)counters->reordered, (unsigned long long)counters->duplicated,
           (unsigned long long)counters->queue, (unsigned long long)counters->cut);
    tap_ok(agree, "and the counters agree");
    tap_ok(wire.links[0][1].counters.reordered > 100 &&
               wire.links[0][1].counters.duplicated > 100 &&
               wire.links[0][1].counters.queue > 100 && wire.links[0][1].counters.cut > 100,
           "all of it happened");
    tap_ok(end(), "no frame is missing");
}

int main(void)
{
    test_switching();
    test_cuts();
    test_impostor();
    test_bounds();
    test_any_events();
    return tap_end();
}
