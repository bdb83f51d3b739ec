// SPDX-License-Identifier: BSD-2-Clause
// Threads: ids and what threads share, thread-local storage and FS base, cancellation, ends of
// threads and of the process, signals to one thread, and many of them.
#include "harness.h"

#include <asm/prctl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define THREADS 8

static __thread uint64_t own_word = 5;
static pthread_t threads[THREADS];

static void start_all(void *(*run)(void *))
{
    for (uintptr_t i = 0; i < THREADS; i++)
        ZERO(pthread_create(&threads[i], NULL, run, (void *)i));
}

static void join_all(void)
{
    for (uintptr_t i = 0; i < THREADS; i++) {
        void *result;
        ZERO(pthread_join(threads[i], &result));
        REQUIRE_EQUAL(result, i);
    }
}

static volatile pid_t ids[THREADS];

static void *tell_ids(void *argument)
{
    REQUIRE(getpid() != gettid());
    REQUIRE_EQUAL(own_word, 5);
    own_word = (uintptr_t)argument;
    ids[(uintptr_t)argument] = gettid();
    for (int i = 0; i < 100; i++) {
        sched_yield();
        REQUIRE_EQUAL(own_word, (uintptr_t)argument);
        REQUIRE_EQUAL(gettid(), ids[(uintptr_t)argument]);
    }
    return argument;
}

