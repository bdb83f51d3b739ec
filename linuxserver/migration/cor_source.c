// SPDX-License-Identifier: GPL-2.0-only
// Sources: what other nodes have for processes here, and one thread that tells them which pages are
// over, and looks after links that are down.
#include "linuxserver/migration/cor_private.h"

#include <linux/init.h>
#include <linux/kthread.h>
#include <linux/pagemap.h>
#include <linux/slab.h>

// A link that is down this long will not come up again, for those who wait for pages.
#define DOWN_LIMIT (10 * HZ)
// Pages that are over are told together.
#define TELL_DELAY (HZ / 100 + 1)

LIST_HEAD(cor_sources);
struct cor_counts cor_counts;

static DECLARE_WAIT_QUEUE_HEAD(telling);
static bool tell;

struct cor_source *cor_source_find(unsigned int node, u64 number)
{
    struct cor_source *source;

    list_for_each_entry(source, &cor_sources, link)
    {
        if (source->node == node && source->number == number)
            return source;
    }
    return NULL;
}

struct cor_source *cor_source_make(unsigned int node, u64 number)
{
    struct cor_source *made = kzalloc(sizeof(*made), GFP_KERNEL);
    struct cor_source *source = cor_source_find(node, number);

    if (source != NULL || made == NULL) {
        kfree(made);
        if (source != NULL)
            cor_source_get(source);
        return source;
    }
    made->users = 2; // one until it is ended
    made->node = node;
    made->number = number;
    xa_init(&made->regions);
    INIT_LIST_HEAD(&made->freed);
    list_add_tail(&made->link, &cor_sources);
    return made;
}

void cor_source_get(struct cor_source *source)
{
    source->users++;
}

static void add_counts(const struct cor_counts *from)
{
    const u64 *values = (const u64 *)from;

    for (unsigned int i = 0; i < sizeof(*from) / sizeof(u64); i++)
        ((u64 *)&cor_counts)[i] += values[i];
}

void cor_source_put(struct cor_source *source)
{
    if (--source->users != 0)
        return;
    list_del(&source->link);
    add_counts(&source->counts);
    xa_destroy(&source->regions);
    kfree(source);
}

bool cor_source_is_over(const struct cor_source *source)
{
    return source->ranges == 0 && source->slots == 0;
}

void cor_source_lose(struct cor_source *source, const char *why)
{
    if (source->lost)
        return;
    source->lost = true;
    if (!cor_source_is_over(source))
        pr_err("corvus: migration %llu: node %u %s with %llu pages and %u unknown ranges\n",
               source->number, source->node, why, source->slots, source->ranges);
    cor_fail_asked(source);
    cor_tell_soon();
    cor_drain_wake();
}

void cor_remaining(unsigned int node, u64 number, struct cor_remaining *remaining)
{
    struct cor_source *source = cor_source_find(node, number);
    struct cor_space *space;
    struct cor_range *range;

    *remaining = (struct cor_remaining){0};
    if (source == NULL)
        return;
    remaining->pages = source->slots;
    list_for_each_entry(space, &cor_spaces, link)
    {
        list_for_each_entry(range, &space->ranges, link)
        {
            if (range->source == source)
                remaining->regions += DIV_ROUND_UP(range->end - range->start, COR_REGION_BYTES);
        }
    }
}

// --- Beginning and end --------------------------------------------------------------------------

void cor_start(unsigned int node, u64 number, bool eager)
{
    struct cor_source *source = cor_source_make(node, number);

    if (source == NULL) {
        pr_err("corvus: migration %llu: no memory to ask node %u\n", number, node);
        return;
    }
    source->started = true;
    source->eager = eager;
    cor_tell_soon();
    cor_drain_wake();
    cor_source_put(source);
}

void cor_discard(unsigned int node, u64 number)
{
    struct cor_source *source = cor_source_find(node, number);

    if (source != NULL)
        source->lost = true;
    cor_tell_soon();
}

// --- Telling ------------------------------------------------------------------------------------

void cor_tell_soon(void)
{
    tell = true;
    wake_up(&telling);
}

// Takes what is to be told of the source, up to COR_FREED_MOST blocks.
static unsigned int collect(struct cor_source *source, struct cor_freed *freed)
{
    unsigned int count = 0;

    while (!list_empty(&source->freed) && count + COR_REGION_BLOCKS <= COR_FREED_MOST) {
        struct cor_region *region = list_first_entry(&source->freed, struct cor_region, freed_link);

        for (unsigned int i = 0; i < COR_REGION_BLOCKS; i++) {
            if (region->freed[i] == 0)
                continue;
            freed[count++] =
                (struct cor_freed){region->address + i * COR_BLOCK_BYTES, region->freed[i]};
            region->freed[i] = 0;
        }
        list_del_init(&region->freed_link);
        cor_region_drop(region);
    }
    return count;
}

