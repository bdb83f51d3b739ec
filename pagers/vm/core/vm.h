// SPDX-License-Identifier: BSD-2-Clause
// The VM server's core: address maps, memory objects, pages, and the cache manager's side of the
// pager protocol. It makes no kernel call, has no clock and no threads: what happens comes in by
// the functions below, what is to be done goes out by `struct vm_environment`, time is an argument.
//
//     map ── entry ── object ── page ── frame
//                       └ shadow (where pages that it has not are looked for) …
//
// Copy on write is asymmetric: a copy C of an object T is a new object that shadows T, and T->copy
// is its newest copy. Before a page of T changes, C is given the old one, unless it has its own. A
// second copy is put between T and the first one, which sees unchanged pages through it, and so is
// the copy of both.
//
// A page has no list of its mappings: they are all derived from the server's own mapping of its
// frame, by which access is taken away from all of them.
#pragma once

#include <corvus/error.h>
#include <corvus/pager.h>
#include <corvus/types.h>

#include <stdbool.h>
#include <stdint.h>

#define VM_FRAME_NONE   UINT32_MAX
#define VM_NEVER        UINT64_MAX
#define VM_PIECE_FRAMES 64u // frames come and go by so many; the last piece may have fewer

enum vm_inheritance { VM_INHERIT_NONE, VM_INHERIT_SHARE, VM_INHERIT_COPY };

struct vm_core;
struct vm_page;

// --- Objects ---------------------------------------------------------------------------------

enum vm_object_kind {
    VM_INTERNAL, // anonymous memory, a copy: the default pager's, when it has to be paged out
    VM_EXTERNAL, // somebody's memory object
};

struct vm_object {
    struct vm_object *next, *previous; // of all
    enum vm_object_kind kind;
    uint32_t references;      // entries, shadows, exports, faults that wait
    struct vm_object *shadow; // referenced
    struct vm_object *copy;   // not referenced: it references this one
    struct vm_page *pages;    // list
    uint64_t page_count;      // of these
    uint64_t limit;           // nanoseconds that a request may take
    uint64_t last_sequence;   // of the requests
    uint64_t pending;         // requests that are open
    corvus_error_t refused;   // by its pager, or because that died; OK: not
    bool has_pager;           // messages can be sent
    bool may_cache;           // its pages may stay when nothing maps it
    void *binding;            // the environment's, for the ports
};

// --- Pages -----------------------------------------------------------------------------------

enum vm_page_state {
    VM_PENDING,  // asked for; has a frame already
    VM_RESIDENT, // in its frame
    VM_PAGED,    // an internal object's, with its pager; no frame
};

struct vm_page {
    struct vm_page *hash_next;
    struct vm_page *object_next, *object_previous;
    struct vm_page *queue_next, *queue_previous; // those with frames, in the order of eviction
    struct vm_object *object;
    uint64_t index;    // number of the page in the object
    uint64_t sequence; // of the request that is open, for data or for access; 0: none
    struct vm_fault *waiters;
    uint32_t frame;
    uint32_t wired; // how many entries have it wired
    enum vm_page_state state;
    uint8_t lock;   // ACCESS_* that the pager forbids
    bool unlocking; // the open request is for access
    bool changed;   // written to since it came or was sent back
    bool precious;
    bool writable; // mapped so somewhere
    bool queued;
};

struct vm_frame {
    struct vm_page *page; // NULL: free, or only on its way
    uint32_t in_flight;   // messages that send it
    uint32_t next_free;   // of the same piece
};

struct vm_piece {
    uint32_t first_free; // frame, VM_FRAME_NONE
    uint32_t free_count;
    bool present; // the environment has given it
};

// --- Maps ------------------------------------------------------------------------------------

struct vm_entry {
    struct vm_entry *next; // by address
    uint64_t start, end;
    struct vm_object *object; // NULL: zeroes that nobody has touched yet
    uint64_t offset;          // of `start` in the object
    uint8_t access, most_access;
    uint8_t inheritance;
    uint8_t wired;
};

struct vm_map {
    struct vm_map *next; // of all
    struct vm_entry *entries;
    uint64_t low, high; // where vm_map_find looks for room
    uint64_t bytes;     // mapped
    void *binding;      // the environment's, for the task
};

// --- Faults ----------------------------------------------------------------------------------

