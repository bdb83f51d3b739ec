// SPDX-License-Identifier: BSD-2-Clause
// The pager skeleton in a Linux program: a thread serves a memory object, this one plays a cache
// manager by hand.
#include "harness_port.h"

#include "lib/memory_object.h"

#include <corvus/pager_stubs.h>

#include <pthread.h>

#define OWN PAGER_SEQUENCE_OWN

static uint64_t stored[4][PAGE_BYTES / 8];
static volatile unsigned writes, completed, ended;
static volatile bool died;
static struct memory_manager *volatile known;

static void data_request(struct memory_manager *manager, const struct memory_request *request)
{
    uint64_t page = request->offset / PAGE_BYTES;

    known = manager;
    if (page < 4)
        ZERO(memory_provide(manager, request->sequence, stored[page], PAGE_BYTES, ACCESS_WRITE, 0));
    else
        ZERO(memory_error(manager, request->sequence, ERR_NOT_FOUND));
    // The request has been answered.
    REQUIRE_EQUAL(memory_error(manager, request->sequence, ERR_FAULT), ERR_INVALID_ARGUMENT);
}

static void data_write(struct memory_manager *manager, uint64_t sequence, uint64_t offset,
                       const void *data, size_t bytes, bool kept, bool changed)
{
    (void)manager, (void)sequence, (void)kept, (void)changed;
    REQUIRE_EQUAL(bytes, PAGE_BYTES);
    memcpy(stored[offset / PAGE_BYTES], data, bytes);
    writes++;
    ZERO(memory_flush(manager, 0, 0, NULL));
}

static void lock_completed(struct memory_manager *manager, uint64_t sequence, uint64_t offset,
                           uint64_t length, uint64_t held)
{
    (void)manager, (void)sequence, (void)offset, (void)length, (void)held;
    completed++;
}

static void terminate(struct memory_manager *manager, bool has_died)
{
    (void)manager;
    died = has_died;
    ended++;
}

static const struct memory_object_functions functions = {
    .data_request = data_request,
    .data_write = data_write,
    .lock_completed = lock_completed,
    .terminate = terminate,
};

static port_name_t object, requests, request_send, name_send;

static void *serve_objects(void *argument)
{
    struct memory_object *made = memory_object_create(&functions, NULL, PORT_NULL);

    ZERO(port_make_send(memory_object_port(made), argument));
    __atomic_store_n(&object, *(port_name_t *)argument, __ATOMIC_RELEASE);
    (void)memory_object_run(NULL);
    return NULL;
}

static void start(uint64_t incarnation)
{
    static port_name_t made;
    pthread_t thread;

    ZERO(pthread_create(&thread, NULL, serve_objects, &made));
    while (__atomic_load_n(&object, __ATOMIC_ACQUIRE) == PORT_NULL)
        usleep(1000);
    requests = make_port(1, &request_send);
    (void)make_port(2, &name_send);
    ZERO(pager_init(object, incarnation, 1, copy_send(request_send), copy_send(name_send),
                    DEADLINE_NONE));
}

static uint64_t page[PAGE_BYTES / 8];

static struct message take(void)
{
    struct message message;

    utcb_self()->copy_buffers[0] = message_buffer(page, sizeof page);
    ZERO(msg_receive(&message, requests, 5000000));
    utcb_self()->copy_buffers[0].length = 0;
    return message;
}

TEST(data, "a Linux program is a pager: data come, go, and are flushed")
{
    stored[2][0] = 77;
    start(5);
    ZERO(pager_data_request(object, 5, 1, 2 * PAGE_BYTES, PAGE_BYTES, ACCESS_READ, DEADLINE_NONE));
    struct message message = take();
    REQUIRE_EQUAL(message.id, MESSAGE_pager_data_provided);
    REQUIRE_EQUAL(message.words[0], 5);
    REQUIRE_EQUAL(message.words[1], 1);
    REQUIRE_EQUAL(message.words[2], 2 * PAGE_BYTES);
    REQUIRE_EQUAL(page[0], 77);
    ZERO(pager_data_request(object, 5, 2, 9 * PAGE_BYTES, PAGE_BYTES, ACCESS_READ, DEADLINE_NONE));
    message = take();
    REQUIRE_EQUAL(message.id, MESSAGE_pager_data_error);
    REQUIRE_EQUAL(message.words[4], ERR_NOT_FOUND);
    ZERO(pager_data_unlock(object, 5, 3, 2 * PAGE_BYTES, PAGE_BYTES, ACCESS_WRITE, DEADLINE_NONE));
    message = take();
    REQUIRE_EQUAL(message.id, MESSAGE_pager_data_lock);
    page[0] = 78;
    ZERO(pager_data_write(object, 5, 0, 0, 0, 1, page, sizeof page, DEADLINE_NONE));
    message = take();
    REQUIRE_EQUAL(message.id, MESSAGE_pager_flush_request);
    REQUIRE_EQUAL(writes, 1);
    REQUIRE_EQUAL(stored[0][0], 78);
    ZERO(pager_lock_completed(object, 5, message.words[1], 0, 0, 0, DEADLINE_NONE));
    ZERO(pager_terminate(object, 5, DEADLINE_NONE));
    for (unsigned i = 0; i < 1000 && ended == 0; i++)
        usleep(1000);
    REQUIRE_EQUAL(completed, 1);
    REQUIRE_EQUAL(ended, 1);
    REQUIRE_EQUAL(died, false);
}

TEST(nonsense, "what makes no sense is counted and reaches nobody")
{
    start(9);
    ZERO(pager_data_request(object, 8, 1, 0, PAGE_BYTES, ACCESS_READ, DEADLINE_NONE));
    ZERO(pager_terminate(object, 0, DEADLINE_NONE));
    ZERO(pager_data_request(object, 9, 0, 0, PAGE_BYTES, ACCESS_READ, DEADLINE_NONE));
    ZERO(pager_data_request(object, 9, OWN | 1, 0, PAGE_BYTES, ACCESS_READ, DEADLINE_NONE));
    ZERO(pager_data_request(object, 9, 1, 5, PAGE_BYTES, ACCESS_READ, DEADLINE_NONE));
    ZERO(pager_data_request(object, 9, 1, 0, 1ull << 40, ACCESS_READ, DEADLINE_NONE));
    ZERO(pager_data_request(object, 9, 1, 0, PAGE_BYTES, 0, DEADLINE_NONE));
    ZERO(pager_lock_completed(object, 9, 1, 0, PAGE_BYTES, 0, DEADLINE_NONE));
    ZERO(pager_lock_completed(object, 9, OWN | 50, 0, PAGE_BYTES, 0, DEADLINE_NONE));
    ZERO(pager_init(object, 9, 1, copy_send(request_send), copy_send(name_send), DEADLINE_NONE));
    ZERO(pager_data_request(object, 9, 1, 0, PAGE_BYTES, ACCESS_READ, DEADLINE_NONE));
    REQUIRE_EQUAL(take().id, MESSAGE_pager_data_provided);
    REQUIRE_EQUAL(memory_object_counters()->unknown, 2);
    REQUIRE_EQUAL(memory_object_counters()->malformed, 8);
    ZERO(port_deallocate(requests));
    for (unsigned i = 0; i < 5000 && ended == 0; i++)
        usleep(1000);
    REQUIRE_EQUAL(ended, 1);
    REQUIRE_EQUAL(died, true);
}
