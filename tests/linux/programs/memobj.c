// SPDX-License-Identifier: BSD-2-Clause
// Memory objects as files (CORVUS_MAP_OBJECT): what their pager hears, and what processes see.
#include "harness_pager.h"

#include <fcntl.h>

TEST(read, "a fault asks for the page once, and shows what the pager gives")
{
    struct object *object = object_make(4);
    load(object, 2, ACCESS_WRITE, 42);
    REQUIRE_EQUAL(*word_of(object, 2), 42);
    REQUIRE_EQUAL(word_of(object, 2)[511], 42);
    REQUIRE(!object_receive(object, 20));
    REQUIRE_EQUAL(status_of(object).pages, 1);
    REQUIRE_EQUAL(status_of(object).requests, 1);
}

TEST(zero, "what the pager has no data for is zero")
{
    struct object *object = object_make(1);
    struct use use = {.object = object, .value = 5};
    use_begin(&use);
    const uint64_t *words = RECEIVE(object, MESSAGE_pager_data_request);
    ZERO(pager_data_unavailable(object->request, object->incarnation, words[1], 0, PAGE, 0, 0,
                                soon()));
    REQUIRE_EQUAL(use_end(&use), 0);
    *word_of(object, 0) = 1; // nothing forbids it
    REQUIRE(!object_receive(object, 20));
}

TEST(write, "a write asks for write access; a flush brings the data back and takes the page")
{
    struct object *object = object_make(2);
    struct use use = {.object = object, .index = 1, .writes = true, .value = 7};
    use_begin(&use);
    const uint64_t *words = RECEIVE(object, MESSAGE_pager_data_request);
    REQUIRE_EQUAL(words[2], PAGE);
    REQUIRE_EQUAL(words[3], PAGE);
    REQUIRE_EQUAL(words[4], ACCESS_READ | ACCESS_WRITE);
    provide_number(object, words[1], PAGE, 0, 3);
    use_end(&use);
    flush(object, FIRST_OWN_SEQUENCE, 0, 2);
    words = RECEIVE(object, MESSAGE_pager_data_write);
    REQUIRE_EQUAL(words[1], FIRST_OWN_SEQUENCE);
    REQUIRE_EQUAL(words[2], PAGE);
    REQUIRE_EQUAL(words[3], 0);
    REQUIRE_EQUAL(words[4], 1);
    REQUIRE_EQUAL(object->data_bytes, PAGE);
    REQUIRE_EQUAL(((uint64_t *)object->data)[0], 7);
    REQUIRE_EQUAL(((uint64_t *)object->data)[1], 3);
    words = RECEIVE(object, MESSAGE_pager_lock_completed);
    REQUIRE_EQUAL(words[1], FIRST_OWN_SEQUENCE);
    REQUIRE_EQUAL(words[2], 0);
    REQUIRE_EQUAL(words[3], 2 * PAGE);
    REQUIRE_EQUAL(words[4], 0);
    REQUIRE_EQUAL(status_of(object).pages, 0);
    load(object, 1, 0, 8);
}

TEST(flush_clean, "a page that was not changed is dropped without data; a precious one is not")
{
    struct object *object = object_make(2);
    static uint8_t zeroes[PAGER_DATA_MAX];
    load(object, 0, 0, 1);
    flush(object, FIRST_OWN_SEQUENCE, 0, 1);
    REQUIRE_EQUAL(RECEIVE(object, MESSAGE_pager_lock_completed)[4], 0);
    struct use use = {.object = object, .index = 1};
    use_begin(&use);
    const uint64_t *words = RECEIVE(object, MESSAGE_pager_data_request);
    provide(object, words[1], words[2], 0, PAGER_PRECIOUS, zeroes, PAGE);
    use_end(&use);
    flush(object, FIRST_OWN_SEQUENCE + 1, 1, 1);
    words = RECEIVE(object, MESSAGE_pager_data_write);
    REQUIRE_EQUAL(words[4], 0);
    RECEIVE(object, MESSAGE_pager_lock_completed);
}

