// SPDX-License-Identifier: BSD-2-Clause
// Signals as POSIX and Linux describe them: what siginfo says of each kind of sender, queues,
// masks, flags of sigaction, and the calls that wait for a signal.
#include "harness.h"

#include <sched.h>
#include <sys/time.h>
#include <time.h>

static volatile sig_atomic_t handled, depth, deepest;
// Volatile, since the C library promises the compiler that raise and kill call nothing of ours.
static volatile siginfo_t last_info;

static void record(int number, siginfo_t *info, void *context)
{
    (void)context;
    (void)number;
    handled++;
    last_info = *info;
}

static void handle_with(int number, void (*handler)(int, siginfo_t *, void *), int flags)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = flags | SA_SIGINFO};
    SUCCEED(sigaction(number, &action, NULL));
}

static void block(int number)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    SUCCEED(sigprocmask(SIG_BLOCK, &set, NULL));
}

static void unblock(int number)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    SUCCEED(sigprocmask(SIG_UNBLOCK, &set, NULL));
}

// --- What siginfo says --------------------------------------------------------------------------

TEST(kill_tells_sender, "kill, tgkill and raise: code, process and user of the sender")
{
    handle_with(SIGUSR1, record, 0);
    SUCCEED(kill(getpid(), SIGUSR1));
    REQUIRE_EQUAL(handled, 1);
    REQUIRE_EQUAL(last_info.si_signo, SIGUSR1);
    REQUIRE_EQUAL(last_info.si_code, SI_USER);
    REQUIRE_EQUAL(last_info.si_pid, getpid());
    REQUIRE_EQUAL(last_info.si_uid, getuid());
    SUCCEED(syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1));
    REQUIRE_EQUAL(handled, 2);
    REQUIRE_EQUAL(last_info.si_code, SI_TKILL);
    REQUIRE_EQUAL(last_info.si_pid, getpid());
}

static void kill_parent(void *argument)
{
    (void)argument;
    SUCCEED(kill(getppid(), SIGUSR1));
}

TEST(kill_from_other_process, "a signal from another process names that process")
{
    handle_with(SIGUSR1, record, 0);
    block(SIGUSR1);
    pid_t sender = child(kill_parent, NULL);
    EXITS(sender, 0);
    REQUIRE_EQUAL(handled, 0);
    unblock(SIGUSR1);
    REQUIRE_EQUAL(handled, 1);
    REQUIRE_EQUAL(last_info.si_pid, sender);
}

TEST(sigqueue_carries_value, "sigqueue carries its value")
{
    handle_with(SIGRTMIN, record, 0);
    union sigval value = {.sival_ptr = (void *)0x123456789abcdef0};
    SUCCEED(sigqueue(getpid(), SIGRTMIN, value));
    REQUIRE_EQUAL(last_info.si_code, SI_QUEUE);
    REQUIRE(last_info.si_value.sival_ptr == value.sival_ptr);
    REQUIRE_EQUAL(last_info.si_pid, getpid());
}

static void end_with_7(void *argument)
{
    (void)argument;
    _exit(7);
}

static void end_by_signal(void *argument)
{
    (void)argument;
    raise(SIGTERM);
}

TEST(sigchld_tells_end, "SIGCHLD tells process, status and how it ended")
{
    handle_with(SIGCHLD, record, 0);
    block(SIGCHLD);
    sigset_t none;
    sigemptyset(&none);
    pid_t process = child(end_with_7, NULL);
    FAIL_WITH(sigsuspend(&none), EINTR);
    REQUIRE_EQUAL(last_info.si_code, CLD_EXITED);
    REQUIRE_EQUAL(last_info.si_pid, process);
    REQUIRE_EQUAL(last_info.si_status, 7);
    EXITS(process, 7);

    process = child(end_by_signal, NULL);
    FAIL_WITH(sigsuspend(&none), EINTR);
    REQUIRE_EQUAL(last_info.si_code, CLD_KILLED);
    REQUIRE_EQUAL(last_info.si_status, SIGTERM);
    KILLED(process, SIGTERM);
}

static void wait_for_ever(void *argument)
{
    (void)argument;
    for (;;)
        pause();
}

