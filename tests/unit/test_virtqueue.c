// SPDX-License-Identifier: BSD-2-Clause
// sources: lib/virtio/virtqueue.c tests/unit/virtio/model.c
// The split virtqueue against a device's side written apart from it: what goes
// round, what a full queue says, notifications and interrupts by event index,
// each way in which a device can lie, and random operations of both kinds.
//
//   test_virtqueue [SEED [OPERATIONS]]
#include "tap.h"
#include "virtio/model.h"

#include <string.h>

#define SIZE             8
#define BUFFERS          64
#define BYTES            96
#define SIZE_MAX_IN_TEST 256

struct scene {
    struct model model;
    struct virtqueue queue;
    struct virtio_memory memory;
    uint8_t *data;
    uint64_t data_bus;
    struct virtqueue_descriptor *tables;
    uint64_t tables_bus;
    bool event_index;
};

static struct scene scene;

static void begin(uint16_t size, bool event_index, bool indirect)
{
    struct virtqueue_options options = {.event_index = event_index, .indirect = indirect};

    memset(&scene, 0, sizeof scene);
    scene.model.next_bus = 0x5000000;
    scene.memory =
        model_memory(&scene.model, virtqueue_shared_bytes(size), virtqueue_own_bytes(size));
    scene.data = model_share(&scene.model, BUFFERS * BYTES, &scene.data_bus);
    scene.tables = model_share(&scene.model, SIZE_MAX_IN_TEST * SIZE * sizeof *scene.tables,
                               &scene.tables_bus);
    virtqueue_initialize(&scene.queue, 3, size, options, scene.memory.shared,
                         scene.memory.shared_bus, scene.memory.own);
    model_join_queue(&scene.model, &scene.queue, event_index, indirect);
    scene.event_index = event_index;
}

static void end(void)
{
    model_memory_free(&scene.memory);
    model_destroy(&scene.model);
}

// A chain of `readable` and `writable` segments of the data area.
static enum virtio_error add(unsigned readable, unsigned writable, void *cookie, bool table)
{
    struct virtio_segment segments[SIZE_MAX_IN_TEST];
    unsigned slot = (unsigned)((uintptr_t)cookie % SIZE_MAX_IN_TEST);

    for (unsigned i = 0; i < readable + writable; i++)
        segments[i] = (struct virtio_segment){
            .bus = scene.data_bus + (uint64_t)(i % BUFFERS) * BYTES, .bytes = BYTES};
    struct virtqueue_chain chain = {
        .segments = segments,
        .readable = (uint16_t)readable,
        .writable = (uint16_t)writable,
        .cookie = cookie,
        .table = table ? scene.tables + (size_t)slot * SIZE : NULL,
        .table_bus = scene.tables_bus + (uint64_t)slot * SIZE * sizeof *scene.tables,
    };
    return virtqueue_add_chain(&scene.queue, &chain);
}

static void *cookie(unsigned number)
{
    return (void *)(uintptr_t)(number + 1);
}

// The device completes the next chain in full.
static bool serve(void)
{
    static struct model_chain chain;

    if (!model_pop(&scene.model, 3, &chain))
        return false;
    model_push(&scene.model, 3, chain.head, (uint32_t)chain.writable_bytes);
    return true;
}

// --- One thing each ----------------------------------------------------------------

static void test_round(void)
{
    struct virtqueue_completion completion;
    bool good = true;

    begin(SIZE, false, false);
    tap_ok(!virtqueue_publish(&scene.queue), "nothing to publish: no notification");
    // More than once through all the indices.
    for (unsigned i = 0; i < 70000 && good; i++) {
        good = add(1 + i % 3, i % 4, cookie(i), false) == VIRTIO_OK &&
               virtqueue_publish(&scene.queue) && serve() &&
               virtqueue_take(&scene.queue, &completion) && completion.cookie == cookie(i) &&
               completion.bytes == i % 4 * BYTES && !completion.bad_length;
    }
    tap_ok(good, "70,000 chains go round");
    tap_ok(!virtqueue_take(&scene.queue, &completion), "and no more comes");
    tap_ok(scene.queue.counters.completed == 70000 && virtqueue_in_flight(&scene.queue) == 0,
           "they are counted");
    end();
}

