// SPDX-License-Identifier: BSD-2-Clause
// sources: tests/unit/fuzz_dsm_pages.c tests/dsm/world.c tests/dsm/cache.c tests/dsm/check.c
// sources: $(DSM_PAGES)
// What fuzz_dsm_pages.c does, with random inputs.
#include "fuzz_random.h"

int main(int count, char **arguments)
{
    return fuzz_random(count, arguments, "messages again, late, cut, altered, and lies", 50);
}
