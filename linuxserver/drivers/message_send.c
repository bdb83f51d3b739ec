// SPDX-License-Identifier: GPL-2.0-only
// The send phase of a call. What can be sent at once is; what has to wait (an RPC, a full
// queue, memory that somebody has to take) a worker sends while the process sleeps.
#include "message.h"

#include <corvus/services.h>

#include <linux/sched/signal.h>
#include <linux/uaccess.h>

// --- Rights --------------------------------------------------------------------------

static bool moves(u32 disposition)
{
    return disposition == MOVE_SEND || disposition == MOVE_SEND_ONCE || disposition == MOVE_RECEIVE;
}

static int take_right(struct corvus_operation *operation, unsigned int index,
                      struct message_right *named)
{
    struct corvus_right *right = corvus_right_get(operation->file, named->name);

    if (right == NULL)
        return ERR_INVALID_NAME;
    operation->sent[index] = right;
    if (moves(named->disposition)) {
        operation->moving |= 1u << index;
        right->leaving = true;
    }
    named->name = right->name;
    return ERR_OK;
}

static int take_rights(struct corvus_operation *operation)
{
    u64 tag = operation->call.tag;
    unsigned int count = (tag & TAG_RIGHTS_MASK) >> TAG_RIGHTS_SHIFT;
    int error = ERR_OK;

    for (unsigned int i = 0; i < count && error == ERR_OK; i++)
        error = take_right(operation, i, &operation->page->rights[i]);
    if (error == ERR_OK && tag & TAG_REPLY_RIGHT)
        error = take_right(operation, MESSAGE_RIGHTS, &operation->page->reply);
    return error;
}

static void give_right(struct corvus_operation *operation, unsigned int index, bool sent)
{
    struct corvus_right *right = operation->sent[index];

    operation->sent[index] = NULL;
    if (right == NULL)
        return;
    if (operation->moving & 1u << index) {
        if (sent)
            corvus_right_gone(right);
        right->leaving = false;
    }
    corvus_right_put(right);
}

// Whether a right that can be used once has been: an answer to nobody is used up, too.
static bool used_up(const struct corvus_right *right)
{
    u64 words[MESSAGE_SERVICE_WORDS] = {right->name};

    return messages_service(NAME_TASK_SELF, SERVICE_task_right_info, 1, words, NULL, NULL) ==
           ERR_INVALID_NAME;
}

static void give_rights(struct corvus_operation *operation, bool sent)
{
    struct corvus_right *destination = operation->destination;

    for (unsigned int i = 0; i <= MESSAGE_RIGHTS; i++)
        give_right(operation, i, sent);
    operation->moving = 0;
    if (destination != NULL && destination->kind == RIGHT_SEND_ONCE &&
        destination->name != PORT_NULL && used_up(destination)) {
        if (operation->call.reply == destination->number)
            operation->call.reply = PORT_NULL;
        corvus_right_gone(destination);
    }
    corvus_right_put(destination);
    operation->destination = NULL;
}

// --- Memory ----------------------------------------------------------------------------

static int take_items(struct corvus_operation *operation)
{
    unsigned int count = (operation->call.tag & TAG_ITEMS_MASK) >> TAG_ITEMS_SHIFT;
    struct message_item *items = operation->page->items;
    size_t bytes = 0;
    u8 *next;

    for (unsigned int i = 0; i < count; i++) {
        if (items[i].kind != ITEM_COPY)
            return ERR_NOT_SUPPORTED;
        if (items[i].length > MESSAGE_COPY_MAX - bytes)
            return ERR_TOO_LARGE;
        bytes += items[i].length;
    }
    if (bytes == 0)
        return ERR_OK;
    operation->out = corvus_allocate_bytes(operation->file, bytes);
    if (operation->out == NULL)
        return ERR_NO_MEMORY;
    operation->out_bytes = bytes;
    next = operation->out;
    for (unsigned int i = 0; i < count; i++) {
        if (copy_from_user(next, (const void __user *)items[i].address, items[i].length) != 0)
            return ERR_FAULT;
        items[i].address = (u64)next;
        next += items[i].length;
    }
    return ERR_OK;
}

// --- Sending ---------------------------------------------------------------------------

static void prepare(struct corvus_operation *operation, u64 tag)
{
    const struct corvus_call *call = &operation->call;
    struct message_exchange *exchange = &operation->work.exchange;

    *exchange = (struct message_exchange){
        .tag = tag | (call->tag & (TAG_WORDS_MASK | TAG_RIGHTS_MASK | TAG_ITEMS_MASK |
                                   TAG_REPLY_RIGHT | TAG_NOTIFY)),
        .destination =
            operation->destination != NULL ? operation->destination->name : call->destination,
        .id = call->id,
        .page = operation->page,
    };
    memcpy(exchange->words, call->words, sizeof exchange->words);
}

