// SPDX-License-Identifier: BSD-2-Clause
// The test harness of host unit tests: each check prints a line of TAP, and the
// plan comes at the end. A failed check names its place and the program fails.
#pragma once

#include <stdbool.h>
#include <stdio.h>

static unsigned tap_count, tap_failures;

static inline bool tap_check(bool passed, const char *text, const char *file, int line)
{
    printf("%sok %u - %s\n", passed ? "" : "not ", ++tap_count, text);
    if (!passed) {
        printf("# at %s:%d\n", file, line);
        tap_failures++;
    }
    return passed;
}

// tap_ok(condition, what it shows)
#define tap_ok(condition, text) tap_check((condition), text, __FILE__, __LINE__)

// To be returned from main.
static inline int tap_end(void)
{
    printf("1..%u\n", tap_count);
    return tap_failures == 0 ? 0 : 1;
}
