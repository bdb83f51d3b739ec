// SPDX-License-Identifier: BSD-2-Clause
// Address maps: entries by address, cut where a call begins or ends.
#include "private.h"

#include <stdlib.h>

// --- Entries ---------------------------------------------------------------------------------

struct vm_entry *vm_map_next(const struct vm_map *map, uint64_t address)
{
    struct vm_entry *entry = map->entries;

    while (entry != NULL && entry->end <= address)
        entry = entry->next;
    return entry;
}

struct vm_entry *vm_map_entry(const struct vm_map *map, uint64_t address)
{
    struct vm_entry *entry = vm_map_next(map, address);

    return entry != NULL && entry->start <= address ? entry : NULL;
}

static corvus_error_t check_range(uint64_t address, uint64_t bytes)
{
    bool valid = (address | bytes) % PAGE_BYTES == 0 && bytes != 0 && address != 0 &&
                 address < USER_MAP_END && bytes <= USER_MAP_END - address;

    return valid ? ERR_OK : ERR_INVALID_RANGE;
}

// Cuts the entry that `address` is inside of. False: no memory.
static bool cut(struct vm_map *map, uint64_t address)
{
    struct vm_entry *entry = vm_map_entry(map, address);

    if (entry == NULL || entry->start == address)
        return true;
    struct vm_entry *rest = malloc(sizeof *rest);
    if (rest == NULL)
        return false;
    *rest = *entry;
    rest->start = address;
    rest->offset += address - entry->start;
    if (rest->object != NULL)
        vm_object_hold(rest->object);
    entry->end = address;
    entry->next = rest;
    return true;
}

// Makes the ends of a range ends of entries.
static corvus_error_t isolate(struct vm_core *core, struct vm_map *map, uint64_t address,
                              uint64_t bytes)
{
    corvus_error_t error = check_range(address, bytes);

    // Zeroes that are cut are two objects: then nobody needs to share one.
    (void)core;
    if (error == ERR_OK && (!cut(map, address) || !cut(map, address + bytes)))
        error = ERR_NO_MEMORY;
    return error;
}

corvus_error_t vm_map_check(const struct vm_map *map, uint64_t address, uint64_t bytes,
                            uint64_t access)
{
    corvus_error_t error = check_range(address, bytes);
    uint64_t at = address;

    while (error == ERR_OK && at < address + bytes) {
        struct vm_entry *entry = vm_map_entry(map, at);
        if (entry == NULL)
            return ERR_NOT_MAPPED;
        if ((access & ~(uint64_t)entry->access) != 0)
            return ERR_ACCESS_DENIED;
        at = entry->end;
    }
    return error;
}

uint64_t vm_map_find(const struct vm_map *map, uint64_t bytes)
{
    uint64_t at = map->low;

    for (struct vm_entry *e = vm_map_next(map, at); e != NULL; e = e->next) {
        if (e->start >= at && e->start - at >= bytes)
            break;
        at = e->end;
    }
    return bytes <= map->high && at <= map->high - bytes ? at : 0;
}

corvus_error_t vm_map_enter(struct vm_core *core, struct vm_map *map, uint64_t address,
                            uint64_t bytes, struct vm_object *object, uint64_t offset,
                            uint64_t access, uint64_t most_access, uint64_t inheritance)
{
    corvus_error_t error = check_range(address, bytes);
    struct vm_entry **link = &map->entries;

    (void)core;
    if (error != ERR_OK)
        return error;
    if (offset % PAGE_BYTES != 0 || offset + bytes < offset ||
        ((access | most_access) & ~(uint64_t)ACCESS_ALL) != 0 || (access & ~most_access) != 0 ||
        inheritance > VM_INHERIT_COPY)
        return ERR_INVALID_ARGUMENT;
    while (*link != NULL && (*link)->end <= address)
        link = &(*link)->next;
    if (*link != NULL && (*link)->start < address + bytes)
        return ERR_IN_USE;
    struct vm_entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL)
        return ERR_NO_MEMORY;
    *entry = (struct vm_entry){
        .next = *link,
        .start = address,
        .end = address + bytes,
        .object = object,
        .offset = offset,
        .access = (uint8_t)access,
        .most_access = (uint8_t)most_access,
        .inheritance = (uint8_t)inheritance,
    };
    *link = entry;
    if (object != NULL)
        vm_object_hold(object);
    map->bytes += bytes;
    return ERR_OK;
}

// --- Ranges ----------------------------------------------------------------------------------

// Pages that an entry had wired and still are there.
static void unwire(struct vm_core *core, struct vm_entry *entry, uint64_t address, uint64_t end)
{
    for (uint64_t at = address; entry->wired && at < end; at += PAGE_BYTES) {
        struct vm_object *object = entry->object;
        struct vm_page *page = NULL;
        while (object != NULL &&
               (page = page_find(core, object, page_index(at - entry->start + entry->offset))) ==
                   NULL)
            object = object->shadow;
        if (page != NULL && page->wired != 0)
            page->wired--;
    }
}

