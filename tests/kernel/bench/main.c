// SPDX-License-Identifier: BSD-2-Clause
// The benchmark of the kernel's paths, in instructions. Prints rows for
// tests/kernel/bench.sh: bench NAME MEDIAN UNIT MINIMUM PEERS….
#include "rows.h"

#include <stdio.h>

int main(void)
{
    // Room above for threads that are to be more urgent.
    corvus_error_t error = thread_set_priority(NAME_THREAD_MAIN, BENCH_PRIORITY);

    if (error == ERR_OK)
        error = partner_initialize();
    if (error != ERR_OK) {
        printf("bench: no second address space: error %d\n", (int)error);
        return 1;
    }
    measure_calibrate();
    rows_rpc();
    rows_fault();
    rows_vcpu();
    rows_memory();
    rows_trap();
    rows_events(); // last: it lowers this thread's priority
    return 0;
}
