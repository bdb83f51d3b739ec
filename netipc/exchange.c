// SPDX-License-Identifier: BSD-2-Clause
#include "netipc/exchange.h"

#include "netipc/core/aead.h"
#include "netipc/interface.h"
#include "netipc/platform.h"

#include <corvus/init_stubs.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HEARTBEAT_NS 100000000ull
#define SUSPECT_NS   500000000ull
#define DEAD_NS      2000000000ull
#define UNREACHED_NS 400000000ull // longer than that; less than what DSM servers wait (FENCE_NS)
#define TICK_NS      50000000ull

struct core *exchange_core;
struct core_settings exchange_settings;

static bool entropy(void *context, uint8_t bytes[SECURE_KEY_BYTES])
{
    (void)context;
    return getentropy(bytes, SECURE_KEY_BYTES) == 0;
}

static void peer_changed(void *context, uint32_t node, bool live, const char *why)
{
    (void)context;
    interface_keep_neighbour(node_address(node), live);
    if (live)
        printf("net: node %u is there\n", node);
    else
        printf("net: node %u is dead to us: %s\n", node, why);
}

const struct core_operations exchange_operations = {
    .open_import = proxy_open,
    .close_import = proxy_close,
    .pause_import = proxy_pause,
    .open_slot = slot_open,
    .close_slot = slot_close,
    .watch_right = handoff_watch,
    .drop_right = handoff_drop,
    .deliver = handoff_deliver,
    .abandon = handoff_abandon,
    .complete = handoff_complete,
    .allocate = segments_allocate,
    .release = segments_release,
    .transmit = carrier_transmit,
    .close_link = carrier_close,
    .entropy = entropy,
    .peer_changed = peer_changed,
};

static struct event_timer ticker;

static void tick(struct event_timer *timer)
{
    uint64_t now = clock_now_ns();

    core_tick(exchange_core, now);
    worker_tick();
    server_arm_timer(timer, now + TICK_NS);
}

// Larger with each start, so that others can tell an old one: the calendar time, where
// there is a clock of it.
static bool incarnation(uint64_t *number)
{
    uint64_t epoch;

    if (bootstrap_real_time(NAME_BOOTSTRAP, &epoch) == ERR_OK) {
        *number = epoch + clock_now_ns();
        return true;
    }
    return getentropy(number, sizeof *number) == 0;
}

bool exchange_start(const struct server_context *context)
{
    const struct node_identity *node = context->node;
    struct secure_identity *identity = &exchange_settings.identity;

    exchange_settings = (struct core_settings){
        .heartbeat_ns = HEARTBEAT_NS * node->patience,
        .suspect_ns = SUSPECT_NS * node->patience,
        .dead_ns = DEAD_NS * node->patience,
        .unreached_ns = DEAD_NS * node->patience + UNREACHED_NS,
        .keeps_memory = true,
        .identity.self = {.node = node->number,
                          .cluster_size = node->nodes,
                          .options = node->authenticate_only ? 0 : SECURE_ENCRYPT},
    };
    if (!node->has_key || !incarnation(&identity->self.incarnation)) {
        printf("net: no %s, and so no sessions with other nodes\n",
               node->has_key ? "entropy" : "key of a cluster");
        return true;
    }
    aead_use_vectors(network_has_fast_vectors());
    secure_cluster(node->cluster, strlen(node->cluster), identity->self.cluster);
    memcpy(identity->key, node->key, SECURE_KEY_BYTES);
    exchange_core = core_create(&exchange_settings, &exchange_operations, NULL);
    if (exchange_core == NULL || !proxy_start() || !handoff_start()) {
        printf("net: no memory for the exchange\n");
        return false;
    }
    ticker.expired = tick;
    tick(&ticker);
    return true;
}
