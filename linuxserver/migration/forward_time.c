// SPDX-License-Identifier: GPL-2.0-only
// Calls of a process that has moved in which there are times of a clock: it means those of its home
// (clocks.h), and waits here by the clocks here. Spans of time need no such thing. What it reads
// without a call is backend/vdso/map.c's.
#include "linuxserver/migration/clocks.h"
#include "linuxserver/migration/forward_private.h"

#include <linux/futex.h>
#include <linux/hrtimer.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/posix-timers.h>
#include <linux/sched/signal.h>
#include <linux/syscalls.h>
#include <linux/time64.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>

#include <asm/syscall.h>
#include <asm/unistd.h>

extern const sys_call_ptr_t sys_call_table[];

static long here(unsigned int nr, const u64 a[6])
{
    return sys_call_table[nr](a[0], a[1], a[2], a[3], a[4], a[5]);
}

// --- Reading -----------------------------------------------------------------------------
// The same sums as in the vDSO, so that times read by both are in order.

// False: a clock that no other node has, as those of processor time.
static bool read_clock(unsigned int home, clockid_t clock, u64 *time)
{
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_MONOTONIC:
        *time = ktime_get_ns();
        break;
    case CLOCK_MONOTONIC_RAW:
        *time = ktime_get_raw_ns();
        break;
    case CLOCK_BOOTTIME:
        *time = ktime_get_boottime_ns();
        break;
    case CLOCK_REALTIME_COARSE:
    case CLOCK_MONOTONIC_COARSE:
        *time = ktime_get_coarse_ns();
        break;
    case CLOCK_TAI:
        *time = ktime_get_clocktai_ns();
        break;
    default:
        return false;
    }
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
        *time += (u64)ktime_to_ns(ktime_mono_to_real(0));
    *time += (u64)clocks_ahead(home, clock);
    return true;
}

static bool get_time(unsigned int home, const u64 a[6], long *result)
{
    struct timespec64 time;
    u64 now;

    if (!read_clock(home, (clockid_t)a[0], &now))
        return false;
    time = ns_to_timespec64((s64)now);
    *result = put_timespec64(&time, (struct __kernel_timespec __user *)a[1]);
    return true;
}

static long get_time_of_day(unsigned int home, const u64 a[6])
{
    u64 zone[6] = {0, a[1]}, words[2], now = 0;

    (void)read_clock(home, CLOCK_REALTIME, &now);
    words[0] = now / NSEC_PER_SEC;
    words[1] = now % NSEC_PER_SEC / NSEC_PER_USEC;
    if (a[0] != 0 && marshal_put(a[0], words, sizeof words) != 0)
        return -EFAULT;
    return a[1] != 0 ? here(__NR_gettimeofday, zone) : 0;
}

static long get_seconds(unsigned int home, const u64 a[6])
{
    u64 now = 0;

    (void)read_clock(home, CLOCK_REALTIME_COARSE, &now);
    now /= NSEC_PER_SEC;
    return a[0] != 0 && marshal_put(a[0], &now, sizeof now) != 0 ? -EFAULT : (long)now;
}

// --- Waiting until a time ----------------------------------------------------------------

// A time of home's clock by the one here. What is long over is over here, too, and not zero, by
// which timers are disarmed.
static ktime_t time_here(unsigned int home, clockid_t clock, const struct timespec64 *time)
{
    ktime_t there = max_t(ktime_t, timespec64_to_ktime(*time), 0);

    return (ktime_t)clocks_add((u64)there, -clocks_ahead(home, clock));
}

static bool is_absolute(unsigned int home, clockid_t clock)
{
    return (clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME ||
            clock == CLOCK_TAI) &&
           clocks_ahead(home, clock) != 0;
}

// As clock_nanosleep does.
static bool sleep_until(unsigned int home, const u64 a[6], long *result)
{
    clockid_t clock = (clockid_t)a[0];
    struct timespec64 time;

    if (!((int)a[1] & TIMER_ABSTIME) || !is_absolute(home, clock))
        return false;
    *result = get_timespec64(&time, (const struct __kernel_timespec __user *)a[2]);
    if (*result == 0 && !timespec64_valid(&time))
        *result = -EINVAL;
    if (*result != 0)
        return true;
    current->restart_block.fn = do_no_restart_syscall;
    current->restart_block.nanosleep.type = TT_NONE;
    current->restart_block.nanosleep.rmtp = NULL;
    *result = hrtimer_nanosleep(time_here(home, clock, &time), HRTIMER_MODE_ABS, clock);
    return true;
}

// FUTEX_WAIT has a span of time, whatever clock it is of.
static bool has_absolute_time(int operation)
{
    switch (operation & FUTEX_CMD_MASK) {
    case FUTEX_WAIT_BITSET:
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2:
    case FUTEX_WAIT_REQUEUE_PI:
        return true;
    default:
        return false;
    }
}

