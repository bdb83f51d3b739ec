// SPDX-License-Identifier: BSD-2-Clause
// sources: tests/netipc/world.c tests/netipc/world_network.c tests/netipc/world_kernel.c
// sources: tests/netipc/world_operations.c
// sources: netipc/core/core.c netipc/core/link.c netipc/core/segment.c netipc/core/format.c
// sources: netipc/core/outbound.c netipc/core/control.c netipc/core/export.c
// sources: netipc/core/import.c netipc/core/call.c netipc/core/delivery.c netipc/core/rights.c
// sources: netipc/core/table.c netipc/core/pool.c netipc/core/secure.c
// sources: netipc/core/noise.c netipc/core/aead.c $(CRYPTO_UNIT)
// Whole segments from a peer that holds the key and has lost its mind, to a node that
// has exports, imports, calls, slots and halves of messages: at worst the session
// ends, and then nothing of it is left.
// Input: for each segment two bytes of length, then its body.
#include "netipc/core/internal.h"
#include "tests/netipc/world.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct world *world;

static void must(bool holds)
{
    if (!holds)
        abort();
}

static struct right *known(uint32_t from, uint32_t to)
{
    struct core_import *import = core_import_well_known(world->nodes[from].core, to, 0);

    must(import != NULL);
    return right_make(*core_import_owner(import), CORE_SEND);
}

// What node 1 has of node 2.
struct scene {
    struct port *ports[4];
    struct right *rights[2];
    struct answer answer;
    struct arrived *letter;
};

static void begin(struct scene *scene)
{
    const uint32_t room[MESSAGE_ITEMS] = {100, 100, 100, 100};

    world = world_begin(3, 1, 0);
    for (uint32_t i = 1; i <= 3; i++) {
        scene->ports[i] = port_make(&world->nodes[i]);
        (void)core_export_well_known(world->nodes[i].core, 0, scene->ports[i]->id,
                                     (uint64_t)right_make(scene->ports[i], CORE_SEND));
    }
    world_connect(world);
    scene->ports[0] = port_make(&world->nodes[1]);
    scene->rights[0] = known(1, 2);
    scene->rights[1] = known(2, 1);
    // A call that waits, with a right to a port of node 1, a send-once one, and one of node 3.
    (void)world_send(
        scene->rights[0],
        &(struct letter){.right_count = 3,
                         .rights = {right_make(scene->ports[0], CORE_SEND),
                                    right_make(scene->ports[0], CORE_SEND_ONCE), known(1, 3)}},
        &scene->answer, room);
    // And the like from node 2: an import and a slot.
    (void)world_send(scene->rights[1],
                     &(struct letter){.right_count = 2,
                                      .rights = {right_make(scene->ports[2], CORE_SEND),
                                                 right_make(scene->ports[2], CORE_SEND_ONCE)}},
                     NULL, NULL);
    world_settle(world);
    scene->letter = port_receive(scene->ports[1]);
    must(scene->letter != NULL);
}

static void end(struct scene *scene)
{
    arrived_free(scene->letter);
    right_drop(scene->rights[0]);
    right_drop(scene->rights[1]);
    core_peer_end(world->nodes[1].core, 2, "the test ends");
    core_peer_end(world->nodes[2].core, 1, "the test ends");
    world_settle(world);
    for (unsigned i = 0; i < 4; i++)
        port_kill(scene->ports[i]);
    must(scene->answer.times == 1);
    if (scene->answer.message != NULL)
        arrived_free(scene->answer.message);
    world_settle(world);
    must(world_end(world) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct scene scene = {0};

    begin(&scene);
    struct core *core = world->nodes[1].core;
    struct peer *peer = core_peer(core, 2);
    while (size > 2 && peer->link != NULL) {
        size_t bytes = data[0] | (size_t)data[1] << 8;
        data += 2;
        size -= 2;
        bytes = bytes < size ? bytes : size;
        uint8_t *body = malloc(bytes + 1);
        must(body != NULL);
        memcpy(body, data, bytes);
        peer_received(peer, body, bytes);
        free(body);
        core_flush(core);
        world_settle(world);
        data += bytes;
        size -= bytes;
    }
    end(&scene);
    return 0;
}