TEST(sigchld_tells_stop, "SIGCHLD at stop and continue, unless SA_NOCLDSTOP")
{
    handle_with(SIGCHLD, record, 0);
    block(SIGCHLD);
    sigset_t none;
    sigemptyset(&none);
    pid_t process = child(wait_for_ever, NULL);
    SUCCEED(kill(process, SIGSTOP));
    FAIL_WITH(sigsuspend(&none), EINTR);
    REQUIRE_EQUAL(last_info.si_code, CLD_STOPPED);
    REQUIRE_EQUAL(last_info.si_status, SIGSTOP);
    SUCCEED(kill(process, SIGCONT));
    FAIL_WITH(sigsuspend(&none), EINTR);
    REQUIRE_EQUAL(last_info.si_code, CLD_CONTINUED);

    int before = handled, status;
    handle_with(SIGCHLD, record, SA_NOCLDSTOP);
    unblock(SIGCHLD);
    SUCCEED(kill(process, SIGSTOP));
    SUCCEED(waitpid(process, &status, WUNTRACED));
    REQUIRE(WIFSTOPPED(status));
    REQUIRE_EQUAL(handled, before);
    SUCCEED(kill(process, SIGKILL));
    KILLED(process, SIGKILL);
}

TEST(timer_signal,
     "an interval timer's SIGALRM comes from the kernel; timer_create's has its value")
{
    handle_with(SIGALRM, record, 0);
    block(SIGALRM);
    sigset_t none;
    sigemptyset(&none);
    struct itimerval soon = {.it_value = {0, 10000}};
    SUCCEED(setitimer(ITIMER_REAL, &soon, NULL));
    FAIL_WITH(sigsuspend(&none), EINTR);
    REQUIRE_EQUAL(last_info.si_code, SI_KERNEL);

    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    event.sigev_value.sival_int = 4711;
    SUCCEED(timer_create(CLOCK_MONOTONIC, &event, &timer));
    struct itimerspec once = {.it_value = {0, 10000000}};
    SUCCEED(timer_settime(timer, 0, &once, NULL));
    FAIL_WITH(sigsuspend(&none), EINTR);
    REQUIRE_EQUAL(last_info.si_code, SI_TIMER);
    REQUIRE_EQUAL(last_info.si_value.sival_int, 4711);
    REQUIRE_EQUAL(last_info.si_overrun, 0);
}

// --- Queues, masks, flags -----------------------------------------------------------------------

TEST(standard_signals_merge, "a blocked standard signal is pending once, a real-time one each time")
{
    handle_with(SIGUSR1, record, 0);
    handle_with(SIGRTMIN, record, 0);
    block(SIGUSR1);
    block(SIGRTMIN);
    for (int i = 0; i < 5; i++) {
        SUCCEED(kill(getpid(), SIGUSR1));
        SUCCEED(kill(getpid(), SIGRTMIN));
    }
    sigset_t pending;
    SUCCEED(sigpending(&pending));
    REQUIRE(sigismember(&pending, SIGUSR1) && sigismember(&pending, SIGRTMIN));
    REQUIRE(!sigismember(&pending, SIGUSR2));
    unblock(SIGUSR1);
    REQUIRE_EQUAL(handled, 1);
    unblock(SIGRTMIN);
    REQUIRE_EQUAL(handled, 6);
}

static volatile int order[64];

static void record_order(int number, siginfo_t *info, void *context)
{
    (void)context;
    order[handled++] = number * 100 + info->si_value.sival_int;
}

TEST(real_time_order, "real-time signals come lowest first, and first in first out")
{
    sigset_t set, old;
    sigemptyset(&set);
    for (int i = 0; i < 3; i++) {
        struct sigaction action = {.sa_sigaction = record_order, .sa_flags = SA_SIGINFO};
        sigfillset(&action.sa_mask);
        SUCCEED(sigaction(SIGRTMIN + i, &action, NULL));
        sigaddset(&set, SIGRTMIN + i);
    }
    SUCCEED(sigprocmask(SIG_BLOCK, &set, &old));
    for (int value = 0; value < 4; value++)
        for (int i = 2; i >= 0; i--)
            SUCCEED(sigqueue(getpid(), SIGRTMIN + i, (union sigval){.sival_int = value}));
    sigset_t none;
    sigemptyset(&none);
    // All are delivered at once, and each frame lies upon the one before: the last pushed runs
    // first, so with all signals masked in the handlers one delivery follows the other's return.
    SUCCEED(sigprocmask(SIG_SETMASK, &old, NULL));
    REQUIRE_EQUAL(handled, 12);
    for (int i = 0; i < 12; i++)
        REQUIRE_EQUAL(order[i], (SIGRTMIN + i / 4) * 100 + i % 4);
}

static void descend(int number, siginfo_t *info, void *context)
{
    (void)info;
    (void)context;
    depth++;
    if (depth > deepest)
        deepest = depth;
    if (handled++ < 20)
        raise(number);
    depth--;
}

