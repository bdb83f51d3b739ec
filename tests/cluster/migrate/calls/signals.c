// SPDX-License-Identifier: BSD-2-Clause
// Waiting for signals, and signals that come while a process moves: each once, with what it says.
#include "calls.h"

#include <sys/epoll.h>
#include <unistd.h>

#define MANY 150

static volatile sig_atomic_t seen, wrong;
static int mine, partners;

static void make_pipe(void)
{
    int ends[2];

    DO(pipe(ends));
    mine = ends[0];
    partners = ends[1];
}

static void sees(int number)
{
    seen = number;
}

static void handle(int number, void (*plain)(int), int flags)
{
    struct sigaction action = {.sa_handler = plain, .sa_flags = flags};

    DO(sigaction(number, &action, NULL));
    seen = 0;
}

static void block(int number)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, number);
    DO(sigprocmask(SIG_BLOCK, &set, NULL));
}

static void send_usr1(pid_t subject, int round)
{
    (void)round;
    DO(kill(subject, SIGUSR1));
}

// --- Waits -------------------------------------------------------------------------------

// The mask of before is back afterwards.
static void suspends(int round)
{
    sigset_t none, now;

    (void)round;
    handle(SIGUSR1, sees, 0);
    block(SIGUSR1);
    sigemptyset(&none);
    NEED(sigsuspend(&none) == -1 && errno == EINTR);
    NEED(seen == SIGUSR1);
    DO(sigprocmask(SIG_BLOCK, NULL, &now));
    NEED(sigismember(&now, SIGUSR1));
}

static void pauses(int round)
{
    (void)round;
    handle(SIGUSR1, sees, 0);
    NEED(pause() == -1 && errno == EINTR);
    NEED(seen == SIGUSR1);
}

static void waits_for_signal(int round)
{
    siginfo_t info = {};
    sigset_t set;

    block(SIGUSR2);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    NEED(sigwaitinfo(&set, &info) == SIGUSR2);
    NEED(info.si_code == SI_QUEUE && info.si_pid == getppid());
    NEED(info.si_value.sival_int == 99 + round);
}

static void queue_usr2(pid_t subject, int round)
{
    DO(sigqueue(subject, SIGUSR2, (union sigval){.sival_int = 99 + round}));
}

// Who has a handler is told, as always.
static void is_interrupted(int round)
{
    char byte;

    (void)round;
    handle(SIGUSR1, sees, 0);
    NEED(read(mine, &byte, 1) == -1 && errno == EINTR);
    NEED(seen == SIGUSR1);
}

static void epoll_is_interrupted(int round)
{
    struct epoll_event event = {.events = EPOLLIN};
    int set;

    (void)round;
    handle(SIGUSR1, sees, SA_RESTART);
    DO(set = epoll_create1(0));
    DO(epoll_ctl(set, EPOLL_CTL_ADD, mine, &event));
    NEED(epoll_wait(set, &event, 1, 600000) == -1 && errno == EINTR);
    NEED(seen == SIGUSR1);
    DO(close(set));
}

// A signal that nobody wants to hear of ends nothing.
static void epoll_ignores(int round)
{
    struct epoll_event event = {.events = EPOLLIN};
    char byte = 0;
    int set;

    (void)round;
    NEED(signal(SIGUSR1, SIG_IGN) != SIG_ERR);
    DO(set = epoll_create1(0));
    DO(epoll_ctl(set, EPOLL_CTL_ADD, mine, &event));
    NEED(epoll_wait(set, &event, 1, round == 0 ? 600000 : -1) == 1);
    NEED(read(mine, &byte, 1) == 1);
    DO(close(set));
}

static void signal_then_byte(pid_t subject, int round)
{
    (void)round;
    DO(kill(subject, SIGUSR1));
    DO(usleep(500000));
    NEED(write(partners, "x", 1) == 1);
}

// --- Many --------------------------------------------------------------------------------

static void counts(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    if (info->si_value.sival_int != seen || info->si_code != SI_QUEUE || info->si_uid != getuid())
        wrong = 1;
    seen++;
}

static void count_many(int round)
{
    struct sigaction action = {.sa_sigaction = counts, .sa_flags = SA_SIGINFO | SA_RESTART};

    (void)round;
    seen = wrong = 0;
    DO(sigaction(SIGRTMIN + 2, &action, NULL));
}

static void send_many(pid_t subject, int round)
{
    (void)round;
    for (int i = 0; i < MANY; i++) {
        DO(sigqueue(subject, SIGRTMIN + 2, (union sigval){.sival_int = i}));
        DO(usleep(10000));
    }
}

static void put_byte(pid_t subject, int round)
{
    (void)subject;
    (void)round;
    NEED(write(partners, "x", 1) == 1);
}

// All have come before the byte.
static void reads_under_fire(int round)
{
    char byte;

    (void)round;
    NEED(read(mine, &byte, 1) == 1);
    if (seen != MANY || wrong)
        fail("%d of %d signals, %s", (int)seen, MANY, wrong ? "of which some are wrong" : "right");
}

static void computes_under_fire(int round)
{
    (void)round;
    for (int64_t begin = now_ms(); seen < MANY && now_ms() < begin + 600000;)
        continue;
    if (seen != MANY || wrong)
        fail("%d of %d signals, %s", (int)seen, MANY, wrong ? "of which some are wrong" : "right");
}

const struct scene signal_scenes[] = {
    {"sigsuspend", "sigsuspend", NULL, NULL, suspends, send_usr1},
    {"pause", "pause", NULL, NULL, pauses, send_usr1},
    {"sigwaitinfo", "sigwaitinfo", NULL, NULL, waits_for_signal, queue_usr2},
    {"interrupted", "read that a handler ends", make_pipe, NULL, is_interrupted, send_usr1},
    {"epoll-signal", "epoll_wait that a handler ends", make_pipe, NULL, epoll_is_interrupted,
     send_usr1},
    {"epoll-ignored", "epoll_wait that an ignored signal does not end", make_pipe, NULL,
     epoll_ignores, signal_then_byte},
    {"signals-read", "signals during a read, each once", make_pipe, count_many, reads_under_fire,
     put_byte, send_many},
    {"signals-busy", "signals to one that computes, each once", NULL, count_many,
     computes_under_fire, NULL, send_many, .awake = true},
    {},
};
