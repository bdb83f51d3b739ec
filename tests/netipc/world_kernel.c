// SPDX-License-Identifier: BSD-2-Clause
// The model of a kernel: ports, rights, queues, and what the core asks of them.
#include "tests/netipc/world_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// --- Kernels ------------------------------------------------------------------------------------

struct port *port_make(struct node *node)
{
    struct port *port = world_obtain(sizeof *port);

    port->id = ++node->world->next_id;
    port->node = node;
    port->next = node->ports;
    port->self = &node->ports;
    if (port->next != NULL)
        port->next->self = &port->next;
    node->ports = port;
    node->port_count++;
    return port;
}

// Something is to be done with it: see kernel_step.
void kernel_mark(struct port *port)
{
    struct world *world = port->node->world;

    if (port->marked)
        return;
    port->marked = true;
    port->marked_next = NULL;
    if (world->marked_last != NULL)
        world->marked_last->marked_next = port;
    else
        world->marked_first = port;
    world->marked_last = port;
}

void kernel_die(struct port *port)
{
    port->dead = true;
    kernel_mark(port);
}

struct right *right_make(struct port *port, enum core_right_kind kind)
{
    struct right *right = world_obtain(sizeof *right);

    *right = (struct right){.kind = kind, .port = port, .node = port->node};
    right->node->right_count++;
    if (port->dead)
        right->kind = CORE_DEAD;
    if (right->kind == CORE_SEND)
        port->sends++;
    else if (right->kind == CORE_SEND_ONCE)
        port->onces++;
    return right;
}

struct right *right_copy(const struct right *right)
{
    return right_make(right->port, CORE_SEND);
}

void right_drop(struct right *right)
{
    struct port *port = right->port;

    right->node->right_count--;
    if (port != NULL) {
        if (right->kind == CORE_SEND)
            port->sends--;
        else if (right->kind == CORE_SEND_ONCE)
            port->onces--;
        if (port->sends == 0 && port->onces == 0)
            kernel_mark(port);
    }
    free(right);
}

void arrived_free(struct arrived *arrived)
{
    for (unsigned i = 0; i < arrived->right_count; i++)
        if (arrived->rights[i] != NULL)
            right_drop(arrived->rights[i]);
    for (unsigned i = 0; i < arrived->item_count; i++)
        free(arrived->items[i]);
    free(arrived);
}

struct arrived *port_receive(struct port *port)
{
    struct arrived *arrived = port->first;

    if (arrived == NULL)
        return NULL;
    port->first = arrived->next;
    if (port->first == NULL)
        port->last = NULL;
    port->queued--;
    arrived->next = NULL;
    return arrived;
}

void kernel_queue(struct port *port, struct arrived *arrived)
{
    if (port->last != NULL)
        port->last->next = arrived;
    else
        port->first = arrived;
    port->last = arrived;
    port->queued++;
}

void port_kill(struct port *port)
{
    struct arrived *arrived;

    kernel_die(port);
    while ((arrived = port_receive(port)) != NULL) {
        struct core_delivery *call = arrived->call;
        arrived_free(arrived);
        if (call != NULL)
            core_answer(port->node->core, call, NULL, ERR_PEER_DIED);
    }
    if (port->watched != 0)
        core_export_died(port->node->core, port->watched - 1);
}

static void letter_message(const struct letter *letter, struct core_message *message)
{
    *message = (struct core_message){.id = letter->id,
                                     .word_count = letter->word_count,
                                     .right_count = letter->right_count,
                                     .item_count = letter->item_count,
                                     .words = letter->words};
    for (unsigned i = 0; i < letter->right_count; i++)
        message->rights[i] = (struct core_right){
            .kind = letter->rights[i]->port != NULL && letter->rights[i]->port->dead
                        ? CORE_DEAD
                        : letter->rights[i]->kind,
            .port = letter->rights[i]->port != NULL ? letter->rights[i]->port->id : 0,
            .handle = (uint64_t)letter->rights[i]};
    for (unsigned i = 0; i < letter->item_count; i++)
        message->items[i] = (struct core_bytes){letter->items[i], letter->item_bytes[i]};
}

// A message that came through a send-once right for somebody behind a slot.
static void forward(struct port *port)
{
    struct arrived *arrived = port_receive(port);
    struct letter letter = {.id = arrived->id,
                            .word_count = arrived->word_count,
                            .right_count = arrived->right_count,
                            .item_count = arrived->item_count};

    memcpy(letter.words, arrived->words, sizeof letter.words);
    memcpy(letter.rights, arrived->rights, sizeof letter.rights);
    for (unsigned i = 0; i < arrived->item_count; i++) {
        letter.items[i] = arrived->items[i];
        letter.item_bytes[i] = arrived->item_bytes[i];
    }
    struct core_message message;
    letter_message(&letter, &message);
    (void)core_slot_send(port->slot, &message);
    arrived->right_count = 0;
    arrived_free(arrived);
}

static void port_free(struct port *port)
{
    struct arrived *arrived;

    while ((arrived = port_receive(port)) != NULL)
        arrived_free(arrived);
    *port->self = port->next;
    if (port->next != NULL)
        port->next->self = port->self;
    port->node->port_count--;
    free(port);
}

