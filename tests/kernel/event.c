// SPDX-License-Identifier: BSD-2-Clause
// Notifications as bits, alone and in sets; timers; the clock page.
#include "harness.h"

static struct test_port port;
static volatile unsigned result;
static volatile uint64_t bits;

static unsigned receive_now(port_name_t from, struct message *message)
{
    *message = (struct message){.receive_from = from};
    return message_do_within(message, TAG_RECEIVE, 0);
}

static void expect_event(uint64_t expected)
{
    struct message message;

    EXPECT_OK(receive_now(port.receive, &message));
    EXPECT_EQUAL(message.id, MESSAGE_ID_EVENT);
    EXPECT_EQUAL(message.tag, 1);
    EXPECT_EQUAL(message.label, 0xe7);
    EXPECT_EQUAL(message.words[0], expected);
    EXPECT_EQUAL(receive_now(port.receive, &message), ERR_WOULD_BLOCK | IN_RECEIVE);
}

static void test_bits(void)
{
    struct port_status status;

    port = port_make(0xe7);
    EXPECT_OK(msg_notify(port.send, 1));
    EXPECT_OK(msg_notify(port.send, 0x8000000000000000ull));
    EXPECT_OK(msg_notify(port.send, 1));
    EXPECT_OK(port_status(port.receive, &status));
    EXPECT_EQUAL(status.events, 0x8000000000000001ull);
    expect_event(0x8000000000000001ull);
    // No queue, so no backlog.
    EXPECT_OK(port_set_backlog(port.receive, 0));
    for (unsigned i = 0; i < 64; i++)
        EXPECT_OK(msg_notify(port.send, 1ull << i));
    expect_event(UINT64_MAX);
    port_drop(&port);
}

// A kernel object takes none.
static void test_refused(void)
{
    EXPECT_EQUAL(msg_notify(NAME_TASK_SELF, 1), ERR_INVALID_RIGHT);
    EXPECT_EQUAL(msg_notify(NAME_HOST, 1), ERR_INVALID_RIGHT);
    EXPECT_EQUAL(msg_notify(4711, 1), ERR_INVALID_NAME);
}

static void receiver(void *argument)
{
    struct message message = {.receive_from = (port_name_t)(uint64_t)argument};

    result = message_do(&message, TAG_RECEIVE);
    bits = message.id == MESSAGE_ID_EVENT ? message.words[0] : 0;
}

static void test_waiting(void)
{
    port_name_t set = PORT_NULL;

    port = port_make(0xe7);
    struct helper *helper = helper_start(receiver, (void *)(uint64_t)port.receive);
    EXPECT(helper_waits(helper, THREAD_RECEIVING));
    EXPECT_OK(msg_notify(port.send, 6));
    helper_join(helper);
    EXPECT_OK(result);
    EXPECT_EQUAL(bits, 6);
    EXPECT_OK(port_set_allocate(&set));
    EXPECT_OK(port_enable(port.receive, set));
    helper = helper_start(receiver, (void *)(uint64_t)set);
    EXPECT(helper_waits(helper, THREAD_RECEIVING));
    EXPECT_OK(msg_notify(port.send, 9));
    helper_join(helper);
    EXPECT_EQUAL(bits, 9);
    // Events and messages of one port: the events first.
    struct message message = {.destination = port.send, .id = 3};
    EXPECT_OK(message_do(&message, TAG_SEND));
    EXPECT_OK(msg_notify(port.send, 2));
    EXPECT_OK(receive_now(set, &message));
    EXPECT_EQUAL(message.id, MESSAGE_ID_EVENT);
    EXPECT_OK(receive_now(set, &message));
    EXPECT_EQUAL(message.id, 3);
    right_drop(set);
    port_drop(&port);
}

// --- Timers -----------------------------------------------------------------------------

static port_name_t make_timer(uint64_t event_bits)
{
    port_name_t timer = PORT_NULL;

    EXPECT_OK(task_create_timer(NAME_TASK_SELF, event_bits, copy_send(port.send), &timer));
    return timer;
}

static unsigned wait_event(uint64_t time)
{
    struct message message = {.receive_from = port.receive};
    unsigned received = message_do_within(&message, TAG_RECEIVE, time);

    bits = message.words[0];
    return received;
}

static void test_timer_once(void)
{
    port = port_make(0xe7);
    port_name_t timer = make_timer(4);
    uint64_t start = clock_now_ns();
    EXPECT_OK(timer_set(timer, start + 5 * MILLISECOND, 0));
    EXPECT_OK(wait_event(LONG_TIME));
    EXPECT_EQUAL(bits, 4);
    EXPECT(clock_now_ns() >= start + 5 * MILLISECOND);
    EXPECT_EQUAL(wait_event(10 * MILLISECOND), ERR_TIMED_OUT | IN_RECEIVE);
    // Past: at once.
    EXPECT_OK(timer_set(timer, 1, 0));
    EXPECT_OK(wait_event(LONG_TIME));
    // Disarmed, and set anew.
    EXPECT_OK(timer_set(timer, clock_now_ns() + 5 * MILLISECOND, 0));
    EXPECT_OK(timer_set(timer, 0, 0));
    EXPECT_EQUAL(wait_event(10 * MILLISECOND), ERR_TIMED_OUT | IN_RECEIVE);
    EXPECT_OK(timer_set(timer, UINT64_MAX, 0));
    EXPECT_OK(timer_set(timer, clock_now_ns() + MILLISECOND, 0));
    EXPECT_OK(wait_event(LONG_TIME));
    // The last send right goes: it is cancelled.
    EXPECT_OK(timer_set(timer, clock_now_ns() + 5 * MILLISECOND, 0));
    right_drop(timer);
    EXPECT_EQUAL(wait_event(10 * MILLISECOND), ERR_TIMED_OUT | IN_RECEIVE);
    port_drop(&port);
}

