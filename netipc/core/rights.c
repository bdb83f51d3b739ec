// SPDX-License-Identifier: BSD-2-Clause
// Rights in messages. A send right is told as the home of its port knows it, so
// that whoever receives it speaks to that node and to nobody between.
#include "netipc/core/internal.h"

#include <stdlib.h>

static bool leave_import(struct peer *peer, struct core_import *import, struct wire_right *out)
{
    *out = (struct wire_right){.kind = CORE_SEND,
                               .number = import->number,
                               .generation = import->generation,
                               .home = import->home->node,
                               .incarnation = import->home->incarnation,
                               .serial = import->serial};
    return pin_add(import, peer);
}

static bool leave_send(struct peer *peer, const struct core_right *right, struct wire_right *out)
{
    struct core *core = peer->core;
    struct table_link *link = table_find(&core->imports_by_port, right->port);

    if (link != NULL) {
        bool left = leave_import(peer, table_element(link, struct core_import, by_port), out);
        OPERATION(core, drop_right, right->handle);
        return left;
    }
    struct export *export = export_of(core, right->port, right->handle);
    if (export == NULL)
        return false;
    if (!export_grant(export, peer, 1)) {
        export_settle(core, export);
        return false;
    }
    *out = (struct wire_right){.kind = CORE_SEND,
                               .number = export->number,
                               .generation = export->generation,
                               .home = core->settings.identity.self.node,
                               .incarnation = core->settings.identity.self.incarnation};
    return true;
}

static bool leave_send_once(struct peer *peer, const struct core_right *right,
                            struct wire_right *out)
{
    struct call *call = call_make(peer, right->handle, NULL);

    if (call == NULL) {
        OPERATION(peer->core, drop_right, right->handle);
        return false;
    }
    *out = (struct wire_right){
        .kind = CORE_SEND_ONCE, .number = call->number, .generation = call->generation};
    return true;
}

static bool leave(struct peer *peer, const struct core_right *right, struct wire_right *out)
{
    *out = (struct wire_right){.kind = CORE_DEAD};
    if (right->kind == CORE_SEND)
        return leave_send(peer, right, out);
    if (right->kind == CORE_SEND_ONCE)
        return leave_send_once(peer, right, out);
    OPERATION(peer->core, drop_right, right->handle);
    return true;
}

// Takes back what `leave` gave to the peer, which never hears of it.
static void undo(struct peer *peer, const struct wire_right *right)
{
    struct core *core = peer->core;
    const struct secure_node *self = &core->settings.identity.self;

    if (right->kind == CORE_SEND_ONCE) {
        OPERATION(core, drop_right, call_end(call_find(core, right->number, right->generation)));
    } else if (right->kind == CORE_SEND && right->home == self->node) {
        export_release(export_find(core, right->number, right->generation), peer, 1);
    } else if (right->kind == CORE_SEND) {
        pin_remove(peer, right->home, right->number, right->generation, right->serial);
    }
}

bool rights_leave(struct peer *peer, const struct core_message *message,
                  struct wire_right rights[MESSAGE_RIGHTS])
{
    unsigned count = message->right_count;

    for (unsigned i = 0; i < count; i++) {
        if (leave(peer, &message->rights[i], &rights[i]))
            continue;
        for (unsigned j = i + 1; j < count; j++)
            OPERATION(peer->core, drop_right, message->rights[j].handle);
        while (i-- != 0)
            undo(peer, &rights[i]);
        return false;
    }
    return true;
}

void rights_drop(struct core *core, const struct core_message *message)
{
    for (unsigned i = 0; i < message->right_count && i < MESSAGE_RIGHTS; i++)
        OPERATION(core, drop_right, message->rights[i].handle);
}

// --- Arriving ------------------------------------------------------------------------------

