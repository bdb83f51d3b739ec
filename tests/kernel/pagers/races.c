// SPDX-License-Identifier: BSD-2-Clause
// What crosses on its way: eviction, flush, lock and termination with a fault; answers in another
// order than the requests; a pager that is slow.
#include "pagers_test.h"

#define PAGES 8u
#define OWN   PAGER_SEQUENCE_OWN

static void other_order(void)
{
    struct hand_pager pager;
    struct access one, two, three;
    struct said said[3];

    ok(hand_open(&pager, PAGES, 0), "an object");
    access_start(&one, pager.address, false, 0);
    said[0] = hand_receive(&pager, 2000);
    access_start(&two, pager.address + PAGE_BYTES, false, 0);
    said[1] = hand_receive(&pager, 2000);
    access_start(&three, pager.address + 2 * PAGE_BYTES, false, 0);
    said[2] = hand_receive(&pager, 2000);
    for (unsigned i = 3; i-- > 0;)
        (void)hand_provide(&pager, said[i].words[1], i * PAGE_BYTES, 70 + i, 0, 0);
    access_end(&one);
    access_end(&two);
    access_end(&three);
    ok(one.value == 70 && two.value == 71 && three.value == 72,
       "three requests, answered in the other order");
    hand_close(&pager, PAGES);
}

static void slow(void)
{
    struct hand_pager pager, quick = {0};
    struct access waits, served;
    struct said said;

    ok(hand_open(&pager, PAGES, 0) && hand_open(&quick, PAGES, 0), "two objects");
    access_start(&waits, pager.address, false, 0);
    said = hand_receive(&pager, 2000);
    uint64_t begin = clock_now_ns();
    bool right = true;
    for (unsigned i = 0; i < PAGES; i++) {
        access_start(&served, quick.address + i * PAGE_BYTES, false, 0);
        struct said other = hand_receive(&quick, 2000);
        (void)hand_provide(&quick, other.words[1], i * PAGE_BYTES, i, 0, 0);
        access_end(&served);
        right &= served.error == ERR_OK && served.value == i;
        (void)hand_receive(&pager, 50); // time goes by
    }
    right &= clock_now_ns() - begin > PAGES * 40 * 1000000ull;
    (void)hand_provide(&pager, said.words[1], 0, 9, 0, 0);
    access_end(&waits);
    ok(right && waits.error == ERR_OK && waits.value == 9,
       "a slow pager: others are served, and its answer counts");
    hand_close(&pager, PAGES);
    hand_close(&quick, PAGES);
}

static void flush_and_request(void)
{
    struct hand_pager pager;
    struct access access;
    uint64_t value = 0;

    ok(hand_open(&pager, PAGES, 0), "an object");
    access_start(&access, pager.address, false, 0);
    struct said said = hand_receive(&pager, 2000);
    (void)pager_flush_request(pager.request, pager.incarnation, OWN | 1, 0, 0, DEADLINE_NONE);
    struct said done = hand_receive(&pager, 2000);
    ok(done.id == MESSAGE_pager_lock_completed && done.words[4] == 0,
       "a flush crosses a request: nothing was cached");
    (void)hand_provide(&pager, said.words[1], 0, 11, 0, 0);
    access_end(&access);
    ok(access.value == 11, "the answer that comes behind it is new, and counts");
    (void)pager_flush_request(pager.request, pager.incarnation, OWN | 2, 0, 0, DEADLINE_NONE);
    ok(hand_receive(&pager, 2000).id == MESSAGE_pager_lock_completed, "flushed, it is gone");
    access_start(&access, pager.address, false, 0);
    said = hand_receive(&pager, 2000);
    ok(said.id == MESSAGE_pager_data_request, "and asked for anew");
    (void)hand_provide(&pager, said.words[1], 0, 12, 0, 0);
    access_end(&access);
    (void)read_word(pager.address, &value);
    ok(value == 12, "which brings the new contents");
    hand_close(&pager, PAGES);
}

