// SPDX-License-Identifier: BSD-2-Clause
// Calls that end by themselves, at the right time by home's clock, and timers.
#include "calls.h"

#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <unistd.h>

static struct timespec in_span(clockid_t clock)
{
    struct timespec time;

    DO(clock_gettime(clock, &time));
    time.tv_sec += span_ms / 1000;
    return time;
}

// --- Sleeping ----------------------------------------------------------------------------

static void sleeps(int round)
{
    struct timespec time = timespec_of(span_ms);
    int64_t begin = now_ms();

    (void)round;
    DO(nanosleep(&time, NULL));
    need_passed(begin);
}

static void sleeps_by(clockid_t clock, int flags)
{
    struct timespec time = flags != 0 ? in_span(clock) : timespec_of(span_ms);
    int64_t begin = now_ms();

    NEED(clock_nanosleep(clock, flags, &time, NULL) == 0);
    need_passed(begin);
}

static void sleeps_monotonic(int round)
{
    (void)round;
    sleeps_by(CLOCK_MONOTONIC, 0);
}

static void sleeps_until(int round)
{
    sleeps_by(round == 0 ? CLOCK_MONOTONIC : CLOCK_BOOTTIME, TIMER_ABSTIME);
}

static void sleeps_until_date(int round)
{
    (void)round;
    sleeps_by(CLOCK_REALTIME, TIMER_ABSTIME);
}

// --- Limits ------------------------------------------------------------------------------

static void futex_limit(int round)
{
    static uint32_t word = 3;
    struct timespec time = timespec_of(span_ms);
    int64_t begin = now_ms();

    (void)round;
    NEED(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 3, &time, NULL, 0) == -1);
    NEED(errno == ETIMEDOUT);
    need_passed(begin);
}

static void condition_limit(int round)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
    struct timespec time = in_span(CLOCK_REALTIME);
    int64_t begin = now_ms();

    (void)round;
    NEED(pthread_mutex_lock(&mutex) == 0);
    NEED(pthread_cond_timedwait(&never, &mutex, &time) == ETIMEDOUT);
    NEED(pthread_mutex_unlock(&mutex) == 0);
    need_passed(begin);
}

static void poll_limit(int round)
{
    int64_t begin = now_ms();

    (void)round;
    NEED(poll(NULL, 0, span_ms) == 0);
    need_passed(begin);
}

static void select_limit(int round)
{
    struct timeval time = {span_ms / 1000, span_ms % 1000 * 1000};
    int64_t begin = now_ms();

    (void)round;
    NEED(select(0, NULL, NULL, NULL, &time) == 0);
    need_passed(begin);
}

static void epoll_limit(int round)
{
    struct epoll_event event;
    int64_t begin = now_ms();
    int set;

    (void)round;
    DO(set = epoll_create1(0));
    NEED(epoll_wait(set, &event, 1, span_ms) == 0);
    need_passed(begin);
    DO(close(set));
}

static void semaphore_limit(int round)
{
    struct sembuf take = {.sem_num = 0, .sem_op = -1};
    struct timespec time = timespec_of(span_ms);
    int64_t begin = now_ms();
    int set;

    (void)round;
    DO(set = semget(IPC_PRIVATE, 1, 0600));
    NEED(semtimedop(set, &take, 1, &time) == -1 && errno == EAGAIN);
    need_passed(begin);
    DO(semctl(set, 0, IPC_RMID));
}

static void signal_limit(int round)
{
    struct timespec time = timespec_of(span_ms);
    int64_t begin = now_ms();
    sigset_t set;

    (void)round;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    DO(sigprocmask(SIG_BLOCK, &set, NULL));
    NEED(sigtimedwait(&set, NULL, &time) == -1 && errno == EAGAIN);
    need_passed(begin);
}

// --- Timers ------------------------------------------------------------------------------

static volatile sig_atomic_t gone_off;
static volatile int told_value, told_code;

static void goes_off(int number, siginfo_t *info, void *context)
{
    (void)context;
    gone_off = number;
    told_value = info->si_value.sival_int;
    told_code = info->si_code;
}

