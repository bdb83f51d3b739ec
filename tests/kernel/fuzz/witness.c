// SPDX-License-Identifier: BSD-2-Clause
// See witness.h. Works in rounds, with a pause after each that leaves the
// processor to the fuzzed task.
#include "witness.h"

#include "fuzz.h"

#include "lib/clock.h"
#include "lib/memory.h"
#include "lib/message.h"
#include "tests/kernel/bench/twin.h"

#define WITNESS_QUOTA  (512u << 10)
#define PAUSE_NS       500000u
#define PATTERN_PAGES  8u
#define PATTERN_WORDS  (PATTERN_PAGES * PAGE_BYTES / 8)
#define SHARED_ADDRESS 0x600000000000ull // where the controller's pages appear

static struct twin_stack stacks[2];
static uint64_t own[PATTERN_WORDS] __attribute__((aligned(4096)));
static char sent[PAGE_BYTES] __attribute__((aligned(4096)));
static char copied[PAGE_BYTES] __attribute__((aligned(4096)));
static port_name_t client_send; // the client's name for the server's port
static port_name_t pause_port;

static void fail(uint64_t what, uint64_t expected, uint64_t found)
{
    struct witness_report *report = &fuzz_shared->witness;

    if (report->failure != 0)
        return;
    report->expected = expected;
    report->found = found;
    report->failure = what;
}

// Every word that came, plus one; a COPY goes into `copied`.
static void serve(uint64_t receive)
{
    struct message message;
    struct utcb *page = utcb_self();

    page->copy_buffers[0] = message_buffer(copied, sizeof copied);
    corvus_error_t error = msg_receive(&message, (port_name_t)receive, TIMEOUT_NONE);
    for (;;) {
        uint64_t words = message.tag & TAG_WORDS_MASK;

        if (error != ERR_OK)
            fail(WITNESS_CALL, ERR_OK, error);
        for (uint64_t i = 0; i < words; i++) {
            if (i < MESSAGE_REGISTER_WORDS)
                message.words[i]++;
            else
                page->words[i]++;
        }
        message.tag = words;
        error = msg_reply_receive(&message, (port_name_t)receive, TIMEOUT_NONE);
    }
}

static void check_call(uint64_t round)
{
    uint64_t words = round % (MESSAGE_WORDS + 1);
    struct message message = {.tag = words, .destination = client_send, .id = round & 0xffff};
    struct utcb *page = utcb_self();

    for (uint64_t i = 0; i < words; i++)
        *(i < MESSAGE_REGISTER_WORDS ? &message.words[i] : &page->words[i]) = round * 100 + i;
    if (round % 8 == 0) {
        for (unsigned i = 0; i < PAGE_BYTES; i++)
            sent[i] = (char)(round + i);
        message.tag |= TAG_ITEMS(1);
        page->items[0] = message_copy_item(sent, sizeof sent);
    }
    corvus_error_t error = msg_rpc(&message, TIMEOUT_NONE);
    if (error != ERR_OK)
        fail(WITNESS_CALL, ERR_OK, error);
    else if ((message.tag & TAG_WORDS_MASK) != words)
        fail(WITNESS_ANSWER, words, message.tag);
    for (uint64_t i = 0; i < words && error == ERR_OK; i++) {
        uint64_t found = i < MESSAGE_REGISTER_WORDS ? message.words[i] : page->words[i];
        if (found != round * 100 + i + 1)
            fail(WITNESS_ANSWER, round * 100 + i + 1, found);
    }
    for (unsigned i = 0; round % 8 == 0 && i < PAGE_BYTES; i++)
        if (copied[i] != sent[i])
            fail(WITNESS_COPY, (uint8_t)sent[i], (uint8_t)copied[i]);
}

static void check_memory(uint64_t what, volatile uint64_t *words, uint64_t round)
{
    // A part a round, and written anew so that it is also seen to hold.
    uint64_t start = round % 64 * (PATTERN_WORDS / 64);

    for (uint64_t i = start; i < start + PATTERN_WORDS / 64; i++) {
        uint64_t expected = i * 0x9e3779b97f4a7c15ull;
        if (words[i] != expected)
            fail(what, expected, words[i]);
        words[i] = expected;
    }
}

