// SPDX-License-Identifier: BSD-2-Clause
// Every state a thread can wait in, and each way to end that: abort, suspend,
// terminate, set_state.
#include "harness.h"

#include <corvus/vcpu.h>

static struct test_port port;
static volatile unsigned result;
static volatile bool came_back;

static void wait_sending(void *argument)
{
    struct message message = {.destination = port.send};
    (void)argument;
    result = message_do(&message, TAG_CALL);
    came_back = true;
}

static void wait_receiving(void *argument)
{
    struct message message = {.receive_from = port.receive};
    (void)argument;
    result = message_do(&message, TAG_RECEIVE);
    came_back = true;
}

static void wait_faulting(void *argument)
{
    (void)argument;
    result = *(volatile uint8_t *)(SCRATCH + 4096);
    came_back = true;
}

static void wait_copy_fault(void *argument)
{
    struct message message = {.destination = port.send};
    (void)argument;
    utcb_self()->items[0] = message_copy_item((void *)(SCRATCH + 4096), 10);
    result = message_do(&message, TAG_SEND | TAG_ITEMS(1));
    came_back = true;
}

static const struct wait {
    void (*function)(void *);
    uint64_t state;
    unsigned abort_result; // 0: ERR_STATE, a plain fault is not aborted
    bool receive_first;    // the main thread takes the request: CALLING
} waits[] = {
    {wait_sending, THREAD_SENDING, ERR_ABORTED, false},
    {wait_receiving, THREAD_RECEIVING, ERR_ABORTED | IN_RECEIVE, false},
    {wait_sending, THREAD_CALLING, ERR_ABORTED | IN_RECEIVE, true},
    {wait_faulting, THREAD_FAULTING, 0, false},
};
#define WAITS (sizeof waits / sizeof waits[0])

static struct test_port pager_port;

static struct helper *begin(const struct wait *wait)
{
    struct helper *helper = helper_create(0);
    struct message message = {0};

    port = port_make(0);
    pager_port = port_make(0);
    came_back = false;
    result = 999;
    EXPECT_OK(thread_set_pager(helper->thread, copy_send(pager_port.send)));
    helper->function = wait->function;
    EXPECT_OK(thread_start(helper->thread, (uint64_t)helper_begin, helper_stack(helper),
                           (uint64_t)helper, 0));
    if (wait->receive_first) {
        EXPECT(helper_waits(helper, THREAD_SENDING));
        message.receive_from = port.receive;
        EXPECT_OK(message_do(&message, TAG_RECEIVE));
    }
    EXPECT(helper_waits(helper, wait->state));
    return helper;
}

static void end(void)
{
    port_drop(&port);
    port_drop(&pager_port);
}

static void test_abort(void)
{
    for (unsigned i = 0; i < WAITS; i++) {
        struct helper *helper = begin(&waits[i]);
        corvus_error_t error = thread_abort(helper->thread);
        if (waits[i].abort_result) {
            EXPECT_OK(error);
            helper_join(helper);
            EXPECT_EQUAL(result, waits[i].abort_result);
        } else {
            EXPECT_EQUAL(error, ERR_STATE);
            helper_destroy(helper);
        }
        end();
    }
    // One that runs cannot be aborted.
    EXPECT_EQUAL(thread_abort(NAME_THREAD_MAIN), ERR_STATE);
}

static void test_terminate(void)
{
    for (unsigned i = 0; i < WAITS; i++) {
        struct helper *helper = begin(&waits[i]);
        EXPECT_OK(thread_terminate(helper->thread));
        EXPECT_EQUAL(right_kind(helper->thread), RIGHT_DEAD);
        EXPECT(!came_back);
        uint64_t queued = 99;
        EXPECT_OK(port_messages(port.receive, &queued));
        EXPECT_EQUAL(queued, 0);
        EXPECT_OK(port_messages(pager_port.receive, &queued));
        EXPECT_EQUAL(queued, 0);
        EXPECT_EQUAL(thread_terminate(helper->thread), ERR_PEER_DIED);
        helper_destroy(helper);
        end();
    }
}

