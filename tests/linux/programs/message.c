// SPDX-License-Identifier: BSD-2-Clause
// Ports for Linux programs (/dev/corvus): messages, rights, memory, RPCs, ends; all on one node.
#include "harness_port.h"

#include "lib/serve.h"

#include <corvus/netname_dispatch.h>
#include <corvus/netname_stubs.h>

#include <fcntl.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

TEST(words, "a message of 64 words, its id and the port's label")
{
    port_name_t send, receive = make_port(99, &send);
    struct message message = {
        .tag = 64, .destination = send, .id = 12, .words = {1, 2, 3, 4, 5, 6}};
    for (uint64_t i = 6; i < 64; i++)
        utcb_self()->words[i] = i * i;
    ZERO(msg_send(&message, TIMEOUT_NONE));
    memset(utcb_self()->words, 0, sizeof utcb_self()->words);
    ZERO(msg_receive(&message, receive, TIMEOUT_NONE));
    REQUIRE_EQUAL(message.tag, 64);
    REQUIRE_EQUAL(message.label, 99);
    REQUIRE_EQUAL(message.id, 12);
    REQUIRE_EQUAL(message.words[5], 6);
    for (uint64_t i = 6; i < 64; i++)
        REQUIRE_EQUAL(utcb_self()->words[i], i * i);
}

TEST(errors, "errors are told by number and by errno")
{
    port_name_t send, receive = make_port(0, &send);
    struct message message;
    REQUIRE_EQUAL(msg_receive(&message, receive, 0), ERR_WOULD_BLOCK);
    REQUIRE_EQUAL(msg_receive(&message, receive, 1000), ERR_TIMED_OUT);
    REQUIRE_EQUAL(msg_receive(&message, send, 0), ERR_INVALID_RIGHT);
    REQUIRE_EQUAL(msg_receive(&message, 12345, 0), ERR_INVALID_NAME);
    REQUIRE_EQUAL(send_word(receive, 1, 0), ERR_INVALID_RIGHT);
    REQUIRE_EQUAL(send_word(12345, 1, 0), ERR_INVALID_NAME);
    struct corvus_call call = {.tag = TAG_RECEIVE | TAG_RECEIVE_DEADLINE,
                               .receive_from = receive,
                               .page = (uint64_t)utcb_self()};
    utcb_self()->receive_deadline = 0;
    FAIL_WITH(ioctl(corvus_file(), CORVUS_MESSAGE, &call), EAGAIN);
    REQUIRE_EQUAL(TAG_ERROR(call.tag), ERR_WOULD_BLOCK);
    ZERO(port_deallocate(receive));
    REQUIRE_EQUAL(send_word(send, 1, 0), ERR_PEER_DIED);
    REQUIRE_EQUAL(kind_of(send), RIGHT_DEAD);
    REQUIRE_EQUAL(port_deallocate(receive), ERR_INVALID_NAME);
}

TEST(rights, "each disposition; who moves a right has it no more")
{
    port_name_t send, receive = make_port(1, &send), other_send, other = make_port(2, &other_send);
    struct message message = {.tag = TAG_RIGHTS(5), .destination = send};
    struct message_right *rights = utcb_self()->rights;
    port_name_t third_send, third = make_port(3, &third_send);
    rights[0] = copy_send(other_send);
    rights[1] = move_send(third_send);
    rights[2] = make_send(other);
    rights[3] = make_send_once(other);
    rights[4] = make_send_once(third);
    ZERO(msg_send(&message, TIMEOUT_NONE));
    REQUIRE_EQUAL(kind_of(third_send), RIGHT_NONE);
    REQUIRE_EQUAL(kind_of(other_send), RIGHT_SEND);
    ZERO(msg_receive(&message, receive, TIMEOUT_NONE));
    REQUIRE_EQUAL(message.tag, TAG_RIGHTS(5));
    static const uint32_t kinds[] = {RIGHT_SEND, RIGHT_SEND, RIGHT_SEND, RIGHT_SEND_ONCE,
                                     RIGHT_SEND_ONCE};
    port_name_t names[5];
    for (int i = 0; i < 5; i++) {
        REQUIRE_EQUAL(rights[i].disposition, kinds[i]);
        names[i] = rights[i].name;
    }
    for (int i = 0; i < 5; i++)
        ZERO(send_word(names[i], (uint64_t)i, TIMEOUT_NONE));
    REQUIRE_EQUAL(receive_word(other), 0);
    REQUIRE_EQUAL(receive_word(third), 1);
    REQUIRE_EQUAL(receive_word(other), 2);
    REQUIRE_EQUAL(receive_word(other), 3);
    REQUIRE_EQUAL(receive_word(third), 4);
    REQUIRE_EQUAL(kind_of(names[3]), RIGHT_NONE); // used up
    uint64_t one = 0, two = 0;
    ZERO(task_right_info(NAME_TASK_SELF, names[0], NULL, &one, NULL));
    ZERO(task_right_info(NAME_TASK_SELF, other, NULL, &two, NULL));
    REQUIRE(one == two && one != 0);
}

