// SPDX-License-Identifier: BSD-2-Clause
// Ports of this node that others hold rights to. An export lives as long as some
// peer holds credits, some delivery needs its right, or it is well known.
#include "netipc/core/internal.h"

#include <stdlib.h>

struct export *export_known(struct core *core, uint32_t number, uint32_t generation)
{
    struct export *export = number < core->export_count ? core->exports[number] : NULL;

    return export != NULL && export->used && export->generation == generation ? export : NULL;
}

struct export *export_find(struct core *core, uint32_t number, uint32_t generation)
{
    struct export *export = export_known(core, number, generation);

    return export != NULL && !export->dead ? export : NULL;
}

// --- Numbers --------------------------------------------------------------------------------

static bool add_numbers(struct core *core)
{
    uint32_t wanted = core->export_count == 0 ? 2 * CORE_WELL_KNOWN : 2 * core->export_count;

    if (wanted > CORE_EXPORTS_MAX)
        return false;
    struct export **larger = realloc(core->exports, wanted * sizeof *larger);
    if (larger == NULL)
        return false;
    core->exports = larger;
    while (core->export_count < wanted) {
        struct export *export = calloc(1, sizeof *export);
        if (export == NULL)
            break;
        export->number = core->export_count;
        core->exports[core->export_count++] = export;
        if (export->number >= CORE_WELL_KNOWN) {
            export->next_free = core->free_export;
            core->free_export = export;
        }
    }
    return core->free_export != NULL;
}

static void use(struct core *core, struct export *export, uint64_t port, uint64_t handle)
{
    export->used = true;
    export->dead = false;
    export->handle = handle;
    table_insert(&core->exports_by_port, &export->by_port, port);
    OPERATION(core, watch_right, handle, export->number);
}

struct export *export_of(struct core *core, uint64_t port, uint64_t handle)
{
    struct table_link *link = table_find(&core->exports_by_port, port);

    if (link != NULL) {
        OPERATION(core, drop_right, handle); // there is one already
        return table_element(link, struct export, by_port);
    }
    if (core->free_export == NULL && !add_numbers(core)) {
        OPERATION(core, drop_right, handle);
        core->counters.no_memory++;
        return NULL;
    }
    struct export *export = core->free_export;
    core->free_export = export->next_free;
    use(core, export, port, handle);
    return export;
}

corvus_error_t core_export_well_known(struct core *core, uint32_t number, uint64_t port,
                                      uint64_t handle)
{
    if (number >= CORE_WELL_KNOWN)
        return ERR_INVALID_ARGUMENT;
    while (core->export_count <= number) {
        uint32_t before = core->export_count;
        (void)add_numbers(core);
        if (core->export_count == before)
            return ERR_NO_MEMORY;
    }
    // A number of which the port has died is not given again: others may still mean that one.
    if (core->exports[number]->well_known || table_find(&core->exports_by_port, port) != NULL)
        return ERR_IN_USE;
    core->exports[number]->well_known = true;
    use(core, core->exports[number], port, handle);
    return ERR_OK;
}

void export_settle(struct core *core, struct export *export)
{
    if (!export->used || export->deliveries != 0 || export->holdings != NULL ||
        (export->well_known && !export->dead))
        return;
    if (!export->dead)
        table_remove(&core->exports_by_port, &export->by_port);
    OPERATION(core, drop_right, export->handle);
    export->used = false;
    export->generation++;
    if (export->number < CORE_WELL_KNOWN)
        return;
    export->next_free = core->free_export;
    core->free_export = export;
}

// --- Holdings ---------------------------------------------------------------------------------

static void holding_free(struct holding *holding)
{
    *holding->self = holding->next;
    if (holding->next != NULL)
        holding->next->self = holding->self;
    *holding->peer_self = holding->peer_next;
    if (holding->peer_next != NULL)
        holding->peer_next->peer_self = holding->peer_self;
    holding->peer->holding_count--;
    table_remove(&holding->peer->held, &holding->by_number);
    inbound_forget_export(holding->peer, holding->export->number);
    free(holding);
}

static struct holding *holding_of(const struct export *export, const struct peer *peer)
{
    struct table_link *link = table_find(&peer->held, export->number);

    return link != NULL ? table_element(link, struct holding, by_number) : NULL;
}

bool export_grant(struct export *export, struct peer *peer, uint32_t credits)
{
    struct holding *holding = holding_of(export, peer);

    if (holding == NULL) {
        holding = calloc(1, sizeof *holding);
        if (holding == NULL) {
            peer->core->counters.no_memory++;
            return false;
        }
        *holding = (struct holding){.export = export, .peer = peer};
        holding->next = export->holdings;
        holding->self = &export->holdings;
        if (holding->next != NULL)
            holding->next->self = &holding->next;
        export->holdings = holding;
        holding->peer_next = peer->holdings;
        holding->peer_self = &peer->holdings;
        if (holding->peer_next != NULL)
            holding->peer_next->peer_self = &holding->peer_next;
        peer->holdings = holding;
        table_insert(&peer->held, &holding->by_number, export->number);
        peer->holding_count++;
    }
    holding->credits += credits;
    return true;
}

void export_release(struct export *export, struct peer *peer, uint64_t credits)
{
    struct holding *holding = holding_of(export, peer);

    if (holding == NULL || holding->credits < credits) {
        peer_protocol_error(peer, "it gave back more credits than it had");
        return;
    }
    holding->credits -= credits;
    if (holding->credits == 0) {
        if (export->dead)
            peer_control(peer, &(struct control){.kind = CONTROL_FORGET,
                                                 .number = export->number,
                                                 .generation = export->generation});
        holding_free(holding);
        export_settle(peer->core, export);
    }
}

void export_forget_peer(struct peer *peer)
{
    while (peer->holdings != NULL) {
        struct export *export = peer->holdings->export;
        holding_free(peer->holdings);
        export_settle(peer->core, export);
    }
}

void export_needed(struct export *export)
{
    export->deliveries++;
}

void export_not_needed(struct core *core, struct export *export)
{
    export->deliveries--;
    export_settle(core, export);
}

void export_tell_died(struct peer *peer, uint32_t number, uint32_t generation)
{
    const struct export *export = export_known(peer->core, number, generation);
    struct control died = {.kind = CONTROL_DIED, .number = number, .generation = generation};

    peer_control(peer, &died);
    died.kind = CONTROL_FORGET;
    if (export == NULL || holding_of(export, peer) == NULL)
        peer_control(peer, &died); // it holds nothing, and nothing is on its way to it
}

void core_export_died(struct core *core, uint32_t export_number)
{
    struct export *export =
        export_number < core->export_count ? core->exports[export_number] : NULL;

    if (export == NULL || !export->used || export->dead)
        return;
    export->dead = true;
    table_remove(&core->exports_by_port, &export->by_port);
    for (struct holding *holding = export->holdings; holding != NULL; holding = holding->next)
        export_tell_died(holding->peer, export->number, export->generation);
    export_settle(core, export);
    core_flush(core);
}
