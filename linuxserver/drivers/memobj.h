// SPDX-License-Identifier: GPL-2.0-only
// Memory objects for processes: Linux as a cache manager (include/corvus/pager.def).
//
//   memobj_object.c   objects: made, found, tended, forgotten
//   memobj_page.c     pages: what is cached with which access, asked for, taken away
//   memobj_answer.c   what a pager answers to requests
//   memobj_request.c  what a pager asks for: flush, clean, lock
//   memobj_send.c     messages to pagers, in order, without waiting
//   memobj_run.c      neighbouring pages that go back in one message
//   memobj_daemon.c   the thread that takes pagers' messages and does all that follows from them
//   memobj_evict.c    pages that have to go because memory is wanted
//   memobj_fault.c    faults of processes
//   memobj_file.c     open objects as files: read, write, mmap, fsync, status
//
// A page of an object is a folio of Linux's page cache, and a record (memobj_page) that holds
// another reference to it: so nothing but this driver takes it out of the cache. The state of
// records changes without sleeping, and Linux here neither preempts nor has a second processor:
// no lock guards it. Whoever takes a page away holds its folio's lock while it is unmapped, and
// whoever is about to map it looks at the record again under that lock.
//
// Nobody but the process that wants a page waits for a pager.
#pragma once

#include "message.h"
#include "port_daemon.h"
#include "send_queue.h"

#include <corvus/pager.h>

#include <linux/fs.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/wait.h>
#include <linux/xarray.h>

#define MEMOBJ_OBJECTS_MAX  1024 // at a time
#define MEMOBJ_REQUESTS_MAX 1024 // of an object's pager, not yet done
#define MEMOBJ_AHEAD_PAGES  16   // most that are asked for by one request
#define MEMOBJ_RUN_PAGES    16   // most that go back in one message
#define MEMOBJ_BACKLOG      256  // of a request port

// A page that came for somebody stays until it has been used, but not longer than this; and once it
// is mapped, this much longer (ns). Otherwise two nodes that want the same page could take it from
// each other for ever without either getting anything done.
#define MEMOBJ_UNUSED_HOLD 20000000
#define MEMOBJ_USED_HOLD   1000000

// Who takes a page away waits so long (ns) for those that use it without mapping it (direct I/O).
#define MEMOBJ_PIN_LIMIT 1000000000

// This node's number; 0: it has none.
extern unsigned int memobj_node;
#define MEMOBJ_NODE_MAX 254

struct memobj_object;

// A message to a pager. It lies in what it is about; queued or under way it belongs to the queue.
struct memobj_message {
    struct list_head link; // empty: it is not queued
    u32 id;
    unsigned int words, rights;
    u64 word[MESSAGE_REGISTER_WORDS];
    struct message_right right[2];
    const void *data; // NULL: none
    size_t bytes;
    struct folio *folio; // where the data are, counted; or NULL
    // It has been sent (ERR_OK), or never will be. May free it.
    void (*sent)(struct memobj_object *object, struct memobj_message *message, int error);
};

struct memobj_page {
    struct memobj_object *object;
    pgoff_t index;
    struct folio *folio;       // counted; NULL: no memory
    struct list_head age;      // among all pages with memory, the newest first
    wait_queue_head_t wait;    // for any change
    unsigned int users;        // who must find it still there
    unsigned int waiting;      // processes
    unsigned int errors;       // answers that were errors
    int reason;                // of the last one, an enum corvus_error
    u64 sequence;              // of the request that is not answered; 0: none
    pgoff_t first;             // that request's first page
    u64 hold_until;            // ktime, ns; until then it is not taken away
    u64 taken_since;           // ktime, ns, when `taking`
    u8 lock;                   // ACCESS_* that the pager forbids
    bool unlocking;            // the request is for more access, not for data
    bool valid;                // its memory holds the object's data
    bool changed;              // since it came or was last sent
    bool precious;             // the pager has no copy
    bool taking;               // it is being taken away: not to be used, nor asked for
    bool writing;              // `back` is under way, with these data
    struct memobj_message ask; // the request
    struct memobj_message back;
};

// Something that a pager asked for and that is not done yet.
struct memobj_request {
    struct list_head link; // of the object's, in the order in which they came
    u32 id;                // MESSAGE_pager_data_lock, _flush_request, _clean_request
    u64 sequence, offset, length;
    pgoff_t first, last, next; // pages, the last included; all before `next` are done
    u8 lock;
    bool sends_back, completes;
    struct memobj_message completed;
};

struct memobj_run;

// Accesses of one kind in the order of pages: which page is next then, and for how many pages the
// last request was.
struct memobj_ahead {
    pgoff_t next;
    unsigned int pages;
};

struct memobj_object {
    struct list_head link; // of all
    struct list_head care; // of those that the daemon is to look at; empty: not
    u64 port_id;           // the kernel's id of the memory object's port
    u32 port;              // send right to it
    u32 request, name;     // receive rights
    u32 label;             // of the request port
    struct corvus_port *arrivals;
    u64 incarnation;
    u64 sequence;        // of the last request
    struct inode *inode; // whose page cache it is
    unsigned int users;  // open files
    unsigned int busy;   // who must find it still there for a moment
    int error;           // negative error number: it is dead, or refused; 0: it is well
    u8 caching;          // PAGER_CACHE_*
    bool idle;           // and it has said so: nobody uses it any more
    bool terminating;
    struct xarray pages;
    unsigned long page_count;
    struct memobj_ahead reading, writing;
    wait_queue_head_t wait;  // for its end, or for its messages to be sent
    struct send_queue queue; // to the pager
    struct memobj_message begin, rest, end;
    struct memobj_run *run; // not in the queue yet: the next to go there; NULL: none
    u64 gathered;           // the pager's request whose pages go back together; 0: none
    struct list_head requests;
    unsigned int request_count;
    struct corvus_object_status counts;
};

