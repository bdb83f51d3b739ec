// SPDX-License-Identifier: GPL-2.0-only
// Interval timers and those of timer_create: when they go off next, by the clock that they are of.
#include "linuxserver/migration/capture_private.h"
#include "linuxserver/migration/clocks.h"
#include "linuxserver/migration/forward.h"

#include <linux/hrtimer.h>
#include <linux/posix-timers.h>
#include <linux/sched.h>
#include <linux/sched/cputime.h>
#include <linux/sched/signal.h>
#include <linux/sort.h>
#include <linux/timekeeping.h>

#include "posix-timers.h" // kernel/time

_Static_assert(SIGEV_SIGNAL == 0 && SIGEV_NONE == 1 && SIGEV_THREAD_ID == 4, "as in the package");

// --- Of timer_create -----------------------------------------------------------------------------

static bool is_of_cpu_time(const struct k_itimer *timer)
{
    return timer->it_clock < 0 || timer->it_clock == CLOCK_PROCESS_CPUTIME_ID ||
           timer->it_clock == CLOCK_THREAD_CPUTIME_ID;
}

static ktime_t now_of(u32 clock)
{
    switch (clock) {
    case PACKAGE_REAL:
        return ktime_get_real();
    case PACKAGE_BOOT:
        return ktime_get_boottime();
    case PACKAGE_TAI:
        return ktime_get_clocktai();
    default:
        return ktime_get();
    }
}

// A timer that is set relative to CLOCK_REALTIME goes by CLOCK_MONOTONIC in truth, so the clock is
// asked of the timer in Linux's queue.
static void write_alarm(struct package_timer *to, struct k_itimer *timer)
{
    struct itimerspec64 setting = {};
    u64 left;

    timer->kclock->timer_get(timer, &setting);
    left = (u64)timespec64_to_ns(&setting.it_value);
    to->alarm.interval = (u64)timespec64_to_ns(&setting.it_interval);
    to->alarm.value = left;
    to->alarm_clock = PACKAGE_CPU_TIME;
    if (is_of_cpu_time(timer))
        return;
    to->alarm_clock = (u32)timer->it.real.timer.base->clockid;
    if (left != 0)
        to->alarm.value = (u64)now_of(to->alarm_clock) + left;
}

// What timer_getoverrun is to say next. While its signal waits that is what has been counted for it
// (kernel/time/posix-timers.c, posixtimer_rearm), not what the signal before it said once already.
static u64 overrun_of(const struct k_itimer *timer, size_t signals)
{
    bool waits = timer->it_interval != 0 && (timer->it_requeue_pending & REQUEUE_PENDING) != 0;
    s64 overrun = waits ? timer->it_overrun : timer->it_overrun_last;

    // One from the node before waits, too.
    if (waits && signals > 1)
        overrun += timer->it_overrun_last + 1;
    return (u64)clamp_t(s64, overrun, 0, INT_MAX);
}

static void write_timer(const struct capture *capture, struct package_timer *to,
                        struct k_itimer *timer)
{
    spin_lock_irq(&timer->it_lock);
    to->number = (u32)timer->it_id;
    to->clock = timer->it_clock;
    to->notify = (u32)timer->it_sigev_notify & ~(u32)SIGEV_THREAD; // to Linux a signal, too
    to->signal = (u32)timer->sigq->info.si_signo;
    to->value = (u64)timer->sigq->info.si_value.sival_ptr;
    if (to->notify == PACKAGE_NOTIFY_THREAD)
        to->thread = (u32)pid_nr(timer->it_pid);
    write_alarm(to, timer);
    to->overrun =
        overrun_of(timer, capture_signals_of(capture, timer->it_id)); // as timer_get has left it
    spin_unlock_irq(&timer->it_lock);
}

static int by_number(const void *left, const void *right)
{
    const struct package_timer *a = left, *b = right;

    return a->number < b->number ? -1 : a->number > b->number;
}

// The process stands still: nobody makes a timer or ends one.
int capture_gather_timers(struct capture *capture)
{
    struct gathered *to = &capture->timers;
    struct k_itimer *timer;

    list_for_each_entry(timer, &capture->leader->signal->posix_timers, list)
    {
        struct package_timer *record = gather(to, sizeof *record);

        if (!record)
            return -ENOMEM;
        write_timer(capture, record, timer);
    }
    sort(to->items, to->count, sizeof(struct package_timer), by_number, NULL);
    return 0;
}

// --- Interval timers -----------------------------------------------------------------------------

// Processor time that the process has used, as its interval timers count it.
static u64 cpu_time(struct task_struct *leader, unsigned int which)
{
    struct task_cputime used;

    thread_group_cputime(leader, &used);
    return which == CPUCLOCK_VIRT ? used.utime : used.utime + used.stime;
}

void capture_alarms(struct capture *capture)
{
    static const unsigned int kinds[] = {
        [ITIMER_VIRTUAL] = CPUCLOCK_VIRT, [ITIMER_PROF] = CPUCLOCK_PROF};
    struct package_alarm *alarms = capture->records.process->alarms;
    struct signal_struct *signal = capture->leader->signal;

    if (hrtimer_active(&signal->real_timer))
        alarms[ITIMER_REAL].value = (u64)hrtimer_get_expires_ns(&signal->real_timer);
    alarms[ITIMER_REAL].interval = (u64)ktime_to_ns(signal->it_real_incr);
    for (unsigned int which = ITIMER_VIRTUAL; which <= ITIMER_PROF; which++) {
        const struct cpu_itimer *timer = &signal->it[kinds[which]];
        u64 used = cpu_time(capture->leader, kinds[which]);

        alarms[which].interval = timer->incr;
        if (timer->expires)
            alarms[which].value = timer->expires > used ? timer->expires - used : 1;
    }
}

// --- By which clocks -----------------------------------------------------------------------------

static void tell_by_home(unsigned int home, u32 clock, u64 *time)
{
    if (*time != 0)
        *time = clocks_add(*time, clocks_ahead(home, (clockid_t)clock));
}

void capture_times(struct capture *capture)
{
    struct package_room *records = &capture->records;
    unsigned int home = forward_home(capture->leader->tgid);

    for (size_t i = 0; i < capture->threads.count; i++)
        tell_by_home(home, records->threads[i].restart_clock, &records->threads[i].restart_time);
    for (size_t i = 0; i < capture->timers.count; i++)
        tell_by_home(home, records->timers[i].alarm_clock, &records->timers[i].alarm.value);
    tell_by_home(home, PACKAGE_MONOTONIC, &records->process->alarms[ITIMER_REAL].value);
}

// --- When the process has moved ------------------------------------------------------------------

void capture_drop_timers(struct task_struct *leader)
{
    struct signal_struct *signal = leader->signal;

    hrtimer_cancel(&signal->real_timer);
    signal->it_real_incr = 0;
    spin_lock_irq(&leader->sighand->siglock);
    memset(signal->it, 0, sizeof signal->it);
    spin_unlock_irq(&leader->sighand->siglock);
    exit_itimers(leader);
}
