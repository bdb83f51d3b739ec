// SPDX-License-Identifier: BSD-2-Clause
// Life of the core, its peers, and the passing of time.
#include "netipc/core/internal.h"

#include <stdlib.h>
#include <string.h>

struct core *core_create(const struct core_settings *settings,
                         const struct core_operations *operations, void *context)
{
    struct core *core = calloc(1, sizeof *core);

    if (core == NULL)
        return NULL;
    core->settings = *settings;
    core->operations = operations;
    core->context = context;
    core->pool.keeps = settings->keeps_memory;
    if (!table_create(&core->exports_by_port) || !table_create(&core->imports_by_port)) {
        core_destroy(core);
        return NULL;
    }
    return core;
}

static void destroy_exports(struct core *core)
{
    for (uint32_t i = 0; i < core->export_count; i++) {
        if (core->exports[i]->used)
            OPERATION(core, drop_right, core->exports[i]->handle);
        free(core->exports[i]);
    }
    free(core->exports);
}

void core_destroy(struct core *core)
{
    // All sessions first: the end of one has something to tell to others.
    while (core->live_peers != NULL)
        peer_end(core->live_peers, "this node's network server ends");
    for (uint32_t node = 0; node < CORE_NODES_MAX; node++) {
        struct peer *peer = core->peers[node];
        if (peer == NULL)
            continue;
        table_destroy(&peer->imports);
        table_destroy(&peer->inbounds);
        table_destroy(&peer->held);
        table_destroy(&peer->dead);
        free(peer);
    }
    links_destroy(core);
    destroy_exports(core);
    for (uint32_t i = 0; i < core->call_count; i++)
        free(core->calls[i]);
    free(core->calls);
    table_destroy(&core->exports_by_port);
    table_destroy(&core->imports_by_port);
    pool_close(&core->pool);
    memset(&core->settings.identity, 0, sizeof core->settings.identity);
    free(core);
}

const struct core_counters *core_counters(const struct core *core)
{
    return &core->counters;
}

// --- Peers ---------------------------------------------------------------------------

struct peer *core_peer(const struct core *core, uint32_t node)
{
    struct peer *peer = node < CORE_NODES_MAX ? core->peers[node] : NULL;

    return peer != NULL && peer->link != NULL ? peer : NULL;
}

static struct peer *peer_make(struct core *core, uint32_t node)
{
    struct peer *peer = core->peers[node];

    if (peer != NULL)
        return peer;
    peer = calloc(1, sizeof *peer);
    if (peer == NULL)
        return NULL;
    peer->core = core;
    peer->node = node;
    if (!table_create(&peer->imports) || !table_create(&peer->inbounds) ||
        !table_create(&peer->held) || !table_create(&peer->dead)) {
        table_destroy(&peer->imports);
        table_destroy(&peer->inbounds);
        table_destroy(&peer->held);
        free(peer);
        return NULL;
    }
    core->peers[node] = peer;
    return peer;
}

// A clock that goes around in 49 days, and is never 0.
static uint32_t ping_number(uint64_t now_ns)
{
    return (uint32_t)(now_ns / 1000000) | 1;
}

static void peer_ping(struct peer *peer)
{
    peer->pinged_ns = peer->core->now_ns;
    peer_control(peer, &(struct control){.kind = CONTROL_PING,
                                         .number = ping_number(peer->pinged_ns),
                                         .generation = peer->heard_number});
}

void peer_ping_received(struct peer *peer, uint32_t number, uint32_t heard)
{
    uint32_t age_ms = ping_number(peer->core->now_ns) - heard;
    uint64_t age_ns = age_ms * 1000000ull;

    peer->heard_number = number;
    // What is said to be from the future, or from before the session, tells nothing.
    if (heard != 0 && age_ns <= peer->core->now_ns - peer->reached_ns)
        peer->reached_ns = peer->core->now_ns - age_ns;
}

void peer_begin(struct core_link *link, const struct secure_node *said)
{
    struct core *core = link->core;
    struct peer *peer = peer_make(core, said->node);

    if (peer == NULL) {
        core->counters.no_memory++;
        link_finish(link, "no memory for a peer");
        return;
    }
    peer_end(peer, "it has begun another session");
    peer->link = link;
    link->peer = peer;
    peer->incarnation = said->incarnation;
    peer->sessions++;
    peer->suspect = false;
    peer->lost = NULL;
    peer->live_next = core->live_peers;
    peer->live_self = &core->live_peers;
    if (peer->live_next != NULL)
        peer->live_next->live_self = &peer->live_next;
    core->live_peers = peer;
    core->live++;
    core->counters.sessions++;
    peer->reached_ns = core->now_ns;
    peer->heard_number = 0;
    // The responder knows by the first segment that this is not an old hello.
    peer_ping(peer);
    OPERATION(core, peer_changed, peer->node, true, "");
}

