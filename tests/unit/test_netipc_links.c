// SPDX-License-Identifier: BSD-2-Clause
// sources: tests/netipc/world.c tests/netipc/world_network.c tests/netipc/world_kernel.c
// sources: tests/netipc/world_operations.c
// sources: netipc/core/core.c netipc/core/link.c netipc/core/segment.c netipc/core/format.c
// sources: netipc/core/outbound.c netipc/core/control.c netipc/core/export.c
// sources: netipc/core/import.c netipc/core/call.c netipc/core/delivery.c netipc/core/rights.c
// sources: netipc/core/table.c netipc/core/pool.c netipc/core/secure.c
// sources: netipc/core/noise.c netipc/core/aead.c $(CRYPTO_UNIT)
// Who connects to whom, what a link may say, silence, death, and majorities.
#include "netipc/core/internal.h"
#include "tap.h"
#include "tests/netipc/world_private.h"

#include <stdlib.h>
#include <string.h>

#define MILLISECONDS 1000000ull

static struct world *world;

static struct node *node(uint32_t number)
{
    return &world->nodes[number];
}

static const struct core_counters *counters(uint32_t number)
{
    return core_counters(node(number)->core);
}

static enum core_peer_state state(uint32_t of, uint32_t number)
{
    struct core_peer_info info;

    core_peer_info(node(of)->core, number, &info);
    return info.state;
}

static void test_who_connects(void)
{
    world = world_begin(3, 1, SECURE_ENCRYPT);
    tap_ok(core_wants_link(node(1)->core, 2) && !core_wants_link(node(2)->core, 1) &&
               !core_wants_link(node(1)->core, 1) &&
               !core_wants_link(node(1)->core, CORE_NODES_MAX),
           "the lower of two nodes connects");
    network_open(world, node(1), node(2));
    tap_ok(!core_wants_link(node(1)->core, 2), "once");
    tap_ok(state(1, 2) == CORE_PEER_ABSENT, "a node without a session was never seen");
    world_settle(world);
    tap_ok(state(1, 2) == CORE_PEER_LIVE && state(2, 1) == CORE_PEER_LIVE &&
               counters(1)->sessions == 1,
           "then both have a session");
    network_open(world, node(3), node(2));
    world_settle(world);
    tap_ok(counters(2)->hellos_refused == 1 && state(2, 3) == CORE_PEER_ABSENT &&
               state(3, 2) == CORE_PEER_ABSENT,
           "a higher node that connects to a lower one is refused");
    tap_ok(core_link_open(node(1)->core, CORE_NODES_MAX, NULL) == NULL, "there is no such node");
    world_break(world, 1, 2);
    tap_ok(state(1, 2) == CORE_PEER_DEAD && core_wants_link(node(1)->core, 2) &&
               counters(1)->sessions_ended == 1,
           "a broken link ends the session, and another is wanted");
    tap_ok(world_end(world) == 0, "links leave nothing behind");
}

static void test_two_links(void)
{
    bool sound = true;

    for (uint64_t seed = 1; seed <= 50; seed++) {
        world = world_begin(2, seed, 0);
        network_open(world, node(1), node(2));
        network_open(world, node(1), node(2));
        world_settle(world);
        for (int i = 0; i < 3; i++) { // both may have given up the other's
            world_connect(world);
            world_pass(world, 10 * MILLISECONDS);
        }
        sound = sound && state(1, 2) == CORE_PEER_LIVE && state(2, 1) == CORE_PEER_LIVE &&
                counters(1)->sessions - counters(1)->sessions_ended == 1 &&
                counters(2)->sessions - counters(2)->sessions_ended == 1 &&
                counters(1)->protocol_errors + counters(2)->protocol_errors == 0;
        sound = world_end(world) == 0 && sound;
    }
    tap_ok(sound, "of two links at once one session comes, on both sides");
}

// The first hello of a session, sent again by somebody who has heard it.
static void test_replay(void)
{
    world = world_begin(2, 3, SECURE_ENCRYPT);
    network_open(world, node(1), node(2));
    uint8_t hello[SECURE_HELLO_BYTES];
    tap_ok(network_peek(world, hello, sizeof hello), "a hello is recorded");
    world_settle(world);
    struct wire_end *stranger = network_stranger(world, node(2));
    network_say(stranger, hello, sizeof hello);
    world_settle(world);
    tap_ok(state(2, 1) == CORE_PEER_LIVE && counters(2)->sessions == 1,
           "said again, it begins no session, and ends none");
    network_say(stranger, hello, sizeof hello);
    world_settle(world);
    tap_ok(counters(2)->segments_refused == 1 && counters(2)->sessions == 1,
           "nor does what is said behind it");
    stranger = network_stranger(world, node(2));
    network_say(stranger, hello, 60);
    for (int i = 0; i < 25; i++)
        world_pass(world, 100 * MILLISECONDS);
    tap_ok(network_is_closed(stranger) && state(2, 1) == CORE_PEER_LIVE,
           "who says half of a hello is not waited for");
    tap_ok(world_end(world) == 0, "replays leave nothing behind");
}

