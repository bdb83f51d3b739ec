// SPDX-License-Identifier: BSD-2-Clause
// Memory objects whose pager is slow, dies or comes back; processes that are killed while they wait
// for it; pages that have to go because there are too many, and pages that everybody wants.
#include "harness_pager.h"

#include <fcntl.h>
#include <linux/io_uring.h>
#include <sys/uio.h>

static void *maps_and_unmaps(void *count)
{
    for (int i = 0; i < 200; i++) {
        void *map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        REQUIRE(map != MAP_FAILED);
        *(volatile char *)map = 1;
        SUCCEED(munmap(map, PAGE));
        ++*(volatile int *)count;
    }
    return NULL;
}

TEST(slow,
     "while a thread waits for a slow pager, its process can change its memory, and ps sees it")
{
    struct object *object = object_make(1);
    struct use use = {.object = object};
    pthread_t thread;
    int count = 0;
    use_begin(&use);
    uint64_t sequence = RECEIVE(object, MESSAGE_pager_data_request)[1];
    ZERO(pthread_create(&thread, NULL, maps_and_unmaps, &count));
    ZERO(pthread_join(thread, NULL));
    REQUIRE_EQUAL(count, 200);
    REQUIRE(strstr(read_file("/proc/self/maps"), "memory-object") != NULL);
    REQUIRE(strstr(read_file("/proc/self/cmdline"), "memobj_wait") != NULL);
    sleep_ms(1000);
    REQUIRE(!use.done);
    provide_number(object, sequence, 0, 0, 3);
    REQUIRE_EQUAL(use_end(&use), 3);
    REQUIRE(!object_receive(object, 0));
}

static void reads_word(void *object)
{
    (void)*word_of(object, 0);
}

static void reads_by_call(void *argument)
{
    struct object *object = argument;
    char byte;
    (void)pread(object->file, &byte, 1, 0);
}

TEST(killed, "kill -9 of processes that wait in a fault and in read; the answer is still taken")
{
    struct object *object = object_make(1);
    pid_t faults = child(reads_word, object), reads = child(reads_by_call, object);
    uint64_t sequence = RECEIVE(object, MESSAGE_pager_data_request)[1];
    sleep_ms(20);
    SUCCEED(kill(faults, SIGKILL));
    SUCCEED(kill(reads, SIGKILL));
    KILLED(faults, SIGKILL);
    KILLED(reads, SIGKILL);
    provide_number(object, sequence, 0, 0, 8);
    REQUIRE_EQUAL(*word_of(object, 0), 8);
    REQUIRE(!object_receive(object, 20));
    REQUIRE_EQUAL(status_of(object).nonsense, 0);
}

TEST(many_wait, "many processes wait for one page; it is asked for once, and all get it")
{
    struct object *object = object_make(1);
    pid_t pids[20];
    for (int i = 0; i < 20; i++)
        pids[i] = child(reads_word, object);
    serve_page(object, 0, ACCESS_WRITE, 1);
    for (int i = 0; i < 20; i++)
        EXITS(pids[i], 0);
    REQUIRE(!object_receive(object, 20));
}

TEST_WITHIN(limit, "a pager that never answers: SIGBUS after 30 seconds, and it is not asked again",
            60)
{
    struct object *object = object_make(1);
    uint64_t begin = now_ns();
    pid_t pid = child(reads_word, object);
    uint64_t sequence = RECEIVE(object, MESSAGE_pager_data_request)[1];
    KILLED(pid, SIGBUS);
    uint64_t seconds = (now_ns() - begin) / 1000000000;
    REQUIRE(seconds >= 29 && seconds <= 32);
    REQUIRE_EQUAL(status_of(object).timed_out, 1);
    // The next one waits for the same answer.
    struct use use = {.object = object};
    use_begin(&use);
    REQUIRE(!object_receive(object, 50));
    provide_number(object, sequence, 0, 0, 2);
    REQUIRE_EQUAL(use_end(&use), 2);
}

