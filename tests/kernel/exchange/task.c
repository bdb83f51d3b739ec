// SPDX-License-Identifier: BSD-2-Clause
// Node 1 makes a task of node 2: its kernel's services by rights alone, its memory by
// its allocator.
#include "exchange_test.h"

#include "tests/kernel/guest/guest.h"

#include <corvus/vcpu.h>

#include <string.h>

#define SOON 10000000u // microseconds
#define DATA 0x500000ull

static port_name_t allocator, inbox;

static bool arrives(uint32_t id, uint64_t word)
{
    struct message message;

    return msg_receive(&message, inbox, SOON) == ERR_OK && message.id == id &&
           message.words[0] == word;
}

static uint64_t tasks_there(void)
{
    uint64_t limit, promised, tasks = ~0ull, memory;

    (void)allocator_info(allocator, &limit, &promised, &tasks, &memory);
    return tasks;
}

static void test_local_only(const struct guest *guest)
{
    static uint8_t page[4096] __attribute__((aligned(4096)));
    uint64_t done;

    page[0] = 1;
    equal(memory_map(guest->task, (uint64_t)(uintptr_t)page, DATA, sizeof page, ACCESS_READ, &done),
          ERR_LOCAL_ONLY, "memory cannot be mapped there");
    equal(task_donate(guest->task, (uint64_t)(uintptr_t)page, 1), ERR_LOCAL_ONLY, "nor donated");
    equal(task_reclaim(guest->task, DATA, 1, &done), ERR_LOCAL_ONLY, "nor reclaimed");
}

static void test_memory(const struct guest *guest)
{
    static uint8_t out[40000], in[40000];
    size_t count = sizeof in;

    for (size_t i = 0; i < sizeof out; i++)
        out[i] = (uint8_t)(i * 31 >> 3);
    equal(task_memory_allocate(guest->memory, DATA, 10 * 4096, ACCESS_READ), ERR_OK,
          "memory of node 2 for it");
    ok(task_memory_write(guest->memory, DATA, out, sizeof out) == ERR_OK &&
           task_memory_read(guest->memory, DATA, sizeof in, in, &count) == ERR_OK &&
           count == sizeof in && memcmp(in, out, sizeof in) == 0,
       "written and read from here");
    uint64_t access = 0, bytes, derived, root;
    ok(memory_info(guest->task, DATA, &access, &bytes, &derived, &root) == ERR_OK &&
           access == ACCESS_READ,
       "where the kernel there sees it");
}

static void test_thread(struct guest *guest)
{
    struct vcpu_registers registers = {0};
    size_t words = sizeof registers / sizeof(uint64_t);

    equal(guest_load(guest), ERR_OK, "a thread of it, with code");
    equal(guest_start(guest, make_send(inbox)), ERR_OK, "it starts");
    ok(arrives(GUEST_SUM, GUEST_SUM_VALUE), "and tells node 1 what it has computed");
    equal(thread_suspend(guest->thread), ERR_OK, "it is suspended");
    equal(thread_get_state(guest->thread, (uint64_t *)&registers, &words), ERR_OK,
          "its registers are read");
    ok(words == sizeof registers / sizeof(uint64_t) && registers.rip - GUEST_CODE < 4096 &&
           registers.rbx == 0,
       "they are those of the code");
    registers.rbx = 4711;
    equal(thread_set_state(guest->thread, (uint64_t *)&registers, words), ERR_OK,
          "they are changed");
    equal(thread_resume(guest->thread), ERR_OK, "it goes on");
    ok(arrives(GUEST_CHANGE, 4711), "with what was changed");
    ok(thread_terminate(guest->thread) == ERR_OK && dies(guest->thread), "the thread is ended");
}

void judge_task(void)
{
    struct guest guest, faulty;
    port_name_t send;

    equal(find("allocator", 2, 0, &allocator), ERR_OK, "the allocator of node 2");
    (void)port_allocate_with_send(1, &inbox, &send);
    equal(guest_create(&guest, allocator, GUEST_QUOTA, GUEST_MEMORY), ERR_OK, "a task of node 2");
    equal(tasks_there(), 1, "it counts there");
    test_local_only(&guest);
    test_memory(&guest);
    test_thread(&guest);
    ok(task_terminate(guest.task) == ERR_OK && dies(guest.task), "the task is ended");
    ok(dies(guest.memory), "and so its memory");
    guest_forget(&guest);

    ok(guest_create(&faulty, allocator, GUEST_QUOTA, GUEST_MEMORY) == ERR_OK &&
           guest_load(&faulty) == ERR_OK &&
           thread_set_exception_port(faulty.thread, make_send(inbox)) == ERR_OK &&
           guest_start_store(&faulty, make_send(inbox), DATA) == ERR_OK,
       "another faults");
    struct message message = {0};
    struct exception_message exception;
    ok(msg_receive(&message, inbox, SOON) == ERR_OK && message.id == MESSAGE_ID_EXCEPTION,
       "its exception comes to node 1");
    memcpy(&exception, message.words, sizeof exception);
    ok(exception.address == DATA && exception.reason == ERR_NOT_MAPPED, "and tells where");
    port_name_t reply = PORT_NULL;
    ok(message_save_reply(&reply) == ERR_OK &&
           task_memory_allocate(faulty.memory, DATA, 4096, ACCESS_READ | ACCESS_WRITE) == ERR_OK,
       "node 1 gives it what was missing");
    message = (struct message){.tag = 1, .destination = reply, .words = {EXCEPTION_RESUME}};
    ok(msg_send(&message, SOON) == ERR_OK && arrives(GUEST_STORED, 77), "so it goes on");
    port_name_t task = faulty.task;
    faulty.task = PORT_NULL;
    guest_forget(&faulty);
    ok(dies(task), "without a right to its memory it ends");
    (void)port_deallocate(task);
    equal(tasks_there(), 0, "nothing is left there");
    (void)port_deallocate(allocator);
    (void)port_deallocate(inbox);
}
