// SPDX-License-Identifier: BSD-2-Clause
// /dev/corvus and programs that mean ill: wrong arguments of every kind, what is not a process's to
// have, and limits.
#include "harness_port.h"

#include <corvus/init_stubs.h>

#include <fcntl.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

static int request(struct corvus_call *call)
{
    call->page = (uint64_t)utcb_self();
    return ioctl(corvus_file(), CORVUS_MESSAGE, call);
}

TEST(arguments, "bad addresses, tags and requests have their errors")
{
    need_device();
    int file = corvus_file();
    struct corvus_call call = {.tag = TAG_RECEIVE, .page = 8};
    FAIL_WITH(ioctl(file, CORVUS_MESSAGE, 8), EFAULT);
    FAIL_WITH(ioctl(file, CORVUS_MESSAGE, &call), EFAULT);
    FAIL_WITH(ioctl(file, CORVUS_MESSAGE, 0xffffffff80000000ul), EFAULT);
    FAIL_WITH(ioctl(file, CORVUS_USAGE, 8), EFAULT);
    FAIL_WITH(ioctl(file, CORVUS_PORT_FILE, 8), EFAULT);
    FAIL_WITH(ioctl(file, CORVUS_REQUEST(3, 9, struct corvus_call), &call), ENOTTY);
    FAIL_WITH(ioctl(file, CORVUS_REQUEST(3, 1, uint32_t), &call), ENOTTY);
    static const uint64_t tags[] = {0,
                                    TAG_VCPU_RUN,
                                    TAG_CALL | TAG_VCPU_RUN,
                                    TAG_SEND | 65,
                                    TAG_SEND | TAG_RIGHTS(9),
                                    TAG_SEND | TAG_ITEMS(5),
                                    TAG_RPC | TAG_SEND,
                                    TAG_CALL | TAG_REPLY,
                                    TAG_CALL | TAG_NOTIFY,
                                    UINT64_MAX,
                                    1ull << 63 | TAG_RECEIVE};
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        call = (struct corvus_call){.tag = tags[i], .destination = 5 << 15};
        FAIL_WITH(request(&call), EINVAL);
        REQUIRE_EQUAL(TAG_ERROR(call.tag), ERR_INVALID_ARGUMENT);
    }
    char byte;
    FAIL_WITH(read(file, &byte, 1), EINVAL);
    FAIL_WITH(write(file, &byte, 1), EINVAL);
}

TEST(own_services, "the well-known names give no more than they are to")
{
    need_device();
    // The server's task itself cannot be reached: neither ended, nor its memory mapped.
    REQUIRE_EQUAL(task_terminate(NAME_TASK_SELF), ERR_UNKNOWN_SERVICE);
    REQUIRE_EQUAL(memory_map(NAME_TASK_SELF, 0x60000000, 0x10000, 4096, ACCESS_READ, NULL),
                  ERR_UNKNOWN_SERVICE);
    REQUIRE_EQUAL(thread_terminate(NAME_THREAD_MAIN), ERR_UNKNOWN_SERVICE);
    REQUIRE_EQUAL(host_trace_control(NAME_HOST, 1, 0), ERR_UNKNOWN_SERVICE);
    REQUIRE_EQUAL(bootstrap_shut_down(NAME_BOOTSTRAP, 1, 0), ERR_UNKNOWN_SERVICE);
    REQUIRE_EQUAL(bootstrap_exit(NAME_BOOTSTRAP, 0), ERR_UNKNOWN_SERVICE);
    REQUIRE_EQUAL(machine_claim_device(NAME_BOOTSTRAP, 0), ERR_UNKNOWN_SERVICE);
    REQUIRE_EQUAL(host_console_write(NAME_HOST_PRIVILEGED, 1, 65, 0, 0, 0, 0), ERR_INVALID_NAME);
    uint64_t memory = 0;
    ZERO(host_info(NAME_HOST, NULL, &memory, NULL, NULL, NULL));
    REQUIRE(memory > 1 << 20);
    // Nor by a message that is no RPC, nor moved away.
    struct message message = {.tag = 1, .destination = NAME_TASK_SELF};
    REQUIRE_EQUAL(msg_send(&message, 0), ERR_INVALID_NAME);
    port_name_t send, receive;
    ZERO(port_allocate_with_send(0, &receive, &send));
    for (port_name_t name = 1; name < NAME_AT(6); name += name < 40 ? 1 : 1021) {
        message = (struct message){.tag = TAG_RIGHTS(1), .destination = send};
        utcb_self()->rights[0] = copy_send(name);
        REQUIRE_EQUAL(msg_send(&message, 0), ERR_INVALID_NAME);
    }
}

