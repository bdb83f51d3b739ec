// SPDX-License-Identifier: BSD-2-Clause
// All kernel services alike: wrong objects, unknown ids, too few words, wrong
// rights, stale and dead targets; and the form that answers by a message.
#include "harness.h"

#include <corvus/trace.h>

struct service {
    const char *name;
    uint32_t id;
    uint64_t words;
    uint64_t rights;
};
#define SERVICE_ROW(name, words_in, rights_in, words_out, rights_out)                              \
    {#name, SERVICE_##name, words_in, rights_in},

static const struct service task_services[] = {TASK_SERVICES(SERVICE_ROW)};
static const struct service thread_services[] = {THREAD_SERVICES(SERVICE_ROW)};
static const struct service host_services[] = {HOST_SERVICES(SERVICE_ROW)};
static const struct service timer_services[] = {TIMER_SERVICES(SERVICE_ROW)};

enum { TASK, THREAD, HOST, TIMER, OBJECTS };
static const struct {
    const struct service *services;
    unsigned count;
} objects[OBJECTS] = {
    {task_services, sizeof task_services / sizeof task_services[0]},
    {thread_services, sizeof thread_services / sizeof thread_services[0]},
    {host_services, sizeof host_services / sizeof host_services[0]},
    {timer_services, sizeof timer_services / sizeof timer_services[0]},
};
static port_name_t targets[OBJECTS];
static struct test_port port;
static struct helper *helper;

static void make_targets(void)
{
    port = port_make(0xb);
    helper = helper_create(-1);
    EXPECT_OK(task_create(NAME_TASK_SELF, 64 << 10, 0, &targets[TASK], NULL));
    targets[THREAD] = helper->thread;
    targets[HOST] = NAME_HOST;
    EXPECT_OK(task_create_timer(NAME_TASK_SELF, 1, copy_send(port.send), &targets[TIMER]));
}

static void drop_targets(void)
{
    if (right_kind(targets[TASK]) == RIGHT_SEND)
        EXPECT_OK(task_terminate(targets[TASK]));
    right_drop(targets[TASK]);
    right_drop(targets[TIMER]);
    helper_destroy(helper);
    port_drop(&port);
}

// The error of a call with that shape: of the message, or the reply's word 0.
static corvus_error_t call(port_name_t target, uint32_t id, uint64_t shape)
{
    struct message message = {.destination = target, .id = id};

    utcb_self()->rights[0] = copy_send(port.send);
    utcb_self()->items[0] = message_copy_item(&message, 1);
    unsigned result = message_do(&message, TAG_CALL | shape);
    if (result == ERR_OK)
        EXPECT((message.tag & TAG_WORDS_MASK) >= 1);
    return result ? (corvus_error_t)result : (corvus_error_t)message.words[0];
}

static void each_service(void (*test)(unsigned object, const struct service *service))
{
    make_targets();
    for (unsigned object = 0; object < OBJECTS; object++)
        for (unsigned i = 0; i < objects[object].count; i++)
            test(object, &objects[object].services[i]);
    drop_targets();
}

// The failing service is in the upper half of what a failure shows.
#define EXPECT_OF(service, actual, expected)                                                       \
    EXPECT_EQUAL((uint64_t)(service)->id << 32 | (actual),                                         \
                 (uint64_t)(service)->id << 32 | (expected))

static void at_wrong_objects(unsigned object, const struct service *service)
{
    for (unsigned other = 0; other < OBJECTS; other++)
        if (other != object)
            EXPECT_OF(service, call(targets[other], service->id, 6), ERR_UNKNOWN_SERVICE);
    // An ordinary port has its own ids.
    struct message message = {.destination = port.send, .id = service->id};
    EXPECT_OF(service, message_do(&message, TAG_SEND | 6), ERR_OK);
    message = (struct message){.receive_from = port.receive};
    EXPECT_OK(message_do_within(&message, TAG_RECEIVE, 0));
    EXPECT_EQUAL(message.id, service->id);
}

static void test_wrong_objects(void)
{
    each_service(at_wrong_objects);
}

static void test_unknown(void)
{
    static const uint32_t ids[] = {0,     1,     0x100,   0x1ff,   0x200,       0x2ff,
                                   0x3ff, 0x6ff, 0x60000, 0x10101, 0x80000101u, 0xffffffffu,
                                   0x115, 0x212, 0x306,   0x602};

    make_targets();
    for (unsigned object = 0; object < OBJECTS; object++)
        for (unsigned i = 0; i < sizeof ids / sizeof ids[0]; i++)
            EXPECT_EQUAL(call(targets[object], ids[i], 6) | (uint64_t)ids[i] << 32,
                         ERR_UNKNOWN_SERVICE | (uint64_t)ids[i] << 32);
    drop_targets();
}

static void with_wrong_shape(unsigned object, const struct service *service)
{
    port_name_t target = targets[object];

    if (service->words > 0)
        EXPECT_OF(service,
                  call(target, service->id, (service->words - 1) | TAG_RIGHTS(service->rights)),
                  ERR_INVALID_ARGUMENT);
    EXPECT_OF(service, call(target, service->id, service->words | TAG_RIGHTS(service->rights + 1)),
              service->rights ? ERR_INVALID_NAME : ERR_INVALID_ARGUMENT);
    if (service->rights > 0)
        EXPECT_OF(service, call(target, service->id, service->words), ERR_INVALID_ARGUMENT);
    EXPECT_OF(
        service,
        call(target, service->id, service->words | TAG_RIGHTS(service->rights) | TAG_ITEMS(1)),
        ERR_INVALID_ARGUMENT);
}

static void test_wrong_shape(void)
{
    uint64_t used = kernel_memory_used();

    utcb_self()->rights[1] = copy_send(PORT_NULL);
    each_service(with_wrong_shape);
    EXPECT_EQUAL(kernel_memory_used(), used);
}

static void at_stale_targets(unsigned object, const struct service *service)
{
    uint64_t shape = service->words | TAG_RIGHTS(service->rights);

    EXPECT_OF(service, call(targets[object] + 1, service->id, shape), ERR_INVALID_NAME);
    EXPECT_OF(service, call(port.receive, service->id, shape), ERR_INVALID_RIGHT);
}

static void test_stale(void)
{
    each_service(at_stale_targets);
}

// What has been terminated answers nothing any more.
static void test_dead(void)
{
    make_targets();
    EXPECT_OK(task_terminate(targets[TASK]));
    EXPECT_OK(thread_terminate(targets[THREAD]));
    for (unsigned object = TASK; object <= THREAD; object++)
        for (unsigned i = 0; i < objects[object].count; i++) {
            const struct service *service = &objects[object].services[i];
            corvus_error_t error =
                call(targets[object], service->id, service->words | TAG_RIGHTS(service->rights));
            EXPECT_OF(service, error == ERR_PEER_DIED || error == ERR_TERMINATED, 1);
        }
    drop_targets();
}

// --- The form that answers by a message ---------------------------------------------------

static corvus_error_t call_remotely(port_name_t target, uint32_t id, uint64_t shape,
                                    struct message *answer)
{
    answer->destination = target;
    answer->id = id;
    utcb_self()->reply = make_send_once(port.receive);
    EXPECT_OK(message_do(answer, TAG_SEND | TAG_REPLY_RIGHT | shape));
    *answer = (struct message){.receive_from = port.receive};
    EXPECT_OK(message_do_within(answer, TAG_RECEIVE, LONG_TIME));
    EXPECT_EQUAL(answer->id, id);
    EXPECT_EQUAL(answer->label, 0xb);
    return (corvus_error_t)answer->words[0];
}

static void test_remote(void)
{
    struct message message = {0};
    uint64_t id = 0, quota = 0, rights = 0;

    make_targets();
    EXPECT_OK(task_info(targets[TASK], &id, &quota, NULL, NULL, &rights, NULL));
    EXPECT_OK(call_remotely(targets[TASK], SERVICE_task_info, 0, &message));
    EXPECT_EQUAL(message.tag, 7);
    EXPECT_EQUAL(message.words[1], id);
    EXPECT_EQUAL(message.words[2], quota);
    EXPECT_EQUAL(message.words[5], rights);
    // A right in the answer.
    message = (struct message){.words = {SCRATCH, 1}};
    EXPECT_OK(call_remotely(targets[TASK], SERVICE_task_create_thread, 2, &message));
    EXPECT_EQUAL(message.tag, TAG_RIGHTS(1) | 2);
    right_drop(utcb_self()->rights[0].name);
    // An array.
    message = (struct message){.words = {0}};
    EXPECT_OK(call_remotely(NAME_HOST, SERVICE_host_counters, 1, &message));
    EXPECT_EQUAL(message.tag, 6 + COUNTER_COUNT);
    EXPECT(utcb_self()->words[6 + COUNTER_SERVICES] > 0);
    // Errors too.
    message = (struct message){.words = {4711}};
    EXPECT_EQUAL(call_remotely(targets[TASK], SERVICE_task_right_info, 1, &message),
                 ERR_INVALID_NAME);
    EXPECT_EQUAL(message.tag, 1);
    message = (struct message){0};
    EXPECT_EQUAL(call_remotely(targets[TASK], 0x1ff, 0, &message), ERR_UNKNOWN_SERVICE);
    // A long one.
    message = (struct message){.words = {SCRATCH, PAGE_BYTES, ACCESS_ALL | MEMORY_SELF}};
    EXPECT_OK(call_remotely(targets[TASK], SERVICE_memory_unmap, 3, &message));
    message = (struct message){0};
    EXPECT_OK(call_remotely(targets[TASK], SERVICE_task_terminate, 0, &message));
    drop_targets();
}

// What takes or gives the caller's memory must not take a network server's.
static void test_local_only(void)
{
    void *page = pages_allocate(1);

    make_targets();
    struct message message = {.words = {(uint64_t)page, SCRATCH, PAGE_BYTES, ACCESS_READ}};
    EXPECT_EQUAL(call_remotely(targets[TASK], SERVICE_memory_map, 4, &message), ERR_LOCAL_ONLY);
    message = (struct message){.words = {(uint64_t)page, 1}};
    EXPECT_EQUAL(call_remotely(targets[TASK], SERVICE_task_donate, 2, &message), ERR_LOCAL_ONLY);
    message = (struct message){.words = {SCRATCH, 1}};
    EXPECT_EQUAL(call_remotely(targets[TASK], SERVICE_task_reclaim, 2, &message), ERR_LOCAL_ONLY);
    // An RPC for somebody else.
    message = (struct message){.destination = targets[TASK],
                               .id = SERVICE_memory_map,
                               .words = {(uint64_t)page, SCRATCH, PAGE_BYTES, ACCESS_READ}};
    EXPECT_OK(message_do(&message, TAG_CALL | TAG_FOREIGN | 4));
    EXPECT_EQUAL(message.words[0], ERR_LOCAL_ONLY);
    message = (struct message){.destination = targets[TASK], .id = SERVICE_task_info};
    EXPECT_OK(message_do(&message, TAG_CALL | TAG_FOREIGN));
    EXPECT_OK(message.words[0]);
    message = (struct message){.destination = targets[TASK], .id = SERVICE_task_info};
    EXPECT_EQUAL(message_do(&message, TAG_SEND | TAG_FOREIGN), ERR_INVALID_ARGUMENT);
    drop_targets();
    pages_free(page, 1);
}

// Without a reply right nobody is told, and it happens all the same.
static void test_no_reply(void)
{
    make_targets();
    struct test_port other = port_make(0);
    struct message message = {.destination = NAME_TASK_SELF,
                              .id = SERVICE_task_deallocate_right,
                              .words = {other.receive}};
    EXPECT_OK(message_do(&message, TAG_SEND | 1));
    EXPECT_EQUAL(right_kind(other.send), RIGHT_DEAD);
    right_drop(other.send);
    // Sent, then received from something else in one call.
    message = (struct message){
        .destination = NAME_TASK_SELF, .receive_from = port.receive, .id = SERVICE_task_info};
    utcb_self()->reply = make_send_once(port.receive);
    EXPECT_OK(message_do(&message, TAG_SEND | TAG_RECEIVE | TAG_REPLY_RIGHT));
    EXPECT_EQUAL(message.tag, 7);
    drop_targets();
}

static volatile uint64_t caller_result, caller_error, caller_id;

static void forwarded_caller(void *argument)
{
    struct message message = {.destination = (port_name_t)(uint64_t)argument,
                              .id = SERVICE_task_info};

    caller_result = message_do(&message, TAG_CALL);
    caller_error = message.words[0];
    caller_id = message.words[1];
}

// A server that hands a request on to a kernel object, with its caller's reply right.
static void test_forwarded(void)
{
    uint64_t name = PORT_NULL, id = 0;

    make_targets();
    EXPECT_OK(task_info(targets[TASK], &id, NULL, NULL, NULL, NULL, NULL));
    struct helper *client = helper_start(forwarded_caller, (void *)(uint64_t)port.send);
    struct message message = {.receive_from = port.receive};
    EXPECT_OK(message_do(&message, TAG_RECEIVE));
    EXPECT_OK(thread_save_reply(NAME_THREAD_MAIN, &name));
    utcb_self()->reply = move_send_once((port_name_t)name);
    message = (struct message){.destination = targets[TASK], .id = SERVICE_task_info};
    EXPECT_OK(message_do(&message, TAG_SEND | TAG_REPLY_RIGHT));
    helper_join(client);
    EXPECT_OK(caller_result);
    EXPECT_OK(caller_error);
    EXPECT_EQUAL(caller_id, id);
    drop_targets();
}

// --- Host ------------------------------------------------------------------------------

static void test_host(void)
{
    uint64_t version = 0, memory = 0, total = 0, free_bytes = 0, first = 0, count = 0;
    uint64_t records[56] = {0};
    size_t words = 56;

    EXPECT_OK(host_info(NAME_HOST, &version, &memory, &total, &free_bytes, NULL));
    EXPECT_EQUAL(version, CORVUS_ABI_VERSION);
    EXPECT(memory > total && total > free_bytes && free_bytes > 0);
    EXPECT_EQUAL(host_trace_control(NAME_HOST, 1ull << 60, 0), ERR_INVALID_ARGUMENT);
    EXPECT_EQUAL(host_trace_control(NAME_HOST, 0, 2), ERR_INVALID_ARGUMENT);
    EXPECT_OK(host_trace_control(NAME_HOST, 1u << TRACE_MARK, 0));
    EXPECT_OK(host_trace_mark(NAME_HOST, 0x1234, 0x5678));
    EXPECT_OK(host_trace_read(NAME_HOST, 0, &first, &count, records, &words));
    while (count == 14) {
        uint64_t next = first + count;
        words = 56;
        uint64_t more = 0;
        EXPECT_OK(host_trace_read(NAME_HOST, next, &first, &more, records, &words));
        if (more == 0)
            break;
        count = more;
    }
    EXPECT(count > 0);
    if (count > 0) {
        struct trace_record *record = (struct trace_record *)&records[(count - 1) * 4];
        EXPECT_EQUAL(record->kind, TRACE_MARK);
        EXPECT_EQUAL(record->a, 0x1234);
        EXPECT_EQUAL(record->b, 0x5678);
    }
    EXPECT_OK(host_trace_control(NAME_HOST, 0, 0));
    words = 8;
    EXPECT_OK(host_trace_read(NAME_HOST, UINT64_MAX, &first, &count, records, &words));
    EXPECT_EQUAL(count, 0);
    words = 8;
    EXPECT_OK(host_counters(NAME_HOST, UINT64_MAX, records, &words));
    EXPECT_EQUAL(words, 0);
}

static const struct test tests[] = {
    {"at the wrong kind of object", test_wrong_objects, false},
    {"unknown ids", test_unknown, false},
    {"too few words, wrong rights, items", test_wrong_shape, false},
    {"stale targets", test_stale, false},
    {"dead targets", test_dead, false},
    {"answered by a message", test_remote, false},
    {"only for a local caller", test_local_only, false},
    {"without a reply right", test_no_reply, false},
    {"handed on with a caller's reply right", test_forwarded, false},
    {"the host port", test_host, false},
    {NULL, NULL, false},
};
const struct test_group service_tests = {"service", tests};
