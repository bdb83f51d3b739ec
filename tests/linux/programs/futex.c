// SPDX-License-Identifier: BSD-2-Clause
// Futexes by their system call: waiting and waking, private and shared, bit sets, requeueing,
// operations on two words, priority inheritance, robust lists, several at once.
#include "harness.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <time.h>

static volatile uint32_t first, second;

static long futex(volatile uint32_t *word, int operation, uint32_t value, const void *time_or_value,
                  volatile uint32_t *other, uint32_t value3)
{
    return syscall(SYS_futex, word, operation, value, time_or_value, other, value3);
}

// Wakes until `count` threads have woken: some may not wait yet.
static void wake(volatile uint32_t *word, int operation, long count, uint32_t bits)
{
    for (int tries = 0; count > 0 && tries < 4000; tries++) {
        long woken = SUCCEED(futex(word, operation, (uint32_t)count, NULL, NULL, bits));
        count -= woken;
        if (woken == 0)
            sleep_ms(1);
    }
    REQUIRE_EQUAL(count, 0);
}

static volatile int woken_threads;

static void *wait_on_first(void *argument)
{
    SUCCEED(futex(&first, (int)(uintptr_t)argument, 0, NULL, NULL, 0));
    __atomic_fetch_add(&woken_threads, 1, __ATOMIC_SEQ_CST);
    return argument;
}

static pthread_t threads[5];

static void start(int count, void *(*run)(void *), int operation)
{
    for (int i = 0; i < count; i++)
        ZERO(pthread_create(&threads[i], NULL, run, (void *)(uintptr_t)operation));
}

static void join(int count)
{
    for (int i = 0; i < count; i++)
        ZERO(pthread_join(threads[i], NULL));
}

// Until that many threads of this process sleep; it has no other way to be told.
static void until_asleep(int count)
{
    for (int tries = 0; tries < 4000; tries++) {
        int asleep = 0;
        for (pid_t id = getpid() + 1; id < getpid() + 30; id++) {
            char path[64];
            snprintf(path, sizeof path, "/proc/self/task/%d/stat", id);
            asleep += access(path, F_OK) == 0 && strstr(read_file(path), ") S ") != NULL;
        }
        if (asleep >= count)
            return;
        sleep_ms(1);
    }
    FAIL("the threads do not sleep");
}

TEST(wait_and_wake, "FUTEX_WAIT and WAKE, private and not: as many as asked for")
{
    static const int private[] = {0, FUTEX_PRIVATE_FLAG};
    for (int i = 0; i < 2; i++) {
        woken_threads = 0;
        start(5, wait_on_first, FUTEX_WAIT | private[i]);
        until_asleep(5);
        REQUIRE_EQUAL(futex(&second, FUTEX_WAKE | private[i], 5, NULL, NULL, 0), 0);
        REQUIRE_EQUAL(futex(&first, FUTEX_WAKE | private[i], 2, NULL, NULL, 0), 2);
        while (woken_threads < 2)
            sched_yield();
        sleep_ms(5);
        REQUIRE_EQUAL(woken_threads, 2);
        REQUIRE_EQUAL(futex(&first, FUTEX_WAKE | private[i], 100, NULL, NULL, 0), 3);
        join(5);
    }
}

