// SPDX-License-Identifier: BSD-2-Clause
// An environment for the VM server's core: frames, page tables of tasks, pagers with a store that
// answer when told to; and a model of what every page of every map must contain.
#pragma once

#include "pagers/vm/core/vm.h"

#define WORLD_FRAMES 256u
#define WORLD_MAPS   16u
#define WORLD_PAGES  128u // of a map
#define WORLD_QUEUE  65536u
#define WORLD_BASE   0x10000000ull
#define WORLD_STORE  256u                  // pages of an object in its pager's store
#define WORLD_POISON 0xdeadbeefdeadbeefull // what a pager has of pages that it does not keep

// An object's pager: a store of one word a page, and what it has to answer.
struct world_pager {
    struct world_pager *next; // of all that there ever were
    struct vm_object *object; // NULL: terminated
    uint64_t store[WORLD_STORE];
    bool stored[WORLD_STORE];
    uint64_t locks[WORLD_STORE]; // ACCESS_* that are forbidden when a page is provided
    uint64_t own;                // its last own number
    bool silent, precious;
    bool can_cache;
    unsigned requests, writes, unlocks, completed, terminated;
};

struct world_message {
    struct world_pager *pager;
    struct vm_message message;
};

// A translation of a simulated task.
struct world_translation {
    uint32_t frame;
    uint64_t access;
    bool accessed, written;
};

struct world {
    struct vm_core core;
    uint64_t frames[WORLD_FRAMES][PAGE_BYTES / 8];
    bool pieces[WORLD_FRAMES / VM_PIECE_FRAMES + 1]; // that the core has
    uint32_t present;                                // frames of these
    unsigned given;                                  // pieces that came back
    unsigned bad_pieces;                             // used without, or given while used
    bool no_memory;                                  // refuses pieces
    bool frame_accessed[WORLD_FRAMES], frame_written[WORLD_FRAMES];
    struct vm_map *maps[WORLD_MAPS];
    struct world_translation tables[WORLD_MAPS][WORLD_PAGES];
    struct world_message queue[WORLD_QUEUE];
    unsigned first, last;
    bool no_default_pager;
    struct world_pager *pagers;
    unsigned creations, forgotten;
};

void world_open(struct world *world, uint32_t frames);
void world_close(struct world *world);
struct world_pager *world_pager(struct world *world, uint64_t limit);
// Handles one message to a pager, as a good pager does. False: there is none.
bool world_step(struct world *world);
void world_settle(struct world *world);
uint64_t world_address(unsigned page);

// One access of a simulated thread: reads or writes the first word of a page. Pagers are let
// answer until it is done. Writes *value, or reads it.
corvus_error_t world_touch(struct world *world, unsigned map, unsigned page, uint64_t access,
                           uint64_t *value);

// Starts an access and does not wait for it. The outcome is told in *result, ERR_COUNT until then.
struct world_fault {
    struct vm_fault fault;
    struct world *world;
    unsigned map, page;
    corvus_error_t result;
};
void world_fault(struct world *world, struct world_fault *fault, unsigned map, unsigned page,
                 uint64_t access);
