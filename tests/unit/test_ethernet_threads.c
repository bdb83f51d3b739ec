// SPDX-License-Identifier: BSD-2-Clause
// sources: lib/ethernet_ring.c
// The ends of a ring as two threads that sleep until the other rings: when a bell is
// lost, as by a missing barrier or a look too few, both sleep for ever, which is
// noticed. And a third that scribbles over the shared memory meanwhile.
#include "lib/ethernet_ring.h"
#include "bell.h"
#include "tap.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define FRAMES 200000u

static struct bell frames_bell = BELL_INITIALIZER;
static struct bell room_bell = BELL_INITIALIZER;
static struct ethernet_memory *memory;
static struct ethernet_producer producer;
static struct ethernet_consumer consumer;
static uint32_t lost, wrong, received;
static bool over;

static uint32_t length_of(uint32_t number)
{
    return number % 5 == 0 ? ETHERNET_FRAME_MAX - number % 1000 : 14 + number % 1400;
}

// Whether there may be room; false: no bell came.
static bool wait_for_room(uint32_t bytes)
{
    if (ethernet_producer_must_ring(&producer))
        bell_ring(&frames_bell);
    return ethernet_await_room(&producer, bytes) || bell_wait(&room_bell);
}

static void *produce(void *unused)
{
    for (uint32_t number = 0; number < FRAMES; number++) {
        uint32_t bytes = length_of(number);
        uint8_t *space;
        while ((space = ethernet_reserve(&producer, bytes)) == NULL) {
            if (!wait_for_room(bytes)) {
                __atomic_store_n(&lost, number, __ATOMIC_RELAXED);
                return unused;
            }
        }
        memcpy(space, &number, sizeof number);
        memcpy(space + bytes - sizeof number, &number, sizeof number);
        ethernet_commit(&producer);
        if (number % 3 == 0 && ethernet_producer_must_ring(&producer))
            bell_ring(&frames_bell);
    }
    if (ethernet_producer_must_ring(&producer))
        bell_ring(&frames_bell);
    return unused;
}

static void *consume(void *unused)
{
    while (received < FRAMES) {
        uint32_t bytes, first, last;
        const uint8_t *frame = ethernet_peek(&consumer, &bytes);
        if (frame == NULL) {
            if (ethernet_await_frames(&consumer))
                continue;
            if (!bell_wait(&frames_bell))
                return unused;
            continue;
        }
        memcpy(&first, frame, sizeof first);
        memcpy(&last, frame + bytes - sizeof last, sizeof last);
        wrong += first != received || last != received || bytes != length_of(received);
        received++;
        ethernet_take(&consumer);
        if (ethernet_consumer_must_ring(&consumer))
            bell_ring(&room_bell);
    }
    return unused;
}

static void test_friends(void)
{
    pthread_t threads[2];

    if (pthread_create(&threads[0], NULL, produce, NULL) != 0 ||
        pthread_create(&threads[1], NULL, consume, NULL) != 0)
        exit(1);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    tap_ok(lost == 0 && received == FRAMES, "no bell was lost");
    tap_ok(wrong == 0, "each frame came once, in order, whole");
    tap_ok(!producer.broken && !consumer.broken && consumer.bad_frames == 0, "nothing was broken");
    tap_ok(frames_bell.count + room_bell.count < FRAMES, "fewer bells than frames");
    printf("# %u bells for frames, %u for room, of %u frames\n", frames_bell.count, room_bell.count,
           FRAMES);
}

// The other end has gone mad. Every word that it may write, and some that it may not.
static void *scribble(void *unused)
{
    uint32_t *words = (uint32_t *)&memory->to_server;
    unsigned seed = 7;

    while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
        uint32_t at = (uint32_t)rand_r(&seed) % (sizeof memory->to_server / 4);
        uint32_t value = (uint32_t)rand_r(&seed) % 1024;
        __atomic_store_n(&words[at], value << rand_r(&seed) % 16, __ATOMIC_RELAXED);
    }
    return unused;
}

static void use_both_ends(void)
{
    uint32_t bytes = 0;
    static uint8_t copy[ETHERNET_FRAME_MAX];

    uint8_t *space = ethernet_reserve(&producer, length_of(received++));
    if (space != NULL) {
        memset(space, 1, producer.reserved);
        ethernet_commit(&producer);
    }
    (void)ethernet_producer_must_ring(&producer);
    (void)ethernet_await_room(&producer, ETHERNET_FRAME_MAX);
    const void *frame = ethernet_peek(&consumer, &bytes);
    if (frame != NULL)
        memcpy(copy, frame, bytes); // AddressSanitizer sees what is outside
    ethernet_take(&consumer);
    (void)ethernet_consumer_must_ring(&consumer);
    (void)ethernet_await_frames(&consumer);
}

static void start(void)
{
    ethernet_memory_clear(memory);
    ethernet_producer_start(&producer, &memory->to_server, memory->data_to_server);
    ethernet_consumer_start(&consumer, &memory->to_server, memory->data_to_server);
}

static void test_foe(void)
{
    pthread_t thread;
    uint32_t broken = 0;
    struct timespec begin, now;

    start();
    clock_gettime(CLOCK_MONOTONIC, &begin);
    if (pthread_create(&thread, NULL, scribble, NULL) != 0)
        exit(1);
    do {
        use_both_ends();
        if (producer.broken && consumer.broken) {
            broken++;
            start();
        }
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec - begin.tv_sec < 3);
    __atomic_store_n(&over, true, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    tap_ok(broken > 0, "a mad other end is noticed, and does no harm");
    printf("# noticed %u times\n", broken);
}

int main(void)
{
    memory = aligned_alloc(4096, sizeof *memory);
    if (memory == NULL)
        return 1;
    start();
    test_friends();
    test_foe();
    free(memory);
    return tap_end();
}
