// SPDX-License-Identifier: BSD-2-Clause
// What lib/message.h wants to know of a thread of a Linux program, in the place of the native
// header of that name. Threads are pthreads.
#pragma once

#include "lib/x86/trap.h"

#include <stdbool.h>

struct runtime_thread {
    port_name_t saved_reply; // PORT_NULL: what is to be answered is in the reply slot
};

static inline struct runtime_thread *runtime_self(void)
{
    return (struct runtime_thread *)utcb_self()->user;
}

// Every thread has this name for itself, for thread_save_reply.
static inline port_name_t thread_self(void)
{
    return NAME_THREAD_MAIN;
}
