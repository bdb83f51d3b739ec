// SPDX-License-Identifier: BSD-2-Clause
// sources: tests/netipc/world.c tests/netipc/world_network.c tests/netipc/world_kernel.c
// sources: tests/netipc/world_operations.c
// sources: netipc/core/core.c netipc/core/link.c netipc/core/segment.c
// sources: netipc/core/format.c netipc/core/outbound.c netipc/core/control.c netipc/core/export.c
// sources: netipc/core/import.c netipc/core/call.c netipc/core/delivery.c netipc/core/rights.c
// sources: netipc/core/table.c netipc/core/pool.c netipc/core/secure.c
// sources: netipc/core/noise.c netipc/core/aead.c $(CRYPTO_UNIT)
// Ports across machines, on a model of kernels and a network.
#include "tests/netipc/world.h"
#include "tap.h"

#include <stdlib.h>
#include <string.h>

static struct world *world;

static struct node *node(uint32_t number)
{
    return &world->nodes[number];
}

// Makes node 1's port 0 known to all, and gives it back.
static struct port *begin(uint32_t count, uint64_t seed)
{
    world = world_begin(count, seed, SECURE_ENCRYPT);
    struct port *port = port_make(node(1));
    (void)core_export_well_known(node(1)->core, 0, port->id, (uint64_t)right_make(port, CORE_SEND));
    world_connect(world);
    return port;
}

// A right of `from` to the port 0 of node 1.
static struct right *well_known(uint32_t from)
{
    struct core_import *import = core_import_well_known(node(from)->core, 1, 0);
    struct port *proxy = *core_import_owner(import);

    return right_make(proxy, CORE_SEND);
}

static void end(struct port *port, const char *text)
{
    port_kill(port);
    world_settle(world);
    tap_ok(world_end(world) == 0, text);
}

static void test_message(void)
{
    struct port *port = begin(2, 1);
    struct right *right = well_known(2);
    struct letter letter = {.id = 7, .word_count = 3, .words = {11, 12, 13}};

    tap_ok(core_has_majority(node(1)->core), "two nodes see one another");
    tap_ok(world_send(right, &letter, NULL, NULL) == ERR_OK, "a message is sent");
    world_settle(world);
    struct arrived *arrived = port_receive(port);
    tap_ok(arrived != NULL && arrived->id == 7 && arrived->word_count == 3 &&
               arrived->words[2] == 13 && arrived->call == NULL,
           "and arrives as it was");
    arrived_free(arrived);
    right_drop(right);
    end(port, "a message leaves nothing behind");
}

static void test_call(void)
{
    struct port *port = begin(2, 2);
    struct right *right = well_known(2);
    struct letter letter = {.id = 8, .word_count = 64};
    struct answer answer;
    const uint32_t room[MESSAGE_ITEMS] = {100, 0, 5, 0};
    uint64_t segments = core_counters(node(2)->core)->segments_sent;

    letter.words[63] = 99;
    tap_ok(world_send(right, &letter, &answer, room) == ERR_OK, "a call is made");
    world_settle(world);
    struct arrived *arrived = port_receive(port);
    tap_ok(arrived != NULL && arrived->call != NULL && arrived->call->room[0] == 100 &&
               arrived->call->room[2] == 5 && arrived->words[63] == 99,
           "it arrives with the room of its answer");
    world_answer(arrived, &(struct letter){.id = 9, .word_count = 1, .words = {5}}, ERR_OK);
    arrived_free(arrived);
    world_settle(world);
    tap_ok(answer.done && answer.error == ERR_OK && answer.message->words[0] == 5 &&
               answer.message->id == 9,
           "the answer comes");
    tap_ok(core_counters(node(2)->core)->segments_sent - segments == 1,
           "a call costs one segment there");
    arrived_free(answer.message);
    (void)world_send(right, &letter, &answer, room);
    world_settle(world);
    arrived = port_receive(port);
    world_answer(arrived, NULL, ERR_NO_REPLY);
    arrived_free(arrived);
    world_settle(world);
    tap_ok(answer.done && answer.error == ERR_NO_REPLY, "so does an error");
    right_drop(right);
    end(port, "calls leave nothing behind");
}