TEST(whole, "a flush of the whole object")
{
    struct object *object = object_make(200);
    for (size_t i = 0; i < 200; i += 50)
        load(object, i, 0, i);
    *word_of(object, 100) = 77;
    flush(object, FIRST_OWN_SEQUENCE, 0, 0);
    REQUIRE_EQUAL(RECEIVE(object, MESSAGE_pager_data_write)[2], 100 * PAGE);
    REQUIRE_EQUAL(RECEIVE(object, MESSAGE_pager_lock_completed)[3], 0);
    REQUIRE_EQUAL(status_of(object).pages, 0);
}

TEST(upgrade, "a write to a page that may only be read asks for the access, not for the data")
{
    struct object *object = object_make(1);
    load(object, 0, ACCESS_WRITE, 9);
    struct use use = {.object = object, .writes = true, .value = 10};
    use_begin(&use);
    const uint64_t *words = RECEIVE(object, MESSAGE_pager_data_unlock);
    REQUIRE_EQUAL(words[2], 0);
    REQUIRE_EQUAL(words[3], PAGE);
    REQUIRE_EQUAL(words[4], ACCESS_READ | ACCESS_WRITE);
    sleep_ms(20);
    REQUIRE(!use.done);
    REQUIRE_EQUAL(*word_of(object, 0), 9); // others go on reading
    lock_page(object, words[1], 0, 0, 0);
    use_end(&use);
    REQUIRE_EQUAL(*word_of(object, 0), 10);
    REQUIRE_EQUAL(word_of(object, 0)[1], 9);
    REQUIRE_EQUAL(status_of(object).unlocks, 1);
}

TEST(upgrade_lost, "the page is taken away while it is asked for more access: data answer")
{
    struct object *object = object_make(1);
    load(object, 0, ACCESS_WRITE, 9);
    struct use use = {.object = object, .writes = true, .value = 10};
    use_begin(&use);
    uint64_t sequence = RECEIVE(object, MESSAGE_pager_data_unlock)[1];
    flush(object, FIRST_OWN_SEQUENCE, 0, 1);
    REQUIRE_EQUAL(RECEIVE(object, MESSAGE_pager_lock_completed)[4], 0);
    sleep_ms(20);
    REQUIRE(!use.done);
    provide_number(object, sequence, 0, 0, 11);
    use_end(&use);
    REQUIRE_EQUAL(*word_of(object, 0), 10);
    REQUIRE_EQUAL(word_of(object, 0)[1], 11);
    REQUIRE(!object_receive(object, 20));
}

TEST(lock, "write access is taken away, with and without the data")
{
    struct object *object = object_make(1);
    load(object, 0, 0, 1);
    *word_of(object, 0) = 2;
    lock_page(object, FIRST_OWN_SEQUENCE, 0, ACCESS_WRITE, PAGER_RETURN | PAGER_COMPLETE);
    const uint64_t *words = RECEIVE(object, MESSAGE_pager_data_write);
    REQUIRE_EQUAL(words[3], 1); // it is kept
    REQUIRE_EQUAL(((uint64_t *)object->data)[0], 2);
    REQUIRE_EQUAL(RECEIVE(object, MESSAGE_pager_lock_completed)[4], 1);
    REQUIRE_EQUAL(*word_of(object, 0), 2);
    struct use use = {.object = object, .writes = true, .value = 3};
    use_begin(&use);
    words = RECEIVE(object, MESSAGE_pager_data_unlock);
    lock_page(object, words[1], 0, 0, 0);
    use_end(&use);
    lock_page(object, FIRST_OWN_SEQUENCE + 1, 0, ACCESS_WRITE, PAGER_COMPLETE);
    REQUIRE_EQUAL(RECEIVE(object, MESSAGE_pager_lock_completed)[4], 1);
    flush(object, FIRST_OWN_SEQUENCE + 2, 0, 1);
    RECEIVE(object, MESSAGE_pager_data_write);
    REQUIRE_EQUAL(((uint64_t *)object->data)[0], 3);
    RECEIVE(object, MESSAGE_pager_lock_completed);
}

