// SPDX-License-Identifier: BSD-2-Clause
// A process that is written down within a system call and made anew (harness_reborn.h) is in that
// call again: what can be restarted is, with the time that is left of it.
#include "harness_reborn.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <time.h>

// The child calls; the parent has it written down while it sleeps, makes it anew, and does what
// ends the call. Both ends of the pipes are there before the child is.
static int pipes[2];
static struct turns turns;

struct scene {
    void (*run)(void *);
    void (*end_it)(pid_t pid); // NULL: it ends by itself
};

static void play(struct scene scene)
{
    skip_without_migration();
    SUCCEED(pipe(pipes));
    turns_open(&turns);
    pid_t pid = child(scene.run, NULL);
    wait_asleep(pid);
    reborn(pid);
    wait_asleep(pid);
    if (scene.end_it != NULL)
        scene.end_it(pid);
    EXITS(pid, 0);
}

static uint64_t milliseconds_since(uint64_t begin)
{
    return (now_ns() - begin) / 1000000;
}

// Long enough for the machine to make it anew meanwhile: then only, something is left to be slept.
static unsigned long_time(void)
{
    return 1500 * slowness();
}

#define REQUIRE_SLEPT(begin, time)                                                                 \
    do {                                                                                           \
        uint64_t slept_ = milliseconds_since(begin);                                               \
        if (slept_ < (time) || slept_ > (time) + 2000 * slowness())                                \
            FAIL("slept %lu ms, not %u", (unsigned long)slept_, (unsigned)(time));                 \
    } while (0)

static struct timespec span(unsigned milliseconds)
{
    return (struct timespec){milliseconds / 1000, milliseconds % 1000 * 1000000l};
}

// --- Sleeping ------------------------------------------------------------------------------------

static void sleeps(void *unused)
{
    (void)unused;
    struct timespec time = span(long_time());
    uint64_t begin = now_ns();
    SUCCEED(nanosleep(&time, NULL));
    REQUIRE_SLEPT(begin, long_time());
}

TEST_WITHIN(nanosleep, "nanosleep sleeps for what is left", 40)
{
    play((struct scene){sleeps});
}

static void sleeps_until(void *unused)
{
    (void)unused;
    struct timespec time;
    uint64_t begin = now_ns();
    SUCCEED(clock_gettime(CLOCK_BOOTTIME, &time));
    time.tv_sec += long_time() / 1000;
    ZERO(clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &time, NULL));
    REQUIRE_SLEPT(begin, long_time() / 1000 * 1000);
}

TEST_WITHIN(clock_nanosleep, "clock_nanosleep sleeps until a time", 40)
{
    play((struct scene){sleeps_until});
}

static void waits_at_futex(void *unused)
{
    (void)unused;
    static uint32_t word = 3;
    struct timespec time = span(long_time());
    uint64_t begin = now_ns();
    FAIL_WITH(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 3, &time, NULL, 0), ETIMEDOUT);
    REQUIRE_SLEPT(begin, long_time());
}

TEST_WITHIN(futex_time, "a wait for a futex ends at its time", 40)
{
    play((struct scene){waits_at_futex});
}

static void polls(void *unused)
{
    (void)unused;
    struct pollfd file = {.fd = pipes[0], .events = POLLIN};
    uint64_t begin = now_ns();
    REQUIRE_EQUAL(poll(&file, 1, (int)long_time()), 0);
    REQUIRE_SLEPT(begin, long_time());
}

TEST_WITHIN(poll_time, "poll ends at its time", 40)
{
    play((struct scene){polls});
}

// --- What another one ends -----------------------------------------------------------------------

static void writes_byte(pid_t pid)
{
    (void)pid;
    write_all(pipes[1], "x", 1);
}

static void reads(void *unused)
{
    (void)unused;
    char byte;
    REQUIRE_EQUAL(read(pipes[0], &byte, 1), 1);
    REQUIRE(byte == 'x');
}

TEST(read, "read of an empty pipe")
{
    play((struct scene){reads, writes_byte});
}

static void fills(void *unused)
{
    (void)unused;
    static char block[200000];
    fill_pattern(block, sizeof block, 8);
    write_all(pipes[1], block, sizeof block);
}

static void drains(pid_t pid)
{
    (void)pid;
    static char block[200000];
    read_all(pipes[0], block, sizeof block);
    REQUIRE(has_pattern(block, sizeof block, 8));
}

TEST(write, "write to a full pipe")
{
    play((struct scene){fills, drains});
}

static void polls_for_ever(void *unused)
{
    (void)unused;
    struct pollfd file = {.fd = pipes[0], .events = POLLIN};
    REQUIRE_EQUAL(poll(&file, 1, -1), 1);
    REQUIRE(file.revents == POLLIN);
}

TEST(poll, "poll without a time")
{
    play((struct scene){polls_for_ever, writes_byte});
}

static void selects(void *unused)
{
    (void)unused;
    fd_set files;
    struct timeval time = {100, 0};
    FD_ZERO(&files);
    FD_SET(pipes[0], &files);
    REQUIRE_EQUAL(select(pipes[0] + 1, &files, NULL, NULL, &time), 1);
    REQUIRE(FD_ISSET(pipes[0], &files));
}

TEST(select, "select")
{
    play((struct scene){selects, writes_byte});
}

static int lock_file;

static void locks(void *unused)
{
    (void)unused;
    SUCCEED(flock(lock_file, LOCK_EX));
}

