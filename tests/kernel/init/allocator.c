// SPDX-License-Identifier: BSD-2-Clause
// Tasks made by the allocator: what they may have, how they run, fault and end, and that
// init then has everything back. Another node's use of it is in tests/kernel/exchange.
#include "init_test.h"

#include "tests/kernel/guest/guest.h"

#include <corvus/allocator.h>
#include <corvus/vcpu.h>

#include <stdio.h>
#include <string.h>

#define DATA       0x500000ull
#define LIMIT      (8ull << 20) // as in init.conf
#define READ_WRITE (ACCESS_READ | ACCESS_WRITE)
#define SOON       2000000u // microseconds

#define PRIORITY_MOST 80u // as init has it by default
#define RUNS          2u

static port_name_t allocator, inbox;

static uint64_t tasks_there(void)
{
    uint64_t limit, promised, tasks = ~0ull, memory;

    (void)allocator_info(allocator, &limit, &promised, &tasks, &memory);
    return tasks;
}

static bool arrives(uint32_t id, uint64_t word)
{
    struct message message;

    return msg_receive(&message, inbox, SOON) == ERR_OK && message.id == id &&
           message.words[0] == word;
}

static bool dies(port_name_t name)
{
    return port_request_notification(name, NOTIFY_DEAD_NAME, inbox) == ERR_PEER_DIED ||
           arrives(MESSAGE_ID_DEAD_NAME, name);
}

static bool made(struct guest *guest)
{
    return guest_create(guest, allocator, GUEST_QUOTA, GUEST_MEMORY) == ERR_OK;
}

// --- Making ----------------------------------------------------------------------

static void test_creation(void)
{
    struct guest guest, other;
    uint64_t limit = 0, promised = 1, tasks = 1, memory = 1;

    ok(guest_create(&guest, allocator, 0, PAGE) == ERR_INVALID_ARGUMENT,
       "allocator: a task without kernel memory");
    ok(guest_create(&guest, allocator, GUEST_QUOTA + 1, PAGE) == ERR_INVALID_ARGUMENT &&
           guest_create(&guest, allocator, GUEST_QUOTA, 5) == ERR_INVALID_ARGUMENT,
       "allocator: not of pages");
    ok(guest_create(&guest, allocator, GUEST_QUOTA, LIMIT) == ERR_NO_MEMORY &&
           guest_create(&guest, allocator, GUEST_QUOTA, 0ull - PAGE) == ERR_NO_MEMORY &&
           guest_create(&guest, allocator, 0ull - PAGE, 2 * PAGE) == ERR_NO_MEMORY,
       "allocator: more than there is for all");
    ok(allocator_info(allocator, &limit, &promised, &tasks, &memory) == ERR_OK && limit == LIMIT &&
           promised == 0 && tasks == 0 && memory == 0,
       "allocator: at first nobody has anything");
    ok(made(&guest), "allocator: a task");
    ok(allocator_info(allocator, &limit, &promised, &tasks, &memory) == ERR_OK &&
           promised == GUEST_QUOTA + GUEST_MEMORY && tasks == 1 && memory == 0,
       "allocator: it counts");
    ok(guest_create(&other, allocator, GUEST_QUOTA,
                    LIMIT - 2 * GUEST_QUOTA - GUEST_MEMORY + PAGE) == ERR_NO_MEMORY,
       "allocator: the rest and a page more");
    ok(task_terminate(guest.task) == ERR_OK && dies(guest.memory),
       "allocator: it is terminated, and its memory port dies");
    ok(tasks_there() == 0, "allocator: and counts no more");
    guest_forget(&guest);
}

