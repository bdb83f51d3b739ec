// SPDX-License-Identifier: BSD-2-Clause
// Distributed shared memory: the protocol, without I/O, clock or threads. One core
// runs on each node; the same files run in the DSM server, in unit tests and in the
// simulator. What the core needs from outside is struct dsm_operations.
//
// A *segment* is an array of pages. Consistency is sequential: of a page there is
// one copy that may be written, or there are many that may be read. For each block of
// DSM_BLOCK_PAGES pages one node is the *manager*, which knows who has copies, and
// does one transaction of a page at a time; another is its *backup*, which knows
// which pages were ever written. One of those who have a copy is its *owner*, who
// hands out the data (Li and Hudak, "Memory Coherence in Shared Virtual Memory
// Systems", 1989: fixed distributed manager).
//
// Pages are kept in the *caches* of a node (Linux, the VM server), towards which the
// core behaves as their pager (corvus/pager.def); what the node has but none of its
// caches holds, the core keeps in its *store*. All pages are given to caches as
// *precious*: a cache that drops one, or is asked to, returns it, changed or not.
//
// Who is there is agreed in *views*: numbered, each with its members. A new view
// is made when a node dies or comes; in it the directory is rebuilt from what the
// members hold. Messages of other views, and of other lives of a node, are ignored.
// A node that is not in a majority ends everything in errors and forgets all.
//
// Not thread-safe. Operations are called from inside dsm_* functions, in the order in
// which they are to take effect, and call none of them themselves. Times are
// nanoseconds of any clock that does not go backwards; the core goes by the time it
// was last told (dsm_tick).
#pragma once

#include <corvus/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DSM_PAGE_BYTES  4096u
#define DSM_BLOCK_PAGES 16u  // one manager; read-ahead stays within
#define DSM_NODE_MAX    255u // numbers of nodes are 1..DSM_NODE_MAX
#define DSM_MEMBERS_MAX 64u
#define DSM_CACHES_MAX  8u           // of one segment on one node
#define DSM_PAGES_MAX   (1ull << 36) // of a segment
#define DSM_MESSAGE_MAX (68u * 1024) // bytes: a block's pages; servers always have room for that

struct dsm;
struct dsm_cache;

// A page may be had for reading, or for reading and writing.
enum dsm_access { DSM_NONE, DSM_READ, DSM_WRITE };

// What a cache is asked for, of one page. It returns the data (dsm_cache_return) if it
// has the page, and then says that it is done (dsm_cache_done), in any case.
enum dsm_demand {
    DSM_CLEAN, // the page may be kept, for reading only from now on
    DSM_FLUSH, // the page goes
};

// --- What the core needs ----------------------------------------------------------------

struct dsm_operations {
    // Sends a message to a node, which gets it by dsm_received. It need not arrive: what
    // is missing is repeated. The bytes are the core's: to be copied or sent before return.
    void (*send)(void *context, uint32_t node, const void *data, size_t bytes);

    // Answers request `sequence` of a cache: the page's data (NULL: zeroes), precious, with
    // READ or WRITE access. For neighbours of the page that was asked for, within the count
    // that was welcome, `sequence` is the same, and they come directly afterwards in order, with
    // the same access.
    void (*provide)(void *context, void *cache, uint64_t sequence, uint64_t page, const void *data,
                    enum dsm_access access);
    // Answers a cache that has the page and wants to write: it may.
    void (*grant)(void *context, void *cache, uint64_t sequence, uint64_t page);
    // Answers either kind of request: it cannot be had. FAULT: the only newest copy has died.
    // PEER_DIED: this node is not in a majority. TIMED_OUT. INVALID_RANGE: the segment has
    // become shorter, or is gone. NO_MEMORY.
    void (*fail)(void *context, void *cache, uint64_t sequence, uint64_t page,
                 corvus_error_t reason);
    // Asks a cache to give way. `number` is to be told back. False: not now, for want of memory;
    // the core does it again after repeat_ns.
    bool (*demand)(void *context, void *cache, uint64_t number, uint64_t page,
                   enum dsm_demand what);
    // The end of a batch of the four above: adjacent pages may be joined until now, and until now
    // the data that were shown are there. NULL: not wanted.
    void (*flush)(void *context);

