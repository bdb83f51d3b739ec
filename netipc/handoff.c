// SPDX-License-Identifier: BSD-2-Clause
// Messages from other nodes into ports of this one. What can be done without
// waiting is done by whoever brings it; the rest goes to a worker.
#include "netipc/exchange.h"

#include "netipc/core/table.h"

#include <stdio.h>
#include <stdlib.h>

// --- Rights that the core holds -------------------------------------------------------------

// One whose port's death is to be told.
struct watch {
    struct table_link by_name;
    uint32_t export_number;
};

uint64_t handoff_unwatched;
static struct table watches;
static struct event_source deaths;

void handoff_watch(void *context, uint64_t handle, uint32_t export_number)
{
    struct watch *watch = calloc(1, sizeof *watch);

    (void)context;
    if (watch != NULL) {
        watch->export_number = export_number;
        table_insert(&watches, &watch->by_name, handle);
    }
    // A port that is dead already is told of like one that dies.
    if (watch == NULL || task_request_notification(NAME_TASK_SELF, handle, NOTIFY_DEAD_NAME,
                                                   make_send_once(deaths.receive)) == ERR_NO_MEMORY)
        handoff_unwatched++;
}

void handoff_drop(void *context, uint64_t handle)
{
    struct table_link *link = table_find(&watches, handle);

    (void)context;
    if (link != NULL) {
        table_remove(&watches, link);
        free(table_element(link, struct watch, by_name));
    }
    (void)port_deallocate((port_name_t)handle);
}

static void death(struct event_source *source, struct message *message)
{
    struct table_link *link;

    (void)source;
    if (message->id != MESSAGE_ID_DEAD_NAME)
        return;
    link = table_find(&watches, message->words[0]);
    if (link != NULL)
        core_export_died(exchange_core, table_element(link, struct watch, by_name)->export_number);
}

// --- Sending ----------------------------------------------------------------------------------

corvus_error_t handoff_send(const struct handoff *handoff, uint64_t phases, struct message *message)
{
    struct utcb *page = utcb_self();

    *message = (struct message){
        .destination = handoff->to,
        .id = handoff->id,
        .tag = phases | handoff->word_count | TAG_RIGHTS(handoff->right_count) |
               TAG_ITEMS(handoff->item_count),
    };
    for (unsigned i = 0; i < handoff->word_count; i++) {
        if (i < MESSAGE_REGISTER_WORDS)
            message->words[i] = handoff->words[i];
        else
            page->words[i] = handoff->words[i];
    }
    for (unsigned i = 0; i < handoff->right_count; i++)
        page->rights[i] = handoff->rights[i];
    for (unsigned i = 0; i < handoff->item_count; i++)
        page->items[i] = message_copy_item(handoff->items[i].data, handoff->items[i].bytes);
    message_trap(message);
    return TAG_ERROR(message->tag);
}

void handoff_undo(const struct handoff *handoff)
{
    for (unsigned i = 0; i < handoff->right_count; i++)
        (void)port_deallocate(handoff->rights[i].name);
}

// A dead name, to be moved to whoever gets a right to a dead port.
static struct message_right dead_right(void)
{
    port_name_t receive, send = PORT_NULL;

    if (port_allocate_with_send(0, &receive, &send) == ERR_OK)
        (void)port_deallocate(receive);
    return move_send(send);
}

static struct message_right copied_right(uint64_t handle)
{
    uint64_t name = PORT_NULL;

    (void)task_insert_right(NAME_TASK_SELF, copy_send((port_name_t)handle), &name);
    return move_send((port_name_t)name);
}

// Made at once and under names of their own, so that what becomes of the core's meanwhile
// does not matter.
static struct message_right right_of(const struct core_arrival *arrival)
{
    switch (arrival->kind) {
    case CORE_ARRIVES_EXPORT:
        return copied_right(arrival->handle);
    case CORE_ARRIVES_IMPORT:
        return proxy_right(arrival->import);
    case CORE_ARRIVES_SLOT:
        return slot_right(arrival->slot);
    default:
        return dead_right();
    }
}

static void begin(struct handoff *handoff, port_name_t to, const struct core_incoming *message)
{
    *handoff = (struct handoff){
        .to = to,
        .id = message->id,
        .word_count = message->word_count,
        .right_count = message->right_count,
        .item_count = message->item_count,
        .words = message->words,
    };
    for (unsigned i = 0; i < message->right_count; i++)
        handoff->rights[i] = right_of(&message->rights[i]);
    for (unsigned i = 0; i < message->item_count; i++)
        handoff->items[i] = message->items[i];
}

// Without waiting. WOULD_BLOCK: it would have to.
static corvus_error_t send_now(const struct handoff *handoff)
{
    struct message message;

    utcb_self()->send_deadline = 0;
    return handoff_send(handoff, TAG_SEND | TAG_SEND_DEADLINE, &message);
}

// --- Deliveries ----------------------------------------------------------------------------------

static struct core_delivery *delivered; // not yet told; linked by their owner's pointers

void handoff_deliver(void *context, struct core_delivery *delivery)
{
    struct handoff handoff;

    (void)context;
    begin(&handoff, (port_name_t)delivery->handle, &delivery->message);
    if (delivery->is_call) {
        worker_call(delivery, &handoff);
        return;
    }
    corvus_error_t error = send_now(&handoff);
    if (error == ERR_WOULD_BLOCK || error == ERR_TIMED_OUT) {
        worker_deliver(delivery, &handoff);
        return;
    }
    if (error != ERR_OK)
        handoff_undo(&handoff);
    delivery->owner = delivered;
    delivered = delivery;
}

void handoff_step(void)
{
    while (delivered != NULL) {
        struct core_delivery *delivery = delivered;
        delivered = delivery->owner;
        core_delivered(exchange_core, delivery);
    }
}

void handoff_abandon(void *context, struct core_delivery *delivery)
{
    (void)context;
    if (delivery->is_call)
        worker_abandon(delivery);
}

// --- Answers -------------------------------------------------------------------------------------

void handoff_complete(void *context, uint64_t handle, const struct core_incoming *message,
                      corvus_error_t error)
{
    struct handoff handoff;

    (void)context;
    if (message == NULL) {
        (void)task_fail_reply(NAME_TASK_SELF, handle, error);
        return;
    }
    begin(&handoff, (port_name_t)handle, message);
    error = send_now(&handoff);
    if (error == ERR_WOULD_BLOCK || error == ERR_TIMED_OUT) {
        worker_answer(&handoff);
    } else if (error != ERR_OK) {
        // The caller has given up, or cannot take it: then it hears why.
        handoff_undo(&handoff);
        (void)task_fail_reply(NAME_TASK_SELF, handle, error);
    }
}

_Noreturn void handoff_no_memory(void)
{
    printf("net: no memory for a message that has come\n");
    exit(EXIT_FAILURE);
}

bool handoff_start(void)
{
    deaths.message = death;
    return table_create(&watches) && server_add_source(&deaths) == ERR_OK;
}
