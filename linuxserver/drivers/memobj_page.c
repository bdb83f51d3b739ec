// SPDX-License-Identifier: GPL-2.0-only
// Pages of memory objects: asked for, waited for, taken away.
#include "memobj.h"

#include <corvus/pager_services.h>

#include <linux/ktime.h>
#include <linux/rmap.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/swap.h>

// --- Records ---------------------------------------------------------------------------

struct memobj_page *memobj_page_get(struct memobj_object *object, pgoff_t index)
{
    struct memobj_page *page = xa_load(&object->pages, index), *there;

    if (page == NULL) {
        page = kzalloc(sizeof *page, GFP_KERNEL);
        if (page == NULL)
            return NULL;
        page->object = object;
        page->index = index;
        INIT_LIST_HEAD(&page->age);
        INIT_LIST_HEAD(&page->ask.link);
        INIT_LIST_HEAD(&page->back.link);
        init_waitqueue_head(&page->wait);
        there = xa_cmpxchg(&object->pages, index, NULL, page, GFP_KERNEL);
        if (there != NULL) { // an error, or somebody was faster
            kfree(page);
            if (xa_is_err(there))
                return NULL;
            page = there;
        }
    }
    page->users++;
    return page;
}

void memobj_page_put(struct memobj_page *page)
{
    struct memobj_object *object = page->object;

    if (--page->users != 0 || page->folio != NULL || page->sequence != 0)
        return;
    xa_erase(&object->pages, page->index);
    kfree(page);
    memobj_care(object);
}

bool memobj_page_usable(const struct memobj_page *page, u8 access)
{
    return page->valid && !page->taking && (page->lock & access) == 0 &&
           !(access & ACCESS_WRITE && page->writing) && page->object->error == 0;
}

void memobj_page_used(struct memobj_page *page, u64 hold)
{
    u64 until = hold == 0 ? 0 : ktime_get_ns() + hold;

    if (until < page->hold_until) {
        page->hold_until = until;
        if (hold == 0)
            memobj_care(page->object);
    }
}

// Returns with a record that has memory, or an error; somebody else may have been faster.
int memobj_page_fill(struct memobj_page *page, gfp_t gfp)
{
    struct folio *folio = filemap_alloc_folio(gfp, 0);
    int error;

    if (folio == NULL)
        return -ENOMEM;
    error = filemap_add_folio(page->object->inode->i_mapping, folio, page->index, gfp);
    if (error != 0) {
        folio_put(folio);
        // Whoever is adding it has not got round to saying so.
        cond_resched();
        return error == -EEXIST ? 0 : error;
    }
    page->folio = folio; // with the reference of the allocation
    page->object->page_count++;
    memobj_age_add(page);
    folio_unlock(folio);
    lru_add_drain(); // which otherwise keeps references for later
    return 0;
}

// --- Asking -----------------------------------------------------------------------------

static void asked(struct memobj_object *object, struct memobj_message *message, int error)
{
    struct memobj_page *page = container_of(message, struct memobj_page, ask);

    // What is not sent is not answered either.
    if (error != ERR_OK)
        (void)memobj_answer(
            object, MESSAGE_pager_data_error,
            (u64[]){0, page->sequence, (u64)page->index << PAGE_SHIFT, PAGER_DATA_MAX, (u64)error},
            NULL, 0);
    memobj_page_put(page);
}

static void send_ask(struct memobj_page *page, u32 id, unsigned int count, u8 access)
{
    struct memobj_object *object = page->object;
    struct memobj_message *message = &page->ask;

    page->users++;
    message->id = id;
    message->words = 5;
    message->word[0] = object->incarnation;
    message->word[1] = page->sequence;
    message->word[2] = (u64)page->index << PAGE_SHIFT;
    message->word[3] = (u64)count << PAGE_SHIFT;
    message->word[4] = access;
    message->sent = asked;
    memobj_send(object, message);
}

static struct memobj_ahead *ahead_of(struct memobj_object *object, u8 access)
{
    return access & ACCESS_WRITE ? &object->writing : &object->reading;
}

// How many pages a request for this one may be for: more and more when faults go through the object
// in order.
static unsigned int may_be_for(const struct memobj_page *page, const struct memobj_ahead *ahead)
{
    if (page->index != ahead->next || page->index == 0)
        return 1;
    return min(max(ahead->pages, 1u) * 2, (unsigned int)MEMOBJ_AHEAD_PAGES);
}