    // This node has seen that the page's newest data are lost: on its manager, once. NULL: not
    // wanted.
    void (*page_lost)(void *context, uint64_t segment, uint64_t page);
    // This node is now in a view that works (`stable`), or has to wait for one, or (no
    // `majority`) has ended everything. NULL: not wanted.
    void (*view_changed)(void *context, uint64_t view, bool stable, bool majority);
};

// --- Life -----------------------------------------------------------------------------------

struct dsm_settings {
    uint32_t node;         // this one
    uint32_t cluster_size; // nodes that there are to be; 1: alone
    // Of this start of the server. Later ones are larger, by more than a thousand: a clock in
    // nanoseconds.
    uint64_t incarnation;
    uint64_t retry_ns;  // what has not been answered is repeated; 0: 100 ms
    uint64_t repeat_ns; // likewise of pages, where little is ever lost; 0: retry_ns
    uint64_t limit_ns;  // a request that has not been answered fails (TIMED_OUT); 0: 30 s
    uint64_t
        fence_ns;     // wait before a view without a node that was there: it must have found out
                      // by itself, and have ended everything, before others take its pages; 0: none
    uint64_t hold_ns; // a page that is fought for stays so long where it is; 0: 1 ms
    uint32_t trace_size;  // page events that are kept; 0: none
    uint32_t spare_pages; // pages that the store may keep of what caches hold as well; 0: 4096
    // What the store and what is known of pages may take. From seven eighths of it on owned pages
    // go to nodes that have room; if there is none, requests of caches fail (NO_MEMORY). 0: no
    // bound.
    uint64_t memory_bytes;
};

// NULL: no memory, or settings out of range. Operations and context stay the caller's.
struct dsm *dsm_create(const struct dsm_settings *settings, const struct dsm_operations *operations,
                       void *context);
// Frees everything. Nothing is told to anybody.
void dsm_destroy(struct dsm *dsm);

// Tells the time, and does what is due. To be called before other functions after a
// wait, and at dsm_next.
void dsm_tick(struct dsm *dsm, uint64_t now_ns);
// When dsm_tick has something to do.
uint64_t dsm_next(const struct dsm *dsm);

// Another node's server can be reached from now on, or has died, cannot be reached, or
// has been started again (then both, one after the other).
void dsm_node_up(struct dsm *dsm, uint32_t node);
void dsm_node_down(struct dsm *dsm, uint32_t node);
// What arrived from a node, whatever it is. Unknown and wrong messages are counted.
void dsm_received(struct dsm *dsm, uint32_t node, const void *data, size_t bytes);

// Between these, what goes to a node goes in one message, and `flush` comes at the end only: for
// several calls that belong together, as when a cache returns adjacent pages.
void dsm_begin(struct dsm *dsm);
void dsm_end(struct dsm *dsm);

// It has nearly all that it may (memory_bytes): caches should not return more for now. What they
// return all the same is kept.
bool dsm_is_crowded(const struct dsm *dsm);

// This node has a view that works. (All waits while it has not.)
bool dsm_is_stable(const struct dsm *dsm);
// This node and those that it can reach are more than half of the cluster; of half of it, those
// with node 1 among them.
bool dsm_has_majority(const struct dsm *dsm);

// --- Segments -----------------------------------------------------------------------------

// Makes a segment known, on each node with the same numbers. `generation` grows whenever the
// segment becomes shorter. IN_USE, TOO_LARGE, NO_MEMORY.
corvus_error_t dsm_segment_open(struct dsm *dsm, uint64_t segment, uint64_t pages,
                                uint64_t generation);
// Another length. With a larger generation, pages from the new length on are zero again, and
// whoever waits for them gets INVALID_RANGE; with the same, nothing is forgotten. It must have
// been called on all nodes before the program that made it shorter goes on. NOT_FOUND,
// TOO_LARGE; INVALID_ARGUMENT: a smaller generation.
corvus_error_t dsm_segment_resize(struct dsm *dsm, uint64_t segment, uint64_t pages,
                                  uint64_t generation);
// Forgets a segment, with its caches, which must not be named again. NOT_FOUND.
corvus_error_t dsm_segment_close(struct dsm *dsm, uint64_t segment);

// --- Caches -------------------------------------------------------------------------------

// A cache begins to use a segment; it holds nothing. `owner` is given to operations.
// NOT_FOUND, RIGHTS_FULL (DSM_CACHES_MAX), NO_MEMORY.
corvus_error_t dsm_cache_open(struct dsm *dsm, uint64_t segment, void *owner,
                              struct dsm_cache **cache);
