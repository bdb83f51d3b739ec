// SPDX-License-Identifier: BSD-2-Clause
// Objects and their managers: who they are, what they may say. What is sent is in memory_answer.c.
#include "lib/memory_object_private.h"

#include "lib/serve.h"

#include <corvus/pager_dispatch.h>

#include <stdlib.h>
#include <string.h>

// Labels of the skeleton's ports: an object's is its address, that of the port of notices this.
static uint8_t notice_label;

static struct memory_object *objects;
static struct memory_object_counters counters;
static port_name_t default_set;
static port_name_t notices; // receive right: cache managers that died
static uint8_t *buffer;     // where data arrive
static uint8_t *old_buffer; // where the message that is being served may have its data
static size_t buffer_bytes;

// --- Objects ---------------------------------------------------------------------------------

static struct memory_object *object_of(uint64_t label)
{
    struct memory_object *object = objects;

    while (object != NULL && (uintptr_t)object != label)
        object = object->next;
    return object;
}

port_name_t memory_object_set(void)
{
    if (default_set == PORT_NULL && port_set_allocate(&default_set) != ERR_OK)
        default_set = PORT_NULL;
    return default_set;
}

static bool prepare(port_name_t set)
{
    if (notices == PORT_NULL && port_allocate((uintptr_t)&notice_label, &notices) != ERR_OK) {
        notices = PORT_NULL;
        return false;
    }
    return port_enable(notices, set) == ERR_OK;
}

struct memory_object *memory_object_adopt(port_name_t receive,
                                          const struct memory_object_functions *functions,
                                          void *context, port_name_t set)
{
    struct memory_object *object = calloc(1, sizeof *object);

    if (set == PORT_NULL)
        set = memory_object_set();
    if (object == NULL || set == PORT_NULL || !prepare(set) ||
        task_set_port(NAME_TASK_SELF, receive, (uintptr_t)object, PORT_BACKLOG_MAX) != ERR_OK ||
        port_enable(receive, set) != ERR_OK) {
        free(object);
        return NULL;
    }
    object->functions = functions;
    object->context = context;
    object->port = receive;
    object->next = objects;
    objects = object;
    return object;
}

struct memory_object *memory_object_create(const struct memory_object_functions *functions,
                                           void *context, port_name_t set)
{
    port_name_t receive;

    if (port_allocate(0, &receive) != ERR_OK)
        return NULL;
    struct memory_object *object = memory_object_adopt(receive, functions, context, set);
    if (object == NULL)
        (void)port_deallocate(receive);
    return object;
}

static void free_manager(struct memory_manager *manager, bool drain)
{
    struct memory_manager **link = &manager->object->managers;

    while (*link != manager)
        link = &(*link)->next;
    *link = manager->next;
    outbox_close(manager->outbox, drain);
    (void)port_deallocate(manager->name);
    (void)port_deallocate(manager->notice);
    free(manager);
}

void memory_object_destroy(struct memory_object *object)
{
    struct memory_object **link = &objects;

    while (*link != object)
        link = &(*link)->next;
    *link = object->next;
    (void)port_deallocate(object->port);
    while (object->managers != NULL)
        free_manager(object->managers, true);
    free(object);
}

void memory_object_retire(struct memory_object *object)
{
    object->retired = true;
}

void *memory_object_context(const struct memory_object *object)
{
    return object->context;
}

port_name_t memory_object_port(const struct memory_object *object)
{
    return object->port;
}

// --- Managers --------------------------------------------------------------------------------

struct memory_object *memory_manager_object(const struct memory_manager *manager)
{
    return manager->object;
}

uint64_t memory_manager_node(const struct memory_manager *manager)
{
    return manager->node;
}

struct memory_manager *memory_manager_next(const struct memory_object *object,
                                           const struct memory_manager *after)
{
    return after == NULL ? object->managers : after->next;
}

void *memory_manager_context(const struct memory_manager *manager)
{
    return manager->context;
}

void memory_manager_set_context(struct memory_manager *manager, void *context)
{
    manager->context = context;
}

// Called by whoever finds out, perhaps another thread: the loop is told.
static void unreachable(void *argument, corvus_error_t error)
{
    struct memory_manager *manager = argument;

    (void)error;
    __atomic_store_n(&manager->unreachable, true, __ATOMIC_RELEASE);
    (void)msg_notify(manager->notice, 1);
}

struct memory_manager *memory_object_enrol(struct memory_object *object, uint64_t incarnation,
                                           uint64_t node, port_name_t request, port_name_t name)
{
    struct memory_manager *manager = calloc(1, sizeof *manager);
    port_name_t notice = PORT_NULL;
    corvus_error_t error = manager == NULL ? ERR_NO_MEMORY : port_make_send(notices, &notice);

    // A manager that is dead already is told at once.
    if (error == ERR_OK)
        error = port_request_notification(request, NOTIFY_DEAD_NAME, notices);
    if (error == ERR_OK) {
        manager->outbox = outbox_open(request, PAGER_REQUEST_LIMIT, unreachable, manager);
        error = manager->outbox != NULL ? ERR_OK : ERR_NO_MEMORY;
    }
    if (error != ERR_OK) {
        if (notice != PORT_NULL)
            (void)port_deallocate(notice);
        (void)port_deallocate(request);
        (void)port_deallocate(name);
        free(manager);
        return NULL;
    }
    manager->object = object;
    manager->incarnation = incarnation;
    manager->node = node;
    manager->request = request;
    manager->name = name;
    manager->notice = notice;
    manager->next = object->managers;
    object->managers = manager;
    return manager;
}