// Pages behind this one that are neither there nor asked for become part of its request. Returns
// how many it is in all.
static unsigned int take_along(struct memobj_page *page, struct memobj_ahead *ahead)
{
    struct memobj_object *object = page->object;
    pgoff_t index = page->index;
    unsigned int count = 1;

    ahead->pages = may_be_for(page, ahead);
    while (count < ahead->pages) {
        struct memobj_page *next = xa_load(&object->pages, index + count);

        // Its record and memory were made before, or it is not for now.
        if (next == NULL || next->folio == NULL || next->valid || next->sequence != 0 ||
            next->taking || next->writing || !list_empty(&next->back.link))
            break;
        next->sequence = page->sequence;
        next->first = index;
        next->unlocking = false;
        count++;
    }
    ahead->next = index + count;
    return count;
}

// Records and memory for what may be wanted next.
static void prepare_ahead(struct memobj_page *page, const struct memobj_ahead *ahead)
{
    struct memobj_object *object = page->object;
    loff_t size = i_size_read(object->inode);
    unsigned int count = may_be_for(page, ahead);

    for (unsigned int i = 1; i < count; i++) {
        struct memobj_page *next;

        if (((loff_t)(page->index + i) << PAGE_SHIFT) >= size || !memobj_is_room())
            return;
        next = memobj_page_get(object, page->index + i);
        if (next == NULL)
            return;
        if (next->folio == NULL && !next->valid && next->sequence == 0)
            (void)memobj_page_fill(next, GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN);
        memobj_page_put(next);
    }
}

static bool may_ask(const struct memobj_page *page, u8 access)
{
    return page->sequence == 0 && !page->taking && list_empty(&page->back.link) &&
           (!page->valid || (page->lock & access) != 0) && page->object->error == 0 &&
           list_empty(&page->ask.link);
}

int memobj_page_ask(struct memobj_page *page, u8 access)
{
    struct memobj_object *object = page->object;
    struct memobj_ahead *ahead = ahead_of(object, access);
    int error = 0;

    if (!may_ask(page, access))
        return 0;
    if (page->folio == NULL) {
        error = memobj_page_fill(page, GFP_KERNEL);
        if (error != 0 || page->folio == NULL)
            return error;
    }
    if (!page->valid)
        prepare_ahead(page, ahead);
    // Both may have slept.
    if (!may_ask(page, access) || page->folio == NULL)
        return 0;
    page->sequence = ++object->sequence;
    page->first = page->index;
    page->unlocking = page->valid;
    if (page->valid) {
        object->counts.unlocks++;
        send_ask(page, MESSAGE_pager_data_unlock, 1, access);
    } else {
        object->counts.requests++;
        send_ask(page, MESSAGE_pager_data_request, take_along(page, ahead), access);
    }
    return 0;
}

static bool changed(const struct memobj_page *page, u8 access, unsigned int errors)
{
    return memobj_page_usable(page, access) || page->errors != errors || may_ask(page, access) ||
           page->object->error != 0;
}

int memobj_page_await(struct memobj_page *page, u8 access)
{
    unsigned int errors = page->errors;
    long left = (long)(PAGER_REQUEST_LIMIT / NSEC_PER_SEC * HZ);
    int error = 0;

    page->waiting++;
    while (error == 0 && !memobj_page_usable(page, access)) {
        if (page->errors != errors || page->object->error != 0)
            error = -EIO;
        else if (page->folio == NULL)
            error = memobj_room();
        if (error == 0)
            error = memobj_page_ask(page, access);
        if (error == 0 && left <= 0) {
            page->object->counts.timed_out++;
            error = -ETIMEDOUT;
        }
        if (error == 0) {
            left = wait_event_killable_timeout(page->wait, changed(page, access, errors), left);
            if (left < 0)
                error = -EINTR;
        }
    }
    page->waiting--;
    if (error != 0 && page->waiting == 0)
        memobj_page_used(page, 0);
    return error;
}

// --- Taking away --------------------------------------------------------------------------

