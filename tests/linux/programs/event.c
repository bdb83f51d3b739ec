// SPDX-License-Identifier: BSD-2-Clause
// Waiting for files: poll, select, epoll in its modes, eventfd, signalfd, timerfd, inotify,
// fanotify's simpler sister, and all of them together.
#include "harness.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>

static void add(int set, int file, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = file};
    SUCCEED(epoll_ctl(set, EPOLL_CTL_ADD, file, &event));
}

// Waits for exactly one event, of this file.
static uint32_t one_event(int set, int file)
{
    struct epoll_event events[8];
    REQUIRE_EQUAL(epoll_wait(set, events, 8, 10000), 1);
    REQUIRE_EQUAL(events[0].data.fd, file);
    return events[0].events;
}

static void no_event(int set)
{
    struct epoll_event event;
    REQUIRE_EQUAL(epoll_wait(set, &event, 1, 0), 0);
}

// --- poll and select ----------------------------------------------------------------------------

static void *write_later(void *argument)
{
    sleep_ms(50);
    write_all(*(int *)argument, "x", 1);
    return argument;
}

TEST(poll_and_select, "poll, ppoll, select and pselect: readable, writable, hung up, time-out")
{
    int ends[2];
    SUCCEED(pipe(ends));
    struct pollfd files[3] = {{ends[0], POLLIN, 0}, {ends[1], POLLOUT, 0}, {-1, POLLIN, 0}};
    REQUIRE_EQUAL(poll(files, 3, 0), 1);
    REQUIRE_EQUAL(files[0].revents, 0);
    REQUIRE_EQUAL(files[1].revents, POLLOUT);
    uint64_t start = now_ns();
    REQUIRE_EQUAL(poll(files, 1, 30), 0);
    REQUIRE(now_ns() - start >= 30000000);
    pthread_t thread;
    ZERO(pthread_create(&thread, NULL, write_later, &ends[1]));
    REQUIRE_EQUAL(poll(files, 1, 10000), 1);
    REQUIRE_EQUAL(files[0].revents, POLLIN);
    ZERO(pthread_join(thread, NULL));

    fd_set readable;
    FD_ZERO(&readable);
    FD_SET(ends[0], &readable);
    REQUIRE_EQUAL(select(ends[0] + 1, &readable, NULL, NULL, NULL), 1);
    REQUIRE(FD_ISSET(ends[0], &readable));
    char byte;
    read_all(ends[0], &byte, 1);
    struct timespec time = {0, 10000000};
    REQUIRE_EQUAL(pselect(ends[0] + 1, &readable, NULL, NULL, &time, NULL), 0);
    close(ends[1]);
    REQUIRE_EQUAL(ppoll(files, 1, NULL, NULL), 1);
    REQUIRE_EQUAL(files[0].revents, POLLHUP);
    files[0].fd = ends[1];
    REQUIRE_EQUAL(poll(files, 1, 0), 1);
    REQUIRE_EQUAL(files[0].revents, POLLNVAL);
}

// --- epoll --------------------------------------------------------------------------------------

TEST(level_and_edge, "level: as long as there is something; edge: once for each arrival; one-shot")
{
    int ends[2], set = SUCCEED(epoll_create1(EPOLL_CLOEXEC));
    char bytes[4];
    SUCCEED(pipe(ends));
    add(set, ends[0], EPOLLIN);
    no_event(set);
    write_all(ends[1], "ab", 2);
    REQUIRE_EQUAL(one_event(set, ends[0]), EPOLLIN);
    REQUIRE_EQUAL(one_event(set, ends[0]), EPOLLIN);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = ends[0]};
    SUCCEED(epoll_ctl(set, EPOLL_CTL_MOD, ends[0], &event));
    REQUIRE_EQUAL(one_event(set, ends[0]), EPOLLIN);
    no_event(set);
    write_all(ends[1], "c", 1);
    REQUIRE_EQUAL(one_event(set, ends[0]), EPOLLIN);
    no_event(set);
    event.events = EPOLLIN | EPOLLONESHOT;
    SUCCEED(epoll_ctl(set, EPOLL_CTL_MOD, ends[0], &event));
    REQUIRE_EQUAL(one_event(set, ends[0]), EPOLLIN);
    no_event(set);
    SUCCEED(epoll_ctl(set, EPOLL_CTL_MOD, ends[0], &event));
    REQUIRE_EQUAL(one_event(set, ends[0]), EPOLLIN);
    read_all(ends[0], bytes, 3);
    FAIL_WITH(epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &event), EEXIST);
    SUCCEED(epoll_ctl(set, EPOLL_CTL_DEL, ends[0], NULL));
    FAIL_WITH(epoll_ctl(set, EPOLL_CTL_MOD, ends[0], &event), ENOENT);
    FAIL_WITH(epoll_ctl(set, EPOLL_CTL_ADD, set, &event), EINVAL);
    int file = SUCCEED(open("file", O_RDWR | O_CREAT, 0600));
    FAIL_WITH(epoll_ctl(set, EPOLL_CTL_ADD, file, &event), EPERM);
}

