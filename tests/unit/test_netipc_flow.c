// SPDX-License-Identifier: BSD-2-Clause
// sources: tests/netipc/world.c tests/netipc/world_network.c tests/netipc/world_kernel.c
// sources: tests/netipc/world_operations.c
// sources: netipc/core/core.c netipc/core/link.c netipc/core/segment.c netipc/core/format.c
// sources: netipc/core/outbound.c netipc/core/control.c netipc/core/export.c
// sources: netipc/core/import.c netipc/core/call.c netipc/core/delivery.c netipc/core/rights.c
// sources: netipc/core/table.c netipc/core/pool.c netipc/core/secure.c
// sources: netipc/core/noise.c netipc/core/aead.c $(CRYPTO_UNIT)
// Windows, order, turns: who must wait, for what, and who overtakes whom.
#include "netipc/core/internal.h"
#include "tap.h"
#include "tests/netipc/world.h"

#include <stdlib.h>

static struct world *world;
static struct port *port;
static struct right *right;
static uint8_t data[CORE_COPY_MAX];

static struct node *node(uint32_t number)
{
    return &world->nodes[number];
}

// Node 2 has a right to the well-known port of node 1.
static void begin(uint64_t seed)
{
    world = world_begin(2, seed, 0);
    port = port_make(node(1));
    (void)core_export_well_known(node(1)->core, 0, port->id, (uint64_t)right_make(port, CORE_SEND));
    world_connect(world);
    right = right_make(*core_import_owner(core_import_well_known(node(2)->core, 1, 0)), CORE_SEND);
}

static void end(const char *text)
{
    right_drop(right);
    port_kill(port);
    world_settle(world);
    tap_ok(world_end(world) == 0, text);
}

static corvus_error_t send_bytes(const struct right *to, uint32_t id, size_t bytes)
{
    struct letter letter = {.id = id};

    if (bytes != 0) {
        letter.item_count = 1;
        letter.items[0] = data;
        letter.item_bytes[0] = bytes;
    }
    return world_send((struct right *)to, &letter, NULL, NULL);
}

static unsigned receive_all(const struct port *from, bool *ordered)
{
    struct arrived *arrived;
    unsigned count = 0;
    uint32_t last = 0;

    *ordered = true;
    while ((arrived = port_receive((struct port *)from)) != NULL) {
        *ordered = *ordered && arrived->id > last;
        last = arrived->id;
        count++;
        arrived_free(arrived);
    }
    return count;
}

static void test_messages(void)
{
    bool ordered;
    unsigned sent = 0;

    begin(1);
    while (send_bytes(right, sent + 1, 0) == ERR_OK)
        sent++;
    tap_ok(sent == WINDOW_MESSAGES && right->port->paused,
           "so many messages as the window has, then senders wait");
    tap_ok(core_counters(node(2)->core)->pauses == 1, "which is counted");
    const struct core_message message = {.id = 99};
    tap_ok(core_send(right->port->import, &message, NULL, NULL) == ERR_WOULD_BLOCK,
           "who does not wait is refused");
    world_settle(world);
    tap_ok(!right->port->paused, "accepted, they may go on");
    tap_ok(receive_all(port, &ordered) == sent && ordered, "all came, in order");
    for (unsigned i = 1; i <= 1000; i++) {
        while (send_bytes(right, i, i % 3 == 0 ? 40000 : 10) == ERR_WOULD_BLOCK)
            (void)world_step(world);
    }
    world_settle(world);
    tap_ok(receive_all(port, &ordered) == 1000 && ordered,
           "large and small ones arrive in the order in which they were sent");
    end("windows leave nothing behind");
}

static void test_bytes(void)
{
    begin(2);
    struct core_import *import = right->port->import;
    unsigned sent = 0;

    while (send_bytes(right, sent + 1, 100000) == ERR_OK)
        sent++;
    tap_ok(sent == 3 && import->window_bytes >= WINDOW_BYTES &&
               import->window_bytes < WINDOW_BYTES + MESSAGE_MAX,
           "one message may go beyond the bytes of a window");
    world_settle(world);
    bool ordered;
    (void)receive_all(port, &ordered);
    tap_ok(!right->port->paused && import->window_bytes < WINDOW_BYTES, "then it opens again");
    end("bytes leave nothing behind");
}

