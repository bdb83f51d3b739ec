// SPDX-License-Identifier: BSD-2-Clause
// Clocks and sleeping. Calendar time is the clock page's plus what the real-time
// hook says, which is asked once.
#include "lib/time.h"
#include "lib/clock.h"
#include "lib/hooks.h"
#include "lib/thread.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>

// Nanoseconds from 1970 to the clock page's zero. Stays 0 on a node that does
// not know the time of day; setting it twice does no harm.
static uint64_t real_time_epoch(void)
{
    static atomic_bool known;
    static _Atomic uint64_t epoch;
    uint64_t asked = 0;

    if (!atomic_load(&known)) {
        if (runtime_hooks.real_time(&asked) == ERR_OK)
            atomic_store(&epoch, asked);
        atomic_store(&known, true);
    }
    return atomic_load(&epoch);
}

// False for a clock that is not kept here.
static bool clock_epoch(long clock, uint64_t *epoch)
{
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
        *epoch = real_time_epoch();
        return true;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
        *epoch = 0;
        return true;
    default:
        return false;
    }
}

long time_get(long clock, struct timespec *time)
{
    uint64_t epoch;

    if (!clock_epoch(clock, &epoch))
        return -EINVAL;
    uint64_t now = epoch + clock_now_ns();
    time->tv_sec = (time_t)(now / NANOSECONDS_PER_SECOND);
    time->tv_nsec = (long)(now % NANOSECONDS_PER_SECOND);
    return 0;
}

long time_resolution(long clock, struct timespec *resolution)
{
    uint64_t epoch;

    if (!clock_epoch(clock, &epoch))
        return -EINVAL;
    if (resolution != NULL)
        *resolution = (struct timespec){.tv_nsec = 1};
    return 0;
}

int time_nanoseconds(const struct timespec *time, uint64_t *nanoseconds)
{
    if (time->tv_sec < 0 || time->tv_nsec < 0 || time->tv_nsec >= (long)NANOSECONDS_PER_SECOND)
        return false;
    if ((uint64_t)time->tv_sec >= UINT64_MAX / NANOSECONDS_PER_SECOND)
        *nanoseconds = UINT64_MAX;
    else
        *nanoseconds = (uint64_t)time->tv_sec * NANOSECONDS_PER_SECOND + (uint64_t)time->tv_nsec;
    return true;
}

long time_sleep(long clock, int flags, const struct timespec *request)
{
    uint64_t epoch, nanoseconds, deadline;

    if (!clock_epoch(clock, &epoch) || !time_nanoseconds(request, &nanoseconds))
        return -EINVAL;
    if ((flags & TIMER_ABSTIME) == 0)
        deadline = deadline_after(nanoseconds);
    else
        deadline = nanoseconds > epoch ? nanoseconds - epoch : 0;
    return thread_sleep_until(deadline) ? 0 : -ENOMEM;
}
