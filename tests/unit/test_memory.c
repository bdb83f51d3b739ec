// SPDX-License-Identifier: BSD-2-Clause
// The kernel's page pool and slabs: alignment, zeroing, charges by whole pages,
// exhaustion, and that random use leaves nothing behind.
#include "shim/machine.h"
#include "tap.h"

#include "kernel/memory.c" // NOLINT(bugprone-suspicious-include)

#define OBJECTS 4000
#define ROUNDS  60000

static struct task payer, other;

static struct live {
    struct task *task;
    void *object;
    size_t bytes;
    uint8_t pattern;
} live[OBJECTS];

static bool all_bytes(const void *start, uint8_t value, size_t bytes)
{
    const uint8_t *at = start;

    for (size_t i = 0; i < bytes; i++) {
        if (at[i] != value)
            return false;
    }
    return true;
}

static void test_boot(void)
{
    static struct boot_info boot = {.command = "node=1 kmem=8 xkmem=2"};
    static struct boot_info plain = {.command = "node=1 nokmem=3"};

    memory_init(&boot);
    tap_ok(memory_total_bytes() == 8 * MIB, "kmem= sets the reserve");
    tap_ok(memory_free_bytes() == memory_total_bytes(), "all of it is free");
    tap_ok(reserve_asked_for("kmem=12") == 12 * MIB && reserve_asked_for("") == 0 &&
               reserve_asked_for("kmem") == 0,
           "kmem= is found at the start, and not where it is not");
    tap_ok(reserve_bytes(&plain) == 5 * MIB || reserve_bytes(&plain) == 4 * MIB ||
               reserve_bytes(&plain) == (arena_end - ARENA_FIRST) / 16,
           "without kmem= it is a sixteenth");
}

static void test_sizes(void)
{
    bool had = true, aligned = true, zero = true, charged = true;

    for (size_t bytes = 1; bytes <= PAGE_BYTES; bytes++) {
        void *object = memory_object_allocate(&payer, bytes);

        had = had && object;
        charged = charged && payer.quota.used == PAGE_BYTES;
        aligned = aligned && virtual_to_physical(object) % (bytes > 32 ? 64 : 32) == 0;
        zero = zero && all_bytes(object, 0, bytes);
        memset(object, 0xff, bytes);
        memory_object_free(&payer, object, bytes);
        charged = charged && payer.quota.used == 0;
    }
    tap_ok(had, "every size up to a page can be had");
    tap_ok(aligned, "objects are aligned to 32 or 64");
    tap_ok(zero, "objects are zeroed");
    tap_ok(charged, "a page is charged for the first object, and given back with the last");
    tap_ok(memory_free_bytes() == memory_total_bytes() &&
               free_page_count * PAGE_BYTES == total_bytes,
           "empty slabs go back to the pool");
}

static void test_quota(void)
{
    void *object, *second, *third;
    void *kernels = memory_object_allocate(NULL, 64);

    other.quota.limit = 2 * PAGE_BYTES - 1;
    object = memory_object_allocate(&other, 64);
    tap_ok(object && !memory_object_allocate(&other, 32) && other.quota.used == PAGE_BYTES,
           "an object that needs a page above the quota fails and charges nothing");
    tap_ok(!memory_page_allocate(&other), "a page too");
    second = memory_object_allocate(&other, 48);
    third = memory_object_allocate(&payer, 64);
    tap_ok(second && memory_slab_of(second) == memory_slab_of(object) &&
               other.quota.used == PAGE_BYTES,
           "objects of like size share a page");
    tap_ok(memory_slab_of(third) != memory_slab_of(object) &&
               memory_slab_of(kernels) != memory_slab_of(object) && payer.quota.used == PAGE_BYTES,
           "those of different tasks do not");
    memory_object_free(&payer, third, 64);
    memory_object_free(NULL, kernels, 64);
    memory_object_free(&other, object, 64);
    other.terminated = true;
    tap_ok(!memory_object_allocate(&other, 64), "a terminated task gets nothing");
    memory_object_free(&other, second, 48);
    other.terminated = false;
    tap_ok(other.quota.used == 0, "but gives back");
}

