// SPDX-License-Identifier: GPL-2.0-only
// The background: one thread that asks for the maps of all ranges as soon as a process runs, and
// then brings its pages over, until no slot is left. A page is asked for, waited for without
// holding anything, and then mapped by an ordinary fault; so it is where it would have been after a
// touch.
#include "linuxserver/migration/cor_private.h"

#include <linux/init.h>
#include <linux/kthread.h>
#include <linux/moduleparam.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

// /sys/module/cor/parameters/drain: 0 leaves pages where they are until they are touched (but for
// those who wait for the drain).
#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "cor."
static bool drain = true;
static int drain_set(const char *text, const struct kernel_param *parameter)
{
    int error = param_set_bool(text, parameter);

    cor_drain_wake();
    return error;
}
static const struct kernel_param_ops drain_ops = {.set = drain_set, .get = param_get_bool};
module_param_cb(drain, &drain_ops, &drain, 0644);

#define SPAN_LEAST 64u  // pages that are under way while the process faults
#define SPAN_MOST  512u // and when it does not; two spans are, so 4 MiB
#define QUIET      (HZ / 10)
#define AGAIN      (HZ / 10) // when nothing could be done, though something is left

static DECLARE_WAIT_QUEUE_HEAD(waiting);
static DECLARE_WAIT_QUEUE_HEAD(drained);
static bool awake;

void cor_drain_wake(void)
{
    awake = true;
    wake_up(&waiting);
    wake_up_all(&drained);
}

bool cor_memory_is_short(void)
{
    return si_mem_available() < (long)(totalram_pages() / 10);
}

// --- Walking ----------------------------------------------------------------------------------

// The slot at the address, or 0; *next: the address where to look next.
static swp_entry_t slot_at(struct mm_struct *mm, unsigned long address, unsigned long *next)
{
    pte_t *pte = cor_entry_of(mm, address, next);

    if (pte == NULL)
        return (swp_entry_t){0};
    *next = address + PAGE_SIZE;
    if (pte_none(*pte) || pte_present(*pte) || !cor_is_slot(pte_to_swp_entry(*pte)))
        return (swp_entry_t){0};
    return pte_to_swp_entry(*pte);
}

// The next slot of [*address, end) in a mapping, which is *vma; 0: none. Under mmap_lock.
static swp_entry_t next_slot(struct mm_struct *mm, unsigned long *address, unsigned long end,
                             struct vm_area_struct **vma)
{
    while (*address < end) {
        unsigned long next;

        *vma = find_vma(mm, *address);
        if (*vma == NULL || (*vma)->vm_start >= end)
            break;
        *address = max(*address, (*vma)->vm_start);
        while (*address < min(end, (*vma)->vm_end)) {
            swp_entry_t slot = slot_at(mm, *address, &next);
            if (slot.val != 0)
                return slot;
            *address = next;
        }
        *address = min(*address, (*vma)->vm_end);
    }
    return (swp_entry_t){0};
}

// --- Spans ------------------------------------------------------------------------------------

// Pages that have been asked for together, from `start` to before `end`.
struct span {
    unsigned long start, end;
    unsigned int count;
    struct page *pages[SPAN_MOST];
};

static bool is_lost(swp_entry_t slot)
{
    unsigned int page;
    struct cor_region *region = cor_region_of(slot, &page);

    return region == NULL || region->source->lost;
}

// Asks for the next slots of [span->start, end).
static void ask_span(struct mm_struct *mm, struct span *span, unsigned long end, unsigned int most)
{
    struct cor_batch batch = {.why = COR_DRAIN};
    struct vm_area_struct *vma;
    swp_entry_t slot;

    span->count = 0;
    span->end = span->start;
    mmap_read_lock(mm);
    for (; span->count < most && (slot = next_slot(mm, &span->end, end, &vma)).val != 0;
         span->end += PAGE_SIZE) {
        if (is_lost(slot))
            continue;
        if (!cor_ask(slot, &batch, GFP_HIGHUSER_MOVABLE | __GFP_NORETRY | __GFP_NOWARN, vma,
                     span->end))
            break;
        struct page *page = cor_cached(slot);
        if (page != NULL && (PageLocked(page) || PageUptodate(page)))
            span->pages[span->count++] = page;
        else if (page != NULL)
            put_page(page); // it could not be had
    }
    cor_batch_send(&batch);
    mmap_read_unlock(mm);
}

