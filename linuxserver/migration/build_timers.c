// SPDX-License-Identifier: GPL-2.0-only
// Interval timers and those of timer_create, as they were. What went off meanwhile goes off at
// once.
#include "linuxserver/migration/build_private.h"

#include <linux/hrtimer.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/posix-timers.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/syscalls.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>

static struct __kernel_timespec timespec(u64 time)
{
    return (struct __kernel_timespec){.tv_sec = (s64)(time / NSEC_PER_SEC),
                                      .tv_nsec = (s64)(time % NSEC_PER_SEC)};
}

// --- Of timer_create -----------------------------------------------------------------------------

// What Linux's own system calls read and write, in memory of the process.
struct scratch {
    struct sigevent event;
    timer_t number;
    struct __kernel_itimerspec setting;
};

static int create(const struct package_timer *from, struct scratch __user *scratch)
{
    struct sigevent event = {
        .sigev_notify = (int)from->notify,
        .sigev_signo = (int)from->signal,
        .sigev_value = {.sival_ptr = (void __user *)from->value},
    };
    timer_t number;
    int error;

    if (from->notify == PACKAGE_NOTIFY_THREAD)
        event._sigev_un._tid = (int)from->thread;
    if (copy_to_user(&scratch->event, &event, sizeof event))
        return -EFAULT;
    current->signal->next_posix_timer_id = from->number;
    error = (int)sys_timer_create(from->clock, &scratch->event, &scratch->number);
    if (!error && get_user(number, &scratch->number))
        error = -EFAULT;
    return error ?: number == (timer_t)from->number ? 0 : -EEXIST;
}

// Relative to CLOCK_REALTIME means to CLOCK_MONOTONIC: capture_timers.c.
static int arm(const struct build *build, const struct package_timer *from,
               struct scratch __user *scratch)
{
    bool absolute = from->alarm_clock != PACKAGE_CPU_TIME && from->alarm_clock == (u32)from->clock;
    u64 value = from->alarm.value, now = absolute ? 0 : ktime_get_ns();
    struct __kernel_itimerspec setting = {.it_interval = timespec(from->alarm.interval)};

    if (value == 0)
        return 0;
    if (from->alarm_clock != PACKAGE_CPU_TIME) {
        value = build_time(build, from->alarm_clock, value);
        value = value > now ? value - now : 1;
    }
    setting.it_value = timespec(value);
    if (copy_to_user(&scratch->setting, &setting, sizeof setting))
        return -EFAULT;
    return (int)sys_timer_settime((timer_t)from->number, absolute ? TIMER_ABSTIME : 0,
                                  &scratch->setting, NULL);
}

static void set_overrun(const struct package_timer *from)
{
    struct k_itimer *timer;

    list_for_each_entry(timer, &current->signal->posix_timers, list)
    {
        if (timer->it_id == (timer_t)from->number)
            timer->it_overrun_last = (s64)from->overrun;
    }
}

int build_timers(const struct build *build)
{
    const struct migration_package *package = build->package;
    unsigned long scratch;
    int error = 0;

    if (package->timers_count == 0)
        return 0;
    scratch = vm_mmap(NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, 0);
    if (IS_ERR_VALUE(scratch))
        return (int)scratch;
    for (size_t i = 0; i < package->timers_count && !error; i++) {
        const struct package_timer *from = &package->timers[i];

        error = create(from, (struct scratch __user *)scratch);
        if (!error)
            error = arm(build, from, (struct scratch __user *)scratch);
        set_overrun(from);
    }
    return vm_munmap(scratch, PAGE_SIZE) ?: error;
}

// --- Interval timers -----------------------------------------------------------------------------

static void set_real(const struct build *build, const struct package_alarm *from)
{
    struct signal_struct *signal = current->signal;
    u64 expires = build_time(build, PACKAGE_MONOTONIC, from->value);

    signal->it_real_incr = ns_to_ktime(from->interval);
    if (from->value != 0)
        hrtimer_start(&signal->real_timer, ns_to_ktime(expires), HRTIMER_MODE_ABS);
    else // has gone off, and begins again when its signal is taken, from now on
        hrtimer_set_expires(&signal->real_timer, ktime_get());
}

void build_alarms(const struct build *build)
{
    static const unsigned int kinds[] = {
        [ITIMER_VIRTUAL] = CPUCLOCK_VIRT, [ITIMER_PROF] = CPUCLOCK_PROF};
    const struct package_alarm *alarms = build->package->process->alarms;

    spin_lock_irq(&current->sighand->siglock);
    set_real(build, &alarms[ITIMER_REAL]);
    for (unsigned int which = ITIMER_VIRTUAL; which <= ITIMER_PROF; which++) {
        u64 value = alarms[which].value, before = 0;

        if (value == 0)
            continue;
        set_process_cpu_timer(current, kinds[which], &value, &before);
        current->signal->it[kinds[which]] =
            (struct cpu_itimer){.expires = value, .incr = alarms[which].interval};
    }
    spin_unlock_irq(&current->sighand->siglock);
}
