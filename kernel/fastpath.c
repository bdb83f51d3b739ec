// SPDX-License-Identifier: BSD-2-Clause
// The fast path of message passing: a call to a waiting receiver, and a reply
// that waits for the next message. No queue, no scheduler: the processor goes
// straight to the partner. Whatever is rare returns before anything changed,
// and message.c does it.
//
// Conditions (docs/ABI): tag is exactly CALL or REPLY_RECEIVE plus words and
// rights; destination is a live send right (call) or the reply slot holds a
// thread waiting for its RPC (reply); the partner waits; nothing more urgent
// than the partner is ready; for a reply, nothing is there to be received.
// A page fault whose pager waits, and its answer with one page, are as direct.
// Rare states of the partner (hazards) keep the direct switch but leave through
// kernel_exit.
#include "cpu.h"

#include "counters.h"
#include "fault.h"
#include "message.h"
#include "task.h"
#include "vcpu.h"
#include "x86/descriptor.h"
#include "x86/instructions.h"
#include "x86/switch.h"

void message_fast(port_name_t destination, port_name_t receive_from, uint32_t id, uint64_t tag);

// Copies words 6.. of a message; `words` > 6.
static inline void copy_words(struct thread *to, const struct thread *from, uint64_t words)
{
    uint64_t *destination = to->more_words;
    const uint64_t *source = from->more_words;

    words -= MESSAGE_REGISTER_WORDS;
    __asm__ volatile("rep movsq" : "+D"(destination), "+S"(source), "+c"(words) : : "memory");
}

// The partner goes on through kernel_exit.
static __attribute__((noinline)) void hand_over_with_hazard(struct thread *from, struct thread *to,
                                                            uint64_t label, uint32_t id,
                                                            uint64_t tag)
{
    for (unsigned i = 0; i < MESSAGE_REGISTER_WORDS; i++)
        to->frame.words[i] = from->frame.words[i];
    to->frame.rdi = label;
    to->frame.rdx = id;
    to->frame.rax = tag;
    trace(TRACE_DELIVER, to->id, label);
}

// Switches to the partner, whose message is in the current thread's frame and
// message page. Returns only when hazards must be looked at first.
static inline void hand_over(struct thread *from, struct thread *to, uint64_t label, uint32_t id,
                             uint64_t tag)
{
    uint32_t hazard = to->hazard | cpu.hazard;

    cpu.current = to;
    if (__builtin_expect(hazard, 0) && !switch_vector(hazard)) {
        hand_over_with_hazard(from, to, label, id, tag);
        return;
    }
    switch_to_thread(to);
    // See entry.S: what it wants in which register.
    __asm__ volatile("jmp message_exit"
                     :
                     : "D"(label), "S"(to), "d"(id), "c"(from), "a"(tag)
                     : "memory");
    __builtin_unreachable();
}

// Somebody more urgent than the partner is ready; or somebody as urgent, and no
// time slice runs that would let him in.
static inline bool must_schedule(const struct thread *partner)
{
    return partner->priority <= cpu.highest_ready &&
           (partner->priority < cpu.highest_ready || !cpu.slice_armed);
}

// Rights: all that can go wrong is checked before, and they are moved after the
// point of no return. Here go copies of send rights, rights made from receive
// rights, and a send right that moves alone; the general path knows the rest.
// Of each path below there are two copies, since `rights` is constant.

// What a right must be to travel so; RIGHT_NONE: not here.
static inline uint32_t kind_wanted(uint32_t disposition, uint64_t rights)
{
    if (disposition == COPY_SEND)
        return RIGHT_SEND;
    if (disposition == MAKE_SEND || disposition == MAKE_SEND_ONCE)
        return RIGHT_RECEIVE;
    return disposition == MOVE_SEND && rights == TAG_RIGHTS(1) ? RIGHT_SEND : RIGHT_NONE;
}

static inline bool rights_can_move(const struct thread *from, const struct thread *to,
                                   uint64_t rights)
{
    uint32_t count = (uint32_t)(rights >> TAG_RIGHTS_SHIFT);

    if (count > MESSAGE_RIGHTS || to->task->rights.free < count)
        return false;
    for (const struct message_right *wanted = from->utcb->rights; count; wanted++, count--) {
        uint32_t kind = kind_wanted(wanted->disposition, rights);
        const struct right *right = right_entry(&from->task->rights, wanted->name);

        if (!kind || right->tag != (kind << 16 | (wanted->name & RIGHT_GENERATION_MASK)) ||
            right->port->dead)
            return false;
    }
    return true;
}

static inline __attribute__((always_inline)) void move_rights(struct thread *from,
                                                              struct thread *to, uint64_t rights)
{
    const struct message_right *wanted = from->utcb->rights;
    struct message_right *got = to->utcb->rights;