static void test_large(void)
{
    static uint8_t data[CORE_COPY_MAX];
    struct port *port = begin(2, 3);
    struct right *right = well_known(2);
    struct letter letter = {.item_count = 2,
                            .items = {data, data + 700000},
                            .item_bytes = {700000, CORE_COPY_MAX - 700000}};

    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 2654435761u >> 13);
    tap_ok(world_send(right, &letter, NULL, NULL) == ERR_OK, "a megabyte is sent");
    tap_ok(world_send(right, &letter, NULL, NULL) == ERR_WOULD_BLOCK,
           "a second one must wait until the first is accepted");
    world_settle(world);
    struct arrived *arrived = port_receive(port);
    tap_ok(arrived != NULL && arrived->item_count == 2 && arrived->item_bytes[0] == 700000 &&
               memcmp(arrived->items[0], data, 700000) == 0 &&
               memcmp(arrived->items[1], data + 700000, CORE_COPY_MAX - 700000) == 0,
           "it arrives whole");
    arrived_free(arrived);
    tap_ok(world_send(right, &letter, NULL, NULL) == ERR_OK, "then the second may go");
    world_settle(world);
    arrived_free(port_receive(port));
    letter.item_bytes[0]++;
    tap_ok(world_send(right, &letter, NULL, NULL) == ERR_TOO_LARGE, "more is refused");
    right_drop(right);
    end(port, "megabytes leave nothing behind");
}

// Node 2 gives node 1 a right to its port; node 1 passes it on to node 3.
static void test_third(void)
{
    struct port *port = begin(3, 4);
    struct port *target = port_make(node(2)), *meeting = port_make(node(3));
    struct right *two = well_known(2), *three = well_known(3);

    (void)world_send(two,
                     &(struct letter){.right_count = 1, .rights = {right_make(target, CORE_SEND)}},
                     NULL, NULL);
    (void)world_send(three,
                     &(struct letter){.right_count = 1, .rights = {right_make(meeting, CORE_SEND)}},
                     NULL, NULL);
    world_settle(world);
    struct arrived *first = port_receive(port), *second = port_receive(port);
    bool ordered = ((struct arrived *)first)->rights[0]->port->import != NULL &&
                   core_import_node(first->rights[0]->port->import) == 2;
    struct arrived *of_two = ordered ? first : second, *of_three = ordered ? second : first;
    tap_ok(core_import_node(of_two->rights[0]->port->import) == 2, "a right arrives as a proxy");
    (void)world_send(of_three->rights[0],
                     &(struct letter){.right_count = 1, .rights = {of_two->rights[0]}}, NULL, NULL);
    of_two->rights[0] = NULL;
    arrived_free(of_two);
    arrived_free(of_three);
    world_settle(world);
    struct arrived *arrived = port_receive(meeting);
    tap_ok(arrived != NULL && core_import_node(arrived->rights[0]->port->import) == 2,
           "a right passed on is one to its home");
    struct core_peer_info info;
    core_peer_info(node(1)->core, 2, &info);
    tap_ok(info.imports == 0, "who passed it on holds nothing any more");
    core_peer_info(node(2)->core, 3, &info);
    tap_ok(info.exports == 1, "its home knows who has it");
    (void)world_send(arrived->rights[0], &(struct letter){.id = 77}, NULL, NULL);
    arrived_free(arrived);
    world_settle(world);
    arrived = port_receive(target);
    tap_ok(arrived != NULL && arrived->id == 77, "and it works");
    arrived_free(arrived);
    core_peer_info(node(2)->core, 3, &info);
    tap_ok(info.exports == 0 && target->sends == 0, "dropped, it is given back");
    port_kill(target);
    port_kill(meeting);
    right_drop(two);
    right_drop(three);
    end(port, "three nodes leave nothing behind");
}

