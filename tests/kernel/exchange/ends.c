// SPDX-License-Identifier: BSD-2-Clause
// Node 2 is killed, or its network server is started again, or it has another key.
#include "exchange_test.h"

#include "tests/kernel/guest/guest.h"

#include <corvus/netname.h>
#include <corvus/supervisor_stubs.h>

#include <stdio.h>
#include <unistd.h>

#define NODE_NEVER_SEEN 0u
#define NODE_THERE      1u
#define NODE_DEAD       3u

struct node_seen {
    uint64_t state, incarnation, sessions, imports, exports;
};

static struct node_seen see(uint64_t node)
{
    struct node_seen seen = {.state = ~0ull};

    (void)netname_node(netname, node, &seen.state, &seen.incarnation, &seen.sessions, &seen.imports,
                       &seen.exports);
    return seen;
}

// --- Killed --------------------------------------------------------------------------------

#define HELD          12u
#define SENDERS       4u
#define STREAMERS     2u
#define WAITERS       (HELD + SENDERS + STREAMERS)
#define STREAM_BYTES  300000u
#define LIMIT_NS      8000000000ull // 4 s of silence (patience 2), and what the killing takes
#define NEVER_SO_MANY 1000u

static port_name_t deaf;
static uint8_t stream[STREAM_BYTES];

static void wait_for_node_2(struct member *member)
{
    struct message message = {.tag = 1, .destination = deaf, .id = ECHO_WORDS};

    if (member->number < HELD) {
        member->error = echo_ask(ECHO_HOLD, NEVER_SO_MANY, NULL);
        return;
    }
    bool streams = member->number >= HELD + SENDERS;
    do { // until nobody takes any more
        message.tag = 1;
        if (streams) {
            message = (struct message){.tag = TAG_ITEMS(1), .destination = echo, .id = ECHO_SUM};
            utcb_self()->items[0] = message_copy_item(stream, sizeof stream);
            member->error = msg_rpc(&message, TIMEOUT_NONE);
        } else {
            member->error = msg_send(&message, TIMEOUT_NONE);
        }
        member->done++;
    } while (member->error == ERR_OK);
}

void judge_death(void)
{
    struct message message = {.tag = 0, .id = ECHO_MAKE};
    uint64_t node, of, live, majority, incarnation, last = 0;
    port_name_t port;

    equal(echo_call(&message), ERR_OK, "a port from which nobody receives");
    deaf = utcb_self()->rights[0].name;
    ok(crowd_start(WAITERS, wait_for_node_2),
       "calls that wait, senders that wait, and large calls without end");
    sleep(2);
    ok(crowd_with(WAITERS, ERR_PEER_DIED) == 0, "all of them wait or go on");
    uint64_t begin = clock_now_ns();
    printf("# node 2 can be killed\n");
    ok(crowd_ended(WAITERS, 60), "it is killed: none waits any more");
    equal(crowd_with(WAITERS, ERR_PEER_DIED), WAITERS, "each is told so");
    for (unsigned i = 0; i < WAITERS; i++)
        if (crowd[i].ended - begin > last)
            last = crowd[i].ended - begin;
    ok(last < LIMIT_NS, "within the limit");
    printf("#   %llu ms after node 2 could be killed\n", (unsigned long long)(last / 1000000));
    ok(dies(echo) && dies(deaf), "rights to its ports are dead names");
    equal(see(2).state, NODE_DEAD, "it is seen as dead");
    equal(find("echo", 2, 0, &port), ERR_PEER_DIED, "its names are not to be had");
    ok(netname_cluster(netname, &node, &of, &live, &majority, &incarnation) == ERR_OK && of == 2 &&
           live == 1 && majority == 1,
       "node 1 is alone, and the majority");
}

// --- Started again -------------------------------------------------------------------------

#define RESTARTS 3u
#define CALLERS  8u

static bool over;

// Calls on and on; finds the server anew whenever it has died.
static void call_on(struct member *member)
{
    port_name_t port = PORT_NULL;

    member->error = find("echo", 2, 1, &port);
    while (member->error == ERR_OK && !__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
        struct message message = {
            .tag = 1, .id = ECHO_WORDS, .destination = port, .words = {member->done}};
        corvus_error_t error = msg_rpc(&message, TIMEOUT_NONE);
        if (error == ERR_OK && message.words[0] == member->done) {
            member->done++;
        } else if (error == ERR_PEER_DIED) {
            (void)port_deallocate(port);
            member->error = find("echo", 2, 1, &port);
        } else {
            member->error = error == ERR_OK ? ERR_PROTOCOL : error;
        }
    }
}

static void restart_once(void)
{
    struct node_seen before = see(2), after;

    equal(echo_ask(ECHO_RESTART, 200, NULL), ERR_OK, "node 2's network server is ended");
    ok(dies(echo), "rights to ports of node 2 die");
    (void)port_deallocate(echo);
    equal(find("echo", 2, 1, &echo), ERR_OK, "started again, it has the name again");
    after = see(2);
    ok(after.state == NODE_THERE && after.sessions > before.sessions &&
           after.incarnation > before.incarnation,
       "in a new session, of a new incarnation");
}

