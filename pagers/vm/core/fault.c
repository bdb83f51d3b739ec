// SPDX-License-Identifier: BSD-2-Clause
// Page faults: what a fault needs is found, made, or asked for; a fault that had to wait is tried
// from the beginning when what it waited for has changed, since by then anything may have.
#include "private.h"

#include <string.h>

// What one attempt at a fault came to.
enum outcome { DONE, WAITS };

// --- Waiting ---------------------------------------------------------------------------------

static void make_ready(struct vm_core *core, struct vm_fault *fault)
{
    fault->next = NULL;
    *core->ready_last = fault;
    core->ready_last = &fault->next;
}

void fault_wake(struct vm_core *core, struct vm_fault *fault, corvus_error_t error)
{
    fault->error = error;
    fault->waits_for_memory = false;
    make_ready(core, fault);
}

void fault_wake_for_memory(struct vm_core *core)
{
    for (struct vm_fault *fault = core->faults; fault != NULL; fault = fault->all_next)
        if (fault->waits_for_memory)
            fault_wake(core, fault, ERR_OK);
}

static void note_waiting(struct vm_core *core, struct vm_fault *fault, uint64_t limit)
{
    if (fault->deadline == VM_NEVER)
        fault->deadline = limit < VM_NEVER - core->now ? core->now + limit : VM_NEVER;
    if (fault->waits)
        return;
    fault->waits = true;
    fault->all_previous = NULL;
    fault->all_next = core->faults;
    if (core->faults != NULL)
        core->faults->all_previous = fault;
    core->faults = fault;
}

static enum outcome wait_for_page(struct vm_core *core, struct vm_fault *fault,
                                  struct vm_page *page)
{
    fault->waiting_for = page;
    fault->waiter_next = page->waiters;
    page->waiters = fault;
    note_waiting(core, fault, page->object->limit);
    return WAITS;
}

static enum outcome wait_for_memory(struct vm_core *core, struct vm_fault *fault)
{
    core->counters.waited_for_memory++;
    fault->waits_for_memory = true;
    note_waiting(core, fault, PAGER_REQUEST_LIMIT);
    return WAITS;
}

// Out of all lists.
static void forget_fault(struct vm_core *core, struct vm_fault *fault)
{
    if (fault->waiting_for != NULL) {
        struct vm_fault **link = &fault->waiting_for->waiters;
        while (*link != fault)
            link = &(*link)->waiter_next;
        *link = fault->waiter_next;
        fault->waiting_for = NULL;
    }
    fault->waits_for_memory = false;
    if (!fault->waits)
        return;
    *(fault->all_previous != NULL ? &fault->all_previous->all_next : &core->faults) =
        fault->all_next;
    if (fault->all_next != NULL)
        fault->all_next->all_previous = fault->all_previous;
    fault->waits = false;
}

static enum outcome finish(struct vm_core *core, struct vm_fault *fault, corvus_error_t error,
                           struct vm_page *page, uint64_t access)
{
    struct vm_object *held = fault->held;

    forget_fault(core, fault);
    if (error != ERR_OK)
        core->counters.errors++;
    fault->held = NULL;
    fault->done(core, fault, error, page, access);
    if (held != NULL)
        vm_object_release(core, held);
    return DONE;
}

// --- What a page needs -------------------------------------------------------------------------

// A page that is with the pager is asked for; one that is forbidden is asked to be unlocked.
static enum outcome ask(struct vm_core *core, struct vm_fault *fault, struct vm_page *page,
                        uint64_t access)
{
    struct vm_object *object = page->object;
    bool unlock = page->state == VM_RESIDENT;

    if (page->sequence == 0) {
        struct vm_message message = {
            .kind = unlock ? VM_DATA_UNLOCK : VM_DATA_REQUEST,
            .sequence = ++object->last_sequence,
            .offset = page->index * PAGE_BYTES,
            .length = PAGE_BYTES,
            .access = access,
        };
        page->sequence = message.sequence;
        page->unlocking = unlock;
        object->pending++;
        *(unlock ? &core->counters.unlocks : &core->counters.requests) += 1;
        // Waiting first: the answer may be there before this returns.
        enum outcome outcome = wait_for_page(core, fault, page);
        object_send(core, object, &message);
        return outcome;
    }
    return wait_for_page(core, fault, page);
}

// Whether a frame may be taken for a fault.
static bool frame_left(struct vm_core *core, unsigned frames)
{
    evict(core);
    return core->free_count >= frames;
}

