// SPDX-License-Identifier: BSD-2-Clause
// What comes from a peer, by its kind: messages, answers, and control records.
#include "netipc/core/internal.h"

static void release_received(struct peer *peer, const struct control *control)
{
    struct export *export = export_known(peer->core, control->number, control->generation);

    if (export != NULL)
        export_release(export, peer, control->value);
}

static void claim_received(struct peer *peer, const struct control *control)
{
    struct export *export = export_find(peer->core, control->number, control->generation);

    if (export == NULL)
        export_tell_died(peer, control->number, control->generation);
    else if (!export_grant(export, peer, 1))
        peer_lose(peer, "no memory for a port that it holds");
    else
        peer_control(peer, &(struct control){.kind = CONTROL_GRANT,
                                             .number = control->number,
                                             .generation = control->generation,
                                             .value = 1});
}

void control_received(struct peer *peer, const struct control *control)
{
    struct core_import *import = import_find(peer, control->number, control->generation);

    switch (control->kind) {
    case CONTROL_RELEASE:
        release_received(peer, control);
        break;
    case CONTROL_CLAIM:
        claim_received(peer, control);
        break;
    case CONTROL_DIED:
        import_died(peer, control->number, control->generation);
        break;
    case CONTROL_FORGET:
        import_forget_dead(peer, control->number, control->generation);
        break;
    case CONTROL_ACCEPTED:
        if (import != NULL && import->serial == control->serial)
            import_accepted(import, control->value);
        break;
    case CONTROL_GRANT:
        if (import != NULL)
            import_granted(import, control->value);
        break;
    case CONTROL_UNPIN:
        pin_remove(peer, control->home, control->number, control->generation, control->serial);
        break;
    default: // CONTROL_PING
        peer_ping_received(peer, control->number, control->generation);
        break;
    }
}

static void controls_received(struct peer *peer, struct reader *reader)
{
    struct core_link *link = peer->link;

    while (reader->at != reader->end && peer->link == link) {
        const void *bytes = reader_get(reader, CONTROL_BYTES);
        struct control control;

        if (bytes == NULL || !control_read(bytes, &control)) {
            peer_protocol_error(peer, "it sent an impossible control record");
            return;
        }
        control_received(peer, &control);
    }
}

void peer_received(struct peer *peer, const uint8_t *body, size_t bytes)
{
    struct reader reader = {.at = body, .end = body + bytes};
    uint8_t kind = reader_get8(&reader);
    uint8_t flags = reader_get8(&reader);
    (void)reader_get(&reader, 2);
    uint32_t stream = reader_get32(&reader);

    if (reader.bad || flags & ~(SEGMENT_FIRST | SEGMENT_LAST))
        peer_protocol_error(peer, "it sent an impossible segment");
    else if (kind == SEGMENT_REQUEST)
        delivery_received(peer, stream, flags, &reader);
    else if (kind == SEGMENT_ANSWER)
        call_answered(peer, stream, flags, &reader);
    else if (kind == SEGMENT_CONTROL)
        controls_received(peer, &reader);
    else
        peer_protocol_error(peer, "it sent a segment of no known kind");
}
