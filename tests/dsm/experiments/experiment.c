// SPDX-License-Identifier: BSD-2-Clause
// Arguments, processes, the memory between them, and the line at the end. Locks and barriers are in
// sync.c.
#include "experiment.h"
#include "sync.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct experiment own;
static const struct experiment_limits *limits;
static pid_t children[EXPERIMENT_RANKS_MAX];
static unsigned child_count;
static char segment[128];    // its name
static bool segment_is_ours; // and its name is still there
static char *data;           // behind what sync.c has
static size_t data_bytes;
static uint64_t started;

_Noreturn void experiment_fail(const char *what)
{
    fprintf(stderr, "%s: rank %u: %s\n", own.name, own.rank, what);
    if (segment_is_ours)
        (void)shm_unlink(segment);
    exit(3);
}

static _Noreturn void fail_errno(const char *what)
{
    fprintf(stderr, "%s: rank %u: %s: %s\n", own.name, own.rank, what, strerror(errno));
    if (segment_is_ours)
        (void)shm_unlink(segment);
    exit(3);
}

// --- Arguments -----------------------------------------------------------------------------------

static _Noreturn void wrong(const char *what)
{
    fprintf(
        stderr,
        "%s: %s\nusage: %s [-n SIZE] [-r ROUNDS] [-v VARIANT] [-s SEED] [-t SECONDS] [-p "
        "PROCESSES]\n  SIZE: %s, %ld..%ld (%ld); VARIANT: 0..%ld; SECONDS: how long to wait at a "
        "barrier\n",
        own.name, what, own.name, limits->size_text, limits->size_min, limits->size_max,
        limits->size, limits->variant_max);
    exit(2);
}

static long number(const char *text, long least, long most, const char *what)
{
    char *end;
    long value;

    errno = 0;
    value = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != 0 || value < least || value > most)
        wrong(what);
    return value;
}

// A rank's part of the environment that `corvus run` makes; false: there is none.
static bool from_environment(void)
{
    const char *rank = getenv("CORVUS_RANK"), *count = getenv("CORVUS_NODES");

    if (rank == NULL || count == NULL)
        return false;
    own.count = (unsigned)number(count, 1, EXPERIMENT_RANKS_MAX, "CORVUS_NODES is wrong");
    own.rank = (unsigned)number(rank, 0, own.count - 1, "CORVUS_RANK is wrong");
    return true;
}

static void start_processes(unsigned count)
{
    own.count = count;
    for (unsigned rank = 1; rank < count; rank++) {
        pid_t child = fork();
        if (child < 0)
            fail_errno("fork");
        if (child == 0) {
            own.rank = rank;
            child_count = 0;
            return;
        }
        children[child_count++] = child;
    }
}

// Memory that is no more there: one line in place of a core. Only what a handler may call.
static void memory_lost(int signal)
{
    static const char text[] = ": shared memory is lost (SIGBUS)\n";

    (void)signal;
    if (write(2, own.name, strlen(own.name)) < 0 || write(2, text, sizeof text - 1) < 0)
        _exit(5);
    _exit(4);
}

struct experiment *experiment_begin(int argc, char **argv, const struct experiment_limits *wanted)
{
    const char *run = getenv("CORVUS_RUN");
    unsigned processes = 0;
    int option;

    limits = wanted;
    own = (struct experiment){.name = wanted->name,
                              .count = 1,
                              .size = wanted->size,
                              .rounds = wanted->rounds,
                              .variant = wanted->variant,
                              .seed = 1,
                              .spoiled = -1};
    opterr = 0;
    while ((option = getopt(argc, argv, "n:r:v:s:t:p:x:w")) != -1) {
        if (option == 'n')
            own.size = number(optarg, wanted->size_min, wanted->size_max, "-n is out of range");
        else if (option == 'r')
            own.rounds = number(optarg, 1, 1000000, "-r is out of range");
        else if (option == 'v')
            own.variant = number(optarg, 0, wanted->variant_max, "-v is out of range");
        else if (option == 's')
            own.seed = (uint64_t)number(optarg, 1, 1000000000, "-s is out of range");
        else if (option == 't')
            sync_seconds = (unsigned)number(optarg, 1, 100000, "-t is out of range");
        else if (option == 'p')
            processes = (unsigned)number(optarg, 1, EXPERIMENT_RANKS_MAX, "-p is out of range");
        else if (option == 'w')
            own.words = true;
        else if (option == 'x')
            own.spoiled = number(optarg, 0, 1l << 40, "-x is out of range");
        else
            wrong("an unknown argument");
    }
    if (optind != argc)
        wrong("an unknown argument");
    if (from_environment() && processes > 0)
        wrong("-p is not for a program under `corvus run`");
    // Before there are others: all need the same name.
    if (run != NULL)
        snprintf(segment, sizeof segment, "/%s.%.64s", own.name, run);
    else
        snprintf(segment, sizeof segment, "/%s.%d", own.name, (int)getpid());
    (void)signal(SIGBUS, memory_lost);
    if (processes > 0)
        start_processes(processes);
    return &own;
}