// Somebody who needs a page: a thread that faulted, or the server itself for vm_read and the like.
// The caller's memory, from vm_fault_start until `done` is called, which may be at once.
struct vm_fault {
    struct vm_map *map; // NULL: the page `index` of `object`
    uint64_t address;
    struct vm_object *object;
    uint64_t index;
    uint64_t access; // ACCESS_* needed
    // ERR_OK: `page` is resident and may be mapped with `access`, until the core is entered again.
    void (*done)(struct vm_core *core, struct vm_fault *fault, corvus_error_t error,
                 struct vm_page *page, uint64_t access);
    void *argument;
    // The core's:
    struct vm_fault *next;
    struct vm_fault *waiter_next, *all_next, *all_previous;
    struct vm_page *waiting_for; // NULL: for memory, or in the list of those to be tried
    struct vm_object *held;      // keeps the object alive meanwhile
    corvus_error_t error;        // why it fails when it is tried next
    uint64_t deadline;           // VM_NEVER: it has not waited for a pager yet
    bool waits_for_memory, waits;
};

// --- The environment -------------------------------------------------------------------------

enum vm_message_kind {
    VM_DATA_REQUEST,
    VM_DATA_WRITE,
    VM_DATA_UNLOCK,
    VM_LOCK_COMPLETED,
    VM_TERMINATE,
};

// A message to an object's pager; the fields are those of corvus/pager.def.
struct vm_message {
    enum vm_message_kind kind;
    uint64_t sequence, offset, length, access, held;
    bool kept, changed;
    uint32_t frame; // VM_DATA_WRITE: vm_frame_sent is called when it has gone
};

struct vm_environment {
    // Memory for a piece, the frames from piece * VM_PIECE_FRAMES on. False: there is none now.
    bool (*piece_take)(void *context, uint32_t piece, uint32_t frames);
    // Nothing uses it any more.
    void (*piece_give)(void *context, uint32_t piece, uint32_t frames);
    void *(*frame_bytes)(void *context, uint32_t frame);
    // Takes access away from all mappings of a frame but the server's own; tells whether it has
    // been accessed, and written to, since it was asked last. `access` 0: only tells.
    void (*frame_restrict)(void *context, uint32_t frame, uint64_t access, bool *accessed,
                           bool *written);
    // Takes all access to a range away from a task.
    void (*map_restrict)(void *context, struct vm_map *map, uint64_t address, uint64_t length,
                         uint64_t access);
    // Sends, never waits. A failure comes later, by vm_object_died.
    void (*send)(void *context, struct vm_object *object, const struct vm_message *message);
    // Gives an internal object a pager. False: there is none.
    bool (*create)(void *context, struct vm_object *object);
    // The object is no more.
    void (*forget)(void *context, struct vm_object *object);
};

// --- The core ----------------------------------------------------------------------------------

struct vm_counters {
    uint64_t faults, zero_filled, copied, pushed, paged_in, paged_out, evicted, second_chances;
    uint64_t requests, unlocks, timed_out, nonsense, errors, waited_for_memory;
};

struct vm_core {
    const struct vm_environment *environment;
    void *context;
    uint64_t now;
    struct vm_frame *frames;
    struct vm_piece *pieces;
    uint32_t frame_count, piece_count;  // there may be at most
    uint32_t present_count, free_count; // frames that there are; of these, free
    uint32_t lowest_free;               // no piece below it has a free frame
    uint64_t grow_after;                // memory was refused: when it may be asked for again
    uint64_t evict_after; // pages had no pager to go to: when one is looked for again; VM_NEVER
    uint32_t low, target; // eviction begins below `low` free frames and ends at `target`
    uint32_t laundry;     // frames without a page that are on their way
    struct vm_page **hash;
    uint64_t hash_mask;
    struct vm_page *queue_first, *queue_last;
    struct vm_object *objects;
    struct vm_map *maps;
    struct vm_fault *ready, **ready_last; // to be tried
    struct vm_fault *faults;              // all that wait
    uint64_t object_count, map_count, page_count;
    bool running;
    struct vm_counters counters;
};

// `frames`: how many there may be. False: no memory.
bool vm_core_open(struct vm_core *core, const struct vm_environment *environment, void *context,
                  uint32_t frames);
void vm_core_close(struct vm_core *core);

// Time has come to `now` (nanoseconds): faults that waited too long end.
void vm_tick(struct vm_core *core, uint64_t now);
// When vm_tick is due; VM_NEVER: not.
uint64_t vm_next_deadline(const struct vm_core *core);

// --- Maps (map.c)
// --------------------------------------------------------------------------------- Errors:
// INVALID_RANGE, IN_USE (something is there already), NOT_MAPPED, ACCESS_DENIED, NO_MEMORY.

struct vm_map *vm_map_create(struct vm_core *core, uint64_t low, uint64_t high);
// Faults of it that wait end with TERMINATED.
void vm_map_destroy(struct vm_core *core, struct vm_map *map);
// The lowest free range of that many bytes. 0: none.
uint64_t vm_map_find(const struct vm_map *map, uint64_t bytes);
struct vm_entry *vm_map_entry(const struct vm_map *map, uint64_t address);
// The first entry that ends above `address`.
struct vm_entry *vm_map_next(const struct vm_map *map, uint64_t address);