TEST(dies, "the pager dies: who waits and who has the page mapped gets SIGBUS at once")
{
    struct object *object = object_make(2);
    load(object, 1, 0, 4);
    pid_t pid = child(reads_word, object);
    RECEIVE(object, MESSAGE_pager_data_request);
    uint64_t begin = now_ns();
    ZERO(port_deallocate(object->receive));
    KILLED(pid, SIGBUS);
    REQUIRE(now_ns() - begin < 2000000000);
    object->map += PAGE;
    KILLED(child(reads_word, object), SIGBUS);
    char byte;
    FAIL_WITH(pread(object->file, &byte, 1, PAGE), EIO);
    FAIL_WITH(fsync(object->file), EIO);
    REQUIRE_EQUAL(status_of(object).dead, 1);
    REQUIRE_EQUAL(status_of(object).pages, 0);
    FAIL_WITH(map_object(object->send, PAGE), EPIPE);
}

TEST(restarts, "a pager that has died is there again with another port: that is a new object")
{
    struct object *object = object_make(1), *next;
    load(object, 0, 0, 4);
    ZERO(port_deallocate(object->receive));
    next = object_make(1);
    load(next, 0, 0, 5);
    REQUIRE_EQUAL(*word_of(next, 0), 5);
    pid_t pid = child(reads_word, object);
    KILLED(pid, SIGBUS);
}

static void *counts_up(void *argument)
{
    struct object *object = argument;
    for (int i = 0; i < 50; i++) {
        ++*word_of(object, 0);
        sleep_ms(2); // until it is gone again
    }
    return NULL;
}

// Takes the page away as soon as it has given it; returns how often it was asked for it.
static int give_and_take(struct object *object, unsigned *done, unsigned wanted)
{
    uint64_t page[PAGE / 8] = {0}, own = FIRST_OWN_SEQUENCE;
    int given = 0;
    while (*(volatile unsigned *)done < wanted) {
        if (!object_receive(object, 20))
            continue;
        const uint64_t *words = object->message.words;
        switch (object->message.id) {
        case MESSAGE_pager_data_request:
            given++;
            provide(object, words[1], 0, 0, 0, page, PAGE);
            flush(object, own++, 0, 1);
            break;
        case MESSAGE_pager_data_write:
            memcpy(page, object->data, PAGE);
            break;
        case MESSAGE_pager_lock_completed:
            break;
        default:
            FAIL("message 0x%x", (unsigned)object->message.id);
        }
    }
    flush(object, own, 0, 1);
    while (page[0] != 50 * wanted && object_receive(object, 1000))
        if (object->message.id == MESSAGE_pager_data_write)
            memcpy(page, object->data, PAGE);
    REQUIRE_EQUAL(page[0], 50 * wanted);
    return given;
}

static unsigned threads_done;

static void *counts_and_tells(void *object)
{
    counts_up(object);
    __atomic_fetch_add(&threads_done, 1, __ATOMIC_RELAXED);
    return NULL;
}

TEST(contended, "a page that is taken away at once each time is used at least once each time")
{
    struct object *object = object_make(1);
    pthread_t thread;
    threads_done = 0;
    ZERO(pthread_create(&thread, NULL, counts_and_tells, object));
    int given = give_and_take(object, &threads_done, 1);
    remark("50 additions; the page was given %d times", given);
    REQUIRE(given <= 60);
    ZERO(pthread_join(thread, NULL));
}

TEST(held, "a page is not taken away before who waited for it has used it, nor much later")
{
    struct object *object = object_make(1);
    uint64_t sum = 0;
    load(object, 0, 0, 1);
    sleep_ms(30);
    for (uint64_t i = 0; i < 20; i++) {
        uint64_t begin = now_ns();
        flush(object, FIRST_OWN_SEQUENCE + i, 0, 1);
        RECEIVE(object, MESSAGE_pager_lock_completed);
        sum += now_ns() - begin;
        load(object, 0, 0, 1);
        sleep_ms(30);
    }
    remark("a flush of a page that is not in use: %llu us", (unsigned long long)sum / 20000);
}

// --- Too many pages -----------------------------------------------------------------------------

#define PAGES_MAX "/sys/module/memobj/parameters/pages_max"

static struct object *served;
static uint64_t *store, written_back;
static volatile bool ends;

