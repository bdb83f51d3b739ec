// SPDX-License-Identifier: BSD-2-Clause
// Priorities, round robin inside one, and time slices along an RPC.
#include "harness.h"

static volatile uint64_t turns[4], order[8];
static volatile unsigned placed;
static volatile bool stop;
static struct test_port port;

static void spin(void *argument)
{
    while (!stop)
        turns[(uint64_t)argument]++;
}

static void place(void *argument)
{
    order[placed++] = (uint64_t)argument;
}

// The more urgent one runs first, whoever began first.
static void test_order(void)
{
    struct helper *helpers[4];

    placed = 0;
    for (uint64_t i = 0; i < 4; i++)
        helpers[i] = helper_start_priority(place, (void *)i, -10 + (int)(i * 7 % 4));
    for (unsigned i = 0; i < 4; i++)
        helper_join(helpers[i]);
    // Priorities 0 3 2 1 above the lowest.
    EXPECT_EQUAL(order[0], 1);
    EXPECT_EQUAL(order[1], 2);
    EXPECT_EQUAL(order[2], 3);
    EXPECT_EQUAL(order[3], 0);
}

static void test_round_robin(void)
{
    struct helper *helpers[3];

    stop = false;
    for (uint64_t i = 0; i < 3; i++) {
        turns[i] = 0;
        helpers[i] = helper_start_priority(spin, (void *)i, -10);
    }
    turns[3] = 0;
    struct helper *lower = helper_start_priority(spin, (void *)3, -11);
    sleep_for(400 * MILLISECOND);
    uint64_t low = turns[3];
    stop = true;
    for (unsigned i = 0; i < 3; i++)
        helper_join(helpers[i]);
    helper_join(lower);
    // Each had its share, and the lower one nothing.
    for (unsigned i = 0; i < 3; i++)
        EXPECT(turns[i] > 1000);
    EXPECT_EQUAL(low, 0);
}

// A thread that wakes preempts a lower one at once.
static void wake(void *argument)
{
    struct message message = {.receive_from = port.receive};

    (void)argument;
    EXPECT_OK(message_do(&message, TAG_RECEIVE));
    turns[1] = turns[0];
}

static void spin_and_notify(void *argument)
{
    (void)argument;
    while (turns[0] < 1000)
        turns[0]++;
    (void)msg_notify(port.send, 1);
    turns[2] = turns[1];
    turns[0]++;
}

static void test_preempted(void)
{
    port = port_make(0);
    turns[0] = turns[1] = turns[2] = 0;
    struct helper *upper = helper_start_priority(wake, NULL, -5);
    EXPECT(helper_waits(upper, THREAD_RECEIVING));
    struct helper *lower = helper_start_priority(spin_and_notify, NULL, -6);
    helper_join(upper);
    helper_join(lower);
    EXPECT_EQUAL(turns[1], 1000);
    EXPECT_EQUAL(turns[2], 1000);
    port_drop(&port);
}

// By a message too, of a thread with lower priority that then goes on.
static void wake_by_timer(void *argument)
{
    (void)argument;
    sleep_for(5 * MILLISECOND);
    stop = true;
}

static void test_timer_preempts(void)
{
    stop = false;
    turns[0] = 0;
    struct helper *lower = helper_start_priority(spin, (void *)0, -6);
    struct helper *upper = helper_start_priority(wake_by_timer, NULL, -5);
    helper_join(upper);
    helper_join(lower);
    EXPECT(stop);
}

// Changed while ready, while waiting, and down while running.
static void test_change(void)
{
    stop = false;
    turns[0] = turns[1] = 0;
    struct helper *a = helper_start_priority(spin, (void *)0, -10);
    struct helper *b = helper_start_priority(spin, (void *)1, -11);
    sleep_for(20 * MILLISECOND);
    EXPECT_EQUAL(turns[1], 0);
    uint64_t mine = 0;
    EXPECT_OK(thread_info(NAME_THREAD_MAIN, NULL, NULL, &mine, NULL, NULL, NULL));
    EXPECT_OK(thread_set_priority(b->thread, mine - 9));
    sleep_for(20 * MILLISECOND);
    EXPECT(turns[1] > 0);
    EXPECT_OK(thread_set_priority(b->thread, mine - 12));
    uint64_t now = turns[1];
    sleep_for(20 * MILLISECOND);
    EXPECT_EQUAL(turns[1], now);
    stop = true;
    helper_join(a);
    helper_join(b);
}

static const struct test tests[] = {
    {"the more urgent first", test_order, false},
    {"round robin with time slices, nothing for lower ones", test_round_robin, false},
    {"a woken thread preempts", test_preempted, false},
    {"a timer's thread preempts", test_timer_preempts, false},
    {"priorities changed", test_change, false},
    {NULL, NULL, false},
};
const struct test_group schedule_tests = {"schedule", tests};
