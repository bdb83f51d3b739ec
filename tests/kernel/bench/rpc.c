// SPDX-License-Identifier: BSD-2-Clause
// Calls and their answers. The interval is what the program sees: from before
// the client's stub sets up its registers until the answer is in its variables,
// with all that the server's loop executes in between.
#include "rows.h"

#include "lib/message.h"

#define TEN_WORDS  10u
#define COPY_BYTES PAGE_BYTES

static char client_buffer[COPY_BYTES] __attribute__((aligned(4096)));
static char server_buffer[COPY_BYTES] __attribute__((aligned(4096)));

// --- Servers -------------------------------------------------------------------
// They serve until they are terminated; to return would be a fault, which init
// reports.

// Answers every request with nothing.
static void serve_null(uint64_t receive)
{
    struct message message;
    corvus_error_t error = msg_receive(&message, (port_name_t)receive, TIMEOUT_NONE);

    while (error == ERR_OK) {
        message.tag = 0;
        error = msg_reply_receive(&message, (port_name_t)receive, TIMEOUT_NONE);
    }
}

// Answers with the words that came, the first one incremented.
static void serve_words(uint64_t receive)
{
    struct message message;
    corvus_error_t error = msg_receive(&message, (port_name_t)receive, TIMEOUT_NONE);

    while (error == ERR_OK) {
        message.tag &= TAG_WORDS_MASK;
        message.words[0]++;
        error = msg_reply_receive(&message, (port_name_t)receive, TIMEOUT_NONE);
    }
}

// Keeps the right of a request; the next request, without one, gives it up.
static void serve_right(uint64_t receive)
{
    port_name_t kept = PORT_NULL;
    struct message message;
    corvus_error_t error = msg_receive(&message, (port_name_t)receive, TIMEOUT_NONE);

    while (error == ERR_OK) {
        if ((message.tag & TAG_RIGHTS_MASK) != 0)
            kept = utcb_self()->rights[0].name;
        else
            (void)task_deallocate_right(NAME_TASK_SELF, kept);
        message.tag = 0;
        error = msg_reply_receive(&message, (port_name_t)receive, TIMEOUT_NONE);
    }
}

// Takes COPY items into its buffer and answers with nothing.
static void serve_copy(uint64_t receive)
{
    utcb_self()->copy_buffers[0] = message_buffer(server_buffer, sizeof server_buffer);
    serve_null(receive);
}

// --- Clients -------------------------------------------------------------------

static corvus_error_t call_null(struct row *row, port_name_t server)
{
    uint64_t tag = 0, word;

    for (unsigned round = 0; round < MEASURE_ALL_ROUNDS && TAG_ERROR(tag) == ERR_OK; round++) {
        measure_before(row, round);
        uint64_t start = processor_time();
        tag = message_call_null(server, 1, &word);
        uint64_t end = processor_time();
        measure_after(row, round, start, end);
    }
    return TAG_ERROR(tag);
}

// Words beyond the sixth are written into the message page one by one. A long
// message is built in the page by whoever makes it, so of 64 words only the ten
// first are written anew.
static corvus_error_t call_words(struct row *row, port_name_t server, uint64_t words)
{
    struct utcb *page = utcb_self();
    struct message message = {0};
    bool right = true;

    for (unsigned round = 0; round < MEASURE_ALL_ROUNDS && right; round++) {
        measure_before(row, round);
        uint64_t start = processor_time();
        message = (struct message){
            .tag = words,
            .destination = server,
            .id = 1,
            .words = {round, round + 1, round + 2, round + 3, round + 4, round + 5}};
        for (unsigned i = MESSAGE_REGISTER_WORDS; i < TEN_WORDS; i++)
            page->words[i] = round + i;
        corvus_error_t error = msg_rpc(&message, TIMEOUT_NONE);
        uint64_t end = processor_time();
        measure_after(row, round, start, end);
        right = error == ERR_OK && (message.tag & TAG_WORDS_MASK) == words &&
                message.words[0] == round + 1 && message.words[5] == round + 5 &&
                page->words[TEN_WORDS - 1] == round + TEN_WORDS - 1;
    }
    return right ? ERR_OK : ERR_PROTOCOL;
}

static corvus_error_t call_ten_words(struct row *row, port_name_t server)
{
    return call_words(row, server, TEN_WORDS);
}

static corvus_error_t call_all_words(struct row *row, port_name_t server)
{
    return call_words(row, server, MESSAGE_WORDS);
}

static corvus_error_t call_right(struct row *row, port_name_t server)
{
    corvus_error_t error = ERR_OK;
    uint64_t word;

    for (unsigned round = 0; round < MEASURE_ALL_ROUNDS && error == ERR_OK; round++) {
        measure_before(row, round);
        uint64_t start = processor_time();
        struct message message = {.tag = TAG_RIGHTS(1), .destination = server, .id = 1};
        utcb_self()->rights[0] = copy_send(server);
        error = msg_rpc(&message, TIMEOUT_NONE);
        uint64_t end = processor_time();
        measure_after(row, round, start, end);
        if (error == ERR_OK)
            error = TAG_ERROR(message_call_null(server, 1, &word)); // the server gives it up
    }
    return error;
}

static corvus_error_t call_copy(struct row *row, port_name_t server)
{
    corvus_error_t error = ERR_OK;

    for (unsigned round = 0; round < MEASURE_ALL_ROUNDS && error == ERR_OK; round++) {
        client_buffer[round % COPY_BYTES] = (char)round;
        measure_before(row, round);
        uint64_t start = processor_time();
        struct message message = {.tag = TAG_ITEMS(1), .destination = server, .id = 1};
        utcb_self()->items[0] = message_copy_item(client_buffer, sizeof client_buffer);
        error = msg_rpc(&message, TIMEOUT_NONE);
        uint64_t end = processor_time();
        measure_after(row, round, start, end);
        if (server_buffer[round % COPY_BYTES] != (char)round)
            error = ERR_PROTOCOL;
    }
    return error;
}

// --- Rows ----------------------------------------------------------------------

static void measure(const char *name, const char *peers, port_name_t task,
                    void (*server)(uint64_t receive),
                    corvus_error_t (*client)(struct row *row, port_name_t server))
{
    struct row *row = measure_row(name, "instructions", peers);
    struct partner partner;
    corvus_error_t error = partner_start(&partner, task, server, BENCH_PRIORITY);

    if (error == ERR_OK)
        error = client(row, partner.send);
    if (error == ERR_OK)
        (void)measure_print(row);
    else
        measure_failed(name, "call", error);
    partner_stop(&partner);
}

void rows_rpc(void)
{
    measure("rpc_null_cross_space", "NOVA=283 seL4=395 Fiasco=1071 GNU-Mach=1797", partner_twin,
            serve_null, call_null);
    measure("rpc_null_same_space", "NOVA=263", NAME_TASK_SELF, serve_null, call_null);
    measure("rpc_10_words", "seL4=1572", partner_twin, serve_words, call_ten_words);
    measure("rpc_64_words", "", partner_twin, serve_words, call_all_words);
    measure("rpc_one_right", "", partner_twin, serve_right, call_right);
    measure("copy_4k_roundtrip", "", partner_twin, serve_copy, call_copy);
}
