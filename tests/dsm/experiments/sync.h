// SPDX-License-Identifier: BSD-2-Clause
// Locks and barriers that the experiments are synchronised with, and what they counted.
#pragma once

#include "experiment.h"

#include <stdatomic.h>

// What one process writes. In a page of its own, so that waiting moves no page of anybody else.
struct sync_rank {
    _Alignas(EXPERIMENT_PAGE) _Atomic uint64_t arrived; // barriers that it has come to
    uint64_t barriers, locks, faults, nanoseconds;      // at its end
};

struct sync_lock {
    _Alignas(EXPERIMENT_PAGE) _Atomic uint64_t next; // ticket to be drawn
    _Alignas(EXPERIMENT_PAGE) _Atomic uint64_t serving;
};

// At the beginning of the shared memory; zeroes are its first state.
struct sync_area {
    struct sync_rank ranks[EXPERIMENT_RANKS_MAX];
    struct sync_lock locks[EXPERIMENT_LOCKS];
    _Alignas(EXPERIMENT_PAGE) _Atomic uint64_t released; // barriers that all have come to
};

struct sync_totals {
    uint64_t barriers;    // of one process
    uint64_t locks;       // acquisitions, of all
    uint64_t faults;      // page faults of all
    uint64_t nanoseconds; // that all waited
};

// How long to wait at a barrier or for a lock.
extern unsigned sync_seconds;

// `group`: what is to be locked with libdsm is known by; NULL: words of the memory are used.
void sync_begin(struct sync_area *area, const char *group);

// Adds up what all have counted; a barrier.
void sync_totals(struct experiment *experiment, struct sync_totals *totals);
