// SPDX-License-Identifier: BSD-2-Clause
// Order, waiting, many at once.
#include "exchange_test.h"

#include <stdio.h>
#include <unistd.h>

#define MIXED        300u
#define LARGE_MAX    200000u
#define FLOOD        400u
#define CALLS_EACH   20u
#define ALL_AT_ONCE  64u
#define FLOOD_COPIES 3u // each so many plain messages carries bytes

static uint8_t bytes[LARGE_MAX];

static struct message numbered(port_name_t to, uint64_t number, size_t size)
{
    struct message message = {
        .tag = 2 | TAG_ITEMS(size != 0), .id = ECHO_PLAIN, .destination = to, .words = {number}};

    for (size_t i = 0; i < size; i++)
        message.words[1] += bytes[i] = (uint8_t)(i * 13 + number);
    utcb_self()->items[0] = message_copy_item(bytes, size);
    return message;
}

static void test_mixed(void)
{
    static const size_t sizes[] = {0, 1, 0, 100000, 0, 0, 1500, LARGE_MAX, 0, 4097};
    struct message message = {.tag = 0, .id = ECHO_COUNT};
    corvus_error_t error = ERR_OK;

    (void)echo_call(&message);
    for (uint64_t i = 0; i < MIXED && error == ERR_OK; i++) {
        message = numbered(echo, i, sizes[i % (sizeof sizes / sizeof sizes[0])]);
        error = msg_send(&message, TIMEOUT_NONE);
    }
    message = (struct message){.tag = 0, .id = ECHO_COUNT};
    ok(error == ERR_OK && echo_call(&message) == ERR_OK && message.words[0] == MIXED &&
           message.words[1] == 0,
       "small and large messages come in order, each once and whole");
}

// --- A server that does not receive ------------------------------------------------------

static port_name_t deaf;
static uint64_t sent;

static void flood(struct member *member)
{
    member->error = ERR_OK;
    for (uint64_t i = 0; i < FLOOD && member->error == ERR_OK; i++) {
        struct message message = numbered(deaf, i, i % FLOOD_COPIES == 0 ? 20000 : 0);
        member->error = msg_send(&message, TIMEOUT_NONE);
        if (member->error == ERR_OK)
            __atomic_store_n(&sent, i + 1, __ATOMIC_RELEASE);
    }
}

// How many have been sent when for a while none more is.
static uint64_t sent_at_rest(void)
{
    uint64_t before, now = 0;

    do {
        before = now;
        usleep(700000);
        now = __atomic_load_n(&sent, __ATOMIC_ACQUIRE);
    } while (now != before);
    return now;
}

static corvus_error_t make_deaf(port_name_t *port)
{
    struct message message = {.tag = 0, .id = ECHO_MAKE};
    corvus_error_t error = echo_call(&message);

    *port = error == ERR_OK ? utcb_self()->rights[0].name : PORT_NULL;
    return error;
}

static void test_back_pressure(void)
{
    uint64_t answer = 0;
    bool through = true;

    equal(make_deaf(&deaf), ERR_OK, "a port from which nobody receives");
    ok(crowd_start(1, flood), "somebody floods it");
    uint64_t waits_at = sent_at_rest();
    ok(waits_at > 0 && waits_at < FLOOD, "and has to wait");
    printf("#   after %llu messages\n", (unsigned long long)waits_at);
    for (uint64_t i = 0; i < 50; i++)
        through = echo_ask(ECHO_WORDS, i, &answer) == ERR_OK && answer == i && through;
    ok(through, "others get through meanwhile");
    ok(echo_ask(ECHO_DRAIN, FLOOD, &answer) == ERR_OK && answer == FLOOD,
       "received at last, all are there, in order");
    ok(crowd_ended(1, 30) && crowd[0].error == ERR_OK, "and the sender has sent all");
    (void)echo_ask(ECHO_CLOSE, 0, NULL);
    ok(dies(deaf), "the port dies, as is told here");
    (void)port_deallocate(deaf);
}

// --- Many callers ------------------------------------------------------------------------

static void call_often(struct member *member)
{
    member->error = ERR_OK;
    for (uint64_t i = 0; i < CALLS_EACH && member->error == ERR_OK; i++) {
        uint64_t answer = 0, question = member->number * 1000 + i;
        member->error = echo_ask(ECHO_WORDS, question, &answer);
        member->done += answer == question;
    }
}

static void call_and_wait(struct member *member)
{
    struct message message = {.tag = 2, .id = ECHO_HOLD, .words = {ALL_AT_ONCE, member->number}};

    member->error = echo_call(&message);
    member->done = message.words[1] == member->number;
}

static void test_many(void)
{
    uint64_t right = 0;

    ok(crowd_start(CROWD_MAX, call_often) && crowd_ended(CROWD_MAX, 60), "64 threads call often");
    for (unsigned i = 0; i < CROWD_MAX; i++)
        right += crowd[i].done;
    equal(right, CROWD_MAX * CALLS_EACH, "each gets its own answers");
    ok(crowd_start(ALL_AT_ONCE, call_and_wait) && crowd_ended(ALL_AT_ONCE, 60),
       "64 calls that all wait for the last one");
    right = 0;
    for (unsigned i = 0; i < ALL_AT_ONCE; i++)
        right += crowd[i].done;
    ok(crowd_with(ALL_AT_ONCE, ERR_OK) == ALL_AT_ONCE && right == ALL_AT_ONCE,
       "each gets its own answer, though the last is answered first");
}

// --- Death -------------------------------------------------------------------------------

#define OWED 8u

static void call_deaf(struct member *member)
{
    struct message message = {.tag = 1, .id = ECHO_WORDS, .destination = deaf};

    member->error = msg_rpc(&message, TIMEOUT_NONE);
}

static void test_port_death(void)
{
    equal(make_deaf(&deaf), ERR_OK, "another such port");
    ok(crowd_start(OWED, call_deaf), "eight call it");
    usleep(300000);
    (void)echo_ask(ECHO_CLOSE, 0, NULL);
    ok(crowd_ended(OWED, 20) && crowd_with(OWED, ERR_PEER_DIED) == OWED,
       "it dies: all are told so");
    (void)port_deallocate(deaf);
}

void judge_load(void)
{
    test_mixed();
    test_back_pressure();
    test_many();
    test_port_death();
}
