// SPDX-License-Identifier: BSD-2-Clause
// Memory that is touched while it follows, memory of all nodes, and clocks.
#include "calls.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

static int mine, partners;

static void make_pair(void)
{
    int ends[2];

    DO(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    mine = ends[0];
    partners = ends[1];
}

static void put_byte(pid_t subject, int round)
{
    (void)subject;
    (void)round;
    NEED(write(partners, "x", 1) == 1);
}

static bool is_readable(void)
{
    struct pollfd file = {.fd = mine, .events = POLLIN};
    int count;

    DO(count = poll(&file, 1, 0));
    return count == 1;
}

// --- Page faults -------------------------------------------------------------------------

#define PAGE  4096ul
#define PAGES 1024ul

// What is in a page follows from how often it was written to.
static void touch_pages(int round)
{
    static unsigned int times[PAGES];
    static unsigned char *memory;
    uint64_t random = 88172645463325252ull + (uint64_t)round;
    char byte;

    if (memory == NULL) {
        memory =
            mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        NEED(memory != MAP_FAILED);
        for (size_t i = 0; i < PAGES; i++)
            *(uint64_t *)(memory + i * PAGE + 8 * (i % 500)) = i;
    }
    while (!is_readable()) {
        for (int n = 0; n < 500; n++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            size_t i = random % PAGES;
            uint64_t *word = (uint64_t *)(memory + i * PAGE + 8 * (i % 500));
            NEED(*word == i + times[i]);
            ++*word;
            times[i]++;
        }
    }
    NEED(read(mine, &byte, 1) == 1);
    for (size_t i = 0; i < PAGES; i++)
        NEED(*(uint64_t *)(memory + i * PAGE + 8 * (i % 500)) == i + times[i]);
}

// --- Shared by all nodes -----------------------------------------------------------------

struct shared {
    _Atomic uint64_t counts[2]; // the subject's, its partner's
};

static char segment[64];

static struct shared *map_segment(void)
{
    struct shared *shared;
    int file;

    DO(file = open(segment, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    DO(ftruncate(file, (off_t)PAGE));
    shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    NEED(shared != MAP_FAILED);
    DO(close(file));
    return shared;
}

static void name_segment(void)
{
    make_pair();
    (void)snprintf(segment, sizeof segment, "/dsm/calls-%d", getpid());
}

// It counts, and its partner counts after it: each sees what the other has written.
static void count_with_partner(int round)
{
    static struct shared *shared;
    char byte;

    (void)round;
    if (shared == NULL)
        shared = map_segment();
    while (!is_readable()) {
        shared->counts[0]++;
        DO(usleep(20000));
    }
    NEED(read(mine, &byte, 1) == 1);
    uint64_t partners_count = shared->counts[1];
    shared->counts[0] = 1000000 + partners_count;
    NEED(write(mine, &partners_count, sizeof partners_count) == sizeof partners_count);
    NEED(read(mine, &byte, 1) == 1);
}

static void count_after_subject(pid_t subject, int round)
{
    struct shared *shared = map_segment();
    uint64_t before = shared->counts[0], told;
    int64_t begin = now_ms();

    (void)subject;
    while (shared->counts[0] < before + 3)
        NEED(now_ms() < begin + 60000 && usleep(50000) == 0);
    shared->counts[1] = 4711 + (uint64_t)round;
    NEED(write(partners, "x", 1) == 1);
    NEED(read(partners, &told, sizeof told) == sizeof told && told == 4711 + (uint64_t)round);
    NEED(shared->counts[0] == 1004711 + (uint64_t)round);
    NEED(write(partners, "x", 1) == 1);
    DO(munmap(shared, PAGE));
    if (round == 1)
        DO(unlink(segment));
}

// --- Clocks ------------------------------------------------------------------------------

static const clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME};

#define CLOCKS (sizeof clocks / sizeof *clocks)

struct reading {
    int64_t times[CLOCKS]; // nanoseconds
};

struct report {
    struct reading reading, longest; // the longest time between two readings
};

static int64_t nanoseconds(const struct timespec *time)
{
    return time->tv_sec * 1000000000ll + time->tv_nsec;
}

// By the vDSO, or by Linux itself: the same clock.
static int64_t read_clock(clockid_t clock, int n)
{
    struct timespec time;
    struct timeval day;

    if (n % 3 == 2 && clock == CLOCK_REALTIME) {
        DO(gettimeofday(&day, NULL));
        return day.tv_sec * 1000000000ll + day.tv_usec * 1000ll + 999;
    }
    if (n % 3 == 1)
        DO(syscall(SYS_clock_gettime, clock, &time));
    else
        DO(clock_gettime(clock, &time));
    return nanoseconds(&time);
}

static void read_clocks(int round)
{
    struct report report = {};
    char byte;

    (void)round;
    for (unsigned int i = 0; i < CLOCKS; i++)
        report.reading.times[i] = read_clock(clocks[i], 0);
    while (!is_readable()) {
        for (int n = 0; n < 300; n++) {
            for (unsigned int i = 0; i < CLOCKS; i++) {
                int64_t before = report.reading.times[i], now = read_clock(clocks[i], n);

                // Of a time of day in microseconds the rest is not known.
                if (now < before - 1000)
                    fail("clock %d went back by %lld ns", clocks[i], (long long)(before - now));
                if (now - before > report.longest.times[i])
                    report.longest.times[i] = now - before;
                report.reading.times[i] = now;
            }
        }
    }
    NEED(read(mine, &byte, 1) == 1);
    for (unsigned int i = 0; i < CLOCKS; i++)
        report.reading.times[i] = read_clock(clocks[i], 0);
    NEED(write(mine, &report, sizeof report) == sizeof report);
}

// What it reads lies between two readings of its partner's, but for what it knows of home late.
static void compare_clocks(pid_t subject, int round)
{
    struct reading begin, end;
    struct report report;

    for (unsigned int i = 0; i < CLOCKS; i++)
        begin.times[i] = read_clock(clocks[i], 0);
    put_byte(subject, round);
    NEED(read(partners, &report, sizeof report) == sizeof report);
    for (unsigned int i = 0; i < CLOCKS; i++) {
        end.times[i] = read_clock(clocks[i], 0);
        if (report.reading.times[i] > end.times[i])
            fail("clock %d is ahead of home's by %lld ns", clocks[i],
                 (long long)(report.reading.times[i] - end.times[i]));
        if (report.reading.times[i] < begin.times[i] - 1000000ll * late_ms)
            fail("clock %d is behind home's by %lld ns", clocks[i],
                 (long long)(begin.times[i] - report.reading.times[i]));
        if (report.longest.times[i] > 1000000ll * (late_ms + 1000))
            fail("clock %d leapt by %lld ms", clocks[i],
                 (long long)report.longest.times[i] / 1000000);
    }
}

const struct scene memory_scenes[] = {
    {"faults", "page faults while it moves", make_pair, NULL, touch_pages, put_byte, .awake = true},
    {"segment", "memory of all nodes", name_segment, NULL, count_with_partner, count_after_subject,
     .awake = true},
    {"clocks", "clocks", make_pair, NULL, read_clocks, compare_clocks, .awake = true},
    {},
};