static void handle(int number)
{
    struct sigaction action = {.sa_sigaction = goes_off, .sa_flags = SA_SIGINFO};

    DO(sigaction(number, &action, NULL));
    gone_off = 0;
}

static void await_timer(int number, int64_t begin)
{
    NEED(pause() == -1 && errno == EINTR);
    NEED(gone_off == number);
    need_passed(begin);
}

static void interval_timer(int round)
{
    struct itimerval setting = {.it_value = {span_ms / 1000, 0}}, left;
    int64_t begin = now_ms();

    (void)round;
    handle(SIGALRM);
    DO(setitimer(ITIMER_REAL, &setting, NULL));
    await_timer(SIGALRM, begin);
    DO(getitimer(ITIMER_REAL, &left));
    NEED(left.it_value.tv_sec == 0 && left.it_value.tv_usec == 0);
}

static void alarm_clock(int round)
{
    int64_t begin = now_ms();

    (void)round;
    handle(SIGALRM);
    (void)alarm((unsigned int)span_ms / 1000);
    await_timer(SIGALRM, begin);
}

static void own_timer(clockid_t clock, int flags, int round)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
    struct itimerspec setting = {.it_value = flags != 0 ? in_span(clock) : timespec_of(span_ms)};
    int64_t begin = now_ms();
    timer_t timer;

    event.sigev_value.sival_int = 4711 + round;
    handle(SIGRTMIN);
    DO(timer_create(clock, &event, &timer));
    DO(timer_settime(timer, flags, &setting, NULL));
    await_timer(SIGRTMIN, begin);
    NEED(told_value == 4711 + round && told_code == SI_TIMER);
    DO(timer_delete(timer));
}

static void relative_timer(int round)
{
    own_timer(round == 0 ? CLOCK_MONOTONIC : CLOCK_REALTIME, 0, round);
}

static void absolute_timer(int round)
{
    own_timer(CLOCK_MONOTONIC, TIMER_ABSTIME, round);
}

static void date_timer(int round)
{
    own_timer(CLOCK_REALTIME, TIMER_ABSTIME, round);
}

static void timer_descriptor(int round)
{
    struct itimerspec setting = {.it_value = in_span(CLOCK_MONOTONIC)};
    int64_t begin = now_ms();
    uint64_t count = 0;
    int timer;

    (void)round;
    DO(timer = timerfd_create(CLOCK_MONOTONIC, 0));
    DO(timerfd_settime(timer, TFD_TIMER_ABSTIME, &setting, NULL));
    NEED(read(timer, &count, sizeof count) == sizeof count && count == 1);
    need_passed(begin);
    DO(close(timer));
}

#define TIMED .timed = true

const struct scene time_scenes[] = {
    {"nanosleep", "nanosleep", .call = sleeps, TIMED},
    {"clock-sleep", "clock_nanosleep for a while", .call = sleeps_monotonic, TIMED},
    {"sleep-until", "clock_nanosleep until a time", .call = sleeps_until, TIMED},
    {"sleep-date", "clock_nanosleep until a date", .call = sleeps_until_date, TIMED},
    {"futex-limit", "a futex with a limit", .call = futex_limit, TIMED},
    {"condition", "a condition until a date", .call = condition_limit, TIMED},
    {"poll-time", "poll to its end", .call = poll_limit, TIMED},
    {"select-time", "select to its end", .call = select_limit, TIMED},
    {"epoll-time", "epoll_wait to its end", .call = epoll_limit, TIMED},
    {"semaphore-time", "semtimedop to its end", .call = semaphore_limit, TIMED},
    {"signal-time", "sigtimedwait to its end", .call = signal_limit, TIMED},
    {"setitimer", "setitimer", .call = interval_timer, TIMED},
    {"alarm", "alarm", .call = alarm_clock, TIMED},
    {"timer", "timer_settime, relative", .call = relative_timer, TIMED},
    {"timer-until", "timer_settime, absolute", .call = absolute_timer, TIMED},
    {"timer-date", "timer_settime, a date", .call = date_timer, TIMED},
    {"timerfd", "timerfd, absolute", .call = timer_descriptor, TIMED},
    {},
};
