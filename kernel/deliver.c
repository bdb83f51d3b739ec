// SPDX-License-Identifier: BSD-2-Clause
// Delivery of one message to one receiver. First everything is checked and
// every page brought in; then memory is copied and mapped, which can still fail
// and is undone; from the commit on nothing can fail.
#include "message.h"

#include "counters.h"
#include "cpu.h"
#include "fault.h"
#include "mapping.h"
#include "memory.h"
#include "x86/memory.h"
#include "x86/paging.h"
#include "x86/panic.h"

// --- Rights -----------------------------------------------------------------

static bool is_move(uint32_t disposition)
{
    return disposition == MOVE_SEND || disposition == MOVE_SEND_ONCE || disposition == MOVE_RECEIVE;
}

// A right that moves can be named only once in a message.
static bool named_again(const struct message_right *rights, unsigned count, port_name_t name)
{
    for (unsigned i = 0; i < count; i++)
        if (rights[i].name == name)
            return true;
    return false;
}

// A right that leaves cannot also be the one that is used up by this sending.
static bool is_used_up(const struct thread *sender, uint64_t tag, struct message_right right)
{
    return right.disposition == MOVE_SEND_ONCE && !(tag & TAG_REPLY) &&
           right.name == (port_name_t)sender->frame.rdi;
}

corvus_error_t message_check_rights(struct thread *sender, uint64_t tag, const struct port *self)
{
    unsigned count = (tag & TAG_RIGHTS_MASK) >> TAG_RIGHTS_SHIFT;
    const struct message_right *rights = sender->utcb->rights;
    corvus_error_t error;

    for (unsigned i = 0; i < count; i++) {
        error = right_check(sender->task, rights[i], self);
        if (error)
            return error;
        if (is_move(rights[i].disposition) &&
            (named_again(rights, i, rights[i].name) ||
             named_again(rights + i + 1, count - i - 1, rights[i].name) ||
             is_used_up(sender, tag, rights[i])))
            return ERR_INVALID_ARGUMENT;
    }
    if (tag & TAG_REPLY_RIGHT) {
        struct message_right reply = sender->utcb->reply;

        if ((reply.disposition != MAKE_SEND_ONCE && reply.disposition != MOVE_SEND_ONCE) ||
            named_again(rights, count, reply.name) || is_used_up(sender, tag, reply))
            return ERR_INVALID_ARGUMENT;
        return right_check(sender->task, reply, self);
    }
    return ERR_OK;
}

static void insert_right(struct thread *receiver, unsigned index, struct carried_right *carried)
{
    uint32_t kind = carried_kind(carried);

    receiver->utcb->rights[index] = (struct message_right){
        .name = right_insert(receiver->task, carried),
        .disposition = kind,
    };
}

// Puts a carried reply right into the receiver's slot.
static void fill_reply_slot(struct thread *receiver, struct carried_right *carried)
{
    if (carried->is_reply) {
        struct thread *caller = carried->caller;

        if (caller->rpc_sequence == carried->sequence) {
            receiver->reply.caller = caller;
            caller->replier = receiver;
        }
        thread_release(caller);
    } else if (carried->kind == RIGHT_SEND_ONCE) {
        receiver->reply.port = carried->port;
    }
}

// --- Whole messages ---------------------------------------------------------

static void move_words(struct thread *receiver, const uint64_t *registers, const uint64_t *all,
                       unsigned words)
{
    for (unsigned i = 0; i < MESSAGE_REGISTER_WORDS; i++)
        receiver->frame.words[i] = registers[i];
    for (unsigned i = MESSAGE_REGISTER_WORDS; i < words; i++)
        receiver->utcb->words[i] = all[i];
}

static void move_rights(struct thread *sender, struct thread *receiver, uint64_t tag)
{
    unsigned rights = (tag & TAG_RIGHTS_MASK) >> TAG_RIGHTS_SHIFT;

    for (unsigned i = 0; i < rights; i++) {
        struct carried_right carried = right_take(sender->task, sender->utcb->rights[i]);

        insert_right(receiver, i, &carried);
    }
    if (tag & TAG_REPLY_RIGHT) {
        struct carried_right carried = right_take(sender->task, sender->utcb->reply);

        fill_reply_slot(receiver, &carried);
    }
}