static void test_home_again(void)
{
    struct port *port = begin(2, 5), *own = port_make(node(2));
    struct right *two = well_known(2);
    struct answer answer;

    (void)world_send(two,
                     &(struct letter){.right_count = 1, .rights = {right_make(own, CORE_SEND)}},
                     &answer, (uint32_t[4]){0});
    world_settle(world);
    struct arrived *arrived = port_receive(port);
    world_answer(arrived, &(struct letter){.right_count = 1, .rights = {arrived->rights[0]}},
                 ERR_OK);
    arrived->right_count = 0;
    arrived_free(arrived);
    world_settle(world);
    tap_ok(answer.done && answer.message->rights[0]->port == own,
           "a right that comes home is to the port itself");
    arrived_free(answer.message);
    world_settle(world);
    tap_ok(own->sends == 0, "and nobody else holds one");
    port_kill(own);
    right_drop(two);
    end(port, "a right that went home leaves nothing behind");
}

static void test_send_once(void)
{
    struct port *port = begin(2, 6), *back = port_make(node(2));
    struct right *two = well_known(2);

    for (int used = 0; used < 2; used++) {
        (void)world_send(
            two, &(struct letter){.right_count = 1, .rights = {right_make(back, CORE_SEND_ONCE)}},
            NULL, NULL);
        world_settle(world);
        struct arrived *arrived = port_receive(port);
        tap_ok(arrived->rights[0]->kind == CORE_SEND_ONCE, "a send-once right arrives");
        if (used) {
            (void)world_send(arrived->rights[0], &(struct letter){.id = 3}, NULL, NULL);
            arrived->right_count = 0;
        }
        arrived_free(arrived);
        world_settle(world);
        arrived = port_receive(back);
        tap_ok((arrived != NULL) == (used == 1) && back->onces == 0,
               used ? "used, it brings its message" : "dropped, it is gone");
        if (arrived != NULL)
            arrived_free(arrived);
    }
    port_kill(back);
    right_drop(two);
    end(port, "send-once rights leave nothing behind");
}

static void test_port_dies(void)
{
    struct port *port = begin(2, 7);
    struct right *two = well_known(2);
    struct answer answer;

    (void)world_send(two, &(struct letter){.id = 1}, &answer, (uint32_t[4]){0});
    port_kill(port);
    world_settle(world);
    tap_ok(answer.done && answer.error == ERR_PEER_DIED, "a call to a dead port ends");
    right_drop(two);
    tap_ok(world_end(world) == 0, "a dead port leaves nothing behind");
}

static void test_node_dies(void)
{
    struct port *port = begin(3, 8);
    struct right *two = well_known(2), *three = well_known(3);
    struct answer answer[2];

    (void)world_send(two, &(struct letter){.id = 1}, &answer[0], (uint32_t[4]){0});
    world_settle(world);
    (void)world_send(three, &(struct letter){.id = 1}, &answer[1], (uint32_t[4]){0});
    (void)port;
    world_kill(world, 1);
    for (int i = 0; i < 25; i++)
        world_pass(world, 100000000);
    tap_ok(answer[0].done && answer[0].error == ERR_PEER_DIED && answer[1].done &&
               answer[1].error == ERR_PEER_DIED,
           "calls to a dead node end");
    tap_ok(two->port->dead, "rights to its ports are dead names");
    tap_ok(core_has_majority(node(2)->core), "two of three go on");
    right_drop(two);
    right_drop(three);
    world_start(world, 1);
    world_connect(world);
    struct core_peer_info info;
    core_peer_info(node(2)->core, 1, &info);
    tap_ok(info.state == CORE_PEER_LIVE && info.incarnation == 2 && info.sessions == 2,
           "it comes back as another incarnation");
    tap_ok(world_end(world) == 0, "a dead node leaves nothing behind");
}

int main(void)
{
    test_message();
    test_call();
    test_large();
    test_third();
    test_home_again();
    test_send_once();
    test_port_dies();
    test_node_dies();
    return tap_end();
}
