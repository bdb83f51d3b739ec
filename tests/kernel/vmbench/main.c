// SPDX-License-Identifier: BSD-2-Clause
// What virtual memory in the hands of user programs costs: Fault, Trap, Appel1 and Appel2 (Appel,
// Li: "Virtual Memory Primitives for User Programs", 1991) with a pager in another address space;
// and data from one task to another in three ways. Rows for tests/bench/vm/compare.sh, which puts
// native Linux beside them.
#include "vmbench.h"

#include "tests/kernel/bench/measure.h"
#include "tests/kernel/bench/partner.h"

#include "lib/message.h"

#include <corvus/host.h>

#include <stdio.h>

#define REGION    0x500000000000ull
#define WINDOW    0x510000000000ull
#define PAGES     100u
#define MEBIBYTE  (1ull << 20)
#define PIECE     (64ull << 10)
#define MAP_BYTES (MESSAGE_MAP_PAGES * PAGE_BYTES)

// What the pager, and the partner, is asked.
enum { PROTECT_ALL = 1, PROTECT_ONE, FORGET_ALL, GIVE_PAGES, TAKE_DATA };

static char pages[PAGES][PAGE_BYTES] __attribute__((aligned(4096)));
static char data[PIECE] __attribute__((aligned(4096)));
static char taken[PIECE] __attribute__((aligned(4096)));
static char map_pages[MAP_BYTES] __attribute__((aligned(4096)));

// Shared with the partner, whose memory this is too.
static volatile uint64_t handler_time;
static volatile bool protect_another;
static volatile port_name_t back; // in the partner's task: a send right to a port of this one
static unsigned order[PAGES];

// --- The pager, in the other address space ---------------------------------------------------

static void restrict_pages(unsigned first, unsigned count, uint64_t access)
{
    (void)memory_unmap(NAME_TASK_SELF, (uint64_t)pages[first], count * PAGE_BYTES, access, NULL,
                       NULL, NULL);
}

static void answer_fault(struct message *message)
{
    uint64_t at = message->words[0] & ~(PAGE_BYTES - 1), index = (at - REGION) / PAGE_BYTES;

    handler_time = processor_time();
    if (protect_another)
        restrict_pages((unsigned)(index + PAGES / 2) % PAGES, 1, ACCESS_WRITE);
    utcb_self()->items[0] = (struct message_item){
        .kind = ITEM_MAP,
        .access = ACCESS_READ | ACCESS_WRITE,
        .address = (uint64_t)pages[index],
        .length = PAGE_BYTES,
        .offset = at,
    };
    message->tag = TAG_ITEMS(1);
}

static void serve_pages(uint64_t receive)
{
    struct message message;
    corvus_error_t error = msg_receive(&message, (port_name_t)receive, TIMEOUT_NONE);

    while (error == ERR_OK) {
        if (message.id == MESSAGE_ID_PAGE_FAULT) {
            answer_fault(&message);
        } else {
            if (message.id == PROTECT_ALL)
                restrict_pages(0, PAGES, ACCESS_WRITE);
            else if (message.id == FORGET_ALL)
                restrict_pages(0, PAGES, ACCESS_ALL);
            else
                restrict_pages((unsigned)message.words[0], 1, ACCESS_WRITE);
            message.tag = 0;
        }
        error = msg_reply_receive(&message, (port_name_t)receive, TIMEOUT_NONE);
    }
}

// --- Faults ----------------------------------------------------------------------------------

static port_name_t pager;

static void ask(uint32_t id, uint64_t page)
{
    struct message message = {.destination = pager, .id = id, .tag = 1, .words = {page}};

    (void)msg_rpc(&message, TIMEOUT_NONE);
}

static void touch(unsigned page)
{
    *(volatile char *)(REGION + page * PAGE_BYTES) = 2;
}

static void note(struct row *row, unsigned round, uint64_t ticks)
{
    if (round >= WARM)
        row->samples[row->count++] = ticks;
}

static void shuffle(void)
{
    uint64_t state = 88172645463325252ull;

    for (unsigned i = 0; i < PAGES; i++)
        order[i] = i;
    for (unsigned i = PAGES - 1; i > 0; i--) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        unsigned j = (unsigned)(state >> 33) % (i + 1), swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
}

