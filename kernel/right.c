// SPDX-License-Identifier: BSD-2-Clause
// Rights tables: names, their generations, and how rights move.
#include "right.h"

#include "memory.h"
#include "message.h"
#include "task.h"
#include "x86/panic.h"

struct right right_empty_page[RIGHTS_PER_PAGE];

#define PAGES_BYTES (RIGHT_PAGES * sizeof(struct right *))
_Static_assert(PAGES_BYTES == 4096, "one page of pointers");

bool right_table_init(struct task *task)
{
    struct right_table *table = &task->rights;

    table->pages = memory_page_allocate(task);
    if (!table->pages)
        return false;
    for (unsigned i = 0; i < RIGHT_PAGES; i++)
        table->pages[i] = right_empty_page;
    return true;
}

struct right *right_lookup(struct task *task, port_name_t name)
{
    struct right *right = right_entry(&task->rights, name);

    if (right_kind(right) == RIGHT_NONE ||
        (right->tag & RIGHT_GENERATION_MASK) != (name & RIGHT_GENERATION_MASK))
        return NULL;
    return right;
}

static bool refers_to_port(uint32_t kind)
{
    return kind == RIGHT_SEND || kind == RIGHT_SEND_ONCE || kind == RIGHT_RECEIVE;
}

struct port *right_port(struct task *task, port_name_t name, uint32_t kind, corvus_error_t *error)
{
    struct right *right = right_lookup(task, name);

    if (!right) {
        *error = ERR_INVALID_NAME;
    } else if (right_kind(right) != kind) {
        *error = ERR_INVALID_RIGHT;
    } else if (right->port->dead) {
        *error = ERR_PEER_DIED;
    } else {
        *error = ERR_OK;
        return right->port;
    }
    return NULL;
}

// --- Space ------------------------------------------------------------------

// Adds a page of entries. Index 0 is never given out.
static corvus_error_t grow(struct task *task)
{
    struct right_table *table = &task->rights;
    uint32_t first = table->end;

    if (first == RIGHTS_MAX)
        return ERR_RIGHTS_FULL;
    table->pages[first / RIGHTS_PER_PAGE] = memory_page_allocate(task);
    if (!table->pages[first / RIGHTS_PER_PAGE]) {
        table->pages[first / RIGHTS_PER_PAGE] = right_empty_page;
        return ERR_NO_MEMORY;
    }
    table->end = first + RIGHTS_PER_PAGE;
    for (uint32_t i = first ? first : 1; i < table->end; i++)
        right_list_free(table, i);
    return ERR_OK;
}

corvus_error_t right_reserve(struct task *task, uint32_t count)
{
    if (task->terminated)
        return ERR_TERMINATED;
    while (__builtin_expect(task->rights.free < count, 0)) {
        corvus_error_t error = grow(task);

        if (error)
            return error;
    }
    return ERR_OK;
}

port_name_t right_insert(struct task *task, const struct carried_right *carried)
{
    struct right_table *table = &task->rights;
    uint32_t kind = carried->is_reply ? RIGHT_KIND_REPLY : carried->kind;
    port_name_t name;

    KASSERT(table->free);
    if (kind == RIGHT_RECEIVE)
        carried->port->receiver = task;
    name = right_add(table, kind, carried->port);
    right_entry(table, name)->sequence = carried->sequence;
    return name;
}

// --- Travelling -------------------------------------------------------------

corvus_error_t right_check(struct task *task, struct message_right wanted, const struct port *self)
{
    struct right *right = right_lookup(task, wanted.name);
    uint32_t kind;

    if (!right)
        return ERR_INVALID_NAME;
    kind = right_kind(right);
    switch (wanted.disposition) {
    case MOVE_SEND:
    case COPY_SEND:
        return kind == RIGHT_SEND || kind == RIGHT_DEAD ? ERR_OK : ERR_INVALID_RIGHT;
    case MAKE_SEND:
    case MAKE_SEND_ONCE:
        return kind == RIGHT_RECEIVE ? ERR_OK : ERR_INVALID_RIGHT;
    case MOVE_SEND_ONCE:
        return kind == RIGHT_SEND_ONCE || kind == RIGHT_KIND_REPLY || kind == RIGHT_DEAD
                   ? ERR_OK
                   : ERR_INVALID_RIGHT;
    case MOVE_RECEIVE:
        // Sent to itself it could never be received, nor die.
        return kind == RIGHT_RECEIVE && right->port != self ? ERR_OK : ERR_INVALID_RIGHT;
    default:
        return ERR_INVALID_ARGUMENT;
    }
}