static void work_finished(struct message_work *work)
{
    complete(&container_of(work, struct corvus_operation, work)->done);
}

int corvus_work(struct corvus_operation *operation)
{
    int error = -EAGAIN;

    if (!corvus_take_work(operation->file))
        return error;
    reinit_completion(&operation->done);
    operation->work.done = 0;
    operation->work.finished = work_finished;
    error = messages_start(&operation->work);
    if (error == 0) {
        corvus_reap(); // it may have been done at once
        if (wait_for_completion_interruptible(&operation->done) != 0) {
            error = -EINTR;
            messages_abort(&operation->work);
            corvus_reap();
            wait_for_completion(&operation->done);
        }
    }
    corvus_give_work(operation->file);
    return error;
}

static bool was_sent(u64 tag)
{
    return TAG_ERROR(tag) == ERR_OK || (tag & TAG_ERROR_RECEIVE) != 0;
}

// What came of a worker's try. -ERESTARTSYS: a signal came before anything was sent.
static int worked(struct corvus_operation *operation, int error)
{
    u64 tag = operation->work.exchange.tag;

    if (error == -EAGAIN || error == -ENOMEM)
        return corvus_end(operation, ERR_NO_MEMORY, false);
    if (error == -EINTR && TAG_ERROR(tag) == ERR_ABORTED && !was_sent(tag))
        return -ERESTARTSYS;
    if (TAG_ERROR(tag) != ERR_OK)
        return corvus_end(operation, TAG_ERROR(tag), (tag & TAG_ERROR_RECEIVE) != 0);
    return 0;
}

static int call(struct corvus_operation *operation)
{
    u64 deadlines = operation->call.tag & (TAG_SEND_DEADLINE | TAG_RECEIVE_DEADLINE);
    int error = corvus_prepare_arrival(operation);

    if (error == ERR_OK)
        error = corvus_allocate_arrival(operation);
    if (error != ERR_OK)
        return corvus_end(operation, error, true);
    operation->page->send_deadline = corvus_deadline(operation->page->send_deadline);
    operation->page->receive_deadline = corvus_deadline(operation->page->receive_deadline);
    prepare(operation, TAG_CALL | TAG_FOREIGN | deadlines);
    error = worked(operation, corvus_work(operation));
    give_rights(operation, error == 0 && was_sent(operation->work.exchange.tag));
    if (error != 0 || TAG_ERROR(operation->call.tag) != ERR_OK)
        return error;
    return corvus_take_message(operation, &operation->work.exchange);
}

// Whether the server's own thread may try. With a right to answer it may be for an object of the
// kernel, which would work, however long, in that thread.
static bool is_at_once(const struct corvus_operation *operation)
{
    return (operation->call.tag & TAG_REPLY_RIGHT) == 0;
}

static int send(struct corvus_operation *operation)
{
    struct message_exchange *exchange = &operation->work.exchange;
    u64 deadline = operation->page->send_deadline;
    bool bounded = operation->call.tag & TAG_SEND_DEADLINE;
    bool again = true;
    int error = 0;

    if (is_at_once(operation)) {
        operation->page->send_deadline = 0;
        prepare(operation, TAG_SEND | TAG_SEND_DEADLINE);
        messages_exchange(exchange);
        again = TAG_ERROR(exchange->tag) == ERR_WOULD_BLOCK && !(bounded && deadline == 0);
    }
    if (again) {
        operation->page->send_deadline = corvus_deadline(deadline);
        prepare(operation, TAG_SEND | (bounded ? TAG_SEND_DEADLINE : 0));
        error = corvus_work(operation);
    }
    error = worked(operation, error);
    give_rights(operation, error == 0 && was_sent(exchange->tag));
    return error;
}

static int find_destination(struct corvus_operation *operation)
{
    struct corvus_call *call = &operation->call;
    u64 name = call->tag & TAG_REPLY ? call->reply : call->destination;

    if (call->tag & TAG_REPLY && name == PORT_NULL)
        return ERR_PEER_DIED;
    operation->destination = corvus_right_get(operation->file, name);
    if (operation->destination == NULL)
        return ERR_INVALID_NAME;
    return ERR_OK;
}

int corvus_send(struct corvus_operation *operation)
{
    u64 tag = operation->call.tag;
    bool known = tag & TAG_RPC && operation->call.destination < FIRST_NAME;
    int error = ERR_OK;

    if (known && corvus_serve(operation))
        return 0;
    if (!known)
        error = find_destination(operation);
    if (error == ERR_OK)
        error = take_rights(operation);
    if (error == ERR_OK)
        error = take_items(operation);
    if (error != ERR_OK)
        error = corvus_end(operation, error, false);
    else
        error = tag & TAG_RPC ? call(operation) : send(operation);
    give_rights(operation, false); // those of a call that was not made
    return error;
}