static void row_fault(void)
{
    struct row *row = measure_row("vm_fault", "instructions", "");

    for (unsigned round = 0; round < ROUNDS; round++) {
        ask(FORGET_ALL, 0);
        uint64_t start = processor_time();
        touch(order[round % PAGES]);
        note(row, round, processor_time() - start);
    }
    (void)measure_print(row);
}

static void row_trap(void)
{
    struct row *row = measure_row("vm_trap", "instructions", "");

    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned page = order[round % PAGES];
        touch(page);
        ask(PROTECT_ONE, page);
        uint64_t start = processor_time();
        touch(page);
        note(row, round, handler_time - start);
    }
    (void)measure_print(row);
}

static void row_appel1(void)
{
    struct row *row = measure_row("vm_appel1", "instructions", "");

    for (unsigned page = 0; page < PAGES; page++)
        touch(page);
    ask(PROTECT_ALL, 0);
    protect_another = true;
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned page = order[round % PAGES];
        ask(PROTECT_ONE, page);
        uint64_t start = processor_time();
        touch(page);
        note(row, round, processor_time() - start);
    }
    protect_another = false;
    (void)measure_print(row);
}

static void row_appel2(void)
{
    struct row *row = measure_row("vm_appel2", "instructions/page", "");

    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t start = processor_time();
        ask(PROTECT_ALL, 0);
        for (unsigned i = 0; i < PAGES; i++)
            touch(order[i]);
        note(row, round, (processor_time() - start) / PAGES);
    }
    (void)measure_print(row);
}

static corvus_error_t rows_of_faults(void)
{
    struct partner partner;
    corvus_error_t error = partner_start(&partner, partner_twin, serve_pages, PRIORITY_DEFAULT / 2);

    if (error != ERR_OK)
        return error;
    pager = partner.send;
    error = thread_set_pager(NAME_THREAD_MAIN, copy_send(partner.send));
    if (error == ERR_OK) {
        row_fault();
        row_trap();
        row_appel1();
        row_appel2();
        error = thread_set_pager(NAME_THREAD_MAIN, copy_send(NAME_BOOTSTRAP));
    }
    partner_stop(&partner);
    return error;
}

// --- Data --------------------------------------------------------------------------------------

// Takes plain messages; one with another id is to be told when it comes.
static void take_messages(uint64_t receive)
{
    struct message message;

    while (msg_receive(&message, (port_name_t)receive, TIMEOUT_NONE) == ERR_OK) {
        if (message.id == TAKE_DATA)
            continue;
        message = (struct message){.destination = back, .id = TAKE_DATA, .tag = 1};
        (void)msg_send(&message, TIMEOUT_NONE);
    }
}

static void serve_data(uint64_t receive)
{
    struct message message;

    utcb_self()->copy_buffers[0] = message_buffer(taken, sizeof taken);
    corvus_error_t error = msg_receive(&message, (port_name_t)receive, TIMEOUT_NONE);
    while (error == ERR_OK) {
        message.tag = 1;
        if (message.id == GIVE_PAGES) {
            utcb_self()->items[0] = (struct message_item){.kind = ITEM_MAP,
                                                          .access = ACCESS_READ,
                                                          .address = (uint64_t)map_pages,
                                                          .length = message.words[0]};
            message.tag |= TAG_ITEMS(1);
        }
        error = msg_reply_receive(&message, (port_name_t)receive, TIMEOUT_NONE);
    }
}

static void send_words(port_name_t to, uint32_t id, unsigned words)
{
    struct message message = {.destination = to, .id = id, .tag = words};

    (void)msg_send(&message, TIMEOUT_NONE);
}

static void row_pipe(port_name_t to, port_name_t answer)
{
    struct message message;
    struct row *row = measure_row("pipe_latency", "instructions", "");

    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t start = processor_time();
        send_words(to, TAKE_DATA + 1, 1);
        (void)msg_receive(&message, answer, TIMEOUT_NONE);
        note(row, round, processor_time() - start);
    }
    (void)measure_print(row);
    row = measure_row("pipe_bandwidth", "instructions/MiB", "");
    for (unsigned round = 0; round < WARM + 5; round++) {
        uint64_t start = processor_time();
        for (uint64_t sent = 0; sent < MEBIBYTE; sent += MESSAGE_WORDS * sizeof(uint64_t))
            send_words(to, TAKE_DATA, MESSAGE_WORDS);
        send_words(to, TAKE_DATA + 1, 1);
        (void)msg_receive(&message, answer, TIMEOUT_NONE);
        note(row, round, processor_time() - start);
    }
    (void)measure_print(row);
}