TEST(lock_all, "a page without any access is kept, and read again when that is allowed")
{
    struct object *object = object_make(1);
    load(object, 0, 0, 5);
    lock_page(object, FIRST_OWN_SEQUENCE, 0, ACCESS_ALL, PAGER_COMPLETE);
    REQUIRE_EQUAL(RECEIVE(object, MESSAGE_pager_lock_completed)[4], 1);
    struct use use = {.object = object};
    use_begin(&use);
    const uint64_t *words = RECEIVE(object, MESSAGE_pager_data_unlock);
    REQUIRE_EQUAL(words[4], ACCESS_READ);
    lock_page(object, FIRST_OWN_SEQUENCE + 1, 0, ACCESS_WRITE,
              0); // its own wish, before it answers
    lock_page(object, words[1], 0, ACCESS_WRITE, 0);
    REQUIRE_EQUAL(use_end(&use), 5);
}

TEST(clean, "changed data come back, and the page stays and can be written")
{
    struct object *object = object_make(2);
    load(object, 0, 0, 1);
    load(object, 1, 0, 1);
    for (uint64_t i = 0; i < 3; i++) {
        *word_of(object, 0) = 100 + i;
        ZERO(pager_clean_request(object->request, object->incarnation, FIRST_OWN_SEQUENCE + i, 0,
                                 2 * PAGE, soon()));
        const uint64_t *words = RECEIVE(object, MESSAGE_pager_data_write);
        REQUIRE_EQUAL(words[2], 0);
        REQUIRE_EQUAL(words[3], 1);
        REQUIRE_EQUAL(((uint64_t *)object->data)[0], 100 + i);
        REQUIRE_EQUAL(RECEIVE(object, MESSAGE_pager_lock_completed)[4], 3);
    }
    REQUIRE(!object_receive(object, 20));
}

static void *loads(void *argument)
{
    return (void *)*word_of(argument, 0);
}

static void dies_of_bus(void *object)
{
    (void)loads(object);
}

TEST(error, "an error is SIGBUS, or EIO for read; the next fault asks again")
{
    struct object *object = object_make(1);
    pid_t pid = child(dies_of_bus, object);
    uint64_t sequence = RECEIVE(object, MESSAGE_pager_data_request)[1];
    ZERO(pager_data_error(object->request, object->incarnation, sequence, 0, PAGE, ERR_NOT_FOUND,
                          soon()));
    KILLED(pid, SIGBUS);
    REQUIRE_EQUAL(status_of(object).errors, 1);
    load(object, 0, ACCESS_WRITE, 3);
    pid = child(dies_of_bus, object); // it is there now
    EXITS(pid, 0);
}

static void reads_error(void *argument)
{
    struct object *object = argument;
    char byte;
    FAIL_WITH(pread(object->file, &byte, 1, 0), EIO);
}

TEST(error_read, "an error is EIO for read, and SIGBUS for a write to a page that is read")
{
    struct object *object = object_make(2);
    pid_t pid = child(reads_error, object);
    uint64_t sequence = RECEIVE(object, MESSAGE_pager_data_request)[1];
    ZERO(pager_data_error(object->request, object->incarnation, sequence, 0, PAGE, ERR_NOT_FOUND,
                          soon()));
    EXITS(pid, 0);
}

static void writes_word(void *argument)
{
    *word_of(argument, 0) = 1;
}

TEST(error_unlock, "write access that is refused is SIGBUS, and the page can still be read")
{
    struct object *object = object_make(1);
    load(object, 0, ACCESS_WRITE, 6);
    pid_t pid = child(writes_word, object);
    uint64_t sequence = RECEIVE(object, MESSAGE_pager_data_unlock)[1];
    ZERO(pager_data_error(object->request, object->incarnation, sequence, 0, PAGE,
                          ERR_ACCESS_DENIED, soon()));
    KILLED(pid, SIGBUS);
    REQUIRE_EQUAL(*word_of(object, 0), 6);
}

TEST(refused, "a pager that does not want us: SIGBUS, and nobody else can open it")
{
    struct object *object = object_make(1);
    ZERO(
        pager_data_error(object->request, object->incarnation, 0, 0, 0, ERR_ACCESS_DENIED, soon()));
    EXITS(child(reads_error, object), 0);
    KILLED(child(dies_of_bus, object), SIGBUS);
    FAIL_WITH(map_object(object->send, PAGE), EACCES);
    REQUIRE_EQUAL(status_of(object).dead, 1);
}

