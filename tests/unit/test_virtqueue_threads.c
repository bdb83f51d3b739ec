// SPDX-License-Identifier: BSD-2-Clause
// sources: lib/virtio/virtqueue.c tests/unit/virtio/model.c
// Driver and device as two threads that sleep until the other notifies or
// interrupts: when one of those is lost, as by a missing barrier or a look too
// few, both sleep for ever, which is noticed.
#include "bell.h"
#include "tap.h"
#include "virtio/model.h"

#include <pthread.h>
#include <string.h>

#define SIZE   16
#define CHAINS 60000u

static struct bell notification = BELL_INITIALIZER;
static struct bell interrupt = BELL_INITIALIZER;
static struct model model;
static struct virtqueue queue;
static uint64_t data_bus;
static bool gave_up; // one of them waited in vain

// Which side sleeps; the other one spins, so that it acts just when the sleeper
// makes up its mind.
static bool device_sleeps;

static bool next_chain(struct model_chain *chain)
{
    while (!model_pop_or_wait(&model, 0, chain)) {
        if (device_sleeps && !bell_wait(&notification))
            return false;
        if (!device_sleeps && __atomic_load_n(&gave_up, __ATOMIC_RELAXED))
            return false;
    }
    return true;
}

static void *device(void *unused)
{
    static struct model_chain chain;
    unsigned interrupts = 0;

    for (unsigned served = 0; served < CHAINS; served++) {
        if (!next_chain(&chain)) {
            __atomic_store_n(&gave_up, true, __ATOMIC_RELAXED);
            break;
        }
        model_push(&model, 0, chain.head, 0);
        model_signal(&model, 0);
        if (model.interrupts != interrupts)
            bell_ring(&interrupt);
        interrupts = model.interrupts;
    }
    return unused;
}

static bool take_next(void)
{
    struct virtqueue_completion completion;

    while (!virtqueue_take(&queue, &completion)) {
        if (!device_sleeps && !bell_wait(&interrupt))
            return false;
        if (device_sleeps && __atomic_load_n(&gave_up, __ATOMIC_RELAXED))
            return false;
    }
    return true;
}

// Sleeps by taking, or by the other way to wait for an interrupt.
static unsigned drive(bool arm)
{
    struct virtio_segment segment = {.bus = data_bus, .bytes = 64};
    struct virtqueue_chain chain = {.segments = &segment, .readable = 1, .cookie = &segment};
    unsigned taken = 0;

    for (; taken < CHAINS; taken++) {
        if (arm)
            virtqueue_interrupts_off(&queue);
        MODEL_CHECK(virtqueue_add_chain(&queue, &chain) == VIRTIO_OK);
        if (virtqueue_publish(&queue))
            bell_ring(&notification);
        // At another moment each time, for the device answers at about the same.
        for (volatile unsigned delay = arm ? taken % 512 : 0; delay > 0; delay--)
            ;
        if (arm)
            (void)virtqueue_interrupts_on(&queue);
        if (!take_next())
            break;
    }
    __atomic_store_n(&gave_up, true, __ATOMIC_RELAXED);
    return taken;
}

static bool run(bool event_index, bool sleeper, bool arm)
{
    struct virtqueue_options options = {.event_index = event_index};
    pthread_t thread;

    memset(&model, 0, sizeof model);
    model.next_bus = 0x5000000;
    struct virtio_memory memory =
        model_memory(&model, virtqueue_shared_bytes(SIZE), virtqueue_own_bytes(SIZE));
    (void)model_share(&model, 64, &data_bus);
    virtqueue_initialize(&queue, 0, SIZE, options, memory.shared, memory.shared_bus, memory.own);
    model_join_queue(&model, &queue, event_index, false);
    notification.rung = interrupt.rung = gave_up = false;
    device_sleeps = sleeper;
    MODEL_CHECK(pthread_create(&thread, NULL, device, NULL) == 0);
    unsigned taken = drive(arm);
    pthread_join(thread, NULL);
    printf("# %u notifications, %u interrupts\n", (unsigned)queue.counters.notified,
           model.interrupts);
    bool good = taken == CHAINS && queue.fault == VIRTQUEUE_SOUND;
    model_memory_free(&memory);
    model_destroy(&model);
    return good;
}

int main(void)
{
    tap_ok(run(false, true, false), "threads: notifications, by flags");
    tap_ok(run(true, true, false), "threads: notifications, by event index");
    tap_ok(run(true, false, false), "threads: interrupts, by event index");
    tap_ok(run(false, false, true), "threads: interrupts switched off and on, by flags");
    tap_ok(run(true, false, true), "threads: interrupts switched off and on, by event index");
    return tap_end();
}
