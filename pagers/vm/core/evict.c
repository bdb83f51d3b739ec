// SPDX-License-Identifier: BSD-2-Clause
// Replacement: second chance, by the accessed bits of all mappings of a page. What is evicted has
// left its object at once; its frame is free when its message has gone.
#include "private.h"

void write_back(struct vm_core *core, struct vm_page *page, uint64_t sequence, bool kept)
{
    struct vm_object *object = page->object;
    uint32_t frame = page->frame;
    struct vm_message message = {
        .kind = VM_DATA_WRITE,
        .sequence = sequence,
        .offset = page->index * PAGE_BYTES,
        .length = PAGE_BYTES,
        .kept = kept && page->state == VM_RESIDENT, // PENDING: only its frame stays
        .changed = page->changed,
        .frame = frame,
    };

    // It stays precious: whether the pager keeps what it is sent is the pager's affair.
    page->changed = false;
    core->frames[frame].in_flight++;
    core->counters.paged_out++;
    if (!kept && object->kind == VM_INTERNAL) {
        page->state = VM_PAGED;
        page_drop_frame(core, page);
    } else if (!kept) {
        page_destroy(core, page);
    }
    object_send(core, object, &message);
}

// How long there is no pager, before one is looked for again.
#define PAGER_RETRY 1000000000ull // nanoseconds

// What may go: nobody waits for it or has it wired, and it can come back.
static bool evictable(struct vm_core *core, struct vm_page *page)
{
    if (page->state != VM_RESIDENT || page->wired != 0 || page->sequence != 0 ||
        core->frames[page->frame].in_flight != 0)
        return false;
    if (object_pager(core, page->object))
        return true;
    core->evict_after = core->now + PAGER_RETRY;
    return false;
}

static void evict_page(struct vm_core *core, struct vm_page *page)
{
    page_restrict(core, page, ACCESS_ALL);
    core->counters.evicted++;
    // An internal page that its pager has already is not sent again.
    if (page->changed || page->precious) {
        write_back(core, page, 0, false);
    } else if (page->object->kind == VM_INTERNAL) {
        page->state = VM_PAGED;
        page_drop_frame(core, page);
    } else {
        page_destroy(core, page);
    }
}

void evict(struct vm_core *core)
{
    uint64_t looks = 2ull * core->page_count;

    core->evict_after = VM_NEVER;
    if (core->free_count >= core->low)
        return;
    frames_grow(core);
    while (core->free_count + core->laundry < core->target && looks-- > 0 &&
           core->queue_first != NULL) {
        struct vm_page *page = core->queue_first;
        bool accessed, written;
        page_to_end(core, page);
        if (!evictable(core, page))
            continue;
        core->environment->frame_restrict(core->context, page->frame, 0, &accessed, &written);
        page->changed |= written;
        if (accessed)
            core->counters.second_chances++;
        else
            evict_page(core, page);
    }
}
