// SPDX-License-Identifier: BSD-2-Clause
// Locks by hand, for the tests: a lock held for a while, counting under a lock, a reduction.
#include "tests/cluster/dsm/dsm.h"

#include "dsm/lib/dsm.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static void on_end(int signal)
{
    (void)signal; // sleep ends
}

// Takes lock 1 and keeps it for so many seconds, or until it is told to end (SIGTERM).
int command_lock(char **words)
{
    struct sigaction action = {.sa_handler = on_end};
    bool died = false;
    corvus_error_t error = dsm_open(dsm_group_of("test"));

    if (error == ERR_OK)
        error = dsm_lock(1, &died);
    sigaction(SIGTERM, &action, NULL);
    (void)tell(error, died ? "locked, its owner died" : "locked");
    fflush(stdout);
    if (error != ERR_OK)
        return 1;
    sleep((unsigned)number(words[0]));
    return tell(dsm_unlock(1), "unlocked");
}

int command_try(char **words)
{
    corvus_error_t error = dsm_open(dsm_group_of("test"));

    (void)words;
    if (error == ERR_OK)
        error = dsm_try_lock(1, NULL);
    return tell(error, "locked");
}

// Meets `count` others, and adds its number to theirs.
int command_sum(char **words)
{
    uint64_t value = number(words[1]);
    char text[32];
    corvus_error_t error = dsm_open(dsm_group_of("test"));

    if (error == ERR_OK)
        error = dsm_reduce(2, number(words[0]), REDUCE_SUM, &value, 1);
    snprintf(text, sizeof text, "sum %lu", value);
    return tell(error, text);
}

// `post` or `wait` of semaphore 1, which is 0 to begin with.
int command_post(char **words)
{
    corvus_error_t error = dsm_open(dsm_group_of("test"));

    if (error == ERR_OK)
        error = dsm_semaphore_post(1, 0, number(words[0]));
    return tell(error, "posted");
}

int command_wait(char **words)
{
    corvus_error_t error = dsm_open(dsm_group_of("test"));

    (void)words;
    if (error == ERR_OK)
        error = dsm_semaphore_wait(1, 0);
    return tell(error, "waited");
}
