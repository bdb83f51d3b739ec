// SPDX-License-Identifier: BSD-2-Clause
// A process that is written down and made anew (harness_reborn.h) is the same: registers, memory,
// threads, credentials; python3.
#include "harness_reborn.h"

#include "harness_vector.h"

#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

// What parent and child of a test share: a pipe by which the child is told to go on. The child that
// was made anew has it from its parent, by the same numbers.
static struct turns turns;

// --- Computing -----------------------------------------------------------------------------------

static uint64_t compute(uint64_t rounds)
{
    uint64_t sum = 1;
    for (uint64_t i = 0; i < rounds; i++)
        sum = sum * 6364136223846793005ul + i;
    return sum;
}

static uint64_t rounds_of_a_second(void)
{
    uint64_t begin = now_ns();
    volatile uint64_t sum = compute(1000000);
    (void)sum;
    return 1000000 * 1000000000ul / (now_ns() - begin + 1);
}

static void computes(void *argument)
{
    const uint64_t *numbers = argument;
    _exit(compute(numbers[0]) == numbers[1] ? 0 : 3);
}

TEST_WITHIN(compute, "a loop goes on in the middle, ten times", 60)
{
    skip_without_migration();
    uint64_t numbers[2] = {3 * rounds_of_a_second()};
    numbers[1] = compute(numbers[0]);
    pid_t pid = child(computes, numbers);
    for (int i = 0; i < 10; i++) {
        sleep_ms(100);
        reborn(pid);
    }
    EXITS(pid, 0);
}

static void spins_with_vectors(void *argument)
{
    struct vector_state before, after;
    vector_make(&before, 77);
    memset(&after, 0, sizeof after);
    vector_around_spin(&before, &after, *(uint64_t *)argument);
    _exit(vector_same(&after, &before) ? 0 : 3);
}

TEST_WITHIN(vector, "vector and x87 registers in use", 60)
{
    skip_without_migration();
    uint64_t rounds = 2 * rounds_of_a_second();
    pid_t pid = child(spins_with_vectors, &rounds);
    for (int i = 0; i < 5; i++) {
        sleep_ms(100);
        reborn(pid);
    }
    EXITS(pid, 0);
}

// --- Threads -------------------------------------------------------------------------------------

#define THREADS 6

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static volatile unsigned turn;
static _Thread_local unsigned own = 7;

struct worker {
    pthread_t thread;
    unsigned number;
    pid_t tid;
    bool good;
};

// Each in its turn, over and over.
static void *works(void *argument)
{
    struct worker *worker = argument;
    worker->tid = (pid_t)syscall(SYS_gettid);
    worker->good = true;
    own = worker->number;
    for (unsigned i = 0; i < 2000; i++) {
        ZERO(pthread_mutex_lock(&mutex));
        while (turn % THREADS != worker->number)
            ZERO(pthread_cond_wait(&changed, &mutex));
        turn++;
        ZERO(pthread_cond_broadcast(&changed));
        ZERO(pthread_mutex_unlock(&mutex));
        worker->good =
            worker->good && own == worker->number && worker->tid == (pid_t)syscall(SYS_gettid);
    }
    return (void *)(uintptr_t)worker->number;
}

static void has_threads(void *unused)
{
    (void)unused;
    struct worker workers[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].number = i;
        ZERO(pthread_create(&workers[i].thread, NULL, works, &workers[i]));
    }
    for (unsigned i = 0; i < THREADS; i++) {
        void *result;
        ZERO(pthread_join(workers[i].thread, &result));
        REQUIRE_EQUAL(result, i);
        REQUIRE(workers[i].good);
    }
    REQUIRE_EQUAL(turn, 2000 * THREADS);
    REQUIRE_EQUAL(own, 7);
}

TEST_WITHIN(threads, "threads with mutexes, conditions and variables of their own; pthread_join",
            60)
{
    skip_without_migration();
    pid_t pid = child(has_threads, NULL);
    for (int i = 0; i < 6; i++) {
        sleep_ms(60);
        reborn(pid);
    }
    EXITS(pid, 0);
}