static void test_many(void)
{
    static struct guest guests[ALLOCATOR_TASKS_MAX + 1];
    unsigned count = 0;
    corvus_error_t error = ERR_OK;

    while (count <= ALLOCATOR_TASKS_MAX && error == ERR_OK) {
        error = guest_create(&guests[count], allocator, 8 * PAGE, PAGE);
        count += error == ERR_OK;
    }
    ok(count == ALLOCATOR_TASKS_MAX && error == ERR_NO_MEMORY,
       "allocator: as many as there can be");
    printf("#   %u\n", count);
    for (unsigned i = 0; i < count; i++)
        guest_forget(&guests[i]);
    for (unsigned i = 0; i < 100 && tasks_there() != 0; i++)
        (void)arrives(0, 0);
    ok(tasks_there() == 0, "allocator: all gone with their rights");
}

// --- Memory ----------------------------------------------------------------------

static void test_memory_errors(port_name_t memory)
{
    static uint8_t bytes[ALLOCATOR_COPY_MAX + 1];
    size_t count = sizeof bytes;

    ok(task_memory_allocate(memory, DATA, PAGE, READ_WRITE) == ERR_IN_USE,
       "allocator: where there is memory already");
    ok(task_memory_allocate(memory, DATA + 1, PAGE, READ_WRITE) == ERR_INVALID_RANGE &&
           task_memory_allocate(memory, 0ull - PAGE, PAGE, READ_WRITE) == ERR_INVALID_RANGE &&
           task_memory_free(memory, DATA + 64 * PAGE, PAGE) == ERR_INVALID_RANGE &&
           task_memory_protect(memory, DATA + 64 * PAGE, PAGE, READ_WRITE) == ERR_INVALID_RANGE,
       "allocator: ranges that cannot be");
    ok(task_memory_allocate(memory, DATA + 64 * PAGE, PAGE, 8) == ERR_INVALID_ARGUMENT &&
           task_memory_protect(memory, DATA, PAGE, ACCESS_WRITE) == ERR_INVALID_ARGUMENT,
       "allocator: an access that cannot be");
    ok(task_memory_allocate(memory, DATA + 64 * PAGE, GUEST_MEMORY, READ_WRITE) == ERR_NO_MEMORY,
       "allocator: more than the task may have");
    ok(task_memory_read(memory, DATA, 0, bytes, &count) == ERR_INVALID_ARGUMENT,
       "allocator: nothing to read");
    count = sizeof bytes;
    ok(task_memory_read(memory, DATA, sizeof bytes, bytes, &count) == ERR_TOO_LARGE &&
           task_memory_write(memory, DATA, bytes, sizeof bytes) == ERR_TOO_LARGE,
       "allocator: more than one message may carry");
    count = sizeof bytes;
    ok(task_memory_read(memory, DATA + 3 * PAGE - 1, 2, bytes, &count) == ERR_NOT_MAPPED &&
           task_memory_write(memory, DATA + 3 * PAGE - 1, bytes, 2) == ERR_NOT_MAPPED &&
           task_memory_write(memory, 0ull - 1, bytes, 2) == ERR_NOT_MAPPED,
       "allocator: where there is no memory");
    count = sizeof bytes;
    ok(task_memory_read(memory, 0ull - 1, 2, bytes, &count) == ERR_NOT_MAPPED,
       "allocator: around the end of all addresses");
}

static void test_guest_memory(void)
{
    static uint8_t out[3 * PAGE], in[3 * PAGE];
    struct guest guest;
    uint64_t limit = 0, used = 0;
    size_t count = sizeof in;

    for (size_t i = 0; i < sizeof out; i++)
        out[i] = (uint8_t)(i * 7);
    ok(made(&guest) && task_memory_allocate(guest.memory, DATA, 3 * PAGE, READ_WRITE) == ERR_OK,
       "allocator: memory for a task");
    ok(task_memory_read(guest.memory, DATA, sizeof in, in, &count) == ERR_OK &&
           count == sizeof in && in[0] == 0 && memcmp(in, in + 1, sizeof in - 1) == 0,
       "allocator: zeroed");
    ok(task_memory_write(guest.memory, DATA + 5, out, sizeof out - 5) == ERR_OK &&
           task_memory_protect(guest.memory, DATA + PAGE, PAGE, 0) == ERR_OK &&
           task_memory_read(guest.memory, DATA, sizeof in, in, &count) == ERR_OK &&
           memcmp(in + 5, out, sizeof in - 5) == 0,
       "allocator: written and read, whatever access there is");
    test_memory_errors(guest.memory);
    ok(task_memory_info(guest.memory, &limit, &used) == ERR_OK && limit == GUEST_MEMORY &&
           used == 3 * PAGE,
       "allocator: how much it has");
    ok(task_memory_free(guest.memory, DATA + PAGE, PAGE) == ERR_OK &&
           task_memory_info(guest.memory, NULL, &used) == ERR_OK && used == 2 * PAGE,
       "allocator: a page is taken back");
    struct message message = {.destination = guest.pager, .id = SERVICE_task_memory_info};
    ok(msg_rpc(&message, TIMEOUT_NONE) == ERR_OK && message.words[0] == ERR_UNKNOWN_SERVICE,
       "allocator: the pager serves nothing else");
    guest_forget(&guest);
}

