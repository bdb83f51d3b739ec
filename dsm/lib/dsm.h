// SPDX-License-Identifier: BSD-2-Clause
// libdsm: locks, semaphores, barriers and reductions of programs whose processes share memory on
// several nodes. The same calls for Linux programs and native tasks; static; link
// build/dsm/libdsm-linux.a or build/dsm/libdsm.a. Memory itself needs no library: on Linux it is
// shm_open and mmap under `corvus run`.
//
// Things are known by numbers of the program's choice, within its `group`: all processes that open
// the same group see the same things. A lock and a barrier of one number are two things.
//
// Any thread may call any of these; a thread that waits keeps no other from calling. Locks belong
// to the process. All return an error of corvus/error.h; PEER_DIED: this node is cut off from the
// majority, or its DSM server has died, and locks are lost.
#pragma once

#include <corvus/error.h>
#include <corvus/segments.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The number of a group for a text that parts one program (or run of it) from others.
uint64_t dsm_group_of(const char *text);

// Becomes an owner of locks in this group. Must have been called, once, before all others.
// NOT_SUPPORTED, NOT_FOUND: there is no DSM server.
corvus_error_t dsm_open(uint64_t group);
// Gives up all that is held; other owners are told that this one died with it.
void dsm_close(void);

// *died, unless NULL: the owner before died with it, so what it protects may be half done.
corvus_error_t dsm_lock(uint64_t lock, bool *died);
// IN_USE at once when another has it.
corvus_error_t dsm_try_lock(uint64_t lock, bool *died);
corvus_error_t dsm_unlock(uint64_t lock);

// The first call of any process makes the semaphore with its `initial`. What a node did to it is
// undone when the node dies.
corvus_error_t dsm_semaphore_wait(uint64_t semaphore, uint64_t initial);
corvus_error_t dsm_semaphore_try(uint64_t semaphore, uint64_t initial);
corvus_error_t dsm_semaphore_post(uint64_t semaphore, uint64_t initial, uint64_t count);

// Waits until `count` have come. *last, unless NULL: true for one of them.
corvus_error_t dsm_barrier(uint64_t barrier, uint64_t count, bool *last);

// A barrier that puts in place of the values their sum, minimum or maximum over all, in any number
// up to REDUCE_VALUES_MAX. `operation` is REDUCE_* (corvus/segments.h).
corvus_error_t dsm_reduce(uint64_t barrier, uint64_t count, uint64_t operation, uint64_t *values,
                          size_t value_count);
corvus_error_t dsm_reduce_double(uint64_t barrier, uint64_t count, uint64_t operation,
                                 double *values, size_t value_count);

// Counters of this node, in the order of LOCK_COUNTERS. *count: the room there is, then how many
// came.
corvus_error_t dsm_statistics(uint64_t *values, size_t *count);