// A pager with a store of its own.
static void *serves(void *unused)
{
    (void)unused;
    while (!ends) {
        if (!object_receive(served, 50))
            continue;
        const uint64_t *words = served->message.words;
        uint64_t offset = words[2];
        switch (served->message.id) {
        case MESSAGE_pager_data_request:
            provide(served, words[1], offset, words[4] & ACCESS_WRITE ? 0 : ACCESS_WRITE, 0,
                    (char *)store + offset, words[3]);
            break;
        case MESSAGE_pager_data_unlock:
            lock_page(served, words[1], offset / PAGE, 0, 0);
            break;
        case MESSAGE_pager_data_write:
            memcpy((char *)store + offset, served->data, served->data_bytes);
            written_back++;
            break;
        default:
            FAIL("message 0x%x", (unsigned)served->message.id);
        }
    }
    return NULL;
}

TEST_WITHIN(evicted, "more pages than there may be: the oldest go back and come again", 60)
{
    pthread_t thread;
    size_t pages = 400;
    served = object_make(pages);
    store = SUCCEED(aligned_alloc(PAGE, pages * PAGE));
    memset(store, 0, pages * PAGE);
    write_file(PAGES_MAX, "100");
    ZERO(pthread_create(&thread, NULL, serves, NULL));
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < pages; i++) {
            REQUIRE_EQUAL(*word_of(served, i), (uint64_t)round * (i + 1));
            *word_of(served, i) += i + 1;
            REQUIRE(status_of(served).pages <= 100);
        }
    }
    struct corvus_object_status status = status_of(served);
    remark("%llu pages went, %llu of them with data", (unsigned long long)status.evicted,
           (unsigned long long)status.written);
    write_file(PAGES_MAX, "0");
    REQUIRE(status.evicted >= 3 * pages - 100);
    REQUIRE_EQUAL(status.written, written_back);
    REQUIRE(status.written >= 3 * pages - 100);
    REQUIRE_EQUAL(status.nonsense + status.late + status.lost, 0);
    ends = true;
    ZERO(pthread_join(thread, NULL));
}

TEST(stuck, "room that does not come, for the pager takes nothing back: who waits can be killed")
{
    struct object *object = object_make(64);
    for (size_t i = 0; i < 4; i++) {
        load(object, i, 0, i);
        *word_of(object, i) = 9;
    }
    sleep_ms(30);
    write_file(PAGES_MAX, "4");
    object->map += 40 * PAGE;
    pid_t pid = child(reads_word, object);
    sleep_ms(300);
    write_file(PAGES_MAX, "0");
    SUCCEED(kill(pid, SIGKILL));
    KILLED(pid, SIGKILL);
    // What had to go went with its data.
    REQUIRE_EQUAL(((uint64_t *)(RECEIVE(object, MESSAGE_pager_data_write), object->data))[0], 9);
}

// --- Memory that is used without being mapped ----------------------------------------------------

TEST(pins, "another process reads and writes memory of an object; a long-term pin is refused")
{
    struct object *object = object_make(1);
    struct io_uring_params parameters = {0};
    uint64_t value = 77;
    struct iovec local = {&value, 8}, remote = {object->map, 8};
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        _exit(process_vm_writev(parent, &local, 1, &remote, 1, 0) == 8 ? 0 : 1);
    REQUIRE_EQUAL(RECEIVE(object, MESSAGE_pager_data_request)[4], ACCESS_READ | ACCESS_WRITE);
    provide_number(object, object->message.words[1], 0, 0, 1);
    EXITS(pid, 0);
    flush(object, FIRST_OWN_SEQUENCE, 0, 1);
    RECEIVE(object, MESSAGE_pager_data_write);
    REQUIRE_EQUAL(((uint64_t *)object->data)[0], 77);
    REQUIRE_EQUAL(((uint64_t *)object->data)[1], 1);
    RECEIVE(object, MESSAGE_pager_lock_completed);
    load(object, 0, 0, 1);
    int ring = (int)SUCCEED(syscall(SYS_io_uring_setup, 4, &parameters));
    struct iovec buffer = {object->map, PAGE};
    FAIL_WITH(syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &buffer, 1),
              EOPNOTSUPP);
    REQUIRE_EQUAL(status_of(object).pinned, 0);
}