static void map_slot(struct vm_area_struct *vma, unsigned long address, swp_entry_t slot)
{
    // To be written to at once, if it is this address space's alone: that spares a second fault.
    bool write = vma->vm_flags & VM_WRITE && cor_slot_users(slot) == 1;
    struct page *page = cor_cached(slot);

    if (page == NULL)
        return;
    if (PageUptodate(page) && !PageLocked(page)) {
        (void)handle_mm_fault(vma, address, FAULT_FLAG_REMOTE | (write ? FAULT_FLAG_WRITE : 0),
                              NULL);
        lock_page(page);
        (void)folio_free_swap(page_folio(page));
        unlock_page(page);
    }
    put_page(page);
}

// Waits for the pages, and maps them.
static void map_span(struct mm_struct *mm, struct span *span)
{
    unsigned long address = span->start;
    struct vm_area_struct *vma;
    swp_entry_t slot;

    for (unsigned int i = 0; i < span->count; i++) {
        wait_on_page_locked(span->pages[i]);
        put_page(span->pages[i]);
    }
    if (span->count == 0)
        return;
    mmap_read_lock(mm);
    for (; (slot = next_slot(mm, &address, span->end, &vma)).val != 0; address += PAGE_SIZE)
        map_slot(vma, address, slot);
    mmap_read_unlock(mm);
    lru_add_drain();
    cond_resched();
}

// --- Address spaces ------------------------------------------------------------------------------

static unsigned int span_size(const struct cor_source *source, unsigned int last)
{
    if (source != NULL && time_before(jiffies, source->last_fault_at + QUIET))
        return SPAN_LEAST;
    return min(last * 2, SPAN_MOST);
}

// All of [start, end); two spans are under way at a time.
static void drain_range(struct mm_struct *mm, const struct cor_source *source, struct span *spans,
                        unsigned long start, unsigned long end)
{
    unsigned int size = SPAN_LEAST;

    spans[0].start = start;
    ask_span(mm, &spans[0], end, size);
    for (unsigned int i = 0; spans[i].count != 0; i ^= 1) {
        size = span_size(source, size);
        spans[i ^ 1].start = spans[i].end;
        spans[i ^ 1].count = 0;
        if (!cor_memory_is_short() && !(current->mm != NULL && fatal_signal_pending(current)))
            ask_span(mm, &spans[i ^ 1], end, size);
        map_span(mm, &spans[i]);
    }
}

// False: there was nothing to do, or nothing could be done.
static bool drain_mm(struct mm_struct *mm, const struct cor_source *source, struct span *spans)
{
    unsigned long middle = source == NULL ? 0 : source->last_fault & PAGE_MASK;
    unsigned long before = get_mm_counter(mm, MM_SWAPENTS);

    drain_range(mm, source, spans, middle, TASK_SIZE);
    if (middle != 0)
        drain_range(mm, source, spans, 0, middle);
    return get_mm_counter(mm, MM_SWAPENTS) < before;
}

// --- Maps ----------------------------------------------------------------------------------------

// Asks for the maps of one range, as far as one message goes, and installs them. False: it can not.
static bool resolve(struct mm_struct *mm, struct cor_range *range, struct cor_map *maps)
{
    struct cor_source *source = range->source;
    unsigned long address = range->start & ~(COR_REGION_BYTES - 1);
    u64 count = min_t(u64, DIV_ROUND_UP(range->end - address, COR_REGION_BYTES), COR_MAPS_MOST);
    u64 words[MIGRATION_WORDS] = {source->number, address, count};
    size_t bytes = COR_MAPS_MOST * sizeof(*maps);
    int error;

    cor_source_get(source);
    error = migration_call(source->node, COR_MAPS, words, NULL, 0, maps, &bytes);
    if (error == 0 && (words[0] != 0 || bytes != count * sizeof(*maps))) {
        cor_source_lose(source, "does not know its process");
        error = -EHOSTDOWN;
    }
    for (u64 i = 0; error == 0 && i < count; i++) {
        mmap_read_lock(mm);
        error = cor_install(mm, source, address + i * COR_REGION_BYTES, &maps[i]);
        mmap_read_unlock(mm);
        cond_resched();
    }
    cor_source_put(source);
    return error == 0;
}

static bool resolve_all(struct cor_space *space, struct cor_map *maps)
{
    struct cor_range *range;
    bool any = false;

again:
    list_for_each_entry(range, &space->ranges, link)
    {
        if (!range->source->started || range->source->lost)
            continue;
        if (!resolve(space->mm, range, maps))
            return any;
        any = true;
        goto again;
    }
    return any;
}

// --- What has been read and mapped, but keeps its slot -------------------------------------------

