// SPDX-License-Identifier: BSD-2-Clause
// The network of the model: ordered links that hold few segments, carry them in
// parts, and can be silent, cut and broken.
#include "netipc/core/internal.h"
#include "tests/netipc/world_private.h"

#include <stdlib.h>
#include <string.h>

struct piece {
    struct piece *next;
    const uint8_t *data;
    size_t bytes, at; // `at`: so much has arrived
    void *cookie;
};

struct wire_end {
    struct wire_link *link;
    struct node *node;
    struct core_link *core_link; // NULL: closed here
    struct piece *first, *last;  // on the way to the other end
    unsigned count;
    bool closing; // the other end is to be told, behind these
    bool refused; // the core waits for room
    bool active;  // in the world's list of ends at which something may happen
};

struct wire_link {
    struct wire_end ends[2];
    struct wire_link *next, **self;
    bool over;
    bool stranger; // stays until the end, for who looks at it
};

static struct wire_end *other_end(struct wire_end *end)
{
    return &end->link->ends[end == &end->link->ends[0]];
}

static void activate(struct wire_end *end)
{
    struct world *world = end->node->world;

    if (end->active)
        return;
    end->active = true;
    if (world->active_count == world->active_room) {
        world->active_room = 2 * world->active_room + 64;
        world->active =
            world_enlarge(world->active, world->active_room * sizeof(struct wire_end *));
    }
    world->active[world->active_count++] = end;
}

bool network_transmit(void *context, void *owner, const void *data, size_t bytes, void *cookie)
{
    struct wire_end *end = owner;
    struct node *node = context;

    if (node->world->link_room != 0 && end->count >= node->world->link_room) {
        end->refused = true;
        return false;
    }
    struct piece *piece = world_obtain(sizeof *piece);
    *piece = (struct piece){.data = data, .bytes = bytes, .cookie = cookie};
    if (end->last != NULL)
        end->last->next = piece;
    else
        end->first = piece;
    end->last = piece;
    end->count++;
    activate(end);
    return true;
}

void network_close_link(void *context, void *owner)
{
    struct wire_end *end = owner;

    (void)context;
    end->core_link = NULL;
    end->closing = true;
    activate(end);
}

static struct piece *take_piece(struct wire_end *end)
{
    struct piece *piece = end->first;

    end->first = piece->next;
    if (end->first == NULL)
        end->last = NULL;
    end->count--;
    return piece;
}

static void drop_pieces(struct wire_end *end)
{
    while (end->first != NULL) {
        struct piece *piece = take_piece(end);
        if (end->node->core != NULL)
            core_sent(end->node->core, piece->cookie);
        free(piece);
    }
}

static bool is_blocked(struct world *world, struct wire_end *from)
{
    struct node *to = other_end(from)->node;

    return from->node->frozen || to->frozen ||
           (world->cut != NULL && world->cut(world, from->node->number, to->number));
}

// Some or all of the first piece arrives.
static void carry(struct world *world, struct wire_end *end)
{
    struct wire_end *to = other_end(end);
    struct piece *piece = end->first;
    size_t bytes = piece->bytes - piece->at;

    if (world->link_room != 0 && bytes > 1 && world_random(world, 4) == 0)
        bytes = 1 + world_random(world, (uint32_t)bytes - 1);
    piece->at += bytes;
    bool whole = piece->at == piece->bytes;
    if (whole)
        (void)take_piece(end);
    if (to->core_link != NULL)
        core_link_received(to->core_link, piece->data + piece->at - bytes, bytes);
    if (!whole)
        return;
    if (end->node->core != NULL)
        core_sent(end->node->core, piece->cookie);
    free(piece);
    if (end->refused && end->core_link != NULL) {
        end->refused = false;
        core_link_writable(end->core_link);
    }
}

static void tell_closed(struct wire_end *end)
{
    struct wire_end *to = other_end(end);
    struct core_link *core_link = to->core_link;

    end->closing = false;
    end->link->over = true;
    to->core_link = NULL;
    if (core_link != NULL)
        core_link_closed(core_link, "the other side closed the connection");
}

static void free_when_over(struct wire_link *link)
{
    if (link->stranger)
        return;
    for (int i = 0; i < 2; i++) {
        struct wire_end *end = &link->ends[i];
        if (end->active || end->core_link != NULL || end->first != NULL || end->closing)
            return;
    }
    *link->self = link->next;
    if (link->next != NULL)
        link->next->self = link->self;
    free(link);
}

