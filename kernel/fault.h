// SPDX-License-Identifier: BSD-2-Clause
// Page faults and exceptions as messages: to the thread's pager or exception
// port; the answer resumes the thread, changes its registers, or ends it.
#pragma once

#include "thread.h"

// The thread (current, or one whose message needs a page) stops until its
// fault is answered.
void fault_raise(struct thread *thread, const struct fault *fault);

// fastpath.c: raises a page fault of the current thread if its pager waits.
// Returns when that is not so simple, with nothing done.
void fault_fast(struct thread *faulter, uint64_t address, uint64_t access, uint64_t error_code);

// A page of a COPY item is missing: its owner waits for it, or its system call
// has ended since it must not wait. False when this has been tried too often.
bool fault_raise_for_message(struct thread *thread, uint64_t address, uint32_t access,
                             bool in_send);

// Puts the fault of a waiting thread into the receiver's frame.
void fault_deliver(struct thread *faulter, struct thread *receiver, uint64_t label);

// The message that `pager` is sending (in its frame) answers the fault. On an
// error nothing has happened, and the answer can be tried again.
corvus_error_t fault_answer(struct thread *faulter, struct thread *pager);

// There will be no answer.
void fault_refuse(struct thread *faulter, corvus_error_t error);
