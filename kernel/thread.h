// SPDX-License-Identifier: BSD-2-Clause
// A thread: saved registers, a message page, a place in at most one wait. It
// has no kernel stack: whatever it waits for is in this structure.
#pragma once

#include "x86/frame.h"

#define THREAD_HAZARD FRAME_BYTES // for entry.S

// Rare conditions, tested in one word before a thread runs (thread.hazard |
// cpu.hazard): all zero is the fast path.
#define HAZARD_FULL_FRAME 1     // entered by a trap: all registers are to be restored
#define HAZARD_DEADLINE   2u    // a timeout is armed
#define HAZARD_SUSPENDED  4u    // must not run
#define HAZARD_OPERATION  8u    // a long kernel service is to go on
#define HAZARD_VECTOR     0x10u // owns the vector unit
#define HAZARD_VCPU       0x20u // vCPU with something to look at
#define HAZARD_RESTART    0x40u // the system call is to be issued again
#define HAZARD_TRANSFER   0x80u // was left in the middle of a COPY into it
// The others up to here are the processor's (cpu.h).
#define HAZARD_DEBUG 0x2000u // its guest runs with debug registers: off again at the exit

#ifndef __ASSEMBLER__
#include <corvus/host.h>
#include <corvus/vcpu.h>

#include "deadline.h"
#include "port.h"

// The answer an RPC caller waits for can be given by whoever holds its reply
// right: implicitly, in this slot, or under a name.
struct reply_slot {
    struct thread *caller; // thread whose RPC or fault is to be answered
    struct port *port;     // or: send-once right handed over with the message
};

// How far a COPY into this thread has got, so that a preempted one goes on
// where it was. Valid only while HAZARD_TRANSFER is set.
struct message_transfer {
    uint64_t sender; // thread id
    uint32_t item;
    uint64_t offset; // bytes of it done
};

// A page fault or exception on its way to whoever answers it.
struct fault {
    bool is_exception;
    uint64_t address;
    uint64_t access; // ACCESS_*, of a page fault
    uint64_t vector, error_code;
    uint64_t reason; // for a page fault that the pager refused: its error
};

// A kernel service that takes long: called in steps until it is done.
struct operation {
    bool (*step)(struct thread *caller); // true: done, the answer is in place; NULL: none at work
    uint64_t arguments[6];
    uint64_t results[4];
    struct task *task;          // referenced
    struct carried_right reply; // where the answer goes when the caller does not wait for it
    uint64_t tag;               // of the request
};

struct vcpu;

struct thread {
    struct frame frame; // first: entry.S
    uint32_t hazard;    // second: entry.S
    uint8_t state;      // THREAD_*
    uint8_t priority;
    bool fault_in_send;    // FAULTING on behalf of a COPY in its send phase
    bool fault_in_receive; // likewise in its receive phase
    struct task *task;
    struct utcb *utcb;     // kernel address
    uint64_t *more_words;  // words 6.. in there
    uint64_t utcb_address; // where it is pinned in the task, whatever gs_base says
    struct chain waiting;  // in the receivers of the sink it waits at (RECEIVING)
    uint64_t fs_base;
    uint64_t gs_base; // at first the message page
    struct reply_slot reply;
    struct thread *replier; // who holds this thread's reply right in its slot
    uint32_t rpc_sequence;  // counts RPCs: an old reply right does not match
    uint32_t suspended;
    struct queued sending; // in the queue of the port it waits to send to
    struct port *sending_to;
    struct link ready_link;
    struct link task_link;
    struct link doomed_link; // in the reaper's list
    uint64_t slice_left;     // of a slice that it was preempted in, ns; 0: a whole one is next
    struct port port;
    struct port *pager;
    struct port *exception_port;
    struct deadline deadline; // of the wait it is in
    uint32_t references;      // one for its port + named reply rights
    uint32_t retries; // system calls restarted for missing pages, since the last that went through
    struct operation operation;
    struct message_transfer transfer;
    struct vcpu *vcpu;
    void *vector_area;  // kernel save area of the vector state, NULL before first use
    struct fault fault; // the one being answered (FAULTING)
    uint64_t id;
};
_Static_assert(offsetof(struct thread, frame) == 0, "entry.S");
_Static_assert(offsetof(struct thread, hazard) == THREAD_HAZARD, "entry.S");

// Suspended, with its message page mapped at `utcb`. Errors as
// task_create_thread.
corvus_error_t thread_create(struct task *task, uint64_t utcb, uint8_t priority,
                             struct thread **thread);
void thread_terminate(struct thread *thread);

// It does not run any more, and is terminated at the end of this kernel entry:
// for where terminating at once could go round in circles.
void thread_doom(struct thread *thread);
void thread_release(struct thread *thread); // one named reply right or port reference less

// A long-running service is given up: its thread dies, or is sent elsewhere.
void operation_abandon(struct thread *thread);

// Ends whatever wait the thread is in, telling it `error` (and the phase).
void thread_end_wait(struct thread *thread, corvus_error_t error);

// The thread's RPC is answered, or never will be: forget the reply right.
void thread_forget_reply(struct thread *caller);

// The holder no longer owes an answer: the caller is told `error`.
void reply_slot_drop(struct thread *holder, corvus_error_t error);
#endif
