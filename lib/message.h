// SPDX-License-Identifier: BSD-2-Clause
// Sending and receiving under Mach's names. The caller fills in a message:
// destination, id, words, and as tag the number of words | TAG_RIGHTS(n) |
// TAG_ITEMS(n) | options; what does not fit in registers goes into the message
// page. Time-outs are in microseconds (lib/clock.h).
#pragma once

#include "lib/call.h"
#include "lib/clock.h"
#include "lib/thread.h"

// What a caller may set in a tag; phases and deadlines are these functions'.
#define MESSAGE_TAG_MASK                                                                           \
    (TAG_WORDS_MASK | TAG_RIGHTS_MASK | TAG_ITEMS_MASK | TAG_REPLY_RIGHT | TAG_FOREIGN)

// One system call with the phases of `phases`; both end by the same deadline.
static inline corvus_error_t message_exchange(struct message *message, uint64_t phases,
                                              uint64_t deadline)
{
    if (deadline != DEADLINE_NONE) {
        struct utcb *page = utcb_self();
        page->send_deadline = deadline;
        page->receive_deadline = deadline;
        phases |= TAG_SEND_DEADLINE | TAG_RECEIVE_DEADLINE;
    }
    message->tag = (message->tag & MESSAGE_TAG_MASK) | phases;
    message_trap(message);
    return TAG_ERROR(message->tag);
}

// Puts the message into the port's queue. Waits for room, at most `timeout`.
// Time-out 0 and no room: WOULD_BLOCK or TIMED_OUT.
static inline corvus_error_t msg_send(struct message *message, uint64_t timeout)
{
    return message_exchange(message, TAG_SEND, deadline_of_timeout(timeout));
}

// Takes the next message of a port or port set.
static inline corvus_error_t msg_receive(struct message *message, port_name_t from,
                                         uint64_t timeout)
{
    *message = (struct message){.receive_from = from};
    return message_exchange(message, TAG_RECEIVE, deadline_of_timeout(timeout));
}

// Sends the message and waits for the answer, which takes its place.
static inline corvus_error_t msg_rpc(struct message *message, uint64_t timeout)
{
    return message_exchange(message, TAG_CALL, deadline_of_timeout(timeout));
}

// The right to answer a request is in the thread's reply slot, which any receive
// empties. A thread that waits for another one (lib/event.h) before it has
// answered puts it under a name first, and these functions then use that name.

// Takes the right to answer the request received last under a name, a
// send-once right, so that the answer can be given later or by others.
corvus_error_t message_save_reply(port_name_t *reply);

// Answers through the name under which the right was put.
corvus_error_t message_reply_saved(struct message *message);

// Answers the caller whose request was received last, which never blocks, and
// waits for the next request. An error without TAG_ERROR_RECEIVE in the tag
// means that the answer found no taker, and nothing has been received.
static inline corvus_error_t msg_reply_receive(struct message *message, port_name_t from,
                                               uint64_t timeout)
{
    if (__builtin_expect(runtime_self()->saved_reply != PORT_NULL, 0)) {
        corvus_error_t error = message_reply_saved(message);
        return error != ERR_OK ? error : msg_receive(message, from, timeout);
    }
    message->receive_from = from;
    return message_exchange(message, TAG_REPLY_RECEIVE, deadline_of_timeout(timeout));
}

// Answers only.
static inline corvus_error_t msg_reply(struct message *message)
{
    if (__builtin_expect(runtime_self()->saved_reply != PORT_NULL, 0))
        return message_reply_saved(message);
    return message_exchange(message, TAG_SEND | TAG_REPLY, DEADLINE_NONE);
}

// ORs bits into the events of a port. Never waits.
static inline corvus_error_t msg_notify(port_name_t port, uint64_t bits)
{
    struct message message = {
        .tag = TAG_SEND | TAG_NOTIFY | 1, .destination = port, .words = {bits}};

    message_trap(&message);
    return TAG_ERROR(message.tag);
}
