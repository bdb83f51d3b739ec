// SPDX-License-Identifier: BSD-2-Clause
// sources: tests/unit/fuzz_dsm_locks.c $(DSM_LOCKS)
// What fuzz_dsm_locks.c does, with random inputs.
#include "fuzz_random.h"

int main(int count, char **arguments)
{
    return fuzz_random(count, arguments, "requests for locks, and others that say anything", 200);
}
