// SPDX-License-Identifier: BSD-2-Clause
// Kernel memory: pages and small objects out of the boot-time reserve and
// donated pages, charged to the quota of the task that causes them.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct task;
struct boot_info;

// Takes the reserve out of the free boot memory (1/16 of it, at least 4 MiB,
// at most 512 MiB, or `kmem=MIB` on the kernel command line).
void memory_init(const struct boot_info *boot);

// One zeroed page, or NULL when the quota or the reserve is exhausted.
// `charged` NULL: for the kernel itself at boot.
void *memory_page_allocate(struct task *charged);
void memory_page_free(struct task *charged, void *page);

// A zeroed object of up to 4096 bytes, 16-byte aligned (objects of a power of
// two are aligned to their size; above 1344 bytes they take a page); NULL when quota or reserve is
// exhausted. Charges the size class, memory_object_size(bytes).
void *memory_object_allocate(struct task *charged, size_t bytes);
void memory_object_free(struct task *charged, void *object, size_t bytes);
size_t memory_object_size(size_t bytes);

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

// What the pool ever got, and what of it is charged to nobody.
uint64_t memory_total_bytes(void);
uint64_t memory_free_bytes(void);
