// SPDX-License-Identifier: BSD-2-Clause
// What the files of the core share.
//
//   core.c       life, time, messages in and out        view.c      who is there
//   segment.c    segments                               rebuild.c   the directory, after a view
//   cache.c      what caches say and are told           place.c     who manages what; doubt
//   page.c       a node's copy: local and remote users  manager.c   the manager's side
//   transfer.c   the messages to a node's copy          record.c    counters and trace
//   arrival.c    pages of the message that is read
//   store.c      bounds of memory: pages for others      buffer.c    data of pages
//
// The directory is made anew in each view, so in it nodes are *slots*, places in
// the view's list of members.
#pragma once

#include "dsm/core/dsm.h"
#include "dsm/core/wire.h"
#include "netipc/core/table.h"

#define DSM_BUCKETS  256u // blocks of all segments fall into so many, and have their manager by it
#define DSM_NOBODY   0xffu
#define DSM_HISTORY  8u    // views since the last that was known to be stable
#define DSM_CHUNKS   4096u // of what a node holds, for one other
#define FIGHTS_MIN   3u    // a page that left so often within the hold time is fought for
#define MIGRATES_MIN 2u
#define WRITES_MIN   4u // pages that a node asks for when it has gone on in order twice

#define bit(number) (1ull << (number))

// --- Views ---------------------------------------------------------------------------------

struct member {
    uint32_t node;
    uint64_t life;   // of the node's server; changes when it has forgotten all
    uint64_t joined; // the view in which it came, with nothing
};

struct view {
    uint64_t number; // 0: none. The proposer's node is in the lowest byte
    uint32_t count;
    struct member members[DSM_MEMBERS_MAX]; // by node
};

// Who is responsible for the pages of a bucket, as slots. backup: DSM_NOBODY if there is one
// member only.
struct placement {
    struct view view;
    uint8_t manager[DSM_BUCKETS], backup[DSM_BUCKETS];
};

struct outbox {
    uint8_t *bytes; // NULL: nothing yet
    size_t used, room;
};

struct peer {
    bool up;       // the server says so
    bool known;    // and it has said hello
    uint64_t life; // as it said
    uint64_t view; // likewise; 0: it is in none
    uint64_t promised;
    uint64_t full_until; // it has no room for pages of other nodes
    uint64_t gone_at;    // when it went, or came but has not said hello; or when a view told of it
    struct outbox outbox;
};

// A view that this node proposes.
struct proposal {
    bool active, sent; // sent: all have promised
    struct view view;
    struct view base;                 // the latest that anybody has adopted
    uint64_t joined[DSM_MEMBERS_MAX]; // of the members, as they say
    uint64_t promised, ready;         // slots
    uint64_t fence;                   // not to be sent before
    uint64_t due;                     // to be repeated
};

// What another member said it holds: which chunks have come.
struct report {
    bool whole;
    uint32_t chunks, count;
    uint64_t seen[DSM_CHUNKS / 64];
};

// --- A node's copy -----------------------------------------------------------------------------

struct buffer {
    struct buffer *next; // of those that are garbage
    uint32_t place;      // in its chunk (buffer.c)
    uint8_t bytes[DSM_PAGE_BYTES];
};

// What the node has of the page's data itself.
enum backing { BACKING_NONE, BACKING_ZERO, BACKING_DATA };

// A cache's request.
struct waiter {
    struct waiter *next;
    struct dsm_cache *cache;
    uint64_t sequence, since;
    uint32_t count;
    enum dsm_access access;
    bool unlock; // the cache has the page
    bool remote; // it had to wait for a message
};

// What a manager wants of the copy.
struct wish {
    uint8_t kind; // WIRE_FORWARD, WIRE_INVALIDATE; 0: nothing
    uint8_t flags;
    uint32_t node; // for whom
    uint64_t txn, version, serial;
};

struct page {
    struct table_link link; // key: number of the page
    struct dsm_segment *segment;
    struct page *next_active, **prev_active; // of those with something due
    uint64_t due;
    struct page *next_spare, **prev_spare; // of those that another node may have (store.c)
    uint64_t offered_at;

