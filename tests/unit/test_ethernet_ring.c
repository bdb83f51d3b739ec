// SPDX-License-Identifier: BSD-2-Clause
// sources: lib/ethernet_ring.c
// Rings of Ethernet frames: one after the other, full in both ways (frames, bytes),
// running over, indices that wrap, what the bells are for, and other ends that lie.
#include "lib/ethernet_ring.h"
#include "tap.h"

#include <stdlib.h>
#include <string.h>

static struct ethernet_memory *memory;
static struct ethernet_producer producer;
static struct ethernet_consumer consumer;

// Both ends at the start, or so many frames later.
static void begin(uint32_t index)
{
    struct ethernet_ring *ring = &memory->to_server;

    ethernet_memory_clear(memory);
    ethernet_producer_start(&producer, ring, memory->data_to_server);
    ethernet_consumer_start(&consumer, ring, memory->data_to_server);
    producer.produced = producer.consumed = producer.rung = index;
    consumer.produced = consumer.consumed = consumer.rung = index;
    ring->produced = ring->consumed = index;
}

static uint8_t mark_of(uint32_t number, uint32_t at)
{
    return (uint8_t)(number * 7 + at * 3);
}

static bool put(uint32_t number, uint32_t bytes)
{
    uint8_t *space = ethernet_reserve(&producer, bytes);

    if (space == NULL)
        return false;
    for (uint32_t i = 0; i < bytes; i++)
        space[i] = mark_of(number, i);
    ethernet_commit(&producer);
    return true;
}

// Whether the next frame is this one, whole.
static bool get(uint32_t number, uint32_t expected)
{
    uint32_t bytes = 0;
    const uint8_t *frame = ethernet_peek(&consumer, &bytes);

    if (frame == NULL || bytes != expected)
        return false;
    for (uint32_t i = 0; i < bytes; i++) {
        if (frame[i] != mark_of(number, i))
            return false;
    }
    ethernet_take(&consumer);
    return true;
}

static void test_simple(void)
{
    uint32_t bytes;

    begin(0);
    tap_ok(ethernet_peek(&consumer, &bytes) == NULL, "an empty ring has no frame");
    tap_ok(ethernet_reserve(&producer, ETHERNET_HEADER_BYTES - 1) == NULL, "too short a frame");
    tap_ok(ethernet_reserve(&producer, ETHERNET_FRAME_MAX + 1) == NULL, "too long a frame");
    tap_ok(put(1, 60) && put(2, ETHERNET_FRAME_MAX) && put(3, ETHERNET_HEADER_BYTES), "three in");
    tap_ok(get(1, 60) && get(2, ETHERNET_FRAME_MAX) && get(3, ETHERNET_HEADER_BYTES), "three out");
    ethernet_take(&consumer);
    tap_ok(consumer.consumed == 3 && ethernet_peek(&consumer, &bytes) == NULL,
           "nothing more, and taking it does nothing");
    (void)ethernet_reserve(&producer, 100);
    ethernet_commit(&producer);
    ethernet_commit(&producer);
    tap_ok(producer.produced == 4, "a frame is committed once");
}

static uint32_t fill(uint32_t bytes)
{
    uint32_t count = 0;

    while (put(count, bytes))
        count++;
    return count;
}

static void test_full(void)
{
    bool all = true;

    begin(0);
    tap_ok(fill(60) == ETHERNET_RING_FRAMES, "small frames: as many as the ring has");
    tap_ok(get(0, 60) && put(0, 60) && !put(0, 60), "one out, one in");
    begin(UINT32_MAX - 10);
    uint32_t count = fill(ETHERNET_FRAME_MAX);
    tap_ok(count == ETHERNET_DATA_BYTES / 9024, "large frames: as many as there are bytes for");
    for (uint32_t i = 0; i < count; i++)
        all = all && get(i, ETHERNET_FRAME_MAX);
    tap_ok(all, "all as they went in, over the end of the indices");
}

