// SPDX-License-Identifier: BSD-2-Clause
// The pager protocol by hand: each message, then each one wrong, late, twice or out of order.
#include "pagers_test.h"

#define PAGES 8u
#define OWN   PAGER_SEQUENCE_OWN
#define ALL   UINT64_MAX

static uint64_t value_after(struct access *access)
{
    access_end(access);
    return access->error == ERR_OK ? access->value : ALL;
}

// Waits for a data_request of page `page`; its sequence, 0: it did not come.
static uint64_t request_for(struct hand_pager *pager, unsigned page)
{
    struct said said = hand_receive(pager, 2000);

    return said.id == MESSAGE_pager_data_request && said.words[2] == page * PAGE_BYTES &&
                   said.words[3] == PAGE_BYTES && said.words[0] == pager->incarnation
               ? said.words[1]
               : 0;
}

// Has page `page` cached with that value, locked.
static bool cache(struct hand_pager *pager, unsigned page, uint64_t value, uint64_t lock,
                  uint64_t flags)
{
    struct access access;

    access_start(&access, pager->address + page * PAGE_BYTES, false, 0);
    uint64_t sequence = request_for(pager, page);
    corvus_error_t error = hand_provide(pager, sequence, page * PAGE_BYTES, value, lock, flags);
    return value_after(&access) == value && sequence != 0 && error == ERR_OK;
}

static void test_data(struct hand_pager *p)
{
    struct access access;
    uint64_t sequence, value = 0;

    ok(cache(p, 0, 123, 0, 0), "data_request, data_provided");
    access_start(&access, p->address + PAGE_BYTES, false, 0);
    sequence = request_for(p, 1);
    ok(pager_data_unavailable(p->request, p->incarnation, sequence, PAGE_BYTES, PAGE_BYTES, 0, 0,
                              DEADLINE_NONE) == ERR_OK &&
           value_after(&access) == 0,
       "data_unavailable: zero");
    access_start(&access, p->address + 2 * PAGE_BYTES, false, 0);
    sequence = request_for(p, 2);
    (void)pager_data_error(p->request, p->incarnation, sequence, 2 * PAGE_BYTES, PAGE_BYTES,
                           ERR_NOT_FOUND, DEADLINE_NONE);
    access_end(&access);
    ok(access.error == ERR_NOT_FOUND, "data_error");
    ok(cache(p, 2, 5, 0, 0), "the next access asks again");
    ok(write_word(p->address, 124) == ERR_OK, "what is not locked can be written to");
    (void)pager_clean_request(p->request, p->incarnation, OWN | 1, 0, PAGE_BYTES, DEADLINE_NONE);
    struct said said = hand_receive(p, 2000);
    ok(said.id == MESSAGE_pager_data_write && said.words[1] == (OWN | 1) && said.words[3] == 1 &&
           said.words[4] == 1 && said.first_word == 124,
       "clean_request: data_write, kept");
    said = hand_receive(p, 2000);
    ok(said.id == MESSAGE_pager_lock_completed && said.words[1] == (OWN | 1) && said.words[4] == 1,
       "then lock_completed");
    (void)pager_clean_request(p->request, p->incarnation, OWN | 2, 0, PAGE_BYTES, DEADLINE_NONE);
    ok(hand_receive(p, 2000).id == MESSAGE_pager_lock_completed,
       "what has not changed is not sent again");
    ok(write_word(p->address, 125) == ERR_OK, "it can be written to again");
    (void)pager_flush_request(p->request, p->incarnation, OWN | 3, 0, 0, DEADLINE_NONE);
    said = hand_receive(p, 2000);
    ok(said.id == MESSAGE_pager_data_write && said.words[3] == 0 && said.first_word == 125,
       "flush_request of the whole object: data_write, not kept");
    said = hand_receive(p, 2000);
    ok(said.id == MESSAGE_pager_lock_completed && said.words[4] == 0, "then lock_completed");
    ok(cache(p, 0, 126, 0, 0) && read_word(p->address, &value) == ERR_OK && value == 126,
       "what was flushed is asked for anew");
}