static void as_nobody(void *argument)
{
    port_name_t port;
    (void)argument;
    SUCCEED(setuid(65534));
    corvus_use_file(SUCCEED(open(CORVUS_DEVICE, O_RDWR)));
    uint64_t words[4];
    REQUIRE(corvus_name_words("ethernet", words));
    REQUIRE_EQUAL(
        bootstrap_look_up(NAME_BOOTSTRAP, words[0], words[1], words[2], words[3], 0, &port),
        ERR_ACCESS_DENIED);
    ZERO(corvus_netname(&port));
}

TEST(nobody, "of init's names an ordinary user can have netname only")
{
    need_device();
    if (getuid() != 0)
        skip("not root");
    in_child(as_nobody, NULL);
}

TEST(one_right_twice, "a right can be moved once, and not while it is on its way")
{
    need_device();
    port_name_t send, receive, moved;
    ZERO(port_allocate_with_send(0, &receive, &send));
    ZERO(port_make_send(receive, &moved));
    struct message message = {.tag = TAG_RIGHTS(2), .destination = send};
    utcb_self()->rights[0] = utcb_self()->rights[1] = move_send(moved);
    REQUIRE(msg_send(&message, 0) != ERR_OK);
    uint64_t kind = 0;
    ZERO(task_right_info(NAME_TASK_SELF, moved, &kind, NULL, NULL)); // it is still there
    REQUIRE_EQUAL(kind, RIGHT_SEND);
    message = (struct message){.tag = TAG_RIGHTS(2), .destination = send};
    utcb_self()->rights[0] = move_send(moved);
    utcb_self()->rights[1] = copy_send(4711);
    REQUIRE_EQUAL(msg_send(&message, 0), ERR_INVALID_NAME);
    ZERO(task_right_info(NAME_TASK_SELF, moved, &kind, NULL, NULL));
}

TEST_WITHIN(limits, "a file's names come to an end, and can be given back", 60)
{
    need_device();
    struct corvus_usage usage;
    port_name_t name, last = PORT_NULL;
    corvus_error_t error;
    unsigned count = 0;
    while ((error = port_allocate(0, &name)) == ERR_OK) {
        count++;
        last = name;
    }
    REQUIRE_EQUAL(error, ERR_RIGHTS_FULL);
    REQUIRE(corvus_usage(&usage));
    REQUIRE(count >= 1000 && count <= usage.names_max);
    REQUIRE_EQUAL(usage.version, CORVUS_LINUX_VERSION);
    ZERO(port_deallocate(last));
    ZERO(port_allocate(0, &name));
    REQUIRE(name != last);
    // What would arrive with a right has no place: the message waits.
    port_name_t send;
    ZERO(port_deallocate(name));
    ZERO(port_make_send(last - 1, &send));
    struct message message = {.destination = send};
    ZERO(msg_send(&message, 0));
    REQUIRE_EQUAL(msg_receive(&message, last - 1, 0), ERR_RIGHTS_FULL);
    for (port_name_t other = last - 20; other < last - 1; other++)
        ZERO(port_deallocate(other));
    ZERO(msg_receive(&message, last - 1, 0));
}

static port_name_t nobody_listens;

static void *call_nobody(void *argument)
{
    struct message message = {.destination = nobody_listens};
    (void)argument;
    return (void *)(uintptr_t)msg_rpc(&message, TIMEOUT_NONE);
}

