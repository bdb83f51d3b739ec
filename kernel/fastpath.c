// SPDX-License-Identifier: BSD-2-Clause
// The fast path of message passing: a call to a waiting receiver, and a reply
// that waits for the next message. No queue, no scheduler: the processor goes
// straight to the partner. Whatever is rare returns before anything changed,
// and message.c does it.
//
// Conditions (docs/ABI): tag is exactly CALL or REPLY_RECEIVE plus a word
// count; destination is a live send right (call) or the reply slot holds a
// thread waiting for its RPC (reply); the partner waits; nothing more urgent
// than the partner is ready; for a reply, nothing is there to be received.
// Rare states of the partner (hazards) keep the direct switch but leave through
// kernel_exit.
#include "cpu.h"

#include "counters.h"
#include "message.h"
#include "task.h"
#include "x86/descriptor.h"
#include "x86/instructions.h"
#include "x86/switch.h"

_Noreturn void message_exit(uint64_t label, struct thread *receiver, uint64_t id,
                            const struct thread *words_from, uint64_t tag);
void message_fast(port_name_t destination, port_name_t receive_from, uint32_t id, uint64_t tag);

// Copies words 6.. of a message; `words` > 6.
static void copy_words(uint64_t *to, const uint64_t *from, uint64_t words)
{
    uint64_t i = words;

    // Two words a turn: an odd one first.
    if (i & 1) {
        i--;
        to[i] = from[i];
    }
    for (; i > MESSAGE_REGISTER_WORDS; i -= 2) {
        uint64_t a = from[i - 2];
        uint64_t b = from[i - 1];

        to[i - 2] = a;
        to[i - 1] = b;
    }
}

// Switches to the partner, whose message is in the current thread's frame and
// message page. Returns only when hazards must be looked at first.
static inline void hand_over(struct thread *from, struct thread *to, uint64_t label, uint32_t id,
                             uint64_t tag)
{
    cpu.current = to;
    if (__builtin_expect(to->hazard | cpu.hazard, 0)) {
        for (unsigned i = 0; i < MESSAGE_REGISTER_WORDS; i++)
            to->frame.words[i] = from->frame.words[i];
        to->frame.rdi = label;
        to->frame.rdx = id;
        to->frame.rax = tag;
        trace(TRACE_DELIVER, to->id, label);
        return;
    }
    switch_to_thread(to);
    message_exit(label, to, id, from, tag);
}

static inline void fast_call(struct thread *current, port_name_t destination, uint32_t id,
                             uint64_t words)
{
    struct right *right = right_entry(&current->task->rights, destination);
    struct port *port;
    struct thread *receiver;
    struct chain *first;

    // a live send right, and the name is not stale
    if (right->tag != (RIGHT_SEND << 16 | (destination & RIGHT_GENERATION_MASK)))
        return;
    port = right->port;
    // a thread waits to receive; nobody waits at dead ports and kernel objects
    first = port->sink->receivers;
    if (!first)
        return;
    receiver = container_of(first, struct thread, waiting);
    // nobody more urgent than the receiver is ready
    if (receiver->priority < cpu.highest_ready)
        return;
    if (words > MESSAGE_REGISTER_WORDS) {
        if (words > MESSAGE_WORDS)
            return;
        copy_words(receiver->utcb->words, current->utcb->words, words);
    }

    // ---- point of no return ----
    chain_remove(first);
    receiver->state = THREAD_READY;
    receiver->reply.caller = current;
    current->state = THREAD_CALLING;
    current->replier = receiver;
    hand_over(current, receiver, port->label, id, words | TAG_REPLY);
}

static inline void fast_reply_receive(struct thread *current, port_name_t receive_from,
                                      uint32_t id, uint64_t words)
{
    struct thread *caller = current->reply.caller;
    struct right *right = right_entry(&current->task->rights, receive_from);
    struct sink *sink;

    // the slot holds a thread that waits for the answer to an RPC
    if (!caller || caller->state != THREAD_CALLING)
        return;
    // a live receive right of a port in no set, or a live port set
    if (right->tag == (RIGHT_PORT_SET << 16 | (receive_from & RIGHT_GENERATION_MASK))) {
        sink = &right->set->sink;
    } else if (right->tag == (RIGHT_RECEIVE << 16 | (receive_from & RIGHT_GENERATION_MASK))) {
        sink = &right->port->own;
        if (right->port->sink != sink)
            return;
    } else {
        return;
    }
    // nothing is there to be received
    if (sink->ready_count)
        return;
    // nobody more urgent than the caller is ready
    if (caller->priority < cpu.highest_ready)
        return;
    if (words > MESSAGE_REGISTER_WORDS) {
        if (words > MESSAGE_WORDS)
            return;
        copy_words(caller->utcb->words, current->utcb->words, words);
    }

    // ---- point of no return ----
    caller->state = THREAD_READY;
    caller->replier = NULL;
    current->reply.caller = NULL;
    current->state = THREAD_RECEIVING;
    current->frame.rsi = receive_from; // for a receive that must be issued again
    chain_push(&sink->receivers, &current->waiting);
    hand_over(current, caller, 0, id, words);
}

// Called by syscall_entry; returning leaves through kernel_exit.
void message_fast(port_name_t destination, port_name_t receive_from, uint32_t id, uint64_t tag)
{
    struct thread *current = cpu.current;
    uint64_t words = tag & TAG_WORDS_MASK;

    if ((tag & ~TAG_WORDS_MASK) == TAG_CALL) {
        fast_call(current, destination, id, words);
        if (cpu.current != current)
            return;
    } else if ((tag & ~TAG_WORDS_MASK) == TAG_REPLY_RECEIVE) {
        fast_reply_receive(current, receive_from, id, words);
        if (cpu.current != current)
            return;
    }
    message_system_call(destination, receive_from, id, tag);
}
