// SPDX-License-Identifier: BSD-2-Clause
// Long operations that are interrupted: what they work on, or who asked for
// them, is ended or changed at many points in the middle.
#include "harness.h"

#include <corvus/vcpu.h>

#define PAGES     250
#define ROUNDS    24
#define STEP_TIME 30000ull // how much later each round interferes

static struct child *target;
static struct test_port port;
static char *pages, *buffer;
static volatile unsigned result, other_result;
static volatile bool elsewhere;

// --- Services ----------------------------------------------------------------------------

static void map_much(void *argument)
{
    (void)argument;
    unsigned error = ERR_OK;

    for (uint64_t i = 0; i < 8 && error == ERR_OK; i++)
        error = memory_map(target->task, (uint64_t)pages, CHILD_AREA + i * PAGES * PAGE_BYTES,
                           PAGES * PAGE_BYTES, ACCESS_READ, NULL);
    result = error;
}

static void unmap_much(void *argument)
{
    (void)argument;
    map_much(NULL);
    result = memory_unmap(NAME_TASK_SELF, (uint64_t)pages, PAGES * PAGE_BYTES, ACCESS_ALL, NULL,
                          NULL, NULL);
}

static void end_target(void *argument)
{
    (void)argument;
    map_much(NULL);
    result = task_terminate(target->task);
}

static void (*const operations[])(void *) = {map_much, unmap_much, end_target};

// Each operation, on a lower priority, with interference later and later.
static void interfere(void (*interference)(struct helper *), bool survives)
{
    pages = pages_allocate(PAGES);
    for (unsigned i = 0; i < ROUNDS; i++) {
        target = child_create_with(1 << 20, 0);
        result = 999;
        elsewhere = false;
        struct helper *helper = helper_start_priority(operations[i % 3], NULL, -1);
        sleep_for(STEP_TIME * (i / 3 + 1));
        interference(helper);
        if (survives)
            EXPECT(helper_waits(helper, THREAD_TERMINATED));
        helper_destroy(helper);
        child_destroy(target);
        EXPECT_OK(memory_unmap(NAME_TASK_SELF, (uint64_t)pages, PAGES * PAGE_BYTES, ACCESS_ALL,
                               NULL, NULL, NULL));
    }
    pages_free(pages, PAGES);
}

static void terminate_caller(struct helper *helper)
{
    (void)thread_terminate(helper->thread);
}

static void test_caller_ends(void)
{
    interfere(terminate_caller, false);
}

static void terminate_target(struct helper *helper)
{
    (void)helper;
    corvus_error_t error = task_terminate(target->task);
    EXPECT(error == ERR_OK || error == ERR_PEER_DIED || error == ERR_TERMINATED);
}

static void test_target_ends(void)
{
    interfere(terminate_target, true);
}

static void unmap_source(struct helper *helper)
{
    (void)helper;
    EXPECT_OK(memory_unmap(NAME_TASK_SELF, (uint64_t)pages, PAGES * PAGE_BYTES, ACCESS_ALL, NULL,
                           NULL, NULL));
}

static void test_source_unmapped(void)
{
    interfere(unmap_source, true);
}

static void suspend_and_resume(struct helper *helper)
{
    if (thread_suspend(helper->thread) != ERR_OK)
        return; // it had ended
    sleep_for(100000);
    EXPECT_OK(thread_resume(helper->thread));
}

static void test_caller_suspended(void)
{
    interfere(suspend_and_resume, true);
}

static void other_place(struct helper *helper)
{
    elsewhere = true;
    helper->done = true;
    for (;;)
        (void)thread_terminate(helper->thread);
}

// Refused in the middle; else the registers are those set.
static void send_elsewhere(struct helper *helper)
{
    struct vcpu_registers state = {0};
    size_t words = sizeof state / 8;

    if (thread_suspend(helper->thread) != ERR_OK)
        return; // it had ended
    // In the middle of a service its registers are not its own.
    corvus_error_t error = thread_get_state(helper->thread, (uint64_t *)&state, &words);
    state.rip = (uint64_t)other_place;
    state.rdi = (uint64_t)helper;
    state.rsp = helper_stack(helper);
    state.gs_base = (uint64_t)helper->utcb;
    corvus_error_t set = thread_set_state(helper->thread, (uint64_t *)&state, sizeof state / 8);
    EXPECT(set == ERR_OK || set == ERR_STATE);
    EXPECT(error == ERR_OK || error == ERR_STATE);
    EXPECT_OK(thread_resume(helper->thread));
    EXPECT(helper_waits(helper, THREAD_TERMINATED));
    EXPECT_EQUAL(elsewhere, set == ERR_OK);
}

static void test_caller_redirected(void)
{
    interfere(send_elsewhere, true);
}

