// SPDX-License-Identifier: BSD-2-Clause
// Which segment goes next: control records before all else, then the streams of a
// peer in turn, a segment each, so that a long message delays a short one to
// another port by one segment.
#include "netipc/core/internal.h"

// --- Streams ------------------------------------------------------------------------

static void ring_insert(struct peer *peer, struct stream *stream)
{
    stream->queued = true;
    if (peer->turn == NULL) {
        stream->next = stream;
    } else {
        stream->next = peer->turn->next;
        peer->turn->next = stream;
    }
    peer->turn = stream; // last in turn
}

void peer_stream(struct peer *peer, struct stream *stream, struct segment_list *segments)
{
    if (stream->segments.last != NULL)
        stream->segments.last->next = segments->first;
    else
        stream->segments.first = segments->first;
    stream->segments.last = segments->last;
    if (!stream->queued)
        ring_insert(peer, stream);
    core_touch(peer);
}

static struct segment *list_take(struct segment_list *list)
{
    struct segment *segment = list->first;

    if (segment == NULL)
        return NULL;
    list->first = segment->next;
    if (list->first == NULL)
        list->last = NULL;
    segment->next = NULL;
    return segment;
}

// The stream next in turn, which goes to the end of the ring or out of it.
static struct segment *take_turn(struct peer *peer)
{
    if (peer->turn == NULL)
        return NULL;
    struct stream *stream = peer->turn->next;
    struct segment *segment = list_take(&stream->segments);
    if (stream->segments.first != NULL) {
        peer->turn = stream;
        return segment;
    }
    stream->queued = false;
    if (stream->next == stream)
        peer->turn = NULL;
    else
        peer->turn->next = stream->next;
    if (stream->drained != NULL)
        stream->drained(stream);
    return segment;
}

void peer_pump(struct peer *peer)
{
    while (peer->link != NULL && link_transmit(peer->link)) {
        struct segment *segment = list_take(&peer->controls);
        if (segment == NULL)
            segment = take_turn(peer);
        if (segment == NULL)
            return;
        link_seal(peer->link, segment);
    }
}

void peer_drop_output(struct peer *peer)
{
    struct segment *segment;

    segment_list_free(peer->core, &peer->controls);
    while ((segment = take_turn(peer)) != NULL)
        segment_free(peer->core, segment);
}

// --- When ---------------------------------------------------------------------------------

void core_touch(struct peer *peer)
{
    if (peer->touched)
        return;
    peer->touched = true;
    peer->touched_next = peer->core->touched;
    peer->core->touched = peer;
}

void core_flush(struct core *core)
{
    while (core->touched != NULL) {
        struct peer *peer = core->touched;
        core->touched = peer->touched_next;
        peer->touched = false;
        if (peer->link != NULL && peer->lost != NULL)
            peer_end(peer, peer->lost);
        peer_pump(peer);
    }
}

// --- Control records -------------------------------------------------------------------------

#define CONTROLS_OF_SEGMENT 15u

static struct segment *controls_room(struct peer *peer)
{
    struct segment *segment = peer->controls.last;
    struct builder builder;

    if (segment != NULL && segment->room - segment->body >= CONTROL_BYTES)
        return segment;
    if (!builder_begin(peer->core, &builder, SEGMENT_CONTROL, 0,
                       CONTROLS_OF_SEGMENT * CONTROL_BYTES))
        return NULL;
    segment = builder.segments.first;
    segment->body = SEGMENT_HEAD; // no length: the segment's tells
    if (peer->controls.last != NULL)
        peer->controls.last->next = segment;
    else
        peer->controls.first = segment;
    peer->controls.last = segment;
    return segment;
}

void peer_control(struct peer *peer, const struct control *control)
{
    struct segment *segment;

    if (peer->link == NULL || peer->lost != NULL)
        return;
    segment = controls_room(peer);
    if (segment == NULL) {
        // A record that is lost would leave the two of different minds.
        peer_lose(peer, "no memory for a control record");
        return;
    }
    control_write(segment->bytes + SECURE_HEADER_BYTES + segment->body, control);
    segment->body += CONTROL_BYTES;
    peer->core->counters.controls_sent++;
    core_touch(peer);
}
