// SPDX-License-Identifier: GPL-2.0-only
// What a pager asks for: that pages be dropped, sent back, or used less. Those that cannot be done
// at once wait, and later ones about the same pages with them; about others they go on.
#include "memobj.h"

#include <corvus/pager_services.h>

#include <linux/ktime.h>
#include <linux/slab.h>

#define AGAIN_NS 1000000 // a page that is in use is looked at again after that

static bool decode(struct memobj_request *request, u32 id, const u64 *words)
{
    bool locks = id == MESSAGE_pager_data_lock;
    u64 offset = words[2], length = words[3];

    request->id = id;
    request->sequence = words[1];
    request->offset = offset;
    request->length = length;
    if (locks) {
        if (words[4] & ~(u64)ACCESS_ALL || words[5] & ~(u64)(PAGER_RETURN | PAGER_COMPLETE))
            return false;
        request->lock = (u8)words[4];
        request->sends_back = words[5] & PAGER_RETURN;
    }
    request->completes = !locks || words[5] & PAGER_COMPLETE;
    if (!locks && offset == 0 && length == 0)
        length = MAX_LFS_FILESIZE & PAGE_MASK;
    request->first = offset >> PAGE_SHIFT;
    request->last = (offset + length - 1) >> PAGE_SHIFT;
    request->next = request->first;
    return words[1] & PAGER_SEQUENCE_OWN && offset % PAGE_SIZE == 0 && length % PAGE_SIZE == 0 &&
           length != 0 && offset <= MAX_LFS_FILESIZE && length <= MAX_LFS_FILESIZE - offset;
}

bool memobj_request_add(struct memobj_object *object, u32 id, const u64 *words)
{
    struct memobj_request *request;

    if (object->request_count >= MEMOBJ_REQUESTS_MAX)
        return false;
    request = kzalloc(sizeof *request, GFP_KERNEL | __GFP_NOFAIL);
    INIT_LIST_HEAD(&request->completed.link);
    if (!decode(request, id, words)) {
        kfree(request);
        return false;
    }
    list_add_tail(&request->link, &object->requests);
    object->request_count++;
    memobj_care(object);
    return true;
}

// --- Work ---------------------------------------------------------------------------------

static bool apply(struct memobj_request *request, struct memobj_page *page)
{
    switch (request->id) {
    case MESSAGE_pager_flush_request:
        return memobj_page_drop(page, request->sequence);
    case MESSAGE_pager_clean_request:
        return !page->changed || memobj_page_restrict(page, page->lock, request->sequence, true);
    default:
        return memobj_page_restrict(page, request->lock, request->sequence, request->sends_back);
    }
}

// When it can be looked at again; 0: it is done with.
static u64 work_page(struct memobj_request *request, struct memobj_page *page)
{
    u64 now = ktime_get_ns();
    bool takes_nothing = request->id == MESSAGE_pager_data_lock && request->lock == 0;

    if (!page->valid)
        return 0;
    if (page->hold_until > now && !takes_nothing)
        return page->hold_until;
    return apply(request, page) ? 0 : now + AGAIN_NS;
}

static bool overlaps_earlier(struct memobj_object *object, const struct memobj_request *request)
{
    const struct memobj_request *earlier = NULL;

    list_for_each_entry(earlier, &object->requests, link)
    {
        if (earlier == request)
            return false;
        if (earlier->first <= request->last && request->first <= earlier->last)
            return true;
    }
    return false;
}

static void completed(struct memobj_object *object, struct memobj_message *message, int error)
{
    kfree(container_of(message, struct memobj_request, completed));
}

static u64 held(struct memobj_object *object, const struct memobj_request *request)
{
    u64 bits = 0;

    for (unsigned int i = 0; i < 64 && request->first + i <= request->last; i++) {
        const struct memobj_page *page = xa_load(&object->pages, request->first + i);

        if (page != NULL && page->valid)
            bits |= 1ull << i;
    }
    return bits;
}

static void finish(struct memobj_object *object, struct memobj_request *request)
{
    struct memobj_message *message = &request->completed;

    list_del(&request->link);
    object->request_count--;
    if (!request->completes || object->error != 0) {
        kfree(request);
        return;
    }
    message->id = MESSAGE_pager_lock_completed;
    message->words = 5;
    message->word[0] = object->incarnation;
    message->word[1] = request->sequence;
    message->word[2] = request->offset;
    message->word[3] = request->length;
    message->word[4] = held(object, request);
    message->sent = completed;
    memobj_send(object, message);
}

// Goes through its pages; the first that cannot be done stops it, until then. 0: all are done.
static u64 work_pages(struct memobj_object *object, struct memobj_request *request)
{
    struct memobj_page *page = NULL;
    unsigned long index = request->next;

    xa_for_each_range(&object->pages, index, page, request->next, request->last)
    {
        u64 until = work_page(request, page);

        if (until != 0) {
            request->next = index;
            return until;
        }
        cond_resched();
    }
    return 0;
}

static u64 work(struct memobj_object *object, struct memobj_request *request)
{
    u64 until;

    object->gathered = request->first != request->last ? request->sequence : 0;
    until = work_pages(object, request);
    object->gathered = 0;
    memobj_run_end(object);
    if (until == 0)
        finish(object, request);
    return until;
}

static u64 earlier_of(u64 one, u64 other)
{
    return one == 0 || (other != 0 && other < one) ? other : one;
}

u64 memobj_requests_work(struct memobj_object *object)
{
    struct memobj_request *request = NULL, *next = NULL;
    u64 until = 0;

    list_for_each_entry_safe(request, next, &object->requests, link)
    {
        if (!overlaps_earlier(object, request))
            until = earlier_of(until, work(object, request));
    }
    return until;
}

void memobj_requests_drop(struct memobj_object *object)
{
    struct memobj_request *request = NULL, *next = NULL;

    list_for_each_entry_safe(request, next, &object->requests, link)
    {
        finish(object, request);
    }
}
