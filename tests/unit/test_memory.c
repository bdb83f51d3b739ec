// SPDX-License-Identifier: BSD-2-Clause
// The kernel's page pool and slabs: alignment, zeroing, charges, exhaustion,
// and that random use leaves nothing behind.
#include "shim/machine.h"
#include "tap.h"

#include "kernel/memory.c" // NOLINT(bugprone-suspicious-include)

#define OBJECTS 4000
#define ROUNDS  60000

static struct task payer, other;

static struct live {
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
    bool enough = true, aligned = true, zero = true, charged = true;

    for (size_t bytes = 1; bytes <= PAGE_BYTES; bytes++) {
        uint64_t before = payer.quota.used;
        size_t size = memory_object_size(bytes);
        void *object = memory_object_allocate(&payer, bytes);
        bool power_of_two = (bytes & (bytes - 1)) == 0;

        enough = enough && object && size >= bytes;
        charged = charged && payer.quota.used == before + size;
        aligned = aligned && virtual_to_physical(object) % 16 == 0 &&
                  (!power_of_two || virtual_to_physical(object) % bytes == 0);
        zero = zero && all_bytes(object, 0, size);
        memset(object, 0xff, size);
        memory_object_free(&payer, object, bytes);
        charged = charged && payer.quota.used == before;
    }
    tap_ok(enough, "every size up to a page can be had");
    tap_ok(aligned, "objects are aligned to 16, powers of two to their size");
    tap_ok(zero, "objects are zeroed over their whole size class");
    tap_ok(charged, "the size class is charged, and given back");
    tap_ok(memory_free_bytes() == memory_total_bytes() &&
               free_page_count * PAGE_BYTES == total_bytes,
           "empty slabs go back to the pool");
}

static void test_quota(void)
{
    void *object;

    other.quota.limit = 100;
    object = memory_object_allocate(&other, 64);
    tap_ok(object && !memory_object_allocate(&other, 48) && other.quota.used == 64,
           "an allocation above the quota fails and charges nothing");
    tap_ok(!memory_page_allocate(&other), "a page too");
    memory_object_free(&other, object, 64);
    other.terminated = true;
    tap_ok(!memory_object_allocate(&other, 32), "a terminated task gets nothing");
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
        memory_object_free(&payer, slot->object, slot->bytes);
        slot->object = NULL;
        return;
    }
    slot->bytes = (size_t)(random() % (random() % 8 ? 400 : PAGE_BYTES)) + 1;
    slot->pattern = (uint8_t)random();
    slot->object = memory_object_allocate(&payer, slot->bytes);
    if (slot->object)
        memset(slot->object, slot->pattern, slot->bytes);
}

static void test_random(void)
{
    uint64_t charged = 0;

    srandom(1);
    for (unsigned i = 0; i < ROUNDS; i++)
        toggle(&live[random() % OBJECTS]);
    for (unsigned i = 0; i < OBJECTS; i++) {
        if (live[i].object)
            charged += memory_object_size(live[i].bytes);
    }
    tap_ok(charged == payer.quota.used && charged == memory_total_bytes() - memory_free_bytes(),
           "charges are the sum of what lives");
    for (unsigned i = 0; i < OBJECTS; i++) {
        if (live[i].object)
            toggle(&live[i]);
    }
    tap_ok(payer.quota.used == 0 && free_page_count * PAGE_BYTES == memory_total_bytes(),
           "random use leaves nothing behind");
}

int main(void)
{
    machine_init();
    payer.quota.limit = UINT64_MAX;
    test_boot();
    test_sizes();
    test_quota();
    test_exhaustion();
    test_donation();
    test_random();
    return tap_end();
}
