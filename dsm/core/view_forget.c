// SPDX-License-Identifier: BSD-2-Clause
// Forgetting everything: a node that is out of the majority, or was left behind by it.
#include "dsm/core/view.h"

#include <string.h>

struct forgetting {
    corvus_error_t reason; // OK: who waits goes on waiting
};

static void forget_page(struct page *page, void *argument)
{
    const struct forgetting *forgetting = argument;

    if (forgetting->reason != ERR_OK)
        page_fail(page, forgetting->reason);
    page_drop_handed(page);
    page_forget(page);
    page->version = page->txn = 0;
    page->requested = DSM_NONE;
    page_watch(page);
}

static void forget_entry(struct entry *entry, void *argument)
{
    (void)argument;
    entry_free(entry);
}

static void forget_segment(struct dsm_segment *segment, void *argument)
{
    entries_each(segment, forget_entry, NULL);
    pages_each(segment, forget_page, argument);
    // What others know of it is heard from them, if there are any.
    if (segment->dsm->joined != 0)
        memset(segment->doubt, 0xff, sizeof segment->doubt);
}

void view_forget(struct dsm *dsm, corvus_error_t reason)
{
    struct forgetting forgetting = {.reason = reason};

    segments_each(dsm, forget_segment, &forgetting);
    place_forget_history(dsm);
    rebuild_free(dsm);
}

// This node is not in a majority: nothing it has may be used, for others may go on.
void view_end(struct dsm *dsm)
{
    dsm->ended = true;
    dsm->stable = dsm->rebuilt = false;
    view_forget(dsm, ERR_PEER_DIED);
    dsm->place.view.number = dsm->place.view.count = 0;
    dsm->joined = 0;
    dsm->life++;
    dsm->peers[dsm->settings.node].life = dsm->life;
    dsm->peers[dsm->settings.node].view = 0;
    dsm->proposal.active = false;
    view_tell(dsm);
}

// The others have gone on without this node: it comes again, with nothing.
void view_start_over(struct dsm *dsm)
{
    view_end(dsm);
    dsm->ended = false;
    dsm->reconsider = true;
    for (uint32_t node = 1; node <= DSM_NODE_MAX; node++)
        if (dsm->peers[node].up)
            view_hello(dsm, node);
    view_tell(dsm);
}