bool network_step(struct world *world)
{
    uint32_t tries = world->active_count;
    uint32_t at = tries != 0 ? world_random(world, tries) : 0;

    for (; tries != 0; tries--) {
        at = at >= world->active_count ? 0 : at;
        struct wire_end *end = world->active[at];
        if (end->first != NULL || end->closing) {
            if (is_blocked(world, end)) {
                at++;
                continue;
            }
            if (end->first != NULL)
                carry(world, end);
            else
                tell_closed(end);
            return true;
        }
        end->active = false;
        world->active[at] = world->active[--world->active_count];
        free_when_over(end->link);
    }
    return false;
}

void network_open(struct world *world, struct node *low, struct node *high)
{
    struct wire_link *link = world_obtain(sizeof *link);

    link->ends[0] = (struct wire_end){.link = link, .node = low};
    link->ends[1] = (struct wire_end){.link = link, .node = high};
    link->next = world->links;
    link->self = &world->links;
    if (link->next != NULL)
        link->next->self = &link->next;
    world->links = link;
    link->ends[1].core_link = core_link_open(high->core, CORE_NODE_NONE, &link->ends[1]);
    link->ends[0].core_link = core_link_open(low->core, high->number, &link->ends[0]);
    for (int i = 0; i < 2; i++) // refused, for want of memory
        if (link->ends[i].core_link == NULL)
            network_close_link(NULL, &link->ends[i]);
}

static const struct core_link *link_of(const struct world *world, uint32_t node, uint32_t peer)
{
    const struct core *core = world->nodes[node].core;
    const struct peer *found = core != NULL ? core_peer(core, peer) : NULL;

    return found != NULL ? found->link : NULL;
}

bool network_is_whole(const struct world *world, uint32_t one, uint32_t other)
{
    const struct core_link *link = link_of(world, one, other);

    if (one == other || link == NULL)
        return one == other;
    return other_end(link->owner)->core_link == link_of(world, other, one) &&
           other_end(link->owner)->core_link != NULL;
}

bool network_peek(struct world *world, void *data, size_t bytes)
{
    for (const struct wire_link *link = world->links; link != NULL; link = link->next)
        for (int i = 0; i < 2; i++) {
            const struct piece *piece = link->ends[i].first;
            if (piece != NULL && piece->bytes >= bytes) {
                memcpy(data, piece->data, bytes);
                return true;
            }
        }
    return false;
}

// Node 0 of the world is nobody's, and stands for strangers.
struct wire_end *network_stranger(struct world *world, struct node *node)
{
    struct wire_link *link = world_obtain(sizeof *link);

    world->nodes[0].world = world;
    link->ends[0] = (struct wire_end){.link = link, .node = &world->nodes[0]};
    link->ends[1] = (struct wire_end){.link = link, .node = node};
    link->next = world->links;
    link->self = &world->links;
    if (link->next != NULL)
        link->next->self = &link->next;
    world->links = link;
    link->ends[1].core_link = core_link_open(node->core, CORE_NODE_NONE, &link->ends[1]);
    link->stranger = true;
    return &link->ends[0];
}

void network_say(struct wire_end *stranger, const void *data, size_t bytes)
{
    struct wire_end *to = other_end(stranger);

    if (to->core_link != NULL)
        core_link_received(to->core_link, data, bytes);
}

bool network_is_closed(const struct wire_end *stranger)
{
    return stranger->link->ends[1].core_link == NULL;
}

static void end_break(struct wire_end *end)
{
    struct core_link *core_link = end->core_link;

    drop_pieces(end);
    end->core_link = NULL;
    end->closing = false;
    if (core_link != NULL)
        core_link_closed(core_link, "broken by the test");
    drop_pieces(end);
    activate(end); // to be freed
}

void world_break(struct world *world, uint32_t one, uint32_t other)
{
    for (struct wire_link *link = world->links, *next; link != NULL; link = next) {
        struct wire_end *ends = link->ends;

        next = link->next;
        if ((ends[0].node->number == one && ends[1].node->number == other) ||
            (ends[0].node->number == other && ends[1].node->number == one)) {
            end_break(&ends[0]);
            end_break(&ends[1]);
        }
    }
}

void network_end(struct world *world)
{
    for (struct wire_link *link = world->links; link != NULL; link = link->next) {
        link->stranger = false;
        end_break(&link->ends[0]);
        end_break(&link->ends[1]);
    }
}

void network_silence(struct node *node)
{
    for (struct wire_link *link = node->world->links; link != NULL; link = link->next)
        for (int j = 0; j < 2; j++)
            if (link->ends[j].node == node) {
                drop_pieces(&link->ends[j]);
                link->ends[j].core_link = NULL;
            }
}

void network_forget(struct node *node)
{
    for (struct wire_link *link = node->world->links; link != NULL; link = link->next)
        for (int j = 0; j < 2; j++)
            if (link->ends[j].node == node) {
                drop_pieces(&link->ends[j]);
                link->ends[j].closing = false;
                activate(&link->ends[j]);
            }
}