// What a task does not pay for the others can have, however it frees.
static void test_fragments(void)
{
    static const size_t sizes[] = {32, 64, 256, 448, 960, MEMORY_OBJECT_LARGEST};
    bool exact = true;

    for (unsigned class = 0; class < MEMORY_CLASSES; class ++) {
        struct slab *kept = NULL;

        other.quota.limit = (class + 1) * 10 * PAGE_BYTES;
        for (unsigned i = 0; i < OBJECTS; i++) {
            live[i].object = memory_object_allocate(&other, sizes[class]);
            if (!live[i].object)
                break;
        }
        for (unsigned i = 0; i < OBJECTS && live[i].object; i++) {
            if (kept != memory_slab_of(live[i].object)) // the first of a slab stays
                kept = memory_slab_of(live[i].object);
            else
                memory_object_free(&other, live[i].object, sizes[class]);
        }
        exact = exact && memory_total_bytes() - memory_free_bytes() == other.quota.used;
    }
    tap_ok(exact && other.quota.used == other.quota.limit, "one object a page costs the page");
    for (uint64_t at = ARENA_FIRST; at < ARENA_BYTES; at += PAGE_BYTES) {
        struct slab *slab = physical_to_virtual(at);

        if (slab->owner == &other && slab->used == 1)
            memory_object_free(&other, slab + 1, slab->size);
    }
    tap_ok(other.quota.used == 0 && memory_free_bytes() == memory_total_bytes(),
           "and all of it can be had back");
    memset(live, 0, sizeof(live));
}

static void test_exhaustion(void)
{
    struct free_page *all = NULL;
    uint64_t pages = 0;
    void *object;

    for (struct free_page *page; (page = memory_page_allocate(&payer)); pages++) {
        page->next = all;
        all = page;
    }
    tap_ok(pages * PAGE_BYTES == memory_total_bytes() && memory_free_bytes() == 0,
           "all pages of the reserve can be had");
    object = memory_object_allocate(&payer, 32);
    tap_ok(!object && payer.quota.used == pages * PAGE_BYTES && memory_page_take() == 0,
           "then nothing, and nothing is charged for it");
    while (all) {
        struct free_page *next = all->next;

        memory_page_free(&payer, all);
        all = next;
    }
    tap_ok(memory_free_bytes() == memory_total_bytes() && payer.quota.used == 0, "all come back");
}

static void test_donation(void)
{
    uint64_t total = memory_total_bytes();
    uint64_t page = memory_page_take();

    tap_ok(page && memory_total_bytes() == total - PAGE_BYTES, "a page can be taken out");
    memory_page_add(page);
    tap_ok(memory_total_bytes() == total && memory_free_bytes() == total, "and added again");
}

static void toggle(struct live *slot)
{
    if (slot->object) {
        if (!all_bytes(slot->object, slot->pattern, slot->bytes))
            panic("an object was overwritten");
        memory_object_free(slot->task, slot->object, slot->bytes);
        slot->object = NULL;
        return;
    }
    slot->task = random() % 2 ? &payer : &other;
    slot->bytes = (size_t)(random() % (random() % 8 ? 400 : PAGE_BYTES)) + 1;
    slot->pattern = (uint8_t)random();
    slot->object = memory_object_allocate(slot->task, slot->bytes);
    if (slot->object)
        memset(slot->object, slot->pattern, slot->bytes);
}

static void test_random(void)
{
    srandom(1);
    other.quota.limit = 100 * PAGE_BYTES;
    for (unsigned i = 0; i < ROUNDS; i++)
        toggle(&live[random() % OBJECTS]);
    tap_ok(payer.quota.used + other.quota.used == memory_total_bytes() - memory_free_bytes(),
           "charges are what the pool lacks");
    for (unsigned i = 0; i < OBJECTS; i++) {
        if (live[i].object)
            toggle(&live[i]);
    }
    tap_ok(payer.quota.used == 0 && other.quota.used == 0 &&
               free_page_count * PAGE_BYTES == memory_total_bytes(),
           "random use leaves nothing behind");
}

int main(void)
{
    machine_init();
    payer.quota.limit = UINT64_MAX;
    test_boot();
    test_sizes();
    test_quota();
    test_fragments();
    test_exhaustion();
    test_donation();
    test_random();
    return tap_end();
}
