// SPDX-License-Identifier: BSD-2-Clause
// wander MIB ROUNDS [SECONDS]: a process that is moved while it runs, and would notice. Each round
// it changes an eighth of its pages in a way that depends on all that was before, hands a sum to
// its other thread and gets it back by pipes, and has a signal that waits, blocked, while it
// sleeps; a timer ticks meanwhile. Its output depends on the number of rounds only: so that of a
// process that was moved is that of one that was not. ROUNDS 0: until SIGUSR1. SECONDS: so much may
// the clocks of the nodes on which it begins and ends differ.
//
// Exit status 0; 1: something was lost or happened twice, which standard error names.
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE      4096ul
#define WORDS     (PAGE / sizeof(uint64_t))
#define PARTS     8ul
#define PERIOD_NS 20000000ll

static volatile sig_atomic_t enough, signals_seen, signals_wrong;
static volatile long ticks;
static timer_t timer;
static int to_thread[2], from_thread[2];

static void fail(const char *what)
{
    (void)fprintf(stderr, "wander: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t mix(uint64_t value)
{
    value ^= value >> 33;
    value *= 0xff51afd7ed558ccdul;
    value ^= value >> 33;
    return value * 0xc4ceb9fe1a85ec53ul;
}

static long long now(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_REALTIME, &time);
    return time.tv_sec * 1000000000ll + time.tv_nsec;
}

// --- What else goes on -------------------------------------------------------------------

static void *answer(void *unused)
{
    uint64_t value;

    (void)unused;
    while (read(to_thread[0], &value, sizeof value) == sizeof value) {
        value = mix(value);
        if (write(from_thread[1], &value, sizeof value) != sizeof value)
            fail("the thread cannot answer");
    }
    return NULL;
}

static uint64_t ask(uint64_t value)
{
    ssize_t count;

    if (write(to_thread[1], &value, sizeof value) != sizeof value)
        fail("the thread cannot be asked");
    do
        count = read(from_thread[0], &value, sizeof value);
    while (count < 0 && errno == EINTR);
    if (count != sizeof value)
        fail("the thread does not answer");
    return value;
}

static void on_end(int number)
{
    (void)number;
    enough = 1;
}

static void on_tick(int number)
{
    (void)number;
    ticks += 1 + timer_getoverrun(timer);
}

static void on_signal(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    if (info->si_value.sival_int != signals_seen)
        signals_wrong = 1;
    signals_seen++;
}

static void handle(int number, void (*plain)(int), void (*with_info)(int, siginfo_t *, void *))
{
    struct sigaction action = {.sa_flags = SA_RESTART};

    if (plain != NULL)
        action.sa_handler = plain;
    else
        action.sa_sigaction = with_info;
    action.sa_flags |= plain == NULL ? SA_SIGINFO : 0;
    if (sigaction(number, &action, NULL) != 0)
        fail("sigaction");
}

static void begin(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1};
    struct itimerspec each = {{0, PERIOD_NS}, {0, PERIOD_NS}};
    pthread_t thread;
    sigset_t all;

    handle(SIGUSR1, on_end, NULL);
    handle(SIGRTMIN, NULL, on_signal);
    handle(SIGRTMIN + 1, on_tick, NULL);
    if (pipe(to_thread) != 0 || pipe(from_thread) != 0)
        fail("pipe");
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, NULL);
    if (pthread_create(&thread, NULL, answer, NULL) != 0)
        fail("pthread_create");
    (void)pthread_sigmask(SIG_UNBLOCK, &all, NULL);
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 ||
        timer_settime(timer, 0, &each, NULL) != 0)
        fail("timer_create");
}

// A signal comes, and waits while the process sleeps.
static void sleep_with_signal(int round)
{
    struct timespec time = {0, 10000000};
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGRTMIN);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    if (sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = round}) != 0)
        fail("sigqueue");
    while (nanosleep(&time, &time) != 0)
        ;
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
}

// --- Rounds ------------------------------------------------------------------------------

static uint64_t sum_of(const uint64_t *memory, size_t pages)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < pages * WORDS; i++)
        sum = mix(sum ^ memory[i]);
    return sum;
}

static uint64_t change(uint64_t *memory, size_t pages, uint64_t state, unsigned int part)
{
    for (size_t page = part; page < pages; page += PARTS) {
        uint64_t *word = memory + page * WORDS + state % WORDS;

        *word += state;
        state = mix(state ^ *word);
    }
    return state;
}

// What cannot be in the output, for it depends on time: a tick that is told twice makes too many.
static int judge(int rounds, long long elapsed, long long seconds)
{
    long most = (long)((elapsed + seconds * 1000000000ll) / PERIOD_NS) + 1;

    if (signals_wrong || signals_seen != rounds)
        (void)fprintf(stderr, "wander: %d signals of %d, %s\n", (int)signals_seen, rounds,
                      signals_wrong ? "out of order" : "in order");
    else if (ticks > most || ticks < most / 8)
        (void)fprintf(stderr, "wander: %ld ticks of %ld\n", ticks, most);
    else
        return 0;
    return 1;
}

int main(int argc, char **argv)
{
    size_t pages = (argc >= 3 ? strtoul(argv[1], NULL, 10) : 0) * (1ul << 20) / PAGE;
    int limit = argc == 3 ? atoi(argv[2]) : 0, round = 0;
    long long begun = now();
    uint64_t state = 1, *memory;

    if (pages == 0) {
        (void)fputs("usage: wander MIB ROUNDS [SECONDS]\n", stderr);
        return 2;
    }
    memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        fail("mmap");
    for (size_t i = 0; i < pages * WORDS; i++)
        memory[i] = mix(i);
    begin();
    do {
        state = ask(change(memory, pages, state, (unsigned int)round % PARTS));
        sleep_with_signal(round++);
        printf("%d %016llx\n", round, (unsigned long long)state);
        (void)fflush(stdout);
    } while (limit != 0 ? round < limit : !enough);
    printf("all %016llx\n", (unsigned long long)sum_of(memory, pages));
    return judge(round, now() - begun, argc > 3 ? strtol(argv[3], NULL, 10) : 0);
}
