// SPDX-License-Identifier: BSD-2-Clause
// Segments, and the tables of what is known of their pages.
#include "dsm/core/internal.h"

#include <stdlib.h>
#include <string.h>

struct dsm_segment *segment_find(const struct dsm *dsm, uint64_t number)
{
    struct table_link *link = table_find(&dsm->segments, number);

    return link != NULL ? table_element(link, struct dsm_segment, link) : NULL;
}

struct dsm_segment *segment_make(struct dsm *dsm, uint64_t number, uint64_t generation)
{
    struct dsm_segment *segment = calloc(1, sizeof *segment);

    if (segment == NULL)
        return NULL;
    segment->dsm = dsm;
    segment->pages = DSM_PAGES_MAX;
    segment->generation = generation;
    if (!table_create(&segment->copies)) {
        free(segment);
        return NULL;
    }
    if (!table_create(&segment->entries)) {
        table_destroy(&segment->copies);
        free(segment);
        return NULL;
    }
    table_insert(&dsm->segments, &segment->link, number);
    return segment;
}

static void visit_page_free(struct page *page, void *argument)
{
    (void)argument;
    page_free(page);
}

static void visit_entry_free(struct entry *entry, void *argument)
{
    (void)argument;
    entry_free(entry);
}

void segment_free(struct dsm_segment *segment)
{
    pages_each(segment, visit_page_free, NULL);
    entries_each(segment, visit_entry_free, NULL);
    table_destroy(&segment->copies);
    table_destroy(&segment->entries);
    for (unsigned i = 0; i < DSM_CACHES_MAX; i++)
        free(segment->caches[i]);
    table_remove(&segment->dsm->segments, &segment->link);
    free(segment);
}

// --- Pages and entries ----------------------------------------------------------------------

struct page *page_find(const struct dsm_segment *segment, uint64_t number)
{
    struct table_link *link = table_find(&segment->copies, number);

    return link != NULL ? table_element(link, struct page, link) : NULL;
}

struct page *page_make(struct dsm_segment *segment, uint64_t number)
{
    struct page *page = page_find(segment, number);

    if (page != NULL)
        return page;
    page = calloc(1, sizeof *page);
    if (page == NULL)
        return NULL;
    page->segment = segment;
    store_count(segment->dsm, sizeof *page);
    table_insert(&segment->copies, &page->link, number);
    return page;
}

void page_free(struct page *page)
{
    while (page->waiters != NULL) {
        struct waiter *waiter = page->waiters;
        page->waiters = waiter->next;
        free(waiter);
    }
    page_drop_backing(page);
    page_drop_handed(page);
    page->requested = DSM_NONE;
    page->wish.kind = 0;
    page->unasked = 0;
    page_watch(page);
    store_forget(page);
    arrival_forget(page);
    store_uncount(page->segment->dsm, sizeof *page);
    table_remove(&page->segment->copies, &page->link);
    free(page);
}

struct entry *entry_find(const struct dsm_segment *segment, uint64_t number)
{
    struct table_link *link = table_find(&segment->entries, number);

    return link != NULL ? table_element(link, struct entry, link) : NULL;
}

struct entry *entry_make(struct dsm_segment *segment, uint64_t number)
{
    struct entry *entry = entry_find(segment, number);

    if (entry != NULL)
        return entry;
    entry = calloc(1, sizeof *entry);
    if (entry == NULL)
        return NULL;
    entry->segment = segment;
    store_count(segment->dsm, sizeof *entry);
    entry->owner = entry->last_reader = entry->last_writer = entry->settle = DSM_NOBODY;
    table_insert(&segment->entries, &entry->link, number);
    return entry;
}

void entry_free(struct entry *entry)
{
    while (entry->first != NULL) {
        struct waiting *waiting = entry->first;
        entry->first = waiting->next;
        free(waiting);
    }
    entry->state = ENTRY_IDLE;
    entry_watch(entry);
    store_uncount(entry->segment->dsm, sizeof *entry);
    table_remove(&entry->segment->entries, &entry->link);
    free(entry);
}

