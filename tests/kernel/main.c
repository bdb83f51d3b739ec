// SPDX-License-Identifier: BSD-2-Clause
// The task `kernel-tests`: runs all groups of tests, or those that its
// arguments name, and prints TAP. The argument `errors` has it run all and tell
// which services gave which errors.
#include "harness.h"
#include "run.h"

#include <corvus/init_stubs.h>

#include <stdio.h>
#include <string.h>

static const struct test_group *const groups[] = {
    &message_tests,     &send_tests,     &reply_tests,    &reply_right_tests, &right_tests,
    &transfer_tests,    &notice_tests,   &port_set_tests, &copy_tests,        &item_tests,
    &map_tests,         &quota_tests,    &fault_tests,    &exception_tests,   &state_tests,
    &wait_tests,        &schedule_tests, &event_tests,    &vcpu_tests,        &vcpu_debug_tests,
    &vcpu_server_tests, &service_tests,  &middle_tests,   &hostile_tests,     &device_tests,
    &limits_tests,      &latency_tests,
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
    struct test_port guard_port = port_make(0);
    struct helper *guard = helper_start(watchdog, &guard_port);

    setvbuf(stdout, NULL, _IOLBF, 1024);
    (void)large_page(0);
    pages_free(pages_allocate(1), 1);
    scratch_prepare();
    EXPECT(helper_waits(guard, THREAD_RECEIVING));
    if (argc == 2 && strcmp(argv[1], "errors") == 0) {
        seen_enable();
        argc = 1;
    }
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++)
        if (wanted(argc, argv, groups[i]->name))
            run_group(groups[i]);
    helper_destroy(guard);
    run_end();
}