// --- Memory --------------------------------------------------------------------------------------

// The first rank makes it, the others wait until it has its size.
static int open_segment(size_t bytes)
{
    static const struct timespec pause = {.tv_nsec = 5000000};
    time_t end = time(NULL) + (time_t)sync_seconds;
    struct stat status;

    if (own.rank == 0) {
        int file = shm_open(segment, O_RDWR | O_CREAT | O_EXCL, 0600);
        if (file < 0)
            fail_errno(segment);
        segment_is_ours = true;
        if (ftruncate(file, (off_t)bytes) != 0)
            fail_errno("ftruncate");
        return file;
    }
    while (time(NULL) < end) {
        int file = shm_open(segment, O_RDWR, 0);
        if (file < 0 && errno != ENOENT)
            fail_errno(segment);
        if (file >= 0 && fstat(file, &status) == 0 && (size_t)status.st_size == bytes)
            return file;
        if (file >= 0)
            close(file);
        nanosleep(&pause, NULL);
    }
    experiment_fail("the first rank makes no memory");
}

void *experiment_memory(struct experiment *experiment, size_t bytes)
{
    size_t control = (sizeof(struct sync_area) + EXPERIMENT_PAGE - 1) & -(size_t)EXPERIMENT_PAGE;
    size_t all = control + ((bytes + EXPERIMENT_PAGE - 1) & -(size_t)EXPERIMENT_PAGE);
    int file = open_segment(all);
    char *memory = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);

    if (memory == MAP_FAILED)
        fail_errno("mmap");
    close(file);
    sync_begin((struct sync_area *)memory,
               own.words || getenv("CORVUS_RANK") == NULL ? NULL : segment);
    barrier(experiment);
    segment_is_ours = false;
    if (experiment->rank == 0 && shm_unlink(segment) != 0)
        fail_errno("shm_unlink");
    data = memory + control;
    data_bytes = bytes;
    return data;
}

// --- Measurement, end ----------------------------------------------------------------------------

static uint64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

void experiment_start(struct experiment *experiment)
{
    barrier(experiment);
    started = now();
}

void experiment_stop(struct experiment *experiment)
{
    barrier(experiment);
    started = now() - started;
    // A check that finds nothing then is none.
    if (experiment->rank != 0 || experiment->spoiled < 0)
        return;
    if ((size_t)experiment->spoiled >= data_bytes)
        experiment_fail("-x is outside of the memory");
    data[experiment->spoiled] ^= 4;
}

static bool children_are_well(void)
{
    bool good = true;

    for (unsigned i = 0; i < child_count; i++) {
        int status;
        good = waitpid(children[i], &status, 0) == children[i] && status == 0 && good;
    }
    return good;
}

_Noreturn void experiment_end(struct experiment *experiment, bool right, const char *more)
{
    struct sync_totals totals;

    // The others go when the first has seen what they counted.
    sync_totals(experiment, &totals);
    if (experiment->rank != 0)
        exit(0);
    printf("experiment=%s size=%ld rounds=%ld variant=%ld processes=%u nanoseconds=%" PRIu64
           " barriers=%" PRIu64 " locks=%" PRIu64 " faults=%" PRIu64 " wait_nanoseconds=%" PRIu64
           "%s%s result=%s\n",
           experiment->name, experiment->size, experiment->rounds, experiment->variant,
           experiment->count, started, totals.barriers, totals.locks, totals.faults,
           totals.nanoseconds, *more != 0 ? " " : "", more, right ? "right" : "WRONG");
    if (fflush(stdout) != 0)
        fail_errno("standard output");
    exit(children_are_well() && right ? 0 : 1);
}

void experiment_share(const struct experiment *experiment, long total, long *first, long *end)
{
    *first = total * (long)experiment->rank / (long)experiment->count;
    *end = total * ((long)experiment->rank + 1) / (long)experiment->count;
}

// Marsaglia's xorshift with a multiplication (Vigna, "An experimental exploration of Marsaglia's
// xorshift generators, scrambled", 2016).
uint64_t random_next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1du;
}

// splitmix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
uint64_t random_at(uint64_t seed, uint64_t index)
{
    uint64_t z = seed * 0xd1342543de82ef95u + (index + 1) * 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}