static void sweep(struct cor_source *source)
{
    struct cor_region *region;
    unsigned long index;

    xa_for_each(&source->regions, index, region)
    {
        swp_entry_t first = region->slots;

        for (unsigned int i = 0; i < COR_REGION_PAGES; i++) {
            swp_entry_t slot = {first.val + i};
            struct page *page = cor_slot_users(slot) == 0 ? cor_cached(slot) : NULL;
            if (page == NULL)
                continue;
            lock_page(page);
            (void)folio_free_swap(page_folio(page));
            unlock_page(page);
            put_page(page);
        }
        cond_resched();
    }
}

// --- The thread ----------------------------------------------------------------------------------

static struct cor_source *wanted(void)
{
    struct cor_source *source;

    if (cor_memory_is_short())
        return NULL;
    list_for_each_entry(source, &cor_sources, link)
    {
        if (source->started && !source->lost && source->slots != 0 && (drain || source->eager))
            return source;
    }
    return NULL;
}

static bool tend_space(struct cor_space *space, struct cor_map *maps, struct span *spans)
{
    struct cor_source *source;
    bool any;

    if (!mmget_not_zero(space->mm))
        return false;
    any = resolve_all(space, maps);
    source = wanted();
    if (source != NULL) {
        cor_source_get(source);
        any |= drain_mm(space->mm, source, spans);
        cor_source_put(source);
    }
    mmput(space->mm);
    return any;
}

// True: something was done.
static bool tend_all(struct cor_map *maps, struct span *spans)
{
    struct cor_space *space = list_first_entry(&cor_spaces, struct cor_space, link);
    struct cor_source *source;
    bool any = false;

    if (list_empty(&cor_spaces))
        return false;
    cor_space_get(space);
    while (space != NULL) {
        struct cor_space *next;

        any |= tend_space(space, maps, spans);
        next = list_next_entry(space, link);
        if (&next->link == &cor_spaces)
            next = NULL;
        else
            cor_space_get(next);
        cor_space_put(space);
        space = next;
    }
    source = wanted();
    if (source != NULL) {
        cor_source_get(source);
        sweep(source);
        cor_source_put(source);
    }
    return any;
}

struct room {
    struct cor_map maps[COR_MAPS_MOST];
    struct span spans[2];
};

static bool is_left(void)
{
    struct cor_source *source;

    list_for_each_entry(source, &cor_sources, link)
    {
        if (source->started && !source->lost &&
            (source->ranges != 0 || (source->slots != 0 && (drain || source->eager))))
            return true;
    }
    return false;
}

static int run(void *unused)
{
    struct room *room = unused;

    set_user_nice(current, MAX_NICE);
    for (;;) {
        awake = false;
        while (tend_all(room->maps, room->spans))
            cond_resched();
        wake_up_all(&drained);
        wait_event_idle_timeout(waiting, awake, is_left() ? AGAIN : MAX_SCHEDULE_TIMEOUT);
    }
    return 0;
}

int cor_drain_begin(void)
{
    struct room *room = kvzalloc(sizeof(*room), GFP_KERNEL);

    return room == NULL ? -ENOMEM : PTR_ERR_OR_ZERO(kthread_run(run, room, "corvus-drain"));
}

// --- Who waits for it ----------------------------------------------------------------------------

int cor_wait_drained(unsigned int node, u64 number)
{
    struct cor_source *source = cor_source_find(node, number);
    int error;

    if (source == NULL)
        return 0;
    cor_source_get(source);
    source->eager = true;
    cor_drain_wake();
    error = wait_event_killable(drained, cor_source_is_over(source) || source->lost);
    if (error == 0 && source->lost && !cor_source_is_over(source))
        error = -EHOSTDOWN;
    cor_source_put(source);
    return error == -ERESTARTSYS ? -EINTR : error;
}

// Whether a slot is left in the address space.
static bool has_slot(struct mm_struct *mm)
{
    struct vm_area_struct *vma;
    unsigned long address = 0;
    bool has;

    mmap_read_lock(mm);
    has = next_slot(mm, &address, TASK_SIZE, &vma).val != 0;
    mmap_read_unlock(mm);
    return has;
}

int cor_settle(struct mm_struct *mm)
{
    struct span *spans;
    int error;

    if (!cor_concerns(mm))
        return 0;
    spans = kvzalloc(2 * sizeof(*spans), GFP_KERNEL);
    if (spans == NULL)
        return -ENOMEM;
    mmap_read_lock(mm);
    error = cor_resolve_locked(mm, 0, TASK_SIZE);
    mmap_read_unlock(mm);
    while (error == 0 && has_slot(mm)) {
        if (fatal_signal_pending(current))
            error = -EINTR;
        else if (!drain_mm(mm, NULL, spans))
            error = -EHOSTDOWN; // what is left is lost
    }
    kvfree(spans);
    return error;
}