static enum delivery deliver(struct thread *sender, struct thread *receiver,
                             const struct port *port, uint64_t label, corvus_error_t *error)
{
    uint64_t tag = sender->frame.rax;
    unsigned rights = (tag & TAG_RIGHTS_MASK) >> TAG_RIGHTS_SHIFT;
    unsigned items = (tag & TAG_ITEMS_MASK) >> TAG_ITEMS_SHIFT;
    uint64_t delivered = tag & (TAG_WORDS_MASK | TAG_RIGHTS_MASK | TAG_ITEMS_MASK);

    if (rights || tag & TAG_REPLY_RIGHT) {
        *error = message_check_rights(sender, tag, port);
        if (!*error)
            *error = right_reserve(receiver->task, rights);
        if (*error)
            return DELIVERY_SENDER_FAILED;
    }
    if (items) {
        enum delivery result = deliver_items(sender, receiver, items, error);

        if (result != DELIVERED)
            return result;
    }

    // ---- commit: nothing below can fail ----
    if (rights || tag & TAG_REPLY_RIGHT)
        move_rights(sender, receiver, tag);
    move_words(receiver, sender->frame.words, sender->utcb->words, tag & TAG_WORDS_MASK);
    if (tag & TAG_RPC) {
        receiver->reply.caller = sender;
        sender->replier = receiver;
    }
    if (receiver->reply.caller || receiver->reply.port)
        delivered |= port ? TAG_REPLY : 0;
    receiver->frame.rdi = label;
    receiver->frame.rdx = (uint32_t)sender->frame.rdx;
    receiver->frame.rax = delivered;
    trace(TRACE_DELIVER, receiver->id, label);
    return DELIVERED;
}

enum delivery deliver_from_thread(struct thread *sender, struct thread *receiver,
                                  const struct port *port, uint64_t label, corvus_error_t *error)
{
    enum delivery result;

    // Interrupts may be let in on the way: until it is over, no deadline ends
    // the wait of either side.
    cpu.transfer_sender = sender;
    cpu.transfer_receiver = receiver;
    result = deliver(sender, receiver, port, label, error);
    cpu.transfer_sender = NULL;
    cpu.transfer_receiver = NULL;
    return result;
}

enum delivery deliver_copy(struct message_copy *message, struct thread *receiver, uint64_t label,
                           corvus_error_t *error)
{
    unsigned words = message->tag & TAG_WORDS_MASK;
    uint64_t registers[MESSAGE_REGISTER_WORDS] = {0};

    *error = right_reserve(receiver->task, message->right_count);
    if (*error)
        return DELIVERY_RECEIVER_FAILED;
    for (unsigned i = 0; i < message->right_count; i++)
        insert_right(receiver, i, &message->rights[i]);
    message->right_count = 0;
    if (message->reply.kind != RIGHT_NONE) {
        fill_reply_slot(receiver, &message->reply);
        message->reply.kind = RIGHT_NONE;
        message->reply.is_reply = false;
    }
    for (unsigned i = 0; i < words && i < MESSAGE_REGISTER_WORDS; i++)
        registers[i] = message->words[i];
    move_words(receiver, registers, message->words, words);
    receiver->frame.rdi = label;
    receiver->frame.rdx = message->id;
    receiver->frame.rax =
        message->tag | (receiver->reply.caller || receiver->reply.port ? TAG_REPLY : 0);
    trace(TRACE_DELIVER, receiver->id, label);
    return DELIVERED;
}

void deliver_event(struct port *port, struct thread *receiver)
{
    for (unsigned i = 1; i < MESSAGE_REGISTER_WORDS; i++)
        receiver->frame.words[i] = 0;
    receiver->frame.words[0] = port->events;
    receiver->frame.rdi = port->label;
    receiver->frame.rdx = MESSAGE_ID_EVENT;
    receiver->frame.rax = 1;
    port->events = 0;
    port_update_ready(port);
}
