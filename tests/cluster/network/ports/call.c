// SPDX-License-Identifier: BSD-2-Clause
// Callers of a port of `ports serve`: one after the other, one that only holds rights, many that
// wait for answers that never come.
#include "ports.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define CALLERS_MAX 64

static port_name_t found(char **words)
{
    port_name_t port;

    need(corvus_look_up(words[0], strtoull(words[1], NULL, 10), true, &port),
         "looking the name up");
    return port;
}

static corvus_error_t add(port_name_t port, uint64_t number, uint64_t timeout)
{
    struct message message = {.tag = 1, .destination = port, .id = PORTS_ADD, .words = {number}};
    corvus_error_t error = msg_rpc(&message, timeout);

    if (error != ERR_OK)
        return error;
    if (message.words[0] != ERR_OK || message.words[1] != number + 1)
        fail("call %llu was answered with %llu", (unsigned long long)number,
             (unsigned long long)message.words[1]);
    return ERR_OK;
}

// Calls for so many seconds. Each must be answered; tells how many were, and the longest time.
int command_call(char **words)
{
    port_name_t port = found(words);
    uint64_t begin = clock_now_ns(), longest = 0, calls = 0;
    uint64_t seconds = strtoull(words[2], NULL, 10);

    say("calls");
    while (clock_now_ns() - begin < seconds * NANOSECONDS_PER_SECOND) {
        uint64_t before = clock_now_ns(), took;
        corvus_error_t error = add(port, calls, TIMEOUT_NONE);
        took = clock_now_ns() - before;
        if (error != ERR_OK)
            fail("call %llu: error %d after %llu ms", (unsigned long long)calls, error,
                 (unsigned long long)(took / MILLISECOND_NS));
        longest = took > longest ? took : longest;
        calls++;
    }
    say("%llu calls answered, the longest took %llu ms", (unsigned long long)calls,
        (unsigned long long)(longest / MILLISECOND_NS));
    return EXIT_SUCCESS;
}

// Holds two rights of another node, until it is told that they are dead.
int command_hold(char **words)
{
    port_name_t port = found(words), notices, given;
    struct message message = {.tag = 1, .destination = port, .id = PORTS_GIVE};
    uint64_t begin;

    need(msg_rpc(&message, TIMEOUT_NONE), "asking for a right");
    given = utcb_self()->rights[0].name;
    need(add(given, 1, TIMEOUT_NONE), "calling by that right");
    need(port_allocate(0, &notices), "making a port");
    need(port_request_notification(port, NOTIFY_DEAD_NAME, notices), "asking for a notice");
    need(port_request_notification(given, NOTIFY_DEAD_NAME, notices), "asking for a notice");
    say("holds");
    begin = clock_now_ns();
    for (int i = 0; i < 2; i++) {
        need(msg_receive(&message, notices, strtoull(words[2], NULL, 10) * MICROSECONDS),
             "waiting for the notice");
        if (message.id != MESSAGE_ID_DEAD_NAME ||
            (message.words[0] != port && message.words[0] != given))
            fail("a strange notice");
    }
    say("dead after %llu ms", (unsigned long long)((clock_now_ns() - begin) / MILLISECOND_NS));
    if (port_number(port) != 0 || port_number(given) != 0)
        fail("a right is not dead");
    if (add(port, 1, MICROSECONDS) != ERR_PEER_DIED || add(given, 1, MICROSECONDS) != ERR_PEER_DIED)
        fail("a call by a dead right did not end with PEER_DIED");
    // So it is long afterwards, whatever has come back.
    sleep(1);
    if (add(port, 1, MICROSECONDS) != ERR_PEER_DIED)
        fail("a dead right works again");
    return EXIT_SUCCESS;
}

struct caller {
    pthread_t thread;
    port_name_t port;
    corvus_error_t error;
    uint64_t ended_ns;
};

static void *wait_for_ever(void *argument)
{
    struct caller *caller = argument;
    struct message message = {.tag = 1, .destination = caller->port, .id = PORTS_HOLD};

    caller->error = msg_rpc(&message, TIMEOUT_NONE);
    caller->ended_ns = clock_now_ns();
    return NULL;
}

// Calls that are answered, until one is not: so it is known when the port was last there.
#define SIGN_OF_LIFE_US 50000u

struct signs_of_life {
    port_name_t port;
    uint64_t last_ns;
};

static void *ask_for_signs(void *argument)
{
    struct signs_of_life *signs = argument;

    while (add(signs->port, 1, TIMEOUT_NONE) == ERR_OK) {
        signs->last_ns = clock_now_ns();
        usleep(SIGN_OF_LIFE_US);
    }
    return NULL;
}

// Many calls at once, none of which is answered: all must end with PEER_DIED. Tells how long after
// the port's last sign of life the last of them did.
int command_wait(char **words)
{
    static struct caller callers[CALLERS_MAX];
    unsigned long count = strtoul(words[2], NULL, 10);
    port_name_t port = found(words);
    struct signs_of_life signs = {.port = port};
    uint64_t last = 0;
    pthread_t asker;

    if (count == 0 || count > CALLERS_MAX)
        fail("1 to %d callers", CALLERS_MAX);
    for (unsigned long i = 0; i < count; i++) {
        callers[i].port = port;
        if (pthread_create(&callers[i].thread, NULL, wait_for_ever, &callers[i]) != 0)
            fail("no thread");
    }
    usleep(500000);
    // Behind them, so all are there.
    need(add(port, 1, TIMEOUT_NONE), "calling");
    signs.last_ns = clock_now_ns();
    if (pthread_create(&asker, NULL, ask_for_signs, &signs) != 0)
        fail("no thread");
    say("waits");
    alarm((unsigned)strtoul(words[3], NULL, 10));
    for (unsigned long i = 0; i < count; i++) {
        (void)pthread_join(callers[i].thread, NULL);
        if (callers[i].error != ERR_PEER_DIED)
            fail("call %lu ended with error %d", i, callers[i].error);
        last = callers[i].ended_ns > last ? callers[i].ended_ns : last;
    }
    (void)pthread_join(asker, NULL);
    say("%lu calls ended, the last %llu ms after the last sign of life", count,
        (unsigned long long)((last - signs.last_ns) / MILLISECOND_NS));
    return EXIT_SUCCESS;
}