static void test_locks(struct hand_pager *p)
{
    struct access access;
    struct said said;

    ok(cache(p, 3, 30, ACCESS_WRITE, PAGER_PRECIOUS), "a page comes locked");
    access_start(&access, p->address + 3 * PAGE_BYTES, true, 31);
    said = hand_receive(p, 2000);
    ok(said.id == MESSAGE_pager_data_unlock && said.words[2] == 3 * PAGE_BYTES &&
           (said.words[4] & ACCESS_WRITE) != 0,
       "writing asks to unlock");
    (void)pager_data_lock(p->request, p->incarnation, said.words[1], 3 * PAGE_BYTES, PAGE_BYTES, 0,
                          0, DEADLINE_NONE);
    access_end(&access);
    ok(access.error == ERR_OK, "data_lock unlocks");
    (void)pager_data_lock(p->request, p->incarnation, OWN | 10, 3 * PAGE_BYTES, PAGE_BYTES,
                          ACCESS_WRITE, PAGER_RETURN | PAGER_COMPLETE, DEADLINE_NONE);
    said = hand_receive(p, 2000);
    ok(said.id == MESSAGE_pager_data_write && said.first_word == 31 && said.words[3] == 1,
       "data_lock with PAGER_RETURN: the data come");
    said = hand_receive(p, 2000);
    ok(said.id == MESSAGE_pager_lock_completed && said.words[1] == (OWN | 10) && said.words[4] == 1,
       "with PAGER_COMPLETE: lock_completed");
    access_start(&access, p->address + 3 * PAGE_BYTES, true, 32);
    said = hand_receive(p, 2000);
    (void)pager_flush_request(p->request, p->incarnation, OWN | 11, 3 * PAGE_BYTES, PAGE_BYTES,
                              DEADLINE_NONE);
    struct said back = hand_receive(p, 2000);
    ok(said.id == MESSAGE_pager_data_unlock && back.id == MESSAGE_pager_data_write &&
           back.first_word == 31 && back.words[3] == 0 && back.words[4] == 0 &&
           hand_receive(p, 2000).id == MESSAGE_pager_lock_completed,
       "a flush crosses the request to unlock: what is precious comes again");
    (void)hand_provide(p, said.words[1], 3 * PAGE_BYTES, 40, 0, 0);
    access_end(&access);
    uint64_t value = 0;
    ok(access.error == ERR_OK && read_word(p->address + 3 * PAGE_BYTES, &value) == ERR_OK &&
           value == 32,
       "and data answer it");
    ok(cache(p, 4, 50, 0, PAGER_PRECIOUS), "precious data");
    (void)pager_flush_request(p->request, p->incarnation, OWN | 12, 4 * PAGE_BYTES, PAGE_BYTES,
                              DEADLINE_NONE);
    said = hand_receive(p, 2000);
    ok(said.id == MESSAGE_pager_data_write && said.first_word == 50 && said.words[4] == 0 &&
           hand_receive(p, 2000).id == MESSAGE_pager_lock_completed,
       "come back though they have not changed");
}

void test_protocol(void)
{
    struct hand_pager pager;

    ok(hand_open(&pager, PAGES, 0), "pager_init comes with the first mapping");
    test_data(&pager);
    test_locks(&pager);
    (void)pager_cache(pager.request, pager.incarnation, 1, DEADLINE_NONE);
    (void)numbers();
    (void)vm_deallocate(map, pager.address, PAGES * PAGE_BYTES);
    ok(hand_receive(&pager, 50).id == 0, "pager_cache: the object stays");
    pager.address = map_object(pager.send, PAGES, 0, 0, 0);
    uint64_t value = 0;
    ok(read_word(pager.address, &value) == ERR_OK && value == 126, "and is there again");
    (void)vm_deallocate(map, pager.address, PAGES * PAGE_BYTES);
    (void)pager_cache(pager.request, pager.incarnation, 0, DEADLINE_NONE);
    struct said said = hand_receive(&pager, 2000);
    if (said.id == MESSAGE_pager_data_write)
        said = hand_receive(&pager, 2000);
    ok(said.id == MESSAGE_pager_terminate, "until it may not: terminate");
    hand_close(&pager, PAGES);
}

// --- Nonsense -----------------------------------------------------------------------------------

static uint64_t count_nonsense(void)
{
    return numbers().nonsense;
}

// Sends all kinds of messages that mean nothing. How many there were.
static unsigned send_nonsense(struct hand_pager *p, uint64_t open)
{
    uint64_t i = p->incarnation, far = ~0ull << 12;
    unsigned sent = 0;
    const uint64_t d = DEADLINE_NONE;
    static uint8_t two[2 * PAGE_BYTES];

    sent += hand_provide(p, 999, 0, 1, 0, 0) == ERR_OK;           // never asked
    sent += hand_provide(p, 0, 0, 1, 0, 0) == ERR_OK;             // no number
    sent += hand_provide(p, open, PAGE_BYTES, 1, 0, 0) == ERR_OK; // another page
    sent += hand_provide(p, open, 5, 1, 0, 0) == ERR_OK;          // no page's beginning
    sent += hand_provide(p, open, far, 1, 0, 0) == ERR_OK;        // far outside
    sent += hand_provide(p, open, 0, 1, 0xff, 0) == ERR_OK;       // no such access
    sent += hand_provide(p, open, 0, 1, 0, 0xff) == ERR_OK;       // no such flag
    sent += pager_data_provided(p->request, i, open, 0, 0, 0, two, sizeof two, d) == ERR_OK;
    sent += pager_data_provided(p->request, i, open, 0, 0, 0, two, 100, d) == ERR_OK;
    sent += pager_data_provided(p->request, i + 1, open, 0, 0, 0, two, PAGE_BYTES, d) == ERR_OK;
    sent += pager_data_unavailable(p->request, i, open, 0, 1ull << 40, 0, 0, d) == ERR_OK;
    sent += pager_data_unavailable(p->request, 0, open, 0, PAGE_BYTES, 0, 0, d) == ERR_OK;
    sent += pager_data_error(p->request, i, open, 0, PAGE_BYTES, ERR_OK, d) == ERR_OK;
    sent += pager_data_error(p->request, i, open, 0, PAGE_BYTES, 5000, d) == ERR_OK;
    sent += pager_data_error(p->request, i, open + 1, 0, PAGE_BYTES, ERR_FAULT, d) == ERR_OK;
    sent += pager_data_lock(p->request, i, open, 0, PAGE_BYTES, 0, 0, d) == ERR_OK; // it wants data
    sent += pager_data_lock(p->request, i, OWN, 1, PAGE_BYTES, 0, 0, d) == ERR_OK;
    sent += pager_data_lock(p->request, i, OWN, 0, PAGE_BYTES, 0xff, 0, d) == ERR_OK;
    sent += pager_data_lock(p->request, i, OWN, 0, PAGE_BYTES, 0, 0xff, d) == ERR_OK;
    sent += pager_flush_request(p->request, i, 7, 0, PAGE_BYTES, d) == ERR_OK; // not its number
    sent += pager_flush_request(p->request, i, OWN, far, far, d) == ERR_OK;
    sent += pager_clean_request(p->request, i, OWN, 3, PAGE_BYTES, d) == ERR_OK;
    sent += pager_cache(p->request, i, 3, d) == ERR_OK;
    sent += pager_init(p->request, i, 0, copy_send(p->send), copy_send(p->send), d) == ERR_OK;
    struct message odd = {.tag = 1, .destination = p->request, .id = MESSAGE_pager_data_provided};
    sent += msg_send(&odd, TIMEOUT_NONE) == ERR_OK;
    return sent;
}