corvus_error_t vm_map_remove(struct vm_core *core, struct vm_map *map, uint64_t address,
                             uint64_t bytes)
{
    corvus_error_t error = isolate(core, map, address, bytes);
    struct vm_entry **link = &map->entries, *entry;

    if (error != ERR_OK)
        return error;
    while (*link != NULL && (*link)->end <= address)
        link = &(*link)->next;
    while ((entry = *link) != NULL && entry->start < address + bytes) {
        *link = entry->next;
        core->environment->map_restrict(core->context, map, entry->start, entry->end - entry->start,
                                        ACCESS_ALL);
        unwire(core, entry, entry->start, entry->end);
        map->bytes -= entry->end - entry->start;
        if (entry->object != NULL)
            vm_object_release(core, entry->object);
        free(entry);
    }
    run(core);
    return ERR_OK;
}

corvus_error_t vm_map_protect(struct vm_core *core, struct vm_map *map, uint64_t address,
                              uint64_t bytes, uint64_t access, bool most)
{
    corvus_error_t error = vm_map_check(map, address, bytes, 0);

    if (error == ERR_OK && (access & ~(uint64_t)ACCESS_ALL) != 0)
        error = ERR_INVALID_ARGUMENT;
    if (error == ERR_OK)
        error = isolate(core, map, address, bytes);
    if (error != ERR_OK)
        return error;
    for (struct vm_entry *e = vm_map_next(map, address); e != NULL && e->start < address + bytes;
         e = e->next)
        if (!most && (access & ~(uint64_t)e->most_access) != 0)
            return ERR_ACCESS_DENIED;
    for (struct vm_entry *e = vm_map_next(map, address); e != NULL && e->start < address + bytes;
         e = e->next) {
        uint64_t less = e->access & ~access;
        if (most)
            e->most_access &= (uint8_t)access;
        e->access = most ? e->access & e->most_access : (uint8_t)access;
        if (less != 0)
            core->environment->map_restrict(core->context, map, e->start, e->end - e->start,
                                            (less & ACCESS_READ) != 0 ? ACCESS_ALL : less);
    }
    return ERR_OK;
}

corvus_error_t vm_map_inherit(struct vm_core *core, struct vm_map *map, uint64_t address,
                              uint64_t bytes, uint64_t inheritance)
{
    corvus_error_t error = vm_map_check(map, address, bytes, 0);

    if (error == ERR_OK && inheritance > VM_INHERIT_COPY)
        error = ERR_INVALID_ARGUMENT;
    if (error == ERR_OK)
        error = isolate(core, map, address, bytes);
    for (struct vm_entry *e = vm_map_next(map, address);
         error == ERR_OK && e != NULL && e->start < address + bytes; e = e->next)
        e->inheritance = (uint8_t)inheritance;
    return error;
}

// Whether the second entry goes on where the first one ends.
static bool goes_on(const struct vm_entry *one, const struct vm_entry *other)
{
    return one->end == other->start && one->object == other->object &&
           one->offset + (one->end - one->start) == other->offset && one->access == other->access &&
           one->most_access == other->most_access && one->inheritance == other->inheritance;
}

corvus_error_t vm_map_wire_page(struct vm_core *core, struct vm_map *map, uint64_t address,
                                struct vm_page *page)
{
    struct vm_entry *entry = vm_map_entry(map, address), *before = map->entries;

    if (entry->wired)
        return ERR_OK;
    while (before != entry && before->next != entry)
        before = before->next;
    if (before != entry && before->wired && entry->start == address && goes_on(before, entry)) {
        // Page after page moves to the entry before, so that one is enough.
        before->end += PAGE_BYTES;
        entry->start += PAGE_BYTES;
        entry->offset += PAGE_BYTES;
        if (entry->start == entry->end) {
            before->next = entry->next;
            vm_object_release(core, entry->object);
            free(entry);
        }
    } else {
        if (!cut(map, address) || !cut(map, address + PAGE_BYTES))
            return ERR_NO_MEMORY;
        vm_map_entry(map, address)->wired = true;
    }
    page->wired++;
    return ERR_OK;
}

corvus_error_t vm_map_unwire(struct vm_core *core, struct vm_map *map, uint64_t address,
                             uint64_t bytes)
{
    corvus_error_t error = vm_map_check(map, address, bytes, 0);

    if (error == ERR_OK)
        error = isolate(core, map, address, bytes);
    for (struct vm_entry *e = vm_map_next(map, address);
         error == ERR_OK && e != NULL && e->start < address + bytes; e = e->next) {
        unwire(core, e, e->start, e->end);
        e->wired = false;
    }
    return error;
}

// --- Maps ------------------------------------------------------------------------------------

struct vm_map *vm_map_create(struct vm_core *core, uint64_t low, uint64_t high)
{
    struct vm_map *map = calloc(1, sizeof *map);

    if (map == NULL)
        return NULL;
    map->low = low;
    map->high = high;
    map->next = core->maps;
    core->maps = map;
    core->map_count++;
    return map;
}

void vm_map_destroy(struct vm_core *core, struct vm_map *map)
{
    struct vm_map **link = &core->maps;

    faults_cancel(core, map, ERR_TERMINATED);
    (void)vm_map_remove(core, map, PAGE_BYTES, USER_MAP_END - PAGE_BYTES);
    while (*link != map)
        link = &(*link)->next;
    *link = map->next;
    core->map_count--;
    free(map);
}
