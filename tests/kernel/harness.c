// SPDX-License-Identifier: BSD-2-Clause
// Expectations, the running of tests and their report, and a watchdog that ends
// the run when a test hangs.
#include "harness.h"
#include "run.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAILURES_MAX      4
#define SLOW_MILLISECONDS 1000

struct failure {
    const char *file;
    const char *text;
    int line;
    bool has_values;
    uint64_t actual, expected;
};

static struct failure failures[FAILURES_MAX];
static volatile unsigned failure_count;
static const char *skip_reason;
static const char *volatile running;
static unsigned number, failed;

// --- Expectations -------------------------------------------------------------

static void fail(const struct failure *failure)
{
    unsigned place = __atomic_fetch_add(&failure_count, 1, __ATOMIC_RELAXED);

    if (place < FAILURES_MAX)
        failures[place] = *failure;
}

void expect(bool holds, const char *file, int line, const char *text)
{
    struct failure failure = {.file = file, .line = line, .text = text};

    if (!holds)
        fail(&failure);
}

void expect_equal(uint64_t actual, uint64_t expected, const char *file, int line, const char *text)
{
    struct failure failure = {.file = file,
                              .line = line,
                              .text = text,
                              .has_values = true,
                              .actual = actual,
                              .expected = expected};

    if (actual != expected)
        fail(&failure);
}

void test_skip(const char *reason)
{
    skip_reason = reason;
}

void remark(const char *format, ...)
{
    va_list arguments;

    printf("# ");
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
}

static void report(const char *group, const char *name)
{
    unsigned count = failure_count;

    printf("%sok %u - %s: %s", count ? "not " : "", ++number, group, name);
    if (skip_reason)
        printf(" # SKIP %s", skip_reason);
    for (unsigned i = 0; i < count && i < FAILURES_MAX; i++) {
        const struct failure *failure = &failures[i];
        const char *file = strrchr(failure->file, '/');

        printf("%s%s:%d %s", i ? "; " : " # ", file ? file + 1 : failure->file, failure->line,
               failure->text);
        if (failure->has_values)
            printf(" is %#llx, not %#llx", (unsigned long long)failure->actual,
                   (unsigned long long)failure->expected);
    }
    printf("\n");
    fflush(stdout);
    failed += count != 0;
}

// --- Running ------------------------------------------------------------------

struct account {
    uint64_t used;
    uint64_t quota;
    uint64_t rights;
    uint64_t threads;
    uint64_t kernel_free;
};

static struct account account_read(void)
{
    struct account account = {0};

    (void)task_info(NAME_TASK_SELF, NULL, &account.quota, &account.used, &account.threads,
                    &account.rights, NULL);
    account.kernel_free = kernel_memory_free();
    return account;
}

static void account_check(const struct account *before)
{
    struct account after = account_read();

    // What a dead task leaves is freed in the background.
    for (unsigned i = 0;
         i < 200 && (after.kernel_free != before->kernel_free || after.quota != before->quota);
         i++) {
        sleep_for(MILLISECOND);
        after = account_read();
    }
    EXPECT_EQUAL(after.rights, before->rights);
    EXPECT_EQUAL(after.threads, before->threads);
    EXPECT_EQUAL(after.quota, before->quota);
    EXPECT_EQUAL(after.used, before->used);
    EXPECT_EQUAL(after.kernel_free, before->kernel_free);
}

static void run_test(const char *group, const struct test *test)
{
    struct account before = account_read();

    failure_count = 0;
    skip_reason = NULL;
    memset(utcb_self(), 0, offsetof(struct utcb, reserved));
    running = test->name;
    seen_begin();
    uint64_t start = clock_now_ns();
    test->run();
    uint64_t time = (clock_now_ns() - start) / MILLISECOND;
    seen_collect();
    if (time > SLOW_MILLISECONDS)
        remark("%s: %llu ms", test->name, (unsigned long long)time);
    if (!test->keeps_memory)
        account_check(&before);
    running = NULL;
    report(group, test->name);
}

void run_group(const struct test_group *group)
{
    uint64_t start = clock_now_ns();

    for (const struct test *test = group->tests; test->name; test++)
        run_test(group->name, test);
    remark("%s: %llu ms", group->name,
           (unsigned long long)((clock_now_ns() - start) / MILLISECOND));
}

// --- The watchdog ---------------------------------------------------------------

#define HANG_SECONDS 20

void watchdog(void *port)
{
    const struct test_port *nowhere = port;
    const char *watched = NULL;
    unsigned seconds = 0;

    for (;;) {
        struct message message = {.receive_from = nowhere->receive};
        (void)message_do_within(&message, TAG_RECEIVE, NANOSECONDS_PER_SECOND);
        const char *now = running;
        seconds = now == watched && now ? seconds + 1 : 0;
        watched = now;
        if (seconds < HANG_SECONDS)
            continue;
        watchdog_bark(watched, seconds);
    }
}

_Noreturn void run_end(void)
{
    seen_print();
    printf("1..%u\n", number);
    if (failed)
        printf("# %u of %u failed\n", failed, number);
    exit(failed ? EXIT_FAILURE : EXIT_SUCCESS);
}
