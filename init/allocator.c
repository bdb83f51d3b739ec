// SPDX-License-Identifier: BSD-2-Clause
// A task counts with its quota and all the memory that it may have from when it is made,
// so that the limit holds whatever they ask for afterwards, which goes by the label.
#include "allocator.h"

#include "events.h"
#include "faults.h"
#include "names.h"

#include "lib/port.h"
#include "lib/serve.h"

#include <corvus/allocator.h>
#include <corvus/allocator_dispatch.h>
#include <corvus/host.h>

#include <string.h>

struct guest {
    bool used;
    uint32_t generation; // how many tasks have had this number
    port_name_t task, memory_port, pager_port;
    port_name_t life; // a right to the memory port of init's own, until the maker has one
    uint64_t promised;
    struct memory_account memory;
};

// Names need an owner; this one never ends.
static const struct child nobody;
static struct guest guests[ALLOCATOR_TASKS_MAX];
static uint64_t limit, promised, task_flags;
static port_name_t service_set;
static uint8_t outgoing[ALLOCATOR_COPY_MAX];

// --- Labels ----------------------------------------------------------------------

static uint64_t label_of(const struct guest *guest, uint64_t kind)
{
    return kind + (uint64_t)(guest - guests) +
           ((uint64_t)guest->generation << LABEL_GENERATION_SHIFT);
}

// NULL: that task is no more.
static struct guest *guest_of(uint64_t label)
{
    uint64_t number = label & LABEL_TASK_NUMBER;
    struct guest *guest = &guests[number];

    if (number >= ALLOCATOR_TASKS_MAX || !guest->used ||
        guest->generation != label >> LABEL_GENERATION_SHIFT)
        return NULL;
    return guest;
}

// --- Life ------------------------------------------------------------------------

static void drop(port_name_t *name)
{
    if (*name != PORT_NULL)
        (void)port_deallocate(*name);
    *name = PORT_NULL;
}

static void end(struct guest *guest)
{
    // First the task, then its memory: nothing of it may run on freed pages.
    if (guest->task != PORT_NULL)
        (void)task_terminate(guest->task);
    drop(&guest->task);
    drop(&guest->life);
    drop(&guest->memory_port);
    drop(&guest->pager_port);
    sigma0_reclaim(&guest->memory);
    promised -= guest->promised;
    guest->used = false;
}

static struct guest *find_free(void)
{
    for (unsigned i = 0; i < ALLOCATOR_TASKS_MAX; i++)
        if (!guests[i].used)
            return &guests[i];
    return NULL;
}

static corvus_error_t make_port(uint64_t label, port_name_t *port)
{
    corvus_error_t error = port_allocate(label, port);

    return error == ERR_OK ? port_enable(*port, service_set) : error;
}

static corvus_error_t make(struct guest *guest, uint64_t quota)
{
    corvus_error_t error = task_create(NAME_TASK_SELF, quota, task_flags, &guest->task, NULL);

    guest->memory.task = guest->task;
    if (error == ERR_OK)
        error = make_port(label_of(guest, LABEL_TASK_MEMORY), &guest->memory_port);
    if (error == ERR_OK)
        error = make_port(label_of(guest, LABEL_TASK_PAGER), &guest->pager_port);
    if (error == ERR_OK)
        error = port_make_send(guest->memory_port, &guest->life);
    if (error == ERR_OK)
        error = events_request(guest->memory_port, NOTIFY_NO_SENDERS);
    if (error == ERR_OK)
        error = events_request(guest->task, NOTIFY_DEAD_NAME);
    return error;
}

// What init needs itself, to start a server again for one, must not all be given away.
static bool quota_left(uint64_t quota)
{
    uint64_t mine, used;

    return task_info(NAME_TASK_SELF, NULL, &mine, &used, NULL, NULL, NULL) == ERR_OK &&
           quota <= (mine - used) / 2;
}

static corvus_error_t create_task(uint64_t label, uint64_t quota, uint64_t memory,
                                  struct message_right *task, struct message_right *memory_port,
                                  struct message_right *pager)
{
    struct guest *guest = find_free();

    (void)label;
    if (quota == 0 || (quota | memory) % PAGE_BYTES != 0)
        return ERR_INVALID_ARGUMENT;
    if (guest == NULL || quota > limit - promised || memory > limit - promised - quota ||
        !quota_left(quota))
        return ERR_NO_MEMORY;
    *guest = (struct guest){
        .used = true,
        .generation = guest->generation + 1,
        .promised = quota + memory,
        .memory = {.owner = PAGE_OWNER_CHILD + CONFIG_SERVERS_MAX + (uint32_t)(guest - guests),
                   .limit = memory},
    };
    promised += guest->promised;
    corvus_error_t error = make(guest, quota);
    if (error == ERR_OK)
        error = events_remind(EVENT_ALLOCATOR);
    if (error != ERR_OK) {
        end(guest);
        return error;
    }
    *task = copy_send(guest->task);
    *memory_port = copy_send(guest->life);
    *pager = make_send(guest->pager_port);
    return ERR_OK;
}

