// SPDX-License-Identifier: BSD-2-Clause
// What must hold of all cores together: at any time, bounds, and that nobody has more than its
// home knows of; at rest, that both sides of each session count the same; in the end, that nothing
// is left.
#include "netipc/core/internal.h"
#include "tests/netipc/world_private.h"
#include "tests/sim/sim.h"

static const struct node *node_of(const struct world *world, uint32_t number)
{
    const struct node *node = &world->nodes[number];

    return node->core != NULL && !node->frozen ? node : NULL;
}

// --- Bounds ---------------------------------------------------------------------------

static void check_peer_bounds(const struct peer *peer)
{
    uint64_t unaccepted = 0, imports = 0;

    for (const struct core_import *import = peer->import_list; import != NULL;
         import = import->next) {
        uint64_t bytes = 0;
        for (uint32_t i = 0; i < import->window_count; i++)
            bytes += import->window[(import->window_first + i) % WINDOW_MESSAGES];
        must(import->window_count <= WINDOW_MESSAGES && bytes == import->window_bytes &&
                 bytes < WINDOW_BYTES + MESSAGE_MAX,
             "more is unaccepted than the window of an import allows");
        unaccepted += bytes;
        imports++;
    }
    must(unaccepted == peer->unaccepted_bytes && imports == peer->import_count,
         "a peer's sums are wrong");
    // Each import that waits for nothing may send one message, whatever the others did.
    must(unaccepted < SESSION_BYTES + (imports + 1) * MESSAGE_MAX,
         "more is unaccepted than a session allows");
}

// --- Credits, at any time ------------------------------------------------------------------

static const struct holding *holding_of(const struct peer *peer, uint32_t number)
{
    const struct table_link *link = table_find(&peer->held, number);

    return link != NULL ? table_element(link, struct holding, by_number) : NULL;
}

// As long as the session is the same: who passed the right on has it until it is told.
static void check_unpin(const struct world *world, const struct core_import *import,
                        const struct unpin *unpin)
{
    const struct core *core = import->home->core;
    uint32_t node = core->settings.identity.self.node, home = import->home->node;
    const struct peer *from = core_peer(core, unpin->node);

    if (from == NULL || from->sessions != unpin->session ||
        !network_is_whole(world, node, unpin->node))
        return;
    const struct peer *seen = core_peer(world->nodes[unpin->node].core, home);
    const struct core_import *its =
        seen != NULL ? import_find((struct peer *)seen, import->number, import->generation) : NULL;
    if (its == NULL || its->serial != unpin->serial)
        return; // its own session with the home has ended since
    for (const struct pin *pin = its->pins; pin != NULL; pin = pin->next)
        if (pin->to->node == node)
            return;
    must(false, "a right that is claimed is not pinned by who passed it on");
}

// What is under way between the two is counted by the home alone, so it never counts less.
static void check_credits(const struct world *world, const struct core_import *import,
                          const struct peer *back)
{
    const struct holding *holding = holding_of(back, import->number);

    for (const struct unpin *unpin = import->unpins; unpin != NULL; unpin = unpin->next)
        check_unpin(world, import, unpin);
    if (import->credits == 0)
        return;
    must(holding != NULL && holding->export->generation == import->generation,
         "a port is forgotten while credits of it are held");
    must(holding->credits >= import->credits, "more credits are held than the home knows of");
}

static void check_peer(const struct world *world, const struct node *node, const struct peer *peer)
{
    check_peer_bounds(peer);
    if (!network_is_whole(world, node->number, peer->node))
        return;
    const struct peer *back = core_peer(world->nodes[peer->node].core, node->number);
    for (const struct core_import *import = peer->import_list; import != NULL;
         import = import->next)
        check_credits(world, import, back);
}

void check_always(struct world *world)
{
    for (uint32_t i = 1; i <= world->count; i++)
        if (world->nodes[i].core != NULL)
            for (const struct peer *peer = world->nodes[i].core->live_peers; peer != NULL;
                 peer = peer->live_next)
                check_peer(world, &world->nodes[i], peer);
}

// --- At rest -----------------------------------------------------------------------------

