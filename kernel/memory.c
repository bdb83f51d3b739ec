// SPDX-License-Identifier: BSD-2-Clause
// Kernel memory: a pool of pages, and on top of it slabs of equal objects. A
// slab is one page with its header in the first 64 bytes; a slab whose last
// object is freed goes back to the pool at once, so nothing is ever kept that
// no task pays for. Every operation takes a constant number of steps.
#include "memory.h"

#include "list.h"
#include "task.h"
#include "x86/boot.h"
#include "x86/paging.h"
#include "x86/panic.h"

#define MIB              (1ull << 20)
#define RESERVE_FRACTION 16
#define RESERVE_LEAST    (4 * MIB)
#define RESERVE_MOST     (512 * MIB)

// Objects above the largest class take a whole page: a slab of 2048 bytes
// would hold a single one.
#define OBJECT_LARGEST 1344u
#define OBJECT_GRANULE 16u

// Free pages are linked through themselves.
struct free_page {
    struct free_page *next;
};

struct slab {
    struct link link;   // in the list of its class while it has room
    void *freed;        // objects given back, linked through their first word
    uint32_t fresh;     // offset of the first object never given out
    uint16_t used;      // objects given out
    uint16_t which;     // class: index into slab_classes
    uint64_t unused[4]; // up to 64 bytes, for the alignment of what follows
};
_Static_assert(sizeof(struct slab) == 64, "objects of 64 bytes are aligned to their size");

struct slab_class {
    struct link with_room; // slabs with at least one free object
    uint32_t size;         // bytes of an object
    uint32_t first;        // offset of the first object in a slab
};

static const uint16_t class_sizes[] = {32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1344};
#define CLASS_COUNT (sizeof(class_sizes) / sizeof(class_sizes[0]))

static struct slab_class slab_classes[CLASS_COUNT];
static uint8_t class_of_granules[OBJECT_LARGEST / OBJECT_GRANULE + 1]; // by size, rounded up

static struct free_page *free_pages;
static uint64_t free_page_count;
static const struct boot_info *boot_memory;
static uint64_t total_bytes;
static uint64_t used_bytes; // whole pages and objects given out

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
    used_bytes += PAGE_BYTES;
    zero_words(page, PAGE_BYTES);
    return page;
}

void memory_page_free(struct task *charged, void *page)
{
    KASSERT(((uintptr_t)page & (PAGE_BYTES - 1)) == 0);
    used_bytes -= PAGE_BYTES;
    pool_push(page);
    if (charged)
        task_uncharge(charged, PAGE_BYTES);
}

// A slab without objects, in its class's list; NULL when the pool is empty.
static struct slab *slab_create(uint32_t which)
{
    struct slab *slab = pool_pop();

    if (!slab)
        return NULL;
    slab->freed = NULL;
    slab->fresh = slab_classes[which].first;
    slab->used = 0;
    slab->which = (uint16_t)which;
    list_prepend(&slab_classes[which].with_room, &slab->link);
    return slab;
}

static inline bool slab_full(const struct slab *slab, uint32_t size)
{
    return !slab->freed && slab->fresh + size > PAGE_BYTES;
}

// Takes an object out of a slab that has one.
static inline void *slab_pop(struct slab *slab, uint32_t size)
{
    void *object = slab->freed;

    if (object) {
        slab->freed = *(void **)object;
    } else {
        object = (char *)slab + slab->fresh;
        slab->fresh += size;
    }
    slab->used++;
    if (slab_full(slab, size))
        list_remove(&slab->link);
    return object;
}

static void *object_pop(uint32_t which)
{
    struct slab_class *of = &slab_classes[which];
    struct slab *slab;

    if (!list_empty(&of->with_room))
        slab = container_of(of->with_room.next, struct slab, link);
    else
        slab = slab_create(which);
    return slab ? slab_pop(slab, of->size) : NULL;
}

static inline uint32_t class_of(size_t bytes)
{
    return class_of_granules[(bytes + OBJECT_GRANULE - 1) / OBJECT_GRANULE];
}

size_t memory_object_size(size_t bytes)
{
    return bytes > OBJECT_LARGEST ? PAGE_BYTES : class_sizes[class_of(bytes)];
}

void *memory_object_allocate(struct task *charged, size_t bytes)
{
    uint32_t which, size;
    void *object;

    KASSERT(bytes <= PAGE_BYTES);
    if (bytes > OBJECT_LARGEST)
        return memory_page_allocate(charged);
    which = class_of(bytes);
    size = class_sizes[which];
    if (charged && !task_charge(charged, size))
        return NULL;
    object = object_pop(which);
    if (!object) {
        if (charged)
            task_uncharge(charged, size);
        return NULL;
    }
    used_bytes += size;
    zero_words(object, size);
    return object;
}

static void object_push(void *object, uint32_t which)
{
    struct slab *slab = (struct slab *)((uintptr_t)object & ~(PAGE_BYTES - 1));

    KASSERT(slab->which == which && slab->used > 0);
    if (slab_full(slab, class_sizes[which]))
        list_prepend(&slab_classes[which].with_room, &slab->link);
    if (--slab->used == 0) {
        list_remove(&slab->link);
        pool_push(slab);
        return;
    }
    *(void **)object = slab->freed;
    slab->freed = object;
}

void memory_object_free(struct task *charged, void *object, size_t bytes)
{
    uint32_t which;

    if (bytes > OBJECT_LARGEST) {
        memory_page_free(charged, object);
        return;
    }
    which = class_of(bytes);
    object_push(object, which);
    used_bytes -= class_sizes[which];
    if (charged)
        task_uncharge(charged, class_sizes[which]);
}

static void batch_push(void *first, uint32_t which)
{
    while (first) {
        void *next = *(void **)first;

        object_push(first, which);
        first = next;
    }
}

void *memory_batch_allocate(struct task *charged, size_t bytes, unsigned count)
{
    uint32_t which = class_of(bytes);
    uint64_t charge = (uint64_t)count * class_sizes[which];
    void *first = NULL;

    if (!task_charge(charged, charge))
        return NULL;
    for (unsigned i = 0; i < count; i++) {
        void *object = object_pop(which);

        if (!object) {
            batch_push(first, which);
            task_uncharge(charged, charge);
            return NULL;
        }
        *(void **)object = first;
        first = object;
    }
    used_bytes += charge;
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
    return total_bytes - used_bytes;
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

static void classes_init(void)
{
    uint32_t which = 0;

    for (uint32_t i = 0; i < CLASS_COUNT; i++) {
        uint32_t size = class_sizes[i];
        bool power_of_two = (size & (size - 1)) == 0;

        list_init(&slab_classes[i].with_room);
        slab_classes[i].size = size;
        slab_classes[i].first =
            power_of_two && size > sizeof(struct slab) ? size : sizeof(struct slab);
    }
    for (uint32_t granules = 0; granules <= OBJECT_LARGEST / OBJECT_GRANULE; granules++) {
        if (granules * OBJECT_GRANULE > class_sizes[which])
            which++;
        class_of_granules[granules] = (uint8_t)which;
    }
}

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
    classes_init();
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
