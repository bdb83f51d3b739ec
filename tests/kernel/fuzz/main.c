// SPDX-License-Identifier: BSD-2-Clause
// The kernel's fuzzer: `seed N calls N`. Prints TAP, and which service was called
// how often with which result. After each incarnation of the fuzzed task kernel
// memory must be back at what it was.
#include "fuzz.h"
#include "incarnation.h"
#include "witness.h"

#include "lib/call.h"

#include <corvus/stubs.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CALLS_AN_INCARNATION 4000u
#define SETTLE_LOOKS         100u

static struct fuzz_shared shared;
struct fuzz_shared *fuzz_shared = &shared;

// The number behind a word; without one, `otherwise`.
static uint64_t argument(int argc, char **argv, const char *name, uint64_t otherwise)
{
    for (int i = 1; i + 1 < argc; i++) {
        char *end;
        uint64_t number = strtoull(argv[i + 1], &end, 0);

        if (strcmp(argv[i], name) == 0 && end != argv[i + 1] && *end == '\0')
            return number;
    }
    return otherwise;
}

struct balance {
    uint64_t kernel_free;
    uint64_t quota, used, threads, rights;
};

static struct balance balance(void)
{
    struct balance now = {0};

    (void)host_info(NAME_HOST, NULL, NULL, NULL, &now.kernel_free, NULL);
    (void)task_info(NAME_TASK_SELF, NULL, &now.quota, &now.used, &now.threads, &now.rights, NULL);
    return now;
}

// What others still had to be told of takes a moment.
static bool settles(const struct balance *before, struct balance *after)
{
    for (unsigned look = 0; look < SETTLE_LOOKS; look++) {
        incarnation_settle();
        *after = balance();
        if (memcmp(before, after, sizeof *after) == 0)
            return true;
        usleep(1000);
    }
    return false;
}

static void print_row(const char *name, const uint64_t *results)
{
    printf("# %s:", name);
    for (unsigned error = 0; error < ERR_COUNT; error++)
        if (results[error] != 0)
            printf(" %u=%" PRIu64, error, results[error]);
    printf("\n");
}

static void print_results(void)
{
    for (uint32_t i = 0; i < fuzz_service_count; i++)
        print_row(fuzz_services[i].name, shared.results[i]);
    print_row("messages", shared.results[FUZZ_RESULTS_MESSAGES]);
    printf("# guests: %" PRIu64 " exits, witness: %" PRIu64 " rounds\n", shared.guest_exits,
           shared.witness.rounds);
}

static void print_log(void)
{
    for (unsigned i = 0; i < FUZZ_CALLERS; i++) {
        const struct caller_report *caller = &shared.callers[i];

        for (uint64_t n = caller->calls > FUZZ_LOG ? caller->calls - FUZZ_LOG : 0;
             n < caller->calls; n++) {
            const struct call_record *call = &caller->log[n % FUZZ_LOG];

            printf("# caller %u: %s %x target %x tag %" PRIx64 " id %" PRIx64 " words %" PRIx64
                   " %" PRIx64 " %" PRIx64 " %" PRIx64 " right %" PRIx64 " -> %" PRIx64 "%s\n",
                   i, call->what < fuzz_service_count ? fuzz_services[call->what].name : "message",
                   call->what, call->target, call->tag, call->id, call->words[0], call->words[1],
                   call->words[2], call->words[3], call->right, call->result,
                   call->returned ? "" : " (not returned)");
        }
    }
}

static int failures;

static void ok(bool passed, unsigned number, const char *text)
{
    printf("%sok %u - fuzz: %s\n", passed ? "" : "not ", number, text);
    failures += !passed;
}

// Services that a task without the machine's rights, or without root mappings,
// can only be refused.
static bool can_succeed(const struct fuzz_service *service)
{
    return service->object != OBJECT_KIND_PRIVILEGED && service->object != OBJECT_KIND_INTERRUPT &&
           strcmp(service->name, "task_donate") != 0 &&
           strcmp(service->name, "task_reclaim") != 0 &&
           strcmp(service->name, "task_terminate") != 0;
}

static bool all_succeeded(void)
{
    bool all = true;

    for (uint32_t i = 0; i < fuzz_service_count; i++) {
        if (can_succeed(&fuzz_services[i]) && shared.results[i][ERR_OK] == 0) {
            printf("# never with success: %s\n", fuzz_services[i].name);
            all = false;
        }
    }
    return all;
}

// Incarnations until the calls are made. False: kernel memory did not come back.
static bool run(uint64_t seed, uint64_t calls)
{
    struct balance before = {0}, after = {0};
    uint64_t incarnation = 0;

    while (shared.calls < calls) {
        corvus_error_t error = incarnation_run(seed + incarnation, CALLS_AN_INCARNATION);

        if (error != ERR_OK) {
            printf("# incarnation %" PRIu64 ": error %d\n", incarnation, (int)error);
            return false;
        }
        // The first one is the warm-up.
        if (incarnation++ == 0) {
            usleep(20000);
            incarnation_settle();
            usleep(1000);
            before = balance();
        } else if (!settles(&before, &after)) {
            printf("# incarnation %" PRIu64 " (seed %" PRIu64 "): kernel free %" PRIu64
                   " was %" PRIu64 ", used %" PRIu64 " was %" PRIu64 ", quota %" PRIu64
                   " was %" PRIu64 ", rights %" PRIu64 " was %" PRIu64 "\n",
                   incarnation, seed + incarnation - 1, after.kernel_free, before.kernel_free,
                   after.used, before.used, after.quota, before.quota, after.rights, before.rights);
            return false;
        }
        if (shared.witness.failure != 0)
            break;
    }
    printf("# seed %" PRIu64 ": %" PRIu64 " calls in %" PRIu64 " incarnations\n", seed,
           shared.calls, incarnation);
    return true;
}

int main(int argc, char **argv)
{
    uint64_t seed = argument(argc, argv, "seed", 1);
    uint64_t calls = argument(argc, argv, "calls", 40000);
    corvus_error_t error;

    services_initialize();
    printf("1..5\n");
    error = thread_set_priority(NAME_THREAD_MAIN, CONTROLLER_PRIORITY);
    if (error == ERR_OK)
        error = witness_start();
    if (error == ERR_OK)
        error = incarnation_prepare();
    ok(error == ERR_OK, 1, "witness and pager start");
    ok(error == ERR_OK && run(seed, calls), 2, "kernel memory is back after each incarnation");
    ok(shared.calls >= calls, 3, "all calls were made");
    ok(shared.witness.failure == 0 && shared.witness.rounds > 10, 4,
       "the witness has noticed nothing, and got on");
    if (shared.witness.failure != 0)
        printf("# witness: failure %" PRIu64 ", expected %" PRIx64 ", found %" PRIx64 "\n",
               shared.witness.failure, shared.witness.expected, shared.witness.found);
    // A short run need not meet every service.
    ok(all_succeeded() || calls < 30000, 5, "every service was called with success");
    print_results();
    if (failures)
        print_log();
    return failures != 0;
}