static void test_timer_periodic(void)
{
    port = port_make(0xe7);
    port_name_t timer = make_timer(1);
    uint64_t start = clock_now_ns();
    EXPECT_OK(timer_set(timer, start + MILLISECOND, MILLISECOND));
    for (unsigned i = 0; i < 5; i++)
        EXPECT_OK(wait_event(LONG_TIME));
    EXPECT(clock_now_ns() >= start + 5 * MILLISECOND);
    EXPECT_OK(timer_set(timer, 0, MILLISECOND));
    (void)wait_event(0);
    EXPECT_EQUAL(wait_event(5 * MILLISECOND), ERR_TIMED_OUT | IN_RECEIVE);
    EXPECT_EQUAL(timer_set(timer, start, 9999), ERR_INVALID_ARGUMENT);
    EXPECT_EQUAL(timer_set(timer, start, 1), ERR_INVALID_ARGUMENT);
    // The shortest one allowed leaves others time to run.
    EXPECT_OK(timer_set(timer, start, 10000));
    for (unsigned i = 0; i < 20; i++)
        EXPECT_OK(wait_event(LONG_TIME));
    EXPECT_OK(timer_set(timer, 0, 0));
    right_drop(timer);
    port_drop(&port);
}

// Periods that leave the range of the clock.
static void test_timer_hostile_period(void)
{
    static const uint64_t periods[] = {UINT64_MAX, UINT64_MAX - 1, 1ull << 63, (1ull << 63) + 1};

    port = port_make(0xe7);
    port_name_t timer = make_timer(1);
    for (unsigned i = 0; i < sizeof periods / sizeof periods[0]; i++) {
        corvus_error_t error = timer_set(timer, clock_now_ns() + MILLISECOND, periods[i]);
        EXPECT(error == ERR_OK || error == ERR_INVALID_ARGUMENT);
        if (error == ERR_OK)
            EXPECT_OK(wait_event(LONG_TIME));
        EXPECT_EQUAL(wait_event(5 * MILLISECOND), ERR_TIMED_OUT | IN_RECEIVE);
    }
    right_drop(timer);
    port_drop(&port);
}

static void test_timer_refused(void)
{
    port_name_t timer = PORT_NULL;

    port = port_make(0xe7);
    EXPECT_EQUAL(task_create_timer(NAME_TASK_SELF, 0, copy_send(port.send), &timer),
                 ERR_INVALID_ARGUMENT);
    EXPECT_EQUAL(task_create_timer(NAME_TASK_SELF, 1, copy_send(NAME_TASK_SELF), &timer),
                 ERR_INVALID_RIGHT);
    EXPECT_EQUAL(task_create_timer(NAME_TASK_SELF, 1, make_send_once(port.receive), &timer),
                 ERR_INVALID_RIGHT);
    // Its target dies first.
    timer = make_timer(1);
    port_drop(&port);
    EXPECT_OK(timer_set(timer, 1, 10000));
    sleep_for(MILLISECOND);
    EXPECT_OK(timer_set(timer, 0, 0));
    right_drop(timer);
}

#define TIMERS 40

// Many at once, in any order, each bit once.
static void test_timers_many(void)
{
    port_name_t timers[TIMERS];
    uint64_t seen = 0, start;

    port = port_make(0xe7);
    for (unsigned i = 0; i < TIMERS; i++)
        timers[i] = make_timer(1ull << i);
    start = clock_now_ns();
    for (uint64_t i = 0; i < TIMERS; i++)
        EXPECT_OK(timer_set(timers[i], start + (i * 17 % TIMERS + 1) * 200000, 0));
    while (seen != (1ull << TIMERS) - 1 && wait_event(LONG_TIME) == ERR_OK) {
        EXPECT_EQUAL(seen & bits, 0);
        seen |= bits;
    }
    EXPECT_EQUAL(seen, (1ull << TIMERS) - 1);
    for (unsigned i = 0; i < TIMERS; i++)
        right_drop(timers[i]);
    port_drop(&port);
}

static void test_clock(void)
{
    uint64_t last = clock_now_ns(), uptime = 0;
    const struct clock_page *clock = (const struct clock_page *)CLOCK_PAGE_ADDRESS;

    for (unsigned i = 0; i < 10000; i++) {
        uint64_t now = clock_now_ns();
        if (now < last)
            EXPECT(!"the clock goes on");
        last = now;
    }
    EXPECT_OK(host_info(NAME_HOST, NULL, NULL, NULL, NULL, &uptime));
    EXPECT(uptime >= last && uptime < last + NANOSECONDS_PER_SECOND);
    EXPECT(clock->tsc_hz > 1000000);
    uint64_t access = 0;
    EXPECT_OK(memory_info(NAME_TASK_SELF, CLOCK_PAGE_ADDRESS, &access, NULL, NULL, NULL));
    EXPECT_EQUAL(access, ACCESS_READ);
}

static const struct test tests[] = {
    {"bits are OR-ed", test_bits, false},
    {"what takes no notification", test_refused, false},
    {"waiting for them, in sets too", test_waiting, false},
    {"a timer once: past, disarmed, dropped", test_timer_once, false},
    {"a periodic timer", test_timer_periodic, false},
    {"periods out of range", test_timer_hostile_period, false},
    {"timers that are refused", test_timer_refused, false},
    {"many timers", test_timers_many, false},
    {"the clock page", test_clock, false},
    {NULL, NULL, false},
};
const struct test_group event_tests = {"event", tests};