static corvus_error_t rows_of_pipes(void)
{
    struct partner partner;
    port_name_t answer, send = PORT_NULL;
    uint64_t receive, name;
    corvus_error_t error = task_allocate_port(NAME_TASK_SELF, 0, &receive);

    if (error != ERR_OK)
        return error;
    answer = (port_name_t)receive;
    error = task_extract_right(NAME_TASK_SELF, answer, MAKE_SEND, &send);
    if (error == ERR_OK)
        error = task_insert_right(partner_twin, move_send(send), &name);
    if (error != ERR_OK)
        return error;
    back = (port_name_t)name;
    error = partner_start(&partner, partner_twin, take_messages, PRIORITY_DEFAULT / 2);
    if (error == ERR_OK)
        row_pipe(partner.send, answer);
    partner_stop(&partner);
    return error;
}

static void call_with_data(port_name_t to, uint64_t bytes)
{
    struct message message = {.destination = to, .id = TAKE_DATA, .tag = 1};

    if (bytes != 0) {
        utcb_self()->items[0] = message_copy_item(data, bytes);
        message.tag |= TAG_ITEMS(1);
    }
    (void)msg_rpc(&message, TIMEOUT_NONE);
}

// The pages of the call before are replaced.
static corvus_error_t call_for_pages(port_name_t to, uint64_t bytes)
{
    struct message message = {.destination = to, .id = GIVE_PAGES, .tag = 1, .words = {bytes}};

    utcb_self()->map_window = (struct message_buffer){WINDOW, bytes};
    return msg_rpc(&message, TIMEOUT_NONE);
}

static void row_of_calls(const char *name, const char *unit, port_name_t to, uint64_t bytes,
                         unsigned calls, bool pages_wanted)
{
    struct row *row = measure_row(name, unit, "");

    for (unsigned round = 0; round < (calls == 1 ? ROUNDS : WARM + 11); round++) {
        uint64_t start = processor_time();
        for (unsigned i = 0; i < calls; i++) {
            if (pages_wanted)
                (void)call_for_pages(to, bytes);
            else
                call_with_data(to, bytes);
        }
        note(row, round, processor_time() - start);
    }
    (void)measure_print(row);
}

static corvus_error_t rows_of_calls(void)
{
    struct partner partner;
    corvus_error_t error = partner_start(&partner, partner_twin, serve_data, PRIORITY_DEFAULT / 2);

    if (error == ERR_OK)
        error = call_for_pages(partner.send, MAP_BYTES);
    if (error == ERR_OK) {
        row_of_calls("rpc_latency", "instructions", partner.send, 0, 1, false);
        row_of_calls("rpc_bandwidth", "instructions/MiB", partner.send, PIECE,
                     (unsigned)(MEBIBYTE / PIECE), false);
        row_of_calls("map_latency", "instructions", partner.send, PAGE_BYTES, 1, true);
        row_of_calls("map_bandwidth", "instructions/MiB", partner.send, MAP_BYTES,
                     (unsigned)(MEBIBYTE / MAP_BYTES), true);
    }
    partner_stop(&partner);
    return error;
}

int main(void)
{
    corvus_error_t error = thread_set_priority(NAME_THREAD_MAIN, PRIORITY_DEFAULT / 2);

    if (error == ERR_OK)
        error = partner_initialize();
    measure_calibrate();
    shuffle();
    if (error == ERR_OK)
        error = rows_of_faults();
    if (error == ERR_OK)
        error = rows_of_pipes();
    if (error == ERR_OK)
        error = rows_of_calls();
    if (error == ERR_OK)
        error = rows_of_served_faults();
    if (error != ERR_OK)
        printf("vmbench: error %d\n", (int)error);
    return error != ERR_OK;
}
