// SPDX-License-Identifier: BSD-2-Clause
// Threads that call at the same time.
#include "exchange_test.h"

#include <unistd.h>

#define STACK_BYTES (64u << 10)
#define STEP_US     20000u

struct member crowd[CROWD_MAX];
static void (*body)(struct member *member);

static void *run(void *argument)
{
    struct member *member = argument;

    body(member);
    __atomic_store_n(&member->ended, clock_now_ns(), __ATOMIC_RELEASE);
    return NULL;
}

bool crowd_start(unsigned count, void (*function)(struct member *member))
{
    pthread_attr_t attributes;
    bool started = true;

    body = function;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    for (unsigned i = 0; i < count; i++) {
        crowd[i] = (struct member){.number = i, .begun = clock_now_ns(), .error = ERR_COUNT};
        started = pthread_create(&crowd[i].thread, &attributes, run, &crowd[i]) == 0 && started;
    }
    pthread_attr_destroy(&attributes);
    return started;
}

bool crowd_ended(unsigned count, unsigned seconds)
{
    uint64_t limit = clock_now_ns() + seconds * 1000000000ull;
    unsigned ended = 0;

    while (ended < count && clock_now_ns() < limit) {
        ended = 0;
        for (unsigned i = 0; i < count; i++)
            ended += __atomic_load_n(&crowd[i].ended, __ATOMIC_ACQUIRE) != 0;
        if (ended < count)
            usleep(STEP_US);
    }
    for (unsigned i = 0; ended == count && i < count; i++)
        pthread_join(crowd[i].thread, NULL);
    return ended == count;
}

unsigned crowd_with(unsigned count, corvus_error_t error)
{
    unsigned found = 0;

    for (unsigned i = 0; i < count; i++)
        found += crowd[i].ended != 0 && crowd[i].error == error;
    return found;
}
