// SPDX-License-Identifier: BSD-2-Clause
// Snapshots as memory objects. To cache managers of this node and of others the server is then a
// pager: pages go as they are asked for, so what nobody reads is never copied, and the task that
// the snapshot was taken of goes on writing its own. This server's own clients map it without
// messages.
#include "pagers/vm/server.h"

#include "lib/memory_object.h"

#include <corvus/stubs.h>

#include <stdlib.h>

struct export
{
    struct export *next;
    struct vm_map *map; // the snapshot, from address PAGE_BYTES on
    uint64_t bytes;
    uint64_t port_id;
    struct memory_object *object;
};

// A page that a manager waits for.
struct delivery {
    struct delivery *next;
    struct vm_fault fault;
    struct memory_manager *manager;
    uint64_t sequence;
};

static struct export *exports;
static struct delivery *deliveries;

struct vm_map *export_find(uint64_t port_id, uint64_t *bytes)
{
    struct export *export = exports;

    while (export != NULL && export->port_id != port_id)
        export = export->next;
    if (export == NULL)
        return NULL;
    *bytes = export->bytes;
    return export->map;
}

// --- What managers ask for -----------------------------------------------------------------------

static void delivered(struct vm_core *vm, struct vm_fault *fault, corvus_error_t error,
                      struct vm_page *page, uint64_t access)
{
    struct delivery *delivery = fault->argument, **link = &deliveries;

    (void)vm;
    (void)access;
    while (*link != delivery)
        link = &(*link)->next;
    *link = delivery->next;
    // What cannot be sent has ended the manager, or is found out by its own time limit.
    if (error == ERR_OK)
        (void)memory_provide(delivery->manager, delivery->sequence,
                             core.environment->frame_bytes(core.context, page->frame), PAGE_BYTES,
                             ACCESS_WRITE, 0);
    else
        (void)memory_error(delivery->manager, delivery->sequence, error);
    free(delivery);
}

static void data_request(struct memory_manager *manager, const struct memory_request *request)
{
    struct export *export = memory_object_context(memory_manager_object(manager));
    bool inside = request->offset < export->bytes;
    struct delivery *delivery = inside ? malloc(sizeof *delivery) : NULL;

    if (delivery == NULL) {
        (void)memory_error(manager, request->sequence, inside ? ERR_NO_MEMORY : ERR_INVALID_RANGE);
        return;
    }
    *delivery = (struct delivery){
        .fault = {.map = export->map,
                  .address = PAGE_BYTES + request->offset,
                  .access = ACCESS_READ,
                  .done = delivered,
                  .argument = delivery},
        .manager = manager,
        .sequence = request->sequence,
        .next = deliveries,
    };
    deliveries = delivery;
    vm_fault_start(&core, &delivery->fault);
}

static void data_unlock(struct memory_manager *manager, const struct memory_request *request)
{
    (void)memory_error(manager, request->sequence, ERR_ACCESS_DENIED);
}

static void terminate(struct memory_manager *manager, bool died)
{
    (void)died;
    for (struct delivery *delivery = deliveries, *next; delivery != NULL; delivery = next) {
        next = delivery->next;
        if (delivery->manager == manager) {
            vm_fault_cancel(&core, &delivery->fault, ERR_TERMINATED);
            next = deliveries;
        }
    }
}

static const struct memory_object_functions functions = {
    .data_request = data_request,
    .data_unlock = data_unlock,
    .terminate = terminate,
};

// --- Life ----------------------------------------------------------------------------------------

static void end(struct export *export)
{
    struct export **link = &exports;

    while (*link != export)
        link = &(*link)->next;
    *link = export->next;
    for (struct memory_manager *m = NULL; (m = memory_manager_next(export->object, m)) != NULL;)
        terminate(m, true);
    memory_object_destroy(export->object);
    vm_map_destroy(&core, export->map);
    free(export);
}

void exports_abandoned(uint64_t label)
{
    struct export *export = exports;

    while (export != NULL && (uintptr_t) export->object != label)
        export = export->next;
    if (export != NULL)
        end(export);
}

corvus_error_t export_make(struct vm_map *snapshot, uint64_t bytes, port_name_t *right)
{
    struct export *export = calloc(1, sizeof *export);
    corvus_error_t error = ERR_NO_MEMORY;

    if (export == NULL) {
        vm_map_destroy(&core, snapshot);
        return error;
    }
    export->map = snapshot;
    export->bytes = bytes;
    export->next = exports;
    exports = export;
    export->object = memory_object_create(&functions, export, server_set());
    if (export->object == NULL) {
        exports = export->next;
        vm_map_destroy(&core, snapshot);
        free(export);
        return error;
    }
    port_name_t receive = memory_object_port(export->object);
    error = task_right_info(NAME_TASK_SELF, receive, NULL, &export->port_id, NULL);
    if (error == ERR_OK)
        error = port_make_send(receive, right);
    if (error == ERR_OK)
        error = port_request_notification(receive, NOTIFY_NO_SENDERS, server_notices());
    if (error != ERR_OK)
        end(export);
    return error;
}