TEST(files, "read and write, over pages and up to the end")
{
    struct object *object = object_make(3);
    static uint8_t bytes[3 * PAGE], back[3 * PAGE];
    for (size_t i = 0; i < 3; i++)
        load(object, i, 0, i);
    fill_pattern(bytes, sizeof bytes, 3);
    REQUIRE_EQUAL(pwrite(object->file, bytes, 5000, 2000), 5000);
    REQUIRE_EQUAL(pread(object->file, back, 9000, 0), 9000);
    REQUIRE(memcmp(back + 2000, bytes, 5000) == 0);
    REQUIRE(memcmp(object->map + 2000, bytes, 5000) == 0);
    REQUIRE_EQUAL(back[1999], 0);
    REQUIRE_EQUAL(pread(object->file, back, PAGE, 3 * PAGE - 10), 10);
    REQUIRE_EQUAL(pread(object->file, back, PAGE, 3 * PAGE), 0);
    REQUIRE_EQUAL(pwrite(object->file, back, 100, 3 * PAGE - 10), 10);
    FAIL_WITH(pwrite(object->file, back, 1, 3 * PAGE), ENOSPC);
    REQUIRE_EQUAL(lseek(object->file, 0, SEEK_END), 3 * PAGE);
    // From and to the object itself.
    REQUIRE_EQUAL(pwrite(object->file, object->map + 2000, 4000, 4000), 4000);
    REQUIRE(memcmp(object->map + 4000, bytes, 2000) == 0);
}

static void *syncs(void *argument)
{
    return (void *)(uintptr_t)fsync(((struct object *)argument)->file);
}

TEST(fsync, "fsync and msync send changed data back, and wait for the pager to take them")
{
    struct object *object = object_make(2);
    pthread_t thread;
    void *result;
    load(object, 0, 0, 1);
    load(object, 1, 0, 1);
    *word_of(object, 1) = 5;
    ZERO(pthread_create(&thread, NULL, syncs, object));
    const uint64_t *words = RECEIVE(object, MESSAGE_pager_data_write);
    REQUIRE_EQUAL(words[1], 0);
    REQUIRE_EQUAL(words[2], PAGE);
    REQUIRE_EQUAL(words[3], 1);
    REQUIRE_EQUAL(((uint64_t *)object->data)[0], 5);
    ZERO(pthread_join(thread, &result));
    REQUIRE(result == NULL);
    SUCCEED(msync(object->map, 2 * PAGE, MS_SYNC)); // nothing to do
    REQUIRE(!object_receive(object, 20));
}

TEST(shared, "two files of one object show the same pages")
{
    struct object *object = object_make(2);
    int other = SUCCEED(map_object(object->send, 2 * PAGE));
    volatile uint64_t *map =
        SUCCEED(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, other, 0));
    load(object, 0, 0, 4);
    REQUIRE_EQUAL(*map, 4);
    *map = 5;
    REQUIRE_EQUAL(*word_of(object, 0), 5);
    SUCCEED(close(object->file));
    SUCCEED(munmap(object->map, object->size));
    REQUIRE(!object_receive(object, 20));
    SUCCEED(munmap((void *)map, PAGE));
    SUCCEED(close(other));
    RECEIVE(object, MESSAGE_pager_data_write);
    RECEIVE(object, MESSAGE_pager_terminate);
}

TEST(private, "a private mapping copies when it is written")
{
    struct object *object = object_make(1);
    volatile uint64_t *own =
        SUCCEED(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, object->file, 0));
    load(object, 0, ACCESS_WRITE, 4);
    own[0] = 5;
    REQUIRE_EQUAL(own[1], 4);
    REQUIRE_EQUAL(*word_of(object, 0), 4);
    flush(object, FIRST_OWN_SEQUENCE, 0, 1);
    RECEIVE(object, MESSAGE_pager_lock_completed);
    REQUIRE_EQUAL(own[0], 5);
}

TEST(again, "closed and opened again it is another incarnation, and nothing is cached")
{
    struct object *object = object_make(1);
    uint64_t before = object->incarnation;
    load(object, 0, 0, 1);
    SUCCEED(munmap(object->map, PAGE));
    SUCCEED(close(object->file));
    RECEIVE(object, MESSAGE_pager_terminate);
    object->file = SUCCEED(map_object(object->send, PAGE));
    object_map(object);
    take_init(object);
    REQUIRE(object->incarnation != before);
    load(object, 0, 0, 2);
}