static struct memory_manager *find(const struct memory_object *object, uint64_t incarnation)
{
    struct memory_manager *manager = object->managers;

    while (manager != NULL && manager->incarnation != incarnation)
        manager = manager->next;
    return manager;
}

// The manager that a message tells it is from. NULL: ignored.
static struct memory_manager *sender(uint64_t label, uint64_t incarnation)
{
    struct memory_manager *manager = find(object_of(label), incarnation);

    if (manager == NULL)
        counters.unknown++;
    return manager;
}

static void end(struct memory_manager *manager, bool died)
{
    struct memory_object *object = manager->object;

    if (object->functions->terminate != NULL)
        object->functions->terminate(manager, died);
    free_manager(manager, !died);
    if (object->retired)
        memory_object_destroy(object);
}

// --- Messages --------------------------------------------------------------------------------

static bool valid_range(uint64_t offset, uint64_t length)
{
    return (offset | length) % PAGE_BYTES == 0 && length != 0 && offset + length > offset;
}

static void on_init(uint64_t label, uint64_t incarnation, uint64_t node,
                    struct message_right request, struct message_right name)
{
    struct memory_object *object = object_of(label);
    bool sane =
        incarnation != 0 && find(object, incarnation) == NULL && request.disposition == RIGHT_SEND;

    if (!sane) {
        counters.malformed++;
        (void)port_deallocate(request.name);
        (void)port_deallocate(name.name);
        return;
    }
    struct memory_manager *manager =
        memory_object_enrol(object, incarnation, node, request.name, name.name);
    if (manager == NULL) {
        counters.refused++;
        return;
    }
    corvus_error_t error =
        object->functions->init != NULL ? object->functions->init(manager) : ERR_OK;
    if (error != ERR_OK) {
        memory_refuse(manager, error);
        free_manager(manager, true);
    }
}

static struct memory_request *take_slot(struct memory_manager *manager)
{
    for (unsigned i = 0; i < MEMORY_OBJECT_REQUESTS; i++)
        if (manager->open[i].sequence == 0)
            return &manager->open[i];
    return NULL;
}

// Notes a request that is to be answered. NULL: it was ignored, or answered.
static const struct memory_request *note(struct memory_manager *manager,
                                         const struct memory_request *request, bool unlock)
{
    if (request->sequence <= manager->last_sequence ||
        (request->sequence & PAGER_SEQUENCE_OWN) != 0 ||
        !valid_range(request->offset, request->length) || request->length > PAGER_DATA_MAX ||
        request->access == 0 || (request->access & ~(uint64_t)ACCESS_ALL) != 0) {
        counters.malformed++;
        return NULL;
    }
    manager->last_sequence = request->sequence;
    struct memory_request *slot = take_slot(manager);
    if (slot == NULL) {
        counters.refused++;
        memory_refuse_request(manager, request, ERR_NO_MEMORY);
        return NULL;
    }
    *slot = *request;
    manager->unlocks[slot - manager->open] = unlock;
    return slot;
}

static void on_data_request(uint64_t label, uint64_t incarnation, uint64_t sequence,
                            uint64_t offset, uint64_t length, uint64_t access)
{
    struct memory_manager *manager = sender(label, incarnation);
    struct memory_request request = {sequence, offset, length, access};

    // The function gets its own copy: the slot is free as soon as it has answered.
    if (manager != NULL && note(manager, &request, false) != NULL)
        manager->object->functions->data_request(manager, &request);
}

static void on_data_unlock(uint64_t label, uint64_t incarnation, uint64_t sequence, uint64_t offset,
                           uint64_t length, uint64_t access)
{
    struct memory_manager *manager = sender(label, incarnation);
    struct memory_request request = {sequence, offset, length, access};

    if (manager == NULL || note(manager, &request, true) == NULL)
        return;
    if (manager->object->functions->data_unlock != NULL)
        manager->object->functions->data_unlock(manager, &request);
    else
        (void)memory_grant(manager, sequence, 0);
}

static void on_data_write(uint64_t label, uint64_t incarnation, uint64_t sequence, uint64_t offset,
                          uint64_t kept, uint64_t changed, const void *data, size_t bytes)
{
    struct memory_manager *manager = sender(label, incarnation);

    if (manager == NULL)
        return;
    if (!valid_range(offset, bytes) || kept > 1 || changed > 1 ||
        (sequence != 0 && (sequence & PAGER_SEQUENCE_OWN) == 0)) {
        counters.malformed++;
        return;
    }
    if (manager->object->functions->data_write != NULL)
        manager->object->functions->data_write(manager, sequence, offset, data, bytes, kept != 0,
                                               changed != 0);
}

