// SPDX-License-Identifier: BSD-2-Clause
// Address spaces and the mapping tree: page tables that say what a task can
// reach, and for each mapping the node that says what it was derived from.
#pragma once

#include "task.h"

// Empty user half, kernel half shared; false when out of quota.
bool space_create(struct task *task);

// Removes mappings (and what is derived from them), tables and the space in
// bounded steps; true when nothing is left. Never called on the loaded space.
bool space_destroy_step(struct task *task);

// Kernel-owned page (message page, vCPU page) where the task wants it in user
// space: no mapping node, cannot be mapped on or unmapped by services.
// ERR_IN_USE, ERR_NO_MEMORY, ERR_INVALID_RANGE.
corvus_error_t space_pin(struct task *task, uint64_t address, uint64_t physical, uint32_t access);

// Likewise where the kernel wants it (clock page, boot information), which is
// anywhere in user space.
corvus_error_t space_pin_kernel(struct task *task, uint64_t address, uint64_t physical,
                                uint32_t access);
void space_unpin(struct task *task, uint64_t address);

// Physical address behind a user address if it is mapped with `access`
// (ACCESS_*), as user code could use it; 0 if not. Marks it accessed (and
// dirty for write). What it finds the kernel can touch: never device memory,
// and pinned pages for reading only.
uint64_t space_translate(struct task *task, uint64_t address, uint32_t access);

// Bytes from `address` to the end of its page (4 KiB or 2 MiB), 0 if unmapped.
uint64_t space_page_bytes(struct task *task, uint64_t address, uint32_t *access);

// Maps the next page(s) of a range: both addresses aligned, ranges checked by
// mapping_check_range before, access not 0 (write and execute imply read).
// Does a bounded amount of work (about 10,000 instructions; 40,000 when a
// 2 MiB page is split) and advances *done (bytes, 0 at first). ERR_OK with
// *done < length: call again, also when *done is what it was; until then its
// low 12 bits are the callee's own. Pages are treated in ascending order, each
// wholly or not at all. Uses 2 MiB pages where both sides and the rest of the
// length are aligned and the source is one.
// Replaces what was at the destination (its own subtree is removed), unless
// the same frame is there from the same source: then only access changes.
// grant: the source's place in the tree passes to the destination.
// ERR_NOT_MAPPED, ERR_ACCESS_DENIED (source has less access, or is pinned),
// ERR_NO_MEMORY (quota of `to`, or 256 mappings derived one from another),
// ERR_IN_USE (destination pinned, or the source is derived from it, or only a
// part of a 2 MiB page is meant from which others are derived, or the page to
// be granted to another task has more than 2048 derived from it),
// ERR_TERMINATED (`to` is).
corvus_error_t mapping_map_step(struct task *from, uint64_t source, struct task *to,
                                uint64_t destination, uint64_t length, uint32_t access, bool grant,
                                uint64_t *done);

// Removes `access` (with READ: the mapping) from what is derived from the
// pages of the range, and with `self` from them too; access 0: only looks.
// Bounded step; *cursor (bytes done, 0 at first; opaque until the end)
// advances. Adds to pages; sets bits of the first 64 pages in accessed and
// dirty, and forgets what it told; of later pages the record is kept. Pinned
// pages are passed over. Of a 2 MiB page that is met in part without `self`,
// what is derived from that 4 KiB part is treated (and 2 MiB pages derived
// from it go as a whole), and accessed and dirty tell of the whole page too.
// True when the range is done, or with *error: ERR_IN_USE (self on a part of a
// 2 MiB page from which others are derived), ERR_NO_MEMORY (to split it).
struct unmap_result {
    uint64_t pages, accessed, dirty;
};
bool mapping_unmap_step(struct task *task, uint64_t address, uint64_t length, uint32_t access,
                        bool self, uint64_t *cursor, struct unmap_result *result,
                        corvus_error_t *error);

// ERR_OK, or ERR_INVALID_RANGE when misaligned, empty, wrapping, or outside
// [0, USER_MAP_END).
corvus_error_t mapping_check_range(uint64_t address, uint64_t length);

// Root mappings: boot memory, device memory, reclaimed pages. One page (4 KiB
// or 2 MiB by `large`). `cache` is HOST_CACHE_*, with MAPPING_DEVICE for what is
// not memory. ERR_IN_USE, ERR_NO_MEMORY.
#define MAPPING_DEVICE 0x100u
corvus_error_t mapping_root(struct task *task, uint64_t address, uint64_t physical, bool large,
                            uint32_t access, uint32_t cache);

// All I/O ports as root mappings of one task: ERR_IN_USE the second time.
corvus_error_t mapping_io_root(struct task *task);

// I/O ports take part in the tree like pages, in units of 8 ports. These
// mirror the steps above; *done and *cursor count ports, *units the units held.
corvus_error_t mapping_io_check_range(uint64_t first, uint64_t count);
corvus_error_t mapping_io_map_step(struct task *from, struct task *to, uint64_t first,
                                   uint64_t count, bool grant, uint64_t *done);
bool mapping_io_unmap_step(struct task *task, uint64_t first, uint64_t count, bool self,
                           uint64_t *cursor, uint64_t *units);

// Boot: sizes the node hash table, and takes it out of free boot memory.
void mapping_init(uint64_t memory_bytes);

// Services implemented beside this (service_memory.c): memory_map and its like
// at the task port, and the memory services of the privileged host port.
struct service_call;
corvus_error_t service_memory_map(struct service_call *call);
corvus_error_t service_memory_unmap(struct service_call *call);
corvus_error_t service_memory_info(struct service_call *call);
corvus_error_t service_task_donate(struct service_call *call);
corvus_error_t service_task_reclaim(struct service_call *call);
corvus_error_t service_host_map_device(struct service_call *call);
corvus_error_t service_host_map_io(struct service_call *call);
corvus_error_t service_host_physical_address(struct service_call *call);
