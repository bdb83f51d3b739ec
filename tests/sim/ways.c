// SPDX-License-Identifier: BSD-2-Clause
// On which sessions a message and each right in it depend: those of its way, and of each node
// there with the home of the right. Nothing else excuses a loss.
#include "netipc/core/internal.h"
#include "tests/netipc/world_private.h"
#include "tests/sim/sim.h"

#include <stdlib.h>

// --- Ways --------------------------------------------------------------------------------

// A send-once right leads through the nodes that passed it on, each with a slot and a call.
static struct port *next_of(const struct port *port)
{
    const struct peer *peer = port->slot->peer;
    const struct node *node = &sim.world->nodes[peer->node];
    const struct core *core = node->incarnation == peer->incarnation ? node->core : NULL;
    const struct call *call =
        core != NULL && port->slot->call < core->call_count ? core->calls[port->slot->call] : NULL;

    if (call == NULL || !call->used || call->generation != port->slot->call_generation)
        return NULL; // its session is ending
    return ((struct right *)call->handle)->port;
}

struct port *way_of_right(const struct right *right, struct way *way)
{
    struct port *port = right->port;

    *way = (struct way){.count = 1, .nodes = {right->node->number}};
    while (port != NULL && !port->dead && port->slot != NULL && way->count < WAY_NODES) {
        port = next_of(port);
        if (port != NULL)
            way->nodes[way->count++] = port->node->number;
    }
    if (port == NULL || port->dead || port->slot != NULL)
        return NULL;
    if (port->import == NULL)
        return port;
    const struct core_import *import = port->import;
    const struct node *home = &sim.world->nodes[import->home->node];
    way->nodes[way->count++] = home->number;
    if (home->core == NULL || home->incarnation != import->home->incarnation)
        return NULL;
    const struct export *export =
        import->number < home->core->export_count ? home->core->exports[import->number] : NULL;
    if (export == NULL || !export->used || export->generation != import->generation)
        return NULL;
    return ((struct right *)export->handle)->port;
}

void way_join(struct way *way, const struct way *other)
{
    struct way joined = {0};

    for (unsigned i = other->count; i-- > 1;)
        joined.nodes[joined.count++] = other->nodes[i];
    for (unsigned i = 0; i < way->count; i++)
        joined.nodes[joined.count++] = way->nodes[i];
    *way = joined;
}

// Beginnings and ends of the sessions on which a right to a port of `home` depends that goes this
// way; `home` 0: of those of the way alone. `*whole`: all of them are there.
static uint64_t changes_of(const struct way *way, uint32_t home, bool *whole)
{
    uint64_t changes = 0;

    for (unsigned i = 0; i < way->count; i++) {
        uint32_t node = way->nodes[i];
        if (i != 0) {
            changes += world_changes(sim.world, way->nodes[i - 1], node);
            *whole = *whole && network_is_whole(sim.world, way->nodes[i - 1], node);
        }
        if (home != 0) {
            changes += world_changes(sim.world, node, home);
            *whole = *whole && network_is_whole(sim.world, node, home);
        }
    }
    return changes;
}

// --- Grounds --------------------------------------------------------------------------------

void ground_lay(struct ground *ground, const struct way *way, uint32_t home)
{
    *ground =
        (struct ground){.way = *way, .home = home, .refusals = sim.world->refusals, .firm = true};
    ground->changes = changes_of(way, home, &ground->firm);
}

bool ground_holds(const struct ground *ground)
{
    bool whole = true;

    return ground->firm && sim.world->refusals == ground->refusals &&
           changes_of(&ground->way, ground->home, &whole) == ground->changes;
}

// Who got a right from a third node has nothing of it before its claim is granted: and
// that node may have lost its own meanwhile, with its session.
bool right_is_doubtful(const struct right *right)
{
    return sim.faulty && right->port != NULL && right->port->import != NULL &&
           right->port->import->claiming;
}