static void test_full(void)
{
    begin(SIZE, false, false);
    tap_ok(add(2, 3, cookie(0), false) == VIRTIO_OK, "full: five of eight descriptors");
    tap_ok(add(2, 2, cookie(1), false) == VIRTIO_FULL, "full: four more do not fit");
    tap_ok(add(1, 2, cookie(1), false) == VIRTIO_OK, "full: three do");
    tap_ok(add(1, 0, cookie(2), false) == VIRTIO_FULL, "full: and then none");
    virtqueue_publish(&scene.queue);
    struct virtqueue_completion completion;
    tap_ok(serve() && serve() && virtqueue_take(&scene.queue, &completion) &&
               virtqueue_take(&scene.queue, &completion) &&
               add(4, 4, cookie(3), false) == VIRTIO_OK,
           "full: empty again");
    end();
}

static void test_indirect(void)
{
    struct virtqueue_completion completion;
    bool good = true;

    begin(SIZE, false, true);
    for (unsigned i = 0; i < SIZE; i++)
        good = good && add(4, 4, cookie(i), true) == VIRTIO_OK;
    tap_ok(good, "indirect: a chain takes one descriptor");
    tap_ok(add(1, 1, cookie(SIZE), true) == VIRTIO_FULL, "indirect: until the ring is full");
    virtqueue_publish(&scene.queue);
    for (unsigned i = 0; i < SIZE; i++)
        good = good && serve() && virtqueue_take(&scene.queue, &completion) &&
               completion.cookie == cookie(i) && completion.bytes == 4 * BYTES;
    tap_ok(good, "indirect: the device reads the tables");
    end();
    begin(SIZE, false, false);
    tap_ok(add(2, 2, cookie(0), true) == VIRTIO_OK && add(2, 3, cookie(1), true) == VIRTIO_FULL,
           "indirect: not when it was not agreed on");
    end();
}

static void test_invalid(void)
{
    begin(SIZE, false, true);
    tap_ok(add(0, 0, cookie(0), false) == VIRTIO_INVALID, "invalid: no segment");
    tap_ok(add(5, 4, cookie(0), true) == VIRTIO_INVALID, "invalid: more segments than the size");
    tap_ok(add(1, 1, NULL, false) == VIRTIO_INVALID, "invalid: no cookie");
    struct virtio_segment segment = {.bus = ~0ull - 3, .bytes = 8};
    struct virtqueue_chain chain = {.segments = &segment, .readable = 1, .cookie = cookie(0)};
    tap_ok(virtqueue_add_chain(&scene.queue, &chain) == VIRTIO_INVALID,
           "invalid: beyond the end of addresses");
    segment = (struct virtio_segment){.bus = scene.data_bus, .bytes = 0};
    tap_ok(virtqueue_add_chain(&scene.queue, &chain) == VIRTIO_INVALID, "invalid: no bytes");
    struct virtio_segment two[2] = {{.bus = 4096, .bytes = ~0u}, {.bus = 4096, .bytes = 1}};
    chain = (struct virtqueue_chain){.segments = two, .writable = 2, .cookie = cookie(0)};
    tap_ok(virtqueue_add_chain(&scene.queue, &chain) == VIRTIO_INVALID,
           "invalid: a sum that no length can tell");
    tap_ok(!virtqueue_publish(&scene.queue), "invalid: nothing of it was added");
    end();
}