// --- Memory --------------------------------------------------------------------------------------

#define PAGE 4096ul

struct places {
    char *pattern, *nothing, *constant, *code, *private_file, *unlocked;
    char *heap;
};

static struct places places;
static char maps_before[64 << 10];

static void make_places(void)
{
    int any = MAP_PRIVATE | MAP_ANONYMOUS, file = SUCCEED(open("file", O_RDWR | O_CREAT, 0600));
    static char content[3 * PAGE];
    places.pattern = mmap(NULL, 300 * PAGE, PROT_READ | PROT_WRITE, any | MAP_NORESERVE, -1, 0);
    fill_pattern(places.pattern, 100 * PAGE, 1);
    places.nothing = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, any, -1, 0);
    memset(places.nothing, 'n', 4 * PAGE);
    SUCCEED(mprotect(places.nothing, 4 * PAGE, PROT_NONE));
    places.constant = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, any, -1, 0);
    strcpy(places.constant, "constant");
    SUCCEED(mprotect(places.constant, PAGE, PROT_READ));
    places.code = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, any, -1, 0);
    memcpy(places.code, "\xb8\x2a\0\0\0\xc3", 6); // mov $42, %eax; ret
    SUCCEED(mprotect(places.code, PAGE, PROT_READ | PROT_EXEC));
    fill_pattern(content, sizeof content, 2);
    write_all(file, content, sizeof content);
    places.private_file = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    places.private_file[PAGE] ^= 1;
    SUCCEED(close(file));
    places.unlocked = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, any, -1, 0);
    SUCCEED(mlock(places.unlocked + PAGE, PAGE));
    SUCCEED(madvise(places.unlocked, PAGE, MADV_WIPEONFORK));
    places.unlocked[0] = places.unlocked[PAGE] = 'x';
    places.heap = malloc(100000);
    fill_pattern(places.heap, 100000, 3);
}

// Addresses and rights of all mappings; where a mapping begins and another ends may change.
static void list_mappings(char *to)
{
    char *line, *rest = (char *)read_file("/proc/self/maps"), rights[5], last[5] = "";
    unsigned long start, end, last_end = 0;
    *to = 0;
    while ((line = strsep(&rest, "\n")) != NULL && *line != 0) {
        REQUIRE_EQUAL(sscanf(line, "%lx-%lx %4s", &start, &end, rights), 3);
        if (start != last_end || strcmp(rights, last) != 0)
            to += sprintf(to, "%lx %s %s", last_end, last, start != last_end ? "/" : "");
        if (start != last_end)
            to += sprintf(to, "%lx ", start);
        last_end = end;
        strcpy(last, rights);
    }
    sprintf(to, "%lx %s", last_end, last);
}

static void check_places(void)
{
    static char content[3 * PAGE], zeros[200 * PAGE];
    REQUIRE(has_pattern(places.pattern, 100 * PAGE, 1));
    REQUIRE(memcmp(places.pattern + 100 * PAGE, zeros, sizeof zeros) == 0);
    SUCCEED(mprotect(places.nothing, 4 * PAGE, PROT_READ));
    REQUIRE(places.nothing[0] == 'n' && places.nothing[4 * PAGE - 1] == 'n');
    REQUIRE(strcmp(places.constant, "constant") == 0);
    REQUIRE_EQUAL(((int (*)(void))places.code)(), 42);
    places.private_file[PAGE] ^= 1;
    memcpy(content, places.private_file, sizeof content);
    REQUIRE(has_pattern(content, sizeof content, 2));
    REQUIRE(has_pattern(places.heap, 100000, 3));
}

static unsigned grow_stack(unsigned depth)
{
    volatile char room[PAGE] = {(char)depth};
    return depth == 0 ? 0 : grow_stack(depth - 1) + (room[0] == (char)depth);
}

