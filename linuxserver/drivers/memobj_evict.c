// SPDX-License-Identifier: GPL-2.0-only
// Pages of memory objects that have to go: because Linux wants memory, or because there are more
// than there may be. The oldest go first, but for those that processes have used since last looked
// at.
#include "memobj.h"

#include <linux/ktime.h>
#include <linux/moduleparam.h>
#include <linux/rmap.h>
#include <linux/sched/signal.h>
#include <linux/shrinker.h>

unsigned long memobj_page_total, memobj_back_total;

// /sys/module/memobj/parameters/pages_max: 0, to begin with: three quarters of Linux's memory.
#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "memobj."
static unsigned long pages_max;
module_param(pages_max, ulong, 0644);

static LIST_HEAD(ages);
static DECLARE_WAIT_QUEUE_HEAD(room);

void memobj_age_add(struct memobj_page *page)
{
    list_add(&page->age, &ages);
    memobj_page_total++;
}

void memobj_age_remove(struct memobj_page *page)
{
    list_del_init(&page->age);
    memobj_page_total--;
}

static unsigned long limit(void)
{
    unsigned long max = READ_ONCE(pages_max);

    return max != 0 ? max : totalram_pages() / 4 * 3;
}

static bool may_go(const struct memobj_page *page)
{
    return page->sequence == 0 && !page->taking && !page->writing && page->waiting == 0 &&
           list_empty(&page->back.link) && page->hold_until <= ktime_get_ns() &&
           page->object->error == 0;
}

static bool was_used(struct memobj_page *page)
{
    unsigned long flags = 0;

    return page->valid && folio_mapped(page->folio) &&
           folio_referenced(page->folio, 0, NULL, &flags) != 0;
}

// Looks at the oldest page; whether it has gone.
static bool evict_oldest(bool used_ones)
{
    struct memobj_page *page = list_last_entry(&ages, struct memobj_page, age);
    struct memobj_object *object = page->object;
    bool gone = false;

    list_move(&page->age, &ages);
    if (!may_go(page))
        return false;
    object->busy++;
    page->users++;
    if (used_ones || !was_used(page)) {
        // It may have slept.
        gone = page->folio != NULL && may_go(page) && memobj_page_drop(page, 0);
        if (gone)
            object->counts.evicted++;
        else if (page->taking)
            memobj_page_leave(page);
    }
    memobj_page_put(page);
    object->busy--;
    memobj_care(object);
    return gone;
}

static unsigned long evict(unsigned long wanted)
{
    unsigned long gone = 0;

    for (unsigned int used_ones = 0; used_ones < 2; used_ones++)
        for (unsigned long left = memobj_page_total; left > 0 && gone < wanted; left--)
            if (!list_empty(&ages))
                gone += evict_oldest(used_ones);
    return gone;
}

// --- Too many ------------------------------------------------------------------------------

void memobj_room_made(void)
{
    wake_up_all(&room);
}

bool memobj_is_room(void)
{
    return memobj_page_total + memobj_back_total < limit();
}

int memobj_room(void)
{
    u64 deadline = ktime_get_ns() + PAGER_REQUEST_LIMIT;

    while (!memobj_is_room()) {
        // Some more, so that not each fault has to.
        unsigned long over = memobj_page_total + 16 - min(limit(), memobj_page_total);

        if (memobj_page_total + 16 > limit())
            (void)evict(over);
        if (memobj_is_room())
            return 0;
        if (wait_event_killable_timeout(room, memobj_is_room(), HZ / 50) < 0)
            return -EINTR;
        if (ktime_get_ns() > deadline)
            return -ENOMEM;
    }
    return 0;
}

// --- Linux wants memory ------------------------------------------------------------------------

static unsigned long count_pages(struct shrinker *shrinker, struct shrink_control *control)
{
    return memobj_page_total;
}

static unsigned long scan_pages(struct shrinker *shrinker, struct shrink_control *control)
{
    unsigned long gone;

    if (!(control->gfp_mask & __GFP_FS))
        return SHRINK_STOP;
    gone = evict(control->nr_to_scan);
    control->nr_scanned = control->nr_to_scan;
    return gone != 0 ? gone : SHRINK_STOP;
}

static struct shrinker shrinker = {
    .count_objects = count_pages,
    .scan_objects = scan_pages,
    .seeks = DEFAULT_SEEKS,
};

int memobj_evict_begin(void)
{
    return register_shrinker(&shrinker, "corvus-memobj");
}