// The cache has ended. What it had not returned is lost: changed pages fail from now on.
void dsm_cache_close(struct dsm_cache *cache);

// A cache needs a page (and would like those behind it, up to `count` pages in all). Each
// request is answered once: provide, grant or fail.
void dsm_cache_request(struct dsm_cache *cache, uint64_t sequence, uint64_t page, uint32_t count,
                       enum dsm_access access);
// A cache has the page and wants to write. Until it is answered it keeps the page, unless
// it is asked to flush it.
void dsm_cache_unlock(struct dsm_cache *cache, uint64_t sequence, uint64_t page);
// A cache returns a page, DSM_PAGE_BYTES. `number`: of the demand, or 0: it makes room by
// itself. `kept`: it still has it, for reading. `changed`: it has written to it since it came
// or was last returned.
void dsm_cache_return(struct dsm_cache *cache, uint64_t number, uint64_t page, const void *data,
                      bool kept, bool changed);
// A demand has been done. `held`: the cache still has the page.
void dsm_cache_done(struct dsm_cache *cache, uint64_t number, uint64_t page, bool held);

// --- What it did ----------------------------------------------------------------------------

// Of one segment, on this node. X(name, what it counts)
#define DSM_COUNTERS(X)                                                                            \
    X(read_faults, "requests of caches to read")                                                   \
    X(write_faults, "requests of caches to write")                                                 \
    X(local, "of these, satisfied without a message")                                              \
    X(failed, "of these, ended in an error")                                                       \
    X(data_received, "pages that came with data")                                                  \
    X(upgrades, "rights to write that came without data")                                          \
    X(zeroes, "pages that came as zeroes, without data")                                           \
    X(data_sent, "pages sent with data")                                                           \
    X(invalidations, "copies given up because another node writes")                                \
    X(surrendered, "owned pages handed over to another node")                                      \
    X(waits, "requests sent to managers")                                                          \
    X(wait_ns, "nanoseconds between a cache's request and its answer, when it was remote")         \
    X(prefetched, "neighbours that came without being waited for")                                 \
    X(prefetch_used, "of these, asked for later")                                                  \
    X(migrations, "reads that were given the right to write at once")                              \
    X(holds, "times that a page was held because it is fought for")                                \
    X(repeats, "messages repeated after a time")                                                   \
    X(recovered, "pages whose owner died and a reader's copy took over")                           \
    X(lost, "pages whose newest data died")                                                        \
    X(taken_over, "pages asked for because another node is short of memory")

struct dsm_counters {
#define DSM_COUNTER_FIELD(name, text) uint64_t name;
    DSM_COUNTERS(DSM_COUNTER_FIELD)
#undef DSM_COUNTER_FIELD
};

// Of the whole core.
struct dsm_totals {
    uint64_t messages_sent, messages_received, bytes_sent;
    uint64_t stale;     // messages of another view, life or generation
    uint64_t malformed; // and wrong ones
    uint64_t views;
    uint64_t stored; // pages in the store now
    uint64_t memory; // bytes that they and what is known of pages take
};

// NOT_FOUND.
corvus_error_t dsm_segment_counters(const struct dsm *dsm, uint64_t segment,
                                    struct dsm_counters *counters);
void dsm_totals(const struct dsm *dsm, struct dsm_totals *totals);

// Page events, for pictures. X(NAME, "what happened on this node")
#define DSM_EVENTS(X)                                                                              \
    X(READ, "got a copy for reading from `other`")                                                 \
    X(OWN, "got the right to write from `other`")                                                  \
    X(DROP, "gave up its copy because `other` writes")                                             \
    X(SEND, "sent the page for reading to `other`")                                                \
    X(SURRENDER, "handed the page over to `other`")                                                \
    X(RECOVER, "its copy became the page")                                                         \
    X(LOST, "as manager: the newest data are lost")

enum dsm_event {
#define DSM_EVENT_NAME(name, text) DSM_EVENT_##name,
    DSM_EVENTS(DSM_EVENT_NAME)
#undef DSM_EVENT_NAME
};

struct dsm_trace_entry {
    uint64_t time_ns, segment, page;
    uint32_t other; // node; 0: none
    uint32_t event; // enum dsm_event
};

// Takes out the oldest events that are still there, at most `count`. `missed`: how many were
// overwritten before.
size_t dsm_trace_take(struct dsm *dsm, struct dsm_trace_entry *entries, size_t count,
                      uint64_t *missed);