TEST(cache, "pages are kept without a user, if the pager says so, until it says otherwise")
{
    struct object *object = object_make(1);
    ZERO(pager_cache(object->request, object->incarnation, PAGER_CACHE_KEEP, soon()));
    load(object, 0, 0, 1);
    SUCCEED(munmap(object->map, PAGE));
    SUCCEED(close(object->file));
    REQUIRE(!object_receive(object, 50));
    object->file = SUCCEED(map_object(object->send, PAGE));
    object_map(object);
    REQUIRE_EQUAL(*word_of(object, 0), 1);
    SUCCEED(munmap(object->map, PAGE));
    SUCCEED(close(object->file));
    ZERO(pager_cache(object->request, object->incarnation, PAGER_CACHE_NOT, soon()));
    RECEIVE(object, MESSAGE_pager_terminate);
}

static void forget_file(struct object *object)
{
    SUCCEED(munmap(object->map, object->size));
    SUCCEED(close(object->file));
}

static void open_again(struct object *object)
{
    object->file = SUCCEED(map_object(object->send, object->size));
    object_map(object);
}

TEST(idle, "without a user it is idle, says so, and takes no other one until it may")
{
    struct object *object = object_make(2);
    ZERO(pager_cache(object->request, object->incarnation, PAGER_CACHE_IDLE, soon()));
    load(object, 0, 0, 1);
    REQUIRE(!object_receive(object, 20)); // it is in use
    *word_of(object, 0) = 9;
    forget_file(object);
    RECEIVE(object, MESSAGE_pager_idle);
    REQUIRE_EQUAL(map_object(object->send, PAGE), -1);
    REQUIRE_EQUAL(errno, ENOENT);
    ZERO(pager_cache(object->request, object->incarnation, PAGER_CACHE_KEEP, soon()));
    sleep_ms(20);
    open_again(object);
    REQUIRE_EQUAL(*word_of(object, 0), 9);
    forget_file(object);
    ZERO(pager_cache(object->request, object->incarnation, PAGER_CACHE_IDLE, soon()));
    RECEIVE(object, MESSAGE_pager_idle);
    ZERO(pager_cache(object->request, object->incarnation, PAGER_CACHE_IDLE, soon()));
    REQUIRE(!object_receive(object, 20)); // it knows
    flush(object, FIRST_OWN_SEQUENCE, 0, 2);
    REQUIRE_EQUAL(RECEIVE(object, MESSAGE_pager_data_write)[4], 1);
    RECEIVE(object, MESSAGE_pager_lock_completed);
    RECEIVE(object, MESSAGE_pager_terminate); // nothing is cached
}

TEST(idle_end, "what is idle goes with its object, and sends nothing back")
{
    for (int i = 0; i < 600; i++) { // more than there may be
        struct object *object = object_make(1);
        ZERO(pager_cache(object->request, object->incarnation, PAGER_CACHE_IDLE, soon()));
        load(object, 0, 0, 1); // which is heard behind that
        *word_of(object, 0) = 9;
        forget_file(object);
        RECEIVE(object, MESSAGE_pager_idle);
        ZERO(task_deallocate_right(NAME_TASK_SELF, object->receive));
        free(object);
    }
}

// Uses page after page: the pager is asked for more and more of them at once.
static void use_in_order(bool writes)
{
    struct object *object = object_make(64);
    static uint64_t pages[PAGER_DATA_MAX / 8];
    struct use use = {.object = object, .writes = writes};
    uint64_t most = 0;
    for (size_t at = 0; at < 64;) {
        use.index = use.value = at;
        use_begin(&use);
        const uint64_t *words = RECEIVE(object, MESSAGE_pager_data_request);
        uint64_t count = words[3] / PAGE;
        REQUIRE_EQUAL(words[2], at * PAGE);
        REQUIRE_EQUAL(words[4], writes ? ACCESS_READ | ACCESS_WRITE : ACCESS_READ);
        REQUIRE(count >= 1 && at + count <= 64);
        most = count > most ? count : most;
        if (count > 3)
            count--; // less is enough
        for (size_t i = 0; i < count * PAGE / 8; i++)
            pages[i] = at + i / (PAGE / 8);
        provide(object, words[1], words[2], writes ? 0 : ACCESS_WRITE, 0, pages, count * PAGE);
        REQUIRE_EQUAL(use_end(&use), at);
        at += count;
    }
    REQUIRE_EQUAL(most, 16);
    for (size_t at = 0; at < 64; at++) {
        REQUIRE_EQUAL(*word_of(object, at), at);
        if (writes)
            *word_of(object, at) = 100 + at;
    }
    REQUIRE(!object_receive(object, 20));
}