static void test_events(void)
{
    struct virtqueue_completion completion;
    static struct model_chain chain;
    unsigned wanted = 0;

    begin(SIZE, true, false);
    // Until the device has said that it waits for the next, its event is the first.
    for (unsigned i = 0; i < 4; i++) {
        add(1, 0, cookie(i), false);
        wanted += virtqueue_publish(&scene.queue);
    }
    tap_ok(wanted == 1, "events: the device is notified of the first of four only");
    while (serve())
        model_signal(&scene.model, 3);
    tap_ok(scene.model.interrupts == 1, "events: one interrupt for what nobody has taken");
    for (unsigned i = 0; i < 4; i++)
        virtqueue_take(&scene.queue, &completion);
    tap_ok(!virtqueue_take(&scene.queue, &completion), "events: all taken");
    add(1, 0, cookie(4), false);
    tap_ok(virtqueue_publish(&scene.queue), "events: it is notified again");
    serve();
    model_signal(&scene.model, 3);
    tap_ok(scene.model.interrupts == 2, "events: and interrupts again");
    virtqueue_take(&scene.queue, &completion);
    virtqueue_interrupts_off(&scene.queue);
    for (unsigned i = 0; i < 20; i++) {
        add(1, 0, cookie(i), false);
        virtqueue_publish(&scene.queue);
        (void)model_pop(&scene.model, 3, &chain);
        model_push(&scene.model, 3, chain.head, 0);
        model_signal(&scene.model, 3);
        if (i < 19)
            virtqueue_take(&scene.queue, &completion);
    }
    tap_ok(scene.model.interrupts == 2, "events: no interrupt while they are off");
    tap_ok(virtqueue_interrupts_on(&scene.queue), "events: what came meanwhile is told");
    virtqueue_take(&scene.queue, &completion);
    tap_ok(!virtqueue_interrupts_on(&scene.queue), "events: and when there is nothing");
    end();
}

static void test_flags(void)
{
    struct virtqueue_completion completion;

    begin(SIZE, false, false);
    add(1, 0, cookie(0), false);
    scene.queue.used[0] = 1; // no notifications
    tap_ok(!virtqueue_publish(&scene.queue), "flags: a device that polls is not notified");
    virtqueue_interrupts_off(&scene.queue);
    serve();
    model_signal(&scene.model, 3);
    tap_ok(scene.model.interrupts == 0, "flags: interrupts off");
    tap_ok(virtqueue_interrupts_on(&scene.queue) && virtqueue_take(&scene.queue, &completion),
           "flags: on again, with what came meanwhile");
    scene.queue.used[0] = 0;
    add(1, 0, cookie(1), false);
    tap_ok(virtqueue_publish(&scene.queue), "flags: notified again");
    serve();
    model_signal(&scene.model, 3);
    tap_ok(scene.model.interrupts == 1, "flags: an interrupt");
    end();
}

// --- A device that lies ------------------------------------------------------------

static bool broken(enum virtqueue_fault fault)
{
    struct virtqueue_completion completion;

    return !virtqueue_take(&scene.queue, &completion) && scene.queue.fault == fault &&
           add(1, 0, cookie(9), false) == VIRTIO_BROKEN &&
           !virtqueue_take(&scene.queue, &completion);
}

static void begin_with_two(void)
{
    begin(SIZE, false, false);
    add(1, 1, cookie(0), false);
    add(1, 1, cookie(1), false);
    virtqueue_publish(&scene.queue);
}

