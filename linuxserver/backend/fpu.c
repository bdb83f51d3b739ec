// SPDX-License-Identifier: GPL-2.0-only
// Vector state stays in the processor, or in the microkernel, while a process is in Linux. Memory
// is made current only for who reads it there: a fork, a signal frame, a debugger, a core dump.
#include "vcpu_page.h"

#include "lib/call.h"

#include <corvus/stubs.h>

#include <os.h>

void fpu_release(const void *area)
{
    if (vcpu->fpu_held == (uint64_t)area && vcpu_fpu_flush(NAME_THREAD_MAIN) != ERR_OK)
        server_fatal("the vector state at %p cannot be saved", area);
}