// Frames of all lengths, with some always in the ring: none gets on top of another.
static void test_random(void)
{
    static uint32_t lengths[1u << 16];
    uint32_t in = 0, out = 0;
    bool well = true;

    begin(UINT32_MAX - 1000);
    srand(4);
    while (in < 60000 && well) {
        for (int burst = rand() % 300; burst > 0 && in < 60000; burst--) {
            lengths[in] = 14 + (uint32_t)rand() % (in % 1000 < 300 ? 100 : ETHERNET_FRAME_MAX - 13);
            if (!put(in, lengths[in]))
                break;
            in++;
        }
        for (int burst = rand() % 300; burst > 0 && out < in && well; burst--, out++)
            well = get(out, lengths[out]);
    }
    for (; out < in && well; out++)
        well = get(out, lengths[out]);
    tap_ok(well && out == 60000, "60000 frames of random lengths in random bursts");
    tap_ok(consumer.bad_frames == 0 && !consumer.broken && !producer.broken, "none was bad");
}

static void test_bells(void)
{
    begin(0);
    tap_ok(put(0, 60) && !ethernet_producer_must_ring(&producer), "nobody waits: no bell");
    tap_ok(ethernet_await_frames(&consumer), "waiting shows what has come before");
    tap_ok(get(0, 60) && !ethernet_await_frames(&consumer), "now it waits");
    tap_ok(put(1, 60) && ethernet_producer_must_ring(&producer), "a bell for the first");
    tap_ok(put(2, 60) && !ethernet_producer_must_ring(&producer), "and none for the next");
    tap_ok(get(1, 60) && get(2, 60) && !ethernet_consumer_must_ring(&consumer),
           "nobody waits for room");
    uint32_t count = fill(60);
    tap_ok(!ethernet_await_room(&producer, 60), "full: the producer waits");
    bool rung = false;
    uint32_t taken = 0;
    for (; taken < count && !rung; taken++) {
        (void)get(taken, 60);
        rung = ethernet_consumer_must_ring(&consumer);
    }
    tap_ok(rung && taken > count / 4 && taken <= count / 2 + 1, "a bell when about half is free");
    tap_ok(put(0, 60), "and there is room");
    begin(0);
    count = fill(ETHERNET_FRAME_MAX);
    for (uint32_t i = 0; i < count - 1; i++)
        (void)get(i, ETHERNET_FRAME_MAX);
    tap_ok(ethernet_await_room(&producer, ETHERNET_FRAME_MAX), "room that has come meanwhile");
}

static void test_hostile(void)
{
    struct ethernet_ring *ring = &memory->to_server;
    uint32_t bytes = 0;
    static const struct ethernet_descriptor bad[] = {{ETHERNET_DATA_BYTES, 60},
                                                     {ETHERNET_DATA_BYTES - 59, 60},
                                                     {0, 13},
                                                     {0, ETHERNET_FRAME_MAX + 1},
                                                     {0, 0},
                                                     {UINT32_MAX - 59, 60},
                                                     {ETHERNET_DATA_BYTES - 64, 0x10000},
                                                     {1, 60},
                                                     {0, UINT32_MAX}};
    uint32_t count = sizeof bad / sizeof *bad;

    begin(0);
    for (uint32_t i = 0; i < count; i++) {
        (void)put(i, 60);
        ring->frames[i] = bad[i];
    }
    (void)put(count, 60);
    tap_ok(get(count, 60) && consumer.bad_frames == count, "impossible frames are passed over");
    begin(0);
    (void)put(0, 60);
    ring->frames[0] = (struct ethernet_descriptor){ETHERNET_DATA_BYTES - 60, 60};
    tap_ok(ethernet_peek(&consumer, &bytes) == memory->data_to_server + ETHERNET_DATA_BYTES - 60,
           "a frame at the very end of the data is one");
    begin(5);
    ring->produced = 5 + ETHERNET_RING_FRAMES + 1;
    tap_ok(ethernet_peek(&consumer, &bytes) == NULL && consumer.broken, "too many frames");
    ring->produced = 5;
    tap_ok(!ethernet_await_frames(&consumer) && consumer.broken, "broken for good");
    begin(5);
    ring->produced = 4;
    tap_ok(!ethernet_await_frames(&consumer) && consumer.broken, "fewer frames than before");
    begin(5);
    (void)fill(60);
    ring->consumed = 4;
    tap_ok(!put(0, 60) && producer.broken, "less consumed than before");
    begin(5);
    (void)fill(60);
    ring->consumed = 5 + ETHERNET_RING_FRAMES + 1;
    tap_ok(!ethernet_await_room(&producer, 60) && producer.broken, "more consumed than produced");
}

int main(void)
{
    memory = aligned_alloc(4096, sizeof *memory);
    if (memory == NULL)
        return 1;
    test_simple();
    test_full();
    test_random();
    test_bells();
    test_hostile();
    free(memory);
    return tap_end();
}
