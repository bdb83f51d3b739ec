// SPDX-License-Identifier: BSD-2-Clause
// I/O ports as mappings, and the services of the privileged host port, where a
// test run has been given that.
#include "harness.h"

#define UNUSED_IO_PORT 0x80ull // of the power-on self-test: harmless
#define UNIT           8ull

static volatile bool went_on;

static corvus_error_t map_io(port_name_t task, uint64_t first, uint64_t count, uint64_t flags)
{
    return memory_map(task, first, first, count, ACCESS_READ | ACCESS_WRITE | MEMORY_IO | flags,
                      NULL);
}

static void write_io(void *argument)
{
    (void)argument;
    __asm__ volatile("out %%al, %%dx" : : "a"(0), "d"((uint16_t)UNUSED_IO_PORT));
    went_on = true;
}

static bool child_writes(bool mapped)
{
    struct child *child = child_create();

    went_on = false;
    if (mapped)
        EXPECT_OK(map_io(child->task, UNUSED_IO_PORT, UNIT, 0));
    child_start(child, write_io, NULL);
    if (mapped)
        child_join(child);
    else
        EXPECT(child_waits(child, THREAD_TERMINATED));
    child_destroy(child);
    return went_on;
}

static void test_io(void)
{
    struct child *child;
    uint64_t units = 0;

    EXPECT(child_writes(true));
    EXPECT(!child_writes(false));
    child = child_create();
    EXPECT_EQUAL(map_io(child->task, UNUSED_IO_PORT + 1, UNIT, 0), ERR_INVALID_RANGE);
    EXPECT_EQUAL(map_io(child->task, UNUSED_IO_PORT, 0, 0), ERR_INVALID_RANGE);
    EXPECT_EQUAL(map_io(child->task, UNUSED_IO_PORT, 3, 0), ERR_INVALID_RANGE);
    EXPECT_EQUAL(map_io(child->task, 65536 - UNIT, 2 * UNIT, 0), ERR_INVALID_RANGE);
    EXPECT_EQUAL(memory_map(child->task, 0, UNIT, UNIT, ACCESS_READ | MEMORY_IO, NULL),
                 ERR_INVALID_ARGUMENT);
    // Taken away again.
    EXPECT_OK(map_io(child->task, UNUSED_IO_PORT, 2 * UNIT, 0));
    EXPECT_OK(memory_unmap(NAME_TASK_SELF, UNUSED_IO_PORT, 2 * UNIT, ACCESS_READ | MEMORY_IO,
                           &units, NULL, NULL));
    went_on = false;
    child_start(child, write_io, NULL);
    EXPECT(child_waits(child, THREAD_TERMINATED));
    EXPECT(!went_on);
    child_destroy(child);
}

// --- Interrupts ---------------------------------------------------------------------------

static void test_interrupt(void)
{
    struct test_port port;
    port_name_t interrupt = PORT_NULL;
    uint64_t address = 0, data = 0;

    if (right_kind(NAME_HOST_PRIVILEGED) != RIGHT_SEND ||
        host_console_write(NAME_HOST_PRIVILEGED, 0, 0, 0, 0, 0, 0) != ERR_INVALID_ARGUMENT) {
        test_skip("needs the privileged host port");
        return;
    }
    port = port_make(0);
    EXPECT_OK(host_allocate_msi(NAME_HOST_PRIVILEGED, 6, copy_send(port.send), &interrupt, &address,
                                &data));
    EXPECT_EQUAL(address >> 20, 0xfee);
    EXPECT_OK(interrupt_trigger(interrupt));
    struct message message = {.receive_from = port.receive};
    EXPECT_OK(message_do_within(&message, TAG_RECEIVE, 0));
    EXPECT_EQUAL(message.words[0], 6);
    EXPECT_OK(interrupt_acknowledge(interrupt));
    EXPECT_EQUAL(host_allocate_msi(NAME_HOST_PRIVILEGED, 0, copy_send(port.send), &interrupt,
                                   &address, &data),
                 ERR_INVALID_ARGUMENT);
    EXPECT_EQUAL(
        host_attach_interrupt(NAME_HOST_PRIVILEGED, 4711, 0, 1, copy_send(port.send), &interrupt),
        ERR_NOT_FOUND);
    right_drop(interrupt);
    port_drop(&port);
}

static const struct test tests[] = {
    {"I/O ports mapped and taken away", test_io, false},
    {"interrupts by hand", test_interrupt, false},
    {NULL, NULL, false},
};
const struct test_group device_tests = {"device", tests};