TEST(errors, "another value is EAGAIN, time-outs ETIMEDOUT, bad words EFAULT or EINVAL")
{
    struct timespec time = {0, 20000000};
    FAIL_WITH(futex(&first, FUTEX_WAIT, 1, NULL, NULL, 0), EAGAIN);
    uint64_t start_time = now_ns();
    FAIL_WITH(futex(&first, FUTEX_WAIT, 0, &time, NULL, 0), ETIMEDOUT);
    REQUIRE(now_ns() - start_time >= 20000000);
    FAIL_WITH(futex((void *)8, FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT);
    FAIL_WITH(futex((void *)0xffff800000000000, FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT);
    FAIL_WITH(futex((void *)((uintptr_t)&first + 1), FUTEX_WAIT, 0, NULL, NULL, 0), EINVAL);
    FAIL_WITH(futex(&first, 99, 0, NULL, NULL, 0), ENOSYS);
    time.tv_nsec = 1000000000;
    FAIL_WITH(futex(&first, FUTEX_WAIT, 0, &time, NULL, 0), EINVAL);
}

TEST(absolute_time, "FUTEX_WAIT_BITSET waits until a time of the monotonic or the real clock")
{
    struct timespec time;
    uint64_t start_time = now_ns(); // before, or a delay in between would be missed later
    clock_gettime(CLOCK_MONOTONIC, &time);
    time.tv_nsec += 30000000;
    time.tv_sec += time.tv_nsec / 1000000000;
    time.tv_nsec %= 1000000000;
    FAIL_WITH(futex(&first, FUTEX_WAIT_BITSET, 0, &time, NULL, ~0u), ETIMEDOUT);
    REQUIRE(now_ns() - start_time >= 30000000);
    clock_gettime(CLOCK_REALTIME, &time);
    FAIL_WITH(futex(&first, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &time, NULL, ~0u),
              ETIMEDOUT);
    FAIL_WITH(futex(&first, FUTEX_WAIT_BITSET, 0, &time, NULL, 0), EINVAL);
}

static void *wait_with_bits(void *argument)
{
    SUCCEED(futex(&first, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, (uint32_t)(uintptr_t)argument));
    __atomic_fetch_add(&woken_threads, (int)(uintptr_t)argument, __ATOMIC_SEQ_CST);
    return argument;
}

TEST(bit_sets, "FUTEX_WAKE_BITSET wakes those with a bit in common")
{
    for (int i = 0; i < 3; i++)
        ZERO(pthread_create(&threads[i], NULL, wait_with_bits, (void *)(1ul << i)));
    until_asleep(3);
    REQUIRE_EQUAL(futex(&first, FUTEX_WAKE_BITSET_PRIVATE, 9, NULL, NULL, 8), 0);
    REQUIRE_EQUAL(futex(&first, FUTEX_WAKE_BITSET_PRIVATE, 9, NULL, NULL, 2), 1);
    while (woken_threads == 0)
        sched_yield();
    REQUIRE_EQUAL(woken_threads, 2);
    REQUIRE_EQUAL(futex(&first, FUTEX_WAKE_BITSET_PRIVATE, 9, NULL, NULL, 13), 2);
    join(3);
}

TEST(requeue, "FUTEX_REQUEUE and CMP_REQUEUE move waiters to another word")
{
    start(5, wait_on_first, FUTEX_WAIT_PRIVATE);
    until_asleep(5);
    FAIL_WITH(futex(&first, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)9, &second, 7), EAGAIN);
    REQUIRE_EQUAL(futex(&first, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)2, &second, 0), 3);
    REQUIRE_EQUAL(futex(&first, FUTEX_WAKE_PRIVATE, 9, NULL, NULL, 0), 2);
    REQUIRE_EQUAL(futex(&second, FUTEX_REQUEUE_PRIVATE, 0, (void *)1, &first, 0), 1);
    REQUIRE_EQUAL(futex(&first, FUTEX_WAKE_PRIVATE, 9, NULL, NULL, 0), 1);
    REQUIRE_EQUAL(futex(&second, FUTEX_WAKE_PRIVATE, 9, NULL, NULL, 0), 1);
    join(5);
}

TEST(wake_operation, "FUTEX_WAKE_OP changes the second word and wakes by its old value")
{
    start(2, wait_on_first, FUTEX_WAIT_PRIVATE);
    until_asleep(2);
    second = 10;
    int add_5_if_old_is_10 = FUTEX_OP(FUTEX_OP_ADD, 5, FUTEX_OP_CMP_EQ, 10);
    REQUIRE_EQUAL(
        syscall(SYS_futex, &first, FUTEX_WAKE_OP_PRIVATE, 1, 1, &second, add_5_if_old_is_10), 1);
    REQUIRE_EQUAL(second, 15);
    REQUIRE_EQUAL(futex(&first, FUTEX_WAKE_PRIVATE, 9, NULL, NULL, 0), 1);
    join(2);
}

// --- Between processes --------------------------------------------------------------------------

static volatile uint32_t *shared;

static void wait_on_shared(void *argument)
{
    (void)argument;
    SUCCEED(futex(shared, FUTEX_WAIT, 0, NULL, NULL, 0));
    shared[1]++;
}

TEST(between_processes, "a futex in shared memory, at different addresses, wakes another process")
{
    int memory = SUCCEED(memfd_create("futex", 0));
    SUCCEED(ftruncate(memory, 4096));
    shared = SUCCEED(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0));
    volatile uint32_t *elsewhere =
        SUCCEED(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0));
    pid_t process = child(wait_on_shared, NULL);
    wake(elsewhere, FUTEX_WAKE, 1, 0);
    EXITS(process, 0);
    REQUIRE_EQUAL(elsewhere[1], 1);
}

