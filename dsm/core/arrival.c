// SPDX-License-Identifier: BSD-2-Clause
// Pages that have come in the message that is being read. Caches get them when it has been read, so
// that neighbours are shown together, and what a cache takes at once is not copied before.
#include "dsm/core/internal.h"

// The data stay in the message if a cache has taken them at once.
static void keep_incoming(struct page *page)
{
    const uint8_t *incoming = page->incoming;

    if (incoming == NULL)
        return;
    page->incoming = NULL;
    if (page->backing != BACKING_DATA || page->data != NULL)
        return;
    if ((page->readers | page->writer) != 0) {
        page->backing = BACKING_NONE;
        return;
    }
    page->data = buffer_make(page->segment->dsm, incoming);
    if (page->data == NULL) {
        page->backing = BACKING_NONE;
        page->access = DSM_NONE; // an owner says so when it is asked
    }
}

void arrival_add(struct page *page)
{
    struct dsm *dsm = page->segment->dsm;

    if (page->arrived)
        return;
    page->arrived = true;
    page->next_arrived = NULL;
    *dsm->last_arrived = page;
    dsm->last_arrived = &page->next_arrived;
}

void arrival_forget(struct page *page)
{
    struct dsm *dsm = page->segment->dsm;
    struct page **place = &dsm->first_arrived;

    if (!page->arrived)
        return;
    while (*place != page)
        place = &(*place)->next_arrived;
    *place = page->next_arrived;
    if (*place == NULL)
        dsm->last_arrived = place;
    page->arrived = false;
}

void arrivals_show(struct dsm *dsm)
{
    struct page *page;

    while ((page = dsm->first_arrived) != NULL) {
        arrival_forget(page);
        page_run(page);
        keep_incoming(page);
    }
}
