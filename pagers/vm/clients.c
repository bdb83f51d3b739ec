// SPDX-License-Identifier: BSD-2-Clause
// Clients: tasks with a map, and what they ask for (vm.def).
#include "pagers/vm/server.h"

#include "lib/memory_object.h"
#include "lib/serve.h"

#include <corvus/stubs.h>
#include <corvus/vm.h>
#include <corvus/vm_dispatch.h>

#include <stdlib.h>

static struct client *clients;
static bool unsettled; // a client holds `life`

struct client *client_of_map(const struct vm_map *map)
{
    return map->binding;
}

// --- Life ------------------------------------------------------------------------------------

static void end(struct client *client)
{
    struct client **link = &clients;

    while (*link != client)
        link = &(*link)->next;
    *link = client->next;
    // First the task, then its memory.
    if (client->owned)
        (void)task_terminate(client->task);
    jobs_cancel(client);
    vm_map_destroy(&core, client->map);
    source_close(&client->control);
    source_close(&client->pager);
    (void)port_deallocate(client->task);
    if (client->life != PORT_NULL)
        (void)port_deallocate(client->life);
    free(client);
}

// Takes the map over, and on success the task. The ports' first rights are the caller's answer.
static corvus_error_t make(port_name_t task, struct vm_map *map, bool owned, struct client **client)
{
    struct client *made = map != NULL ? calloc(1, sizeof *made) : NULL;
    corvus_error_t error = made != NULL ? ERR_OK : ERR_NO_MEMORY;

    // From the first client on data may come.
    if (error == ERR_OK)
        error = memory_object_set_buffer(PAGER_DATA_MAX);
    if (error == ERR_OK)
        error = source_open(&made->control, SOURCE_MAP);
    if (error == ERR_OK)
        error = port_make_send(made->control.receive, &made->life);
    if (error == ERR_OK && owned)
        error =
            port_request_notification(made->control.receive, NOTIFY_NO_SENDERS, server_notices());
    if (error == ERR_OK)
        error = source_open(&made->pager, SOURCE_PAGER);
    if (error == ERR_OK)
        error = server_watch(task);
    if (error != ERR_OK) {
        if (made != NULL) {
            if (made->life != PORT_NULL)
                (void)port_deallocate(made->life);
            source_close(&made->control);
            source_close(&made->pager);
            free(made);
        }
        if (map != NULL)
            vm_map_destroy(&core, map);
        return error;
    }
    made->map = map;
    made->task = task;
    made->owned = owned;
    map->binding = made;
    made->next = clients;
    clients = made;
    unsettled = true;
    *client = made;
    return ERR_OK;
}

bool clients_task_died(port_name_t task)
{
    struct client *client = clients;

    while (client != NULL && client->task != task)
        client = client->next;
    if (client != NULL)
        end(client);
    return client != NULL;
}

bool clients_unsettled(void)
{
    return unsettled;
}

void clients_settle(void)
{
    for (struct client *client = clients; unsettled && client != NULL; client = client->next) {
        if (client->life != PORT_NULL)
            (void)port_deallocate(client->life);
        client->life = PORT_NULL;
    }
    unsettled = false;
}

void clients_abandoned(struct client *client)
{
    end(client);
}

static bool is_known(port_name_t task)
{
    uint64_t id, other;

    if (task_right_info(NAME_TASK_SELF, task, NULL, &id, NULL) != ERR_OK)
        return false;
    for (struct client *client = clients; client != NULL; client = client->next)
        if (task_right_info(NAME_TASK_SELF, client->task, NULL, &other, NULL) == ERR_OK &&
            other == id)
            return true;
    return false;
}

// Whether the right is one to a task. Kernel objects answer in place, so a call that does not wait
// succeeds with them only; a port of somebody's, who need not answer ever, cannot stop the server.
static bool is_task(port_name_t right)
{
    struct message message = {.destination = right, .id = SERVICE_task_info};

    return message_exchange(&message, TAG_CALL, 0) == ERR_OK && message.words[0] == ERR_OK;
}

// --- The server's own port ---------------------------------------------------------------------