TEST(own_signal_masked, "a handler's own signal waits until it returns, but with SA_NODEFER nests")
{
    handle_with(SIGUSR1, descend, 0);
    raise(SIGUSR1);
    REQUIRE_EQUAL(handled, 21);
    REQUIRE_EQUAL(deepest, 1);
    handled = 0;
    handle_with(SIGUSR1, descend, SA_NODEFER);
    raise(SIGUSR1);
    REQUIRE_EQUAL(handled, 21);
    REQUIRE_EQUAL(deepest, 21);
}

static void raise_other(int number, siginfo_t *info, void *context)
{
    (void)info;
    (void)context;
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    deepest = sigismember(&now, number) + 2 * sigismember(&now, SIGUSR2);
    raise(SIGUSR2);
    order[0] = handled;
}

TEST(action_mask, "sa_mask holds while the handler runs, and the old mask returns after it")
{
    handle_with(SIGUSR2, record, 0);
    struct sigaction action = {.sa_sigaction = raise_other, .sa_flags = SA_SIGINFO};
    sigaddset(&action.sa_mask, SIGUSR2);
    SUCCEED(sigaction(SIGUSR1, &action, NULL));
    raise(SIGUSR1);
    REQUIRE_EQUAL(deepest, 3);
    REQUIRE_EQUAL(order[0], 0);
    REQUIRE_EQUAL(handled, 1);
    sigset_t now;
    SUCCEED(sigprocmask(SIG_BLOCK, NULL, &now));
    REQUIRE(!sigismember(&now, SIGUSR1) && !sigismember(&now, SIGUSR2));
}

TEST(one_shot, "SA_RESETHAND: the default action after the first")
{
    handle_with(SIGUSR1, record, SA_RESETHAND);
    raise(SIGUSR1);
    REQUIRE_EQUAL(handled, 1);
    struct sigaction action;
    SUCCEED(sigaction(SIGUSR1, NULL, &action));
    REQUIRE(action.sa_handler == SIG_DFL);
}

static void die_by(void *argument)
{
    raise(*(int *)argument);
}

TEST(default_actions, "what the default action of each signal is")
{
    static const int kills[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGILL,  SIGTRAP, SIGABRT,   SIGBUS,
                                SIGFPE,  SIGKILL, SIGUSR1, SIGSEGV, SIGUSR2, SIGPIPE,   SIGALRM,
                                SIGTERM, SIGXCPU, SIGXFSZ, SIGPROF, SIGIO,   SIGVTALRM, SIGSYS};
    static const int nothing[] = {SIGCHLD, SIGURG, SIGWINCH, SIGCONT};
    for (size_t i = 0; i < sizeof kills / sizeof *kills; i++)
        KILLED(child(die_by, (void *)&kills[i]), kills[i]);
    for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++)
        EXITS(child(die_by, (void *)&nothing[i]), 0);
    FAIL_WITH(sigaction(SIGKILL, &(struct sigaction){.sa_handler = SIG_IGN}, NULL), EINVAL);
    FAIL_WITH(sigaction(SIGSTOP, &(struct sigaction){.sa_handler = SIG_IGN}, NULL), EINVAL);
    FAIL_WITH(kill(getpid(), 65), EINVAL);
    FAIL_WITH(kill(0x3ffffff, 0), ESRCH);
}

// --- System calls that a signal interrupts ------------------------------------------------------

static void signal_parent_then_write(void *argument)
{
    const int *file = argument;
    sleep_ms(50);
    SUCCEED(kill(getppid(), SIGUSR1));
    sleep_ms(50);
    write_all(*file, "x", 1);
}

TEST(restart, "a read goes on after a handler with SA_RESTART, and ends with EINTR without")
{
    int ends[2];
    char byte;
    SUCCEED(pipe(ends));
    handle_with(SIGUSR1, record, SA_RESTART);
    pid_t process = child(signal_parent_then_write, &ends[1]);
    REQUIRE_EQUAL(read(ends[0], &byte, 1), 1);
    REQUIRE_EQUAL(handled, 1);
    EXITS(process, 0);

    handle_with(SIGUSR1, record, 0);
    process = child(signal_parent_then_write, &ends[1]);
    FAIL_WITH(read(ends[0], &byte, 1), EINTR);
    REQUIRE_EQUAL(handled, 2);
    REQUIRE_EQUAL(read(ends[0], &byte, 1), 1);
    EXITS(process, 0);
}