static void test_silence(void)
{
    world = world_begin(2, 4, SECURE_ENCRYPT);
    world_connect(world);
    uint64_t before = counters(1)->controls_sent;
    for (int i = 0; i < 20; i++)
        world_pass(world, 50 * MILLISECONDS);
    uint64_t beats = counters(1)->controls_sent - before;
    tap_ok(beats >= 8 && beats <= 20, "a node that has nothing to say lets itself be heard");
    node(2)->frozen = true;
    for (int i = 0; i < 5; i++)
        world_pass(world, 90 * MILLISECONDS);
    tap_ok(state(1, 2) == CORE_PEER_LIVE, "silent for a while, a node is live");
    for (int i = 0; i < 5; i++)
        world_pass(world, 90 * MILLISECONDS);
    tap_ok(state(1, 2) == CORE_PEER_SUSPECT, "then it is suspect");
    node(2)->frozen = false;
    world_pass(world, 90 * MILLISECONDS);
    world_pass(world, 90 * MILLISECONDS);
    tap_ok(state(1, 2) == CORE_PEER_LIVE && counters(1)->sessions == 1,
           "heard again, it is live, in the same session");
    node(2)->frozen = true;
    for (int i = 0; i < 25; i++)
        world_pass(world, 90 * MILLISECONDS);
    tap_ok(state(1, 2) == CORE_PEER_DEAD && counters(1)->silent == 1,
           "silent too long, it is dead");
    node(2)->frozen = false;
    world_settle(world);
    world_pass(world, 90 * MILLISECONDS);
    tap_ok(state(2, 1) == CORE_PEER_DEAD, "thawed, it learns that it was");
    world_connect(world);
    struct core_peer_info info;
    core_peer_info(node(1)->core, 2, &info);
    tap_ok(info.state == CORE_PEER_LIVE && info.sessions == 2 && info.incarnation == 1,
           "and has another session");
    core_peer_end(node(1)->core, 2, "asked for");
    world_settle(world);
    tap_ok(state(1, 2) == CORE_PEER_DEAD && state(2, 1) == CORE_PEER_DEAD,
           "a session that one side ends is over for both");
    tap_ok(world_end(world) == 0, "silence leaves nothing behind");
}

// What node 2 says is lost, then what node 1 says, too.
static bool both_ways;

static bool is_cut_from_two(struct world *of, uint32_t from, uint32_t to)
{
    (void)of;
    (void)to;
    return from == 2 || both_ways;
}

static void test_one_way(void)
{
    int one = 0, two = 0;

    both_ways = false;
    world = world_begin(2, 4, SECURE_ENCRYPT);
    world_connect(world);
    for (int i = 0; i < 10; i++)
        world_pass(world, 50 * MILLISECONDS);
    world->cut = is_cut_from_two;
    for (int i = 1; i <= 60; i++) {
        both_ways = i > 36; // 1,800 ms: before node 1 gives it up, and says so
        world_pass(world, 50 * MILLISECONDS);
        one = one == 0 && state(1, 2) == CORE_PEER_DEAD ? i : one;
        two = two == 0 && state(2, 1) == CORE_PEER_DEAD ? i : two;
    }
    printf("# ended after %d and %d ms\n", one * 50, two * 50);
    tap_ok(one != 0 && two != 0 && two - one <= 9 && counters(2)->silent == 1,
           "who hears, but is not heard, ends the session with the other");
    tap_ok(world_end(world) == 0, "that leaves nothing behind");
}

static uint32_t alone; // nodes from here on are cut off

static bool is_cut(struct world *of, uint32_t from, uint32_t to)
{
    (void)of;
    return (from >= alone) != (to >= alone);
}

static void test_majority(void)
{
    bool sound = true;

    for (uint32_t count = 1; count <= 5; count++)
        for (alone = 2; alone <= count + 1; alone++) {
            world = world_begin(count, 5, 0);
            world->cut = is_cut;
            world_connect(world);
            for (uint32_t i = 1; i <= count; i++) {
                uint32_t together = i < alone ? alone - 1 : count - alone + 1;
                bool most = 2 * together > count || (2 * together == count && i < alone);
                sound = sound && core_has_majority(node(i)->core) == most;
            }
            sound = world_end(world) == 0 && sound;
        }
    tap_ok(sound, "more than half, or half with node 1, are a majority, of 1 to 5 nodes");
}

static void test_cut_and_healed(void)
{
    world = world_begin(3, 6, SECURE_ENCRYPT);
    world_connect(world);
    alone = 3;
    world->cut = is_cut;
    for (int i = 0; i < 25; i++)
        world_pass(world, 100 * MILLISECONDS);
    tap_ok(core_has_majority(node(1)->core) && core_has_majority(node(2)->core) &&
               !core_has_majority(node(3)->core) && counters(1)->silent == 1 &&
               counters(3)->silent == 2 && state(1, 2) == CORE_PEER_LIVE,
           "cut off, one of three has no majority, and two go on");
    world->cut = NULL;
    world_settle(world);
    world_connect(world);
    tap_ok(core_has_majority(node(3)->core) && state(1, 3) == CORE_PEER_LIVE, "healed, all do");
    tap_ok(world_end(world) == 0, "cuts leave nothing behind");
}