static port_name_t shared_send, shared_receive;

static void *send_receive_right(void *moved)
{
    struct message message = {.tag = TAG_RIGHTS(1), .destination = shared_send};
    utcb_self()->rights[0] = move_receive(*(port_name_t *)moved);
    return (void *)(uintptr_t)msg_send(&message, TIMEOUT_NONE);
}

TEST(receive_right, "a receive right moves with the messages that wait in its port")
{
    port_name_t send, moved = make_port(5, &send);
    pthread_t thread;
    void *result;
    shared_receive = make_port(6, &shared_send);
    ZERO(send_word(send, 77, 0));
    ZERO(pthread_create(&thread, NULL, send_receive_right, &moved));
    struct message message;
    ZERO(msg_receive(&message, shared_receive, TIMEOUT_NONE));
    ZERO(pthread_join(thread, &result));
    REQUIRE_EQUAL((uintptr_t)result, ERR_OK);
    struct message_right arrived = utcb_self()->rights[0];
    REQUIRE_EQUAL(arrived.disposition, RIGHT_RECEIVE);
    REQUIRE_EQUAL(kind_of(moved), RIGHT_NONE);
    REQUIRE_EQUAL(receive_word(arrived.name), 77);
    ZERO(send_word(send, 78, 0));
    REQUIRE_EQUAL(receive_word(arrived.name), 78);
}

// --- RPCs ----------------------------------------------------------------------------------------

static uint8_t bytes[MEGABYTE], back[MEGABYTE];

// Answers `count` requests: words plus one, its memory, a copy of the right that came.
static void *answer_some(void *count)
{
    static uint8_t arrived[MEGABYTE];
    for (uintptr_t i = 0; i < (uintptr_t)count; i++) {
        struct message message;
        utcb_self()->copy_buffers[0] = message_buffer(arrived, sizeof arrived);
        ZERO(msg_receive(&message, shared_receive, TIMEOUT_NONE));
        REQUIRE(message_wants_reply(&message));
        message.words[0]++;
        uint64_t items = message.tag & TAG_ITEMS_MASK;
        if (items != 0)
            utcb_self()->items[0] = message_copy_item(arrived, utcb_self()->items[0].length);
        if (message.tag & TAG_RIGHTS_MASK)
            utcb_self()->rights[0] = move_send(utcb_self()->rights[0].name);
        message.tag = 1 | items | (message.tag & TAG_RIGHTS_MASK);
        ZERO(msg_reply(&message));
    }
    return NULL;
}

TEST(rpc,
     "calls between threads with words and rights; the right that comes back is the same port's")
{
    pthread_t thread;
    shared_receive = make_port(6, &shared_send);
    ZERO(pthread_create(&thread, NULL, answer_some, (void *)101));
    for (uint64_t i = 0; i < 100; i++) {
        struct message message = {.tag = 1, .destination = shared_send, .words = {i}};
        ZERO(msg_rpc(&message, TIMEOUT_NONE));
        REQUIRE_EQUAL(message.words[0], i + 1);
    }
    struct message message = {.tag = 1 | TAG_RIGHTS(1), .destination = shared_send};
    utcb_self()->rights[0] = copy_send(shared_send);
    ZERO(msg_rpc(&message, TIMEOUT_NONE));
    uint64_t one = 0, two = 0;
    ZERO(task_right_info(NAME_TASK_SELF, utcb_self()->rights[0].name, NULL, &one, NULL));
    ZERO(task_right_info(NAME_TASK_SELF, shared_send, NULL, &two, NULL));
    REQUIRE(one == two && one != 0);
    ZERO(pthread_join(thread, NULL));
}

