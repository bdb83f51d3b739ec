// SPDX-License-Identifier: BSD-2-Clause
// The task `kernel-tests`: runs all groups of tests, or those that its
// arguments name, and prints TAP.
#include "harness.h"
#include "run.h"

#include <corvus/init_stubs.h>

#include <stdio.h>
#include <string.h>

static const struct test_group *const groups[] = {
    &message_tests,
};

static bool wanted(int count, char **words, const char *name)
{
    for (int i = 1; i < count; i++)
        if (strcmp(words[i], name) == 0)
            return true;
    return count <= 1;
}

// Runs in a helper, so without the C library.
void watchdog_bark(const char *test, unsigned seconds)
{
    char text[160] = "\nBail out! This hangs: ";
    uint64_t words[sizeof text / sizeof(uint64_t)];
    size_t length = strlen(text);

    (void)seconds;
    for (size_t i = 0; test[i] != '\0' && length < sizeof text - 2; i++)
        text[length++] = test[i];
    text[length++] = '\n';
    memcpy(words, text, sizeof words);
    (void)bootstrap_console_write(NAME_BOOTSTRAP, length, words, sizeof words / sizeof words[0]);
    (void)bootstrap_exit(NAME_BOOTSTRAP, 1);
}

int main(int argc, char **argv)
{
    // Above the tests' own threads, which are made with lower priorities.
    struct helper *guard = helper_start_priority(watchdog, NULL, 0);

    setvbuf(stdout, NULL, _IOLBF, 1024);
    (void)large_page(0);
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++)
        if (wanted(argc, argv, groups[i]->name))
            run_group(groups[i]);
    helper_destroy(guard);
    run_end();
}