// --- COPY --------------------------------------------------------------------------------

static void receive_copy(void *argument)
{
    struct message message = {.receive_from = port.receive};

    (void)argument;
    utcb_self()->copy_buffers[0] = message_buffer(buffer, MESSAGE_COPY_MAX);
    result = message_do(&message, TAG_RECEIVE);
}

static void send_copy(void *argument)
{
    struct message message = {.destination = port.send};

    (void)argument;
    utcb_self()->items[0] = message_copy_item(pages, MESSAGE_COPY_MAX);
    other_result = message_do(&message, TAG_SEND | TAG_ITEMS(1));
}

enum {
    END_RECEIVER,
    END_SENDER,
    END_PORT,
    ABORT_RECEIVER,
    SUSPEND_RECEIVER,
    SECOND_SENDER,
    ACTIONS
};

static void act(unsigned action, struct helper *receiver, struct helper *sender)
{
    struct message message = {.destination = port.send};

    switch (action) {
    case END_RECEIVER:
        (void)thread_terminate(receiver->thread);
        break;
    case END_SENDER:
        (void)thread_terminate(sender->thread);
        break;
    case END_PORT:
        right_drop(port.receive);
        port.receive = PORT_NULL;
        break;
    case ABORT_RECEIVER:
        (void)thread_abort(receiver->thread);
        break;
    case SUSPEND_RECEIVER:
        if (thread_suspend(receiver->thread) == ERR_OK) {
            sleep_for(50000);
            (void)thread_resume(receiver->thread);
        }
        break;
    default:
        (void)message_do_within(&message, TAG_SEND, 0);
        break;
    }
}

// A COPY from a thread of low priority is left in the middle, and then.
static void copy_interfered(unsigned action, bool sender_waits)
{
    for (unsigned i = 0; i < 12; i++) {
        port = port_make(0);
        result = other_result = 999;
        struct helper *first =
            helper_start_priority(sender_waits ? send_copy : receive_copy, NULL, -2);
        EXPECT(helper_waits(first, sender_waits ? THREAD_SENDING : THREAD_RECEIVING));
        struct helper *second =
            helper_start_priority(sender_waits ? receive_copy : send_copy, NULL, -2);
        sleep_for(4000 * (i + 1));
        act(action, sender_waits ? second : first, sender_waits ? first : second);
        sleep_for(MILLISECOND);
        if (result == ERR_OK && other_result == ERR_OK)
            EXPECT_EQUAL(buffer[MESSAGE_COPY_MAX - 1], 0x5a);
        helper_destroy(first);
        helper_destroy(second);
        if (port.receive != PORT_NULL)
            right_drop(port.receive);
        right_drop(port.send);
    }
}

static void test_copy_interfered(void)
{
    pages = pages_allocate(MESSAGE_COPY_MAX / PAGE_BYTES);
    buffer = pages_allocate(MESSAGE_COPY_MAX / PAGE_BYTES);
    pages[MESSAGE_COPY_MAX - 1] = 0x5a;
    for (unsigned action = 0; action < ACTIONS; action++) {
        copy_interfered(action, false);
        copy_interfered(action, true);
    }
    pages_free(pages, MESSAGE_COPY_MAX / PAGE_BYTES);
    pages_free(buffer, MESSAGE_COPY_MAX / PAGE_BYTES);
}

// --- Ends of tasks -------------------------------------------------------------------------

static void end_parent(void *argument)
{
    (void)task_terminate((port_name_t)(uint64_t)argument);
}

static void test_mutual_end(void)
{
    struct child *a = child_create(), *b = child_create();

    child_start(a, end_parent, (void *)(uint64_t)child_give(a, copy_send(b->task)));
    child_start(b, end_parent, (void *)(uint64_t)child_give(b, copy_send(a->task)));
    for (unsigned i = 0;
         i < 1000 && right_kind(a->task) == RIGHT_SEND && right_kind(b->task) == RIGHT_SEND; i++)
        sleep_for(100000);
    EXPECT(right_kind(a->task) == RIGHT_DEAD || right_kind(b->task) == RIGHT_DEAD);
    child_destroy(a);
    child_destroy(b);
}

static const struct test tests[] = {
    {"the caller of a long service ends", test_caller_ends, false},
    {"the target of a long service ends", test_target_ends, false},
    {"the source of a long mapping is unmapped", test_source_unmapped, false},
    {"the caller of a long service is suspended", test_caller_suspended, false},
    {"the caller of a long service is sent elsewhere", test_caller_redirected, false},
    {"a long copy is interfered with", test_copy_interfered, false},
    {"two tasks end each other", test_mutual_end, false},
    {NULL, NULL, false},
};
const struct test_group middle_tests = {"middle", tests};