TEST_WITHIN(copy, "1 byte to a megabyte there and back; more, and too small a buffer, are refused",
            60)
{
    pthread_t thread;
    shared_receive = make_port(6, &shared_send);
    fill_pattern(bytes, sizeof bytes, 3);
    ZERO(pthread_create(&thread, NULL, answer_some, (void *)5));
    for (size_t size = 1; size <= sizeof bytes; size *= 32) {
        struct message message = {.tag = TAG_ITEMS(1), .destination = shared_send};
        utcb_self()->items[0] = message_copy_item(bytes, size);
        utcb_self()->copy_buffers[0] = message_buffer(back, sizeof back);
        memset(back, 0, sizeof back);
        ZERO(msg_rpc(&message, TIMEOUT_NONE));
        REQUIRE_EQUAL(utcb_self()->items[0].length, size);
        REQUIRE_EQUAL(utcb_self()->items[0].address, (uint64_t)back);
        REQUIRE(memcmp(back, bytes, size) == 0);
        REQUIRE(size == sizeof back || back[size] == 0);
    }
    ZERO(pthread_join(thread, NULL));
    struct message message = {.tag = TAG_ITEMS(2), .destination = shared_send};
    utcb_self()->items[0] = message_copy_item(bytes, MEGABYTE);
    utcb_self()->items[1] = message_copy_item(bytes, 1);
    REQUIRE_EQUAL(msg_send(&message, 0), ERR_TOO_LARGE);
    message = (struct message){.tag = TAG_ITEMS(1), .destination = shared_send};
    utcb_self()->items[0] = (struct message_item){
        .kind = ITEM_MAP, .access = ACCESS_READ, .address = 0x10000, .length = 4096};
    REQUIRE_EQUAL(msg_send(&message, 0), ERR_NOT_SUPPORTED);
    message = (struct message){.tag = TAG_ITEMS(1), .destination = shared_send};
    utcb_self()->items[0] = message_copy_item((void *)0x1000, 64);
    REQUIRE_EQUAL(msg_send(&message, 0), ERR_FAULT);
    message = (struct message){.tag = TAG_ITEMS(1), .destination = shared_send};
    utcb_self()->items[0] = message_copy_item(bytes, 64);
    REQUIRE_EQUAL(msg_send(&message, 1000), ERR_TIMED_OUT); // nobody takes it
}

TEST(reply_right,
     "a plain message with a right to answer it; and a right that others use while it moves")
{
    pthread_t thread;
    port_name_t send, receive = make_port(4, &send);
    shared_receive = make_port(6, &shared_send);
    ZERO(pthread_create(&thread, NULL, answer_some, (void *)1));
    struct message message = {
        .tag = 1 | TAG_REPLY_RIGHT, .destination = shared_send, .words = {41}};
    utcb_self()->reply = make_send_once(receive);
    ZERO(msg_send(&message, TIMEOUT_NONE));
    ZERO(msg_receive(&message, receive, TIMEOUT_NONE));
    REQUIRE_EQUAL(message.words[0], 42);
    ZERO(pthread_join(thread, NULL));
    // The answer is a message with memory, which waits for who takes it.
    struct message copy = {.tag = TAG_RIGHTS(2) | TAG_ITEMS(1), .destination = send};
    utcb_self()->rights[0] = move_send(shared_send);
    utcb_self()->rights[1] = copy_send(send);
    utcb_self()->items[0] = message_copy_item(bytes, 10);
    REQUIRE_EQUAL(msg_send(&copy, 20000), ERR_TIMED_OUT);
    REQUIRE_EQUAL(kind_of(shared_send), RIGHT_SEND); // it has not gone
}

