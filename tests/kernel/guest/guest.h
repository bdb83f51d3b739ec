// SPDX-License-Identifier: BSD-2-Clause
// A task made by the allocator of this node or another one (corvus/allocator.def), for
// tests: with a page of code, run by one thread, that tells a port what it has computed.
#pragma once

#include "lib/port.h"

#include <corvus/allocator_stubs.h>

#define GUEST_CODE     0x400000ull
#define GUEST_UTCB     0x10000000ull
#define GUEST_PRIORITY 10u // it spins
#define GUEST_QUOTA    (128ull << 10)
#define GUEST_MEMORY   (256ull << 10)

// What the code tells, as plain messages with word 0.
#define GUEST_SUM    0x71001u // the sum of the numbers to 100, when it begins
#define GUEST_CHANGE 0x71002u // whenever its rbx is not 0: rbx, which is then 0
#define GUEST_STORED 0x71003u // it has written where it was told to

#define GUEST_SUM_VALUE 5050u

struct guest {
    port_name_t task, memory, pager, thread;
};

// Makes the task; then its code and a thread that has not started. Errors are those of
// the services.
corvus_error_t guest_create(struct guest *guest, port_name_t allocator, uint64_t quota,
                            uint64_t memory);
corvus_error_t guest_load(struct guest *guest);
// Begins the first part of the code, which tells `port`, and then waits for its rbx to be
// changed; or the second, which writes to an address first. `port` becomes the task's.
corvus_error_t guest_start(struct guest *guest, struct message_right port);
corvus_error_t guest_start_store(struct guest *guest, struct message_right port, uint64_t address);
// Gives up all rights that are left.
void guest_forget(struct guest *guest);