void pages_each(struct dsm_segment *segment, void (*visit)(struct page *, void *), void *argument)
{
    for (uint32_t i = 0; i < 1u << segment->copies.bits; i++)
        for (struct table_link *link = segment->copies.buckets[i], *next; link != NULL;
             link = next) {
            next = link->next;
            visit(table_element(link, struct page, link), argument);
        }
}

void entries_each(struct dsm_segment *segment, void (*visit)(struct entry *, void *),
                  void *argument)
{
    for (uint32_t i = 0; i < 1u << segment->entries.bits; i++)
        for (struct table_link *link = segment->entries.buckets[i], *next; link != NULL;
             link = next) {
            next = link->next;
            visit(table_element(link, struct entry, link), argument);
        }
}

void segments_each(struct dsm *dsm, void (*visit)(struct dsm_segment *, void *), void *argument)
{
    for (uint32_t i = 0; i < 1u << dsm->segments.bits; i++)
        for (struct table_link *link = dsm->segments.buckets[i], *next; link != NULL; link = next) {
            next = link->next;
            visit(table_element(link, struct dsm_segment, link), argument);
        }
}

// --- For the server ---------------------------------------------------------------------------

corvus_error_t dsm_segment_open(struct dsm *dsm, uint64_t number, uint64_t pages,
                                uint64_t generation)
{
    struct dsm_segment *segment = segment_find(dsm, number);

    if (pages > DSM_PAGES_MAX)
        return ERR_TOO_LARGE;
    if (segment != NULL && segment->open)
        return ERR_IN_USE;
    dsm_enter(dsm);
    if (segment == NULL)
        segment = segment_make(dsm, number, generation);
    else if (generation > segment->generation)
        // Heard of before it was cut: nothing of that is left.
        segment_cut(segment, 0, generation, ERR_INVALID_RANGE);
    if (segment != NULL) {
        segment->open = true;
        segment->pages = segment->cut = pages;
    }
    dsm_leave(dsm);
    return segment != NULL ? ERR_OK : ERR_NO_MEMORY;
}

struct cut {
    uint64_t pages;
    corvus_error_t reason;
};

static void cut_page(struct page *page, void *argument)
{
    const struct cut *cut = argument;

    if (page->link.key < cut->pages)
        return;
    page_fail(page, cut->reason);
    page_drop_handed(page);
    page_forget(page);
    page->version = page->txn = 0;
    page_watch(page);
}

static void cut_entry(struct entry *entry, void *argument)
{
    const struct cut *cut = argument;

    if (entry->link.key >= cut->pages)
        entry_free(entry);
}

void segment_cut(struct dsm_segment *segment, uint64_t pages, uint64_t generation,
                 corvus_error_t reason)
{
    struct cut cut = {.pages = pages, .reason = reason};

    entries_each(segment, cut_entry, &cut);
    pages_each(segment, cut_page, &cut);
    segment->generation = generation;
    segment->pages = segment->cut = pages;
    // All is zero, and nothing else in doubt.
    if (pages == 0)
        memset(segment->doubt, 0, sizeof segment->doubt);
}

corvus_error_t dsm_segment_resize(struct dsm *dsm, uint64_t number, uint64_t pages,
                                  uint64_t generation)
{
    struct dsm_segment *segment = segment_find(dsm, number);

    if (segment == NULL || !segment->open)
        return ERR_NOT_FOUND;
    if (pages > DSM_PAGES_MAX)
        return ERR_TOO_LARGE;
    if (generation < segment->generation)
        return ERR_INVALID_ARGUMENT;
    dsm_enter(dsm);
    if (generation > segment->generation)
        segment_cut(segment, pages, generation, ERR_INVALID_RANGE);
    segment->pages = pages;
    dsm_leave(dsm);
    return ERR_OK;
}

corvus_error_t dsm_segment_close(struct dsm *dsm, uint64_t number)
{
    struct dsm_segment *segment = segment_find(dsm, number);

    if (segment == NULL)
        return ERR_NOT_FOUND;
    dsm_enter(dsm);
    segment_cut(segment, 0, segment->generation, ERR_INVALID_RANGE);
    segment_free(segment);
    dsm_leave(dsm);
    return ERR_OK;
}
