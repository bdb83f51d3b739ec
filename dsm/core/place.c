// SPDX-License-Identifier: BSD-2-Clause
// Who is responsible for a page: blocks of pages are hashed into buckets, and of each
// bucket the member with the highest hash is manager, the next one backup (rendezvous
// hashing: Thaler and Ravishankar, 1998). So all nodes agree without a message, and when
// one dies its successor is who was its backup.
//
// That a page was ever written is known to its manager and its backup. When both are
// gone at once, and nobody has a copy, it cannot be told from a page of zeroes: the
// bucket is in *doubt*, and such pages are errors rather than stale. Which pair was
// responsible may not be certain, for a view may have begun to work without a survivor
// knowing; so all views since the last that is known to have worked are looked at.
#include "dsm/core/internal.h"

#include <stdlib.h>
#include <string.h>

uint32_t place_bucket(uint64_t segment, uint64_t page)
{
    return (uint32_t)(dsm_mix(dsm_mix(segment + 1) + page / DSM_BLOCK_PAGES) % DSM_BUCKETS);
}

static void place_bucket_make(struct placement *place, uint32_t bucket)
{
    uint64_t best = 0, second = 0;

    place->manager[bucket] = place->backup[bucket] = DSM_NOBODY;
    for (uint32_t slot = 0; slot < place->view.count; slot++) {
        uint64_t score = dsm_mix((uint64_t)place->view.members[slot].node << 16 | (bucket + 1));
        if (place->manager[bucket] == DSM_NOBODY || score > best) {
            second = best;
            place->backup[bucket] = place->manager[bucket];
            best = score;
            place->manager[bucket] = (uint8_t)slot;
        } else if (place->backup[bucket] == DSM_NOBODY || score > second) {
            second = score;
            place->backup[bucket] = (uint8_t)slot;
        }
    }
}

void place_make(struct placement *place)
{
    for (uint32_t bucket = 0; bucket < DSM_BUCKETS; bucket++)
        place_bucket_make(place, bucket);
}

uint32_t place_manager(const struct dsm *dsm, uint64_t segment, uint64_t page)
{
    uint8_t slot = dsm->place.manager[place_bucket(segment, page)];

    return dsm->place.view.members[slot].node;
}

bool place_is_manager(const struct dsm *dsm, uint64_t segment, uint64_t page)
{
    return dsm->place.manager[place_bucket(segment, page)] == dsm->slot;
}

uint8_t place_backup(const struct dsm *dsm, uint64_t segment, uint64_t page)
{
    return dsm->place.backup[place_bucket(segment, page)];
}

// --- Doubt --------------------------------------------------------------------------------

// Whether nobody is left who knew about the bucket.
static bool bucket_died(const struct placement *then, uint32_t bucket, const struct view *now)
{
    const struct member *manager = &then->view.members[then->manager[bucket]];

    if (view_has(now, manager->node, manager->joined))
        return false;
    if (then->backup[bucket] == DSM_NOBODY)
        return true;
    const struct member *backup = &then->view.members[then->backup[bucket]];
    return !view_has(now, backup->node, backup->joined);
}

static void doubt_bucket(struct dsm_segment *segment, void *argument)
{
    uint32_t bucket = *(const uint32_t *)argument;

    segment->doubt[bucket / 64] |= bit(bucket % 64);
}

void place_doubt(struct dsm *dsm)
{
    for (uint32_t bucket = 0; bucket < DSM_BUCKETS; bucket++) {
        bool doubt = dsm->history_lost;
        for (uint32_t i = 0; i < dsm->history_count && !doubt; i++)
            doubt = bucket_died(dsm->history[i], bucket, &dsm->place.view);
        if (doubt)
            segments_each(dsm, doubt_bucket, &bucket);
    }
}

void place_forget_history(struct dsm *dsm)
{
    while (dsm->history_count != 0)
        free(dsm->history[--dsm->history_count]);
    dsm->history_lost = false;
}

void place_forget_last(struct dsm *dsm)
{
    if (dsm->history_count != 0)
        free(dsm->history[--dsm->history_count]);
}

void place_remember(struct dsm *dsm)
{
    struct placement *copy = dsm->history_count < DSM_HISTORY ? malloc(sizeof *copy) : NULL;

    if (copy == NULL) {
        dsm->history_lost = true;
        return;
    }
    memcpy(copy, &dsm->place, sizeof *copy);
    dsm->history[dsm->history_count++] = copy;
}