// Suspended in its wait: what it waits for comes, but it does not run.
static void test_suspend(void)
{
    for (unsigned i = 0; i < 3; i++) {
        struct helper *helper = begin(&waits[i]);
        struct message message = {0};
        EXPECT_OK(thread_suspend(helper->thread));
        if (waits[i].state == THREAD_SENDING) {
            message.receive_from = port.receive;
            EXPECT_OK(message_do(&message, TAG_RECEIVE));
        }
        if (waits[i].state == THREAD_RECEIVING) {
            message.destination = port.send;
            EXPECT_OK(message_do(&message, TAG_SEND));
        } else {
            EXPECT_OK(message_do(&message, TAG_SEND | TAG_REPLY));
        }
        sleep_for(MILLISECOND);
        EXPECT(!came_back);
        EXPECT_OK(thread_resume(helper->thread));
        helper_join(helper);
        EXPECT_OK(result);
        end();
    }
}

// A suspended thread's deadline passes all the same.
static void wait_shortly(void *argument)
{
    struct message message = {.receive_from = port.receive};
    (void)argument;
    result = message_do_within(&message, TAG_RECEIVE, 100 * MILLISECOND);
    came_back = true;
}

static void test_suspended_deadline(void)
{
    port = port_make(0);
    came_back = false;
    struct helper *helper = helper_start(wait_shortly, NULL);
    EXPECT(helper_waits(helper, THREAD_RECEIVING));
    EXPECT_OK(thread_suspend(helper->thread));
    sleep_for(150 * MILLISECOND);
    EXPECT(!came_back);
    EXPECT_OK(thread_resume(helper->thread));
    helper_join(helper);
    EXPECT_EQUAL(result, ERR_TIMED_OUT | IN_RECEIVE);
    port_drop(&port);
}

static void sent_elsewhere(struct helper *helper)
{
    result = 0x7777;
    helper->done = true;
    for (;;)
        (void)thread_terminate(helper->thread);
}

// set_state ends the wait, and the thread begins anew.
static void test_set_state(void)
{
    for (unsigned i = 0; i < WAITS; i++) {
        struct helper *helper = begin(&waits[i]);
        struct vcpu_registers state = {0};
        size_t words = sizeof state / 8;
        EXPECT_OK(thread_suspend(helper->thread));
        EXPECT_OK(thread_get_state(helper->thread, (uint64_t *)&state, &words));
        state.rip = (uint64_t)sent_elsewhere;
        state.rdi = (uint64_t)helper;
        state.rsp = helper_stack(helper);
        EXPECT_OK(thread_set_state(helper->thread, (uint64_t *)&state, sizeof state / 8));
        EXPECT_OK(thread_resume(helper->thread));
        if (waits[i].state == THREAD_FAULTING) {
            // Its pager owes the answer, with which it goes on.
            struct message message = {.receive_from = pager_port.receive};
            EXPECT_OK(message_do_within(&message, TAG_RECEIVE, LONG_TIME));
            message = (struct message){0};
            EXPECT_OK(message_do(&message, TAG_SEND | TAG_REPLY));
        }
        helper_join(helper);
        EXPECT_EQUAL(result, 0x7777);
        EXPECT(!came_back);
        end();
    }
}

// A COPY whose page a silent pager owes: this wait can be aborted.
static void test_abort_copy_fault(void)
{
    struct helper *sender = helper_create(0);
    port = port_make(0);
    pager_port = port_make(0);
    EXPECT_OK(thread_set_pager(sender->thread, copy_send(pager_port.send)));
    sender->function = wait_copy_fault;
    EXPECT_OK(thread_start(sender->thread, (uint64_t)helper_begin, helper_stack(sender),
                           (uint64_t)sender, 0));
    EXPECT(helper_waits(sender, THREAD_SENDING));
    char buffer[100];
    struct message message = {.receive_from = port.receive};
    utcb_self()->copy_buffers[0] = message_buffer(buffer, sizeof buffer);
    EXPECT_EQUAL(message_do_within(&message, TAG_RECEIVE, SHORT_TIME), ERR_TIMED_OUT | IN_RECEIVE);
    EXPECT(helper_waits(sender, THREAD_FAULTING));
    EXPECT_OK(thread_abort(sender->thread));
    helper_join(sender);
    EXPECT_EQUAL(result, ERR_ABORTED);
    end();
}

static const struct test tests[] = {
    {"abort", test_abort, false},
    {"terminate", test_terminate, false},
    {"suspend", test_suspend, false},
    {"a deadline while suspended", test_suspended_deadline, false},
    {"set_state", test_set_state, false},
    {"abort of a copy that waits for a page", test_abort_copy_fault, false},
    {NULL, NULL, false},
};
const struct test_group wait_tests = {"wait", tests};