// Page tables are the task's own affair.
static void test_quota(void)
{
    struct guest guest;
    corvus_error_t error = ERR_OK;
    uint64_t used = 0, pages = 0;

    ok(guest_create(&guest, allocator, 16 * PAGE, 64 * PAGE) == ERR_OK,
       "allocator: a task of little kernel memory");
    for (; pages < 64 && error == ERR_OK; pages += error == ERR_OK)
        error = task_memory_allocate(guest.memory, DATA + (pages << 31), PAGE, READ_WRITE);
    ok(error == ERR_NO_MEMORY && task_memory_info(guest.memory, NULL, &used) == ERR_OK &&
           used == pages * PAGE,
       "allocator: it has no more page tables, and loses nothing");
    guest_forget(&guest);
}

// --- Running ---------------------------------------------------------------------

static void test_run(void)
{
    struct vcpu_registers registers = {0};
    size_t words = sizeof registers / sizeof(uint64_t);
    struct guest guest;

    ok(made(&guest) && guest_load(&guest) == ERR_OK &&
           guest_start(&guest, make_send(inbox)) == ERR_OK,
       "allocator: a task runs");
    ok(arrives(GUEST_SUM, GUEST_SUM_VALUE), "allocator: and tells what it has computed");
    ok(thread_suspend(guest.thread) == ERR_OK &&
           thread_get_state(guest.thread, (uint64_t *)&registers, &words) == ERR_OK &&
           registers.rip - GUEST_CODE < PAGE && registers.rbx == 0,
       "allocator: its registers");
    registers.rbx = 4711;
    ok(thread_set_state(guest.thread, (uint64_t *)&registers, words) == ERR_OK &&
           thread_resume(guest.thread) == ERR_OK && arrives(GUEST_CHANGE, 4711),
       "allocator: changed, it goes on with them");
    ok(port_deallocate(guest.memory) == ERR_OK && dies(guest.task),
       "allocator: with the last right to its memory it ends");
    guest.memory = PORT_NULL;
    guest_forget(&guest);
}

// As a server of the configuration's default this test is more urgent than they may be.
static void test_priority(void)
{
    struct guest guest;

    ok(made(&guest) && guest_load(&guest) == ERR_OK &&
           thread_set_priority(guest.thread, PRIORITY_MOST) == ERR_OK &&
           thread_set_priority(guest.thread, PRIORITY_MOST + 1) == ERR_INVALID_ARGUMENT,
       "allocator: a thread has at most the priority that the configuration allows");
    guest_forget(&guest);
}

