// SPDX-License-Identifier: BSD-2-Clause
// Native threads. Programs use pthread_create, which comes here by way of
// clone; this is for what pthreads have no words for, and for lib/ itself.
#pragma once

#include "lib/x86/trap.h"

#include <stdbool.h>

// What the runtime keeps of each thread: in its message page, where the kernel
// touches nothing. All zero at first in a thread that the runtime did not make,
// which is taken for the main thread.
struct runtime_thread {
    port_name_t port; // of the thread; PORT_NULL in the main thread
    port_name_t event_receive;
    port_name_t event_send;
    port_name_t saved_reply; // lib/message.h; PORT_NULL: what is to be answered is in the slot
    int32_t id;              // the C library's, unique among living threads; 0 in the main thread
    uint32_t *clear_id;      // zeroed, and its waiters woken, when the thread has ended
    uint32_t slot;           // which message page; not for the main thread
    int (*function)(void *);
    void *argument;
    void *unmap_base; // the stack that the thread frees as its last act, or NULL
    size_t unmap_bytes;
};

#define RUNTIME_MAIN_ID 1

// The upper part of the same page is the stack on which a thread ends.
#define RUNTIME_EXIT_STACK_BYTES 2560
_Static_assert(sizeof(struct runtime_thread) + RUNTIME_EXIT_STACK_BYTES <=
                   sizeof(((struct utcb *)0)->user),
               "both fit the message page");

static inline struct runtime_thread *runtime_self(void)
{
    return (struct runtime_thread *)utcb_self()->user;
}

// The calling thread's own port.
static inline port_name_t thread_self(void)
{
    port_name_t port = runtime_self()->port;
    return port != PORT_NULL ? port : NAME_THREAD_MAIN;
}

static inline int32_t runtime_thread_id(void)
{
    int32_t id = runtime_self()->id;
    return id != 0 ? id : RUNTIME_MAIN_ID;
}

// Sleeps until the time of clock_now_ns. False when there is no memory to.
bool thread_sleep_until(uint64_t deadline);

// Makes a thread that runs function(argument) on the stack given, with its
// thread-local storage at `tls`. *id is set before it runs; *clear_id as above.
// Returns the id, or -errno.
int runtime_clone(int (*function)(void *), void *stack, void *argument, int32_t *id, uint64_t tls,
                  uint32_t *clear_id);

// Ends the calling thread; its stack is not used any more when clear_id is
// zeroed. The second form unmaps it too.
_Noreturn void runtime_thread_exit(void);
_Noreturn void runtime_thread_exit_unmapping(void *base, size_t bytes);
