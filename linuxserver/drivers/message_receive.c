// SPDX-License-Identifier: GPL-2.0-only
// The receive phase of a call, and descriptors that tell whether it would wait.
#include "message.h"

#include <corvus/services.h>

#include <linux/anon_inodes.h>
#include <linux/hrtimer.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

// --- What arrives --------------------------------------------------------------------

int corvus_prepare_arrival(struct corvus_operation *operation)
{
    const struct message_buffer *buffers = operation->page->copy_buffers;
    size_t bytes = 0;

    for (unsigned int i = 0; i < MESSAGE_ITEMS; i++) {
        operation->in_address[i] = buffers[i].address;
        // More than that never comes.
        bytes += min_t(u64, buffers[i].length, MESSAGE_COPY_MAX);
    }
    operation->in_bytes = bytes;
    operation->page->map_window = (struct message_buffer){0};
    return corvus_spares_get(operation->file, &operation->spares, SPARES_MOST);
}

int corvus_allocate_arrival(struct corvus_operation *operation)
{
    struct message_buffer *buffers = operation->page->copy_buffers;
    u8 *next;

    if (operation->in_bytes == 0 || operation->in != NULL)
        return ERR_OK;
    next = operation->in = corvus_allocate_bytes(operation->file, operation->in_bytes);
    if (operation->in == NULL)
        return ERR_NO_MEMORY;
    for (unsigned int i = 0; i < MESSAGE_ITEMS; i++) {
        buffers[i].address = (u64)next;
        buffers[i].length = min_t(u64, buffers[i].length, MESSAGE_COPY_MAX);
        next += buffers[i].length;
    }
    return ERR_OK;
}

void corvus_free_arrival(struct corvus_operation *operation)
{
    if (operation->in != NULL)
        corvus_free_bytes(operation->file, operation->in, operation->in_bytes);
    operation->in = NULL;
}

static int give_items(struct corvus_operation *operation, unsigned int count)
{
    int error = 0;

    for (unsigned int i = 0; i < count; i++) {
        struct message_item *item = &operation->page->items[i];

        if (item->kind == ITEM_COPY && item->length != 0 &&
            copy_to_user((void __user *)operation->in_address[i], (const void *)item->address,
                         item->length) != 0)
            error = -EFAULT;
        item->address = operation->in_address[i];
    }
    return error;
}

int corvus_take_message(struct corvus_operation *operation, struct message_exchange *exchange)
{
    struct corvus_call *call = &operation->call;
    struct corvus_file *file = operation->file;
    struct utcb *page = operation->page;
    unsigned int rights = (exchange->tag & TAG_RIGHTS_MASK) >> TAG_RIGHTS_SHIFT;
    u32 number = 0;

    for (unsigned int i = 0; i < rights; i++)
        page->rights[i].name = corvus_right_adopt(file, &operation->spares, page->rights[i].name,
                                                  page->rights[i].disposition);
    if (exchange->reply != PORT_NULL)
        call->reply =
            corvus_right_adopt(file, &operation->spares, exchange->reply, RIGHT_SEND_ONCE);
    call->tag = exchange->tag & (TAG_WORDS_MASK | TAG_RIGHTS_MASK | TAG_ITEMS_MASK | TAG_REPLY);
    call->destination = exchange->destination;
    call->receive_from = 0;
    call->id = exchange->id;
    memcpy(call->words, exchange->words, sizeof call->words);
    // The kernel tells the server's name.
    if (call->id == MESSAGE_ID_DEAD_NAME || call->id == MESSAGE_ID_SEND_POSSIBLE)
        number = corvus_notice_take(file, (u32)call->words[0]);
    if (number != 0)
        call->words[0] = number;
    return give_items(operation, (exchange->tag & TAG_ITEMS_MASK) >> TAG_ITEMS_SHIFT);
}

// --- Waiting ---------------------------------------------------------------------------

static void drop_reply_slot(struct corvus_operation *operation)
{
    struct corvus_right *right = corvus_right_get(operation->file, operation->call.reply);

    operation->call.reply = PORT_NULL;
    if (right == NULL)
        return;
    corvus_right_remove(right);
    corvus_right_put(right);
}

// One try, which does not wait.
static enum corvus_error try(struct corvus_operation *operation, const struct corvus_port *port)
{
    struct message_exchange *exchange = &operation->work.exchange;
    enum corvus_error error;