TEST(copy_on_write, "a private futex after fork is another word")
{
    shared = SUCCEED(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    *shared = 0;
    pid_t process = child(wait_on_shared, NULL);
    sleep_ms(50);
    *shared = 1;
    REQUIRE_EQUAL(futex(shared, FUTEX_WAKE, 9, NULL, NULL, 0), 0);
    SUCCEED(kill(process, SIGKILL));
    KILLED(process, SIGKILL);
}

// --- Priority inheritance and robust lists ------------------------------------------------------

static pthread_mutex_t *mutex;

static void init_mutex(int protocol, int robust)
{
    pthread_mutexattr_t attributes;
    ZERO(pthread_mutexattr_init(&attributes));
    ZERO(pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED));
    ZERO(pthread_mutexattr_setprotocol(&attributes, protocol));
    ZERO(pthread_mutexattr_setrobust(&attributes, robust));
    mutex = SUCCEED(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    int error = pthread_mutex_init(mutex, &attributes);
    if (error == ENOTSUP)
        skip("this kernel has no priority inheritance (FUTEX_PI)");
    ZERO(error);
}

static volatile unsigned counter;

static void *count_locked(void *argument)
{
    for (int i = 0; i < 5000; i++) {
        ZERO(pthread_mutex_lock(mutex));
        counter++;
        if (i % 100 == 0)
            sched_yield(); // so that others find it taken
        ZERO(pthread_mutex_unlock(mutex));
    }
    return argument;
}

TEST_WITHIN(priority_inheritance, "FUTEX_LOCK_PI under contention; a deadlock is EDEADLK", 60)
{
    long result = futex(&first, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0);
    if (result == -1 && errno == ENOSYS)
        skip("this kernel has no priority inheritance (FUTEX_PI)");
    REQUIRE_EQUAL(result, 0);
    REQUIRE_EQUAL(first & FUTEX_TID_MASK, gettid());
    FAIL_WITH(futex(&first, FUTEX_LOCK_PI, 0, NULL, NULL, 0), EDEADLK);
    SUCCEED(futex(&first, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
    REQUIRE_EQUAL(first, 0);
    init_mutex(PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_STALLED);
    start(4, count_locked, 0);
    join(4);
    REQUIRE_EQUAL(counter, 20000);
}

static void die_with_mutex(void *argument)
{
    (void)argument;
    ZERO(pthread_mutex_lock(mutex));
    raise(SIGKILL);
}

static void *end_with_mutex(void *argument)
{
    ZERO(pthread_mutex_lock(mutex));
    return argument;
}

TEST(robust_mutex, "a mutex whose owner dies: EOWNERDEAD, then made consistent, then lost")
{
    init_mutex(PTHREAD_PRIO_NONE, PTHREAD_MUTEX_ROBUST);
    KILLED(child(die_with_mutex, NULL), SIGKILL);
    REQUIRE_EQUAL(pthread_mutex_lock(mutex), EOWNERDEAD);
    ZERO(pthread_mutex_consistent(mutex));
    ZERO(pthread_mutex_unlock(mutex));
    start(1, end_with_mutex, 0);
    join(1);
    REQUIRE_EQUAL(pthread_mutex_lock(mutex), EOWNERDEAD);
    ZERO(pthread_mutex_unlock(mutex)); // not made consistent
    REQUIRE_EQUAL(pthread_mutex_lock(mutex), ENOTRECOVERABLE);
}

static struct robust_list_head list;
static volatile struct {
    struct robust_list entry;
    uint32_t word;
} held;

static void *end_with_bare_list(void *argument)
{
    held.entry.next = &list.list;
    held.word = (uint32_t)gettid() | FUTEX_WAITERS;
    list.list.next = (struct robust_list *)&held.entry;
    list.futex_offset = (long)((uintptr_t)&held.word - (uintptr_t)&held.entry);
    list.list_op_pending = argument;
    SUCCEED(syscall(SYS_set_robust_list, &list, sizeof list));
    return NULL;
}

TEST(robust_list,
     "the kernel walks the robust list at a thread's end; a bad pointer in it is harmless")
{
    FAIL_WITH(syscall(SYS_set_robust_list, &list, 8), EINVAL);
    void *bad[] = {NULL, (void *)0x1000, (void *)0xffff800000000000};
    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        ZERO(pthread_create(&thread, NULL, end_with_bare_list, bad[i]));
        ZERO(pthread_join(thread, NULL));
        for (int tries = 0; tries < 4000 && !(held.word & FUTEX_OWNER_DIED); tries++)
            sleep_ms(1);
        REQUIRE(held.word & FUTEX_OWNER_DIED);
        REQUIRE_EQUAL(held.word & FUTEX_TID_MASK, 0);
    }
    struct robust_list_head *head;
    size_t size;
    SUCCEED(syscall(SYS_get_robust_list, 0, &head, &size));
    REQUIRE_EQUAL(size, sizeof *head);
}

// --- Several at once ----------------------------------------------------------------------------

struct waiter {
    uint64_t value, word;
    uint32_t flags, reserved;
};
#define FUTEX_SIZE_U32 2u

static void *wake_second(void *argument)
{
    wake(&second, FUTEX_WAKE_PRIVATE, 1, 0);
    return argument;
}

TEST(wait_for_several, "futex_waitv tells which word was woken")
{
    struct waiter waiters[2] = {{0, (uint64_t)&first, FUTEX_SIZE_U32 | FUTEX_PRIVATE_FLAG, 0},
                                {0, (uint64_t)&second, FUTEX_SIZE_U32 | FUTEX_PRIVATE_FLAG, 0}};
    ZERO(pthread_create(&threads[0], NULL, wake_second, NULL));
    REQUIRE_EQUAL(SUCCEED_OR_SKIP(syscall(449, waiters, 2, 0, NULL, CLOCK_MONOTONIC),
                                  "this kernel has no futex_waitv"),
                  1);
    join(1);
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    FAIL_WITH(syscall(449, waiters, 2, 0, &time, CLOCK_MONOTONIC), ETIMEDOUT);
    waiters[1].value = 3;
    FAIL_WITH(syscall(449, waiters, 2, 0, NULL, CLOCK_MONOTONIC), EAGAIN);
}
