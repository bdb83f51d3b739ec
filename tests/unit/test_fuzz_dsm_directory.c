// SPDX-License-Identifier: BSD-2-Clause
// sources: tests/unit/fuzz_dsm_directory.c $(DSM_DIRECTORY)
// What fuzz_dsm_directory.c does, with random inputs.
#include "fuzz_random.h"

int main(int count, char **arguments)
{
    return fuzz_random(count, arguments, "a member of the directory that says anything", 200);
}