// Takes a reference to the object (NULL: zeroes).
corvus_error_t vm_map_enter(struct vm_core *core, struct vm_map *map, uint64_t address,
                            uint64_t bytes, struct vm_object *object, uint64_t offset,
                            uint64_t access, uint64_t most_access, uint64_t inheritance);
// Holes are no error.
corvus_error_t vm_map_remove(struct vm_core *core, struct vm_map *map, uint64_t address,
                             uint64_t bytes);
corvus_error_t vm_map_protect(struct vm_core *core, struct vm_map *map, uint64_t address,
                              uint64_t bytes, uint64_t access, bool most);
corvus_error_t vm_map_inherit(struct vm_core *core, struct vm_map *map, uint64_t address,
                              uint64_t bytes, uint64_t inheritance);
// Whether all of a range is mapped with that access.
corvus_error_t vm_map_check(const struct vm_map *map, uint64_t address, uint64_t bytes,
                            uint64_t access);
// Wires the page at that address, which is resident and mapped there; nothing when it is so
// already.
corvus_error_t vm_map_wire_page(struct vm_core *core, struct vm_map *map, uint64_t address,
                                struct vm_page *page);
corvus_error_t vm_map_unwire(struct vm_core *core, struct vm_map *map, uint64_t address,
                             uint64_t bytes);

// --- Copies (copy.c) -----------------------------------------------------------------------------

// A copy-on-write copy of the whole object, with one reference. NULL: no memory.
struct vm_object *vm_object_copy(struct vm_core *core, struct vm_object *object);
// A child's map, by the inheritance of each entry. NULL: no memory.
struct vm_map *vm_map_fork(struct vm_core *core, struct vm_map *map);
// Puts copies of a range in the place of another one, which must be mapped.
corvus_error_t vm_map_copy(struct vm_core *core, struct vm_map *map, uint64_t from, uint64_t bytes,
                           uint64_t to);
// A copy of a range as an object with one reference, pages from 0 on. The range may consist of
// several entries.
corvus_error_t vm_map_snapshot(struct vm_core *core, struct vm_map *map, uint64_t address,
                               uint64_t bytes, struct vm_map **snapshot);

// --- Objects (object.c) --------------------------------------------------------------------------

struct vm_object *vm_object_create(struct vm_core *core, enum vm_object_kind kind, uint64_t limit);
void vm_object_hold(struct vm_object *object);
void vm_object_release(struct vm_core *core, struct vm_object *object);
// Pages of objects that nothing maps, kept because their pager allowed it, go.
void vm_object_uncache(struct vm_core *core, struct vm_object *object);

// --- Faults (fault.c) ----------------------------------------------------------------------------

void vm_fault_start(struct vm_core *core, struct vm_fault *fault);
// The fault ends, with that error.
void vm_fault_cancel(struct vm_core *core, struct vm_fault *fault, corvus_error_t error);

// --- What pagers say (manager.c); nonsense is counted and has no effect --------------------------

void vm_data_provided(struct vm_core *core, struct vm_object *object, uint64_t sequence,
                      uint64_t offset, uint64_t lock, uint64_t flags, const void *data,
                      uint64_t bytes);
void vm_data_unavailable(struct vm_core *core, struct vm_object *object, uint64_t sequence,
                         uint64_t offset, uint64_t bytes, uint64_t lock, uint64_t flags);
void vm_data_error(struct vm_core *core, struct vm_object *object, uint64_t sequence,
                   uint64_t offset, uint64_t bytes, uint64_t reason);
void vm_data_lock(struct vm_core *core, struct vm_object *object, uint64_t sequence,
                  uint64_t offset, uint64_t bytes, uint64_t lock, uint64_t flags);
void vm_flush_request(struct vm_core *core, struct vm_object *object, uint64_t sequence,
                      uint64_t offset, uint64_t bytes);
void vm_clean_request(struct vm_core *core, struct vm_object *object, uint64_t sequence,
                      uint64_t offset, uint64_t bytes);
// PAGER_CACHE_*.
void vm_cache(struct vm_core *core, struct vm_object *object, uint64_t what);
// Its pager is dead, or takes no messages: whoever waits gets `reason`, and so does every later
// fault.
void vm_object_died(struct vm_core *core, struct vm_object *object, corvus_error_t reason);

// --- Frames (frame.c) ----------------------------------------------------------------------------

// A frame has gone with its message.
void vm_frame_sent(struct vm_core *core, uint32_t frame);
