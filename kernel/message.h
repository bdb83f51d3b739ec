// SPDX-License-Identifier: BSD-2-Clause
// Message passing outside the fast path: the two phases, queues, delivery.
#pragma once

#include "task.h"
#include "thread.h"

// The `msg` system call of the current thread, any case.
void message_system_call(port_name_t destination, port_name_t receive_from, uint32_t id,
                         uint64_t tag);

// The bits of a tag that belong to the send phase: gone once that is over.
#define TAG_SEND_PHASE                                                                             \
    (TAG_SEND | TAG_RPC | TAG_REPLY | TAG_SEND_DEADLINE | TAG_REPLY_RIGHT | TAG_NOTIFY |           \
     TAG_WORDS_MASK | TAG_RIGHTS_MASK | TAG_ITEMS_MASK)

// --- Pieces of the system call that its files share ---------------------------

enum send_result {
    SENT,    // go on with the receive phase
    WAITING, // or failed: nothing more to do for now
};

// Send phase of the current thread; *woken: who is to run because of it.
enum send_result message_send_phase(struct thread *sender, struct thread **woken);

// The system call is over; the thread is able to run, but in no queue.
void message_finish(struct thread *thread, uint64_t tag);

// Arms the deadline of a phase, if it has one. False: it must not wait at all,
// or no longer, and the call has failed.
bool message_arm_deadline(struct thread *thread, bool in_receive);

// The message of a thread was taken: goes on with its receive phase.
void message_sender_goes_on(struct thread *sender);

// A message through a send-once right was taken: the right is used up.
void message_consume_send_once(struct thread *sender);

// Takes the most recent receiver off a sink that has one.
struct thread *message_take_receiver(struct sink *sink);

// The system call is issued again when the thread runs next.
void message_preempted(struct thread *thread);

// --- Ends ---------------------------------------------------------------------

// The answer is in the thread's frame: makes it ready (or leaves it current).
void message_complete(struct thread *thread, uint64_t tag);
void message_fail(struct thread *thread, corvus_error_t error, bool in_receive);

// Receive phase of a thread whose send phase is over; its parameters are in
// its frame.
void message_receive(struct thread *thread);

// The thread, taken off its sink, issues its receive again when it runs.
void message_receive_again(struct thread *receiver);

// The thread was to receive again and will not (for now): another receiver may.
void message_pass_on(const struct thread *thread);

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

// The memory items of a message (items.c). DELIVERED: they are over.
enum delivery deliver_items(struct thread *sender, struct thread *receiver, unsigned items,
                            corvus_error_t *error);

// MAP and GRANT items of an answered page fault: offsets are absolute.
corvus_error_t deliver_fault_items(struct thread *pager, struct thread *faulter, uint64_t tag);

// The same for one MAP item of one page, which is the pager's only item. On an
// error nothing was mapped.
corvus_error_t deliver_fault_page(struct thread *pager, struct thread *faulter);

// Fills in a notice's or kernel message's word and sends it.
void notice_send(struct notice *notice);
void notice_destroy(struct notice *notice);
corvus_error_t notice_request(struct task *task, struct port *port, uint32_t kind, uint64_t word,
                              struct port *to);
