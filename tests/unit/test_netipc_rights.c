// SPDX-License-Identifier: BSD-2-Clause
// sources: tests/netipc/world.c tests/netipc/world_network.c tests/netipc/world_kernel.c
// sources: tests/netipc/world_operations.c
// sources: netipc/core/core.c netipc/core/link.c netipc/core/segment.c netipc/core/format.c
// sources: netipc/core/outbound.c netipc/core/control.c netipc/core/export.c
// sources: netipc/core/import.c netipc/core/call.c netipc/core/delivery.c netipc/core/rights.c
// sources: netipc/core/table.c netipc/core/pool.c netipc/core/secure.c
// sources: netipc/core/noise.c netipc/core/aead.c $(CRYPTO_UNIT)
// Rights on their way while something else happens: what could overtake them, and
// nodes that die at each step of a right's way to a third node.
#include "netipc/core/internal.h"
#include "tap.h"
#include "tests/netipc/world.h"

#include <stdlib.h>

static struct world *world;
static struct port *ports[5]; // well known, of each node

static struct node *node(uint32_t number)
{
    return &world->nodes[number];
}

static void begin(uint32_t count, uint64_t seed)
{
    world = world_begin(count, seed, SECURE_ENCRYPT);
    for (uint32_t i = 1; i <= count; i++) {
        ports[i] = port_make(node(i));
        (void)core_export_well_known(node(i)->core, 0, ports[i]->id,
                                     (uint64_t)right_make(ports[i], CORE_SEND));
    }
    world_connect(world);
}

static struct right *known(uint32_t from, uint32_t to)
{
    return right_make(*core_import_owner(core_import_well_known(node(from)->core, to, 0)),
                      CORE_SEND);
}

static void give(struct right *to, struct right *right)
{
    (void)world_send(to, &(struct letter){.right_count = 1, .rights = {right}}, NULL, NULL);
}

// Takes the right out of the next message.
static struct right *taken(struct port *port)
{
    struct arrived *arrived = port_receive(port);
    struct right *right = NULL;

    if (arrived != NULL && arrived->right_count != 0) {
        right = arrived->rights[0];
        arrived->right_count = 0;
    }
    if (arrived != NULL)
        arrived_free(arrived);
    return right;
}

static bool end(void)
{
    for (uint32_t i = 1; i <= world->count; i++)
        if (!node(i)->dead)
            port_kill(ports[i]);
    world_settle(world);
    return world_end(world) == 0;
}

static bool is_live(const struct right *right)
{
    return right != NULL && right->kind == CORE_SEND && !right->port->dead;
}

// Large enough that all else overtakes it.
static uint8_t large[900000];

static void give_slowly(struct right *to, struct right *right)
{
    (void)world_send(to,
                     &(struct letter){.right_count = 1,
                                      .rights = {right},
                                      .item_count = 1,
                                      .items = {large},
                                      .item_bytes = {sizeof large}},
                     NULL, NULL);
}

// The last right of node 2 to a port of node 1 goes home in a long message; that it has
// none any more is told by a short one.
static void test_home_slowly(void)
{
    begin(2, 1);
    struct port *port = port_make(node(1));
    struct right *two = known(2, 1), *one = known(1, 2);

    give(one, right_make(port, CORE_SEND));
    world_settle(world);
    world->link_room = 2;
    give_slowly(two, taken(ports[2]));
    world_settle(world);
    struct right *home = taken(ports[1]);
    tap_ok(is_live(home) && home->port == port, "a right that goes home slowly stays alive");
    if (home != NULL)
        right_drop(home);
    world_settle(world);
    tap_ok(port->sends == 0, "and nobody else holds one then");
    port_kill(port);
    right_drop(one);
    right_drop(two);
    tap_ok(end(), "a right that went home leaves nothing behind");
}

// The same, waiting behind a message that is being delivered.
static void test_home_queued(void)
{
    begin(2, 2);
    struct port *port = port_make(node(1));
    struct right *two = known(2, 1), *one = known(1, 2);

    give(one, right_make(port, CORE_SEND));
    world_settle(world);
    struct right *back = taken(ports[2]);
    (void)world_send(two, &(struct letter){.id = 1}, NULL, NULL);
    give(two, back);
    world_settle(world);
    struct arrived *first = port_receive(ports[1]);
    arrived_free(first);
    struct right *home = taken(ports[1]);
    tap_ok(is_live(home) && home->port == port, "so does one that waits for its turn");
    right_drop(home);
    port_kill(port);
    right_drop(one);
    right_drop(two);
    tap_ok(end(), "a right that went home leaves nothing behind");
}

