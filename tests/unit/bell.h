// SPDX-License-Identifier: BSD-2-Clause
// A bell that one thread rings and another waits for, some time: one that is lost is noticed.
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#define BELL_SECONDS 20 // that nothing takes on a busy machine

struct bell {
    pthread_mutex_t mutex;
    pthread_cond_t condition;
    bool rung;
    unsigned count; // of all rings
};

#define BELL_INITIALIZER                                                                           \
    {                                                                                              \
        .mutex = PTHREAD_MUTEX_INITIALIZER, .condition = PTHREAD_COND_INITIALIZER                  \
    }

static inline void bell_ring(struct bell *bell)
{
    pthread_mutex_lock(&bell->mutex);
    bell->rung = true;
    bell->count++;
    pthread_cond_signal(&bell->condition);
    pthread_mutex_unlock(&bell->mutex);
}

// False: it did not ring in time.
static inline bool bell_wait(struct bell *bell)
{
    struct timespec deadline;
    bool rung;

    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += BELL_SECONDS;
    pthread_mutex_lock(&bell->mutex);
    while (!bell->rung && pthread_cond_timedwait(&bell->condition, &bell->mutex, &deadline) == 0)
        ;
    rung = bell->rung;
    bell->rung = false;
    pthread_mutex_unlock(&bell->mutex);
    return rung;
}