    if (operation->in_bytes != 0 && !corvus_port_ready(port))
        return port->name == PORT_NULL ? ERR_PEER_DIED : ERR_WOULD_BLOCK;
    error = corvus_allocate_arrival(operation);
    if (error != ERR_OK)
        return error;
    if (port->name == PORT_NULL) // while memory was sought
        return ERR_PEER_DIED;
    operation->page->receive_deadline = 0;
    *exchange = (struct message_exchange){
        .tag = TAG_RECEIVE | TAG_RECEIVE_DEADLINE,
        .receive_from = port->name,
        .page = operation->page,
    };
    messages_exchange(exchange);
    return TAG_ERROR(exchange->tag);
}

// 0: somebody may have sent something. `until` of 0 is never.
static enum corvus_error sleep(u64 until)
{
    ktime_t deadline = ns_to_ktime(until);

    if (until == 0)
        schedule();
    else if (schedule_hrtimeout(&deadline, HRTIMER_MODE_ABS) == 0)
        return ERR_TIMED_OUT;
    return signal_pending(current) ? ERR_ABORTED : ERR_OK;
}

static enum corvus_error wait(struct corvus_operation *operation, struct corvus_port *port,
                              bool bounded, u64 deadline)
{
    enum corvus_error error = try(operation, port), slept = ERR_OK;
    DEFINE_WAIT(entry);

    while (error == ERR_WOULD_BLOCK && !(bounded && deadline == 0) && slept == ERR_OK) {
        corvus_free_arrival(operation); // not held while waiting
        prepare_to_wait_exclusive(&port->wait, &entry, TASK_INTERRUPTIBLE);
        if (port->name != PORT_NULL && !corvus_port_ready(port))
            slept = sleep(bounded ? deadline : 0);
        finish_wait(&port->wait, &entry);
        error = try(operation, port);
        cond_resched();
    }
    // One event may have been for several messages, or this one's have been in vain.
    if (waitqueue_active(&port->wait))
        wake_up(&port->wait);
    return error == ERR_WOULD_BLOCK && slept != ERR_OK ? slept : error;
}

int corvus_receive(struct corvus_operation *operation)
{
    struct corvus_right *right;
    struct corvus_port *port;
    u64 deadline = operation->page->receive_deadline;
    int error;

    drop_reply_slot(operation);
    right = corvus_right_get(operation->file, operation->call.receive_from);
    if (right == NULL)
        return corvus_end(operation, ERR_INVALID_NAME, true);
    port = right->port;
    if (port != NULL)
        corvus_port_get(port);
    corvus_right_put(right);
    if (port == NULL)
        return corvus_end(operation, ERR_INVALID_RIGHT, true);
    error = corvus_prepare_arrival(operation);
    if (error == ERR_OK)
        error = wait(operation, port, operation->call.tag & TAG_RECEIVE_DEADLINE, deadline);
    corvus_port_put(port);
    if (error == ERR_ABORTED)
        return -ERESTARTSYS;
    if (error != ERR_OK)
        return corvus_end(operation, error, true);
    return corvus_take_message(operation, &operation->work.exchange);
}

// --- Descriptors -----------------------------------------------------------------------

static __poll_t port_poll(struct file *file, poll_table *table)
{
    struct corvus_port *port = file->private_data;

    poll_wait(file, &port->wait, table);
    if (port->name == PORT_NULL)
        return EPOLLHUP | EPOLLERR;
    return corvus_port_ready(port) ? EPOLLIN | EPOLLRDNORM : 0;
}

static int port_release(struct inode *inode, struct file *file)
{
    corvus_port_put(file->private_data);
    return 0;
}

static const struct file_operations port_operations = {
    .poll = port_poll,
    .release = port_release,
    .llseek = noop_llseek,
};

int corvus_port_file(struct corvus_file *file, u32 number)
{
    struct corvus_right *right = corvus_right_get(file, number);
    int result = -EINVAL;

    if (right == NULL)
        return -ENOENT;
    if (right->port != NULL) {
        corvus_port_get(right->port);
        result =
            anon_inode_getfd("[corvus-port]", &port_operations, right->port, O_RDONLY | O_CLOEXEC);
        if (result < 0)
            corvus_port_put(right->port);
    }
    corvus_right_put(right);
    return result;
}