// A port dies while a right to it is on its way: that comes behind the news.
static void test_death_overtakes(void)
{
    begin(2, 3);
    struct port *port = port_make(node(1));
    struct right *two = known(1, 2);

    give(two, right_make(port, CORE_SEND));
    world_settle(world);
    struct right *held = taken(ports[2]);
    world->link_room = 2;
    give_slowly(two, right_make(port, CORE_SEND));
    port_kill(port);
    world_settle(world);
    struct right *late = taken(ports[2]);
    tap_ok(held->port->dead && late != NULL && !is_live(late),
           "a right that comes behind the news of its port's death is dead");
    struct core_peer_info info;
    core_peer_info(node(1)->core, 2, &info);
    tap_ok(info.exports == 0, "all credits of a dead port come back");
    tap_ok(core_peer(node(2)->core, 1)->dead.count == 0, "then the death is forgotten");
    right_drop(held);
    right_drop(late);
    right_drop(two);
    tap_ok(end(), "a death leaves nothing behind");
}

// Messages of an import that was given back are accepted when the same port has
// another import.
static void test_accepted_late(void)
{
    begin(2, 4);
    struct port *port = port_make(node(1));
    struct right *two = known(1, 2), *held;

    for (int round = 0; round < 20; round++) {
        give(two, right_make(port, CORE_SEND));
        world_settle(world);
        held = taken(ports[2]);
        for (int i = 0; i < 7; i++)
            (void)world_send(held, &(struct letter){.id = 5}, NULL, NULL);
        right_drop(held);
        // One that crosses what gives the first back.
        give(two, right_make(port, CORE_SEND));
        world_settle(world);
        held = taken(ports[2]);
        if (is_live(held))
            (void)world_send(held, &(struct letter){.id = 6}, NULL, NULL);
        right_drop(held);
        world_settle(world);
    }
    unsigned count = 0;
    struct arrived *arrived;
    while ((arrived = port_receive(port)) != NULL) {
        count++;
        arrived_free(arrived);
    }
    tap_ok(count == 160, "messages of imports that come and go all arrive");
    struct core_peer_info info;
    core_peer_info(node(1)->core, 2, &info);
    tap_ok(info.sessions == 1 && info.state == CORE_PEER_LIVE, "in one session");
    tap_ok(core_peer(node(1)->core, 2)->inbounds.count == 0 && info.exports == 0,
           "and nothing of them is remembered");
    port_kill(port);
    right_drop(two);
    tap_ok(end(), "imports that come and go leave nothing behind");
}

// Node 2 gives node 3 a right to a port of node 1; after so many steps one of them dies.
static bool third_step(uint32_t dies, unsigned steps, bool *was_live)
{
    begin(3, 10 + steps);
    struct port *port = port_make(node(1));
    struct right *three = known(2, 3), *one = known(1, 2);

    give(one, right_make(port, CORE_SEND));
    world_settle(world);
    give(three, taken(ports[2]));
    for (; steps != 0 && world_step(world); steps--)
        ;
    *was_live = steps == 0;
    if (dies == 2)
        right_drop(three);
    if (dies == 1)
        right_drop(one);
    world_kill(world, dies);
    for (int i = 0; i < 25; i++)
        world_pass(world, 100000000);
    bool sound = true;
    struct right *late = dies != 3 ? taken(ports[3]) : NULL;
    if (dies == 1 && late != NULL)
        sound = !is_live(late);
    // Alive in node 3's hands, it works, whoever else died.
    if (dies == 2 && is_live(late)) {
        (void)world_send(late, &(struct letter){.id = 9}, NULL, NULL);
        world_settle(world);
        struct arrived *arrived = port_receive(port);
        sound = arrived != NULL && arrived->id == 9;
        if (arrived != NULL)
            arrived_free(arrived);
    }
    if (late != NULL)
        right_drop(late);
    world_settle(world);
    // What a dead node held has come back.
    if (dies != 1)
        sound = sound && port->sends == 0;
    if (dies != 2)
        right_drop(three);
    if (dies != 1) {
        right_drop(one);
        port_kill(port);
    }
    return end() && sound;
}

static void test_third_dies(void)
{
    for (uint32_t dies = 1; dies <= 3; dies++) {
        bool sound = true, more = true;
        unsigned steps = 0;
        for (; more && steps < 100; steps++)
            sound = third_step(dies, steps, &more) && sound;
        static const char *const texts[] = {"", "the home dies at each step of a claim",
                                            "who passes a right on dies at each step",
                                            "who claims dies at each step"};
        tap_ok(sound && steps > 5, texts[dies]);
    }
}