TEST(nested_sets, "a set in a set; closing a file takes it out")
{
    int outer = SUCCEED(epoll_create1(0)), inner = SUCCEED(epoll_create1(0)), ends[2];
    SUCCEED(pipe(ends));
    add(inner, ends[0], EPOLLIN);
    add(outer, inner, EPOLLIN);
    no_event(outer);
    write_all(ends[1], "x", 1);
    REQUIRE_EQUAL(one_event(outer, inner), EPOLLIN);
    REQUIRE_EQUAL(one_event(inner, ends[0]), EPOLLIN);
    FAIL_WITH(epoll_ctl(inner, EPOLL_CTL_ADD, outer, &(struct epoll_event){0}), ELOOP);
    close(ends[0]);
    no_event(inner);
    no_event(outer);
}

static int counted_events;
static int common_set;

static void *take_events(void *argument)
{
    struct epoll_event event;
    while (epoll_wait(common_set, &event, 1, 200) == 1) {
        uint64_t value;
        if (read(event.data.fd, &value, sizeof value) == sizeof value)
            __atomic_fetch_add(&counted_events, 1, __ATOMIC_SEQ_CST);
    }
    return argument;
}

TEST(many_files, "500 files in a set, four threads that take their events: none lost, none doubled")
{
    pthread_t threads[4];
    int files[500];
    common_set = SUCCEED(epoll_create1(0));
    for (int i = 0; i < 500; i++) {
        files[i] = SUCCEED(eventfd(0, EFD_NONBLOCK));
        add(common_set, files[i], EPOLLIN | EPOLLET);
    }
    for (int i = 0; i < 4; i++)
        ZERO(pthread_create(&threads[i], NULL, take_events, NULL));
    uint64_t one = 1;
    for (int i = 0; i < 500; i++)
        write_all(files[i], &one, sizeof one);
    for (int i = 0; i < 4; i++)
        ZERO(pthread_join(threads[i], NULL));
    REQUIRE_EQUAL(counted_events, 500);
}

// --- eventfd, signalfd, timerfd -----------------------------------------------------------------

TEST(event_counter, "eventfd: adds up, is read at once or by ones, is full at its maximum")
{
    uint64_t value = 3;
    int file = SUCCEED(eventfd(2, EFD_NONBLOCK));
    write_all(file, &value, 8);
    REQUIRE_EQUAL(read(file, &value, 8), 8);
    REQUIRE_EQUAL(value, 5);
    FAIL_WITH(read(file, &value, 8), EAGAIN);
    value = ~0ull - 1;
    write_all(file, &value, 8);
    value = 1;
    FAIL_WITH(write(file, &value, 8), EAGAIN);
    value = ~0ull;
    FAIL_WITH(write(file, &value, 8), EINVAL);
    FAIL_WITH(read(file, &value, 4), EINVAL);
    int counter = SUCCEED(eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK));
    for (int i = 0; i < 2; i++) {
        REQUIRE_EQUAL(read(counter, &value, 8), 8);
        REQUIRE_EQUAL(value, 1);
    }
    FAIL_WITH(read(counter, &value, 8), EAGAIN);
}

TEST(signal_file, "signalfd: blocked signals are read with their details")
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGRTMIN);
    SUCCEED(sigprocmask(SIG_BLOCK, &set, NULL));
    int file = SUCCEED(signalfd(-1, &set, SFD_NONBLOCK)), events = SUCCEED(epoll_create1(0));
    add(events, file, EPOLLIN);
    struct signalfd_siginfo info[3];
    FAIL_WITH(read(file, info, sizeof info), EAGAIN);
    SUCCEED(kill(getpid(), SIGUSR1));
    SUCCEED(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 42}));
    REQUIRE_EQUAL(one_event(events, file), EPOLLIN);
    REQUIRE_EQUAL(read(file, info, sizeof info), 2 * sizeof *info);
    REQUIRE_EQUAL(info[0].ssi_signo, SIGUSR1);
    REQUIRE_EQUAL(info[0].ssi_pid, getpid());
    REQUIRE_EQUAL(info[1].ssi_signo, SIGRTMIN);
    REQUIRE_EQUAL(info[1].ssi_int, 42);
    no_event(events);
}

