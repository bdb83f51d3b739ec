// SPDX-License-Identifier: BSD-2-Clause
// Memory items of a message: COPY, MAP, GRANT. First all are checked and every
// page brought in; then bytes are copied, in steps; then pages are mapped, all
// or none.
#include "message.h"

#include "cpu.h"
#include "fault.h"
#include "mapping.h"
#include "x86/memory.h"
#include "x86/paging.h"

// Bytes of a COPY between two looks at the interrupts.
#define COPY_STEP 8192u

// --- COPY -------------------------------------------------------------------

// Checks that each page of a user range can be accessed. False: *missing is the
// first address that cannot.
static bool pages_present(struct task *task, uint64_t address, uint64_t length, uint32_t access,
                          uint64_t *missing)
{
    uint64_t page = address & ~(PAGE_BYTES - 1);

    for (; page < address + length; page += PAGE_BYTES) {
        if (!space_translate(task, page, access)) {
            *missing = page > address ? page : address;
            return false;
        }
    }
    return true;
}

static bool user_range(uint64_t address, uint64_t length)
{
    return length <= USER_END && address <= USER_END - length;
}

// The page is mapped as wanted, but memory of the kernel's own or of a device:
// its pager could not help.
static bool is_out_of_reach(struct task *task, uint64_t address, uint32_t access)
{
    uint32_t has;

    return space_page_bytes(task, address & ~(PAGE_BYTES - 1), &has) && !(access & ~has);
}

// Lengths, ranges and buffers of all COPY items, then the pages on both sides.
static enum delivery check_copies(struct thread *sender, struct thread *receiver, unsigned items,
                                  corvus_error_t *error)
{
    uint64_t total = 0;

    for (unsigned i = 0; i < items; i++) {
        const struct message_item *item = &sender->utcb->items[i];
        const struct message_buffer *buffer = &receiver->utcb->copy_buffers[i];
        uint64_t missing;

        if (item->kind != ITEM_COPY || item->length == 0)
            continue;
        *error = ERR_TOO_LARGE;
        if (item->length > MESSAGE_COPY_MAX || (total += item->length) > MESSAGE_COPY_MAX ||
            item->length > buffer->length)
            return DELIVERY_SENDER_FAILED;
        *error = ERR_INVALID_RANGE;
        if (!user_range(item->address, item->length))
            return DELIVERY_SENDER_FAILED;
        if (!user_range(buffer->address, item->length))
            return DELIVERY_RECEIVER_FAILED;
        *error = ERR_FAULT;
        if (!pages_present(sender->task, item->address, item->length, ACCESS_READ, &missing))
            return !is_out_of_reach(sender->task, missing, ACCESS_READ) &&
                           fault_raise_for_message(sender, missing, ACCESS_READ, true)
                       ? DELIVERY_SENDER_FAULTS
                       : DELIVERY_SENDER_FAILED;
        if (!pages_present(receiver->task, buffer->address, item->length, ACCESS_WRITE, &missing)) {
            if (receiver->state == THREAD_CALLING ||
                is_out_of_reach(receiver->task, missing, ACCESS_WRITE) ||
                !fault_raise_for_message(receiver, missing, ACCESS_WRITE, false))
                return DELIVERY_RECEIVER_FAILED;
            return DELIVERY_RECEIVER_FAULTS;
        }
    }
    return DELIVERED;
}

// Copies up to `length` bytes, both sides within one page, page by page.
static void copy_bytes(struct task *from, uint64_t source, struct task *to, uint64_t destination,
                       uint64_t length)
{
    while (length) {
        uint64_t from_rest = PAGE_BYTES - source % PAGE_BYTES;
        uint64_t to_rest = PAGE_BYTES - destination % PAGE_BYTES;
        uint64_t chunk = length;

        if (chunk > from_rest)
            chunk = from_rest;
        if (chunk > to_rest)
            chunk = to_rest;
        memcpy(physical_to_virtual(space_translate(to, destination, ACCESS_WRITE)),
               physical_to_virtual(space_translate(from, source, ACCESS_READ)), chunk);
        source += chunk;
        destination += chunk;
        length -= chunk;
    }
}

// Copies one item on from where it was left. False: preempted; the place is
// noted in the receiver.
static bool copy_item(struct thread *sender, struct thread *receiver, unsigned index)
{
    const struct message_item *item = &sender->utcb->items[index];
    struct message_transfer *transfer = &receiver->transfer;
    uint64_t offset = 0;

    if (receiver->hazard & HAZARD_TRANSFER && transfer->sender == sender->id) {
        if (transfer->item > index)
            return true;
        if (transfer->item == index)
            offset = transfer->offset;
    }
    while (offset < item->length) {
        uint64_t step = item->length - offset;

        if (step > COPY_STEP)
            step = COPY_STEP;
        copy_bytes(sender->task, item->address + offset, receiver->task,
                   receiver->utcb->copy_buffers[index].address + offset, step);
        offset += step;
        if (offset < item->length && schedule_preemption_point()) {
            *transfer = (struct message_transfer){sender->id, index, offset};
            receiver->hazard |= HAZARD_TRANSFER;
            return false;
        }
    }
    return true;
}

