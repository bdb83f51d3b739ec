// SPDX-License-Identifier: BSD-2-Clause
// Pagers that lie, and processes that ask for what there is not: all of it is refused or counted,
// and harms nobody else.
#include "harness_pager.h"

#include <fcntl.h>

static uint8_t bytes[2 * PAGER_DATA_MAX];

// Whatever the pager of `object` says, what it says is counted.
#define IS_NONSENSE(object, call)                                                                  \
    do {                                                                                           \
        uint64_t before_ = status_of(object).nonsense;                                             \
        ZERO(call);                                                                                \
        require_counted(object, before_, __FILE__, __LINE__, #call);                               \
    } while (0)

static void require_counted(struct object *object, uint64_t before, const char *file, int line,
                            const char *text)
{
    for (int i = 0; i < 100 && status_of(object).nonsense == before; i++)
        sleep_ms(10);
    if (status_of(object).nonsense != before + 1)
        fail_at(file, line, "%s: counted %llu times", text,
                (unsigned long long)(status_of(object).nonsense - before));
}

TEST(unasked, "data, access and errors that nobody asked for")
{
    struct object *object = object_make(4);
    uint64_t us = object->incarnation;
    port_name_t port = object->request;
    load(object, 0, ACCESS_WRITE, 1);
    for (uint64_t sequence = 0; sequence < 3; sequence++) {
        IS_NONSENSE(object, pager_data_provided(port, us, sequence, 0, 0, 0, bytes, PAGE, soon()));
        IS_NONSENSE(object,
                    pager_data_provided(port, us, sequence, PAGE, 0, 0, bytes, PAGE, soon()));
        IS_NONSENSE(object, pager_data_unavailable(port, us, sequence, 0, PAGE, 0, 0, soon()));
        IS_NONSENSE(object, pager_data_error(port, us, sequence, 0, PAGE, ERR_FAULT, soon()));
        IS_NONSENSE(object, pager_data_lock(port, us, sequence, 0, PAGE, 0, 0, soon()));
    }
    REQUIRE_EQUAL(*word_of(object, 0), 1);
    REQUIRE_EQUAL(status_of(object).pages, 1);
    struct use use = {.object = object, .writes = true}; // it still may only be read
    use_begin(&use);
    lock_page(object, RECEIVE(object, MESSAGE_pager_data_unlock)[1], 0, 0, 0);
    use_end(&use);
}

TEST(wrong, "answers with a wrong place, size or content; the right one is still taken")
{
    struct object *object = object_make(4);
    uint64_t us = object->incarnation;
    port_name_t port = object->request;
    struct use use = {.object = object, .index = 1};
    use_begin(&use);
    uint64_t number = RECEIVE(object, MESSAGE_pager_data_request)[1];
    IS_NONSENSE(object, pager_data_provided(port, us, number, 0, 0, 0, bytes, PAGE, soon()));
    IS_NONSENSE(object, pager_data_provided(port, us, number, 2 * PAGE, 0, 0, bytes, PAGE, soon()));
    IS_NONSENSE(object, pager_data_provided(port, us, number, PAGE + 8, 0, 0, bytes, PAGE, soon()));
    IS_NONSENSE(object, pager_data_provided(port, us, number, -PAGE, 0, 0, bytes, PAGE, soon()));
    IS_NONSENSE(object, pager_data_provided(port, us, number, PAGE, 0, 0, bytes, 100, soon()));
    IS_NONSENSE(object, pager_data_provided(port, us, number, PAGE, 0, 0, bytes, 2 * PAGE, soon()));
    IS_NONSENSE(object, pager_data_provided(port, us, number, PAGE, 8, 0, bytes, PAGE, soon()));
    IS_NONSENSE(object, pager_data_provided(port, us, number, PAGE, 0, 2, bytes, PAGE, soon()));
    IS_NONSENSE(object, pager_data_provided(port, us, number, PAGE, 0, 0, bytes, 0, soon()));
    IS_NONSENSE(object, pager_data_unavailable(port, us, number, PAGE, 0, 0, 0, soon()));
    IS_NONSENSE(object, pager_data_unavailable(port, us, number, PAGE, -PAGE, 0, 0, soon()));
    IS_NONSENSE(object, pager_data_error(port, us, number, PAGE, PAGE, ERR_OK, soon()));
    IS_NONSENSE(object, pager_data_error(port, us, number, PAGE, PAGE, 999, soon()));
    IS_NONSENSE(object, pager_data_lock(port, us, number, PAGE, PAGE, 0, 0, soon()));
    REQUIRE(!use.done);
    provide_number(object, number, PAGE, 0, 6);
    REQUIRE_EQUAL(use_end(&use), 6);
    // The same once more.
    IS_NONSENSE(object, pager_data_provided(port, us, number, PAGE, 0, 0, bytes, PAGE, soon()));
    REQUIRE_EQUAL(*word_of(object, 1), 6);
}

TEST(late, "messages of another incarnation are late")
{
    struct object *object = object_make(1);
    struct use use = {.object = object};
    use_begin(&use);
    uint64_t number = RECEIVE(object, MESSAGE_pager_data_request)[1];
    uint64_t other = object->incarnation + 1;
    ZERO(pager_data_provided(object->request, other, number, 0, 0, 0, bytes, PAGE, soon()));
    ZERO(pager_data_error(object->request, 0, 0, 0, 0, ERR_FAULT, soon()));
    ZERO(pager_flush_request(object->request, other, FIRST_OWN_SEQUENCE, 0, 0, soon()));
    for (int i = 0; i < 100 && status_of(object).late < 3; i++)
        sleep_ms(10);
    REQUIRE_EQUAL(status_of(object).late, 3);
    REQUIRE_EQUAL(status_of(object).nonsense, 0);
    REQUIRE(!use.done);
    provide_number(object, number, 0, 0, 6);
    REQUIRE_EQUAL(use_end(&use), 6);
    REQUIRE(!object_receive(object, 20));
}

TEST(ranges, "flush, clean and lock of ranges that are none, and of ones without end")
{
    struct object *object = object_make(2);
    uint64_t us = object->incarnation, own = FIRST_OWN_SEQUENCE, huge = 1ull << 63;
    port_name_t port = object->request;
    load(object, 0, 0, 1);
    IS_NONSENSE(object, pager_flush_request(port, us, 5, 0, PAGE, soon()));
    IS_NONSENSE(object, pager_flush_request(port, us, own, 1, PAGE, soon()));
    IS_NONSENSE(object, pager_flush_request(port, us, own, 0, 1, soon()));
    IS_NONSENSE(object, pager_flush_request(port, us, own, PAGE, 0, soon()));
    IS_NONSENSE(object, pager_flush_request(port, us, own, huge, PAGE, soon()));
    IS_NONSENSE(object, pager_flush_request(port, us, own, PAGE, -PAGE, soon()));
    IS_NONSENSE(object, pager_clean_request(port, us, own, -PAGE, 2 * PAGE, soon()));
    IS_NONSENSE(object, pager_data_lock(port, us, own, 0, 0, 0, 0, soon()));
    IS_NONSENSE(object, pager_data_lock(port, us, own, 0, PAGE, 8, 0, soon()));
    IS_NONSENSE(object, pager_data_lock(port, us, own, 0, PAGE, 0, 4, soon()));
    IS_NONSENSE(object, pager_cache(port, us, 3, soon()));
    REQUIRE_EQUAL(*word_of(object, 0), 1);
    uint64_t most = INT64_MAX - (PAGE - 1);
    ZERO(pager_clean_request(port, us, own, 0, most, soon()));
    REQUIRE_EQUAL(RECEIVE(object, MESSAGE_pager_lock_completed)[4], 1);
    ZERO(pager_flush_request(port, us, own, most - PAGE, PAGE, soon()));
    REQUIRE_EQUAL(RECEIVE(object, MESSAGE_pager_lock_completed)[4], 0);
}

TEST(shapes, "messages of no known kind, with too much or too little")
{
    struct object *object = object_make(1);
    static const uint32_t ids[] = {0,
                                   7,
                                   MESSAGE_pager_init,
                                   MESSAGE_pager_data_provided,
                                   MESSAGE_pager_data_lock,
                                   MESSAGE_ID_DEAD_NAME,
                                   MESSAGE_ID_NO_SENDERS,
                                   0xffffffff};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        struct message message = {.tag = 3,
                                  .destination = object->request,
                                  .id = ids[i],
                                  .words = {object->incarnation, 1, 0}};
        IS_NONSENSE(object, msg_send(&message, TIMEOUT_NONE));
    }
    // Rights that nobody asked for do not stay.
    struct corvus_usage before, after;
    REQUIRE(corvus_usage(&before));
    for (int i = 0; i < 5; i++) {
        struct message message = {.tag = 4 | TAG_RIGHTS(1),
                                  .destination = object->request,
                                  .id = MESSAGE_pager_flush_request,
                                  .words = {object->incarnation, FIRST_OWN_SEQUENCE, 0, PAGE}};
        utcb_self()->rights[0] = make_send(object->receive);
        IS_NONSENSE(object, msg_send(&message, TIMEOUT_NONE));
    }
    struct message call = {.tag = 4,
                           .destination = object->request,
                           .id = MESSAGE_pager_flush_request,
                           .words = {object->incarnation, FIRST_OWN_SEQUENCE, 0, PAGE}};
    REQUIRE_EQUAL(msg_rpc(&call, TIMEOUT_NONE), ERR_NO_REPLY);
    REQUIRE(corvus_usage(&after));
    REQUIRE(after.server_rights <= before.server_rights);
    REQUIRE(!object_receive(object, 20));
}