    enum dsm_access access; // the node's
    bool owner;
    bool prefetched;       // and not used yet
    bool offered;          // at that time, and not refused
    bool changed;          // since it came
    uint64_t version, txn; // the last that it took part in, of this view
    uint64_t came;
    uint32_t fights;

    enum backing backing;
    struct buffer *data;     // with BACKING_DATA
    const uint8_t *incoming; // likewise, while a message is read: not to be kept
    bool arrived;            // in that message, and not shown to caches yet
    struct page *next_arrived;

    uint8_t readers, writer; // caches, as bits; the writer is not among the readers
    uint8_t awaited;         // caches that have been asked for something
    uint8_t unasked;         // those of them that could not be, for want of memory
    enum dsm_demand demand;
    uint64_t demand_number;
    uint64_t unasked_at;
    struct waiter *waiters;
    struct wish wish;

    enum dsm_access requested; // asked of the manager
    uint64_t serial, requested_at;
    uint32_t requested_count;

    // Sent to another node for writing, which has not said that it came.
    struct {
        uint32_t node; // 0: nothing
        uint64_t joined, txn, serial, version, at;
        uint8_t flags;
        enum backing backing;
        struct buffer *data;
    } handed;
};

struct dsm_cache {
    struct dsm_segment *segment;
    void *owner;
    uint8_t number;
};

// --- The manager's side --------------------------------------------------------------------------

enum entry_state {
    ENTRY_IDLE,
    ENTRY_INVALIDATING, // waits for INVALIDATED, and MARKED
    ENTRY_GRANTING,     // waits for DONE
    ENTRY_SETTLING,     // waits for SETTLED
};

struct request {
    uint8_t slot, flags;
    uint16_t count;
    uint64_t serial, version;
};

struct waiting {
    struct waiting *next;
    struct request request;
};

// A page in the directory of its manager; with its backup only `written` counts.
struct entry {
    struct table_link link;
    struct dsm_segment *segment;
    struct entry *next_active, **prev_active;
    uint64_t due;

    enum entry_state state;
    bool written; // ever: not zero
    bool lost;
    uint8_t owner;
    uint64_t version, txn;
    uint64_t copies; // who may have one, the owner among them

    // Who was the first that might write, in this view: until it has, the page is zero. 0: nobody.
    uint32_t first_node;
    uint64_t first_joined;

    struct request request; // of the transaction
    uint64_t unacknowledged;
    bool unmarked;
    struct waiting *first, *last;

    uint8_t last_reader, last_writer, migrations;
    bool migrate; // this transaction's reading is made writing

    // While the directory is rebuilt, with `version`, `copies`, `owner` of the newest copies.
    uint64_t known;          // the highest version that anybody has had
    uint64_t handed_granted; // of the newest that was handed over: what the other was to have,
    uint64_t handed_version; // and what it is
    uint8_t handed_from;
    uint64_t stale, handers; // who have a copy that is none; who have something handed over
    // SETTLE.
    uint8_t settle; // who is to own the page
    uint64_t unsettled;
};

// --- Segments ------------------------------------------------------------------------------------

struct dsm_segment {
    struct table_link link; // key: its number
    struct dsm *dsm;
    bool open;                       // false: only other nodes have named it
    uint64_t pages, generation, cut; // cut: its length when the generation began
    struct table copies, entries;    // struct page, struct entry
    struct dsm_cache *caches[DSM_CACHES_MAX];
    uint64_t doubt[DSM_BUCKETS / 64]; // buckets whose unwritten pages may have been written
    struct dsm_counters counters;
    struct ahead {
        uint64_t next_expected;
        uint32_t window;
    } reading, writing;
};

struct dsm {
    struct dsm_settings settings;
    const struct dsm_operations *operations;
    void *context;
    uint64_t now;
    unsigned depth;

    uint64_t life, promised, joined;
    bool stable, rebuilt, ended;
    bool reconsider; // who is there has changed
    uint32_t coordinator;
    uint8_t slot; // of this node in the view
    struct placement place;
    struct placement
        *history[DSM_HISTORY]; // the stable one, and those after it; the last is a copy
    uint32_t history_count;    // of the present one
    bool history_lost;         // for want of memory
    struct proposal proposal;
    struct report *reports;  // by slot, until the view is stable
    struct outbox *holdings; // likewise, also by slot: what this node has to say
    uint32_t holdings_count;
    bool holdings_short; // for want of memory
    uint64_t hello_due, view_due;