// --- MAP and GRANT ----------------------------------------------------------

// Whether the item makes at most MESSAGE_MAP_PAGES mappings: a page of 2 MiB is
// one only where it stays whole.
static bool few_pages(struct task *task, const struct message_item *item, uint64_t destination)
{
    uint64_t done = 0;

    for (unsigned pages = 0; done < item->length; pages++) {
        uint64_t source = item->address + done;
        bool whole = source % LARGE_PAGE_BYTES == 0 &&
                     (destination + done) % LARGE_PAGE_BYTES == 0 &&
                     item->length - done >= LARGE_PAGE_BYTES;
        uint32_t access;

        if (pages == MESSAGE_MAP_PAGES)
            return false;
        if (whole && space_page_bytes(task, source, &access) == LARGE_PAGE_BYTES)
            done += LARGE_PAGE_BYTES;
        else
            done += PAGE_BYTES;
    }
    return true;
}

// Checks one item against its sender's space and the receiver's window; brings
// the first missing page in.
static enum delivery check_map(struct thread *sender, const struct message_item *item,
                               uint64_t window, uint64_t window_length, corvus_error_t *error)
{
    uint64_t done = 0;

    *error = mapping_check_range(item->address, item->length);
    if (*error)
        return DELIVERY_SENDER_FAILED;
    *error = ERR_TOO_LARGE;
    if (item->length > window_length || item->offset > window_length - item->length)
        return DELIVERY_SENDER_FAILED;
    *error = ERR_INVALID_RANGE;
    if (mapping_check_range(window + item->offset, item->length) || item->access & ~ACCESS_ALL ||
        !(item->access & ACCESS_READ))
        return DELIVERY_SENDER_FAILED;
    *error = ERR_TOO_LARGE;
    if (!few_pages(sender->task, item, window + item->offset))
        return DELIVERY_SENDER_FAILED;
    while (done < item->length) {
        uint32_t access;
        uint64_t bytes = space_page_bytes(sender->task, item->address + done, &access);

        if (!bytes) {
            *error = ERR_NOT_MAPPED;
            return fault_raise_for_message(sender, item->address + done,
                                           item->access & ~ACCESS_EXECUTE, true)
                       ? DELIVERY_SENDER_FAULTS
                       : DELIVERY_SENDER_FAILED;
        }
        *error = ERR_ACCESS_DENIED;
        if (item->access & ~access)
            return DELIVERY_SENDER_FAILED;
        done += bytes;
    }
    return DELIVERED;
}

// Moves pages with all the access they have, so that they can go back as they
// were. Advances *done, also when it fails.
static corvus_error_t grant_range(struct task *from, uint64_t source, struct task *to,
                                  uint64_t destination, uint64_t length, uint64_t *done)
{
    corvus_error_t error = ERR_OK;

    while (!error && *done < length) {
        uint32_t access;
        uint64_t end = *done + space_page_bytes(from, source + *done, &access);

        if (end > length)
            end = length;
        while (!error && *done < end)
            error = mapping_map_step(from, source, to, destination, end, access, true, done);
        schedule_preemption_point();
    }
    return error;
}

static void unmap_range(struct task *task, uint64_t address, uint64_t length, uint32_t access)
{
    struct unmap_result result = {0};
    corvus_error_t error = ERR_OK;
    uint64_t done = 0;

    while (length &&
           !mapping_unmap_step(task, address, length, access, true, &done, &result, &error))
        schedule_preemption_point();
}

// Undoes the first `length` bytes of an item: what came over goes back. Cannot
// fail: the tables of both sides are there.
static void unmap_item(struct task *from, const struct message_item *item, struct task *to,
                       uint64_t destination, uint64_t length)
{
    uint64_t done = 0;

    if (item->kind == ITEM_GRANT)
        grant_range(to, destination, from, item->address, length, &done);
    else
        unmap_range(to, destination, length, ACCESS_ALL);
}

static corvus_error_t map_item(struct task *from, const struct message_item *item, struct task *to,
                               uint64_t destination)
{
    uint64_t done = 0;
    corvus_error_t error = ERR_OK;

    if (item->kind == ITEM_GRANT)
        error = grant_range(from, item->address, to, destination, item->length, &done);
    while (!error && done < item->length) {
        error = mapping_map_step(from, item->address, to, destination, item->length, item->access,
                                 false, &done);
        // What was mapped at the destination may have had many heirs.
        if (done < item->length)
            schedule_preemption_point();
    }
    if (error)
        unmap_item(from, item, to, destination, done);
    return error;
}

