// SPDX-License-Identifier: BSD-2-Clause
// Kernel memory: a pool of pages, and on top of it each task's slabs of equal
// objects. A slab whose last object is freed goes back to the pool at once, so
// that quotas and pool always agree. Every operation takes a constant number of
// steps.
#include "memory.h"

#include "task.h"
#include "x86/boot.h"
#include "x86/paging.h"
#include "x86/panic.h"

#define MIB              (1ull << 20)
#define RESERVE_FRACTION 16
#define RESERVE_LEAST    (4 * MIB)
#define RESERVE_MOST     (512 * MIB)

// Free pages are linked through themselves.
struct free_page {
    struct free_page *next;
};

// Above, an object takes a page. All but the first are multiples of 64 that
// fill a page well: ports, vCPUs and interrupts share one, messages, tasks and
// timers the next, and threads have one with long messages.
static const uint16_t class_sizes[MEMORY_CLASSES] = {32, 64, 256, 448, 960, MEMORY_OBJECT_LARGEST};

static struct chain *kernel_slabs[MEMORY_CLASSES]; // charged to nobody
static struct free_page *free_pages;
static uint64_t free_page_count;
static const struct boot_info *boot_memory;
static uint64_t total_bytes;

// String stores of eight bytes take the fewest steps on every processor.
static inline void zero_words(void *start, size_t bytes)
{
    size_t words = bytes / sizeof(uint64_t);

    __asm__ volatile("rep stosq" : "+D"(start), "+c"(words) : "a"(0ull) : "memory");
}

static inline void *pool_pop(void)
{
    struct free_page *page = free_pages;

    if (!page)
        return NULL;
    free_pages = page->next;
    free_page_count--;
    return page;
}

static inline void pool_push(void *address)
{
    struct free_page *page = address;

    page->next = free_pages;
    free_pages = page;
    free_page_count++;
}

void *memory_page_allocate(struct task *charged)
{
    void *page;

    if (charged && !task_charge(charged, PAGE_BYTES))
        return NULL;
    page = pool_pop();
    if (!page) {
        if (charged)
            task_uncharge(charged, PAGE_BYTES);
        return NULL;
    }
    zero_words(page, PAGE_BYTES);
    return page;
}

void memory_page_free(struct task *charged, void *page)
{
    KASSERT(((uintptr_t)page & (PAGE_BYTES - 1)) == 0);
    pool_push(page);
    if (charged)
        task_uncharge(charged, PAGE_BYTES);
}

static inline struct chain **slabs_of(struct task *charged, unsigned which)
{
    return charged ? &charged->slabs[which] : &kernel_slabs[which];
}

bool memory_slab_open(struct task *charged, unsigned which)
{
    struct slab *slab;

    if (charged && !task_charge(charged, PAGE_BYTES))
        return false;
    slab = pool_pop();
    if (!slab) {
        if (charged)
            task_uncharge(charged, PAGE_BYTES);
        return false;
    }
    slab->list = slabs_of(charged, which);
    slab->freed = NULL;
    slab->owner = charged;
    slab->size = class_sizes[which];
    slab->fresh = sizeof(*slab);
    slab->used = 0;
    slab->capacity = (uint16_t)((PAGE_BYTES - sizeof(*slab)) / slab->size);
    chain_push(slab->list, &slab->with_room);
    return true;
}

void memory_slab_close(struct slab *slab)
{
    struct task *owner = slab->owner;

    chain_remove(&slab->with_room);
    pool_push(slab);
    if (owner)
        task_uncharge(owner, PAGE_BYTES);
}

// One object, not zeroed. Slabs with room give a terminated task nothing either.
static inline void *object_take(struct task *charged, unsigned which)
{
    struct chain **list = slabs_of(charged, which);

    if (charged && charged->terminated)
        return NULL;
    if (!*list && !memory_slab_open(charged, which))
        return NULL;
    return memory_slab_pop(list);
}

void *memory_object_allocate(struct task *charged, size_t bytes)
{
    unsigned which = memory_class(bytes);
    void *object;

    KASSERT(bytes <= PAGE_BYTES);
    if (bytes > MEMORY_OBJECT_LARGEST)
        return memory_page_allocate(charged);
    object = object_take(charged, which);
    if (object)
        zero_words(object, class_sizes[which]);
    return object;
}