TEST(restart_wait, "wait4 restarts; pause and sigsuspend never do")
{
    int ends[2];
    SUCCEED(pipe(ends));
    handle_with(SIGUSR1, record, SA_RESTART);
    pid_t process = child(signal_parent_then_write, &ends[1]);
    int status;
    REQUIRE_EQUAL(waitpid(process, &status, 0), process);
    REQUIRE_EQUAL(handled, 1);
    process = child(signal_parent_then_write, &ends[1]);
    FAIL_WITH(pause(), EINTR);
    REQUIRE_EQUAL(handled, 2);
    EXITS(process, 0);
}

TEST(sleep_interrupted, "nanosleep tells what is left; an ignored signal does not end it")
{
    int ends[2];
    SUCCEED(pipe(ends));
    handle_with(SIGUSR1, record, SA_RESTART);
    pid_t process = child(signal_parent_then_write, &ends[1]);
    struct timespec time = {100, 0}, left = {0, 0};
    FAIL_WITH(nanosleep(&time, &left), EINTR);
    REQUIRE(left.tv_sec >= 80 && left.tv_sec < 100);
    EXITS(process, 0);

    SUCCEED(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = SIG_IGN}, NULL));
    process = child(signal_parent_then_write, &ends[1]);
    uint64_t start = now_ns();
    SUCCEED(nanosleep(&(struct timespec){0, 300000000}, NULL));
    REQUIRE(now_ns() - start >= 300000000);
    EXITS(process, 0);
}

static void stop_and_continue_parent(void *argument)
{
    (void)argument;
    sleep_ms(50);
    SUCCEED(kill(getppid(), SIGSTOP));
    sleep_ms(50);
    SUCCEED(kill(getppid(), SIGCONT));
}

static void sleeping_while_stopped(void *argument)
{
    (void)argument;
    pid_t process = child(stop_and_continue_parent, NULL);
    uint64_t start = now_ns();
    // restart_syscall: with no handler at all the call goes on where it was.
    SUCCEED(nanosleep(&(struct timespec){0, 250000000}, NULL));
    REQUIRE(now_ns() - start >= 250000000);
    EXITS(process, 0);
}

TEST(sleep_stopped, "nanosleep goes on after stop and continue, for what was left")
{
    in_child(sleeping_while_stopped, NULL);
}

// --- Calls that take a signal -------------------------------------------------------------------

TEST(wait_for_signal, "sigwaitinfo takes a pending signal, sigtimedwait gives up in time")
{
    block(SIGRTMIN + 2);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 2);
    SUCCEED(sigqueue(getpid(), SIGRTMIN + 2, (union sigval){.sival_int = 5}));
    siginfo_t info;
    REQUIRE_EQUAL(sigwaitinfo(&set, &info), SIGRTMIN + 2);
    REQUIRE_EQUAL(info.si_value.sival_int, 5);
    uint64_t start = now_ns();
    FAIL_WITH(sigtimedwait(&set, &info, &(struct timespec){0, 50000000}), EAGAIN);
    REQUIRE(now_ns() - start >= 50000000);
    SUCCEED(sigqueue(getpid(), SIGRTMIN + 2, (union sigval){.sival_int = 6}));
    SUCCEED(sigtimedwait(&set, &info, &(struct timespec){0, 0}));
    REQUIRE_EQUAL(info.si_value.sival_int, 6);
}

TEST(queue_limit, "the queue is bounded by RLIMIT_SIGPENDING")
{
    block(SIGRTMIN);
    unsigned queued = 0;
    while (queued < 200000 && sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 1}) == 0)
        queued++;
    REQUIRE_EQUAL(errno, EAGAIN);
    REQUIRE(queued >= 100);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    siginfo_t info;
    unsigned taken = 0;
    while (sigtimedwait(&set, &info, &(struct timespec){0, 0}) == SIGRTMIN)
        taken++;
    REQUIRE_EQUAL(taken, queued);
}

static void storm(void *argument)
{
    (void)argument;
    for (;;) {
        SUCCEED(kill(getppid(), SIGUSR1));
        sched_yield();
    }
}

TEST_WITHIN(signal_storm, "a computation comes out right under thousands of signals", 60)
{
    handle_with(SIGUSR1, record, SA_RESTART);
    uint64_t expected = 0, sum = 0;
    for (uint64_t i = 0; i < 1000000; i++)
        expected = expected * 6364136223846793005ull + i;
    pid_t process = child(storm, NULL);
    for (int round = 0; round < 200 && handled < 2000; round++) {
        sum = 0;
        for (uint64_t i = 0; i < 1000000; i++)
            sum = sum * 6364136223846793005ull + i;
        REQUIRE_EQUAL(sum, expected);
    }
    SUCCEED(kill(process, SIGKILL));
    KILLED(process, SIGKILL);
    remark("%d signals", (int)handled);
    REQUIRE(handled >= 20);
}
