// SPDX-License-Identifier: BSD-2-Clause
// The owner of all memory: gives zeroed pages to children and to init itself,
// each within its limit, and takes them back. Physical memory is mapped one to
// one in init, so a physical address is also where init reaches the page.
#pragma once

#include "page_allocator.h"
#include "regions.h"

#include <corvus/boot.h>
#include <corvus/error.h>

#define MEMORY_REQUEST_MAX (1ull << 30) // bytes of one request

// What one task has. Owned by whoever made it; sigma0_reclaim ends it.
struct memory_account {
    port_name_t task;
    uint32_t owner;             // in the page allocator
    uint64_t limit, used, peak; // bytes
    struct regions regions;
};

// init's own memory, from which the C library's heap comes.
extern struct memory_account sigma0_own;

// Takes the memory that the kernel left. Before this nothing can be allocated.
corvus_error_t sigma0_initialize(const struct boot_information *boot);

// Maps zeroed pages into the account's task. All or nothing. INVALID_RANGE,
// IN_USE, NO_MEMORY, or what the kernel says of the task.
corvus_error_t sigma0_allocate(struct memory_account *account, uint64_t address, uint64_t bytes,
                               uint64_t access);
// Likewise, physically contiguous, all below the physical address `limit`.
corvus_error_t sigma0_allocate_contiguous(struct memory_account *account, uint64_t address,
                                          uint64_t bytes, uint64_t access, uint64_t limit,
                                          uint64_t *physical);
// Any part of what was allocated. INVALID_RANGE when there is more in the range.
corvus_error_t sigma0_free(struct memory_account *account, uint64_t address, uint64_t bytes);
corvus_error_t sigma0_protect(struct memory_account *account, uint64_t address, uint64_t bytes,
                              uint64_t access);
// Writes into an account's memory, whatever access its task has. False, and nothing
// is written, when part of it is not there.
bool sigma0_write(struct memory_account *account, uint64_t address, const void *bytes,
                  size_t count);
// Likewise reads; nothing when part of it is not there.
bool sigma0_read(struct memory_account *account, uint64_t address, void *bytes, size_t count);
// Takes everything back. The task has been terminated, or is about to be.
void sigma0_reclaim(struct memory_account *account);

// Memory that held a boot module is free from now on.
void sigma0_release_module(const struct boot_module *module);

struct memory_statistics {
    uint64_t total, free, lost; // bytes
};
struct memory_statistics sigma0_statistics(void);