TEST(timer_file, "timerfd: once, periodically, absolute, disarmed; it counts what was missed")
{
    int file = SUCCEED(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    int set = SUCCEED(epoll_create1(0));
    add(set, file, EPOLLIN);
    uint64_t count, start = now_ns();
    struct itimerspec time = {.it_value = {0, 30000000}}, left;
    SUCCEED(timerfd_settime(file, 0, &time, NULL));
    FAIL_WITH(read(file, &count, 8), EAGAIN);
    REQUIRE_EQUAL(one_event(set, file), EPOLLIN);
    REQUIRE(now_ns() - start >= 30000000);
    REQUIRE_EQUAL(read(file, &count, 8), 8);
    REQUIRE_EQUAL(count, 1);

    time.it_interval.tv_nsec = 5000000;
    SUCCEED(timerfd_settime(file, 0, &time, NULL));
    sleep_ms(200);
    REQUIRE_EQUAL(read(file, &count, 8), 8);
    REQUIRE(count >= 30);
    SUCCEED(timerfd_gettime(file, &left));
    REQUIRE_EQUAL(left.it_interval.tv_nsec, 5000000);
    REQUIRE(left.it_value.tv_nsec <= 5000000);

    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    time = (struct itimerspec){.it_value = now}; // already there
    SUCCEED(timerfd_settime(file, TFD_TIMER_ABSTIME, &time, NULL));
    REQUIRE_EQUAL(one_event(set, file), EPOLLIN);
    SUCCEED(timerfd_settime(file, 0, &(struct itimerspec){0}, NULL));
    no_event(set);
    FAIL_WITH(timerfd_create(99, 0), EINVAL);
}

// --- inotify ------------------------------------------------------------------------------------

struct expectation {
    uint32_t mask;
    const char *name;
};

static void require_events(int file, const struct expectation *expected, size_t count)
{
    char buffer[8192] __attribute__((aligned(8)));
    ssize_t length = SUCCEED(read(file, buffer, sizeof buffer));
    ssize_t at = 0;
    for (size_t i = 0; i < count; i++) {
        REQUIRE(at < length);
        const struct inotify_event *event = (const void *)(buffer + at);
        if (event->mask != expected[i].mask ||
            strcmp(event->len == 0 ? "" : event->name, expected[i].name) != 0)
            FAIL("event %zu is %#x '%s', should be %#x '%s'", i, event->mask,
                 event->len == 0 ? "" : event->name, expected[i].mask, expected[i].name);
        at += (ssize_t)(sizeof *event + event->len);
    }
    REQUIRE_EQUAL(at, length);
}

TEST(watched_folder, "inotify: create, write, close, rename, remove in a folder, in order")
{
    int file = SUCCEED(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    SUCCEED(mkdir("watched", 0700));
    SUCCEED(inotify_add_watch(file, "watched",
                              IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_MOVE | IN_DELETE |
                                  IN_ATTRIB | IN_DELETE_SELF));
    write_file("watched/one", "text");
    SUCCEED(chmod("watched/one", 0400));
    SUCCEED(rename("watched/one", "watched/two"));
    SUCCEED(mkdir("watched/sub", 0700));
    SUCCEED(unlink("watched/two"));
    SUCCEED(rmdir("watched/sub"));
    SUCCEED(rmdir("watched"));
    static const struct expectation expected[] = {{IN_CREATE, "one"},
                                                  {IN_MODIFY, "one"},
                                                  {IN_CLOSE_WRITE, "one"},
                                                  {IN_ATTRIB, "one"},
                                                  {IN_MOVED_FROM, "one"},
                                                  {IN_MOVED_TO, "two"},
                                                  {IN_CREATE | IN_ISDIR, "sub"},
                                                  {IN_DELETE, "two"},
                                                  {IN_DELETE | IN_ISDIR, "sub"},
                                                  {IN_DELETE_SELF, ""},
                                                  {IN_IGNORED, ""}};
    require_events(file, expected, sizeof expected / sizeof *expected);
    FAIL_WITH(inotify_add_watch(file, "nothing", IN_CREATE), ENOENT);
}

TEST(watch_wakes, "a reader that sleeps in inotify is woken by another process")
{
    int file = SUCCEED(inotify_init1(0));
    int watch = SUCCEED(inotify_add_watch(file, ".", IN_CREATE));
    pid_t process = fork();
    if (process == 0) {
        sleep_ms(50);
        write_file("new", "");
        _exit(0);
    }
    static const struct expectation expected[] = {{IN_CREATE, "new"}};
    require_events(file, expected, 1);
    EXITS(process, 0);
    SUCCEED(inotify_rm_watch(file, watch));
    FAIL_WITH(inotify_rm_watch(file, watch), EINVAL);
}