TEST(flood, "thousands of requests at a time: each is done or counted as refused")
{
    struct object *object = object_make(1);
    load(object, 0, 0, 1);
    *word_of(object, 0) = 2;
    for (uint64_t i = 0; i < 3000; i++)
        flush(object, FIRST_OWN_SEQUENCE + i, 0, 1);
    uint64_t done = 0;
    RECEIVE(object, MESSAGE_pager_data_write);
    while (object_receive(object, 200))
        done++;
    remark("%llu of 3000 flushes done, %llu refused", (unsigned long long)done,
           (unsigned long long)status_of(object).nonsense);
    REQUIRE_EQUAL(done + status_of(object).nonsense, 3000);
    load(object, 0, 0, 3);
}

TEST(arguments, "sizes, rights and addresses that are none")
{
    port_name_t send, receive = make_port(1, &send);
    struct corvus_map_object map = {.size = PAGE, .object = send, .flags = 1};
    FAIL_WITH(ioctl(corvus_file(), CORVUS_MAP_OBJECT, &map), EINVAL);
    FAIL_WITH(ioctl(corvus_file(), CORVUS_MAP_OBJECT, 8), EFAULT);
    FAIL_WITH(map_object(send, 0), EINVAL);
    FAIL_WITH(map_object(send, UINT64_MAX), EINVAL);
    FAIL_WITH(map_object(send, 1ull << 63), EINVAL);
    FAIL_WITH(map_object(receive, PAGE), EPERM);
    FAIL_WITH(map_object(12345, PAGE), ENOENT);
    FAIL_WITH(map_object(PORT_NULL, PAGE), ENOENT);
    FAIL_WITH(map_object(NAME_TASK_SELF, PAGE), ENOENT);
    int file = SUCCEED(map_object(send, INT64_MAX - PAGE));
    FAIL_WITH(ioctl(file, CORVUS_OBJECT_STATUS, 8), EFAULT);
    FAIL_WITH(ioctl(file, CORVUS_MESSAGE, 8), ENOTTY);
    REQUIRE_EQUAL(SUCCEED(lseek(file, 0, SEEK_END)), INT64_MAX - PAGE);
    FAIL_WITH(lseek(file, -1, SEEK_SET), EINVAL);
    FAIL_WITH(ftruncate(file, PAGE), EINVAL);
    FAIL_WITH(pwrite(file, "", 1, INT64_MAX - PAGE), ENOSPC);
    char byte;
    REQUIRE_EQUAL(pread(file, &byte, 1, INT64_MAX - PAGE), 0);
}