static void port_step(struct port *port)
{
    if (port->slot != NULL && port->first != NULL) {
        forward(port);
        return;
    }
    if (port->sends != 0 || port->onces != 0)
        return;
    if (port->dead)
        port_free(port);
    else if (port->import != NULL)
        core_import_unused(port->import);
    else if (port->slot != NULL)
        core_slot_fail(port->slot, ERR_NO_REPLY);
}

// Of dead ports whose last right has gone nothing is left; of others, no-senders are
// told. True: something was done.
bool kernel_step(struct world *world)
{
    struct port *frozen = NULL;

    while (world->marked_first != NULL && world->marked_first != frozen) {
        struct port *port = world->marked_first;

        world->marked_first = port->marked_next;
        if (world->marked_first == NULL)
            world->marked_last = NULL;
        port->marked = false;
        if (!port->node->frozen) {
            port_step(port);
            return true;
        }
        kernel_mark(port);
        if (frozen == NULL)
            frozen = port;
    }
    return false;
}

// --- What programs do ----------------------------------------------------------------------------

static corvus_error_t send_locally(struct port *port, const struct letter *letter,
                                   struct answer *answer)
{
    struct arrived *arrived = world_obtain(sizeof *arrived);

    if (answer != NULL)
        abort(); // tests call over the network only
    arrived->id = letter->id;
    arrived->word_count = letter->word_count;
    memcpy(arrived->words, letter->words, sizeof arrived->words);
    arrived->right_count = letter->right_count;
    memcpy(arrived->rights, letter->rights, sizeof arrived->rights);
    arrived->item_count = letter->item_count;
    for (unsigned i = 0; i < letter->item_count; i++) {
        arrived->item_bytes[i] = letter->item_bytes[i];
        arrived->items[i] = world_obtain(letter->item_bytes[i] + 1);
        memcpy(arrived->items[i], letter->items[i], letter->item_bytes[i]);
    }
    kernel_queue(port, arrived);
    return ERR_OK;
}

static corvus_error_t send_over(struct port *port, const struct letter *letter,
                                struct answer *answer, const uint32_t room[MESSAGE_ITEMS])
{
    struct core_message message;
    uint64_t reply = 0;

    letter_message(letter, &message);
    if (port->slot != NULL)
        return core_slot_send(port->slot, &message);
    if (answer == NULL)
        return core_send(port->import, &message, NULL, NULL);
    struct port *back = port_make(port->node);
    *answer = (struct answer){0};
    back->owner = answer;
    struct right *once = right_make(back, CORE_SEND_ONCE);
    reply = (uint64_t)once;
    corvus_error_t error = core_send(port->import, &message, &reply, room);
    if (error != ERR_OK) {
        right_drop(once);
        kernel_die(back);
    }
    return error;
}

corvus_error_t world_send(struct right *to, const struct letter *letter, struct answer *answer,
                          const uint32_t room[MESSAGE_ITEMS])
{
    struct port *port = to->port;
    bool once = to->kind == CORE_SEND_ONCE;
    corvus_error_t error;

    if (to->kind == CORE_DEAD || port->dead) {
        for (unsigned i = 0; i < letter->right_count; i++)
            right_drop(letter->rights[i]);
        if (once)
            right_drop(to);
        return ERR_PEER_DIED;
    }
    if (port->paused)
        return ERR_WOULD_BLOCK;
    if (port->import == NULL && port->slot == NULL)
        error = send_locally(port, letter, answer);
    else
        error = send_over(port, letter, answer, room);
    if (once)
        right_drop(to);
    return error;
}

void world_answer(struct arrived *request, const struct letter *letter, corvus_error_t error)
{
    struct core_delivery *call = request->call;
    struct node *node = NULL;
    struct core_message message;

    node = ((struct right *)call->handle)->node;
    if (letter != NULL)
        letter_message(letter, &message);
    request->call = NULL;
    core_answer(node->core, call, letter != NULL ? &message : NULL, error);
}

// --- The end of a node -----------------------------------------------------------------------

void kernel_give_back(struct node *node)
{
    pending_give_back(node);
    for (struct port *port = node->ports; port != NULL; port = port->next)
        for (struct arrived *arrived = port->first; arrived != NULL; arrived = arrived->next)
            if (arrived->call != NULL) {
                core_answer(node->core, arrived->call, NULL, ERR_PEER_DIED);
                arrived->call = NULL;
            }
}

static void unmark_all(struct node *node)
{
    struct world *world = node->world;
    struct port *port = world->marked_first;

    world->marked_first = world->marked_last = NULL;
    while (port != NULL) {
        struct port *next = port->marked_next;
        port->marked = false;
        if (port->node != node)
            kernel_mark(port);
        port = next;
    }
}

void kernel_end(struct node *node)
{
    struct port *next;

    unmark_all(node);
    for (struct port *port = node->ports; port != NULL; port = next) {
        struct arrived *arrived;

        next = port->next;
        // Rights of one port may be in the queue of another that is no more.
        while ((arrived = port_receive(port)) != NULL) {
            for (unsigned i = 0; i < arrived->right_count; i++)
                free(arrived->rights[i]);
            arrived->right_count = 0;
            arrived_free(arrived);
        }
        free(port);
    }
    node->ports = NULL;
}
