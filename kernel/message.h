// SPDX-License-Identifier: BSD-2-Clause
// Message passing outside the fast path: the two phases, queues, delivery.
#pragma once

#include "task.h"
#include "thread.h"

// The `msg` system call of the current thread, any case.
void message_system_call(port_name_t destination, port_name_t receive_from, uint32_t id,
                         uint64_t tag);

// The answer is in the thread's frame: makes it ready (or leaves it current).
void message_complete(struct thread *thread, uint64_t tag);
void message_fail(struct thread *thread, corvus_error_t error, bool in_receive);

// Receive phase of a thread whose send phase is over; its parameters are in
// its frame.
void message_receive(struct thread *thread);

// The thread, taken off its sink, issues its receive again when it runs.
void message_receive_again(struct thread *receiver);

// Whether the rights of a message may travel (changes nothing).
corvus_error_t message_check_rights(struct thread *sender, uint64_t tag, const struct port *self);

// Ends of waits.
void message_end_receivers(struct sink *sink, corvus_error_t error);
void message_end_senders(struct port *port, corvus_error_t error);

// Something arrived at the sink: gives it to a waiting receiver.
void message_wake_receiver(struct sink *sink);

// Puts a kernel-made message into a port's queue, waking a receiver. Takes the
// message over (also when the port is dead: it is destroyed).
void message_post(struct port *port, struct message_copy *message);

struct message_copy *message_copy_allocate(struct task *charged, unsigned words);
void message_copy_destroy(struct message_copy *message);

// Queues a thread (a sender, or one with a fault) on a port.
void message_queue_thread(struct port *port, struct thread *thread);
void message_unqueue_thread(struct thread *thread);

// --- Delivery (deliver.c) ---------------------------------------------------

enum delivery {
    DELIVERED,
    DELIVERY_SENDER_FAILED,   // *error: the send fails, the receiver is as it was
    DELIVERY_SENDER_FAULTS,   // the sender now waits for its pager; the receiver is as it was
    DELIVERY_RECEIVER_FAULTS, // the receiver now waits for its pager; the sender is as it was
    DELIVERY_RECEIVER_FAILED, // *error: the receive fails, the message stays
    DELIVERY_PREEMPTED,       // a COPY was left in the middle: try again
};

// A message of `sender`, whose system call is in its frame, to `receiver`,
// which waits or is about to. `label`: of the port; 0 for a reply.
enum delivery deliver_from_thread(struct thread *sender, struct thread *receiver,
                                  const struct port *port, uint64_t label, corvus_error_t *error);
enum delivery deliver_copy(struct message_copy *message, struct thread *receiver, uint64_t label,
                           corvus_error_t *error);
void deliver_event(struct port *port, struct thread *receiver);

// MAP and GRANT items of an answered page fault: offsets are absolute.
corvus_error_t deliver_fault_items(struct thread *pager, struct thread *faulter, uint64_t tag);

// Fills in a notice's or kernel message's word and sends it.
void notice_send(struct notice *notice);
void notice_destroy(struct notice *notice);
corvus_error_t notice_request(struct task *task, struct port *port, uint32_t kind, uint64_t word,
                              struct port *to);
