// SPDX-License-Identifier: BSD-2-Clause
// A guest's system call: re-entry into the guest, its `syscall`, and the exit
// to the server; as the server sees it, from vcpu_run to vcpu_run's return.
#include "rows.h"

#include <corvus/host.h>
#include <corvus/vcpu.h>

#define STATE_ADDRESS 0x510000000000ull
#define GUEST_QUOTA   (256u << 10)

extern char guest_loop[];
__asm__(".text\n"
        "guest_loop:\n"
        "1:  syscall\n"
        "    jmp 1b\n");

static corvus_error_t prepare(port_name_t *guest)
{
    struct vcpu_state *state = (struct vcpu_state *)STATE_ADDRESS;
    corvus_error_t error = vcpu_attach(NAME_THREAD_MAIN, STATE_ADDRESS);

    if (error == ERR_OK)
        error = task_create(NAME_TASK_SELF, GUEST_QUOTA, TASK_GUEST, guest, NULL);
    if (error == ERR_OK)
        error = twin_map_image(*guest);
    if (error == ERR_OK)
        state->guest.rip = (uint64_t)guest_loop;
    return error;
}

void rows_vcpu(void)
{
    struct row *row = measure_row("vcpu_syscall_exit", "instructions", "");
    port_name_t guest = PORT_NULL;
    corvus_error_t error = prepare(&guest);
    int64_t reason = VCPU_EXIT_SYSCALL;

    if (error != ERR_OK) {
        measure_failed("vcpu_syscall_exit", "guest", error);
        return;
    }
    for (unsigned round = 0; round < MEASURE_ALL_ROUNDS && reason == VCPU_EXIT_SYSCALL; round++) {
        measure_before(row, round);
        uint64_t start = processor_time();
        reason = vcpu_run(guest);
        uint64_t end = processor_time();
        measure_after(row, round, start, end);
    }
    if (reason == VCPU_EXIT_SYSCALL)
        (void)measure_print(row);
    else
        measure_failed("vcpu_syscall_exit", "exit", (corvus_error_t)-reason);
    (void)task_terminate(guest);
}