static void lock_and_unlock(void)
{
    struct hand_pager pager;
    struct access access;
    uint64_t value = 0;

    ok(hand_open(&pager, PAGES, 0), "an object");
    access_start(&access, pager.address, false, 0);
    struct said said = hand_receive(&pager, 2000);
    (void)hand_provide(&pager, said.words[1], 0, 20, ACCESS_WRITE, 0);
    access_end(&access);
    access_start(&access, pager.address, true, 21);
    said = hand_receive(&pager, 2000);
    // The pager has forbidden all before it hears of that.
    (void)pager_data_lock(pager.request, pager.incarnation, OWN | 1, 0, PAGE_BYTES,
                          ACCESS_READ | ACCESS_WRITE, PAGER_COMPLETE, DEADLINE_NONE);
    struct said done = hand_receive(&pager, 2000);
    ok(said.id == MESSAGE_pager_data_unlock && done.id == MESSAGE_pager_lock_completed &&
           done.words[4] == 1,
       "a lock crosses the request to unlock");
    (void)pager_data_lock(pager.request, pager.incarnation, said.words[1], 0, PAGE_BYTES, 0, 0,
                          DEADLINE_NONE);
    access_end(&access);
    ok(access.error == ERR_OK && read_word(pager.address, &value) == ERR_OK && value == 21,
       "the answer unlocks all the same");
    hand_close(&pager, PAGES);
}

// A page that has been evicted is asked for while what it contained is still on its way: the pager
// must hear of the contents first.
static void eviction_and_fault(void)
{
    struct hand_pager pager;
    struct access access;
    uint64_t at = 0;
    bool right = true;

    ok(hand_open(&pager, 1, 0), "an object");
    access_start(&access, pager.address, true, 30);
    struct said said = hand_receive(&pager, 2000);
    (void)hand_provide(&pager, said.words[1], 0, 0, 0, 0);
    access_end(&access);
    (void)vm_allocate(map, 0, 400 * PAGE_BYTES, VM_ANYWHERE, &at);
    for (uint64_t round = 0; round < 2; round++)
        for (uint64_t i = 0; i < 400; i++)
            right &= write_word(at + i * PAGE_BYTES, i) == ERR_OK;
    // Nothing has been taken yet.
    access_start(&access, pager.address, false, 0);
    said = hand_receive(&pager, 2000);
    ok(right && said.id == MESSAGE_pager_data_write && said.first_word == 30 && said.words[3] == 0,
       "a fault on a page that is being evicted: its contents come first");
    said = hand_receive(&pager, 2000);
    (void)hand_provide(&pager, said.words[1], 0, 30, 0, 0);
    access_end(&access);
    ok(said.id == MESSAGE_pager_data_request && access.value == 30, "then the request");
    (void)vm_deallocate(map, at, 400 * PAGE_BYTES);
    hand_close(&pager, 1);
}

struct late {
    pthread_t thread;
    port_name_t map;
    uint64_t address;
    corvus_error_t error;
};

static void *read_late(void *argument)
{
    struct late *late = argument;
    uint64_t value;
    size_t bytes = sizeof value;

    late->error = vm_read(late->map, late->address, sizeof value, &value, &bytes);
    return NULL;
}

// The object ends, by its pager, or the task, by its map, while a fault waits.
static void ends_and_fault(void)
{
    struct hand_pager pager;
    struct access access;
    struct late late;
    port_name_t task = PORT_NULL, child_pager = PORT_NULL;

    ok(hand_open(&pager, PAGES, 0), "an object");
    access_start(&access, pager.address, false, 0);
    (void)hand_receive(&pager, 2000);
    (void)pager_data_error(pager.request, pager.incarnation, 0, 0, 0, ERR_NOT_FOUND, DEADLINE_NONE);
    access_end(&access);
    ok(access.error == ERR_NOT_FOUND, "the object is refused while a page of it is awaited");
    hand_close(&pager, PAGES);
    ok(hand_open(&pager, PAGES, 0), "an object again");
    (void)vm_inherit(map, pager.address, PAGES * PAGE_BYTES, VM_INHERITANCE_SHARE);
    ok(vm_fork(map, 256 << 10, &task, &late.map, &child_pager) == ERR_OK, "a child that shares it");
    late.address = pager.address;
    uint64_t maps = numbers().maps;
    (void)pthread_create(&late.thread, NULL, read_late, &late);
    struct said said = hand_receive(&pager, 2000);
    (void)task_terminate(task);
    (void)pthread_join(late.thread, NULL);
    ok(said.id == MESSAGE_pager_data_request && late.error != ERR_OK && numbers().maps == maps - 1,
       "a task that ends while a page of it is awaited");
    (void)hand_provide(&pager, said.words[1], 0, 40, 0, 0);
    uint64_t value = 0;
    ok(read_word(pager.address, &value) == ERR_OK && value == 40, "its page is there for others");
    (void)port_deallocate(task);
    (void)port_deallocate(late.map);
    (void)port_deallocate(child_pager);
    hand_close(&pager, PAGES);
}

void test_races(void)
{
    other_order();
    slow();
    flush_and_request();
    lock_and_unlock();
    eviction_and_fault();
    ends_and_fault();
}