// The child's file is another opening than the one that holds the lock.
TEST(flock, "flock")
{
    skip_without_migration();
    turns_open(&turns);
    pipes[0] = SUCCEED(open("lock", O_RDWR | O_CREAT, 0600));
    lock_file = SUCCEED(open("lock", O_RDWR));
    SUCCEED(flock(pipes[0], LOCK_EX));
    pid_t pid = child(locks, NULL);
    wait_asleep(pid);
    reborn(pid);
    wait_asleep(pid);
    SUCCEED(flock(pipes[0], LOCK_UN));
    EXITS(pid, 0);
}

static int sockets[2];

static void receives(void *unused)
{
    (void)unused;
    char text[6] = "";
    struct iovec part = {.iov_base = text, .iov_len = 5};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    REQUIRE_EQUAL(recvmsg(sockets[0], &message, MSG_WAITALL), 5);
    REQUIRE(strcmp(text, "hello") == 0);
}

TEST(recvmsg, "recvmsg at a socket")
{
    skip_without_migration();
    SUCCEED(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
    pid_t pid = child(receives, NULL);
    wait_asleep(pid);
    reborn(pid);
    wait_asleep(pid);
    write_all(sockets[1], "hello", 5);
    EXITS(pid, 0);
}

// --- Signals -------------------------------------------------------------------------------------

static volatile sig_atomic_t got;

static void takes(int number)
{
    got = number;
}

static void sends_usr1(pid_t pid)
{
    SUCCEED(kill(pid, SIGUSR1));
}

// The mask that is to come back afterwards goes along.
static void suspends(void *unused)
{
    (void)unused;
    sigset_t blocked, none;
    sigemptyset(&none);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    SUCCEED(sigprocmask(SIG_BLOCK, &blocked, NULL));
    REQUIRE(signal(SIGUSR1, takes) != SIG_ERR);
    FAIL_WITH(sigsuspend(&none), EINTR);
    REQUIRE_EQUAL(got, SIGUSR1);
    SUCCEED(sigprocmask(SIG_BLOCK, NULL, &blocked));
    REQUIRE(sigismember(&blocked, SIGUSR1));
}

TEST(sigsuspend, "sigsuspend")
{
    play((struct scene){suspends, sends_usr1});
}

static void pauses(void *unused)
{
    (void)unused;
    REQUIRE(signal(SIGUSR1, takes) != SIG_ERR);
    FAIL_WITH(pause(), EINTR);
    REQUIRE_EQUAL(got, SIGUSR1);
}

TEST(pause, "pause, ended by a handler")
{
    play((struct scene){pauses, sends_usr1});
}

static void is_interrupted(void *unused)
{
    (void)unused;
    struct sigaction action = {.sa_handler = takes};
    char byte;
    SUCCEED(sigaction(SIGUSR1, &action, NULL));
    FAIL_WITH(read(pipes[0], &byte, 1), EINTR);
    REQUIRE_EQUAL(got, SIGUSR1);
}

TEST(interrupted, "read that a handler without SA_RESTART ends")
{
    play((struct scene){is_interrupted, sends_usr1});
}

// While it is written down: the call is over then, by the handler that runs first.
static void interrupted_meanwhile(bool restart)
{
    skip_without_migration();
    SUCCEED(pipe(pipes));
    struct sigaction action = {.sa_handler = takes, .sa_flags = restart ? SA_RESTART : 0};
    SUCCEED(sigaction(SIGUSR1, &action, NULL));
    pid_t pid = child(restart ? reads : is_interrupted, NULL);
    int status;
    wait_asleep(pid);
    SUCCEED(kill(pid, SIGSTOP));
    SUCCEED(waitpid(pid, &status, WUNTRACED));
    SUCCEED(kill(pid, SIGUSR1));
    struct package_file package = dumped(pid);
    SUCCEED(kill(pid, SIGKILL));
    KILLED(pid, SIGKILL);
    (void)built(pid, package);
    if (restart) {
        wait_asleep(pid);
        writes_byte(pid);
    }
    EXITS(pid, 0);
}

TEST(signal_meanwhile, "read, and a signal that came with it ends it")
{
    interrupted_meanwhile(false);
}

TEST(signal_restarts, "read, and a signal that came with it, after whose handler it is restarted")
{
    interrupted_meanwhile(true);
}

// --- Threads -------------------------------------------------------------------------------------

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool ready;

static void *waits_for_condition(void *unused)
{
    ZERO(pthread_mutex_lock(&mutex));
    while (!ready)
        ZERO(pthread_cond_wait(&changed, &mutex));
    ZERO(pthread_mutex_unlock(&mutex));
    return unused;
}

static void *sleeps_too(void *unused)
{
    sleeps(NULL);
    return unused;
}

static void has_sleepers(void *unused)
{
    pthread_t threads[4];
    char byte;
    for (int i = 0; i < 4; i++)
        ZERO(pthread_create(&threads[i], NULL, i < 3 ? waits_for_condition : sleeps_too, unused));
    REQUIRE_EQUAL(read(pipes[0], &byte, 1), 1);
    ZERO(pthread_mutex_lock(&mutex));
    ready = true;
    ZERO(pthread_cond_broadcast(&changed));
    ZERO(pthread_mutex_unlock(&mutex));
    for (int i = 0; i < 4; i++)
        ZERO(pthread_join(threads[i], NULL));
}

TEST_WITHIN(threads, "threads each in a call of its own", 40)
{
    play((struct scene){has_sleepers, writes_byte});
}
