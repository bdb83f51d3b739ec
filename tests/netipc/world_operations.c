// SPDX-License-Identifier: BSD-2-Clause
// What the core asks of the model of a kernel: proxies, slots, deliveries, answers, memory.
#include "tests/netipc/world_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool op_open_import(void *context, struct core_import *import, uint64_t *id)
{
    struct node *node = context;

    if (world_fails(node->world))
        return false;
    struct port *port = port_make(node);
    port->import = import;
    *core_import_owner(import) = port;
    *id = port->id;
    return true;
}

static void op_close_import(void *context, struct core_import *import)
{
    struct port *port = *core_import_owner(import);

    (void)context;
    port->import = NULL;
    kernel_die(port);
}

static void op_pause_import(void *context, struct core_import *import, bool paused)
{
    struct port *port = *core_import_owner(import);

    (void)context;
    port->paused = paused;
}

static bool op_open_slot(void *context, struct core_slot *slot)
{
    struct node *node = context;

    if (world_fails(node->world))
        return false;
    struct port *port = port_make(node);
    port->slot = slot;
    *core_slot_owner(slot) = port;
    return true;
}

static void op_close_slot(void *context, struct core_slot *slot)
{
    struct port *port = *core_slot_owner(slot);

    (void)context;
    port->slot = NULL;
    kernel_die(port);
}

static void op_watch_right(void *context, uint64_t handle, uint32_t number)
{
    struct right *right = (struct right *)handle;

    (void)context;
    right->port->watched = number + 1;
    right->port->watcher = right;
}

static void op_drop_right(void *context, uint64_t handle)
{
    struct right *right = (struct right *)handle;

    (void)context;
    if (right->port != NULL && right->port->watcher == right)
        right->port->watched = 0;
    right_drop(right);
}

static struct right *right_of(struct node *node, const struct core_arrival *arrival)
{
    struct port *port;

    switch (arrival->kind) {
    case CORE_ARRIVES_EXPORT:
        return right_copy((struct right *)arrival->handle);
    case CORE_ARRIVES_IMPORT:
        port = *core_import_owner(arrival->import);
        return right_make(port, CORE_SEND);
    case CORE_ARRIVES_SLOT:
        return right_make(*core_slot_owner(arrival->slot), CORE_SEND_ONCE);
    default: {
        struct right *right = world_obtain(sizeof *right);
        *right = (struct right){.kind = CORE_DEAD, .node = node};
        node->right_count++;
        return right;
    }
    }
}

static struct arrived *arrived_of(struct node *node, const struct core_incoming *incoming)
{
    struct arrived *arrived = world_obtain(sizeof *arrived);

    arrived->id = incoming->id;
    arrived->word_count = incoming->word_count;
    memcpy(arrived->words, incoming->words, sizeof arrived->words);
    arrived->right_count = incoming->right_count;
    for (unsigned i = 0; i < incoming->right_count; i++)
        arrived->rights[i] = right_of(node, &incoming->rights[i]);
    arrived->item_count = incoming->item_count;
    for (unsigned i = 0; i < incoming->item_count; i++) {
        arrived->item_bytes[i] = incoming->items[i].bytes;
        arrived->items[i] = world_obtain(incoming->items[i].bytes + 1);
        memcpy(arrived->items[i], incoming->items[i].data, incoming->items[i].bytes);
    }
    node->world->arrived_count++;
    return arrived;
}

// Deliveries come to their ports later, in an order of the world's choosing.
struct pending {
    struct node *node;
    struct core_delivery *delivery;
    struct arrived *arrived;
};

static void op_deliver(void *context, struct core_delivery *delivery)
{
    struct node *node = context;
    struct world *world = node->world;

    if (world->pending_count == world->pending_room) {
        world->pending_room = 2 * world->pending_room + 64;
        world->pendings =
            world_enlarge(world->pendings, world->pending_room * sizeof(struct pending));
    }
    struct arrived *arrived = arrived_of(node, &delivery->message);
    world->pendings[world->pending_count++] = (struct pending){node, delivery, arrived};
}

