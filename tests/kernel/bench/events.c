// SPDX-License-Identifier: BSD-2-Clause
// Events: how long until a waiting thread has one.
// notify: from before the notifying system call until the waiting, more urgent
//   thread, in another address space, has the event.
// irq_to_thread: from the last instruction of an interrupted program until a
//   more urgent thread, in another address space, has the timer interrupt's
//   event: the loop that is interrupted reads the counter every few instructions.
// thread_switch: half of a round in which two threads of one priority in one
//   task notify each other and wait: notify, wait, and the scheduler's switch.
#include "rows.h"

#include "lib/message.h"

#define PERIOD_NS 200000u

static volatile uint64_t arrived; // when the waiting thread had its event; 0: not yet
static port_name_t main_port;     // of the main thread, for thread_switch
static port_name_t main_send;

static void serve_events(uint64_t receive)
{
    struct message message;

    for (;;) {
        if (msg_receive(&message, (port_name_t)receive, TIMEOUT_NONE) != ERR_OK)
            continue;
        arrived = processor_time();
    }
}

static void serve_ping(uint64_t receive)
{
    struct message message;

    for (;;) {
        if (msg_receive(&message, (port_name_t)receive, TIMEOUT_NONE) == ERR_OK)
            (void)msg_notify(main_send, 1);
    }
}

static corvus_error_t notify_rounds(struct row *row, port_name_t server)
{
    corvus_error_t error = ERR_OK;

    for (unsigned round = 0; round < MEASURE_ALL_ROUNDS && error == ERR_OK; round++) {
        arrived = 0;
        measure_before(row, round);
        uint64_t start = processor_time();
        error = msg_notify(server, 1);
        if (arrived == 0)
            error = ERR_PROTOCOL;
        measure_after(row, round, start, arrived);
    }
    return error;
}

static corvus_error_t interrupt_rounds(struct row *row, port_name_t server)
{
    port_name_t timer;
    corvus_error_t error = task_create_timer(NAME_TASK_SELF, 1, copy_send(server), &timer);

    if (error == ERR_OK)
        error = timer_set(timer, clock_now_ns() + PERIOD_NS, PERIOD_NS);
    for (unsigned round = 0; round < MEASURE_ALL_ROUNDS && error == ERR_OK; round++) {
        uint64_t last = processor_time();
        uint64_t before = last;

        arrived = 0;
        measure_before(row, round);
        while (arrived == 0) {
            before = last;
            last = processor_time();
        }
        // It may have come between the question and the reading.
        measure_after(row, round, last < arrived ? last : before, arrived);
    }
    if (error == ERR_OK)
        error = task_deallocate_right(NAME_TASK_SELF, timer);
    return error;
}

static corvus_error_t switch_rounds(struct row *row, port_name_t server)
{
    corvus_error_t error = ERR_OK;
    struct message message;

    for (unsigned round = 0; round < MEASURE_ALL_ROUNDS && error == ERR_OK; round++) {
        measure_before(row, round);
        uint64_t start = processor_time();
        error = msg_notify(server, 1);
        if (error == ERR_OK)
            error = msg_receive(&message, main_port, TIMEOUT_NONE);
        uint64_t end = processor_time();
        measure_after(row, round, start, start + (end - start) / 2);
    }
    return error;
}

static void measure(const char *name, corvus_error_t (*rounds)(struct row *row, port_name_t server),
                    const struct partner *partner)
{
    struct row *row = measure_row(name, "instructions", "");
    corvus_error_t error = rounds(row, partner->send);

    if (error == ERR_OK)
        (void)measure_print(row);
    else
        measure_failed(name, "event", error);
}

static corvus_error_t make_main_port(void)
{
    uint64_t receive;
    corvus_error_t error = task_allocate_port(NAME_TASK_SELF, 0, &receive);

    if (error != ERR_OK)
        return error;
    main_port = (port_name_t)receive;
    return task_extract_right(NAME_TASK_SELF, main_port, MAKE_SEND, &main_send);
}

void rows_events(void)
{
    struct partner partner;
    corvus_error_t error = make_main_port();

    if (error == ERR_OK)
        error = partner_start(&partner, NAME_TASK_SELF, serve_ping, BENCH_PRIORITY);
    if (error != ERR_OK) {
        measure_failed("thread_switch", "partner", error);
        return;
    }
    measure("thread_switch", switch_rounds, &partner);
    partner_stop(&partner);

    // From here on this thread is the less urgent one, for good: nobody can raise
    // a priority above the own.
    error = partner_start(&partner, partner_twin, serve_events, BENCH_PRIORITY);
    if (error == ERR_OK)
        error = thread_set_priority(NAME_THREAD_MAIN, BENCH_PRIORITY - 10);
    if (error != ERR_OK) {
        measure_failed("notify", "partner", error);
        return;
    }
    measure("notify", notify_rounds, &partner);
    measure("irq_to_thread", interrupt_rounds, &partner);
    partner_stop(&partner);
}