// An answer that nobody takes leaves its rights here; then this ends the task.
void allocator_settle(void)
{
    for (unsigned i = 0; i < ALLOCATOR_TASKS_MAX; i++)
        drop(&guests[i].life);
}

bool allocator_died(port_name_t name)
{
    for (unsigned i = 0; i < ALLOCATOR_TASKS_MAX; i++) {
        if (guests[i].used && guests[i].task == name) {
            end(&guests[i]);
            return true;
        }
    }
    return false;
}

void allocator_abandoned(uint64_t label)
{
    struct guest *guest = guest_of(label);

    if (guest != NULL)
        end(guest);
}

static corvus_error_t tell_allocator(uint64_t label, uint64_t *all, uint64_t *of_these,
                                     uint64_t *tasks, uint64_t *memory)
{
    (void)label;
    *all = limit;
    *of_these = promised;
    *tasks = *memory = 0;
    for (unsigned i = 0; i < ALLOCATOR_TASKS_MAX; i++) {
        *tasks += guests[i].used;
        *memory += guests[i].used ? guests[i].memory.used : 0;
    }
    return ERR_OK;
}

static const struct allocator_operations allocator_operations = {
    .allocator_create_task = create_task,
    .allocator_info = tell_allocator,
};

// --- Memory ----------------------------------------------------------------------
// The port lives as long as the task, so there is one for every label that comes.

static corvus_error_t allocate(uint64_t label, uint64_t address, uint64_t length, uint64_t access)
{
    return sigma0_allocate(&guest_of(label)->memory, address, length, access);
}

static corvus_error_t release(uint64_t label, uint64_t address, uint64_t length)
{
    return sigma0_free(&guest_of(label)->memory, address, length);
}

static corvus_error_t protect(uint64_t label, uint64_t address, uint64_t length, uint64_t access)
{
    return sigma0_protect(&guest_of(label)->memory, address, length, access);
}

static corvus_error_t write(uint64_t label, uint64_t address, const void *bytes, size_t count)
{
    struct memory_account *memory = &guest_of(label)->memory;

    if (count == 0)
        return ERR_INVALID_ARGUMENT;
    return sigma0_write(memory, address, bytes, count) ? ERR_OK : ERR_NOT_MAPPED;
}

static corvus_error_t read(uint64_t label, uint64_t address, uint64_t length, const void **bytes,
                           size_t *count)
{
    if (length == 0)
        return ERR_INVALID_ARGUMENT;
    if (length > sizeof outgoing)
        return ERR_TOO_LARGE;
    if (!sigma0_read(&guest_of(label)->memory, address, outgoing, length))
        return ERR_NOT_MAPPED;
    *bytes = outgoing;
    *count = length;
    return ERR_OK;
}

static corvus_error_t tell_memory(uint64_t label, uint64_t *most, uint64_t *used)
{
    const struct memory_account *memory = &guest_of(label)->memory;

    *most = memory->limit;
    *used = memory->used;
    return ERR_OK;
}

static const struct task_memory_operations memory_operations = {
    .task_memory_allocate = allocate,
    .task_memory_free = release,
    .task_memory_protect = protect,
    .task_memory_write = write,
    .task_memory_read = read,
    .task_memory_info = tell_memory,
};

// --- Messages --------------------------------------------------------------------

bool allocator_request(const struct message *request, struct message *reply)
{
    uint64_t kind = request->label & LABEL_TASK_KINDS;
    bool served = false;

    if (request->label == LABEL_ALLOCATOR) {
        served = allocator_serve(request, reply, &allocator_operations);
    } else if (kind == LABEL_TASK_MEMORY) {
        served = task_memory_serve(request, reply, &memory_operations);
    } else if (kind == LABEL_TASK_PAGER) {
        served = request->id == MESSAGE_ID_PAGE_FAULT;
        if (served)
            faults_serve_page(&guest_of(request->label)->memory, request, reply);
    } else {
        return false;
    }
    if (!served)
        message_refuse(request, reply);
    return true;
}

corvus_error_t allocator_initialize(uint64_t bytes, uint32_t priority, port_name_t set)
{
    static const struct service_name name = {"allocator"};
    port_name_t port, send;

    limit = bytes;
    task_flags = TASK_PRIORITY_MAX(priority);
    service_set = set;
    if (limit == 0)
        return ERR_OK;
    corvus_error_t error = port_allocate_with_send(LABEL_ALLOCATOR, &port, &send);
    if (error == ERR_OK)
        error = port_enable(port, set);
    return error == ERR_OK ? names_check_in(&nobody, &name, send) : error;
}
