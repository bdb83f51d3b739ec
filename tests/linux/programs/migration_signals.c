// SPDX-License-Identifier: BSD-2-Clause
// A process that is written down and made anew (harness_reborn.h) has its signals and timers.
#include "harness_reborn.h"

#include "harness_vector.h"

#include <pthread.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>

static struct turns turns;

// --- Signals -------------------------------------------------------------------------------------

static volatile sig_atomic_t handled, on_stack;
static char alternate[64 << 10];

static void handles(int number, siginfo_t *info, void *context)
{
    char here;
    (void)context;
    handled = number == SIGUSR1 && info->si_code == SI_TKILL ? 1 : 2;
    on_stack = &here >= alternate && &here < alternate + sizeof alternate;
}

static void set_up_signals(sigset_t *blocked)
{
    struct sigaction action = {.sa_sigaction = handles, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    SUCCEED(sigaltstack(&stack, NULL));
    SUCCEED(sigaddset(&action.sa_mask, SIGUSR2));
    SUCCEED(sigaction(SIGUSR1, &action, NULL));
    sigemptyset(blocked);
    sigaddset(blocked, SIGRTMIN);
    sigaddset(blocked, SIGRTMIN + 1);
    sigaddset(blocked, SIGTERM);
    SUCCEED(sigprocmask(SIG_BLOCK, blocked, NULL));
    for (int i = 0; i < 5; i++)
        SUCCEED(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 100 + i}));
    SUCCEED(syscall(SYS_tgkill, getpid(), getpid(), SIGRTMIN + 1));
    SUCCEED(kill(getpid(), SIGTERM));
}

static void check_pending(const sigset_t *blocked)
{
    siginfo_t info;
    sigset_t pending, mask;
    SUCCEED(sigpending(&pending));
    REQUIRE(sigismember(&pending, SIGRTMIN) && sigismember(&pending, SIGTERM));
    SUCCEED(sigprocmask(SIG_BLOCK, NULL, &mask));
    REQUIRE(sigismember(&mask, SIGRTMIN) && !sigismember(&mask, SIGUSR1));
    // A thread's own first.
    REQUIRE_EQUAL(sigwaitinfo(blocked, &info), SIGRTMIN + 1);
    REQUIRE(info.si_code == SI_USER && info.si_pid == getpid()); // as glibc says it
    REQUIRE_EQUAL(sigwaitinfo(blocked, &info), SIGTERM);
    REQUIRE(info.si_code == SI_USER && info.si_pid == getpid());
    for (int i = 0; i < 5; i++) {
        sigset_t one;
        sigemptyset(&one);
        sigaddset(&one, SIGRTMIN);
        REQUIRE_EQUAL(sigwaitinfo(&one, &info), SIGRTMIN);
        REQUIRE(info.si_code == SI_QUEUE && info.si_value.sival_int == 100 + i);
    }
    FAIL_WITH(sigtimedwait(blocked, &info, &(struct timespec){0}), EAGAIN);
}

static void has_signals(void *unused)
{
    sigset_t blocked;
    struct sigaction action;
    (void)unused;
    set_up_signals(&blocked);
    child_signals(&turns);
    child_waits(&turns);
    check_pending(&blocked);
    SUCCEED(sigaction(SIGUSR1, NULL, &action));
    REQUIRE(action.sa_sigaction == handles && sigismember(&action.sa_mask, SIGUSR2));
    SUCCEED(raise(SIGUSR1));
    REQUIRE(handled == 1 && on_stack);
}

TEST(signals, "pending signals with what they say, in order; masks, handlers, alternate stack")
{
    skip_without_migration();
    turns_open(&turns);
    pid_t pid = child(has_signals, NULL);
    parent_waits(&turns);
    reborn(pid);
    parent_signals(&turns);
    EXITS(pid, 0);
}

static struct vector_state vectors_before, vectors_after;

static void waits_in_handler(int number, siginfo_t *info, void *context)
{
    struct vector_state other;
    char here;
    (void)number;
    (void)info;
    (void)context;
    on_stack = &here >= alternate && &here < alternate + sizeof alternate;
    child_signals(&turns);
    child_waits(&turns);
    vector_make(&other, 9);
    vector_load(&other);
    handled = 1;
}

static void is_in_handler(void *unused)
{
    struct sigaction action = {.sa_sigaction = waits_in_handler,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK};
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    (void)unused;
    SUCCEED(sigaltstack(&stack, NULL));
    SUCCEED(sigaction(SIGUSR1, &action, NULL));
    vector_make(&vectors_before, 5);
    (void)vector_around_call(&vectors_before, &vectors_after, SYS_tgkill, getpid(),
                             syscall(SYS_gettid), SIGUSR1, 0);
    REQUIRE(handled && on_stack);
    REQUIRE(vector_same(&vectors_after, &vectors_before));
}

TEST(handler, "in a handler on the alternate stack; it returns to vector registers in use")
{
    skip_without_migration();
    turns_open(&turns);
    pid_t pid = child(is_in_handler, NULL);
    parent_waits(&turns);
    reborn(pid);
    parent_signals(&turns);
    EXITS(pid, 0);
}