    for (; rights; wanted++, got++, rights -= TAG_RIGHTS(1)) {
        struct port *port = right_entry(&from->task->rights, wanted->name)->port;
        uint32_t kind = RIGHT_SEND;

        if (wanted->disposition == MAKE_SEND_ONCE) {
            kind = RIGHT_SEND_ONCE;
            port_add_send_once(port);
        } else if (wanted->disposition == MOVE_SEND) {
            right_remove(&from->task->rights, wanted->name);
        } else {
            port_add_send(port);
        }
        got->name = right_add(&to->task->rights, kind, port);
        got->disposition = kind;
    }
}

// True: done, the partner runs. False: nothing has happened.
static inline __attribute__((always_inline)) bool fast_call(struct thread *current,
                                                            port_name_t destination, uint32_t id,
                                                            uint64_t words, uint64_t rights)
{
    struct right *right = right_entry(&current->task->rights, destination);
    struct port *port;
    struct sink *sink;
    struct thread *receiver;
    struct chain *first;

    // a live send right, and the name is not stale
    if (right->tag != (RIGHT_SEND << 16 | (destination & RIGHT_GENERATION_MASK)))
        return false;
    port = right->port;
    // a thread waits to receive; nobody waits at dead ports and kernel objects
    sink = port->sink;
    first = sink->receivers;
    if (!first)
        return false;
    receiver = container_of(first, struct thread, waiting);
    // (an older message would be overtaken otherwise)
    if (sink->ready_count)
        return false;
    if (must_schedule(receiver))
        return false;
    if (rights && !rights_can_move(current, receiver, rights))
        return false;

    // ---- point of no return ----
    if (words > MESSAGE_REGISTER_WORDS)
        copy_words(receiver, current, words);
    if (rights)
        move_rights(current, receiver, rights);
    chain_pop(&sink->receivers, first);
    receiver->state = THREAD_READY;
    receiver->reply.caller = current;
    current->state = THREAD_CALLING;
    current->replier = receiver;
    hand_over(current, receiver, port->label, id, words | rights | TAG_REPLY);
    return true;
}

// Where to receive from: a live receive right of a port in no set, or a live
// port set; with nothing there to be received. NULL: not on this path.
static inline struct sink *receive_sink(const struct thread *thread, port_name_t name)
{
    const struct right *right = right_entry(&thread->task->rights, name);
    struct sink *sink;

    if (right->tag == (RIGHT_RECEIVE << 16 | (name & RIGHT_GENERATION_MASK))) {
        sink = &right->port->own;
        if (right->port->sink != sink)
            return NULL;
    } else if (right->tag == (RIGHT_PORT_SET << 16 | (name & RIGHT_GENERATION_MASK))) {
        sink = &right->set->sink;
    } else {
        return NULL;
    }
    return sink->ready_count ? NULL : sink;
}

// The current thread, its answer given, waits for the next message.
static inline void wait_at(struct thread *current, struct sink *sink, port_name_t name)
{
    current->reply.caller = NULL;
    current->state = THREAD_RECEIVING;
    current->frame.rsi = name; // for a receive that must be issued again
    chain_push(&sink->receivers, &current->waiting);
}

static inline __attribute__((always_inline)) bool fast_reply_receive(struct thread *current,
                                                                     port_name_t receive_from,
                                                                     uint32_t id, uint64_t words,
                                                                     uint64_t rights)
{
    struct thread *caller = current->reply.caller;
    struct sink *sink;

    // the slot holds a thread that waits for the answer to an RPC
    if (!caller || caller->state != THREAD_CALLING)
        return false;
    sink = receive_sink(current, receive_from);
    if (!sink)
        return false;
    if (must_schedule(caller))
        return false;
    if (rights && !rights_can_move(current, caller, rights))
        return false;

    // ---- point of no return ----
    if (words > MESSAGE_REGISTER_WORDS)
        copy_words(caller, current, words);
    if (rights)
        move_rights(current, caller, rights);
    caller->state = THREAD_READY;
    caller->replier = NULL;
    wait_at(current, sink, receive_from);
    hand_over(current, caller, 0, id, words | rights);
    return true;
}

// --- Faults -----------------------------------------------------------------

// All hazards that a direct switch to a thread sees to itself.
#define HAZARDS_EASY (HAZARD_VECTOR | CPU_HAZARD_VECTOR_LIVE)