static enum outcome bring_in(struct vm_core *core, struct vm_fault *fault, struct vm_object *object,
                             uint64_t index, struct vm_page *page)
{
    if (object->pending >= OBJECT_PENDING_MAX)
        return finish(core, fault, ERR_NO_MEMORY, NULL, 0);
    if (!frame_left(core, 1))
        return wait_for_memory(core, fault);
    // A page that was with the pager gets a frame by being made anew; nobody can wait for it.
    if (page != NULL)
        page_destroy(core, page);
    page = page_create(core, object, index, VM_PENDING);
    if (page == NULL)
        return finish(core, fault, ERR_NO_MEMORY, NULL, 0);
    return ask(core, fault, page, fault->access);
}

// --- Copy on write -----------------------------------------------------------------------------

static struct vm_page *copy_page(struct vm_core *core, struct vm_object *to, struct vm_page *from)
{
    struct vm_page *page = page_create(core, to, from->index, VM_RESIDENT);

    if (page == NULL)
        return NULL;
    memcpy(page_bytes(core, page), page_bytes(core, from), PAGE_BYTES);
    page->changed = true;
    return page;
}

static bool copy_lacks(const struct vm_core *core, const struct vm_object *object, uint64_t index)
{
    return object->copy != NULL && page_find(core, object->copy, index) == NULL;
}

// Makes *found a page of `object` itself that may be written to. False: there is no memory.
static bool make_writable(struct vm_core *core, struct vm_object *object, struct vm_page **found)
{
    struct vm_page *page = *found;
    bool own = page->object == object;
    bool push = copy_lacks(core, object, page->index);

    if (own && !push)
        return true;
    page->wired++; // must stay while room is made
    bool room = frame_left(core, own ? 1 : 1 + push);
    page->wired--;
    if (!room)
        return false;
    // Others may see the old page in the place of the new one, or as the copy's.
    page_restrict(core, page, ACCESS_ALL);
    if (push) {
        if (copy_page(core, object->copy, page) == NULL)
            return false;
        core->counters.pushed++;
    }
    if (own)
        return true;
    struct vm_page *copy = copy_page(core, object, page);
    if (copy == NULL)
        return false;
    core->counters.copied++;
    *found = copy;
    return true;
}

// --- One attempt -------------------------------------------------------------------------------

static enum outcome zero_fill(struct vm_core *core, struct vm_fault *fault,
                              struct vm_object *object, uint64_t index, struct vm_page **page)
{
    if (!frame_left(core, 1))
        return wait_for_memory(core, fault);
    *page = page_create(core, object, index, VM_RESIDENT);
    if (*page == NULL)
        return finish(core, fault, ERR_NO_MEMORY, NULL, 0);
    memset(page_bytes(core, *page), 0, PAGE_BYTES);
    core->counters.zero_filled++;
    return DONE;
}

// Finds the page in the object or what it shadows. *found NULL: the fault waits or is over.
static enum outcome find_page(struct vm_core *core, struct vm_fault *fault,
                              struct vm_object *object, uint64_t index, struct vm_page **found)
{
    struct vm_object *at = object;

    *found = NULL;
    for (;;) {
        struct vm_page *page = page_find(core, at, index);
        if (at->refused != ERR_OK)
            return finish(core, fault, at->refused, NULL, 0);
        if (page != NULL && page->state == VM_RESIDENT) {
            *found = page;
            return DONE;
        }
        if (page != NULL && page->state == VM_PENDING)
            return wait_for_page(core, fault, page);
        if (page != NULL)
            return bring_in(core, fault, at, index, page);
        if (at->shadow == NULL)
            break;
        at = at->shadow;
    }
    if (at->kind == VM_EXTERNAL)
        return bring_in(core, fault, at, index, NULL);
    return zero_fill(core, fault, object, index, found);
}

// The object and page that the fault is about. OK: *most is the access that it may get.
static corvus_error_t locate(struct vm_core *core, struct vm_fault *fault,
                             struct vm_object **object, uint64_t *index, uint64_t *most)
{
    if (fault->map == NULL) {
        *object = fault->object;
        *index = fault->index;
        *most = ACCESS_ALL;
        return ERR_OK;
    }
    struct vm_entry *entry = vm_map_entry(fault->map, fault->address);
    if (entry == NULL)
        return ERR_NOT_MAPPED;
    if ((fault->access & ~(uint64_t)entry->access) != 0)
        return ERR_ACCESS_DENIED;
    if (entry->object == NULL)
        entry->object = vm_object_create(core, VM_INTERNAL, PAGER_REQUEST_LIMIT);
    if (entry->object == NULL)
        return ERR_NO_MEMORY;
    *object = entry->object;
    *index = page_index(fault->address - entry->start + entry->offset);
    *most = entry->access;
    return ERR_OK;
}

