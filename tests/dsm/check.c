// SPDX-License-Identifier: BSD-2-Clause
// What must be so in each core between two calls of it, whatever other nodes have said.
#include "tests/dsm/world.h"

struct checked {
    const struct world *world;
    uint64_t buffers;           // found
    uint64_t pages, entries;    // that ought to be linked as active
    uint64_t slots, cache_bits; // that there are
};

static void check_page(struct page *page, void *argument)
{
    struct checked *checked = argument;
    const struct world *world = checked->world;
    uint8_t holders = page->readers | page->writer;

    checked->buffers += (page->data != NULL) + (page->handed.data != NULL);
    checked->pages += page->prev_active != NULL;
    must(world, page->prev_active == NULL || *page->prev_active == page, "a page's link");
    must(world, page->incoming == NULL && !page->arrived, "no page points into a message");
    must(world, (page->backing == BACKING_DATA) == (page->data != NULL), "a page's data are there");
    must(world, (page->writer & (page->writer - 1)) == 0, "one cache writes");
    must(world, page->writer == 0 || page->readers == 0, "or some read");
    must(world, ((holders | page->awaited) & ~checked->cache_bits) == 0, "caches that there are");
    must(world, holders == 0 || page->access != DSM_NONE, "a cache has what the node has");
    must(world, page->writer == 0 || page->access == DSM_WRITE, "and writes what it may");
    must(world, page->wish.kind == 0 || page->wish.node <= DSM_NODE_MAX, "a wish is for a node");
    must(world, page->handed.node <= DSM_NODE_MAX, "pages are handed to nodes");
    must(world, page->handed.node != 0 || page->handed.data == NULL, "or to nobody");
}

static void check_entry(struct entry *entry, void *argument)
{
    struct checked *checked = argument;
    const struct world *world = checked->world;
    const struct waiting *last = NULL;
    uint64_t seen = 0;

    checked->entries += entry->prev_active != NULL;
    must(world, entry->prev_active == NULL || *entry->prev_active == entry, "an entry's link");
    must(world, (entry->prev_active == NULL) == (entry->state == ENTRY_IDLE), "who is due");
    must(world, ((entry->copies | entry->unacknowledged | entry->unsettled) & ~checked->slots) == 0,
         "copies are with members");
    must(world, entry->owner == DSM_NOBODY || (checked->slots & bit(entry->owner)) != 0,
         "an owner is a member");
    must(world, entry->state != ENTRY_INVALIDATING || entry->unacknowledged != 0 || entry->unmarked,
         "a transaction waits for something");
    must(world, entry->state != ENTRY_SETTLING || entry->unsettled != 0, "settling, too");
    for (const struct waiting *one = entry->first; one != NULL; one = one->next) {
        must(world, (checked->slots & bit(one->request.slot)) != 0, "members wait");
        must(world, (seen & bit(one->request.slot)) == 0, "each once");
        seen |= bit(one->request.slot);
        last = one;
    }
    must(world, entry->last == last, "the queue's end");
    must(world, entry->state != ENTRY_IDLE || entry->first == NULL, "nobody waits for a free page");
}

static void check_segment(struct dsm_segment *segment, void *argument)
{
    struct checked *checked = argument;

    checked->cache_bits = 0;
    for (unsigned i = 0; i < DSM_CACHES_MAX; i++)
        checked->cache_bits |= segment->caches[i] != NULL ? bit(i) : 0;
    pages_each(segment, check_page, checked);
    entries_each(segment, check_entry, checked);
}

static void check_core(const struct world *world, struct dsm *dsm)
{
    const struct view *view = &dsm->place.view;
    struct checked checked = {.world = world};

    must(world, view->count <= DSM_MEMBERS_MAX, "a view is not too large");
    checked.slots = view->count == 64 ? ~0ull : bit(view->count) - 1;
    segments_each(dsm, check_segment, &checked);
    must(world, dsm->stored == checked.buffers, "what is stored is counted");
    for (const struct page *page = dsm->active_pages; page != NULL; page = page->next_active)
        checked.pages--;
    for (const struct entry *entry = dsm->active_entries; entry != NULL; entry = entry->next_active)
        checked.entries--;
    must(world, checked.pages == 0 && checked.entries == 0, "what is due is linked");
    must(world, dsm->first_arrived == NULL && dsm->last_arrived == &dsm->first_arrived,
         "what has arrived has been shown");
    must(world, dsm->garbage == NULL && dsm->depth == 0, "nothing is left over");
    must(world, !dsm->stable || (view->number != 0 && dsm->rebuilt), "a view that works is one");
    must(world, view->number == 0 || view->members[dsm->slot].node == dsm->settings.node,
         "with this node in it");
}

void world_check(const struct world *world)
{
    for (uint32_t node = 1; node <= world->count; node++)
        if (world->nodes[node].core != NULL)
            check_core(world, world->nodes[node].core);
}
