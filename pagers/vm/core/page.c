// SPDX-License-Identifier: BSD-2-Clause
// Pages, the hash by which they are found, and the queue in which they wait for eviction.
#include "private.h"

#include <stdlib.h>

// --- Their frames --------------------------------------------------------------------------------

void vm_frame_sent(struct vm_core *core, uint32_t number)
{
    struct vm_frame *frame = &core->frames[number];

    frame->in_flight--;
    if (frame->page != NULL) {
        page_wake(core, frame->page, ERR_OK);
    } else if (frame->in_flight == 0) {
        core->laundry--;
        frame_put(core, number);
    }
    run(core);
}

void page_drop_frame(struct vm_core *core, struct vm_page *page)
{
    struct vm_frame *frame;

    if (page->frame == VM_FRAME_NONE)
        return;
    page_unqueue(core, page);
    frame = &core->frames[page->frame];
    frame->page = NULL;
    if (frame->in_flight == 0)
        frame_put(core, page->frame);
    else
        core->laundry++;
    page->frame = VM_FRAME_NONE;
}

void *page_bytes(struct vm_core *core, const struct vm_page *page)
{
    return core->environment->frame_bytes(core->context, page->frame);
}

void page_restrict(struct vm_core *core, struct vm_page *page, uint64_t access)
{
    bool accessed, written;

    core->environment->frame_restrict(core->context, page->frame, access, &accessed, &written);
    page->changed |= written;
    if ((access & (ACCESS_READ | ACCESS_WRITE)) != 0)
        page->writable = false;
}

// --- The queue --------------------------------------------------------------------------------

void page_unqueue(struct vm_core *core, struct vm_page *page)
{
    if (!page->queued)
        return;
    *(page->queue_previous != NULL ? &page->queue_previous->queue_next : &core->queue_first) =
        page->queue_next;
    *(page->queue_next != NULL ? &page->queue_next->queue_previous : &core->queue_last) =
        page->queue_previous;
    page->queued = false;
}

void page_to_end(struct vm_core *core, struct vm_page *page)
{
    page_unqueue(core, page);
    page->queue_next = NULL;
    page->queue_previous = core->queue_last;
    *(core->queue_last != NULL ? &core->queue_last->queue_next : &core->queue_first) = page;
    core->queue_last = page;
    page->queued = true;
}

// --- Pages ------------------------------------------------------------------------------------

static struct vm_page **bucket(const struct vm_core *core, const struct vm_object *object,
                               uint64_t index)
{
    uint64_t key = ((uint64_t)(uintptr_t)object >> 6) * 0x9e3779b97f4a7c15ull + index;

    return &core->hash[(key * 0xff51afd7ed558ccdull >> 32) & core->hash_mask];
}

struct vm_page *page_find(const struct vm_core *core, const struct vm_object *object,
                          uint64_t index)
{
    struct vm_page *page = *bucket(core, object, index);

    while (page != NULL && (page->object != object || page->index != index))
        page = page->hash_next;
    return page;
}

static void link_page(struct vm_core *core, struct vm_page *page, struct vm_object *object)
{
    struct vm_page **place = bucket(core, object, page->index);

    page->object = object;
    page->hash_next = *place;
    *place = page;
    page->object_previous = NULL;
    page->object_next = object->pages;
    if (object->pages != NULL)
        object->pages->object_previous = page;
    object->pages = page;
    object->page_count++;
}

static void unlink_page(struct vm_core *core, struct vm_page *page)
{
    struct vm_page **place = bucket(core, page->object, page->index);

    while (*place != page)
        place = &(*place)->hash_next;
    *place = page->hash_next;
    *(page->object_previous != NULL ? &page->object_previous->object_next : &page->object->pages) =
        page->object_next;
    if (page->object_next != NULL)
        page->object_next->object_previous = page->object_previous;
    page->object->page_count--;
}

struct vm_page *page_create(struct vm_core *core, struct vm_object *object, uint64_t index,
                            enum vm_page_state state)
{
    struct vm_page *page;

    if (core->free_count == 0 || (page = calloc(1, sizeof *page)) == NULL)
        return NULL;
    page->frame = frame_take(core);
    core->frames[page->frame].page = page;
    page->index = index;
    page->state = state;
    link_page(core, page, object);
    page_to_end(core, page);
    core->page_count++;
    return page;
}

void page_move(struct vm_core *core, struct vm_page *page, struct vm_object *object)
{
    unlink_page(core, page);
    link_page(core, page, object);
}

void page_wake(struct vm_core *core, struct vm_page *page, corvus_error_t error)
{
    struct vm_fault *fault;

    while ((fault = page->waiters) != NULL) {
        page->waiters = fault->waiter_next;
        fault->waiting_for = NULL;
        fault_wake(core, fault, error);
    }
}

void page_destroy(struct vm_core *core, struct vm_page *page)
{
    request_over(page);
    page_wake(core, page, ERR_OK);
    page_drop_frame(core, page);
    unlink_page(core, page);
    core->page_count--;
    free(page);
}

// --- The core -----------------------------------------------------------------------------------

bool vm_core_open(struct vm_core *core, const struct vm_environment *environment, void *context,
                  uint32_t frames)
{
    uint64_t buckets = 64;

    while (buckets < frames)
        buckets *= 2;
    *core = (struct vm_core){
        .environment = environment,
        .context = context,
        .hash = calloc(buckets, sizeof(struct vm_page *)),
        .hash_mask = buckets - 1,
    };
    core->ready_last = &core->ready;
    if (frames_open(core, frames) && core->hash != NULL)
        return true;
    vm_core_close(core);
    return false;
}

void vm_core_close(struct vm_core *core)
{
    frames_close(core);
    free(core->hash);
    core->hash = NULL;
}
