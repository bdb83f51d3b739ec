// SPDX-License-Identifier: BSD-2-Clause
// The native runtime on the real kernel: the C library, memory, threads and
// what they wait on, time, ports. Prints TAP on its console.
#include "runtime_test.h"

#include "lib/clock.h"
#include "lib/hooks.h"
#include "lib/port.h"
#include "lib/thread.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

static unsigned tests, failures;

void ok(int passed, const char *text)
{
    printf("%sok %u - %s\n", passed ? "" : "not ", ++tests, text);
    if (!passed)
        failures++;
}

// --- The C library -----------------------------------------------------------

static void test_stdio(int argc, char **argv)
{
    char text[100];

    ok(argc >= 0 && argv[argc] == NULL, "arguments end with NULL");
    snprintf(text, sizeof text, "%lld %.6f %s", LLONG_MIN, 3.25, "text");
    ok(strcmp(text, "-9223372036854775808 3.250000 text") == 0, "printf of %lld, %f and %s");
    ok(strtod("1.5e3", NULL) == 1500.0 && fabs(sqrt(2.0) * sqrt(2.0) - 2.0) < 1e-12,
       "floating point");
    errno = 0;
    FILE *file = fopen("/etc/passwd", "r");
    ok(file == NULL && errno == ENOSYS, "there are no files");
    ok(runtime_unsupported_calls > 0, "a system call that is not there is counted");
    ok(getpid() > 0 && isatty(STDOUT_FILENO), "process id and terminal");
}

static void test_malloc(void)
{
    enum { BLOCKS = 200 };
    unsigned char *blocks[BLOCKS];
    int good = 1;

    for (size_t i = 0; i < BLOCKS; i++) {
        size_t bytes = (i * 7919) % 40000 + 1;
        blocks[i] = malloc(bytes);
        if (blocks[i] != NULL)
            memset(blocks[i], (int)i, bytes);
        good &= blocks[i] != NULL;
    }
    for (size_t i = 0; good && i < BLOCKS; i++)
        good &= blocks[i][0] == i && blocks[i][(i * 7919) % 40000] == i;
    for (size_t i = 0; i < BLOCKS; i++)
        free(blocks[i]);
    ok(good, "malloc of many sizes, none overlapping");

    char *large = malloc(1 << 20);
    char *larger = large != NULL ? realloc(large, 2 << 20) : NULL;
    ok(larger != NULL, "a large block grows");
    free(larger);
    // Volatile, since a compiler may take it that a block not used can be had.
    char *volatile huge = malloc((size_t)1 << 45);
    ok(huge == NULL && errno == ENOMEM, "too much is refused");
    free(huge);
}

