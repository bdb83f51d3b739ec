// SPDX-License-Identifier: BSD-2-Clause
// Kernel memory: pages and small objects out of the boot-time reserve and
// donated pages, charged to the quota of the task that causes them.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "list.h"

struct task;
struct boot_info;

// Takes the reserve out of the free boot memory (1/16 of it, at least 4 MiB,
// at most 512 MiB, or `kmem=MIB` on the kernel command line).
void memory_init(const struct boot_info *boot);

// One zeroed page, or NULL when the quota or the reserve is exhausted.
// `charged` NULL: for the kernel itself at boot.
void *memory_page_allocate(struct task *charged);
void memory_page_free(struct task *charged, void *page);

// A zeroed object of up to 4096 bytes, aligned to 32, above 32 bytes to 64; NULL
// when quota or reserve is exhausted. Above 1344 bytes it takes a page. It is
// freed with the size and the task that it was allocated with.
void *memory_object_allocate(struct task *charged, size_t bytes);
void memory_object_free(struct task *charged, void *object, size_t bytes);

// Many objects of one size up to 1344 bytes at once, not zeroed, linked through
// their first word; NULL, and none, when quota or reserve is exhausted. They
// are freed one by one.
void *memory_batch_allocate(struct task *charged, size_t bytes, unsigned count);

// Kernel objects are named by their physical address / 32 in 32 bits.
#define MEMORY_KERNEL_LIMIT (1ull << 37)

// Donation: adds a page below the limit to the pool / takes a free one out,
// zeroed (0 when there is none).
void memory_page_add(uint64_t physical);
uint64_t memory_page_take(void);

// Whether any of it is memory that the firmware reported usable.
bool memory_is_usable(uint64_t physical, uint64_t bytes);

// What the pool ever got, and what of it nobody has.
uint64_t memory_total_bytes(void);
uint64_t memory_free_bytes(void);

// --- Slabs --------------------------------------------------------------------
// A slab is a page of equal objects of one task, charged to it as a page while
// it holds any: what a task pays is what others cannot have, however it is cut
// up. Each task pins up to a page a class, so there are few classes. Here in
// the open for the sake of mapping nodes, which come and go with every page.

#define MEMORY_CLASSES        6
#define MEMORY_OBJECT_LARGEST 1344u

struct slab {
    struct chain with_room; // in `list` while it is not full
    struct chain **list;    // the owner's, of this size
    void *freed;            // objects given back, linked through their first word
    struct task *owner;     // NULL: the kernel
    uint16_t size;          // of an object
    uint16_t fresh;         // offset of the first object never given out
    uint16_t used;          // objects given out
    uint16_t capacity;
    uint64_t unused[2]; // up to 64 bytes, for the alignment of what follows
};
_Static_assert(sizeof(struct slab) == 64, "objects behind it are aligned to 64");

static inline unsigned memory_class(size_t bytes)
{
    return bytes <= 32    ? 0
           : bytes <= 64  ? 1
           : bytes <= 256 ? 2
           : bytes <= 448 ? 3
           : bytes <= 960 ? 4
                          : 5;
}

// A new slab in the task's list of the class; false when out of memory.
bool memory_slab_open(struct task *charged, unsigned which);
void memory_slab_close(struct slab *slab);

static inline struct slab *memory_slab_of(const void *object)
{
    return (struct slab *)((uintptr_t)object & ~(uintptr_t)4095);
}

// Takes an object, not zeroed, out of a list that is not empty.
static inline void *memory_slab_pop(struct chain **list)
{
    struct slab *slab = container_of(*list, struct slab, with_room);
    void *object = slab->freed;

    if (object) {
        slab->freed = *(void **)object;
    } else {
        object = (char *)slab + slab->fresh;
        slab->fresh += slab->size;
    }
    if (++slab->used == slab->capacity)
        chain_pop(list, &slab->with_room);
    return object;
}

static inline void memory_slab_push(void *object)
{
    struct slab *slab = memory_slab_of(object);

    *(void **)object = slab->freed;
    slab->freed = object;
    if (slab->used-- == slab->capacity)
        chain_push(slab->list, &slab->with_room);
    if (__builtin_expect(slab->used == 0, 0))
        memory_slab_close(slab);
}