static void *drop_one(void *argument)
{
    struct message message;
    (void)argument;
    ZERO(msg_receive(&message, shared_receive, TIMEOUT_NONE));
    port_name_t reply;
    ZERO(message_save_reply(&reply));
    ZERO(task_deallocate_right(NAME_TASK_SELF, reply));
    ZERO(msg_receive(&message, shared_receive, TIMEOUT_NONE));
    ZERO(message_save_reply(&reply));
    ZERO(task_fail_reply(NAME_TASK_SELF, reply, ERR_PROTOCOL));
    ZERO(msg_receive(&message, shared_receive, TIMEOUT_NONE)); // the next one empties the slot
    ZERO(msg_receive(&message, shared_receive, TIMEOUT_NONE));
    return NULL;
}

TEST(no_reply, "a right to answer that is dropped, failed or left, ends the call as it says")
{
    pthread_t thread;
    shared_receive = make_port(6, &shared_send);
    ZERO(pthread_create(&thread, NULL, drop_one, NULL));
    struct message message = {.destination = shared_send};
    REQUIRE_EQUAL(msg_rpc(&message, TIMEOUT_NONE), ERR_NO_REPLY);
    message = (struct message){.destination = shared_send};
    REQUIRE_EQUAL(msg_rpc(&message, TIMEOUT_NONE), ERR_PROTOCOL);
    message = (struct message){.destination = shared_send};
    REQUIRE_EQUAL(msg_rpc(&message, TIMEOUT_NONE), ERR_NO_REPLY);
    ZERO(send_word(shared_send, 0, 0));
    ZERO(pthread_join(thread, NULL));
    message = (struct message){.destination = shared_send};
    REQUIRE_EQUAL(msg_rpc(&message, 50000), ERR_TIMED_OUT);
    ZERO(port_deallocate(shared_receive));
}

static corvus_error_t list_two(uint64_t label, uint64_t index, uint64_t *name0, uint64_t *name1,
                               uint64_t *name2, uint64_t *name3)
{
    *name0 = label;
    *name1 = index;
    *name2 = *name3 = 2;
    return index < 2 ? ERR_OK : ERR_NOT_FOUND;
}

static const struct netname_operations operations = {.netname_list = list_two};

static bool dispatch(const struct message *request, struct message *reply)
{
    return netname_serve(request, reply, &operations);
}

static void *serve_for_ever(void *argument)
{
    (void)argument;
    return (void *)(uintptr_t)serve(shared_receive, dispatch);
}

TEST(stubs, "generated stubs and dispatchers, and the server's loop")
{
    pthread_t thread;
    uint64_t name[4] = {0};
    void *result;
    shared_receive = make_port(65, &shared_send);
    ZERO(pthread_create(&thread, NULL, serve_for_ever, NULL));
    ZERO(netname_list(shared_send, 1, &name[0], &name[1], &name[2], &name[3]));
    REQUIRE(name[0] == 65 && name[1] == 1 && name[3] == 2);
    REQUIRE_EQUAL(netname_list(shared_send, 2, &name[0], &name[1], &name[2], &name[3]),
                  ERR_NOT_FOUND);
    REQUIRE_EQUAL(netname_check_out(shared_send, 1, 2, 3, 4, 5), ERR_UNKNOWN_SERVICE);
    ZERO(port_deallocate(shared_receive));
    ZERO(pthread_join(thread, &result));
    REQUIRE_EQUAL((uintptr_t)result, ERR_PEER_DIED);
}

// --- Files ---------------------------------------------------------------------------------------

static void answer_in_child(void *argument)
{
    (void)answer_some(argument);
}

TEST(fork, "a child has the same rights, and answers its parent")
{
    shared_receive = make_port(6, &shared_send);
    pid_t process = child(answer_in_child, (void *)20);
    for (uint64_t i = 0; i < 20; i++) {
        struct message message = {.tag = 1, .destination = shared_send, .words = {i}};
        ZERO(msg_rpc(&message, TIMEOUT_NONE));
        REQUIRE_EQUAL(message.words[0], i + 1);
    }
    EXITS(process, 0);
}

