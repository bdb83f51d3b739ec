// SPDX-License-Identifier: GPL-2.0-only
// What a pager answers to requests. An answer that names no request under way, or more than was
// asked for, is nonsense: it changes nothing and is counted.
#include "memobj.h"

#include <corvus/pager_services.h>

#include <linux/ktime.h>

// --- A request ---------------------------------------------------------------------------

// The page with which the request begins that is answered; NULL: there is none.
static struct memobj_page *asked_page(struct memobj_object *object, u64 sequence, u64 offset)
{
    struct memobj_page *page;

    if (sequence == 0 || offset % PAGE_SIZE != 0)
        return NULL;
    page = xa_load(&object->pages, offset >> PAGE_SHIFT);
    if (page == NULL || page->sequence != sequence || page->first != page->index)
        return NULL;
    return page;
}

static void answered(struct memobj_page *page)
{
    page->users++;
    page->sequence = 0;
    // Whoever waits for it has it for a while.
    page->hold_until = page->waiting != 0 && page->valid ? ktime_get_ns() + MEMOBJ_UNUSED_HOLD : 0;
    wake_up_all(&page->wait);
    memobj_page_put(page);
}

// Calls the function for each page of the request that begins at `index`; `end` is behind the last
// that the answer is about.
static void answer_pages(struct memobj_object *object, pgoff_t index, pgoff_t end, u64 sequence,
                         void (*answer)(struct memobj_page *, const void *), const void *context)
{
    for (pgoff_t at = index; at < index + PAGER_DATA_MAX / PAGE_SIZE; at++) {
        struct memobj_page *page = xa_load(&object->pages, at);

        if (page == NULL || page->sequence != sequence || page->first != index)
            return;
        if (at < end)
            answer(page, context);
        answered(page);
    }
}

// Whether all those pages are of the request.
static bool are_asked(struct memobj_object *object, pgoff_t index, u64 count, u64 sequence)
{
    for (u64 i = 0; i < count; i++) {
        const struct memobj_page *page = xa_load(&object->pages, index + i);

        if (page == NULL || page->sequence != sequence || page->first != index || page->valid)
            return false;
    }
    return true;
}

// --- Data --------------------------------------------------------------------------------

struct provided {
    const u8 *data; // NULL: zeroes
    pgoff_t first;
    u8 lock;
    bool precious;
};

static void provide(struct memobj_page *page, const void *context)
{
    const struct provided *provided = context;
    u8 *memory;

    // Its memory went when the pager took the page away while it was asked for more access.
    if (page->folio == NULL)
        (void)memobj_page_fill(page, GFP_KERNEL | __GFP_NOFAIL);
    if (page->folio == NULL) {
        page->errors++;
        return;
    }
    memory = folio_address(page->folio);
    if (provided->data != NULL)
        memcpy(memory, provided->data + ((page->index - provided->first) << PAGE_SHIFT), PAGE_SIZE);
    else
        memset(memory, 0, PAGE_SIZE);
    folio_mark_uptodate(page->folio);
    page->valid = true;
    page->changed = false;
    page->precious = provided->precious;
    page->lock = provided->lock;
}

// Less than was asked for: the next one that is wanted is the first that did not come.
static void end_short(struct memobj_ahead *ahead, pgoff_t first, pgoff_t end)
{
    if (ahead->next > end && ahead->next <= first + MEMOBJ_AHEAD_PAGES)
        ahead->next = end;
}

static bool data(struct memobj_object *object, const u64 *words, u64 length, u64 lock, u64 flags,
                 const u8 *from)
{
    pgoff_t first = words[2] >> PAGE_SHIFT, end = first + (length >> PAGE_SHIFT);
    struct provided provided = {from, first, lock & ACCESS_ALL, flags & PAGER_PRECIOUS};

    if (asked_page(object, words[1], words[2]) == NULL || length == 0 || length % PAGE_SIZE != 0 ||
        length > PAGER_DATA_MAX || lock & ~(u64)ACCESS_ALL || flags & ~(u64)PAGER_PRECIOUS ||
        !are_asked(object, first, length >> PAGE_SHIFT, words[1]))
        return false;
    answer_pages(object, first, end, words[1], provide, &provided);
    end_short(&object->reading, first, end);
    end_short(&object->writing, first, end);
    return true;
}

// --- Errors and access -----------------------------------------------------------------------

static void fail(struct memobj_page *page, const void *context)
{
    page->errors++;
    page->reason = *(const int *)context;
}

static bool data_error(struct memobj_object *object, const u64 *words)
{
    u64 length = words[3];
    int reason = (int)words[4];

    if (words[4] == ERR_OK || words[4] >= ERR_COUNT)
        return false;
    if (words[1] == 0 && words[2] == 0 && length == 0) {
        memobj_object_fail(object, -EACCES);
        return true;
    }
    if (asked_page(object, words[1], words[2]) == NULL || length == 0 || length % PAGE_SIZE != 0)
        return false;
    object->counts.errors++;
    length = min_t(u64, length, PAGER_DATA_MAX);
    answer_pages(object, words[2] >> PAGE_SHIFT, (words[2] + length) >> PAGE_SHIFT, words[1], fail,
                 &reason);
    return true;
}

// Of a request for more access. When the page has gone meanwhile, who wants it asks again, for
// data.
static bool unlocked(struct memobj_object *object, const u64 *words)
{
    struct memobj_page *page = asked_page(object, words[1], words[2]);

    if (page == NULL || !page->unlocking || words[3] != PAGE_SIZE || words[4] & ~(u64)ACCESS_ALL ||
        words[5] != 0)
        return false;
    if (page->valid)
        page->lock = (u8)words[4];
    else
        object->counts.nonsense++;
    answered(page);
    return true;
}

bool memobj_answer(struct memobj_object *object, u32 id, const u64 *words, const u8 *from,
                   size_t bytes)
{
    switch (id) {
    case MESSAGE_pager_data_provided:
        return data(object, words, bytes, words[3], words[4], from);
    case MESSAGE_pager_data_unavailable:
        return data(object, words, words[3], words[4], words[5], NULL);
    case MESSAGE_pager_data_error:
        return data_error(object, words);
    case MESSAGE_pager_data_lock:
        return unlocked(object, words);
    default:
        return false;
    }
}