// Many ports of one node, each with a megabyte on its way: the session's limit.
static void test_session(void)
{
    struct port *ports[20];
    struct right *rights[20];

    begin(3);
    struct right *back =
        right_make(*core_import_owner(core_import_well_known(node(2)->core, 1, 0)), CORE_SEND);
    struct right *there;
    struct port *meeting = port_make(node(2));
    (void)world_send(back,
                     &(struct letter){.right_count = 1, .rights = {right_make(meeting, CORE_SEND)}},
                     NULL, NULL);
    world_settle(world);
    struct arrived *arrived = port_receive(port);
    there = arrived->rights[0];
    arrived->right_count = 0;
    arrived_free(arrived);
    for (unsigned i = 0; i < 20; i++) {
        ports[i] = port_make(node(1));
        (void)world_send(
            there, &(struct letter){.right_count = 1, .rights = {right_make(ports[i], CORE_SEND)}},
            NULL, NULL);
        world_settle(world);
        arrived = port_receive(meeting);
        rights[i] = arrived->rights[0];
        arrived->right_count = 0;
        arrived_free(arrived);
    }
    for (unsigned i = 0; i < 20; i++)
        (void)send_bytes(rights[i], 1, CORE_COPY_MAX);
    const struct peer *peer = core_peer(node(2)->core, 1);
    tap_ok(peer->unaccepted_bytes > 20u * CORE_COPY_MAX,
           "each port may have one message on its way, whatever the others have");
    world_settle(world);
    bool ordered, all = true;
    for (unsigned i = 0; i < 20; i++)
        all = receive_all(ports[i], &ordered) == 1 && all;
    tap_ok(all && peer->unaccepted_bytes < 1000, "they arrive, and are accepted at once");
    // With the session full, small ones must wait for each other.
    for (unsigned i = 0; i < 9; i++)
        (void)send_bytes(rights[i], 1, CORE_COPY_MAX);
    tap_ok(send_bytes(rights[10], 1, 0) == ERR_OK &&
               send_bytes(rights[10], 2, 0) == ERR_WOULD_BLOCK,
           "in a full session a port may have one message, not two");
    world_settle(world);
    tap_ok(!rights[10]->port->paused, "and goes on when that was accepted");
    for (unsigned i = 0; i < 20; i++) {
        right_drop(rights[i]);
        port_kill(ports[i]);
    }
    right_drop(back);
    right_drop(there);
    port_kill(meeting);
    end("sessions leave nothing behind");
}

// A small message to another port overtakes a megabyte; so does an answer.
static void test_turns(void)
{
    begin(4);
    struct port *other = port_make(node(1));
    (void)core_export_well_known(node(1)->core, 1, other->id,
                                 (uint64_t)right_make(other, CORE_SEND));
    struct right *second =
        right_make(*core_import_owner(core_import_well_known(node(2)->core, 1, 1)), CORE_SEND);
    world->link_room = 1;
    (void)send_bytes(right, 1, CORE_COPY_MAX);
    (void)send_bytes(second, 2, 0);
    uint64_t before = core_counters(node(2)->core)->segments_sent;
    while (other->first == NULL && world_step(world))
        ;
    uint64_t after = core_counters(node(2)->core)->segments_sent;
    tap_ok(other->first != NULL && port->first == NULL && after - before <= 8,
           "a small message waits for a few of the 65 segments of a large one");
    world_settle(world);
    bool ordered;
    tap_ok(receive_all(port, &ordered) == 1 && receive_all(other, &ordered) == 1, "both arrive");
    // Two large ones take turns.
    (void)send_bytes(right, 1, CORE_COPY_MAX);
    (void)send_bytes(second, 2, CORE_COPY_MAX);
    while (port->first == NULL && other->first == NULL && world_step(world))
        ;
    const struct peer *peer = core_peer(node(2)->core, 1);
    unsigned left = 0;
    for (const struct segment *segment = peer->turn != NULL ? peer->turn->segments.first : NULL;
         segment != NULL; segment = segment->next)
        left++;
    tap_ok(left <= 3, "two large ones end together");
    world_settle(world);
    tap_ok(receive_all(port, &ordered) == 1 && receive_all(other, &ordered) == 1,
           "and both arrive");
    right_drop(second);
    port_kill(other);
    end("turns leave nothing behind");
}