static void test_lies(void)
{
    struct virtqueue_completion completion;

    begin_with_two();
    model_push(&scene.model, 3, SIZE, 0);
    tap_ok(broken(VIRTQUEUE_BAD_ID), "lie: an id beyond the queue");
    end();
    begin_with_two();
    model_push_raw(&scene.model, 3, 0x80000000u, 0, 1);
    tap_ok(broken(VIRTQUEUE_BAD_ID), "lie: a very large id");
    end();
    begin_with_two();
    model_push(&scene.model, 3, 1, 0);
    tap_ok(broken(VIRTQUEUE_BAD_ID), "lie: the middle of a chain");
    end();
    begin_with_two();
    model_push(&scene.model, 3, 7, 0);
    tap_ok(broken(VIRTQUEUE_BAD_ID), "lie: a free descriptor");
    end();
    begin_with_two();
    model_push(&scene.model, 3, 0, 0);
    model_push(&scene.model, 3, 0, 0);
    tap_ok(virtqueue_take(&scene.queue, &completion) && broken(VIRTQUEUE_BAD_ID),
           "lie: a chain completed twice");
    end();
    begin_with_two();
    add(1, 1, cookie(2), false); // not published: the third head is descriptor 4
    model_push(&scene.model, 3, 4, 0);
    tap_ok(broken(VIRTQUEUE_BAD_ID), "lie: a chain that it has not been shown");
    end();
    begin_with_two();
    model_push_raw(&scene.model, 3, 0, 0, 3);
    tap_ok(broken(VIRTQUEUE_BAD_INDEX), "lie: an index that runs ahead");
    end();
    begin_with_two();
    model_push_raw(&scene.model, 3, 0, 0, 0xffff);
    tap_ok(broken(VIRTQUEUE_BAD_INDEX), "lie: an index that runs back");
    tap_ok(!virtqueue_interrupts_on(&scene.queue), "lie: a broken queue has nothing to take");
    end();
    begin_with_two();
    model_push(&scene.model, 3, 0, BYTES + 1);
    tap_ok(virtqueue_take(&scene.queue, &completion) && completion.cookie == cookie(0) &&
               completion.bad_length && completion.bytes == BYTES &&
               scene.queue.counters.bad_lengths == 1 && scene.queue.fault == VIRTQUEUE_SOUND,
           "lie: a length beyond the buffers is cut and told");
    end();
}

static void test_give_back(void)
{
    begin_with_two();
    add(1, 1, cookie(2), false);
    model_push(&scene.model, 3, 99, 0);
    (void)broken(VIRTQUEUE_BAD_ID);
    void *first = virtqueue_give_back(&scene.queue), *second = virtqueue_give_back(&scene.queue);
    void *third = virtqueue_give_back(&scene.queue);
    tap_ok(first != second && second != third && first != third && first != NULL &&
               second != NULL && third != NULL && virtqueue_give_back(&scene.queue) == NULL,
           "after a reset all chains come back, once each");
    tap_ok(scene.queue.free_count == SIZE, "and all descriptors are free");
    end();
}

// --- Random operations ---------------------------------------------------------------

// A device that completes what it has in any order, and a driver that looks only
// when it was interrupted. With `hostile` it now and then lies, and the queue's
// state must stay sound: each chain comes back once, by take or by give-back.
struct run {
    struct model_random random;
    uint16_t size;
    bool notified;
    unsigned interrupts_seen;
    uint16_t held[SIZE_MAX_IN_TEST];
    uint32_t held_bytes[SIZE_MAX_IN_TEST];
    unsigned held_count;
    bool out[100000]; // by cookie: with the queue
    unsigned next, returned;
};

static struct run run;

static void returns(void *value)
{
    uintptr_t number = (uintptr_t)value - 1;

    MODEL_CHECK(number < run.next && run.out[number]);
    run.out[number] = false;
    run.returned++;
}

static void device_works(void)
{
    static struct model_chain chain;

    while (run.notified && run.held_count < SIZE_MAX_IN_TEST) {
        run.notified = model_pop_or_wait(&scene.model, 3, &chain);
        if (!run.notified)
            return;
        run.held[run.held_count] = chain.head;
        run.held_bytes[run.held_count++] = (uint32_t)chain.writable_bytes;
    }
}

static void device_completes(void)
{
    for (unsigned count = model_below(&run.random, 4); count > 0 && run.held_count > 0; count--) {
        unsigned which = model_below(&run.random, run.held_count);
        model_push(&scene.model, 3, run.held[which],
                   run.held_bytes[which] == 0 ? 0
                                              : model_below(&run.random, run.held_bytes[which]));
        run.held[which] = run.held[--run.held_count];
        run.held_bytes[which] = run.held_bytes[run.held_count];
    }
    model_signal(&scene.model, 3);
}

static void device_lies(void)
{
    uint16_t index = (uint16_t)(scene.model.queues[3].pushed + model_below(&run.random, 3));

    if (model_below(&run.random, 8) == 0)
        index = (uint16_t)model_random(&run.random);
    model_push_raw(&scene.model, 3, model_below(&run.random, 2u * run.size),
                   model_random(&run.random), index);
}

