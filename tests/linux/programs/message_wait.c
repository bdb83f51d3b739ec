// SPDX-License-Identifier: BSD-2-Clause
// How Linux programs wait at ports (/dev/corvus): sets, several receivers, full queues, poll,
// events, notices; signals and ends meanwhile.
#include "harness_port.h"

#include <poll.h>
#include <pthread.h>

static port_name_t shared_send, shared_receive;

// --- Waiting -------------------------------------------------------------------------------------

static void *send_later(void *word)
{
    sleep_ms(50);
    ZERO(send_word(shared_send, (uintptr_t)word, TIMEOUT_NONE));
    return NULL;
}

TEST(sets, "a port set: messages of its members, who come and go")
{
    port_name_t set, sends[3], ports[3];
    need_device();
    ZERO(port_set_allocate(&set));
    for (uint64_t i = 0; i < 3; i++) {
        ports[i] = make_port(i + 1, &sends[i]);
        ZERO(port_enable(ports[i], set));
    }
    struct message message;
    REQUIRE_EQUAL(msg_receive(&message, set, 0), ERR_WOULD_BLOCK);
    ZERO(send_word(sends[1], 5, 0));
    ZERO(msg_receive(&message, set, TIMEOUT_NONE));
    REQUIRE_EQUAL(message.label, 2);
    for (int round = 0; round < 3; round++) {
        pthread_t thread;
        shared_send = sends[round];
        ZERO(pthread_create(&thread, NULL, send_later, NULL));
        ZERO(msg_receive(&message, set, TIMEOUT_NONE));
        REQUIRE_EQUAL(message.label, (uint64_t)round + 1);
        ZERO(pthread_join(thread, NULL));
    }
    ZERO(port_disable(ports[0]));
    ZERO(send_word(sends[0], 5, 0));
    REQUIRE_EQUAL(msg_receive(&message, set, 1000), ERR_TIMED_OUT);
    REQUIRE_EQUAL(receive_word(ports[0]), 5);
    struct port_status status;
    ZERO(port_status(ports[1], &status));
    REQUIRE(status.in_set == 1 && status.backlog == PORT_BACKLOG_DEFAULT);
    ZERO(port_status(ports[0], &status));
    REQUIRE_EQUAL(status.in_set, 0);
    ZERO(port_deallocate(set));
    ZERO(port_status(ports[1], &status));
    REQUIRE_EQUAL(status.in_set, 0);
}

static void *receive_three(void *sum)
{
    for (int i = 0; i < 3; i++)
        __atomic_fetch_add((uint64_t *)sum, receive_word(shared_receive), __ATOMIC_RELAXED);
    return NULL;
}

TEST(receivers, "several threads receive from one port; each message goes to one of them")
{
    pthread_t threads[8];
    uint64_t sum = 0, expected = 0;
    shared_receive = make_port(1, &shared_send);
    for (int i = 0; i < 8; i++)
        ZERO(pthread_create(&threads[i], NULL, receive_three, &sum));
    sleep_ms(50);
    for (uint64_t i = 0; i < 24; i++) {
        ZERO(send_word(shared_send, 1ull << i, TIMEOUT_NONE));
        expected += 1ull << i;
    }
    for (int i = 0; i < 8; i++)
        ZERO(pthread_join(threads[i], NULL));
    REQUIRE_EQUAL(sum, expected);
}

TEST(full, "a full port: refused, timed out, and in order when there is room again")
{
    pthread_t thread;
    shared_receive = make_port(1, &shared_send);
    ZERO(port_set_backlog(shared_receive, 4));
    for (uint64_t i = 0; i < 4; i++)
        ZERO(send_word(shared_send, i, 0));
    REQUIRE_EQUAL(send_word(shared_send, 9, 0), ERR_WOULD_BLOCK);
    REQUIRE_EQUAL(send_word(shared_send, 9, 20000), ERR_TIMED_OUT);
    ZERO(pthread_create(&thread, NULL, send_later, (void *)4));
    sleep_ms(150);
    for (uint64_t i = 0; i < 5; i++)
        REQUIRE_EQUAL(receive_word(shared_receive), i);
    ZERO(pthread_join(thread, NULL));
}

TEST(files, "poll and descriptors of ports and sets")
{
    port_name_t set, send, receive = make_port(1, &send);
    ZERO(port_set_allocate(&set));
    ZERO(port_enable(receive, set));
    struct pollfd polled[2] = {{SUCCEED(corvus_port_file(receive)), POLLIN, 0},
                               {SUCCEED(corvus_port_file(set)), POLLIN, 0}};
    pthread_t thread;
    FAIL_WITH(corvus_port_file(send), EINVAL);
    FAIL_WITH(corvus_port_file(4711), ENOENT);
    REQUIRE_EQUAL(poll(polled, 2, 0), 0);
    shared_send = send;
    ZERO(pthread_create(&thread, NULL, send_later, NULL));
    REQUIRE_EQUAL(poll(polled, 2, -1), 2);
    REQUIRE(polled[0].revents == POLLIN && polled[1].revents == POLLIN);
    ZERO(pthread_join(thread, NULL));
    (void)receive_word(set);
    REQUIRE_EQUAL(poll(polled, 2, 0), 0);
    ZERO(port_deallocate(receive));
    REQUIRE_EQUAL(poll(polled, 1, -1), 1);
    REQUIRE(polled[0].revents & POLLHUP);
}

