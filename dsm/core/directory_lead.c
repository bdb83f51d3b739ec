// SPDX-License-Identifier: BSD-2-Clause
// A new coordinator: PREPARE to all, their PROMISEs with what they have, then SYNC with the longest
// history. And the other side of it.
#include "dsm/core/directory_order.h"

#include <string.h>

static void drop_best(struct directory *directory)
{
    if (directory->has_best)
        contents_close(&directory->best);
    directory->has_best = false;
}

void lead_end(struct directory *directory)
{
    directory->role = FOLLOWING;
    directory->coordinator = 0;
    drop_best(directory);
    order_free_proposals(directory);
}

static void adopt(struct directory *directory, struct directory_contents *contents)
{
    contents_close(&directory->contents);
    directory->contents = *contents;
    if (contents->names == NULL)
        directory->contents.last_name = &directory->contents.names;
    if (directory->accepted.there && directory->accepted.sequence <= contents->sequence)
        directory->accepted.there = false;
    directory->output->changed(directory->context, 0);
}

void lead_begin(struct directory *directory)
{
    if (directory->has_best)
        adopt(directory, &directory->best);
    directory->has_best = false;
    directory->role = LEADING;
    directory->coordinator = directory->node;
    for (unsigned to = 1; to <= DIRECTORY_NODES_MAX; to++)
        if (to != directory->node && directory_has_node(&directory->members, to))
            order_send_image(directory, to, MESSAGE_SYNC);
    const struct accepted *candidate = &directory->candidate;
    directory->accepted.there = false;
    if (candidate->there && candidate->sequence == directory->contents.sequence + 1)
        order_change(directory, candidate->origin, candidate->request, &candidate->change);
    order_settle(directory);
    order_propose(directory);
    order_next(directory);
}

void lead_ask(struct directory *directory)
{
    lead_end(directory);
    directory->epoch = (directory->epoch / EPOCH_STEP + 1) * EPOCH_STEP + (uint64_t)directory->node;
    directory->role = ASKING;
    directory->candidate = directory->accepted;
    order_await_members(directory);
    struct envelope envelope = {.type = MESSAGE_PREPARE, .epoch = directory->epoch};
    order_send_to_members(directory, &envelope, NULL, 0);
    if (nodes_are_none(&directory->awaited))
        lead_begin(directory);
}

void lead_ask_again(struct directory *directory)
{
    struct envelope envelope = {.type = MESSAGE_PREPARE, .epoch = directory->epoch};

    for (unsigned to = 1; to <= DIRECTORY_NODES_MAX; to++)
        if (directory_has_node(&directory->awaited, to))
            order_send(directory, to, &envelope, NULL, 0);
}

// --- What is heard of it --------------------------------------------------------------------

void lead_prepare_heard(struct directory *directory, unsigned from, const struct envelope *envelope)
{
    // The same may be known already: by another's refusal, which tells of it.
    if (envelope->epoch < directory->epoch) {
        order_send_plain(directory, from, MESSAGE_REFUSE);
        return;
    }
    directory->epoch = envelope->epoch;
    lead_end(directory);
    order_send_image(directory, from, MESSAGE_PROMISE);
}

static bool read_accepted(struct accepted *accepted, const uint8_t *bytes, size_t count)
{
    struct envelope about;

    if (count < sizeof about)
        return false;
    memcpy(&about, bytes, sizeof about);
    *accepted = (struct accepted){.there = true,
                                  .origin = about.origin,
                                  .epoch = about.epoch,
                                  .sequence = about.sequence,
                                  .request = about.request};
    return about.origin <= DIRECTORY_NODES_MAX &&
           change_read(&accepted->change, bytes + sizeof about, count - sizeof about);
}

bool lead_promise_heard(struct directory *directory, unsigned from, const struct envelope *envelope,
                        const uint8_t *bytes, size_t count)
{
    struct accepted accepted = {.there = false};
    struct directory_contents contents;
    uint64_t about;

    if (directory->role != ASKING || envelope->epoch != directory->epoch ||
        !directory_has_node(&directory->awaited, from))
        return true;
    if (count < sizeof about)
        return false;
    memcpy(&about, bytes, sizeof about);
    if (about > count - sizeof about ||
        (about != 0 && !read_accepted(&accepted, bytes + sizeof about, about)) ||
        !image_read(&contents, bytes + sizeof about + about, count - sizeof about - about))
        return false;
    uint64_t mine = directory->has_best ? directory->best.sequence : directory->contents.sequence;
    if (contents.sequence > mine) {
        drop_best(directory);
        directory->best = contents;
        directory->has_best = true;
        if (contents.names == NULL)
            directory->best.last_name = &directory->best.names;
    } else {
        contents_close(&contents);
    }
    struct accepted *candidate = &directory->candidate;
    if (accepted.there &&
        (!candidate->there || accepted.sequence > candidate->sequence ||
         (accepted.sequence == candidate->sequence && accepted.epoch > candidate->epoch)))
        *candidate = accepted;
    directory_remove_node(&directory->awaited, from);
    if (nodes_are_none(&directory->awaited))
        lead_begin(directory);
    return true;
}

bool lead_sync_heard(struct directory *directory, unsigned from, const struct envelope *envelope,
                     const uint8_t *bytes, size_t count)
{
    struct directory_contents contents;

    if (envelope->epoch < directory->epoch) {
        order_send_plain(directory, from, MESSAGE_REFUSE);
        return true;
    }
    if (!image_read(&contents, bytes, count))
        return false;
    lead_end(directory);
    directory->epoch = envelope->epoch;
    directory->coordinator = from;
    if (contents.sequence > directory->contents.sequence)
        adopt(directory, &contents);
    else
        contents_close(&contents);
    order_settle(directory);
    order_propose(directory);
    return true;
}
