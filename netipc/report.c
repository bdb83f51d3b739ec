// SPDX-License-Identifier: BSD-2-Clause
#include "netipc/report.h"
#include "netipc/exchange.h"
#include "netipc/names.h"

static const struct secure_node *self(void)
{
    return &exchange_settings.identity.self;
}

static bool is_there(uint32_t other)
{
    struct core_peer_info info;

    core_peer_info(exchange_core, other, &info);
    return info.state == CORE_PEER_LIVE || info.state == CORE_PEER_SUSPECT;
}

corvus_error_t report_cluster(uint64_t label, uint64_t *number, uint64_t *nodes, uint64_t *live,
                              uint64_t *majority, uint64_t *incarnation)
{
    (void)label;
    *number = self()->node;
    *nodes = self()->cluster_size;
    *live = 1;
    *majority = self()->cluster_size == 1;
    *incarnation = exchange_settings.identity.self.incarnation;
    if (exchange_core == NULL)
        return ERR_OK;
    *majority = core_has_majority(exchange_core);
    for (uint32_t other = 1; other <= self()->cluster_size; other++)
        *live += is_there(other);
    return ERR_OK;
}

corvus_error_t report_node(uint64_t label, uint64_t other, uint64_t *state, uint64_t *incarnation,
                           uint64_t *sessions, uint64_t *imports, uint64_t *exports)
{
    struct core_peer_info info = {.state = CORE_PEER_ABSENT};

    (void)label;
    if (other == 0 || other > self()->cluster_size)
        return ERR_NOT_FOUND;
    if (exchange_core != NULL)
        core_peer_info(exchange_core, (uint32_t)other, &info);
    *state = other == self()->node ? CORE_PEER_LIVE : info.state;
    *incarnation =
        other == self()->node ? exchange_settings.identity.self.incarnation : info.incarnation;
    *sessions = info.sessions;
    *imports = info.imports;
    *exports = info.exports;
    return ERR_OK;
}

corvus_error_t report_counters(uint64_t label, uint64_t first, uint64_t *values, size_t *count)
{
    static const struct core_counters none;
    const struct core_counters *core = exchange_core != NULL ? core_counters(exchange_core) : &none;
    const struct worker_counters *workers = worker_counters();
    struct transport_counters connections = carrier_connections();
    uint64_t names, waited_for;

    names_count(&names, &waited_for);
    const uint64_t all[] = {
#define CORE_COUNTER_VALUE(name, text) core->name,
        // cppcheck-suppress unknownMacro
        CORE_COUNTERS(CORE_COUNTER_VALUE)
#undef CORE_COUNTER_VALUE
            workers->workers,
        workers->busy,
        workers->waiting,
        workers->jobs,
        workers->abandoned,
        handoff_unwatched,
        discovery_counters.beacons_refused,
        discovery_counters.beacons_old,
        names,
        waited_for,
        connections.connects,
        connections.accepts,
        connections.resets + connections.refused + connections.timed_out,
        connections.strangers,
        connections.connects_refused,
    };
#define COUNT_ONE(name, text) +1
    _Static_assert(sizeof all / sizeof all[0] == 0 CORE_COUNTERS(COUNT_ONE)
                                                     NODE_COUNTERS(COUNT_ONE),
                   "as netname.h lists them");
#undef COUNT_ONE
    size_t there = sizeof all / sizeof all[0], room = *count;

    (void)label;
    *count = first < there ? there - first : 0;
    if (*count > room)
        *count = room;
    for (size_t i = 0; i < *count; i++)
        values[i] = all[first + i];
    return ERR_OK;
}