TEST(ahead, "reading on and on asks for several pages at once, and takes as many as come")
{
    use_in_order(false);
}

TEST(ahead_writing, "writing on and on, too")
{
    use_in_order(true);
}

// Data of these pages, changed to 100 + index, come in one message.
static void receive_pages(struct object *object, uint64_t sequence, size_t first, size_t count,
                          bool kept)
{
    const uint64_t *words = RECEIVE(object, MESSAGE_pager_data_write);
    REQUIRE_EQUAL(words[1], sequence);
    REQUIRE_EQUAL(words[2], first * PAGE);
    REQUIRE_EQUAL(words[3], kept);
    REQUIRE_EQUAL(words[4], 1);
    REQUIRE_EQUAL(object->data_bytes, count * PAGE);
    for (size_t i = 0; i < count; i++) {
        const uint64_t *page = (const uint64_t *)object->data + i * (PAGE / 8);
        REQUIRE_EQUAL(page[0], 100 + first + i);
        REQUIRE_EQUAL(page[1], first + i);
    }
}

TEST(together, "neighbours that the pager asks for at once come back in one message, up to 16")
{
    struct object *object = object_make(40);
    for (size_t i = 0; i < 40; i++)
        load(object, i, 0, i);
    for (uint64_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < 40; i++)
            if (i != 4)
                *word_of(object, i) = 100 + i;
        sleep_ms(30); // nobody waits for them any more
        if (round == 0)
            ZERO(pager_clean_request(object->request, object->incarnation, FIRST_OWN_SEQUENCE, 0,
                                     40 * PAGE, soon()));
        else
            flush(object, FIRST_OWN_SEQUENCE + 1, 0, 40);
        receive_pages(object, FIRST_OWN_SEQUENCE + round, 0, 4, round == 0);
        receive_pages(object, FIRST_OWN_SEQUENCE + round, 5, 16, round == 0);
        receive_pages(object, FIRST_OWN_SEQUENCE + round, 21, 16, round == 0);
        receive_pages(object, FIRST_OWN_SEQUENCE + round, 37, 3, round == 0);
        REQUIRE_EQUAL(RECEIVE(object, MESSAGE_pager_lock_completed)[4],
                      round == 0 ? (1ull << 40) - 1 : 0);
    }
    REQUIRE_EQUAL(status_of(object).written, 2 * 39);
    REQUIRE_EQUAL(status_of(object).pages, 0);
}

TEST(system_calls, "system calls that read or write memory of an object wait for it")
{
    struct object *object = object_make(2);
    int ends[2];
    SUCCEED(pipe(ends));
    struct use use = {.object = object};
    SUCCEED(write(ends[1], "12345678", 8));
    load(object, 1, ACCESS_WRITE, 0);
    // A page that is mapped for reading, and one that is not there.
    for (size_t index = 2; index-- > 0;) {
        pid_t pid = fork();
        if (pid == 0) {
            SUCCEED(write(ends[1], "12345678", 8));
            _exit(read(ends[0], (void *)word_of(object, index), 8) == 8 ? 0 : 1);
        }
        const uint64_t *words =
            RECEIVE(object, index == 1 ? MESSAGE_pager_data_unlock : MESSAGE_pager_data_request);
        REQUIRE_EQUAL(words[4], ACCESS_READ | ACCESS_WRITE);
        if (index == 1)
            lock_page(object, words[1], 1, 0, 0);
        else
            provide_number(object, words[1], 0, 0, 0);
        EXITS(pid, 0);
        REQUIRE(memcmp((void *)word_of(object, index), "12345678", 8) == 0);
    }
    (void)use;
}
