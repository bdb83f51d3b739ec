// SPDX-License-Identifier: BSD-2-Clause
// The cache manager: what pagers say about their objects. A pager can only reach pages of its own
// object, and of these only what the protocol lets it; everything else is counted and left.
#include "private.h"

#include <string.h>

static void nonsense(struct vm_core *core)
{
    core->counters.nonsense++;
}

static bool valid_range(uint64_t offset, uint64_t bytes)
{
    return (offset | bytes) % PAGE_BYTES == 0 && bytes != 0 && offset + bytes > offset;
}

// The page that an answer to `sequence` is about. NULL: nothing was asked so.
static struct vm_page *asked(struct vm_core *core, struct vm_object *object, uint64_t sequence,
                             uint64_t offset, uint64_t bytes)
{
    struct vm_page *page = NULL;

    // A request is for one page; an answer cannot be for more.
    if (valid_range(offset, bytes) && bytes == PAGE_BYTES && sequence != 0)
        page = page_find(core, object, page_index(offset));
    if (page == NULL || page->sequence != sequence) {
        nonsense(core);
        return NULL;
    }
    return page;
}

// --- Answers -----------------------------------------------------------------------------------

static void arrive(struct vm_core *core, struct vm_page *page, uint64_t lock, uint64_t flags,
                   const void *data)
{
    // An answer to a data_unlock may bring data that are cached: those that are here are as good,
    // and may be newer.
    if (page->state == VM_PENDING) {
        if (data != NULL)
            memcpy(page_bytes(core, page), data, PAGE_BYTES);
        else
            memset(page_bytes(core, page), 0, PAGE_BYTES);
        page->state = VM_RESIDENT;
        // What the server wrote itself, just now, is no change.
        page_restrict(core, page, 0);
        page->changed = false;
        core->counters.paged_in++;
    }
    page->lock = (uint8_t)lock;
    page->precious = (flags & PAGER_PRECIOUS) != 0;
    request_over(page);
    page_to_end(core, page);
    page_wake(core, page, ERR_OK);
    run(core);
}

static bool valid_state(uint64_t lock, uint64_t flags)
{
    return (lock & ~(uint64_t)ACCESS_ALL) == 0 && (flags & ~(uint64_t)PAGER_PRECIOUS) == 0;
}

void vm_data_provided(struct vm_core *core, struct vm_object *object, uint64_t sequence,
                      uint64_t offset, uint64_t lock, uint64_t flags, const void *data,
                      uint64_t bytes)
{
    struct vm_page *page = asked(core, object, sequence, offset, bytes);

    if (page == NULL)
        return;
    if (valid_state(lock, flags))
        arrive(core, page, lock, flags, data);
    else
        nonsense(core);
}

void vm_data_unavailable(struct vm_core *core, struct vm_object *object, uint64_t sequence,
                         uint64_t offset, uint64_t bytes, uint64_t lock, uint64_t flags)
{
    struct vm_page *page = asked(core, object, sequence, offset, bytes);

    if (page == NULL)
        return;
    if (valid_state(lock, flags))
        arrive(core, page, lock, flags, NULL);
    else
        nonsense(core);
}

static void refuse(struct vm_core *core, struct vm_object *object, corvus_error_t reason)
{
    struct vm_page *page = object->pages, *next;

    object->refused = reason;
    for (; page != NULL; page = next) {
        next = page->object_next;
        page_wake(core, page, reason);
        if (page->state == VM_RESIDENT)
            page_restrict(core, page, ACCESS_ALL);
        page_destroy(core, page);
    }
    // An object that is only cached need not stay.
    object->may_cache = false;
    vm_object_uncache(core, object);
}

void vm_data_error(struct vm_core *core, struct vm_object *object, uint64_t sequence,
                   uint64_t offset, uint64_t bytes, uint64_t reason)
{
    corvus_error_t error = (corvus_error_t)reason;
    struct vm_page *page;

    if (reason == ERR_OK || reason >= ERR_COUNT) {
        nonsense(core);
        return;
    }
    if (sequence == 0 && offset == 0 && bytes == 0) {
        refuse(core, object, error);
        run(core);
        return;
    }
    page = asked(core, object, sequence, offset, bytes);
    if (page == NULL)
        return;
    page_wake(core, page, error);
    request_over(page);
    if (page->state == VM_PENDING)
        page_destroy(core, page);
    run(core);
}

// --- Requests of the pager -----------------------------------------------------------------------

// A pager's own request for a range of an object.
struct change {
    uint64_t sequence, offset, bytes;
    uint64_t lock;
    bool set_lock, give_back, drop;
    bool clean; // only what has changed is given back
};

static void change_page(struct vm_core *core, struct vm_page *page, const struct change *change)
{
    bool was_writable = page->writable;

    if (page->state != VM_RESIDENT)
        return;
    if (change->drop)
        page_restrict(core, page, ACCESS_ALL);
    else if (change->set_lock && (change->lock & ~(uint64_t)page->lock) != 0)
        page_restrict(core, page, (change->lock & ACCESS_READ) != 0 ? ACCESS_ALL : change->lock);
    else if (change->give_back && was_writable)
        page_restrict(core, page, ACCESS_WRITE);
    if (change->set_lock)
        page->lock = (uint8_t)change->lock;
    if (change->drop && page->sequence != 0) {
        // Its request for access stays open, and its answer may be the data; it keeps its frame.
        page->state = VM_PENDING;
        if (page->changed || page->precious)
            write_back(core, page, change->sequence, true);
        return;
    }
    if (change->give_back && (page->changed || (page->precious && !change->clean))) {
        write_back(core, page, change->sequence, !change->drop);
        return; // the page may be no more
    }
    if (change->drop)
        page_destroy(core, page);
    else if (change->set_lock)
        page_wake(core, page, ERR_OK);
}