// Of a third node's port, from a peer that keeps a reference until it is told.
static struct core_import *arrive_third(struct peer *peer, struct peer *home,
                                        const struct wire_right *right)
{
    struct core_import *import = import_find(home, right->number, right->generation);
    struct unpin *unpin = malloc(sizeof *unpin);

    if (unpin == NULL) {
        peer->core->counters.no_memory++;
        return NULL;
    }
    *unpin = (struct unpin){.node = peer->node, .session = peer->sessions, .serial = right->serial};
    if (import == NULL)
        import = import_make(home, right->number, right->generation);
    if (import != NULL)
        import_claim(import, unpin);
    else
        free(unpin);
    return import;
}

static void unpin_directly(struct peer *peer, const struct wire_right *right)
{
    peer_control(peer, &(struct control){.kind = CONTROL_UNPIN,
                                         .number = right->number,
                                         .generation = right->generation,
                                         .home = right->home,
                                         .serial = right->serial});
}

static void release_directly(struct peer *peer, const struct wire_right *right)
{
    peer_control(peer, &(struct control){.kind = CONTROL_RELEASE,
                                         .number = right->number,
                                         .generation = right->generation,
                                         .value = 1});
}

// From the port's home, with a credit.
static struct core_import *arrive_first(struct peer *home, const struct wire_right *right)
{
    struct core_import *import = import_find(home, right->number, right->generation);

    if (import == NULL)
        import = import_make(home, right->number, right->generation);
    if (import != NULL)
        import->credits++;
    return import;
}

static struct core_import *arrive_import(struct peer *peer, const struct wire_right *right)
{
    struct peer *home = core_peer(peer->core, right->home);
    struct core_import *import = NULL;
    // Who has no session with the port's home has no way to it: to this node it is dead.
    bool reachable = home != NULL && home->incarnation == right->incarnation &&
                     !import_is_dead(home, right->number, right->generation);

    if (home == peer) {
        if (reachable)
            import = arrive_first(home, right);
        if (import == NULL)
            release_directly(peer, right);
    } else {
        if (reachable)
            import = arrive_third(peer, home, right);
        if (import == NULL)
            unpin_directly(peer, right);
    }
    if (import != NULL)
        import->unused = false;
    return import;
}

static void arrive(struct peer *peer, const struct wire_right *right, struct core_arrival *arrival)
{
    struct core *core = peer->core;

    *arrival = (struct core_arrival){.kind = CORE_ARRIVES_DEAD};
    if (right->kind == CORE_SEND_ONCE) {
        arrival->slot = slot_make(peer, right->number, right->generation);
        if (arrival->slot != NULL)
            arrival->kind = CORE_ARRIVES_SLOT;
    } else if (right->kind == CORE_SEND && right->home == core->settings.identity.self.node) {
        const struct export *export = export_find(core, right->number, right->generation);
        if (export != NULL && right->incarnation == core->settings.identity.self.incarnation) {
            arrival->kind = CORE_ARRIVES_EXPORT;
            arrival->handle = export->handle;
        }
        unpin_directly(peer, right);
    } else if (right->kind == CORE_SEND) {
        arrival->import = arrive_import(peer, right);
        if (arrival->import != NULL)
            arrival->kind = CORE_ARRIVES_IMPORT;
    }
}

void rights_arrive(struct peer *peer, const struct wire_right *rights, unsigned count,
                   struct core_arrival *arrivals)
{
    for (unsigned i = 0; i < count; i++)
        arrive(peer, &rights[i], &arrivals[i]);
    peer->core->counters.rights_received += count;
}

void rights_discard(struct peer *peer, const struct wire_right *rights, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const struct wire_right *right = &rights[i];

        if (right->kind == CORE_SEND_ONCE)
            (void)answer_send(peer, right->number, right->generation, 0, NULL, ERR_PEER_DIED);
        else if (right->kind == CORE_SEND && right->home == peer->node)
            release_directly(peer, right);
        else if (right->kind == CORE_SEND)
            unpin_directly(peer, right);
    }
}