static bool wait_for_futex(unsigned int home, const u64 a[6], long *result)
{
    int operation = (int)a[1];
    bool real = operation & FUTEX_CLOCK_REALTIME || (operation & FUTEX_CMD_MASK) == FUTEX_LOCK_PI;
    clockid_t clock = real ? CLOCK_REALTIME : CLOCK_MONOTONIC;
    struct timespec64 time;
    ktime_t end;

    if (a[3] == 0 || !has_absolute_time(operation) || !is_absolute(home, clock))
        return false;
    *result = get_timespec64(&time, (const struct __kernel_timespec __user *)a[3]);
    if (*result == 0 && !timespec64_valid(&time))
        *result = -EINVAL;
    if (*result != 0)
        return true;
    end = time_here(home, clock, &time);
    *result = do_futex((u32 __user *)a[0], operation, (u32)a[2], &end, (u32 __user *)a[4],
                       (u32)a[3], (u32)a[5]);
    return true;
}

// --- Times that Linux reads in the process's memory ---------------------------------------

long forward_with_memory(unsigned int nr, const u64 given[6], unsigned int argument,
                         const void *bytes, size_t count)
{
    unsigned long scratch =
        vm_mmap(NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, 0);
    struct forward_thread *thread = forward_thread_of(current);
    u64 a[6];
    long result;

    if (IS_ERR_VALUE(scratch))
        return -ENOMEM;
    memcpy(a, given, sizeof a);
    a[argument] = scratch;
    result = marshal_put(scratch, bytes, count);
    if (result == 0)
        result =
            thread != NULL && forward_is_waiting(nr) ? forward_waiting(thread, nr, a) : here(nr, a);
    (void)vm_munmap(scratch, PAGE_SIZE);
    return result;
}

static bool clock_of_timer(timer_t number, clockid_t *clock)
{
    struct k_itimer *timer;
    bool found = false;

    spin_lock_irq(&current->sighand->siglock);
    list_for_each_entry(timer, &current->signal->posix_timers, list)
    {
        if (timer->it_id != number)
            continue;
        *clock = timer->it_clock;
        found = true;
    }
    spin_unlock_irq(&current->sighand->siglock);
    return found;
}

static bool set_timer(unsigned int home, const u64 a[6], long *result)
{
    struct __kernel_itimerspec setting;
    struct timespec64 time;
    clockid_t clock;

    if (!((int)a[1] & TIMER_ABSTIME) || a[2] == 0 || !clock_of_timer((timer_t)a[0], &clock) ||
        !is_absolute(home, clock))
        return false;
    if (marshal_get(&setting, a[2], sizeof setting) != 0)
        return false; // Linux says what is wrong with it, here and below
    time = (struct timespec64){.tv_sec = setting.it_value.tv_sec,
                               .tv_nsec = (long)setting.it_value.tv_nsec};
    if (!timespec64_valid(&time) || (time.tv_sec == 0 && time.tv_nsec == 0))
        return false;
    time = ktime_to_timespec64(time_here(home, clock, &time));
    setting.it_value.tv_sec = time.tv_sec;
    setting.it_value.tv_nsec = time.tv_nsec;
    *result = forward_with_memory(__NR_timer_settime, a, 2, &setting, sizeof setting);
    return true;
}

static bool wait_for_futexes(unsigned int home, const u64 a[6], long *result)
{
    clockid_t clock = (clockid_t)a[4];
    struct timespec64 time;

    if (a[3] == 0 || !is_absolute(home, clock) ||
        get_timespec64(&time, (const struct __kernel_timespec __user *)a[3]) != 0 ||
        !timespec64_valid(&time))
        return false;
    time = ktime_to_timespec64(time_here(home, clock, &time));
    *result = forward_with_memory(
        __NR_futex_waitv, a, 3,
        &(struct __kernel_timespec){.tv_sec = time.tv_sec, .tv_nsec = time.tv_nsec},
        sizeof(struct __kernel_timespec));
    return true;
}

// --- All of them -------------------------------------------------------------------------

bool forward_time(struct forward_thread *thread, unsigned int nr, const u64 a[6], long *result)
{
    unsigned int home = thread->process->home;

    switch (nr) {
    case __NR_clock_gettime:
        return get_time(home, a, result);
    case __NR_gettimeofday:
        *result = get_time_of_day(home, a);
        return true;
    case __NR_time:
        *result = get_seconds(home, a);
        return true;
    case __NR_clock_nanosleep:
        return sleep_until(home, a, result);
    case __NR_futex:
        return wait_for_futex(home, a, result);
    case __NR_futex_waitv:
        return wait_for_futexes(home, a, result);
    case __NR_timer_settime:
        return set_timer(home, a, result);
    }
    return false;
}