    struct peer peers[DSM_NODE_MAX + 1];    // this one's outbox is what it sends itself
    uint64_t filled[DSM_NODE_MAX / 64 + 1]; // other nodes whose outbox has something, a bit each
    struct table segments;
    struct page *active_pages;
    struct page *first_arrived, **last_arrived; // while a message is read
    struct entry *active_entries;
    uint64_t last_txn, last_serial, last_demand;
    uint64_t stored, used_bytes;
    struct page *first_spare, **last_spare; // the oldest first, those that were offered last
    uint32_t offers, last_offered;          // under way; the place in the view of who got the last
    struct buffer *garbage;                 // freed when operations may have no use for it
    struct chunk *chunks, *empty_chunk;     // with room; without anything, at most one (buffer.c)
    struct dsm_totals totals;
    struct dsm_trace_entry *trace;
    uint64_t trace_begin, trace_end;
};

// --- core.c --------------------------------------------------------------------------------------

void dsm_enter(struct dsm *dsm);
void dsm_leave(struct dsm *dsm); // sends what there is to be sent
// Puts a record, and what is behind it, into the next message to a node, this one included.
void dsm_put(struct dsm *dsm, uint32_t node, const struct wire_record *record, const void *extra);
bool outbox_append(struct outbox *outbox, const void *bytes, size_t count);
void dsm_send_all(struct dsm *dsm); // what is in the outboxes of other nodes
uint64_t dsm_mix(uint64_t number);

// --- buffer.c ------------------------------------------------------------------------------------

struct buffer *buffer_make(struct dsm *dsm, const void *bytes); // a copy of a page; NULL: no memory
void buffer_drop(struct dsm *dsm, struct buffer *buffer);       // NULL: nothing
void buffers_collect(struct dsm *dsm);                          // frees what was dropped
void buffers_free(struct dsm *dsm);                             // all have been dropped

// --- view.c --------------------------------------------------------------------------------------

void view_received(struct dsm *dsm, uint32_t from, const struct wire_header *header,
                   const struct wire_record *record, const uint8_t *extra);
void view_consider(struct dsm *dsm);
void view_tick(struct dsm *dsm);
uint8_t view_slot(const struct view *view, uint32_t node); // DSM_NOBODY: not a member
bool view_has(const struct view *view, uint32_t node, uint64_t joined);
void view_put(struct dsm *dsm, uint32_t node);
void view_became_stable(struct dsm *dsm);
void view_rebuilt(struct dsm *dsm);
void view_hello(struct dsm *dsm, uint32_t node);
bool dsm_quorum(const struct dsm *dsm, uint32_t count, bool first);

// --- place.c -------------------------------------------------------------------------------------

void place_make(struct placement *place);
uint32_t place_bucket(uint64_t segment, uint64_t page);
uint32_t place_manager(const struct dsm *dsm, uint64_t segment, uint64_t page); // a node
bool place_is_manager(const struct dsm *dsm, uint64_t segment, uint64_t page);
uint8_t place_backup(const struct dsm *dsm, uint64_t segment, uint64_t page); // a slot
// A view is adopted: which buckets' knowledge has died with both who had it.
void place_doubt(struct dsm *dsm);
void place_forget_history(struct dsm *dsm);
void place_forget_last(struct dsm *dsm); // the present view
void place_remember(struct dsm *dsm);

// --- rebuild.c -----------------------------------------------------------------------------------

bool rebuild_begin(struct dsm *dsm); // false: no memory
void rebuild_send(struct dsm *dsm);
void rebuild_received(struct dsm *dsm, uint8_t slot, const struct wire_record *record,
                      const uint8_t *extra);
void rebuild_end(struct dsm *dsm);
void rebuild_free(struct dsm *dsm);

// --- segment.c -----------------------------------------------------------------------------------