// This node's own network server: what node 2 holds of node 1 is as dead as what node 1
// held of node 2.
static void restart_own(void)
{
    struct message message = {.tag = TAG_RIGHTS(1), .id = ECHO_KEEP};
    uint64_t w[4], kind = 0, limit, promised, tasks = 0, memory;
    port_name_t allocator = PORT_NULL, receive, send;
    struct guest guest = {0};

    (void)port_allocate_with_send(1, &receive, &send);
    utcb_self()->rights[0] = move_send(send);
    ok(echo_call(&message) == ERR_OK && find("allocator", 2, 0, &allocator) == ERR_OK &&
           guest_create(&guest, allocator, GUEST_QUOTA, GUEST_MEMORY) == ERR_OK &&
           echo_ask(ECHO_KIND, 0, &kind) == ERR_OK && kind == RIGHT_SEND,
       "node 2 has a task of node 1's and a right to a port of it");
    name_words("net", w);
    equal(supervisor_end_server(NAME_BOOTSTRAP, w[0], w[1], w[2], w[3]), ERR_OK,
          "this node's network server is ended");
    ok(dies(echo) && dies(netname) && dies(guest.task), "all rights to others' ports die");
    name_words("netname", w);
    ok(bootstrap_look_up(NAME_BOOTSTRAP, w[0], w[1], w[2], w[3], 1, &netname) == ERR_OK &&
           find("echo", 2, 1, &echo) == ERR_OK,
       "started again, it finds node 2");
    for (int i = 0; i < 200 && kind == RIGHT_SEND; i++) {
        (void)echo_ask(ECHO_KIND, 0, &kind);
        usleep(20000);
    }
    equal(kind, RIGHT_DEAD, "there the right to its port has died");
    ok(find("allocator", 2, 0, &allocator) == ERR_OK &&
           allocator_info(allocator, &limit, &promised, &tasks, &memory) == ERR_OK && tasks == 0,
       "and so the task");
    (void)port_deallocate(receive);
}

void judge_restart(void)
{
    port_name_t allocator = PORT_NULL;
    struct guest guest = {0};
    uint64_t least = ~0ull, limit, promised, tasks = 1, memory;

    ok(find("allocator", 2, 0, &allocator) == ERR_OK &&
           guest_create(&guest, allocator, GUEST_QUOTA, GUEST_MEMORY) == ERR_OK,
       "a task of node 2");
    ok(crowd_start(CALLERS, call_on), "eight threads call");
    for (unsigned i = 0; i < RESTARTS; i++) {
        restart_once();
        usleep(500000);
    }
    __atomic_store_n(&over, true, __ATOMIC_RELEASE);
    ok(crowd_ended(CALLERS, 30), "all have gone on calling");
    equal(crowd_with(CALLERS, ERR_OK), CALLERS, "and met nothing but dead names");
    for (unsigned i = 0; i < CALLERS; i++)
        if (crowd[i].done < least)
            least = crowd[i].done;
    ok(least > 0, "each with answers");
    printf("#   %llu at least\n", (unsigned long long)least);
    ok(dies(guest.task), "the task has ended with its maker's rights");
    guest_forget(&guest);
    (void)port_deallocate(allocator);
    equal(find("allocator", 2, 0, &allocator), ERR_OK, "the allocator is there");
    for (int i = 0; i < 100 && tasks != 0; i++) {
        (void)allocator_info(allocator, &limit, &promised, &tasks, &memory);
        usleep(20000);
    }
    equal(tasks, 0, "and has the task's memory back");
    restart_own();
}

// --- Another key ---------------------------------------------------------------------------

enum counter {
#define COUNTER_NUMBER(name, text) COUNTER_##name,
    CORE_COUNTERS(COUNTER_NUMBER) NODE_COUNTERS(COUNTER_NUMBER)
#undef COUNTER_NUMBER
};

static uint64_t count_of(enum counter counter)
{
    uint64_t value = ~0ull;
    size_t room = 1;

    (void)netname_counters(netname, counter, &value, &room);
    return value;
}

void judge_stranger(void)
{
    port_name_t port;
    uint64_t refused = 0;

    for (int i = 0; i < 300 && refused < 10; i++) {
        usleep(100000);
        refused = count_of(COUNTER_beacons_refused);
    }
    ok(refused >= 10, "beacons of one with another key are counted");
    equal(see(2).state, NODE_NEVER_SEEN, "it was never seen");
    equal(see(2).sessions, 0, "nor was there a session");
    equal(count_of(COUNTER_messages_received), 0, "no message came");
    equal(find("echo", 2, 0, &port), ERR_PEER_DIED, "its names are not to be had");
    equal(find("echo", 0, 0, &port), ERR_NOT_FOUND, "nor are they anybody's");
}