static void wrote(struct memobj_object *object, struct memobj_message *message, int error)
{
    struct memobj_page *page = container_of(message, struct memobj_page, back);

    if (error == ERR_OK)
        object->counts.written++;
    else
        mapping_set_error(object->inode->i_mapping, -EIO);
    page->writing = false;
    memobj_back_total--;
    memobj_room_made();
    wake_up_all(&page->wait);
    memobj_page_put(page);
}

// The data go back, now or with those of neighbours; `page->back` is free.
static void send_back(struct memobj_page *page, u64 sequence, bool kept)
{
    struct memobj_message *message = &page->back;

    if (memobj_run_add(page, sequence, kept))
        return;
    page->users++;
    page->writing = kept;
    memobj_back_total++;
    folio_get(page->folio);
    message->folio = page->folio;
    message->data = folio_address(page->folio);
    message->bytes = PAGE_SIZE;
    message->id = MESSAGE_pager_data_write;
    message->words = 5;
    message->word[0] = page->object->incarnation;
    message->word[1] = sequence;
    message->word[2] = (u64)page->index << PAGE_SHIFT;
    message->word[3] = kept;
    message->word[4] = page->changed;
    message->sent = wrote;
    page->changed = false;
    memobj_send(page->object, message);
}

// References beyond those of the page cache, the record, mappings.
static bool is_pinned(const struct memobj_page *page)
{
    return folio_ref_count(page->folio) > 2 + folio_mapcount(page->folio);
}

// Whether those who use the page without mapping it have let go of it, or had time enough.
static bool is_free(struct memobj_page *page)
{
    if (!is_pinned(page))
        return true;
    if (ktime_get_ns() - page->taken_since < MEMOBJ_PIN_LIMIT)
        return false;
    page->object->counts.pinned++;
    return true;
}

static bool begin_taking(struct memobj_page *page)
{
    if (page->writing || !list_empty(&page->back.link) || !folio_trylock(page->folio))
        return false;
    if (!page->taking) {
        page->taking = true;
        page->taken_since = ktime_get_ns();
    }
    return true;
}

void memobj_page_leave(struct memobj_page *page)
{
    page->taking = false;
    wake_up_all(&page->wait);
}

static void remove(struct memobj_page *page)
{
    struct folio *folio = page->folio;

    memobj_age_remove(page);
    page->folio = NULL;
    page->valid = page->changed = page->precious = false;
    page->lock = 0;
    page->hold_until = 0;
    page->object->page_count--;
    filemap_remove_folio(folio);
    folio_unlock(folio);
    folio_put(folio);
    memobj_page_leave(page);
    memobj_room_made();
}

bool memobj_page_drop(struct memobj_page *page, u64 sequence)
{
    bool unmapped;

    if (!begin_taking(page))
        return false;
    page->users++; // what follows may sleep
    try_to_unmap(page->folio, TTU_IGNORE_MLOCK);
    unmapped = !folio_mapped(page->folio) && is_free(page);
    if (!unmapped) {
        folio_unlock(page->folio);
    } else {
        if (page->valid && (page->changed || page->precious))
            send_back(page, sequence, false);
        remove(page);
    }
    memobj_page_put(page);
    return unmapped;
}

bool memobj_page_forget(struct memobj_page *page)
{
    page->valid = page->changed = page->precious = false;
    page->taking = true;
    page->taken_since = 0; // nobody is waited for
    return !page->writing && list_empty(&page->back.link) && memobj_page_drop(page, 0);
}

bool memobj_page_restrict(struct memobj_page *page, u8 lock, u64 sequence, bool sends_back)
{
    u8 less = lock & ~page->lock;
    bool done = true;

    sends_back = sends_back && (page->changed || page->precious);
    if (less == 0 && !sends_back) {
        page->lock = lock;
        wake_up_all(&page->wait);
        return true;
    }
    if (!begin_taking(page))
        return false;
    page->users++;
    if (less & ACCESS_READ)
        try_to_unmap(page->folio, TTU_IGNORE_MLOCK);
    else
        (void)folio_mkclean(page->folio);
    done = !(less & ACCESS_READ && folio_mapped(page->folio)) && is_free(page);
    if (done) {
        page->lock = lock;
        if (sends_back)
            send_back(page, sequence, true);
        memobj_page_leave(page);
    }
    folio_unlock(page->folio);
    memobj_page_put(page);
    return done;
}
