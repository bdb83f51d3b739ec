// SPDX-License-Identifier: BSD-2-Clause
// See ethernet_ring.h. Frames lie in the data in the order in which they went into the
// ring, each in one piece: a frame that does not fit behind the last one begins at
// the start again.
#include "ethernet_ring.h"

#define RING_MASK  (ETHERNET_RING_FRAMES - 1)
#define LINE_BYTES 64u
#define NEVER      0x80000000u // as far behind as can be
_Static_assert((ETHERNET_RING_FRAMES & RING_MASK) == 0, "indices run freely");

// What the other end writes is read once, and whole.
static uint32_t load(const uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void store(uint32_t *word, uint32_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

// Between saying what one wants to hear of and looking whether it has come, and
// between doing it and looking who wants to hear of it: one of the two sees the other.
static void full_barrier(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

// Whether a count that went from `before` to `now` has passed `wake`.
static bool passed(uint32_t wake, uint32_t before, uint32_t now)
{
    return (uint32_t)(now - wake - 1) < (uint32_t)(now - before);
}

static uint32_t lines(uint32_t bytes)
{
    return (bytes + LINE_BYTES - 1) & ~(LINE_BYTES - 1);
}

static bool possible(uint32_t bytes)
{
    return bytes >= ETHERNET_HEADER_BYTES && bytes <= ETHERNET_FRAME_MAX;
}

void ethernet_memory_clear(struct ethernet_memory *memory)
{
    memset(memory, 0, ETHERNET_HEAD_BYTES);
    // Nobody wants to hear anything yet.
    memory->to_server.wake_room = memory->to_server.wake_frames = NEVER;
    memory->to_client.wake_room = memory->to_client.wake_frames = NEVER;
}

// --- Producer ------------------------------------------------------------------------

void ethernet_producer_start(struct ethernet_producer *producer, struct ethernet_ring *ring,
                             uint8_t *data)
{
    memset(producer, 0, sizeof *producer);
    producer->ring = ring;
    producer->data = data;
}

static void look_what_was_consumed(struct ethernet_producer *producer)
{
    uint32_t consumed = load(&producer->ring->consumed);

    if (consumed - producer->consumed > producer->produced - producer->consumed)
        producer->broken = true;
    else
        producer->consumed = consumed;
}

// Finds room for a frame among those in the ring, as far as known. False: none.
static bool find_room(const struct ethernet_producer *producer, uint32_t bytes, uint32_t *at)
{
    uint32_t oldest = producer->starts[producer->consumed & RING_MASK];
    uint32_t taken = producer->produced - producer->consumed;

    if (taken == ETHERNET_RING_FRAMES)
        return false;
    if (taken == 0) {
        *at = 0;
        return true;
    }
    *at = producer->next;
    if (producer->next <= oldest) // the newest begin at the start again
        return oldest - producer->next >= bytes;
    if (ETHERNET_DATA_BYTES - producer->next >= bytes)
        return true;
    *at = 0;
    return oldest >= bytes;
}

void *ethernet_reserve(struct ethernet_producer *producer, uint32_t bytes)
{
    uint32_t at;

    producer->reserved = 0;
    if (producer->broken || !possible(bytes))
        return NULL;
    if (!find_room(producer, lines(bytes), &at)) {
        look_what_was_consumed(producer);
        if (producer->broken || !find_room(producer, lines(bytes), &at))
            return NULL;
    }
    producer->reserved_at = at;
    producer->reserved = bytes;
    return producer->data + at;
}

void ethernet_commit(struct ethernet_producer *producer)
{
    uint32_t slot = producer->produced & RING_MASK;

    if (producer->reserved == 0)
        return;
    producer->ring->frames[slot] =
        (struct ethernet_descriptor){.offset = producer->reserved_at, .bytes = producer->reserved};
    producer->starts[slot] = producer->reserved_at;
    producer->next = producer->reserved_at + lines(producer->reserved);
    producer->reserved = 0;
    store(&producer->ring->produced, ++producer->produced);
}

bool ethernet_producer_must_ring(struct ethernet_producer *producer)
{
    uint32_t before = producer->rung;

    producer->rung = producer->produced;
    full_barrier();
    return passed(load(&producer->ring->wake_frames), before, producer->produced);
}

// By the time the wish is seen, the consumer may have passed the place. It then is wished anew, for
// a later one: at most a few times, as there is no more in the ring than there was.
bool ethernet_await_room(struct ethernet_producer *producer, uint32_t bytes)
{
    uint32_t half, from, at;

    do {
        from = producer->consumed;
        half = (producer->produced - from) / 2;
        store(&producer->ring->wake_room, from + half);
        full_barrier();
        look_what_was_consumed(producer);
        if (producer->broken)
            return false;
        if (find_room(producer, lines(bytes), &at))
            return true;
    } while (producer->consumed - from > half);
    return false;
}

// --- Consumer ------------------------------------------------------------------------

void ethernet_consumer_start(struct ethernet_consumer *consumer, struct ethernet_ring *ring,
                             const uint8_t *data)
{
    memset(consumer, 0, sizeof *consumer);
    consumer->ring = ring;
    consumer->data = data;
}

// Whether there are frames, as far as known after a look.
static bool look_what_was_produced(struct ethernet_consumer *consumer)
{
    uint32_t produced = load(&consumer->ring->produced);

    if (produced - consumer->consumed > ETHERNET_RING_FRAMES)
        consumer->broken = true;
    else
        consumer->produced = produced;
    return !consumer->broken && consumer->produced != consumer->consumed;
}

const void *ethernet_peek(struct ethernet_consumer *consumer, uint32_t *bytes)
{
    // What is known first: so that nobody who goes on producing holds the caller here.
    if (consumer->broken ||
        (consumer->consumed == consumer->produced && !look_what_was_produced(consumer)))
        return NULL;
    while (consumer->consumed != consumer->produced) {
        const struct ethernet_descriptor *frame =
            &consumer->ring->frames[consumer->consumed & RING_MASK];
        uint32_t offset = load(&frame->offset);
        *bytes = load(&frame->bytes);
        if (possible(*bytes) && offset <= ETHERNET_DATA_BYTES - *bytes && offset % 2 == 0)
            return consumer->data + offset;
        consumer->bad_frames++;
        ethernet_take(consumer);
    }
    return NULL;
}

void ethernet_take(struct ethernet_consumer *consumer)
{
    if (consumer->consumed != consumer->produced)
        store(&consumer->ring->consumed, ++consumer->consumed);
}

bool ethernet_consumer_must_ring(struct ethernet_consumer *consumer)
{
    uint32_t before = consumer->rung;

    consumer->rung = consumer->consumed;
    full_barrier();
    return passed(load(&consumer->ring->wake_room), before, consumer->consumed);
}

bool ethernet_await_frames(struct ethernet_consumer *consumer)
{
    if (consumer->broken)
        return false;
    store(&consumer->ring->wake_frames, consumer->consumed);
    full_barrier();
    return look_what_was_produced(consumer);
}