static void test_refusals(void)
{
    begin(5);
    struct core_import *import = right->port->import;
    struct core_message message = {.word_count = MESSAGE_WORDS + 1};
    const struct core_counters *counters = core_counters(node(2)->core);

    tap_ok(core_send(import, &message, NULL, NULL) == ERR_INVALID_ARGUMENT, "too many words");
    message = (struct core_message){.item_count = MESSAGE_ITEMS + 1};
    tap_ok(core_send(import, &message, NULL, NULL) == ERR_INVALID_ARGUMENT, "too many items");
    message = (struct core_message){.item_count = 2,
                                    .items = {{data, CORE_COPY_MAX}, {data, SIZE_MAX - 10}}};
    tap_ok(core_send(import, &message, NULL, NULL) == ERR_TOO_LARGE, "more bytes than there are");
    world->failures = 10000;
    struct letter letter = {.right_count = 1,
                            .rights = {right_make(port_make(node(2)), CORE_SEND)}};
    struct port *own = letter.rights[0]->port;
    struct answer answer;
    tap_ok(world_send(right, &letter, &answer, (uint32_t[4]){0}) == ERR_NO_MEMORY &&
               counters->no_memory == 1 && !answer.done,
           "no memory for a segment: nothing was sent");
    world->failures = 0;
    world_settle(world);
    tap_ok(own->sends == 0 && import->calls == 0 && import->window_count == 0 &&
               counters->messages_sent == 0,
           "rights are dropped, and nothing is counted");
    port_kill(own);
    world_settle(world);
    // An answer that is too large is an error at the other end.
    (void)world_send(right, &(struct letter){.id = 1}, &answer, (uint32_t[4]){0});
    world_settle(world);
    struct arrived *arrived = port_receive(port);
    world_answer(arrived,
                 &(struct letter){.item_count = 2,
                                  .items = {data, data},
                                  .item_bytes = {CORE_COPY_MAX, CORE_COPY_MAX}},
                 ERR_OK);
    arrived_free(arrived);
    world_settle(world);
    tap_ok(answer.times == 1 && answer.error == ERR_TOO_LARGE, "an answer that is too large");
    end("refusals leave nothing behind");
}

// Who must answer has no memory for it: the caller hears that. If not even for that: the session
// ends, and the caller hears of it.
static void test_no_memory_for_answer(void)
{
    begin(6);
    struct port *own = port_make(node(1));
    struct answer answer;

    (void)world_send(right, &(struct letter){.id = 1}, &answer,
                     (uint32_t[4]){CORE_COPY_MAX, 0, 0, 0});
    world_settle(world);
    struct arrived *large = port_receive(port);
    world->failures = 1000; // of its 64 segments one is sure to be refused
    world_answer(large,
                 &(struct letter){.item_count = 1,
                                  .items = {data},
                                  .item_bytes = {CORE_COPY_MAX},
                                  .right_count = 1,
                                  .rights = {right_make(own, CORE_SEND)}},
                 ERR_OK);
    world->failures = 0;
    arrived_free(large);
    world_settle(world);
    tap_ok(answer.times == 1 && answer.error == ERR_NO_MEMORY &&
               core_counters(node(1)->core)->sessions_ended == 0 && own->sends == 0,
           "no memory for an answer is told, its rights are gone, and the session goes on");
    port_kill(own);
    (void)world_send(right, &(struct letter){.id = 1}, &answer, (uint32_t[4]){0});
    world_settle(world);
    struct arrived *arrived = port_receive(port);
    world->failures = 10000;
    world_answer(arrived, &(struct letter){.id = 2}, ERR_OK);
    world->failures = 0;
    arrived_free(arrived);
    world_settle(world);
    tap_ok(answer.times == 1 && answer.error == ERR_PEER_DIED &&
               core_counters(node(1)->core)->sessions_ended == 1,
           "no memory for an answer ends the session");
    tap_ok(right->port->dead, "and rights to that node are dead names");
    end("no memory leaves nothing behind");
}

int main(void)
{
    test_messages();
    test_bytes();
    test_session();
    test_turns();
    test_refusals();
    test_no_memory_for_answer();
    return tap_end();
}