static void hold(struct vm_core *core, struct vm_fault *fault, struct vm_object *object)
{
    if (fault->held == object)
        return;
    vm_object_hold(object);
    if (fault->held != NULL)
        vm_object_release(core, fault->held);
    fault->held = object;
}

static enum outcome attempt(struct vm_core *core, struct vm_fault *fault)
{
    struct vm_object *object;
    struct vm_page *page;
    uint64_t index, most;
    bool write = (fault->access & ACCESS_WRITE) != 0;
    corvus_error_t error = fault->error;

    if (error == ERR_OK)
        error = locate(core, fault, &object, &index, &most);
    if (error != ERR_OK)
        return finish(core, fault, error, NULL, 0);
    hold(core, fault, object);
    enum outcome outcome = find_page(core, fault, object, index, &page);
    if (page == NULL)
        return outcome;
    bool own = page->object == object;
    uint64_t needed = own ? fault->access : fault->access & ~(uint64_t)ACCESS_WRITE;
    if (!own)
        needed |= ACCESS_READ;
    if ((page->lock & needed) != 0)
        return ask(core, fault, page, needed);
    // What is on its way must arrive as it was.
    if (write && own && core->frames[page->frame].in_flight != 0)
        return wait_for_page(core, fault, page);
    if (write && !make_writable(core, object, &page))
        return wait_for_memory(core, fault);
    own = page->object == object;
    if (!own || copy_lacks(core, object, index) || core->frames[page->frame].in_flight != 0)
        most &= ~(uint64_t)ACCESS_WRITE;
    most &= ~(uint64_t)page->lock;
    if ((most & ACCESS_WRITE) != 0)
        page->writable = true;
    return finish(core, fault, ERR_OK, page, most);
}

// --- Entry ---------------------------------------------------------------------------------------

void run(struct vm_core *core)
{
    if (core->running)
        return;
    core->running = true;
    while (core->ready != NULL) {
        struct vm_fault *fault = core->ready;
        core->ready = fault->next;
        if (core->ready == NULL)
            core->ready_last = &core->ready;
        (void)attempt(core, fault);
    }
    core->running = false;
}

void vm_fault_start(struct vm_core *core, struct vm_fault *fault)
{
    core->counters.faults++;
    fault->held = NULL;
    fault->waiting_for = NULL;
    fault->waits = fault->waits_for_memory = false;
    fault->error = ERR_OK;
    fault->deadline = VM_NEVER;
    make_ready(core, fault);
    run(core);
}

static void unready(struct vm_core *core, struct vm_fault *fault)
{
    struct vm_fault **link = &core->ready;

    while (*link != NULL && *link != fault)
        link = &(*link)->next;
    if (*link == NULL)
        return;
    *link = fault->next;
    if (fault->next == NULL)
        core->ready_last = link;
}

void vm_fault_cancel(struct vm_core *core, struct vm_fault *fault, corvus_error_t error)
{
    unready(core, fault);
    (void)finish(core, fault, error, NULL, 0);
}

void faults_cancel(struct vm_core *core, const struct vm_map *map, corvus_error_t error)
{
    struct vm_fault *fault = core->faults;

    while (fault != NULL) {
        if (fault->map == map) {
            vm_fault_cancel(core, fault, error);
            fault = core->faults; // the list may have changed
        } else {
            fault = fault->all_next;
        }
    }
}

// --- Time ----------------------------------------------------------------------------------------

void vm_tick(struct vm_core *core, uint64_t now)
{
    core->now = now;
    for (struct vm_fault *fault = core->faults, *next; fault != NULL; fault = next) {
        next = fault->all_next;
        if (fault->deadline > now)
            continue;
        core->counters.timed_out++;
        vm_fault_cancel(core, fault, fault->waits_for_memory ? ERR_NO_MEMORY : ERR_TIMED_OUT);
        next = core->faults;
    }
    evict(core);
    run(core);
}

uint64_t vm_next_deadline(const struct vm_core *core)
{
    uint64_t deadline = VM_NEVER;

    for (const struct vm_fault *fault = core->faults; fault != NULL; fault = fault->all_next) {
        if (fault->deadline < deadline)
            deadline = fault->deadline;
        if (fault->waits_for_memory && frames_may_grow(core) && core->grow_after < deadline)
            deadline = core->grow_after;
        if (fault->waits_for_memory && core->evict_after < deadline)
            deadline = core->evict_after;
    }
    return deadline;
}