void test_nonsense(void)
{
    struct hand_pager pager;
    struct access access;
    bool good = hand_open(&pager, PAGES, 0);
    uint64_t before, other = map_object(example, 1, 500 * PAGE_BYTES, 0, 0), value = 0;

    access_start(&access, pager.address, false, 0);
    uint64_t open = request_for(&pager, 0);
    before = count_nonsense();
    unsigned sent = send_nonsense(&pager, open);
    uint64_t counted = count_nonsense() - before;
    note("%u messages, %llu counted", sent, (unsigned long long)counted);
    ok(good && sent == 25 && counted == 25, "nonsense is ignored and counted, one by one");
    (void)hand_provide(&pager, open, 0, 77, 0, 0);
    ok(value_after(&access) == 77, "and the right answer still counts");
    before = count_nonsense();
    (void)hand_provide(&pager, open, 0, 78, 0, 0);
    ok(count_nonsense() == before + 1 && read_word(pager.address, &value) == ERR_OK && value == 77,
       "a second answer does not");
    ok(read_word(other, &value) == ERR_OK && value == 500, "another object is not touched");
    (void)vm_deallocate(map, other, PAGE_BYTES);
    hand_close(&pager, PAGES);
}

// --- Slow, dead, born again ----------------------------------------------------------------------

#define SHORT (300ull * 1000000) // nanoseconds

void test_deaths(void)
{
    struct hand_pager pager;
    struct access access;
    uint64_t start, value = 0;

    ok(hand_open(&pager, PAGES, SHORT), "an object with a short time limit");
    start = clock_now_ns();
    access_start(&access, pager.address, false, 0);
    uint64_t sequence = request_for(&pager, 0);
    access_end(&access);
    ok(access.error == ERR_TIMED_OUT && clock_now_ns() - start >= SHORT, "a pager that is silent");
    (void)hand_provide(&pager, sequence, 0, 9, 0, 0);
    ok(read_word(pager.address, &value) == ERR_OK && value == 9,
       "an answer that is late is still taken");
    access_start(&access, pager.address + PAGE_BYTES, false, 0);
    (void)request_for(&pager, 1);
    start = clock_now_ns();
    (void)port_deallocate(pager.receive);
    pager.receive = PORT_NULL;
    access_end(&access);
    ok(access.error == ERR_PEER_DIED && clock_now_ns() - start < PAGER_DEAD_LIMIT,
       "a pager that dies: who waits is told");
    ok(read_word(pager.address, &value) == ERR_PEER_DIED, "nothing of it is readable afterwards");
    hand_close(&pager, PAGES);
    ok(hand_open(&pager, PAGES, 0) && cache(&pager, 0, 10, 0, 0), "a pager that comes back");
    (void)pager_data_error(pager.request, pager.incarnation, 0, 0, 0, ERR_NOT_SUPPORTED,
                           DEADLINE_NONE);
    ok(read_word(pager.address, &value) == ERR_NOT_SUPPORTED, "a pager that refuses the object");
    hand_close(&pager, PAGES);
    // Termination races a fault.
    ok(hand_open(&pager, PAGES, 0), "an object again");
    access_start(&access, pager.address, false, 0);
    sequence = request_for(&pager, 0);
    (void)vm_deallocate(map, pager.address, PAGES * PAGE_BYTES);
    (void)hand_provide(&pager, sequence, 0, 10, 0, 0);
    access_end(&access);
    ok(access.error == ERR_NOT_MAPPED, "a range that goes while a page of it is awaited");
    hand_close(&pager, PAGES);
}