static corvus_error_t attach(uint64_t label, struct message_right task, struct message_right *map,
                             struct message_right *pager)
{
    struct client *client;
    corvus_error_t error =
        task.disposition == RIGHT_SEND && is_task(task.name) ? ERR_OK : ERR_INVALID_RIGHT;

    (void)label;
    if (error == ERR_OK && is_known(task.name))
        error = ERR_IN_USE;
    if (error == ERR_OK)
        error =
            make(task.name, vm_map_create(&core, VM_WINDOW_START, VM_WINDOW_END), false, &client);
    if (error != ERR_OK) {
        (void)port_deallocate(task.name);
        return error;
    }
    *map = copy_send(client->life);
    *pager = make_send(client->pager.receive);
    return ERR_OK;
}

static corvus_error_t create_with(uint64_t quota, struct vm_map *map, struct message_right *task,
                                  struct message_right *control, struct message_right *pager)
{
    port_name_t made;
    struct client *client;
    corvus_error_t error = task_create(NAME_TASK_SELF, quota, 0, &made, NULL);

    if (error != ERR_OK) {
        if (map != NULL)
            vm_map_destroy(&core, map);
        return error;
    }
    error = make(made, map, true, &client);
    if (error != ERR_OK) {
        (void)task_terminate(made);
        (void)port_deallocate(made);
        return error;
    }
    *task = copy_send(made);
    *control = copy_send(client->life);
    *pager = make_send(client->pager.receive);
    return ERR_OK;
}

static corvus_error_t create(uint64_t label, uint64_t quota, struct message_right *task,
                             struct message_right *map, struct message_right *pager)
{
    (void)label;
    return create_with(quota, vm_map_create(&core, VM_WINDOW_START, VM_WINDOW_END), task, map,
                       pager);
}

static corvus_error_t tell_server(uint64_t label, uint64_t *frames, uint64_t *free_frames,
                                  uint64_t *faults, uint64_t *zero_filled, uint64_t *copied,
                                  uint64_t *pushed, uint64_t *paged_in, uint64_t *paged_out,
                                  uint64_t *evicted, uint64_t *nonsense, uint64_t *timed_out,
                                  uint64_t *objects, uint64_t *maps, uint64_t *unlocks)
{
    const struct vm_counters *counters = &core.counters;

    (void)label;
    *frames = core.present_count;
    *free_frames = core.free_count;
    *faults = counters->faults;
    *zero_filled = counters->zero_filled;
    *copied = counters->copied;
    *pushed = counters->pushed;
    *paged_in = counters->paged_in;
    *paged_out = counters->paged_out;
    *evicted = counters->evicted;
    *nonsense = counters->nonsense;
    *timed_out = counters->timed_out;
    *objects = core.object_count;
    *maps = core.map_count;
    *unlocks = counters->unlocks;
    return ERR_OK;
}

static const struct vm_operations server_operations = {
    .vm_attach = attach,
    .vm_create = create,
    .vm_server_statistics = tell_server,
};

bool clients_serve_server(const struct message *request, struct message *reply)
{
    return vm_serve(request, reply, &server_operations);
}

// --- A map ---------------------------------------------------------------------------------------

static struct client *client_of(uint64_t label)
{
    return (struct client *)((char *)source_of(label) - offsetof(struct client, control));
}

static corvus_error_t place(struct client *client, uint64_t address, uint64_t length,
                            uint64_t flags, uint64_t *start)
{
    *start = address;
    if ((flags & VM_ANYWHERE) == 0)
        return ERR_OK;
    if (length == 0 || length % PAGE_BYTES != 0)
        return ERR_INVALID_RANGE;
    *start = vm_map_find(client->map, length);
    return *start != 0 ? ERR_OK : ERR_NO_MEMORY;
}

static corvus_error_t allocate(uint64_t label, uint64_t address, uint64_t length, uint64_t flags,
                               uint64_t *start)
{
    struct client *client = client_of(label);

    if ((flags & ~(uint64_t)VM_ANYWHERE) != 0)
        return ERR_INVALID_ARGUMENT;
    corvus_error_t error = place(client, address, length, flags, start);
    if (error != ERR_OK)
        return error;
    return vm_map_enter(&core, client->map, *start, length, NULL, 0, ACCESS_READ | ACCESS_WRITE,
                        ACCESS_ALL, VM_INHERIT_COPY);
}

