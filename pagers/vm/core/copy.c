// SPDX-License-Identifier: BSD-2-Clause
// Copies on write: of objects, of ranges, of whole maps.
#include "private.h"

#include <stdlib.h>

// Nobody can write to what the object has now without a fault, which sees the copy.
static void write_protect(struct vm_core *core, struct vm_object *object)
{
    for (struct vm_page *page = object->pages; page != NULL; page = page->object_next)
        if (page->state == VM_RESIDENT && page->writable)
            page_restrict(core, page, ACCESS_WRITE);
}

struct vm_object *vm_object_copy(struct vm_core *core, struct vm_object *object)
{
    struct vm_object *copy = vm_object_create(core, VM_INTERNAL, PAGER_REQUEST_LIMIT);

    if (copy == NULL)
        return NULL;
    write_protect(core, object);
    copy->shadow = object;
    if (object->copy != NULL) {
        // The older copy's reference to the object is the new one's now. It sees through the new
        // one, so before that changes it must be given what there was.
        object->copy->shadow = copy;
        copy->copy = object->copy;
        vm_object_hold(copy);
    } else {
        vm_object_hold(object);
    }
    object->copy = copy;
    return copy;
}

// Puts into `to` at `at` a copy of an entry. Zeroes that nobody has touched need none.
static corvus_error_t enter_copy(struct vm_core *core, struct vm_map *to, uint64_t at,
                                 const struct vm_entry *entry)
{
    struct vm_object *copy = NULL;

    if (entry->object != NULL && (copy = vm_object_copy(core, entry->object)) == NULL)
        return ERR_NO_MEMORY;
    corvus_error_t error =
        vm_map_enter(core, to, at, entry->end - entry->start, copy, entry->offset, entry->access,
                     entry->most_access, entry->inheritance);
    if (copy != NULL)
        vm_object_release(core, copy); // the entry has its own reference
    return error;
}

static corvus_error_t enter_shared(struct vm_core *core, struct vm_map *to, struct vm_entry *entry)
{
    if (entry->object == NULL)
        entry->object = vm_object_create(core, VM_INTERNAL, PAGER_REQUEST_LIMIT);
    if (entry->object == NULL)
        return ERR_NO_MEMORY;
    return vm_map_enter(core, to, entry->start, entry->end - entry->start, entry->object,
                        entry->offset, entry->access, entry->most_access, entry->inheritance);
}

struct vm_map *vm_map_fork(struct vm_core *core, struct vm_map *map)
{
    struct vm_map *child = vm_map_create(core, map->low, map->high);
    corvus_error_t error = child == NULL ? ERR_NO_MEMORY : ERR_OK;

    for (struct vm_entry *entry = map->entries; error == ERR_OK && entry != NULL;
         entry = entry->next) {
        if (entry->inheritance == VM_INHERIT_SHARE)
            error = enter_shared(core, child, entry);
        else if (entry->inheritance == VM_INHERIT_COPY)
            error = enter_copy(core, child, entry->start, entry);
    }
    if (error == ERR_OK || child == NULL)
        return child;
    vm_map_destroy(core, child);
    return NULL;
}

// Copies the entries of a range into another map, or the same one, where there is room.
static corvus_error_t copy_range(struct vm_core *core, struct vm_map *from, uint64_t address,
                                 uint64_t bytes, struct vm_map *to, uint64_t at)
{
    corvus_error_t error = ERR_OK;

    for (uint64_t done = 0; error == ERR_OK && done < bytes;) {
        struct vm_entry *entry = vm_map_entry(from, address + done);
        struct vm_entry part = *entry;
        part.start = address + done;
        part.offset += part.start - entry->start;
        if (part.end > address + bytes)
            part.end = address + bytes;
        error = enter_copy(core, to, at + done, &part);
        done += part.end - part.start;
    }
    return error;
}

corvus_error_t vm_map_snapshot(struct vm_core *core, struct vm_map *map, uint64_t address,
                               uint64_t bytes, struct vm_map **snapshot)
{
    corvus_error_t error = vm_map_check(map, address, bytes, ACCESS_READ);

    if (error != ERR_OK)
        return error;
    *snapshot = vm_map_create(core, PAGE_BYTES, USER_MAP_END);
    if (*snapshot == NULL)
        return ERR_NO_MEMORY;
    error = copy_range(core, map, address, bytes, *snapshot, PAGE_BYTES);
    if (error != ERR_OK) {
        vm_map_destroy(core, *snapshot);
        *snapshot = NULL;
    }
    return error;
}

corvus_error_t vm_map_copy(struct vm_core *core, struct vm_map *map, uint64_t from, uint64_t bytes,
                           uint64_t to)
{
    struct vm_map *snapshot;
    corvus_error_t error = vm_map_check(map, to, bytes, ACCESS_WRITE);

    if (error != ERR_OK)
        return error;
    // By way of a snapshot, so that the two ranges may overlap.
    error = vm_map_snapshot(core, map, from, bytes, &snapshot);
    if (error != ERR_OK)
        return error;
    struct vm_entry *entry = vm_map_entry(map, to);
    uint8_t access = entry->access, most = entry->most_access, inheritance = entry->inheritance;
    error = vm_map_remove(core, map, to, bytes);
    for (struct vm_entry *e = snapshot->entries; error == ERR_OK && e != NULL; e = e->next)
        error = vm_map_enter(core, map, to + e->start - PAGE_BYTES, e->end - e->start, e->object,
                             e->offset, access, most, inheritance);
    vm_map_destroy(core, snapshot);
    return error;
}