// An open file of an object.
struct memobj_file {
    struct memobj_object *object;
    loff_t size; // bytes; what is beyond is not there
    // Of a file whose size others change: its size now, or a negative error number; makes it
    // larger.
    loff_t (*size_now)(struct file *file);
    int (*grow)(struct file *file, loff_t size);
};

// --- memobj_object.c ---------------------------------------------------------------------

int memobj_objects_begin(void);

// The object behind a send right of the server's table, which becomes the object's, also when this
// fails. Counted as a user. May sleep; -EINTR, -ENFILE, -ENOMEM, -EPIPE (it is dead).
struct memobj_object *memobj_object_open(u32 port);
// A file of it is closed.
void memobj_object_close(struct memobj_object *object);

struct memobj_object *memobj_object_of_label(u64 label);
struct memobj_object *memobj_object_of_port(u32 name);
// What becomes of its pages when nobody has it open, PAGER_CACHE_*. False: nonsense.
bool memobj_object_cache(struct memobj_object *object, u64 what);
// Its pager has died (-EPIPE) or does not want us (-EACCES): all that is cached goes.
void memobj_object_fail(struct memobj_object *object, int error);

// The daemon does what is to be done for it: returns when to look again (ktime, ns; 0: when
// something happens), and may free it.
u64 memobj_object_tend(struct memobj_object *object);

struct file *memobj_object_file(struct memobj_object *object, loff_t size);
corvus_error_t memobj_service(u32 id, u64 word0, u64 word1, u64 word2, u64 *answer);
// Gives a right of the server's table back; PORT_NULL: nothing.
void memobj_deallocate(u32 name);

// --- memobj_page.c ------------------------------------------------------------------------

// Its record, counted; made if it is not there. NULL: no memory.
struct memobj_page *memobj_page_get(struct memobj_object *object, pgoff_t index);
void memobj_page_put(struct memobj_page *page);

bool memobj_page_usable(const struct memobj_page *page, u8 access);
// It has been used by who waited for it.
void memobj_page_used(struct memobj_page *page, u64 hold);
// Gives it memory. 0, -ENOMEM.
int memobj_page_fill(struct memobj_page *page, gfp_t gfp);

// Waits until the page may be used so, which then holds until the caller sleeps. 0; -EINTR: the
// process is to die; -EIO, -ETIMEDOUT, -ENOMEM.
int memobj_page_await(struct memobj_page *page, u8 access);
// Asks for it without waiting. 0, -ENOMEM.
int memobj_page_ask(struct memobj_page *page, u8 access);

// Takes a page out of the cache; data that the pager has not are sent back with that number. False:
// not now; then nobody can use it meanwhile (`taking`).
bool memobj_page_drop(struct memobj_page *page, u64 sequence);
// It may be used again.
void memobj_page_leave(struct memobj_page *page);
// Gives it that lock, and sends data back that the pager has not, if it is to. False: not now.
bool memobj_page_restrict(struct memobj_page *page, u8 lock, u64 sequence, bool sends_back);
// Likewise, of an object whose data nobody wants any more.
bool memobj_page_forget(struct memobj_page *page);

// --- memobj_answer.c, memobj_request.c -----------------------------------------------------
// False: nonsense.

bool memobj_answer(struct memobj_object *object, u32 id, const u64 *words, const u8 *data,
                   size_t bytes);
bool memobj_request_add(struct memobj_object *object, u32 id, const u64 *words);
// Does what can be done. When to look again, as memobj_object_tend.
u64 memobj_requests_work(struct memobj_object *object);
void memobj_requests_drop(struct memobj_object *object);

// --- memobj_send.c ----------------------------------------------------------------------------

extern const struct send_queue_kind memobj_send_kind;
void memobj_send(struct memobj_object *object, struct memobj_message *message);

// --- memobj_run.c -----------------------------------------------------------------------------

// The page's data go back with those of its neighbours, as they are now, if the object gathers what
// that request is for. False: it is to be sent by itself.
bool memobj_run_add(struct memobj_page *page, u64 sequence, bool kept);
// What has been gathered is sent. Whoever sends something of the object does that first.
void memobj_run_end(struct memobj_object *object);

// --- memobj_daemon.c --------------------------------------------------------------------------

// All request ports are in its set.
extern struct port_daemon memobj_daemon;
// The daemon is in memobj_object_tend, which says itself when it wants to look again.
extern bool memobj_tending;
void memobj_care(struct memobj_object *object);

// --- memobj_evict.c ---------------------------------------------------------------------------

void memobj_age_add(struct memobj_page *page);
void memobj_age_remove(struct memobj_page *page);
// Pages with memory, and those that are on their way to a pager.
extern unsigned long memobj_page_total, memobj_back_total;
bool memobj_is_room(void);
// Waits for room for one more. 0, -EINTR, -ENOMEM (after PAGER_REQUEST_LIMIT).
int memobj_room(void);
void memobj_room_made(void);
int memobj_evict_begin(void);

// --- memobj_fault.c, memobj_file.c --------------------------------------------------------------

extern const struct vm_operations_struct memobj_vm_operations;
extern const struct file_operations memobj_file_operations;
struct memobj_file *memobj_file_of(struct file *file);