// Maps an object, of which a reference is given up.
static corvus_error_t enter(struct client *client, uint64_t start, uint64_t length,
                            struct vm_object *object, uint64_t offset, uint64_t flags,
                            uint64_t access)
{
    uint64_t most = access >> 8 != 0 ? access >> 8 : ACCESS_ALL;

    if ((flags & VM_PRIVATE) != 0) {
        struct vm_object *copy = vm_object_copy(&core, object);
        vm_object_release(&core, object);
        if (copy == NULL)
            return ERR_NO_MEMORY;
        object = copy;
    }
    corvus_error_t error =
        vm_map_enter(&core, client->map, start, length, object, offset, access & 0xff, most,
                     (flags & VM_PRIVATE) != 0 ? VM_INHERIT_COPY : VM_INHERIT_SHARE);
    vm_object_release(&core, object);
    return error;
}

// A snapshot of this server: mapped as copies of its entries, without a pager in between.
static corvus_error_t enter_snapshot(struct client *client, uint64_t start, uint64_t length,
                                     struct vm_map *snapshot, uint64_t bytes, uint64_t offset,
                                     uint64_t access)
{
    corvus_error_t error = ERR_OK;
    uint64_t done = 0;

    if (offset % PAGE_BYTES != 0 || length == 0 || length % PAGE_BYTES != 0 || offset >= bytes ||
        length > bytes - offset)
        return ERR_INVALID_RANGE;
    while (error == ERR_OK && done < length) {
        struct vm_entry *entry = vm_map_entry(snapshot, PAGE_BYTES + offset + done);
        uint64_t skip = PAGE_BYTES + offset + done - entry->start;
        uint64_t part = entry->end - entry->start - skip;
        if (part > length - done)
            part = length - done;
        struct vm_object *object = entry->object;
        uint64_t at = object != NULL ? entry->offset + skip : 0;
        if (object == NULL)
            object = vm_object_create(&core, VM_INTERNAL, PAGER_REQUEST_LIMIT);
        else
            vm_object_hold(object);
        error = object == NULL ? ERR_NO_MEMORY
                               : enter(client, start + done, part, object, at, VM_PRIVATE, access);
        done += error == ERR_OK ? part : 0;
    }
    if (error != ERR_OK && done != 0)
        (void)vm_map_remove(&core, client->map, start, done);
    return error;
}

static corvus_error_t map_object(uint64_t label, uint64_t address, uint64_t length, uint64_t offset,
                                 uint64_t flags, uint64_t access, uint64_t limit,
                                 struct message_right right, uint64_t *start)
{
    struct client *client = client_of(label);
    struct vm_object *object;
    uint64_t port_id = 0, bytes = 0;
    corvus_error_t error = ERR_OK;

    if ((flags & ~(uint64_t)(VM_ANYWHERE | VM_PRIVATE)) != 0 || access >> 11 != 0 ||
        (access & 0xff) == 0)
        error = ERR_INVALID_ARGUMENT;
    if (error == ERR_OK)
        error = place(client, address, length, flags, start);
    if (error != ERR_OK) {
        (void)port_deallocate(right.name);
        return error;
    }
    (void)task_right_info(NAME_TASK_SELF, right.name, NULL, &port_id, NULL);
    struct vm_map *snapshot = export_find(port_id, &bytes);
    if (snapshot != NULL) {
        error = enter_snapshot(client, *start, length, snapshot, bytes, offset, access);
        (void)port_deallocate(right.name); // last: it may be what keeps the snapshot
        return error;
    }
    error = object_of_right(right.name, limit, &object);
    return error != ERR_OK ? error : enter(client, *start, length, object, offset, flags, access);
}

static corvus_error_t deallocate(uint64_t label, uint64_t address, uint64_t length)
{
    return vm_map_remove(&core, client_of(label)->map, address, length);
}

