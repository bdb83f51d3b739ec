// SPDX-License-Identifier: BSD-2-Clause
// Which role this is, and the counting of tests.
#include "init_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned tests, failures;

void ok(bool passed, const char *text)
{
    printf("%sok %u - %s\n", passed ? "" : "not ", ++tests, text);
    if (!passed)
        failures++;
}

int tests_end(void)
{
    printf("1..%u\n", tests);
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    const char *role = argc > 1 ? argv[1] : "";

    if (strcmp(role, "services") == 0) {
        test_memory();
        test_names();
        test_services();
        test_supervision();
        test_allocator();
        return tests_end();
    }
    if (strcmp(role, "devices") == 0) {
        test_devices();
        return tests_end();
    }
    if (strcmp(role, "random") == 0 && argc == 4)
        return call_at_random(argv[2], argv[3]);
    if (strcmp(role, "random-allocator") == 0 && argc == 4)
        return call_allocator_at_random(argv[2], argv[3]);
    misbehave(role);
    printf("no role '%s'\n", role);
    return EXIT_FAILURE;
}