static int pass_file(int file)
{
    int ends[2], arrived;
    char byte = 0, control[CMSG_SPACE(sizeof file)] = {0};
    struct iovec vector = {&byte, 1};
    struct msghdr header = {.msg_iov = &vector,
                            .msg_iovlen = 1,
                            .msg_control = control,
                            .msg_controllen = sizeof control};
    SUCCEED(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    struct cmsghdr *part = CMSG_FIRSTHDR(&header);
    *part = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof file), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(part), &file, sizeof file);
    SUCCEED(sendmsg(ends[0], &header, 0));
    SUCCEED(recvmsg(ends[1], &header, 0));
    memcpy(&arrived, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof arrived);
    return arrived;
}

TEST(passed, "a file that came by SCM_RIGHTS has its rights; another one has none of them")
{
    port_name_t send, receive = make_port(6, &send);
    ZERO(send_word(send, 3, 0));
    int passed = pass_file(corvus_file());
    corvus_use_file(SUCCEED(open(CORVUS_DEVICE, O_RDWR)));
    REQUIRE_EQUAL(kind_of(receive), RIGHT_NONE);
    struct message message;
    REQUIRE_EQUAL(msg_receive(&message, receive, 0), ERR_INVALID_NAME);
    corvus_use_file(passed);
    REQUIRE_EQUAL(receive_word(receive), 3);
}

static void fill_with_rights(void *argument)
{
    (void)argument;
    corvus_use_file(SUCCEED(open(CORVUS_DEVICE, O_RDWR)));
    port_name_t send, receive = make_port(6, &send);
    ZERO(port_set_backlog(receive, 64));
    for (int i = 0; i < 64; i++) {
        port_name_t other_send, other = make_port(9, &other_send);
        struct message message = {.tag = TAG_RIGHTS(3), .destination = send};
        utcb_self()->rights[0] = move_send(other_send);
        utcb_self()->rights[1] = make_send_once(other);
        utcb_self()->rights[2] = copy_send(send);
        ZERO(msg_send(&message, 0));
    }
}

// As many as before, give or take what other programs of the node do meanwhile.
static void require_server_rights(const struct corvus_usage *before)
{
    struct corvus_usage after;
    for (int i = 0; i < 50; i++) {
        REQUIRE(corvus_usage(&after));
        if (after.server_rights <= before->server_rights)
            break;
        sleep_ms(20);
    }
    remark("names of the server: %llu before, %llu after; of files: %u before, %u after",
           (unsigned long long)before->server_rights, (unsigned long long)after.server_rights,
           before->node_names, after.node_names);
    REQUIRE(after.server_rights <= before->server_rights);
    REQUIRE(after.node_names <= before->node_names);
}

TEST_WITHIN(closed, "a process ends with messages and rights in flight, and leaves nothing behind",
            60)
{
    struct corvus_usage before;
    need_device();
    in_child(fill_with_rights, NULL);
    REQUIRE(corvus_usage(&before));
    for (int i = 0; i < 10; i++)
        in_child(fill_with_rights, NULL);
    require_server_rights(&before);
}

TEST_WITHIN(many, "10,000 ports made and given up leave no right behind", 120)
{
    struct corvus_usage before;
    need_device();
    REQUIRE(corvus_usage(&before));
    for (int round = 0; round < 10; round++) {
        static port_name_t receives[1000], sends[1000];
        for (int i = 0; i < 1000; i++)
            ZERO(port_allocate_with_send(0, &receives[i], &sends[i]));
        for (int i = 0; i < 1000; i++)
            ZERO(send_word(sends[i], 1, 0));
        for (int i = 0; i < 1000; i++) {
            ZERO(port_deallocate(receives[i]));
            if (round % 2 == 0)
                ZERO(port_deallocate(sends[i]));
        }
    }
    corvus_use_file(SUCCEED(open(CORVUS_DEVICE, O_RDWR)));
    require_server_rights(&before);
}
