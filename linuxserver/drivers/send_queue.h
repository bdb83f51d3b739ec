// SPDX-License-Identifier: GPL-2.0-only
// Messages of Linux's own to one port, in order, one at a time: one try, which does not wait; then
// a worker's (backend/messages.h), which does. What messages are, and become, is the owner's.
#pragma once

#include "linuxserver/backend/messages.h"

#include <linux/list.h>
#include <linux/types.h>

struct port_daemon;
struct send_queue;

// What all queues of one sort have in common.
struct send_queue_kind {
    struct port_daemon *daemon; // whose thread goes on when a worker is done
    // Fills in a message with its tag; exchange->page has been zeroed. `waits`: for a worker.
    // False: the port is not to be used any more.
    bool (*prepare)(const struct send_queue *queue, const struct list_head *message, bool waits,
                    struct message_exchange *exchange);
    // It has left the queue: sent (ERR_OK), or never will be. The owner's from now on.
    void (*end)(struct send_queue *queue, struct list_head *message, int error);
    // Nothing more can be done now: all are sent, or a worker has one, or the queue is stuck.
    void (*rested)(struct send_queue *queue);
};

struct send_queue {
    const struct send_queue_kind *kind;
    struct list_head messages;
    bool sending; // the first of them is with a worker
    bool stuck;   // the first of them wants a worker, and there is none: to be tried again
    struct message_work work;
    u64 page_bytes[CORVUS_PAGE_BYTES / sizeof(u64)]; // of the message that is sent
};

void send_queue_begin(struct send_queue *queue, const struct send_queue_kind *kind);

void send_queue_add(struct send_queue *queue, struct list_head *message);

// Tries again after it was stuck.
void send_queue_go_on(struct send_queue *queue);

// `prepare` says no from now on: all messages end, the one with a worker a little later.
void send_queue_drop(struct send_queue *queue);

static inline bool send_queue_is_over(const struct send_queue *queue)
{
    return !queue->sending && list_empty(&queue->messages);
}

// For the daemon: goes on with one queue whose worker is done. False: there is none.
bool send_queue_finished(struct port_daemon *daemon);