TEST(events, "bits of msg_notify come together, before messages")
{
    port_name_t send, receive = make_port(8, &send);
    struct message message;
    ZERO(send_word(send, 1, 0));
    ZERO(msg_notify(send, 5));
    ZERO(msg_notify(send, 8));
    ZERO(msg_receive(&message, receive, 0));
    REQUIRE(message.id == MESSAGE_ID_EVENT && message.words[0] == 13);
    ZERO(msg_receive(&message, receive, 0));
    REQUIRE_EQUAL(message.id, 7);
}

TEST(notices, "dead names, no senders, room: told by the program's own names")
{
    port_name_t told_send, told = make_port(1, &told_send), send, receive = make_port(2, &send);
    struct message message;
    ZERO(port_request_notification(send, NOTIFY_DEAD_NAME, told));
    ZERO(port_set_backlog(receive, 1));
    ZERO(send_word(send, 1, 0));
    ZERO(port_request_notification(send, NOTIFY_SEND_POSSIBLE, told));
    REQUIRE_EQUAL(msg_receive(&message, told, 0), ERR_WOULD_BLOCK);
    (void)receive_word(receive);
    ZERO(msg_receive(&message, told, TIMEOUT_NONE));
    REQUIRE(message.id == MESSAGE_ID_SEND_POSSIBLE && message.words[0] == send);
    ZERO(port_deallocate(receive));
    ZERO(msg_receive(&message, told, TIMEOUT_NONE));
    REQUIRE(message.id == MESSAGE_ID_DEAD_NAME && message.words[0] == send);
    receive = make_port(42, &send);
    ZERO(port_request_notification(receive, NOTIFY_NO_SENDERS, told));
    REQUIRE_EQUAL(port_request_notification(receive, NOTIFY_NO_SENDERS, told), ERR_IN_USE);
    ZERO(port_deallocate(send));
    ZERO(msg_receive(&message, told, TIMEOUT_NONE));
    REQUIRE(message.id == MESSAGE_ID_NO_SENDERS && message.words[0] == 42);
}

// --- Signals -------------------------------------------------------------------------------------

static volatile sig_atomic_t signals;

static void count_signal(int number)
{
    (void)number;
    signals++;
}

static void set_handler(int flags)
{
    struct sigaction action = {.sa_handler = count_signal, .sa_flags = flags};
    SUCCEED(sigaction(SIGUSR1, &action, NULL));
}

static void *signal_later(void *thread)
{
    sleep_ms(100);
    ZERO(pthread_kill(*(pthread_t *)thread, SIGUSR1));
    return NULL;
}

TEST(signals, "a signal ends a wait, or the wait goes on by SA_RESTART; an RPC that was sent ends")
{
    pthread_t self = pthread_self(), thread, sender;
    port_name_t send, receive = make_port(1, &send);
    struct message message;
    set_handler(0);
    ZERO(pthread_create(&thread, NULL, signal_later, &self));
    REQUIRE_EQUAL(msg_receive(&message, receive, TIMEOUT_NONE), ERR_ABORTED);
    REQUIRE(message.tag & TAG_ERROR_RECEIVE);
    ZERO(pthread_join(thread, NULL));
    ZERO(pthread_create(&thread, NULL, signal_later, &self));
    message = (struct message){.destination = send};
    REQUIRE_EQUAL(msg_rpc(&message, TIMEOUT_NONE), ERR_ABORTED);
    ZERO(pthread_join(thread, NULL));
    // The request, which nobody had taken, is gone.
    REQUIRE_EQUAL(msg_receive(&message, receive, 0), ERR_WOULD_BLOCK);
    set_handler(SA_RESTART);
    shared_send = send;
    ZERO(pthread_create(&thread, NULL, signal_later, &self));
    ZERO(pthread_create(&sender, NULL, signal_later, &self));
    ZERO(pthread_join(sender, NULL));
    ZERO(pthread_create(&sender, NULL, send_later, (void *)6));
    REQUIRE_EQUAL(receive_word(receive), 6);
    ZERO(pthread_join(thread, NULL));
    ZERO(pthread_join(sender, NULL));
    REQUIRE(signals == 3 || signals == 4); // two may come as one
}

static void wait_for_ever(void *argument)
{
    struct message message = {.destination = shared_send};
    (void)(argument != NULL ? msg_rpc(&message, TIMEOUT_NONE)
                            : msg_receive(&message, shared_receive, TIMEOUT_NONE));
    FAIL("the wait ended");
}

TEST(killed,
     "processes that wait to receive, for an answer or to be heard are killed like any other")
{
    struct corvus_usage before, after;
    shared_receive = make_port(1, &shared_send);
    REQUIRE(corvus_usage(&before));
    for (int i = 0; i < 10; i++) {
        pid_t process = child(wait_for_ever, i % 2 ? &shared_send : NULL);
        sleep_ms(30);
        SUCCEED(kill(process, SIGKILL));
        KILLED(process, SIGKILL);
    }
    REQUIRE(corvus_usage(&after));
    REQUIRE_EQUAL(after.workers_busy, before.workers_busy);
    REQUIRE_EQUAL(after.node_bytes, before.node_bytes);
    REQUIRE_EQUAL(after.names, before.names);
}