// One message. What could not be sent because of memory is kept in `freed` for the next time.
static bool tell_source(struct cor_source *source, struct cor_freed *freed)
{
    unsigned int count = collect(source, freed);
    u64 words[MIGRATION_WORDS] = {source->number, count};

    if (count == 0)
        return false;
    // Before the process runs, and when it never does, its pages are the other node's own.
    while (source->started && !source->lost &&
           migration_send(source->node, COR_FREE, words, freed, count * sizeof(*freed)) == -ENOMEM)
        schedule_timeout_idle(1);
    return true;
}

static void end_source(struct cor_source *source)
{
    u64 words[MIGRATION_WORDS] = {source->number};
    int error = -ENOMEM;

    if (source->ended || !(source->started || source->lost) || !cor_source_is_over(source))
        return;
    while (source->started && error != 0) {
        error = migration_send(source->node, COR_END, words, NULL, 0);
        if (error == -EHOSTDOWN)
            return; // said when the link is up again: the other node keeps the memory until then
        if (error != 0)
            schedule_timeout_idle(1);
    }
    source->ended = true;
    cor_drain_wake();
    cor_source_put(source);
}

// The next source after that, counted; the one before is not any more.
static struct cor_source *next(struct cor_source *source)
{
    struct list_head *after = source == NULL ? cor_sources.next : source->link.next;
    struct cor_source *found = NULL;

    if (after != &cor_sources) {
        found = list_entry(after, struct cor_source, link);
        cor_source_get(found);
    }
    if (source != NULL)
        cor_source_put(source);
    return found;
}

static bool tell_all(struct cor_freed *freed)
{
    struct cor_source *source = NULL;
    bool waiting = false;

    while ((source = next(source)) != NULL) {
        if (source->again) {
            source->again = false;
            cor_ask_again(source);
        }
        while (tell_source(source, freed))
            cond_resched();
        end_source(source);
        if (source->down_since == 0 || source->lost)
            continue;
        waiting = true;
        if (time_after(jiffies, source->down_since + DOWN_LIMIT))
            cor_source_lose(source, "does not come back");
    }
    return waiting;
}

static int run(void *unused)
{
    struct cor_freed *freed = unused;

    for (;;) {
        tell = false;
        cor_fault_flush();
        bool waiting = tell_all(freed);
        wait_event_idle_timeout(telling, tell, waiting ? HZ : MAX_SCHEDULE_TIMEOUT);
        schedule_timeout_idle(TELL_DELAY);
    }
    return 0;
}

// --- Messages and links ------------------------------------------------------------------------

static void handle(unsigned int node, u64 call, u32 id, const u64 words[MIGRATION_WORDS],
                   const void *data, size_t bytes)
{
    struct cor_source *source;

    if (id != COR_PAGES) {
        cor_serve_message(node, call, id, words, data, bytes);
        return;
    }
    source = cor_source_find(node, words[0]);
    if (source != NULL && hweight64(words[2]) * PAGE_SIZE == bytes &&
        words[1] % COR_BLOCK_BYTES == 0)
        cor_take(source, words[1], words[2], words[3], words[4], data);
}

static void link_told(unsigned int node, enum migration_link_event event)
{
    struct cor_source *source = NULL;

    if (event == MIGRATION_LINK_GONE)
        cor_serve_gone(node);
    cor_tell_soon(); // ends that could not be said
    while ((source = next(source)) != NULL) {
        if (source->node != node || source->lost)
            continue;
        if (event == MIGRATION_LINK_GONE) {
            cor_source_lose(source, "has gone");
        } else if (event == MIGRATION_LINK_DOWN) {
            source->down_since = jiffies | 1;
            cor_tell_soon();
        } else {
            source->down_since = 0;
            source->again = true;
            cor_tell_soon();
        }
    }
}

static int __init begin(void)
{
    struct cor_freed *freed = kmalloc_array(COR_FREED_MOST, sizeof(*freed), GFP_KERNEL);
    int error;

    if (freed == NULL)
        return -ENOMEM;
    migration_handle(MESSAGES_PAGES_FIRST, MESSAGES_PAGES_LAST, handle);
    migration_on_link(link_told);
    error = PTR_ERR_OR_ZERO(kthread_run(run, freed, "corvus-cor"));
    if (error == 0)
        error = cor_serve_begin();
    return error != 0 ? error : cor_drain_begin();
}
late_initcall(begin);