static void on_lock_completed(uint64_t label, uint64_t incarnation, uint64_t sequence,
                              uint64_t offset, uint64_t length, uint64_t held)
{
    struct memory_manager *manager = sender(label, incarnation);

    if (manager == NULL)
        return;
    if ((sequence & PAGER_SEQUENCE_OWN) == 0 || sequence > manager->last_own) {
        counters.malformed++;
        return;
    }
    if (manager->object->functions->lock_completed != NULL)
        manager->object->functions->lock_completed(manager, sequence, offset, length, held);
}

static void on_terminate(uint64_t label, uint64_t incarnation)
{
    struct memory_manager *manager = sender(label, incarnation);

    if (manager != NULL)
        end(manager, false);
}

static void on_idle(uint64_t label, uint64_t incarnation)
{
    struct memory_manager *manager = sender(label, incarnation);

    if (manager != NULL && manager->object->functions->idle != NULL)
        manager->object->functions->idle(manager);
}

static void on_refused(uint64_t label, uint32_t id)
{
    (void)label;
    (void)id;
    counters.malformed++;
}

static const struct memory_object_operations operations = {
    .pager_init = on_init,
    .pager_data_request = on_data_request,
    .pager_data_write = on_data_write,
    .pager_data_unlock = on_data_unlock,
    .pager_lock_completed = on_lock_completed,
    .pager_terminate = on_terminate,
    .pager_idle = on_idle,
    .refused = on_refused,
};

// --- Notices ---------------------------------------------------------------------------------

// One manager that died or cannot be reached. NULL: there is none.
static struct memory_manager *find_lost(port_name_t dead)
{
    for (struct memory_object *object = objects; object != NULL; object = object->next)
        for (struct memory_manager *m = object->managers; m != NULL; m = m->next)
            if (m->request == dead || __atomic_load_n(&m->unreachable, __ATOMIC_ACQUIRE))
                return m;
    return NULL;
}

static bool take_notice(const struct message *notice)
{
    struct memory_manager *manager;
    port_name_t dead = PORT_NULL;

    if (notice->id == MESSAGE_ID_DEAD_NAME)
        dead = (port_name_t)notice->words[0];
    else if (notice->id != MESSAGE_ID_EVENT)
        return false;
    while ((manager = find_lost(dead)) != NULL)
        end(manager, true);
    return true;
}

// --- Serving ---------------------------------------------------------------------------------

corvus_error_t memory_object_set_buffer(size_t bytes)
{
    if (bytes <= buffer_bytes)
        return ERR_OK;
    uint8_t *larger = aligned_alloc(PAGE_BYTES, bytes);
    if (larger == NULL)
        return ERR_NO_MEMORY;
    if (old_buffer == NULL)
        old_buffer = buffer;
    else
        free(buffer); // never opened
    buffer = larger;
    buffer_bytes = bytes;
    return ERR_OK;
}

corvus_error_t memory_object_open_buffer(void)
{
    if (buffer == NULL && memory_object_set_buffer(PAGER_DATA_MAX) != ERR_OK)
        return ERR_NO_MEMORY;
    free(old_buffer);
    old_buffer = NULL;
    utcb_self()->copy_buffers[0] = message_buffer(buffer, buffer_bytes);
    return ERR_OK;
}

bool memory_object_dispatch(const struct message *request, struct message *reply)
{
    if (request->label == (uintptr_t)&notice_label) {
        reply->tag = 0;
        return take_notice(request);
    }
    return object_of(request->label) != NULL && memory_object_serve(request, reply, &operations);
}

corvus_error_t memory_object_run(bool (*other)(const struct message *request,
                                               struct message *reply))
{
    struct message request, reply = {0};
    port_name_t set = memory_object_set();
    corvus_error_t error = set == PORT_NULL ? ERR_NO_MEMORY : memory_object_open_buffer();

    while (error == ERR_OK) {
        bool answer = (reply.tag & TAG_WORDS_MASK) != 0;
        request = reply;
        error = answer ? msg_reply_receive(&request, set, TIMEOUT_NONE)
                       : msg_receive(&request, set, TIMEOUT_NONE);
        // Who wanted the answer has gone.
        if (error != ERR_OK && answer && (request.tag & TAG_ERROR_RECEIVE) == 0)
            error = msg_receive(&request, set, TIMEOUT_NONE);
        reply = (struct message){0};
        if (error == ERR_ABORTED)
            error = ERR_OK;
        else if (error == ERR_OK && !memory_object_dispatch(&request, &reply) &&
                 (other == NULL || !other(&request, &reply)))
            message_refuse(&request, &reply);
        if (!message_wants_reply(&request))
            reply.tag = 0;
        // Stubs that were used meanwhile may have closed it.
        if (error == ERR_OK)
            error = memory_object_open_buffer();
    }
    return error;
}

const struct memory_object_counters *memory_object_counters(void)
{
    return &counters;
}