static void spins(void *unused)
{
    (void)unused;
    for (;;)
        handled++;
}

TEST(fatal, "a pending signal that ends the process does so when it runs, with its own number")
{
    skip_without_migration();
    pid_t pid = child(spins, NULL);
    int status;
    SUCCEED(kill(pid, SIGSTOP));
    SUCCEED(waitpid(pid, &status, WUNTRACED));
    SUCCEED(kill(pid, SIGUSR2));
    struct package_file package = dumped(pid);
    SUCCEED(kill(pid, SIGKILL));
    KILLED(pid, SIGKILL);
    (void)built(pid, package);
    KILLED(pid, SIGUSR2);
}

// --- Timers --------------------------------------------------------------------------------------

static volatile sig_atomic_t alarms, virtual_alarms, ticks, value;
static volatile pid_t told;

static void counts_alarm(int number)
{
    if (number == SIGALRM)
        alarms++;
    else
        virtual_alarms++;
}

static void counts_tick(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    value = info->si_value.sival_int;
    told = (pid_t)syscall(SYS_gettid);
    ticks++;
}

static timer_t make_timer(clockid_t clock, int signal, pid_t tid)
{
    struct sigevent event = {.sigev_notify = tid ? SIGEV_THREAD_ID : SIGEV_SIGNAL,
                             .sigev_signo = signal,
                             .sigev_value.sival_int = 4711};
    timer_t timer;
    event._sigev_un._tid = tid;
    SUCCEED(timer_create(clock, &event, &timer));
    return timer;
}

static void set_timer(timer_t timer, unsigned first_ms, unsigned interval_ms, int flags)
{
    struct itimerspec setting = {
        .it_value = {first_ms / 1000, first_ms % 1000 * 1000000l},
        .it_interval = {interval_ms / 1000, interval_ms % 1000 * 1000000l}};
    if (flags == TIMER_ABSTIME) {
        struct timespec now;
        SUCCEED(clock_gettime(CLOCK_REALTIME, &now));
        setting.it_value.tv_sec += now.tv_sec;
    }
    SUCCEED(timer_settime(timer, flags, &setting, NULL));
}

static void *ticks_here(void *tid)
{
    *(volatile pid_t *)tid = (pid_t)syscall(SYS_gettid);
    for (;;)
        pause();
    return NULL;
}

// Its timers: one gone before, so that numbers have gaps; by a thread; far away, absolute; stopped.
static void has_timers(void *unused)
{
    struct sigaction alarm = {.sa_handler = counts_alarm};
    struct sigaction tick = {.sa_sigaction = counts_tick, .sa_flags = SA_SIGINFO | SA_RESTART};
    struct itimerspec setting;
    struct itimerval interval = {{0, 20000}, {0, 20000}}, now;
    volatile pid_t tid = 0;
    pthread_t thread;
    (void)unused;
    SUCCEED(sigaction(SIGALRM, &alarm, NULL));
    SUCCEED(sigaction(SIGVTALRM, &alarm, NULL));
    SUCCEED(sigaction(SIGRTMIN, &tick, NULL));
    ZERO(pthread_create(&thread, NULL, ticks_here, (void *)&tid));
    while (tid == 0)
        sleep_ms(1);
    timer_t gone = make_timer(CLOCK_MONOTONIC, SIGRTMIN, 0);
    timer_t stopped = make_timer(CLOCK_MONOTONIC, SIGRTMIN, 0);
    timer_t ticking = make_timer(CLOCK_MONOTONIC, SIGRTMIN, tid);
    timer_t far = make_timer(CLOCK_REALTIME, SIGRTMIN, 0);
    SUCCEED(timer_delete(gone));
    set_timer(ticking, 10, 10, 0);
    set_timer(far, 1000000, 0, TIMER_ABSTIME);
    SUCCEED(setitimer(ITIMER_REAL, &interval, NULL));
    SUCCEED(setitimer(ITIMER_VIRTUAL, &interval, NULL));
    child_signals(&turns);
    child_waits(&turns);
    alarms = virtual_alarms = ticks = 0;
    for (uint64_t begin = now_ns(); alarms < 3 || virtual_alarms < 3 || ticks < 3;)
        REQUIRE(now_ns() - begin < 10000000000ul * slowness());
    REQUIRE(value == 4711 && told == tid);
    SUCCEED(timer_gettime(far, &setting));
    REQUIRE(setting.it_value.tv_sec > 900 && setting.it_value.tv_sec < 1000);
    SUCCEED(timer_gettime(stopped, &setting));
    REQUIRE(setting.it_value.tv_sec == 0 && setting.it_value.tv_nsec == 0);
    FAIL_WITH(syscall(SYS_timer_delete, gone), EINVAL);
    SUCCEED(getitimer(ITIMER_VIRTUAL, &now));
    REQUIRE_EQUAL(now.it_interval.tv_usec, 20000);
    SUCCEED(timer_delete(far));
}

TEST(timers, "interval timers, timers of timer_create by number, thread and clock")
{
    skip_without_migration();
    turns_open(&turns);
    pid_t pid = child(has_timers, NULL);
    parent_waits(&turns);
    reborn(pid);
    parent_signals(&turns);
    EXITS(pid, 0);
}
