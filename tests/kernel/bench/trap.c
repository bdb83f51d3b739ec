// SPDX-License-Identifier: BSD-2-Clause
// The floor: a system call that the kernel refuses at once (a tag without any
// phase), so it is the way in, the way out and the error.
#include "rows.h"

void rows_trap(void)
{
    struct row *row = measure_row("trap_floor", "instructions", "");

    for (unsigned round = 0; round < MEASURE_ALL_ROUNDS; round++) {
        struct message message = {.tag = 0};
        measure_before(row, round);
        uint64_t start = processor_time();
        message_trap(&message);
        uint64_t end = processor_time();
        measure_after(row, round, start, end);
    }
    (void)measure_print(row);
}