// Granted pages came with all their access: the item may want less.
static void reduce_grants(const struct thread *sender, struct task *to, unsigned items,
                          uint64_t window)
{
    for (unsigned i = 0; i < items; i++) {
        const struct message_item *item = &sender->utcb->items[i];
        uint32_t less = ACCESS_ALL & ~item->access;

        if (item->kind == ITEM_GRANT && less)
            unmap_range(to, window + item->offset, item->length, less);
    }
}

// All items, or none.
static corvus_error_t map_items(struct thread *sender, struct task *to, unsigned items,
                                uint64_t window)
{
    corvus_error_t error = ERR_OK;
    unsigned done;

    for (done = 0; done < items && !error; done++) {
        const struct message_item *item = &sender->utcb->items[done];

        if (item->kind != ITEM_COPY)
            error = map_item(sender->task, item, to, window + item->offset);
    }
    if (!error) {
        reduce_grants(sender, to, items, window);
        return ERR_OK;
    }
    // The last one has undone itself.
    for (unsigned i = done - 1; i-- > 0;) {
        const struct message_item *item = &sender->utcb->items[i];

        if (item->kind != ITEM_COPY)
            unmap_item(sender->task, item, to, window + item->offset, item->length);
    }
    return error;
}

corvus_error_t deliver_fault_page(struct thread *pager, struct thread *faulter)
{
    const struct message_item *item = &pager->utcb->items[0];
    uint64_t done = 0;

    if (item->kind != ITEM_MAP || item->length != PAGE_BYTES || item->access & ~ACCESS_ALL ||
        !(item->access & ACCESS_READ) || (item->address | item->offset) % PAGE_BYTES ||
        item->address >= USER_MAP_END || item->offset >= USER_MAP_END)
        return ERR_INVALID_ARGUMENT;
    // One page is one step, unless something large is in the way.
    return mapping_map_step(pager->task, item->address, faulter->task, item->offset, PAGE_BYTES,
                            item->access, false, &done) ||
                   done != PAGE_BYTES
               ? ERR_WOULD_BLOCK
               : ERR_OK;
}

corvus_error_t deliver_fault_items(struct thread *pager, struct thread *faulter, uint64_t tag)
{
    unsigned items = (tag & TAG_ITEMS_MASK) >> TAG_ITEMS_SHIFT;
    corvus_error_t error = ERR_OK;

    for (unsigned i = 0; i < items; i++) {
        const struct message_item *item = &pager->utcb->items[i];
        uint32_t access;

        if (item->kind != ITEM_MAP && item->kind != ITEM_GRANT)
            return ERR_INVALID_ARGUMENT;
        error = mapping_check_range(item->address, item->length);
        if (!error)
            error = mapping_check_range(item->offset, item->length);
        if (error)
            return error;
        if (item->access & ~ACCESS_ALL || !(item->access & ACCESS_READ))
            return ERR_INVALID_ARGUMENT;
        // A pager that pages its own pages has to touch them first.
        if (!space_page_bytes(pager->task, item->address, &access))
            return ERR_NOT_MAPPED;
        if (!few_pages(pager->task, item, item->offset))
            return ERR_TOO_LARGE;
    }
    return map_items(pager, faulter->task, items, 0);
}

// --- Items together ---------------------------------------------------------

static enum delivery check_items(struct thread *sender, struct thread *receiver, unsigned items,
                                 corvus_error_t *error)
{
    const struct message_buffer window = receiver->utcb->map_window;
    enum delivery result;

    for (unsigned i = 0; i < items; i++) {
        const struct message_item *item = &sender->utcb->items[i];

        if (item->kind == ITEM_COPY)
            continue;
        if (item->kind != ITEM_MAP && item->kind != ITEM_GRANT) {
            *error = ERR_INVALID_ARGUMENT;
            return DELIVERY_SENDER_FAILED;
        }
        result = check_map(sender, item, window.address, window.length, error);
        if (result != DELIVERED)
            return result;
    }
    return check_copies(sender, receiver, items, error);
}

enum delivery deliver_items(struct thread *sender, struct thread *receiver, unsigned items,
                            corvus_error_t *error)
{
    enum delivery result = check_items(sender, receiver, items, error);

    if (result != DELIVERED)
        return result;
    // That may have looked at 512 pages. What an interrupt does takes none away.
    schedule_preemption_point();
    for (unsigned i = 0; i < items; i++)
        if (sender->utcb->items[i].kind == ITEM_COPY && !copy_item(sender, receiver, i))
            return DELIVERY_PREEMPTED;
    receiver->hazard &= ~HAZARD_TRANSFER;
    *error = map_items(sender, receiver->task, items, receiver->utcb->map_window.address);
    if (*error)
        return DELIVERY_SENDER_FAILED;
    for (unsigned i = 0; i < items; i++) {
        struct message_item item = sender->utcb->items[i];

        item.address = item.kind == ITEM_COPY ? receiver->utcb->copy_buffers[i].address
                                              : receiver->utcb->map_window.address + item.offset;
        receiver->utcb->items[i] = item;
    }
    return DELIVERED;
}