static void test_faults(void)
{
    struct guest guest;
    struct message message = {0};

    ok(made(&guest) && guest_load(&guest) == ERR_OK &&
           guest_start_store(&guest, make_send(inbox), DATA) == ERR_OK && dies(guest.thread),
       "allocator: a fault without an exception port ends the thread");
    guest_forget(&guest);

    ok(made(&guest) && guest_load(&guest) == ERR_OK &&
           task_memory_allocate(guest.memory, DATA, PAGE, ACCESS_READ) == ERR_OK &&
           thread_set_exception_port(guest.thread, make_send(inbox)) == ERR_OK &&
           guest_start_store(&guest, make_send(inbox), DATA) == ERR_OK &&
           msg_receive(&message, inbox, SOON) == ERR_OK,
       "allocator: with one it is an exception");
    struct exception_message exception;
    memcpy(&exception, message.words, sizeof exception);
    ok(message.id == MESSAGE_ID_EXCEPTION && exception.vector == 14 && exception.address == DATA &&
           exception.reason == ERR_ACCESS_DENIED,
       "allocator: that tells what was wrong");
    port_name_t reply = PORT_NULL;
    ok(message_save_reply(&reply) == ERR_OK &&
           task_memory_protect(guest.memory, DATA, PAGE, READ_WRITE) == ERR_OK,
       "allocator: which its maker repairs");
    message = (struct message){.tag = 1, .destination = reply, .words = {EXCEPTION_RESUME}};
    ok(msg_send(&message, 0) == ERR_OK && arrives(GUEST_STORED, 77), "allocator: so it goes on");
    guest_forget(&guest);
}

// --- Ends ------------------------------------------------------------------------

static void test_owners(void)
{
    struct guest owner, owned;
    uint64_t name;

    ok(made(&owner) && made(&owned) &&
           task_insert_right(owner.task, move_send(owned.memory), &name) == ERR_OK &&
           task_terminate(owner.task) == ERR_OK && dies(owned.task),
       "allocator: a task ends with its owner");
    owned.memory = PORT_NULL;
    guest_forget(&owner);
    guest_forget(&owned);

    ok(made(&owned) && guest_load(&owned) == ERR_OK &&
           task_insert_right(owned.task, move_send(owned.memory), &name) == ERR_OK &&
           guest_start(&owned, make_send(inbox)) == ERR_OK && arrives(GUEST_SUM, GUEST_SUM_VALUE),
       "allocator: one that holds its own memory lives on");
    ok(task_terminate(owned.task) == ERR_OK, "allocator: until it is terminated");
    owned.memory = PORT_NULL;
    guest_forget(&owned);

    struct message message = {.tag = 2,
                              .destination = allocator,
                              .id = SERVICE_allocator_create_task,
                              .words = {GUEST_QUOTA, GUEST_MEMORY}};
    ok(msg_send(&message, TIMEOUT_NONE) == ERR_OK && tasks_there() == 0,
       "allocator: a task that nobody asked an answer for ends at once");
}

// What init and the kernel have free, when nothing is there any more.
static void free_memory(uint64_t *memory, uint64_t *lost, uint64_t *kernel)
{
    uint64_t version, bytes, total, uptime, servers;

    *lost = 1;
    (void)node_statistics(NAME_BOOTSTRAP, &servers, &total, memory, lost);
    (void)host_info(NAME_HOST, &version, &bytes, &total, kernel, &uptime);
}

void test_allocator(void)
{
    uint64_t memory[RUNS] = {0}, kernel[RUNS] = {0}, lost = 0, words[4] = {0};
    port_name_t send;

    memcpy(words, "allocator", strlen("allocator"));
    ok(bootstrap_look_up(NAME_BOOTSTRAP, words[0], words[1], words[2], words[3], 0, &allocator) ==
               ERR_OK &&
           port_allocate_with_send(1, &inbox, &send) == ERR_OK,
       "allocator: its name");
    // What is made once and kept, like init's heap, is there after the first run.
    for (unsigned run = 0; run < RUNS; run++) {
        test_creation();
        test_many();
        test_guest_memory();
        test_quota();
        test_run();
        test_priority();
        test_faults();
        test_owners();
        ok(tasks_there() == 0, "allocator: nothing is left");
        free_memory(&memory[run], &lost, &kernel[run]);
    }
    ok(lost == 0 && memory[1] == memory[0], "allocator: init has all memory back");
    ok(kernel[1] == kernel[0], "allocator: and the kernel");
    printf("#   %lu and %lu bytes free, of the kernel's %lu and %lu\n", memory[0], memory[1],
           kernel[0], kernel[1]);
}