static void driver_adds(void)
{
    unsigned writable = model_below(&run.random, 3), readable = model_below(&run.random, 3) + 1;

    for (unsigned count = model_below(&run.random, 5); count > 0; count--) {
        // A table belongs to a chain until it completes: tables are by cookie.
        bool table = run.next - run.returned < SIZE_MAX_IN_TEST && model_below(&run.random, 2);
        bool free_table = run.next < SIZE_MAX_IN_TEST || !run.out[run.next - SIZE_MAX_IN_TEST];
        if (add(readable, writable, cookie(run.next), table && free_table) != VIRTIO_OK)
            break;
        run.out[run.next++] = true;
    }
    run.notified |= virtqueue_publish(&scene.queue);
}

static void driver_takes(void)
{
    struct virtqueue_completion completion;

    if (run.interrupts_seen == scene.model.interrupts && model_below(&run.random, 50) != 0)
        return;
    run.interrupts_seen = scene.model.interrupts;
    if (model_below(&run.random, 2)) {
        while (virtqueue_take(&scene.queue, &completion))
            returns(completion.cookie);
        return;
    }
    do {
        virtqueue_interrupts_off(&scene.queue);
        while (virtqueue_take(&scene.queue, &completion))
            returns(completion.cookie);
    } while (virtqueue_interrupts_on(&scene.queue));
}

static void start_run(uint64_t seed)
{
    memset(&run, 0, sizeof run);
    run.random.state = seed;
    run.size = (uint16_t)(4u << model_below(&run.random, 6));
    begin(run.size, model_below(&run.random, 2), model_below(&run.random, 2));
}

// Everything comes back without another look than interrupts call for.
static bool run_ends(void)
{
    for (unsigned rounds = 0; run.returned < run.next && rounds < 100000; rounds++) {
        struct virtqueue_completion completion;
        device_works();
        device_completes();
        if (run.interrupts_seen == scene.model.interrupts)
            continue;
        run.interrupts_seen = scene.model.interrupts;
        while (virtqueue_take(&scene.queue, &completion))
            returns(completion.cookie);
    }
    return run.returned == run.next && scene.queue.free_count == run.size;
}

static bool run_at_random(uint64_t seed, unsigned operations)
{
    start_run(seed);
    for (unsigned i = 0; i < operations && run.next < sizeof run.out - 8; i++) {
        driver_adds();
        if (model_below(&run.random, 3) != 0)
            device_works();
        device_completes();
        driver_takes();
    }
    bool good = scene.queue.fault == VIRTQUEUE_SOUND && run_ends();
    end();
    return good;
}

static bool run_hostile(uint64_t seed, unsigned operations)
{
    void *back;

    start_run(seed);
    for (unsigned i = 0; i < operations && run.next < sizeof run.out - 8; i++) {
        driver_adds();
        run.notified = true;
        device_works();
        device_completes();
        if (model_below(&run.random, 20) == 0)
            device_lies();
        driver_takes();
        if (scene.queue.fault != VIRTQUEUE_SOUND)
            break;
    }
    while ((back = virtqueue_give_back(&scene.queue)) != NULL)
        returns(back);
    bool good = run.returned == run.next && scene.queue.free_count == run.size;
    end();
    return good;
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    unsigned operations = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 0) : 5000;
    bool good = true, sound = true;

    test_round();
    test_full();
    test_indirect();
    test_invalid();
    test_events();
    test_flags();
    test_lies();
    test_give_back();
    for (uint64_t i = seed; i < seed + 12; i++) {
        printf("# seed %lu\n", (unsigned long)i);
        good = run_at_random(i, operations) && good;
    }
    tap_ok(good, "random: all that was added completes, by interrupts alone");
    for (uint64_t i = seed; i < seed + 300; i++)
        sound = run_hostile(i, operations) && sound;
    tap_ok(sound, "random lies: each chain comes back once");
    return tap_end();
}