// A right made or copied from one that stays.
static struct carried_right right_derive(struct right *right, uint32_t disposition)
{
    struct carried_right carried = {.kind = RIGHT_DEAD};

    if (right_kind(right) == RIGHT_DEAD)
        return carried;
    carried.port = right->port;
    if (disposition == MAKE_SEND_ONCE) {
        carried.kind = RIGHT_SEND_ONCE;
        port_add_send_once(right->port);
    } else {
        carried.kind = RIGHT_SEND;
        port_add_send(right->port);
    }
    return carried;
}

struct carried_right right_take(struct task *task, struct message_right wanted)
{
    struct right *right = right_entry(&task->rights, wanted.name);
    struct carried_right carried = {.kind = (uint8_t)right_kind(right)};

    if (wanted.disposition == COPY_SEND || wanted.disposition == MAKE_SEND ||
        wanted.disposition == MAKE_SEND_ONCE)
        return right_derive(right, wanted.disposition);
    carried.port = right->port;
    if (carried.kind == RIGHT_KIND_REPLY) {
        carried.kind = RIGHT_SEND_ONCE;
        carried.is_reply = true;
        carried.sequence = right->sequence;
    } else if (carried.kind == RIGHT_RECEIVE) {
        port_disable(right->port);
        message_end_receivers(&right->port->own, ERR_INVALID_NAME);
        port_unbind_vcpu(right->port);
        right->port->receiver = NULL;
    }
    right_remove(&task->rights, wanted.name);
    return carried;
}

uint32_t carried_kind(const struct carried_right *carried)
{
    if (refers_to_port(carried->kind) && !carried->is_reply && carried->port->dead &&
        carried->kind != RIGHT_RECEIVE)
        return RIGHT_DEAD;
    return carried->kind;
}

void carried_destroy(struct carried_right *carried)
{
    carried_destroy_because(carried, ERR_NO_REPLY);
}

void carried_destroy_because(struct carried_right *carried, corvus_error_t reason)
{
    if (carried->is_reply) {
        struct thread *caller = carried->caller;

        if (caller->rpc_sequence == carried->sequence)
            thread_end_wait(caller, reason);
        thread_release(caller);
    } else if (carried->kind == RIGHT_SEND) {
        port_drop_send(carried->port);
    } else if (carried->kind == RIGHT_SEND_ONCE) {
        port_drop_send_once(carried->port);
    } else if (carried->kind == RIGHT_RECEIVE) {
        port_kill(carried->port);
        port_release(carried->port);
    } else if (carried->kind == RIGHT_PORT_SET) {
        port_set_destroy((struct port_set *)carried->port);
    }
    carried->kind = RIGHT_NONE;
    carried->is_reply = false;
}

static void entry_destroy(struct task *task, port_name_t name, corvus_error_t reason)
{
    struct right *right = right_entry(&task->rights, name);
    struct carried_right carried = {.kind = (uint8_t)right_kind(right)};

    carried.port = right->port;
    if (carried.kind == RIGHT_KIND_REPLY) {
        carried.kind = RIGHT_SEND_ONCE;
        carried.is_reply = true;
        carried.sequence = right->sequence;
    }
    right_remove(&task->rights, name);
    carried_destroy_because(&carried, reason);
}

corvus_error_t right_deallocate_because(struct task *task, port_name_t name, corvus_error_t reason)
{
    if (!right_lookup(task, name))
        return ERR_INVALID_NAME;
    entry_destroy(task, name, reason);
    return ERR_OK;
}

bool right_table_destroy_step(struct task *task)
{
    struct right_table *table = &task->rights;
    unsigned budget = 64;

    while (table->end) {
        uint32_t page = (table->end - 1) / RIGHTS_PER_PAGE;

        for (uint32_t i = table->sweep; i < RIGHTS_PER_PAGE; i++) {
            struct right *right = &table->pages[page][i];

            table->sweep = i;
            if (right_kind(right) == RIGHT_NONE)
                continue;
            if (budget-- == 0)
                return false;
            entry_destroy(task,
                          (page * RIGHTS_PER_PAGE + i) << NAME_GENERATION_BITS |
                              (right->tag & RIGHT_GENERATION_MASK),
                          ERR_PEER_DIED);
        }
        table->sweep = 0;
        memory_page_free(task, table->pages[page]);
        table->pages[page] = right_empty_page;
        table->end = page * RIGHTS_PER_PAGE;
    }
    if (table->pages) {
        memory_page_free(task, table->pages);
        table->pages = NULL;
    }
    return true;
}