void memory_object_free(struct task *charged, void *object, size_t bytes)
{
    if (bytes > MEMORY_OBJECT_LARGEST) {
        memory_page_free(charged, object);
        return;
    }
    KASSERT(memory_slab_of(object)->owner == charged && memory_slab_of(object)->size >= bytes);
    memory_slab_push(object);
}

void *memory_batch_allocate(struct task *charged, size_t bytes, unsigned count)
{
    void *first = NULL;

    for (unsigned i = 0; i < count; i++) {
        void *object = object_take(charged, memory_class(bytes));

        if (!object) {
            while (first) {
                void *next = *(void **)first;

                memory_slab_push(first);
                first = next;
            }
            return NULL;
        }
        *(void **)object = first;
        first = object;
    }
    return first;
}

void memory_page_add(uint64_t physical)
{
    KASSERT(physical < MEMORY_KERNEL_LIMIT);
    total_bytes += PAGE_BYTES;
    pool_push(physical_to_virtual(physical));
}

uint64_t memory_page_take(void)
{
    void *page = pool_pop();

    if (!page)
        return 0;
    total_bytes -= PAGE_BYTES;
    zero_words(page, PAGE_BYTES);
    return virtual_to_physical(page);
}

uint64_t memory_total_bytes(void)
{
    return total_bytes;
}

uint64_t memory_free_bytes(void)
{
    return free_page_count * PAGE_BYTES;
}

bool memory_is_usable(uint64_t physical, uint64_t bytes)
{
    for (uint32_t i = 0; i < boot_memory->region_count; i++) {
        const struct boot_region *region = &boot_memory->regions[i];

        if (region->type == BOOT_REGION_USABLE && physical < region->base + region->length &&
            region->base < physical + bytes)
            return true;
    }
    return false;
}

// --- Boot -------------------------------------------------------------------

// The number behind "kmem=" in the kernel command line, in bytes; 0 without.
static uint64_t reserve_asked_for(const char *command)
{
    static const char option[] = "kmem=";
    const char *at = command;
    uint64_t mebibytes = 0;

    for (size_t matched = 0; option[matched];) {
        if (!*at)
            return 0;
        bool word_starts = matched > 0 || at == command || at[-1] == ' ';

        matched = word_starts && *at == option[matched] ? matched + 1 : 0;
        at++;
    }
    for (; *at >= '0' && *at <= '9' && mebibytes < RESERVE_MOST; at++)
        mebibytes = mebibytes * 10 + (uint64_t)(*at - '0');
    return mebibytes * MIB;
}

static uint64_t reserve_bytes(const struct boot_info *boot)
{
    struct free_region region;
    uint32_t cursor = 0;
    uint64_t memory = 0;
    uint64_t wanted;

    while (boot_free_regions(&cursor, &region))
        memory += region.length;
    wanted = reserve_asked_for(boot->command);
    if (wanted == 0)
        wanted =
            memory / RESERVE_FRACTION < RESERVE_MOST ? memory / RESERVE_FRACTION : RESERVE_MOST;
    if (wanted < RESERVE_LEAST)
        wanted = RESERVE_LEAST;
    if (wanted > memory / 2) // somebody has to have the rest
        wanted = memory / 2;
    return wanted & ~(PAGE_BYTES - 1);
}

void memory_init(const struct boot_info *boot)
{
    uint64_t wanted = reserve_bytes(boot);
    uint64_t piece = wanted;

    boot_memory = boot;
    // In as few pieces as free memory allows, and leaving whole large pages.
    while (wanted > 0 && piece > 0) {
        uint64_t alignment = piece >= LARGE_PAGE_BYTES ? LARGE_PAGE_BYTES : PAGE_BYTES;
        uint64_t physical = paging_reserve(piece, alignment);

        if (physical == 0) {
            piece = piece / 2 & ~(PAGE_BYTES - 1);
            continue;
        }
        for (uint64_t offset = 0; offset < piece; offset += PAGE_BYTES)
            memory_page_add(physical + offset);
        wanted -= piece;
        if (piece > wanted)
            piece = wanted;
    }
}