static void reads_word(void *object)
{
    (void)*word_of(object, 0);
}

TEST(beyond, "what lies beyond the size is not there")
{
    struct object *object = object_make(2);
    SUCCEED(munmap(object->map, object->size));
    SUCCEED(close(object->file));
    RECEIVE(object, MESSAGE_pager_terminate);
    object->file = SUCCEED(map_object(object->send, PAGE + 10));
    object->size = 4 * PAGE;
    object_map(object);
    take_init(object);
    load(object, 1, 0, 3); // the page that the end lies in
    object->map += 2 * PAGE;
    KILLED(child(reads_word, object), SIGBUS);
    REQUIRE(!object_receive(object, 20));
}

TEST_WITHIN(many, "many objects at once, and their ends", 60)
{
    static struct object *objects[100];
    struct corvus_usage before, after;
    need_device();
    REQUIRE(corvus_usage(&before));
    for (size_t i = 0; i < 100; i++) {
        objects[i] = object_make(1);
        load(objects[i], 0, 0, i);
    }
    for (size_t i = 0; i < 100; i++)
        REQUIRE_EQUAL(*word_of(objects[i], 0), i);
    for (size_t i = 0; i < 100; i++) {
        SUCCEED(munmap(objects[i]->map, PAGE));
        SUCCEED(close(objects[i]->file));
        RECEIVE(objects[i], MESSAGE_pager_terminate);
        ZERO(port_deallocate(objects[i]->request));
        ZERO(port_deallocate(objects[i]->send));
        ZERO(port_deallocate(objects[i]->receive));
    }
    sleep_ms(100);
    REQUIRE(corvus_usage(&after));
    REQUIRE(after.server_rights <= before.server_rights + 20);
}