struct dsm_segment *segment_find(const struct dsm *dsm, uint64_t number);
struct dsm_segment *segment_make(struct dsm *dsm, uint64_t number, uint64_t generation);
void segment_free(struct dsm_segment *segment);
void segment_cut(struct dsm_segment *segment, uint64_t pages, uint64_t generation,
                 corvus_error_t reason);
struct page *page_find(const struct dsm_segment *segment, uint64_t number);
struct page *page_make(struct dsm_segment *segment, uint64_t number);
void page_free(struct page *page);
struct entry *entry_find(const struct dsm_segment *segment, uint64_t number);
struct entry *entry_make(struct dsm_segment *segment, uint64_t number);
void entry_free(struct entry *entry);
// Calls `visit` for each; it may free the element.
void pages_each(struct dsm_segment *segment, void (*visit)(struct page *, void *), void *argument);
void entries_each(struct dsm_segment *segment, void (*visit)(struct entry *, void *),
                  void *argument);
void segments_each(struct dsm *dsm, void (*visit)(struct dsm_segment *, void *), void *argument);

// --- page.c --------------------------------------------------------------------------------------

// Does what can be done: grants wishes of managers, serves caches, asks for what is missing.
void page_run(struct page *page);
// A copy of the data; NULL: zeroes. False: no memory.
bool page_set_backing(struct page *page, const void *data);
void page_drop_backing(struct page *page);
// The node has no copy any more; caches are asked to drop theirs, whatever comes back.
void page_forget(struct page *page);
void page_drop_handed(struct page *page);
void page_fail(struct page *page, corvus_error_t reason); // all who wait
void page_watch(struct page *page); // finds out when something is due, if it is
void page_due(struct page *page);
bool page_has_data(const struct page *page);
const uint8_t *page_bytes(const struct page *page); // NULL: zeroes

// --- transfer.c ----------------------------------------------------------------------------------

void transfer_received(struct dsm *dsm, uint32_t from, struct dsm_segment *segment,
                       const struct wire_record *record, const uint8_t *extra);
// The copy is free for what the manager wishes.
bool transfer_fulfil(struct page *page); // false: no memory
void transfer_ask(struct page *page);
void transfer_resend(struct page *page, uint64_t txn); // what was handed over

// --- arrival.c -----------------------------------------------------------------------------------

void arrival_add(struct page *page);    // of the message that is being read
void arrival_forget(struct page *page); // it is about to be freed
void arrivals_show(struct dsm *dsm);    // the message has been read

// --- cache.c -------------------------------------------------------------------------------------

// Both free the waiter.
void cache_provide(struct page *page, struct waiter *waiter);
void cache_fail(struct page *page, struct waiter *waiter, corvus_error_t reason);
void cache_demand(struct page *page, uint8_t caches, enum dsm_demand what);
// Asks those that could not be asked.
void cache_demand_again(struct page *page);

// --- store.c ------------------------------------------------------------------------------------

// So many bytes have been allocated for a page, or freed.
void store_count(struct dsm *dsm, size_t bytes);
void store_uncount(struct dsm *dsm, size_t bytes);
// Pages are to go to others.
bool store_is_short(const struct dsm *dsm);
// Likewise, and no other node has room.
bool store_is_hopeless(struct dsm *dsm);
// The page may have become one that another node may have, or none any more.
void store_watch(struct page *page);
void store_forget(struct page *page);
void store_relieve(struct dsm *dsm);
uint64_t store_next(const struct dsm *dsm); // when there is something to do
void store_received(struct dsm_segment *segment, uint32_t from, const struct wire_record *record);

// --- manager.c -----------------------------------------------------------------------------------

// `slot`: the sender's, who is a member.
void manager_received(struct dsm *dsm, uint8_t slot, struct dsm_segment *segment,
                      const struct wire_record *record);
void manager_due(struct entry *entry);
void manager_settle(struct entry *entry);
void manager_lose(struct entry *entry);
void entry_watch(struct entry *entry);

// --- record.c ------------------------------------------------------------------------------------

void record_event(struct page *page, enum dsm_event event, uint32_t other);
void record_lost(struct entry *entry);
