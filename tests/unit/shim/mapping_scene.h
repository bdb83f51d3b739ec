// SPDX-License-Identifier: BSD-2-Clause
// Three tasks, the first with memory, and short names for what tests of the
// mapping tree do with them.
#pragma once

#include "shim/mapping_part.h"

#define FRAME       0x100000000ull // frames of roots are never touched, so any will do
#define HERE        0x40000000ull  // where roots of 4 KiB are
#define THERE       0x50000000ull
#define LARGE_HERE  0x60000000ull // where a 2 MiB root is
#define LARGE_THERE 0x70000000ull
#define READ_WRITE  (ACCESS_READ | ACCESS_WRITE)

#define NODES_PER_PAGE (PAGE_BYTES / sizeof(struct mapping_node) - 2) // two go for the header

static struct task *a, *b, *c;
static uint64_t done; // of the last map()
static struct unmap_result result;

// Eight small roots and a large one in a.
static inline void setup(void)
{
    a = task_make();
    b = task_make();
    c = task_make();
    for (uint64_t i = 0; i < 8; i++)
        mapping_root(a, HERE + i * PAGE_BYTES, FRAME + i * PAGE_BYTES, false, ACCESS_ALL,
                     HOST_CACHE_ON);
    mapping_root(a, LARGE_HERE, 2 * FRAME, true, ACCESS_ALL, HOST_CACHE_ON);
}

static inline void teardown(void)
{
    check_task(a);
    check_task(b);
    check_task(c);
    check_tlb();
    task_end(a);
    task_end(b);
    task_end(c);
    step_budget = 10000;
}

static inline corvus_error_t map(struct task *from, uint64_t source, struct task *to,
                                 uint64_t destination, uint64_t length, uint32_t access)
{
    return map_all(from, source, to, destination, length, access, false, &done);
}

static inline corvus_error_t give(struct task *from, uint64_t source, struct task *to,
                                  uint64_t destination, uint64_t length)
{
    return map_all(from, source, to, destination, length, ACCESS_ALL, true, &done);
}

static inline corvus_error_t unmap(struct task *task, uint64_t address, uint64_t length,
                                   uint32_t access, bool self)
{
    return unmap_all(task, address, length, access, self, &result);
}

static inline uint64_t frame_at(struct task *task, uint64_t address)
{
    return space_translate(task, address, 0);
}

static inline uint32_t access_at(struct task *task, uint64_t address)
{
    uint32_t access;

    space_page_bytes(task, address, &access);
    return access;
}

static inline struct mapping_node *node_of(struct task *task, uint64_t address)
{
    return node_find(task, address / PAGE_BYTES);
}