void peer_end(struct peer *peer, const char *why)
{
    struct core_link *link = peer->link;
    struct core *core = peer->core;

    if (link == NULL)
        return;
    peer->link = NULL;
    link->peer = NULL;
    *peer->live_self = peer->live_next;
    if (peer->live_next != NULL)
        peer->live_next->live_self = peer->live_self;
    core->live--;
    core->counters.sessions_ended++;
    link_finish(link, why);
    peer_drop_output(peer);
    call_forget_peer(peer);
    delivery_forget_peer(peer);
    slot_forget_peer(peer);
    import_forget_peer(peer);
    export_forget_peer(peer);
    pin_forget_peer(peer);
    OPERATION(core, peer_changed, peer->node, false, why);
}

void peer_lose(struct peer *peer, const char *why)
{
    if (peer->link == NULL || peer->lost != NULL)
        return;
    peer->lost = why;
    core_touch(peer);
}

void peer_protocol_error(struct peer *peer, const char *what)
{
    peer->core->counters.protocol_errors++;
    peer_end(peer, what);
}

void peer_no_memory(struct peer *peer)
{
    peer->core->counters.no_memory++;
    peer_end(peer, "no memory for its message");
}

void core_peer_end(struct core *core, uint32_t node, const char *why)
{
    struct peer *peer = core_peer(core, node);

    if (peer != NULL)
        peer_end(peer, why);
    core_flush(core);
}

void core_peer_info(const struct core *core, uint32_t node, struct core_peer_info *info)
{
    const struct peer *peer = node < CORE_NODES_MAX ? core->peers[node] : NULL;

    *info = (struct core_peer_info){.state = CORE_PEER_ABSENT};
    if (peer == NULL || peer->sessions == 0)
        return;
    info->state = peer->link == NULL ? CORE_PEER_DEAD
                  : peer->suspect    ? CORE_PEER_SUSPECT
                                     : CORE_PEER_LIVE;
    info->incarnation = peer->incarnation;
    info->sessions = peer->sessions;
    info->imports = peer->import_count;
    info->calls = peer->call_count;
    info->exports = peer->holding_count;
}

bool core_has_majority(const struct core *core)
{
    uint32_t seen = core->live + 1, size = core->settings.identity.self.cluster_size;

    if (2 * seen != size)
        return 2 * seen > size;
    return core->settings.identity.self.node == 1 || core_peer(core, 1) != NULL;
}

// --- Time -----------------------------------------------------------------------------

static void peer_tick(struct peer *peer)
{
    struct core *core = peer->core;
    uint64_t unheard = core->now_ns - peer->link->heard_ns;

    if (unheard >= core->settings.dead_ns) {
        core->counters.silent++;
        peer_end(peer, "nothing was heard of it for too long");
        return;
    }
    if (core->now_ns - peer->reached_ns >= core->settings.unreached_ns) {
        core->counters.silent++;
        peer_end(peer, "it has not heard of this node for too long");
        return;
    }
    peer->suspect = unheard >= core->settings.suspect_ns;
    if (core->now_ns - peer->pinged_ns >= core->settings.heartbeat_ns)
        peer_ping(peer);
}

// Links over which no session comes about.
static void end_mute_links(struct core *core)
{
    struct core_link *next;

    for (struct core_link *link = core->links; link != NULL; link = next) {
        next = link->next;
        if (link->peer == NULL && !link->closed &&
            core->now_ns - link->opened_ns >= core->settings.dead_ns)
            link_finish(link, "no session came about in time");
    }
}

void core_tick(struct core *core, uint64_t now_ns)
{
    core->now_ns = now_ns;
    for (struct core_link *link = core->links; link != NULL; link = link->next)
        if (link->opened_ns == 0)
            link->opened_ns = link->heard_ns = now_ns;
    end_mute_links(core);
    for (struct peer *peer = core->live_peers, *next; peer != NULL; peer = next) {
        next = peer->live_next;
        peer_tick(peer);
    }
    core_flush(core);
}