static void pending_end(const struct pending *pending)
{
    struct core_delivery *delivery = pending->delivery;
    struct port *port = ((struct right *)delivery->handle)->port;
    struct core *core = pending->node->core;

    if (port->dead) {
        bool is_call = delivery->is_call;
        arrived_free(pending->arrived);
        if (is_call)
            core_answer(core, delivery, NULL, ERR_PEER_DIED);
        else
            core_delivered(core, delivery);
        return;
    }
    pending->arrived->call = delivery->is_call ? delivery : NULL;
    kernel_queue(port, pending->arrived);
    core_delivered(core, delivery);
}

bool pending_step(struct world *world)
{
    uint32_t count = world->pending_count;
    uint32_t at = count != 0 ? world_random(world, count) : 0;

    for (uint32_t i = 0; i < count; i++, at = (at + 1) % count) {
        struct pending pending = world->pendings[at];
        if (pending.node->frozen)
            continue;
        world->pendings[at] = world->pendings[--world->pending_count];
        pending_end(&pending);
        return true;
    }
    return false;
}

void pending_give_back(struct node *node)
{
    struct world *world = node->world;

    for (uint32_t i = 0; i < world->pending_count;) {
        if (world->pendings[i].node != node) {
            i++;
            continue;
        }
        struct pending pending = world->pendings[i];
        world->pendings[i] = world->pendings[--world->pending_count];
        pending_end(&pending);
        i = 0;
    }
}

static void op_abandon(void *context, struct core_delivery *delivery)
{
    struct node *node = context;

    (void)delivery;
    node->abandoned++;
}

static void op_complete(void *context, uint64_t handle, const struct core_incoming *message,
                        corvus_error_t error)
{
    struct node *node = context;
    struct right *right = (struct right *)handle;
    struct port *port = right->port;

    // A caller's answer, or a message through somebody's send-once right.
    if (port->owner != NULL) {
        struct answer *answer = port->owner;
        answer->done = true;
        answer->times++;
        answer->error = error;
        answer->message = message != NULL ? arrived_of(node, message) : NULL;
        kernel_die(port);
    } else if (message != NULL) {
        struct arrived *arrived = arrived_of(node, message);
        if (port->dead)
            arrived_free(arrived);
        else
            kernel_queue(port, arrived);
        if (port->slot != NULL)
            kernel_mark(port);
    }
    right_drop(right);
}

static void *op_allocate(void *context, size_t bytes)
{
    struct node *node = context;

    if (world_fails(node->world))
        return NULL;
    node->segment_count++;
    world_own_memory++;
    void *memory = malloc(bytes);
    world_own_memory--;
    return memory;
}

static void op_release(void *context, void *memory, size_t bytes)
{
    struct node *node = context;

    (void)bytes;
    node->segment_count--;
    free(memory);
}

static bool op_entropy(void *context, uint8_t bytes[SECURE_KEY_BYTES])
{
    struct node *node = context;

    for (int i = 0; i < SECURE_KEY_BYTES; i++)
        bytes[i] = (uint8_t)world_random(node->world, 256);
    return true;
}

static void op_peer_changed(void *context, uint32_t number, bool live, const char *why)
{
    struct node *node = context;

    node->changes++;
    node->world->changes++;
    uint32_t low = number < node->number ? number : node->number;
    uint32_t high = number < node->number ? node->number : number;
    node->world->changes_between[low * (node->world->count + 1) + high]++;
    if (node->world->tell_changes)
        printf("# node %u: %u %s %s\n", node->number, number, live ? "is there" : "is gone:", why);
}

const struct core_operations world_operations = {
    .open_import = op_open_import,
    .close_import = op_close_import,
    .pause_import = op_pause_import,
    .open_slot = op_open_slot,
    .close_slot = op_close_slot,
    .watch_right = op_watch_right,
    .drop_right = op_drop_right,
    .deliver = op_deliver,
    .abandon = op_abandon,
    .complete = op_complete,
    .allocate = op_allocate,
    .release = op_release,
    .transmit = network_transmit,
    .close_link = network_close_link,
    .entropy = op_entropy,
    .peer_changed = op_peer_changed,
};
