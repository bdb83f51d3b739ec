// SPDX-License-Identifier: BSD-2-Clause
// The ways in which external paging is known to deadlock, each by name. None may stop the server:
// after each, an object of another pager is read.
#include "pagers_test.h"

#include <string.h>

#define SHORT (300ull * 1000000) // nanoseconds

static bool server_lives(void)
{
    static uint64_t page = 600;
    uint64_t value = 0, at = map_object(example, 1, page * PAGE_BYTES, 0, 0);
    bool lives = at != 0 && read_word(at, &value) == ERR_OK && value == page;

    page++;
    return vm_deallocate(map, at, PAGE_BYTES) == ERR_OK && lives;
}

static void own_object(void)
{
    struct hand_pager pager;
    uint64_t value;

    // The pager's only thread needs a page of its own object.
    ok(hand_open(&pager, 1, SHORT) && read_word(pager.address, &value) == ERR_TIMED_OUT &&
           server_lives(),
       "a pager that faults on its own object");
    hand_close(&pager, 1);
}

static void two_pagers(void)
{
    struct hand_pager one = {0}, other = {0};
    struct access a, b;

    ok(hand_open(&one, 1, SHORT) && hand_open(&other, 1, SHORT), "two objects");
    // Each pager's thread waits for a page of the other's object.
    access_start(&a, one.address, false, 0);
    access_start(&b, other.address, false, 0);
    access_end(&a);
    access_end(&b);
    ok(a.error == ERR_TIMED_OUT && b.error == ERR_TIMED_OUT && server_lives(),
       "two pagers mapping each other's objects");
    hand_close(&one, 1);
    hand_close(&other, 1);
}

static void own_buffer(void)
{
    struct hand_pager pager;
    struct access access;
    struct message message;

    ok(hand_open(&pager, 2, SHORT), "an object");
    access_start(&access, pager.address, false, 0);
    struct said said = hand_receive(&pager, 2000);
    (void)hand_provide(&pager, said.words[1], 0, 1, 0, 0);
    access_end(&access);
    (void)write_word(pager.address, 2);
    (void)pager_flush_request(pager.request, pager.incarnation, PAGER_SEQUENCE_OWN | 1, 0, 0,
                              DEADLINE_NONE);
    // The data are to arrive in a page of the same object, which is not there.
    utcb_self()->copy_buffers[0] =
        message_buffer((void *)(uintptr_t)(pager.address + PAGE_BYTES), PAGE_BYTES);
    corvus_error_t error = msg_receive(&message, pager.receive, 1000 * 1000);
    utcb_self()->copy_buffers[0].length = 0;
    note("receiving: error %d, id 0x%x", error, (unsigned)message.id);
    ok(server_lives(), "a pager's message buffers paged by itself");
    hand_close(&pager, 2);
}

#define FEW 24u

static void full_queue(void)
{
    struct hand_pager pager;
    struct access access;
    unsigned got = 0, writes = 0;

    ok(hand_open(&pager, FEW + 1, 0), "an object");
    for (unsigned i = 0; i < FEW; i++) {
        access_start(&access, pager.address + i * PAGE_BYTES, true, i);
        struct said said = hand_receive(&pager, 2000);
        got += hand_provide(&pager, said.words[1], i * PAGE_BYTES, 0, 0, 0) == ERR_OK;
        access_end(&access);
    }
    // The pager takes nothing, and asks for all to be written back; then it wants to be heard.
    (void)pager_flush_request(pager.request, pager.incarnation, PAGER_SEQUENCE_OWN | 1, 0, 0,
                              DEADLINE_NONE);
    ok(got == FEW && server_lives(), "data_write waits for a full queue: others are served");
    access_start(&access, pager.address + FEW * PAGE_BYTES, false, 0);
    uint64_t sequence = 0;
    while (sequence == 0) {
        struct said said = hand_receive(&pager, 2000);
        writes += said.id == MESSAGE_pager_data_write;
        sequence = said.id == MESSAGE_pager_data_request ? said.words[1] : 0;
        if (said.id == 0)
            break;
    }
    (void)hand_provide(&pager, sequence, FEW * PAGE_BYTES, 5, 0, 0);
    access_end(&access);
    ok(writes == FEW && access.error == ERR_OK && access.value == 5,
       "data_write waiting for a full queue while the pager waits for data");
    hand_close(&pager, FEW + 1);
}

static void in_flight(void)
{
    struct hand_pager pager;
    struct access access;
    uint64_t at = 0;
    bool right = true;

    ok(hand_open(&pager, 1, 0), "an object");
    access_start(&access, pager.address, false, 0);
    struct said said = hand_receive(&pager, 2000);
    // While the request is in flight all other memory is turned over twice.
    (void)vm_allocate(map, 0, 400 * PAGE_BYTES, VM_ANYWHERE, &at);
    for (uint64_t round = 0; round < 2; round++)
        for (uint64_t i = 0; i < 400; i++)
            right &= write_word(at + i * PAGE_BYTES, i) == ERR_OK;
    (void)hand_provide(&pager, said.words[1], 0, 6, 0, 0);
    access_end(&access);
    ok(right && access.error == ERR_OK && access.value == 6,
       "eviction of a page whose request is in flight");
    (void)vm_deallocate(map, at, 400 * PAGE_BYTES);
    hand_close(&pager, 1);
}

#define DIRTY 400u // pages, of which the server has 192

static void no_page_free(void)
{
    struct hand_pager pager;
    uint64_t at = 0, value = 0;
    bool right = true;

    // All memory is changed pages, so each one needs that another is paged out first, though no
    // page is free: neither server nor default pager may need one for that.
    ok(vm_allocate(map, 0, DIRTY * PAGE_BYTES, VM_ANYWHERE, &at) == ERR_OK, "memory");
    for (uint64_t round = 0; round < 3; round++)
        for (uint64_t i = 0; i < DIRTY; i++)
            right &= write_word(at + i * PAGE_BYTES, round + i) == ERR_OK;
    struct vm_numbers full = numbers();
    note("%llu of %llu frames are free, %llu paged out", (unsigned long long)full.free,
         (unsigned long long)full.frames, (unsigned long long)full.paged_out);
    // A pager's page comes into such memory.
    ok(hand_open(&pager, 1, 0), "an object");
    struct access access;
    access_start(&access, pager.address, false, 0);
    struct said said = hand_receive(&pager, 5000);
    (void)hand_provide(&pager, said.words[1], 0, 7, 0, 0);
    access_end(&access);
    right &= access.error == ERR_OK && access.value == 7;
    for (uint64_t i = 0; i < DIRTY; i++)
        right &= read_word(at + i * PAGE_BYTES, &value) == ERR_OK && value == 2 + i;
    ok(right && full.frames == 192 && full.free < 30 && server_lives(),
       "page-out that needs a page when none is free");
    (void)vm_deallocate(map, at, DIRTY * PAGE_BYTES);
    hand_close(&pager, 1);
}

static void held_lock(void)
{
    struct hand_pager pager;
    struct access access;

    ok(hand_open(&pager, 1, SHORT), "an object");
    // The pager waits for what the faulting client holds, and so never answers: the client's time
    // limit gives it back.
    access_start(&access, pager.address, true, 1);
    access_end(&access);
    ok(access.error == ERR_TIMED_OUT && server_lives(),
       "a pager blocked on a lock held by the faulting client");
    hand_close(&pager, 1);
}

void test_deadlocks(void)
{
    own_object();
    two_pagers();
    own_buffer();
    full_queue();
    in_flight();
    no_page_free();
    held_lock();
}