static corvus_error_t inherit(uint64_t label, uint64_t address, uint64_t length,
                              uint64_t inheritance)
{
    return vm_map_inherit(&core, client_of(label)->map, address, length, inheritance);
}

static corvus_error_t protect(uint64_t label, uint64_t address, uint64_t length, uint64_t most,
                              uint64_t access)
{
    if (most > 1)
        return ERR_INVALID_ARGUMENT;
    return vm_map_protect(&core, client_of(label)->map, address, length, access, most != 0);
}

static corvus_error_t read(uint64_t label, uint64_t address, uint64_t length, const void **bytes,
                           size_t *count)
{
    (void)bytes;
    (void)count;
    return job_read(client_of(label), address, length);
}

static corvus_error_t write(uint64_t label, uint64_t address, const void *bytes, size_t count)
{
    return job_write(client_of(label), address, bytes, count);
}

static corvus_error_t copy(uint64_t label, uint64_t from, uint64_t length, uint64_t to)
{
    return vm_map_copy(&core, client_of(label)->map, from, length, to);
}

static corvus_error_t regions(uint64_t label, uint64_t address, uint64_t *start, uint64_t *length,
                              uint64_t *access, uint64_t *inheritance, uint64_t *object,
                              uint64_t *offset, uint64_t *wired)
{
    const struct vm_entry *entry = vm_map_next(client_of(label)->map, address);

    if (entry == NULL)
        return ERR_NOT_FOUND;
    *start = entry->start;
    *length = entry->end - entry->start;
    *access = entry->access | (uint64_t)entry->most_access << 8;
    *inheritance = entry->inheritance;
    *object = entry->object != NULL ? object_number(entry->object) : 0;
    *offset = entry->offset;
    *wired = entry->wired;
    return ERR_OK;
}

static corvus_error_t statistics(uint64_t label, uint64_t *count, uint64_t *bytes,
                                 uint64_t *resident)
{
    const struct vm_map *map = client_of(label)->map;

    *bytes = map->bytes;
    for (const struct vm_entry *entry = map->entries; entry != NULL; entry = entry->next) {
        *count += 1;
        *resident += entry->object != NULL ? entry->object->page_count : 0;
    }
    return ERR_OK;
}

static corvus_error_t wire(uint64_t label, uint64_t address, uint64_t length, uint64_t wired)
{
    struct client *client = client_of(label);

    if (wired > 1)
        return ERR_INVALID_ARGUMENT;
    if (wired == 0)
        return vm_map_unwire(&core, client->map, address, length);
    corvus_error_t error = vm_map_check(client->map, address, length, ACCESS_READ);
    return error != ERR_OK ? error : job_wire(client, address, length);
}

static corvus_error_t snapshot(uint64_t label, uint64_t address, uint64_t length,
                               struct message_right *object)
{
    struct vm_map *made;
    port_name_t right;
    corvus_error_t error = vm_map_snapshot(&core, client_of(label)->map, address, length, &made);

    if (error == ERR_OK)
        error = export_make(made, length, &right);
    if (error == ERR_OK)
        *object = move_send(right);
    return error;
}

static corvus_error_t fork_map(uint64_t label, uint64_t quota, struct message_right *task,
                               struct message_right *map, struct message_right *pager)
{
    struct vm_map *child = vm_map_fork(&core, client_of(label)->map);

    return child == NULL ? ERR_NO_MEMORY : create_with(quota, child, task, map, pager);
}

static const struct vm_map_operations map_operations = {
    .vm_allocate = allocate,
    .vm_allocate_with_pager = map_object,
    .vm_deallocate = deallocate,
    .vm_inherit = inherit,
    .vm_protect = protect,
    .vm_read = read,
    .vm_write = write,
    .vm_copy = copy,
    .vm_regions = regions,
    .vm_statistics = statistics,
    .vm_wire = wire,
    .vm_snapshot = snapshot,
    .vm_fork = fork_map,
};

bool clients_serve_map(struct client *client, const struct message *request, struct message *reply)
{
    (void)client;
    return vm_map_serve(request, reply, &map_operations);
}