static void uses_more(void)
{
    char *end = sbrk(0);
    REQUIRE(sbrk(10 * PAGE) == end);
    memset(end, 1, 10 * PAGE);
    REQUIRE_EQUAL(grow_stack(300), 300);
    for (int i = 0; i < 200; i++) {
        char *more = malloc(50000);
        REQUIRE(more != NULL);
        memset(more, i, 50000);
    }
    struct timespec time;
    SUCCEED(clock_gettime(CLOCK_MONOTONIC, &time)); // the vDSO's
}

static void wiped(void *unused)
{
    (void)unused;
    REQUIRE(places.unlocked[0] == 0 && places.unlocked[PAGE] == 'x');
}

static void has_memory(void *unused)
{
    static char maps_after[64 << 10];
    (void)unused;
    make_places();
    list_mappings(maps_before);
    child_signals(&turns);
    child_waits(&turns);
    list_mappings(maps_after);
    if (strcmp(maps_before, maps_after) != 0)
        FAIL("before: %s\n# after: %s", maps_before, maps_after);
    check_places();
    uses_more();
    REQUIRE_EQUAL(field_of("/proc/self/status", "VmLck"), 4);
    in_child(wiped, NULL);
    REQUIRE(strstr(read_file("/proc/self/cmdline"), "migration_process") != NULL);
}

TEST(memory,
     "mappings with their rights, heap, stack, files' copies, locks, advice; and more of it")
{
    skip_without_migration();
    turns_open(&turns);
    pid_t pid = child(has_memory, NULL);
    parent_waits(&turns);
    reborn(pid);
    parent_signals(&turns);
    EXITS(pid, 0);
}

static void is_written_over(void *unused)
{
    (void)unused;
    places.constant = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    child_signals(&turns);
    child_waits(&turns);
    *(volatile char *)places.constant = 1;
}

TEST(rights, "what could not be written before cannot be afterwards")
{
    skip_without_migration();
    turns_open(&turns);
    pid_t pid = child(is_written_over, NULL);
    parent_waits(&turns);
    reborn(pid);
    parent_signals(&turns);
    KILLED(pid, SIGSEGV);
}

// --- What else a process has ---------------------------------------------------------------------