// --- What tells of a right of an earlier session ------------------------------------------

static uint32_t blocked_from, blocked_to;

static bool is_blocked(struct world *in, uint32_t from, uint32_t to)
{
    (void)in;
    return from == blocked_from && to == blocked_to;
}

static void block(uint32_t from, uint32_t to)
{
    blocked_from = from;
    blocked_to = to;
    world->cut = is_blocked;
    world_settle(world);
}

// Node 2 gives node 3 a right to a port of node 1, twice, and keeps none. Between the two the
// session of 2 with another begins anew. That the first has come is told before the second has:
// that one must stay alive, though it is the last then.
static bool told_late(uint32_t renewed)
{
    begin(4, 20 + renewed);
    struct port *port = port_make(node(1));
    struct right *two = known(1, 2), *three = known(2, 3), *four = known(1, 4);

    give(four, right_make(port, CORE_SEND)); // or the port's number would be another's
    give(two, right_make(port, CORE_SEND));
    world_settle(world);
    struct right *other = taken(ports[4]);
    block(3, 1); // node 3's claim waits
    give(three, taken(ports[2]));
    world_settle(world);
    world_break(world, 2, renewed);
    world_settle(world);
    world_connect(world);
    right_drop(two);
    right_drop(three);
    two = known(1, 2);
    three = known(2, 3);
    give(two, right_make(port, CORE_SEND));
    world_settle(world);
    give(three, taken(ports[2]));
    block(2, 3); // this right waits, and node 3's claim is granted
    right_drop(other);
    struct right *first = taken(ports[3]);
    bool sound = is_live(first);
    right_drop(first);
    world_settle(world);
    block(0, 0);
    struct right *second = taken(ports[3]);
    sound = sound && is_live(second) && port->sends != 0;
    right_drop(second);
    right_drop(two);
    right_drop(three);
    right_drop(four);
    world_settle(world);
    sound = sound && port->sends == 0;
    port_kill(port);
    return end() && sound;
}

static void test_told_late(void)
{
    tap_ok(told_late(1), "a right stays alive when another of its port, of before a session with "
                         "its home, is told of late");
    tap_ok(told_late(3), "and of before a session with who gets it");
}

static void test_well_known(void)
{
    begin(2, 5);
    struct core *core = node(1)->core;
    struct port *port = port_make(node(1));
    struct right *right = right_make(port, CORE_SEND);
    struct answer answer;

    tap_ok(core_export_well_known(core, CORE_WELL_KNOWN, port->id, (uint64_t)right) ==
               ERR_INVALID_ARGUMENT,
           "a number that is not well known is refused");
    tap_ok(core_export_well_known(core, 0, port->id, (uint64_t)right) == ERR_IN_USE,
           "so is one that is in use");
    tap_ok(core_export_well_known(core, 1, ports[1]->id, (uint64_t)right) == ERR_IN_USE,
           "so is a port that has one");
    tap_ok(core_export_well_known(core, 7, port->id, (uint64_t)right) == ERR_OK, "the last number");
    struct core_import *import = core_import_well_known(node(2)->core, 1, 7);
    tap_ok(import != NULL && core_import_node(import) == 1 &&
               core_import_well_known(node(2)->core, 1, 7) == import,
           "a well-known port has one import");
    tap_ok(core_import_well_known(node(2)->core, 3, 0) == NULL &&
               core_import_well_known(node(2)->core, 1, CORE_WELL_KNOWN) == NULL,
           "none of a node that is not there, or of another number");
    struct right *proxy = right_make(*core_import_owner(import), CORE_SEND);
    port_kill(port);
    (void)world_send(proxy, &(struct letter){.id = 1}, &answer, (uint32_t[4]){0});
    world_settle(world);
    tap_ok(answer.times == 1 && answer.error == ERR_PEER_DIED &&
               core_counters(core)->dead_exports == 1,
           "a call to a well-known port that died ends, and is counted");
    port = port_make(node(1));
    right = right_make(port, CORE_SEND);
    tap_ok(core_export_well_known(core, 7, port->id, (uint64_t)right) == ERR_IN_USE,
           "its number is not given again");
    right_drop(right);
    port_kill(port);
    right_drop(proxy);
    tap_ok(end(), "well-known ports leave nothing behind");
}

int main(void)
{
    test_home_slowly();
    test_home_queued();
    test_death_overtakes();
    test_accepted_late();
    test_third_dies();
    test_told_late();
    test_well_known();
    return tap_end();
}