TEST_WITHIN(waiting, "as many calls wait as are allowed, then more are refused; others still go on",
            60)
{
    need_device();
    enum { MOST = 260 };
    static pthread_t threads[MOST];
    port_name_t receive, send, other;
    struct corvus_usage usage;
    unsigned refused = 0;
    ZERO(port_allocate_with_send(0, &receive, &nobody_listens));
    ZERO(port_allocate_with_send(0, &other, &send));
    for (int i = 0; i < MOST; i++)
        ZERO(pthread_create(&threads[i], NULL, call_nobody, NULL));
    sleep_ms(500);
    REQUIRE(corvus_usage(&usage));
    REQUIRE(usage.workers_busy > 50 && usage.workers_busy <= usage.workers_max);
    struct message message = {.tag = 1, .destination = send, .words = {5}};
    ZERO(msg_send(&message, 0));
    ZERO(msg_receive(&message, other, 0));
    ZERO(port_deallocate(receive));
    for (int i = 0; i < MOST; i++) {
        void *result;
        ZERO(pthread_join(threads[i], &result));
        REQUIRE((uintptr_t)result == ERR_PEER_DIED || (uintptr_t)result == ERR_NO_MEMORY);
        refused += (uintptr_t)result == ERR_NO_MEMORY;
    }
    REQUIRE(refused != 0);
    REQUIRE(corvus_usage(&usage));
    REQUIRE_EQUAL(usage.workers_busy, 0);
}

static void *change_page(void *page)
{
    for (;;)
        for (uint32_t i = 0; i < 64; i++)
            ((volatile struct utcb *)page)->items[0].length = i << 14;
    return NULL;
}

TEST(changing, "memory that changes under a call does no harm, nor does memory that goes")
{
    need_device();
    port_name_t receive, send;
    static uint8_t bytes[4096];
    pthread_t thread;
    ZERO(port_allocate_with_send(0, &receive, &send));
    struct utcb *page = utcb_self();
    ZERO(pthread_create(&thread, NULL, change_page, page));
    for (int i = 0; i < 300; i++) {
        struct message message = {.tag = TAG_ITEMS(1), .destination = send};
        page->items[0] = message_copy_item(bytes, sizeof bytes);
        corvus_error_t error = msg_send(&message, 0);
        REQUIRE(error == ERR_WOULD_BLOCK || error == ERR_FAULT || error == ERR_TOO_LARGE ||
                error == ERR_NO_MEMORY);
    }
    uint8_t *gone = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(gone != MAP_FAILED);
    SUCCEED(munmap(gone + 4096, 4096));
    struct corvus_call call = {
        .tag = TAG_RECEIVE, .receive_from = receive, .page = (uint64_t)gone + 4096 - 8};
    FAIL_WITH(ioctl(corvus_file(), CORVUS_MESSAGE, &call), EFAULT);
}

// Anything at all: the node goes on, and the file can be closed.
TEST_WITHIN(random, "50,000 random calls", 120)
{
    need_device();
    uint64_t state = 88172645463325252ull;
    port_name_t names[8];
    for (int i = 0; i < 8; i++)
        if (i % 2 == 0)
            ZERO(port_allocate_with_send((uint64_t)i, &names[i], &names[i + 1]));
    for (int i = 0; i < 50000; i++) {
        struct corvus_call call = {0};
        uint64_t *all = (uint64_t *)&call;
        for (size_t j = 0; j < sizeof call / 8; j++) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            all[j] = state >> state % 64;
        }
        call.tag &= ~(TAG_ERROR_MASK | TAG_VCPU_RUN);
        call.tag |= TAG_SEND_DEADLINE | TAG_RECEIVE_DEADLINE; // all without waiting
        utcb_self()->send_deadline = utcb_self()->receive_deadline = 0;
        if (call.tag & TAG_RPC) // for one that nobody answers
            utcb_self()->send_deadline = utcb_self()->receive_deadline = 1;
        call.destination = state % 3 ? names[state % 8] : state % 7 << 15;
        call.receive_from = names[call.receive_from % 8];
        if (state % 5 != 0)
            call.id = 0x101 + call.id % 0x20;
        for (int j = 0; j < MESSAGE_RIGHTS; j++)
            utcb_self()->rights[j] = message_right(names[(state >> j) % 8], state >> j * 3 & 7);
        for (int j = 0; j < MESSAGE_ITEMS; j++)
            utcb_self()->items[j] = (struct message_item){.kind = 1 + (state >> j) % 4,
                                                          .address = (uint64_t)names,
                                                          .length = state >> j * 7 & 31};
        (void)request(&call);
    }
    port_name_t receive, send;
    corvus_use_file(SUCCEED(open(CORVUS_DEVICE, O_RDWR)));
    ZERO(port_allocate_with_send(0, &receive, &send));
    struct message message = {.tag = 1, .destination = send, .words = {5}};
    ZERO(msg_send(&message, 0));
    ZERO(msg_receive(&message, receive, 0));
}
