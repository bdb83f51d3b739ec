// SPDX-License-Identifier: BSD-2-Clause
// A world for dsm/core: nodes with their caches and programs, a network that loses,
// doubles and reorders, and a time that is only counted. All by a seed.
//
// A page's contents are made from its version, a number that each write takes anew; the
// world remembers the last one. Each access of a program is done at one moment of the
// world's time, in which it must see the last version: so the order in which the world
// does them is one that explains what all programs saw, and in which each program's
// accesses are in its own order. That is sequential consistency (Lamport, 1979), and more.
#pragma once

#include "dsm/core/internal.h"

#define WORLD_NODES  8u
#define WORLD_PAGES  96u
#define WORLD_CACHES 2u // of a node
#define SEGMENT      7u

#define MILLISECOND 1000000ull

// A cache, and the one program that uses it.
struct cache {
    struct world_node *node;
    struct dsm_cache *core; // NULL: not open
    enum dsm_access access[WORLD_PAGES];
    bool changed[WORLD_PAGES];
    bool silent;                          // returns nothing that it may keep, against the protocol
    uint64_t (*data)[DSM_PAGE_BYTES / 8]; // by page
    uint64_t sequence, to_core_at, from_core_at; // the way is in order
    // The program's access, if it waits for one.
    bool waits, writes;
    uint32_t page;
    uint64_t since;
    // What came of the last one.
    bool failed;
    corvus_error_t reason;
    uint64_t seen, wrote; // versions
    uint64_t accesses, faults, errors;
};

struct world_node {
    struct world *world;
    uint32_t number;
    struct dsm *core; // NULL: dead
    uint32_t start;   // how often it was started
    uint64_t tick_at; // an event is there for then; 0: none
    struct cache caches[WORLD_CACHES];
    bool ended;
    // What it has been told.
    bool told_up[WORLD_NODES + 1];
};

struct event;

struct world_faults {
    uint32_t loss, doubles; // of 1000 messages
    uint64_t delay_ns;      // at most
    uint64_t cache_delay_ns;
};

struct world {
    uint64_t seed, random, now, next_event;
    uint32_t count, pages;
    struct world_faults faults;
    struct world_node nodes[WORLD_NODES + 1];
    uint8_t side[WORLD_NODES + 1]; // of the cut
    // Since when two nodes do not reach each other, in events; 0: they do.
    uint64_t apart[WORLD_NODES + 1][WORLD_NODES + 1];
    struct event **events; // a heap
    size_t event_count, event_room;
    uint64_t last_version;
    uint64_t version[WORLD_PAGES]; // the newest
    bool doomed[WORLD_PAGES];      // lost: no node had a copy when that was said
    // Buckets that were in doubt on nodes which have died since: they may have said so just before.
    uint64_t doubt[DSM_BUCKETS / 64], doubt_until;
    uint32_t failures; // nodes that died or were cut off
    uint64_t messages, lost_pages, data_errors;
    bool automatic; // programs go on by themselves
    uint32_t writes_percent, evictions;
    uint32_t in_order_percent; // of the accesses: to the page behind the last one
    uint64_t generation;
    uint64_t memory_bytes; // bound of all nodes but the last, when they start; 0: none
    // A node may say what is not so: what programs see is not judged, only that they see it, and
    // how the cores behave towards caches.
    bool lies;
    // An access has ended, well or not; NULL: nobody wants to know.
    void (*finished)(struct cache *cache);
    // Hears what is sent; NULL: nobody does.
    void (*overhear)(struct world *world, uint32_t from, uint32_t to, const void *data,
                     size_t bytes);
};

// Ends the run with its seed.
#define must(world, condition, text)                                                               \
    do {                                                                                           \
        if (!(condition))                                                                          \
            world_fail(world, text, __FILE__, __LINE__);                                           \
    } while (0)
_Noreturn void world_fail(const struct world *world, const char *text, const char *file, int line);

struct world *world_begin(uint32_t count, uint32_t pages, uint64_t seed);
void world_end(struct world *world);
uint32_t world_random(struct world *world, uint32_t below);
// Does what happens until then; what happens at once first.
void world_run(struct world *world, uint64_t until);
void world_kill(struct world *world, uint32_t node);
void world_start(struct world *world, uint32_t node);
// Nodes whose sides differ do not reach each other; they notice a while later.
void world_connect(struct world *world);
// All that are there are in one view that works. False: not within ten seconds.
bool world_settle(struct world *world);

// --- cache.c -------------------------------------------------------------------------------

void cache_open(struct cache *cache);
void cache_close(struct cache *cache); // the core's side is already gone, or told
// A program accesses a page: at once, or it waits.
void cache_access(struct cache *cache, uint32_t page, bool write);
void cache_evict(struct cache *cache, uint32_t page);
extern const struct dsm_operations world_operations;
// The core is whole: what is linked is linked both ways, what is counted is there, and what the
// nodes' numbers and the caches' may be they are (check.c).
void world_check(const struct world *world);
// Whether a node of that view has a copy of the page.
bool world_has_copy(const struct world *world, uint64_t view, uint64_t page);

// --- For both ---------------------------------------------------------------------------------

struct event {
    uint64_t at, order;
    void (*happen)(struct world *world, struct event *event);
    struct world_node *node;
    uint32_t start; // of the node; another by then: it does not happen
    struct cache *cache;
    uint32_t from;
    uint64_t numbers[4];
    size_t bytes;
    uint8_t data[];
};

// What happens next, if it is one of these of that cache: it is the caller's then, to be freed.
struct event *world_take_next(struct world *world, const struct cache *cache,
                              bool (*is_one)(const struct event *event));
struct event *world_event(struct world *world, struct world_node *node, uint64_t at,
                          void (*happen)(struct world *world, struct event *event),
                          const void *data, size_t bytes);
// The node's core has been called.
void world_after(struct world_node *node);