static uint64_t held_pages(struct vm_core *core, struct vm_object *object,
                           const struct change *change)
{
    uint64_t held = 0, pages = page_index(change->bytes);

    for (uint64_t i = 0; i < pages && i < 64; i++) {
        struct vm_page *page = page_find(core, object, page_index(change->offset) + i);
        if (page != NULL && page->state == VM_RESIDENT)
            held |= 1ull << i;
    }
    return held;
}

static void apply(struct vm_core *core, struct vm_object *object, const struct change *change)
{
    uint64_t first = page_index(change->offset);
    uint64_t count = change->bytes == 0 ? UINT64_MAX : page_index(change->bytes);

    if (count > object->page_count) {
        struct vm_page *next;
        for (struct vm_page *page = object->pages; page != NULL; page = next) {
            next = page->object_next;
            if (page->index - first < count)
                change_page(core, page, change);
        }
        return;
    }
    for (uint64_t i = 0; i < count; i++) {
        struct vm_page *page = page_find(core, object, first + i);
        if (page != NULL)
            change_page(core, page, change);
    }
}

static void complete(struct vm_core *core, struct vm_object *object, const struct change *change)
{
    struct vm_message message = {
        .kind = VM_LOCK_COMPLETED,
        .sequence = change->sequence,
        .offset = change->offset,
        .length = change->bytes,
        .held = held_pages(core, object, change),
    };

    object_send(core, object, &message);
}

static bool own_number(uint64_t sequence)
{
    return (sequence & PAGER_SEQUENCE_OWN) != 0;
}

static void unlocked(struct vm_core *core, struct vm_object *object, uint64_t sequence,
                     uint64_t offset, uint64_t bytes, uint64_t lock)
{
    struct vm_page *page = asked(core, object, sequence, offset, bytes);

    if (page == NULL)
        return;
    if (!page->unlocking) {
        nonsense(core);
        return;
    }
    request_over(page);
    if (page->state == VM_PENDING) {
        page_destroy(core, page); // it was flushed meanwhile: asked for anew
    } else {
        if ((lock & ~(uint64_t)page->lock) != 0)
            page_restrict(core, page, (lock & ACCESS_READ) != 0 ? ACCESS_ALL : lock);
        page->lock = (uint8_t)lock;
        page_wake(core, page, ERR_OK);
    }
    run(core);
}

void vm_data_lock(struct vm_core *core, struct vm_object *object, uint64_t sequence,
                  uint64_t offset, uint64_t bytes, uint64_t lock, uint64_t flags)
{
    struct change change = {
        .sequence = sequence,
        .offset = offset,
        .bytes = bytes,
        .lock = lock,
        .set_lock = true,
        .give_back = (flags & PAGER_RETURN) != 0,
    };

    if ((lock & ~(uint64_t)ACCESS_ALL) != 0 ||
        (flags & ~(uint64_t)(PAGER_RETURN | PAGER_COMPLETE)) != 0 || !valid_range(offset, bytes)) {
        nonsense(core);
        return;
    }
    if (!own_number(sequence)) {
        unlocked(core, object, sequence, offset, bytes, lock);
        return;
    }
    apply(core, object, &change);
    if ((flags & PAGER_COMPLETE) != 0)
        complete(core, object, &change);
    run(core);
}

// Flush and clean.
static void give_back(struct vm_core *core, struct vm_object *object, const struct change *change)
{
    bool whole = change->offset == 0 && change->bytes == 0;

    if (!own_number(change->sequence) || !(whole || valid_range(change->offset, change->bytes))) {
        nonsense(core);
        return;
    }
    apply(core, object, change);
    complete(core, object, change);
    run(core);
}

void vm_flush_request(struct vm_core *core, struct vm_object *object, uint64_t sequence,
                      uint64_t offset, uint64_t bytes)
{
    give_back(core, object,
              &(struct change){.sequence = sequence,
                               .offset = offset,
                               .bytes = bytes,
                               .give_back = true,
                               .drop = true});
}

void vm_clean_request(struct vm_core *core, struct vm_object *object, uint64_t sequence,
                      uint64_t offset, uint64_t bytes)
{
    give_back(core, object,
              &(struct change){.sequence = sequence,
                               .offset = offset,
                               .bytes = bytes,
                               .give_back = true,
                               .clean = true});
}

void vm_cache(struct vm_core *core, struct vm_object *object, uint64_t what)
{
    if (what > PAGER_CACHE_IDLE || object->kind != VM_EXTERNAL) {
        nonsense(core);
        return;
    }
    object->may_cache = what == PAGER_CACHE_KEEP; // what is to end may as well go
    if (!object->may_cache)
        vm_object_uncache(core, object);
    run(core);
}

// --- The end -------------------------------------------------------------------------------------

void vm_object_died(struct vm_core *core, struct vm_object *object, corvus_error_t reason)
{
    object->has_pager = false;
    if (object->refused == ERR_OK)
        refuse(core, object, reason);
    run(core);
}