TEST(ids_and_locals, "one process id, a thread id and thread-local data each")
{
    start_all(tell_ids);
    join_all();
    for (int i = 0; i < THREADS; i++)
        for (int j = 0; j < i; j++)
            REQUIRE(ids[i] != ids[j]);
    REQUIRE_EQUAL(own_word, 5);
    REQUIRE_EQUAL(gettid(), getpid());
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static volatile unsigned counter, token;

static void *count_locked(void *argument)
{
    for (int i = 0; i < 20000; i++) {
        pthread_mutex_lock(&mutex);
        counter++;
        pthread_mutex_unlock(&mutex);
    }
    return argument;
}

TEST_WITHIN(mutual_exclusion, "eight threads count under a mutex and lose nothing", 60)
{
    start_all(count_locked);
    join_all();
    REQUIRE_EQUAL(counter, THREADS * 20000);
}

static void *pass_token(void *argument)
{
    uintptr_t self = (uintptr_t)argument;
    for (unsigned round = 0; round < 200; round++) {
        pthread_mutex_lock(&mutex);
        while (token != round * THREADS + self)
            pthread_cond_wait(&condition, &mutex);
        token++;
        pthread_cond_broadcast(&condition);
        pthread_mutex_unlock(&mutex);
    }
    return argument;
}

TEST_WITHIN(conditions, "a token goes round eight threads, 200 times", 60)
{
    start_all(pass_token);
    join_all();
    REQUIRE_EQUAL(token, 200 * THREADS);
}

// --- FS base ------------------------------------------------------------------------------------

static void *swap_gs_base(void *argument)
{
    uint64_t words[2] = {0, (uintptr_t)argument + 100}, base, found;
    SUCCEED(syscall(SYS_arch_prctl, ARCH_SET_GS, words));
    for (int i = 0; i < 200; i++) {
        sched_yield();
        __asm__ volatile("mov %%gs:8, %0" : "=r"(found));
        REQUIRE_EQUAL(found, (uintptr_t)argument + 100);
    }
    SUCCEED(syscall(SYS_arch_prctl, ARCH_GET_GS, &base));
    REQUIRE_EQUAL(base, words);
    return argument;
}

TEST(gs_base, "each thread keeps a GS base of its own")
{
    start_all(swap_gs_base);
    join_all();
    uint64_t base;
    SUCCEED(syscall(SYS_arch_prctl, ARCH_GET_GS, &base));
    REQUIRE_EQUAL(base, 0);
}

TEST(fs_base, "arch_prctl sets and tells the FS base; bad ones are refused")
{
    uint64_t saved, words[2] = {1, 2}, found, own;
    SUCCEED(syscall(SYS_arch_prctl, ARCH_GET_FS, &saved));
    __asm__("mov %%fs:0, %0" : "=r"(own)); // the thread block begins with its own address
    REQUIRE_EQUAL(saved, own);
    // Without the thread block there is no C library: assembly only, until it is back.
    __asm__ volatile("mov $158, %%eax\n\tmov $0x1002, %%edi\n\tmov %1, %%rsi\n\tsyscall\n\t"
                     "mov %%fs:8, %%r8\n\t"
                     "mov $158, %%eax\n\tmov $0x1002, %%edi\n\tmov %2, %%rsi\n\tsyscall\n\t"
                     "mov %%r8, %0"
                     : "=&r"(found)
                     : "r"(words), "r"(saved)
                     : "rax", "rdi", "rsi", "rcx", "r11", "r8", "memory");
    REQUIRE_EQUAL(found, 2);
    FAIL_WITH(syscall(SYS_arch_prctl, ARCH_SET_FS, 0xffff800000000000), EPERM);
    FAIL_WITH(syscall(SYS_arch_prctl, ARCH_SET_GS, 1ull << 56), EPERM);
    FAIL_WITH(syscall(SYS_arch_prctl, ARCH_GET_FS, 8), EFAULT);
    FAIL_WITH(syscall(SYS_arch_prctl, 0x7777, 0), EINVAL);
}

// --- Ends ---------------------------------------------------------------------------------------

static void *end_process(void *argument)
{
    sleep_ms(20);
    exit((int)(uintptr_t)argument);
}

static void *wait_for_ever(void *argument)
{
    for (;;)
        pause();
    return argument;
}

static void end_by_thread(void *argument)
{
    pthread_t thread;
    for (int i = 0; i < 4; i++)
        ZERO(pthread_create(&thread, NULL, wait_for_ever, NULL));
    ZERO(pthread_create(&thread, NULL, end_process, argument));
    for (;;)
        pause();
}

static void *kill_by_fault(void *argument)
{
    *(volatile int *)argument = 1;
    return argument;
}

static void fault_in_thread(void *argument)
{
    pthread_t thread;
    ZERO(pthread_create(&thread, NULL, kill_by_fault, argument));
    for (;;)
        pause();
}

static void *end_later(void *argument)
{
    pthread_join(*(pthread_t *)argument, NULL);
    _exit(23);
}

static void leader_ends_first(void *argument)
{
    (void)argument;
    pthread_t thread;
    static pthread_t leader;
    leader = pthread_self();
    ZERO(pthread_create(&thread, NULL, end_later, &leader));
    pthread_exit(NULL);
}

TEST(ends,
     "exit and faults of a thread end all; a leader that ends first leaves the others running")
{
    EXITS(child(end_by_thread, (void *)19), 19);
    KILLED(child(fault_in_thread, (void *)64), SIGSEGV);
    EXITS(child(leader_ends_first, NULL), 23);
}

TEST(kill_reaches_threads, "SIGKILL ends a process whose threads all compute")
{
    int ends[2];
    SUCCEED(pipe(ends));
    pid_t process = fork();
    if (process == 0) {
        start_all(wait_for_ever);
        write_all(ends[1], "x", 1);
        for (;;)
            continue;
    }
    char byte;
    read_all(ends[0], &byte, 1);
    SUCCEED(kill(process, SIGKILL));
    KILLED(process, SIGKILL);
}

static void *read_for_ever(void *argument)
{
    char byte;
    SUCCEED(read(*(int *)argument, &byte, 1));
    return argument;
}

static volatile int cleaned;

static void clean(void *argument)
{
    (void)argument;
    cleaned++;
}

static void *spin_cleanly(void *argument)
{
    pthread_cleanup_push(clean, NULL);
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    *(volatile int *)argument = 1;
    for (;;)
        __asm__ volatile("pause");
    pthread_cleanup_pop(0);
    return argument;
}

TEST(cancellation, "a thread is cancelled in a system call, and asynchronously in a loop")
{
    int ends[2];
    volatile int ready = 0;
    void *result;
    SUCCEED(pipe(ends));
    ZERO(pthread_create(&threads[0], NULL, read_for_ever, &ends[0]));
    sleep_ms(20);
    ZERO(pthread_cancel(threads[0]));
    ZERO(pthread_join(threads[0], &result));
    REQUIRE(result == PTHREAD_CANCELED);
    ZERO(pthread_create(&threads[1], NULL, spin_cleanly, (void *)&ready));
    while (!ready)
        sched_yield();
    ZERO(pthread_cancel(threads[1]));
    ZERO(pthread_join(threads[1], &result));
    REQUIRE(result == PTHREAD_CANCELED);
    REQUIRE_EQUAL(cleaned, 1);
}

// --- Signals ------------------------------------------------------------------------------------

static volatile pid_t signalled[64];
static volatile int signals;

static void note_thread(int number)
{
    (void)number;
    signalled[__atomic_fetch_add(&signals, 1, __ATOMIC_SEQ_CST) % 64] = gettid();
}

static volatile int go_on = 1;

static void *be_there(void *argument)
{
    ids[(uintptr_t)argument] = gettid();
    while (go_on)
        sched_yield();
    return argument;
}

TEST(directed_signals, "tgkill reaches that thread; a process signal one that does not block it")
{
    signal(SIGUSR1, note_thread);
    signal(SIGUSR2, note_thread);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    SUCCEED(pthread_sigmask(SIG_BLOCK, &set, NULL));
    start_all(be_there); // all block SIGUSR2
    for (int i = 0; i < THREADS; i++) {
        while (ids[i] == 0)
            sched_yield();
        SUCCEED(syscall(SYS_tgkill, getpid(), ids[i], SIGUSR1));
        while (signals != i + 1)
            sched_yield();
        REQUIRE_EQUAL(signalled[i], ids[i]);
    }
    SUCCEED(kill(getpid(), SIGUSR2));
    sleep_ms(20);
    REQUIRE_EQUAL(signals, THREADS);
    SUCCEED(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
    REQUIRE_EQUAL(signals, THREADS + 1);
    REQUIRE_EQUAL(signalled[THREADS], gettid());
    FAIL_WITH(syscall(SYS_tgkill, getpid(), 1, SIGUSR1), ESRCH);
    go_on = 0;
    join_all();
}

// --- Bare clone ---------------------------------------------------------------------------------

static volatile int cleared = 1, parent_id;

static int bare_thread(void *argument)
{
    *(volatile int *)argument = (int)syscall(SYS_gettid);
    return 0;
}

TEST(clear_child_tid, "CLONE_CHILD_CLEARTID and set_tid_address: the word is cleared and woken")
{
    static volatile int id;
    uint8_t *stack =
        SUCCEED(mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                CLONE_CHILD_CLEARTID | CLONE_PARENT_SETTID;
    int made =
        SUCCEED(clone(bare_thread, stack + 65536, flags, (void *)&id, &parent_id, NULL, &cleared));
    while (cleared != 0)
        syscall(SYS_futex, &cleared, 0, 1, NULL, NULL, 0); // woken at its end
    REQUIRE_EQUAL(id, made);
    REQUIRE_EQUAL(parent_id, made);
    REQUIRE_EQUAL(syscall(SYS_set_tid_address, &cleared), gettid());
    for (int tries = 0; syscall(SYS_tgkill, getpid(), made, 0) == 0; tries++) {
        REQUIRE(tries < 4000); // it has some way to go from there to its end
        sleep_ms(1);
    }
    REQUIRE_EQUAL(errno, ESRCH);
}

// --- Many ---------------------------------------------------------------------------------------

static void *return_at_once(void *argument)
{
    return argument;
}

TEST_WITHIN(come_and_go, "2,000 threads, one after the other", 60)
{
    for (uintptr_t i = 0; i < 2000; i++) {
        void *result;
        pthread_t thread;
        ZERO(pthread_create(&thread, NULL, return_at_once, (void *)i));
        ZERO(pthread_join(thread, &result));
        REQUIRE_EQUAL(result, i);
    }
}

static pthread_barrier_t barrier;

static void *meet(void *argument)
{
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return argument;
}

TEST_WITHIN(at_once, "200 threads at once, all in /proc/self/task", 60)
{
    static pthread_t many[200];
    pthread_attr_t attributes;
    ZERO(pthread_attr_init(&attributes));
    ZERO(pthread_attr_setstacksize(&attributes, 65536));
    ZERO(pthread_barrier_init(&barrier, NULL, 201));
    for (int i = 0; i < 200; i++)
        ZERO(pthread_create(&many[i], &attributes, meet, NULL));
    pthread_barrier_wait(&barrier);
    REQUIRE_EQUAL(field_of("/proc/self/status", "Threads"), 201);
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < 200; i++)
        ZERO(pthread_join(many[i], NULL));
}

static void *name_itself(void *argument)
{
    ZERO(prctl(PR_SET_NAME, "renamed", 0, 0, 0));
    char name[32], path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/comm", gettid());
    snprintf(name, sizeof name, "%s", read_file(path));
    REQUIRE(strcmp(name, "renamed\n") == 0);
    SUCCEED(setpriority(PRIO_PROCESS, 0, 7));
    REQUIRE_EQUAL(getpriority(PRIO_PROCESS, 0), 7);
    return argument;
}

TEST(per_thread_attributes, "name and nice value belong to a thread")
{
    ZERO(pthread_create(&threads[0], NULL, name_itself, NULL));
    ZERO(pthread_join(threads[0], NULL));
    REQUIRE(strcmp(read_file("/proc/self/comm"), "thread\n") == 0);
    REQUIRE_EQUAL(getpriority(PRIO_PROCESS, 0), 0);
}

TEST(affinity, "sched_getaffinity has a processor, and sched_setaffinity to it works")
{
    cpu_set_t set;
    SUCCEED(sched_getaffinity(0, sizeof set, &set));
    REQUIRE(CPU_COUNT(&set) >= 1);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &set)) {
            cpu_set_t one;
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            SUCCEED(sched_setaffinity(0, sizeof one, &one));
            REQUIRE_EQUAL(sched_getcpu(), cpu);
        }
    }
    CPU_ZERO(&set);
    FAIL_WITH(sched_setaffinity(0, sizeof set, &set), EINVAL);
}