// An import here, and what its home has of it.
static void check_import(const struct core_import *import, const struct peer *back)
{
    const struct holding *holding = holding_of(back, import->number);
    const struct table_link *link = table_find(&back->inbounds, import->number);
    const struct inbound *inbound =
        link != NULL ? table_element(link, struct inbound, by_number) : NULL;
    uint32_t untold = inbound != NULL && inbound->serial == import->serial ? inbound->accepted : 0;

    must(!import->claiming && import->unpins == NULL, "a claim is not answered");
    must(import->pins == NULL, "a pin is left");
    must(!import->stream.queued, "segments are left");
    must(import->window_count == untold, "accepted messages were not told of");
    must(!import->paused, "senders wait for nothing");
    if (holding == NULL)
        must(import->well_known && import->credits == 0, "an import without a holding at its home");
    else
        must(holding->credits == import->credits &&
                 holding->export->generation == import->generation,
             "credits here and there are not the same");
}

static unsigned count_slots(const struct peer *peer)
{
    unsigned count = 0;

    for (const struct core_slot *slot = peer->slots; slot != NULL; slot = slot->next)
        count++;
    return count;
}

static void check_session(const struct peer *peer, const struct peer *back)
{
    unsigned holdings = 0;

    must(back != NULL && back->link != NULL, "a session that only one side has");
    for (const struct core_import *import = peer->import_list; import != NULL;
         import = import->next)
        check_import(import, back);
    for (const struct holding *holding = peer->holdings; holding != NULL;
         holding = holding->peer_next, holdings++)
        must(table_find(&back->imports, (uint64_t)holding->export->generation << 32 |
                                            holding->export->number) != NULL,
             "a holding without an import");
    must(holdings == peer->holding_count && holdings == peer->held.count,
         "holdings are miscounted");
    must(peer->call_count == count_slots(back), "calls here, and who is to answer them there");
    must(peer->deliveries == NULL && peer->controls.first == NULL && peer->turn == NULL &&
             peer->answers.segments.first == NULL && peer->pins == NULL && peer->lost == NULL &&
             peer->dead.count == 0,
         "something is under way, though nothing is");
    must(peer->inbounds.count <= peer->holding_count + CORE_WELL_KNOWN,
         "messages of ports that are not held are remembered");
}

static void check_node(const struct world *world, const struct node *node)
{
    const struct core *core = node->core;

    must(node->segment_count == 0, "segments are left");
    must(core->touched == NULL, "a peer was forgotten");
    for (const struct peer *peer = core->live_peers; peer != NULL; peer = peer->live_next) {
        const struct node *other = node_of(world, peer->node);
        if (other != NULL && other->incarnation == peer->incarnation &&
            (world->cut == NULL || (!world->cut(sim.world, node->number, peer->node) &&
                                    !world->cut(sim.world, peer->node, node->number))))
            check_session(peer, other->core->peers[node->number]);
    }
    for (uint32_t i = 0; i < core->export_count; i++) {
        const struct export *export = core->exports[i];
        must(!export->used || (export->holdings != NULL && !export->dead) || export->well_known,
             "an export that nobody holds");
        must(!export->used || export->deliveries == 0, "a delivery is left");
    }
}

void check_rest(struct world *world)
{
    for (uint32_t i = 1; i <= world->count; i++)
        if (node_of(world, i) != NULL)
            check_node(world, node_of(world, i));
}

// --- In the end -----------------------------------------------------------------------------

void check_empty(struct world *world)
{
    for (uint32_t i = 1; i <= world->count; i++) {
        const struct core *core = world->nodes[i].core;
        if (core == NULL)
            continue;
        for (const struct peer *peer = core->live_peers; peer != NULL; peer = peer->live_next) {
            for (const struct core_import *import = peer->import_list; import != NULL;
                 import = import->next)
                must(import->well_known, "an import is left");
            must(peer->calls == NULL && peer->slots == NULL, "a call or a slot is left");
        }
        for (uint32_t j = CORE_WELL_KNOWN; j < core->export_count; j++)
            must(!core->exports[j]->used, "an export is left");
    }
}
