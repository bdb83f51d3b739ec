// SPDX-License-Identifier: GPL-2.0-only
// Nothing in here sleeps, so only the list of finished work, which interrupts add to, has a lock.
#include "send_queue.h"

#include "message.h"
#include "port_daemon.h"

static bool prepare(struct send_queue *queue, const struct list_head *message, bool waits)
{
    queue->work.exchange.page = (struct utcb *)queue->page_bytes;
    memset(queue->page_bytes, 0, sizeof queue->page_bytes);
    return queue->kind->prepare(queue, message, waits, &queue->work.exchange);
}

// By the interrupt, or by who has started it.
static void work_finished(struct message_work *work)
{
    struct port_daemon *daemon = container_of(work, struct send_queue, work)->kind->daemon;
    unsigned long flags;

    spin_lock_irqsave(&daemon->finished_lock, flags);
    work->next = daemon->finished;
    daemon->finished = work;
    spin_unlock_irqrestore(&daemon->finished_lock, flags);
    port_daemon_wake(daemon);
}

static void end(struct send_queue *queue, int error)
{
    struct list_head *message = queue->messages.next;

    list_del_init(message);
    queue->kind->end(queue, message, error);
}

// An enum corvus_error.
static int try_first(struct send_queue *queue)
{
    if (!prepare(queue, queue->messages.next, false))
        return ERR_PEER_DIED;
    messages_exchange(&queue->work.exchange);
    return TAG_ERROR(queue->work.exchange.tag);
}

static void give_to_worker(struct send_queue *queue)
{
    (void)prepare(queue, queue->messages.next, true);
    queue->work.done = 0;
    queue->work.finished = work_finished;
    queue->sending = true;
    if (messages_start(&queue->work) != 0) {
        queue->sending = false;
        queue->stuck = true;
    }
}

void send_queue_go_on(struct send_queue *queue)
{
    queue->stuck = false;
    while (!queue->sending && !queue->stuck && !list_empty(&queue->messages)) {
        int error = try_first(queue);

        if (error == ERR_WOULD_BLOCK || error == ERR_TIMED_OUT)
            give_to_worker(queue);
        else
            end(queue, error);
    }
    queue->kind->rested(queue);
}

void send_queue_begin(struct send_queue *queue, const struct send_queue_kind *kind)
{
    queue->kind = kind;
    INIT_LIST_HEAD(&queue->messages);
}

void send_queue_add(struct send_queue *queue, struct list_head *message)
{
    bool first = list_empty(&queue->messages);

    list_add_tail(message, &queue->messages);
    // Whoever ends a message goes on with the next.
    if (first && !queue->sending)
        send_queue_go_on(queue);
}

void send_queue_drop(struct send_queue *queue)
{
    if (queue->sending)
        messages_abort(&queue->work);
    else
        send_queue_go_on(queue);
}

bool send_queue_finished(struct port_daemon *daemon)
{
    struct message_work *work;
    struct send_queue *queue;
    unsigned long flags;

    corvus_reap();
    spin_lock_irqsave(&daemon->finished_lock, flags);
    work = daemon->finished;
    if (work != NULL)
        daemon->finished = work->next;
    spin_unlock_irqrestore(&daemon->finished_lock, flags);
    if (work == NULL)
        return false;
    queue = container_of(work, struct send_queue, work);
    queue->sending = false;
    end(queue, TAG_ERROR(work->exchange.tag));
    send_queue_go_on(queue);
    return true;
}
