// SPDX-License-Identifier: BSD-2-Clause
// How nodes find each other: each says by beacon that it is there, to all on the LAN and to each
// address of its list (peers=), and the lower of two numbers connects.
#include "netipc/core/beacon.h"
#include "netipc/exchange.h"

#include <inttypes.h>
#include <stdio.h>

#define BEACON_NS 200000000ull
// Who was heard so lately and has no session with us is told by a beacon of its own: it has us in
// its list, perhaps, and hears no broadcasts.
#define ANSWERED_NS (5 * BEACON_NS)
// So long after the start, addresses of the list that were silent are told of; times patience.
#define SILENCE_SECONDS 10u
#define NS_PER_SECOND   1000000000ull

static const struct node_identity *identity;
static struct beacon_cluster cluster;
static struct {
    struct beacon newest; // its node is 0: none came
    uint32_t address;     // that it came from
    uint64_t time;        // and when, in nanoseconds of clock_now_ns
} heard[NODE_NUMBER_MAX + 1];
static struct event_timer speaker, silence;
static uint64_t sequence;
struct discovery_counters discovery_counters;

// --- In ---------------------------------------------------------------------------------

void discovery_heard(void *context, uint32_t address, const void *data, size_t bytes)
{
    struct beacon beacon;
    enum beacon_error error =
        beacon_read(data, bytes, &cluster, exchange_settings.identity.self.node, &beacon);

    (void)context;
    if (error == BEACON_ERROR_SELF)
        return; // broadcasts come back from some wires
    if (error != BEACON_OK || beacon.node > NODE_NUMBER_MAX) {
        discovery_counters.beacons_refused++;
        return;
    }
    struct beacon *newest = &heard[beacon.node].newest;
    if (beacon_age(newest->node != 0 ? newest : NULL, &beacon) == BEACON_OLD) {
        discovery_counters.beacons_old++;
        return;
    }
    *newest = beacon;
    heard[beacon.node].address = address;
    heard[beacon.node].time = clock_now_ns();
    carrier_connect(beacon.node, address);
}

static bool was_heard_at(uint32_t address)
{
    uint32_t node = address - node_address(0);

    // Nodes have the address of their number, but for those that are reached in some other way.
    if (node <= NODE_NUMBER_MAX && heard[node].address == address)
        return true;
    for (node = 1; node <= NODE_NUMBER_MAX; node++)
        if (heard[node].address == address)
            return true;
    return false;
}

// Where a beacon was heard from, which only holders of the key can make.
bool discovery_admits(void *context, uint32_t address)
{
    (void)context;
    return was_heard_at(address);
}

// --- Out --------------------------------------------------------------------------------

static void say(uint32_t address)
{
    uint8_t datagram[BEACON_BYTES];
    sequence++;
    struct beacon beacon = {.node = exchange_settings.identity.self.node,
                            .port = TRANSPORT_PORT,
                            .incarnation = exchange_settings.identity.self.incarnation,
                            .sequence = sequence};

    beacon_make(&beacon, &cluster, datagram);
    (void)carrier_beacon(address, datagram, sizeof datagram);
}

static bool has_session(uint32_t node)
{
    struct core_peer_info info;

    core_peer_info(exchange_core, node, &info);
    return info.state == CORE_PEER_LIVE || info.state == CORE_PEER_SUSPECT;
}

static void say_all(struct event_timer *timer)
{
    uint64_t now = clock_now_ns();

    say(TRANSPORT_BROADCAST);
    for (unsigned i = 0; i < identity->peer_count; i++)
        say(identity->peers[i]);
    for (uint32_t node = 1; node <= NODE_NUMBER_MAX; node++)
        if (heard[node].newest.node != 0 && now - heard[node].time < ANSWERED_NS &&
            !has_session(node))
            say(heard[node].address);
    server_arm_timer(timer, now + BEACON_NS);
}

// A list with a mistake shows itself by this only.
static void tell_silent(struct event_timer *timer)
{
    (void)timer;
    for (unsigned i = 0; i < identity->peer_count; i++) {
        uint32_t address = identity->peers[i];
        if (!was_heard_at(address))
            printf("net: %" PRIu32 ".%" PRIu32 ".%" PRIu32 ".%" PRIu32
                   " (peers=) has not been heard in %u s\n",
                   address >> 24, address >> 16 & 255, address >> 8 & 255, address & 255,
                   SILENCE_SECONDS * identity->patience);
    }
}

void discovery_start(const struct node_identity *node)
{
    identity = node;
    beacon_cluster(&cluster, &exchange_settings.identity);
    if (node->peers_own)
        printf("net: this node's own address in peers= is passed over\n");
    speaker.expired = say_all;
    say_all(&speaker);
    silence.expired = tell_silent;
    server_arm_timer(&silence, clock_now_ns() + SILENCE_SECONDS * NS_PER_SECOND * node->patience);
}
