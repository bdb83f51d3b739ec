// SPDX-License-Identifier: BSD-2-Clause
// What pages.c (segments), caches.c (cache managers) and page_report.c (counters) share.
#pragma once

#include "dsm/core/dsm.h"
#include "dsm/server/server.h"

#include "lib/memory_object.h"

struct segment {
    struct segment *next;
    struct source notices; // no senders: no right to the object is left
    struct memory_object *object;
    uint64_t number, pages, generation;
    bool named; // it stays when nobody has it open
    // Of pages.c: the directory is being told what this node does with it; when it was told last.
    bool telling;
    unsigned told;
    bool idle; // it has no name, and nobody on this node uses what its caches have of it
};

extern struct dsm *pages_core;

// NULL: there is none.
struct segment *pages_segment(uint64_t number);

// caches.c: what the core says to cache managers, and they to it. The context of an object is its
// segment.
extern const struct memory_object_functions pages_functions;
extern const struct dsm_operations pages_answers;
// Tells the object's cache managers that they may keep pages when nobody has it open: they have the
// node's memory, this server has little. If the segment has no name any more, they are to say when
// that is so. False: no memory, to be done again.
bool pages_caches_follow(const struct segment *segment);
// They all have said so.
void pages_idle(struct segment *segment);
// What cache managers were asked for, and what they have returned: pages, and messages.
extern struct cache_counts {
    uint64_t demanded, demand_messages, returned, return_messages;
} pages_cache_counts;

// Asks what could not be asked before for want of memory. False: nor now.
bool pages_ask_managers(void);

// The object is about to be destroyed.
void pages_cache_closed(struct memory_manager *manager);

// page_report.c: takes the core's page events over; the core keeps the last TRACE_SIZE only.
void pages_take_events(void);