// --- What no peer may send --------------------------------------------------------------------

static bool ends_session(const void *body, size_t bytes)
{
    world = world_begin(2, 7, 0);
    world_connect(world);
    struct core *core = node(1)->core;
    peer_received(core_peer(core, 2), body, bytes);
    core_flush(core);
    bool ended = counters(1)->protocol_errors == 1 && state(1, 2) == CORE_PEER_DEAD;
    return world_end(world) == 0 && ended;
}

static bool control_ends_session(const struct control *control)
{
    uint8_t body[SEGMENT_HEAD + CONTROL_BYTES] = {SEGMENT_CONTROL};

    control_write(body + SEGMENT_HEAD, control);
    return ends_session(body, sizeof body);
}

static void test_impossible(void)
{
    tap_ok(ends_session("\x01", 1), "half a head of a segment");
    tap_ok(ends_session("\x09\x03\0\0\0\0\0\0", 8), "a segment of no known kind");
    tap_ok(ends_session("\x01\x07\0\0\0\0\0\0", 8), "unknown flags");
    tap_ok(ends_session("\x01\x02\0\0\0\0\0\0", 8), "the last segment of no message");
    tap_ok(ends_session("\x01\x03\0\0\0\0\0\x7f\4\0\0\0abcd", 16), "a port beyond all ports");
    tap_ok(ends_session("\x01\x01\0\0\0\0\0\0\xff\xff\xff\xff", 12), "a message too long");
    tap_ok(ends_session("\x01\x03\0\0\0\0\0\0\3\0\0\0abcd", 16), "more than its length says");
    tap_ok(ends_session("\x01\x03\0\0\0\0\0\0\5\0\0\0abcd", 16), "less than that");
    tap_ok(ends_session("\x01\x03\0\0\0\0\0\0\4\0\0\0abcd", 16), "a message that is none");
    tap_ok(ends_session("\x02\x03\0\0\0\0\0\0\4\0\0\0abcd", 16), "an answer that nobody waits for");
    tap_ok(ends_session("\x03\0\0\0\0\0\0\0\1\0\0\0", 12), "part of a control record");
    tap_ok(control_ends_session(&(struct control){.kind = CONTROL_KINDS}), "one of no kind");
    world = world_begin(2, 8, 0);
    world_connect(world);
    struct core *core = node(1)->core;
    struct port *port = port_make(node(1));
    struct right *two =
        right_make(*core_import_owner(core_import_well_known(core, 2, 0)), CORE_SEND);
    (void)world_send(two,
                     &(struct letter){.right_count = 1, .rights = {right_make(port, CORE_SEND)}},
                     NULL, NULL);
    struct peer *peer = core_peer(core, 2);
    control_received(peer, &(struct control){.kind = CONTROL_RELEASE,
                                             .number = peer->holdings->export->number,
                                             .value = 2});
    core_flush(core);
    tap_ok(counters(1)->protocol_errors == 1 && state(1, 2) == CORE_PEER_DEAD && port->sends == 0,
           "more credits than were given");
    right_drop(two);
    world_connect(world);
    two = right_make(*core_import_owner(core_import_well_known(core, 2, 0)), CORE_SEND);
    (void)world_send(two, &(struct letter){.id = 1}, NULL, NULL);
    control_received(core_peer(core, 2), &(struct control){.kind = CONTROL_ACCEPTED,
                                                           .value = 2,
                                                           .serial = two->port->import->serial});
    core_flush(core);
    tap_ok(counters(1)->protocol_errors == 2, "more messages accepted than were sent");
    right_drop(two);
    port_kill(port);
    world_settle(world);
    tap_ok(world_end(world) == 0, "impossible things leave nothing behind");
}

static void test_mute(void)
{
    unsigned waited_for = 0;

    world = world_begin(2, 9, SECURE_ENCRYPT);
    for (unsigned i = 0; i < MUTE_LINKS_MAX + 8; i++)
        network_open(world, node(1), node(2));
    for (const struct core_link *link = node(2)->core->links; link != NULL; link = link->next)
        waited_for += !link->closed;
    tap_ok(waited_for == MUTE_LINKS_MAX, "of those who say nothing only so many are waited for");
    world_settle(world);
    tap_ok(state(1, 2) == CORE_PEER_LIVE && state(2, 1) == CORE_PEER_LIVE,
           "the newest of them can speak");
    tap_ok(world_end(world) == 0, "a crowd of links leaves nothing behind");
}

int main(void)
{
    test_who_connects();
    test_two_links();
    test_replay();
    test_silence();
    test_one_way();
    test_majority();
    test_cut_and_healed();
    test_impossible();
    test_mute();
    return tap_end();
}