static void test_mmap(void)
{
    char *range = mmap(NULL, 4 * PAGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t access = 0;

    ok(range != MAP_FAILED, "a range without access");
    (void)memory_info(NAME_TASK_SELF, (uint64_t)range, &access, NULL, NULL, NULL);
    ok(access == 0, "has no pages");
    ok(mprotect(range + PAGE_BYTES, PAGE_BYTES, PROT_READ | PROT_WRITE) == 0, "gets access");
    ok(range[PAGE_BYTES] == 0, "and zeroed memory");
    range[PAGE_BYTES] = 7;
    ok(mprotect(range + PAGE_BYTES, PAGE_BYTES, PROT_READ) == 0 && range[PAGE_BYTES] == 7,
       "loses a part of it and keeps its contents");
    (void)memory_info(NAME_TASK_SELF, (uint64_t)range + PAGE_BYTES, &access, NULL, NULL, NULL);
    ok(access == ACCESS_READ, "as the kernel sees it");
    ok(munmap(range, 4 * PAGE_BYTES) == 0, "is given back");
    (void)memory_info(NAME_TASK_SELF, (uint64_t)range + PAGE_BYTES, &access, NULL, NULL, NULL);
    ok(access == 0, "and gone");
}

// --- Time and entropy ----------------------------------------------------------

static void test_time(void)
{
    struct timespec before, after, pause = {.tv_nsec = 20000000};
    uint64_t start = clock_now_ns();

    clock_gettime(CLOCK_MONOTONIC, &before);
    ok(nanosleep(&pause, NULL) == 0, "nanosleep");
    clock_gettime(CLOCK_MONOTONIC, &after);
    int64_t slept = (after.tv_sec - before.tv_sec) * 1000000000ll + after.tv_nsec - before.tv_nsec;
    ok(slept >= 20000000, "sleeps long enough");
    ok(slept < 2000000000, "and not much longer");
    ok(clock_now_ns() - start >= (uint64_t)slept, "the clock page agrees");
    clock_gettime(CLOCK_REALTIME, &before);
    ok(before.tv_sec >= 0 && clock_gettime(12345, &before) == -1 && errno == EINVAL,
       "calendar time, and no clock that is not there");
}

static void test_entropy(void)
{
    unsigned char a[32] = {0}, b[32] = {0};

    ok(getrandom(a, sizeof a, 0) == sizeof a && getrandom(b, sizeof b, 0) == sizeof b,
       "random bytes");
    ok(memcmp(a, b, sizeof a) != 0, "are different each time");
}

// --- Threads -------------------------------------------------------------------

#define PING_PONGS 1000
#define THREADS    8
#define COUNTS     5000

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int turn, counter;
static _Thread_local int local = 42;

static void take_turns(int mine)
{
    for (int i = 0; i < PING_PONGS; i++) {
        pthread_mutex_lock(&mutex);
        while (turn != mine)
            pthread_cond_wait(&condition, &mutex);
        turn = !mine;
        pthread_cond_signal(&condition);
        pthread_mutex_unlock(&mutex);
    }
}

static void *pong(void *argument)
{
    take_turns(1);
    return argument;
}

static void test_ping_pong(void)
{
    pthread_t thread;
    void *result = NULL;

    ok(pthread_create(&thread, NULL, pong, &turn) == 0, "a thread begins");
    take_turns(0);
    ok(pthread_join(thread, &result) == 0 && result == &turn, "and is joined with its result");
    ok(turn == 0, "mutex and condition passed the turn to and fro");
}

static void *count_up(void *argument)
{
    int *others = argument;

    local = (int)(intptr_t)pthread_self();
    for (int i = 0; i < COUNTS; i++) {
        pthread_mutex_lock(&mutex);
        counter++;
        pthread_mutex_unlock(&mutex);
    }
    if (local != (int)(intptr_t)pthread_self())
        __atomic_fetch_add(others, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

static void test_many_threads(void)
{
    pthread_t threads[THREADS];
    int disturbed = 0, made = 0;

    for (int i = 0; i < THREADS; i++)
        made += pthread_create(&threads[i], NULL, count_up, &disturbed) == 0;
    ok(made == THREADS, "many threads at once");
    for (int i = 0; i < made; i++)
        pthread_join(threads[i], NULL);
    ok(counter == THREADS * COUNTS, "count one by one under a mutex");
    ok(disturbed == 0 && local == 42, "each with its own thread-local variable");
}

static void *wait_at_mutex(void *argument)
{
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
    return argument;
}

static void *end_at_once(void *argument)
{
    __atomic_fetch_add((int *)argument, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

static void test_threads_one_after_another(void)
{
    uint64_t rights_before = 0, rights_after = 0, threads = 0;
    int ran = 0, good = 1;
    pthread_t thread;

    // The runtime cleans up after a thread when it makes the next one.
    (void)pthread_create(&thread, NULL, end_at_once, &ran);
    (void)pthread_join(thread, NULL);
    (void)task_info(NAME_TASK_SELF, NULL, NULL, NULL, NULL, &rights_before, NULL);
    for (int i = 0; i < 300; i++) {
        good &= pthread_create(&thread, NULL, end_at_once, &ran) == 0;
        good &= pthread_join(thread, NULL) == 0;
    }
    (void)task_info(NAME_TASK_SELF, NULL, NULL, NULL, &threads, &rights_after, NULL);
    ok(good && ran == 301, "hundreds of threads one after another");
    ok(rights_after <= rights_before + 4, "leave no rights behind");
}

static void test_detached(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    int ran = 0, made = 0;

    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    for (int i = 0; i < 20; i++)
        made += pthread_create(&thread, &attributes, end_at_once, &ran) == 0;
    for (int i = 0; i < 200 && __atomic_load_n(&ran, __ATOMIC_SEQ_CST) < made; i++)
        usleep(1000);
    ok(made == 20 && ran == made, "detached threads run and end");
}

// Threads wait at a mutex until no more can be had. Then all go, and one can be
// had again.
static void test_too_many(void)
{
    enum { MANY = RUNTIME_THREADS_MAX + 1 };
    static pthread_t threads[MANY];
    pthread_attr_t attributes;
    int made = 0, error = 0, disturbed = 0, joined = 0;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 16384);
    pthread_mutex_lock(&mutex);
    while (made < MANY && error == 0) {
        error = pthread_create(&threads[made], &attributes, wait_at_mutex, &disturbed);
        made += error == 0;
    }
    pthread_mutex_unlock(&mutex);
    ok(made > THREADS && error == EAGAIN, "threads until there is no more room for them");
    for (int i = 0; i < made; i++)
        joined += pthread_join(threads[i], NULL) == 0;
    ok(joined == made, "all of them end");
    ok(pthread_create(&threads[0], NULL, wait_at_mutex, &disturbed) == 0 &&
           pthread_join(threads[0], NULL) == 0,
       "and make room again");
}

static void test_timed_wait(void)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 10000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&mutex);
    ok(pthread_cond_timedwait(&condition, &mutex, &until) == ETIMEDOUT,
       "a wait that nobody ends times out");
    pthread_mutex_unlock(&mutex);
}

static void *sleep_for_ever(void *argument)
{
    for (;;)
        usleep(1000);
    return argument;
}

static void test_cancel(void)
{
    pthread_t thread;
    void *result = NULL;

    ok(pthread_create(&thread, NULL, sleep_for_ever, NULL) == 0 && pthread_cancel(thread) == 0 &&
           pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED,
       "a cancelled thread ends where it waits next");
}

// --- Ports -----------------------------------------------------------------------

static void *answer_one(void *argument)
{
    port_name_t receive = *(port_name_t *)argument;
    struct message message;

    if (msg_receive(&message, receive, TIMEOUT_NONE) != ERR_OK)
        return NULL;
    message.tag = 2;
    message.words[1] = message.words[0] + 1;
    message.words[0] = 0;
    (void)msg_reply(&message);
    return NULL;
}

static void test_messages(void)
{
    port_name_t receive, send;
    pthread_t thread;
    struct message message = {.id = 77, .tag = 3, .words = {1, 2, 3}}, received;

    ok(port_allocate_with_send(99, &receive, &send) == ERR_OK, "a port and a send right");
    ok(msg_receive(&received, receive, 0) == ERR_WOULD_BLOCK, "nothing to receive at once");
    ok(msg_receive(&received, receive, 2000) == ERR_TIMED_OUT, "nor within two milliseconds");
    message.destination = send;
    ok(msg_send(&message, 0) == ERR_OK, "a message is queued");
    ok(msg_receive(&received, receive, 0) == ERR_OK && received.label == 99 && received.id == 77 &&
           message_words(received.tag) == 3 && received.words[2] == 3,
       "and received as it was sent, with the port's label");
    ok(pthread_create(&thread, NULL, answer_one, &receive) == 0, "a thread receives");
    message = (struct message){.tag = 1, .destination = send, .words = {41}};
    ok(msg_rpc(&message, TIMEOUT_NONE) == ERR_OK && message.words[1] == 42, "and answers an RPC");
    pthread_join(thread, NULL);
    ok(port_deallocate(receive) == ERR_OK, "the port dies");
    message = (struct message){.tag = 1, .destination = send};
    ok(msg_rpc(&message, TIMEOUT_NONE) == ERR_PEER_DIED, "and its callers are told");
    ok(port_deallocate(send) == ERR_OK, "the dead name goes");
    ok(port_deallocate(send) == ERR_INVALID_NAME, "a stale name is caught");
}

// A thread that the runtime did not make gets its event at its first wait. A message that it has
// received by then is as it was.
static void test_first_wait(void)
{
    struct timespec moment = {.tv_nsec = 1};
    struct message message = {.tag = TAG_RIGHTS(1)};
    port_name_t receive, send;

    ok(port_allocate_with_send(0, &receive, &send) == ERR_OK && runtime_self()->event_send == 0,
       "the main thread has not waited yet");
    utcb_self()->rights[0] = copy_send(send);
    message.destination = send;
    ok(msg_send(&message, 0) == ERR_OK && msg_receive(&message, receive, 0) == ERR_OK,
       "it receives a right");
    struct message_right right = utcb_self()->rights[0];
    (void)nanosleep(&moment, NULL);
    ok(runtime_self()->event_send != 0 && utcb_self()->rights[0].name == right.name &&
           utcb_self()->rights[0].disposition == right.disposition,
       "which is still there when it has waited");
    ok(port_deallocate(right.name) == ERR_OK && port_deallocate(send) == ERR_OK &&
           port_deallocate(receive) == ERR_OK,
       "and can be given up");
}

int main(int argc, char **argv)
{
    test_first_wait();
    test_stdio(argc, argv);
    test_malloc();
    test_mmap();
    test_time();
    test_entropy();
    test_messages();
    test_server();
    test_ping_pong();
    test_many_threads();
    test_threads_one_after_another();
    test_detached();
    test_too_many();
    test_timed_wait();
    test_cancel();
    test_pager();
    printf("1..%u\n", tests);
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