// A page fault whose pager waits: straight to the pager, with the fault as the
// message. Returns when it is not so simple; nothing has happened then.
void fault_fast(struct thread *faulter, uint64_t address, uint64_t access, uint64_t error_code)
{
    struct port *port = faulter->pager;
    struct thread *pager;
    struct sink *sink;
    uint32_t hazard;

    if (!port || faulter->vcpu)
        return;
    sink = port->sink;
    if (!sink->receivers || sink->ready_count)
        return;
    pager = container_of(sink->receivers, struct thread, waiting);
    hazard = pager->hazard | cpu.hazard;
    if (must_schedule(pager) || hazard & ~HAZARDS_EASY)
        return;

    // ---- point of no return ----
    chain_pop(&sink->receivers, &pager->waiting);
    faulter->fault.is_exception = false;
    faulter->fault.address = address;
    faulter->fault.access = access;
    faulter->fault.error_code = error_code;
    faulter->state = THREAD_FAULTING;
    counter_add(COUNTER_PAGE_FAULTS, 1);
    fault_deliver(faulter, pager, port->label);
    pager->state = THREAD_READY;
    cpu.current = pager;
    switch_vector(hazard);
    switch_to_thread(pager);
    __asm__ volatile("jmp message_exit"
                     :
                     : "D"(port->label), "S"(pager), "d"(pager->frame.rdx), "c"(pager),
                       "a"(pager->frame.rax)
                     : "memory");
    __builtin_unreachable();
}

// The answer to a page fault: one page, as a MAP item, and then the next message.
// False: nothing has happened.
static inline bool fast_answer_fault(struct thread *current, port_name_t receive_from)
{
    struct thread *faulter = current->reply.caller;
    struct sink *sink;
    uint32_t hazard;

    // the slot holds a thread with a plain page fault
    if (!faulter || faulter->state != THREAD_FAULTING || faulter->fault.is_exception ||
        faulter->fault_in_send || faulter->fault_in_receive)
        return false;
    sink = receive_sink(current, receive_from);
    hazard = faulter->hazard | cpu.hazard;
    if (!sink || must_schedule(faulter) || hazard & ~(HAZARDS_EASY | HAZARD_FULL_FRAME))
        return false;
    // Maps it: on an error nothing was.
    if (deliver_fault_page(current, faulter))
        return false;

    // ---- point of no return ----
    faulter->state = THREAD_READY;
    faulter->replier = NULL;
    wait_at(current, sink, receive_from);
    cpu.current = faulter;
    switch_vector(hazard & HAZARDS_EASY);
    switch_to_thread(faulter);
    faulter->hazard &= ~HAZARD_FULL_FRAME;
    __asm__ volatile("mov %0, %%rsp\n\tjmp leave_frame" : : "r"(&faulter->frame) : "memory");
    __builtin_unreachable();
}

static __attribute__((noinline)) void
answer_fault(port_name_t destination, port_name_t receive_from, uint32_t id, uint64_t tag)
{
    if (!fast_answer_fault(cpu.current, receive_from))
        message_system_call(destination, receive_from, id, tag);
}

// --- The system call ----------------------------------------------------------

static __attribute__((noinline)) void
call_with_rights(port_name_t destination, port_name_t receive_from, uint32_t id, uint64_t tag)
{
    if ((tag & TAG_WORDS_MASK) > MESSAGE_WORDS ||
        !fast_call(cpu.current, destination, id, tag & TAG_WORDS_MASK, tag & TAG_RIGHTS_MASK))
        message_system_call(destination, receive_from, id, tag);
}

static __attribute__((noinline)) void
reply_with_rights(port_name_t destination, port_name_t receive_from, uint32_t id, uint64_t tag)
{
    if ((tag & TAG_WORDS_MASK) > MESSAGE_WORDS ||
        !fast_reply_receive(cpu.current, receive_from, id, tag & TAG_WORDS_MASK,
                            tag & TAG_RIGHTS_MASK))
        message_system_call(destination, receive_from, id, tag);
}

// Called by syscall_entry; returning leaves through kernel_exit.
void message_fast(port_name_t destination, port_name_t receive_from, uint32_t id, uint64_t tag)
{
    struct thread *current = cpu.current;
    uint64_t kind = tag & ~(TAG_WORDS_MASK | TAG_RIGHTS_MASK);

    if (tag - TAG_CALL <= MESSAGE_WORDS) {
        if (fast_call(current, destination, id, tag - TAG_CALL, 0))
            return;
    } else if (tag == TAG_VCPU_RUN) {
        vcpu_run(current, destination);
        return;
    } else if (tag - TAG_REPLY_RECEIVE <= MESSAGE_WORDS) {
        if (fast_reply_receive(current, receive_from, id, tag - TAG_REPLY_RECEIVE, 0))
            return;
    } else if (kind == TAG_CALL) {
        call_with_rights(destination, receive_from, id, tag);
        return;
    } else if (tag == (TAG_REPLY_RECEIVE | TAG_ITEMS(1))) {
        answer_fault(destination, receive_from, id, tag);
        return;
    } else if (kind == TAG_REPLY_RECEIVE) {
        reply_with_rights(destination, receive_from, id, tag);
        return;
    }
    message_system_call(destination, receive_from, id, tag);
}