static void set_up_credentials(void)
{
    gid_t groups[] = {77, 5, 1000};
    SUCCEED(setpriority(PRIO_PROCESS, 0, 7));
    SUCCEED(setgroups(3, groups));
    SUCCEED(prctl(PR_SET_KEEPCAPS, 1));
    SUCCEED(setresgid(11, 12, 13));
    SUCCEED(setresuid(21, 22, 23));
    SUCCEED(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    SUCCEED(prctl(PR_SET_NAME, "other-name"));
    SUCCEED(prctl(PR_SET_TIMERSLACK, 123456));
    SUCCEED(prctl(PR_SET_DUMPABLE, 1));
    SUCCEED(prctl(PR_SET_PDEATHSIG, SIGKILL));
    SUCCEED(setrlimit(RLIMIT_NOFILE, &(struct rlimit){123, 456}));
    umask(0257);
}

static void check_credentials(void)
{
    uid_t ids[3];
    gid_t groups[4];
    struct rlimit limit;
    int signal;
    char name[16];
    SUCCEED(getresuid(&ids[0], &ids[1], &ids[2]));
    REQUIRE(ids[0] == 21 && ids[1] == 22 && ids[2] == 23);
    SUCCEED(getresgid(&ids[0], &ids[1], &ids[2]));
    REQUIRE(ids[0] == 11 && ids[1] == 12 && ids[2] == 13);
    REQUIRE_EQUAL(getgroups(4, groups), 3);
    REQUIRE_EQUAL(getpriority(PRIO_PROCESS, 0), 7);
    REQUIRE_EQUAL(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
    REQUIRE_EQUAL(prctl(PR_GET_KEEPCAPS), 1);
    REQUIRE_EQUAL(prctl(PR_GET_TIMERSLACK), 123456);
    REQUIRE_EQUAL(prctl(PR_GET_DUMPABLE), 1);
    SUCCEED(prctl(PR_GET_PDEATHSIG, &signal));
    REQUIRE_EQUAL(signal, SIGKILL);
    SUCCEED(prctl(PR_GET_NAME, name));
    REQUIRE(strcmp(name, "other-name") == 0);
    SUCCEED(getrlimit(RLIMIT_NOFILE, &limit));
    REQUIRE(limit.rlim_cur == 123 && limit.rlim_max == 456);
    REQUIRE_EQUAL(umask(0), 0257);
}

static void has_credentials(void *unused)
{
    (void)unused;
    static char before[8192];
    struct rusage used, later;
    set_up_credentials();
    (void)compute(rounds_of_a_second() / 2);
    SUCCEED(getrusage(RUSAGE_SELF, &used));
    const char *capabilities = strstr(read_file("/proc/self/status"), "CapInh");
    REQUIRE(capabilities != NULL);
    snprintf(before, sizeof before, "%.120s", capabilities);
    child_signals(&turns);
    child_waits(&turns);
    check_credentials();
    capabilities = strstr(read_file("/proc/self/status"), "CapInh");
    REQUIRE(capabilities != NULL && strncmp(before, capabilities, 120) == 0);
    SUCCEED(getrusage(RUSAGE_SELF, &later));
    REQUIRE(later.ru_utime.tv_sec * 1000000 + later.ru_utime.tv_usec >=
            used.ru_utime.tv_sec * 1000000 + used.ru_utime.tv_usec);
    FAIL_WITH(setuid(0), EPERM);
}

TEST(credentials, "users, groups, capabilities, limits, niceness, prctl's, used time")
{
    skip_without_migration();
    turns_open(&turns);
    pid_t pid = child(has_credentials, NULL);
    parent_waits(&turns);
    reborn(pid);
    parent_signals(&turns);
    EXITS(pid, 0);
}

// --- Python --------------------------------------------------------------------------------------

static const char script[] =
    "import hashlib, os, sys, threading, time\n"
    "def work(seed, results):\n"
    "    state, table = seed, {}\n"
    "    for i in range(60000):\n"
    "        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64\n"
    "        table[state % 5003] = table.get(state % 5003, '') [-20:] + str(i)\n"
    "        if i % 10000 == 0: time.sleep(0.01)\n"
    "    results[seed] = hashlib.sha256(repr(sorted(table.items())).encode()).hexdigest()\n"
    "results = {}\n"
    "threads = [threading.Thread(target=work, args=(n, results)) for n in range(3)]\n"
    "for t in threads: t.start()\n"
    "for t in threads: t.join()\n"
    "os.write(int(sys.argv[1]), repr(sorted(results.items())).encode())\n";

static void is_python(void *descriptor)
{
    char number[12];
    snprintf(number, sizeof number, "%d", *(int *)descriptor);
    execlp("python3", "python3", "-c", script, number, NULL);
    _exit(127);
}

// What it says, having been made anew so often.
static void listen_to_python(char said[1024], int times)
{
    int said_by[2];
    SUCCEED(pipe(said_by));
    pid_t pid = child(is_python, &said_by[1]);
    for (int i = 0; i < times; i++) {
        sleep_ms(150);
        reborn(pid);
    }
    EXITS(pid, 0);
    memset(said, 0, 1024);
    REQUIRE(SUCCEED(read(said_by[0], said, 1023)) > 100);
}

TEST_WITHIN(python, "python3 with threads, dictionaries and hashes says what it says undisturbed",
            120)
{
    static char expected[1024], said[1024];
    skip_without_migration();
    if (access("/usr/bin/python3", X_OK) != 0)
        skip("there is no python3");
    listen_to_python(expected, 0);
    listen_to_python(said, 8);
    REQUIRE(strcmp(said, expected) == 0);
}