static void check_registers(uint64_t round)
{
    uint64_t lost;

    // Long enough to be preempted in: general and vector registers keep.
    __asm__ volatile("mov %1, %%rbx\n\t"
                     "movq %%rbx, %%xmm7\n\t"
                     "mov $2000, %%ecx\n\t"
                     "1: dec %%ecx\n\t"
                     "jnz 1b\n\t"
                     "movq %%xmm7, %0\n\t"
                     "xor %%rbx, %0\n\t"
                     : "=&r"(lost)
                     : "r"(round)
                     : "rbx", "rcx", "xmm7", "cc");
    if (lost != 0)
        fail(WITNESS_REGISTERS, 0, lost);
}

static void pause_a_little(void)
{
    struct message message = {.receive_from = pause_port,
                              .tag = TAG_RECEIVE | TAG_RECEIVE_DEADLINE};

    utcb_self()->receive_deadline = clock_now_ns() + PAUSE_NS;
    message_trap(&message);
}

static void watch(uint64_t argument)
{
    (void)argument;
    for (uint64_t round = 0;; round++) {
        check_call(round);
        check_memory(WITNESS_MEMORY, own, round);
        check_memory(WITNESS_MAPPED, (volatile uint64_t *)SHARED_ADDRESS, round);
        check_registers(round);
        fuzz_shared->witness.rounds = round + 1;
        pause_a_little();
    }
}

static corvus_error_t make(port_name_t *task, port_name_t *thread, uint64_t number)
{
    corvus_error_t error = twin_make_task(WITNESS_QUOTA, task);

    if (error == ERR_OK)
        error = twin_make_thread(*task, number, WITNESS_PRIORITY, thread);
    if (error == ERR_OK)
        error = thread_set_exception_port(*thread, copy_send(NAME_BOOTSTRAP));
    return error == ERR_OK ? twin_insert_rights(*task, NAME_BOOTSTRAP, *thread) : error;
}

static corvus_error_t map_pattern(port_name_t client)
{
    uint64_t address;
    corvus_error_t error =
        memory_map_anywhere(PATTERN_PAGES * PAGE_BYTES, ACCESS_READ | ACCESS_WRITE, &address);

    for (uint64_t i = 0; error == ERR_OK && i < PATTERN_WORDS; i++) {
        own[i] = i * 0x9e3779b97f4a7c15ull;
        ((uint64_t *)address)[i] = own[i];
    }
    return error != ERR_OK ? error
                           : memory_map(client, address, SHARED_ADDRESS, PATTERN_PAGES * PAGE_BYTES,
                                        ACCESS_READ | ACCESS_WRITE, NULL);
}

static corvus_error_t connect(port_name_t client, port_name_t server, uint64_t *receive)
{
    uint64_t name = 0;
    port_name_t send;
    corvus_error_t error = task_allocate_port(server, 0, receive);

    if (error == ERR_OK)
        error = task_extract_right(server, (port_name_t)*receive, MAKE_SEND, &send);
    if (error == ERR_OK)
        error = task_insert_right(client, move_send(send), &name);
    client_send = (port_name_t)name;
    if (error == ERR_OK)
        error = task_allocate_port(client, 0, &name);
    pause_port = (port_name_t)name;
    return error;
}

corvus_error_t witness_start(void)
{
    port_name_t client, server, client_thread, server_thread;
    uint64_t receive;
    corvus_error_t error = make(&client, &client_thread, 32);

    if (error == ERR_OK)
        error = make(&server, &server_thread, 33);
    if (error == ERR_OK)
        error = connect(client, server, &receive);
    if (error == ERR_OK)
        error = map_pattern(client);
    if (error == ERR_OK)
        error = twin_start(server_thread, &stacks[1], serve, receive);
    return error == ERR_OK ? twin_start(client_thread, &stacks[0], watch, 0) : error;
}
