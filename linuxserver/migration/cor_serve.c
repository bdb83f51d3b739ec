// SPDX-License-Identifier: GPL-2.0-only
// Address spaces that are served to other nodes, and the threads that answer. Requests that
// somebody waits for go first; one thread is kept for them, and more than one there is because an
// address space may be on reference itself, so that reading it waits for a third node.
#include "linuxserver/migration/cor_private.h"

#include <linux/kthread.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

#define THREADS     4u
#define BACKLOG     65536u // requests; nobody who keeps to the protocol comes near it
#define TESTS_FIRST BIT_ULL(63)
#define PIECE_PAGES 16u // in a message, at most

struct cor_serve_counts cor_serve_counts;

struct request {
    struct list_head link;
    unsigned int node;
    u64 call;
    u32 id;
    u64 words[MIGRATION_WORDS];
    size_t bytes;
    u8 data[];
};

// What a thread works with, from its first request on: most nodes never serve.
struct worker {
    struct cor_map maps[COR_MAPS_MOST];
    u8 room[COR_BLOCK_BYTES];
};

static LIST_HEAD(exports);
static LIST_HEAD(urgent);
static LIST_HEAD(others);
static unsigned int backlog;
static DECLARE_WAIT_QUEUE_HEAD(arrivals);
static DECLARE_WAIT_QUEUE_HEAD(urgent_arrivals); // of the thread that is kept for them
static unsigned int idle;                        // others

// --- Exports -------------------------------------------------------------------------------------

// Counted; NULL: there is none for that node.
static struct cor_export *find(u64 number, unsigned int node)
{
    struct cor_export *export;

    list_for_each_entry(export, &exports, link)
    {
        if (export->number == number && (export->node == 0 || export->node == node)) {
            export->users++;
            return export;
        }
    }
    return NULL;
}

static void put(struct cor_export *export)
{
    struct cor_served *range, *next;

    if (export == NULL || --export->users != 0)
        return;
    list_for_each_entry_safe(range, next, &export->ranges, link)
    {
        kfree(range);
    }
    // Not at once: this may be the thread that messages are heard by.
    if (export->kept)
        mmput_async(export->mm);
    mmdrop(export->mm);
    kfree(export);
}

static void end(struct cor_export *export)
{
    if (export->ended)
        return;
    export->ended = true;
    list_del(&export->link);
    put(export);
}

int cor_serve(struct mm_struct *mm, u64 number, unsigned int node)
{
    struct cor_export *export = kzalloc(sizeof(*export), GFP_KERNEL);
    struct cor_export *other = find(number, node);

    if (export == NULL || other != NULL) {
        kfree(export);
        put(other);
        return other != NULL ? -EEXIST : -ENOMEM;
    }
    export->users = 1;
    export->number = number;
    export->node = node;
    export->mm = mm;
    mmgrab(mm);
    INIT_LIST_HEAD(&export->ranges);
    list_add_tail(&export->link, &exports);
    return 0;
}

static struct cor_export *of_number(u64 number)
{
    struct cor_export *export;

    list_for_each_entry(export, &exports, link)
    {
        if (export->number == number)
            return export;
    }
    return NULL;
}

int cor_serve_range(u64 number, unsigned long start, unsigned long end)
{
    struct cor_served *range = kmalloc(sizeof(*range), GFP_KERNEL);
    struct cor_export *export = of_number(number);

    if (range == NULL || export == NULL) {
        kfree(range);
        return range == NULL ? -ENOMEM : -ESRCH;
    }
    range->start = start;
    range->end = end;
    list_add_tail(&range->link, &export->ranges);
    return 0;
}

void cor_serve_keep(u64 number)
{
    struct cor_export *export = of_number(number);

    if (export != NULL && !export->kept)
        export->kept = mmget_not_zero(export->mm);
}

bool cor_serves(u64 number)
{
    return of_number(number) != NULL;
}

void cor_serve_end(u64 number)
{
    struct cor_export *export, *next;

    list_for_each_entry_safe(export, next, &exports, link)
    {
        if (export->number == number)
            end(export);
    }
}

void cor_serve_gone(unsigned int node)
{
    struct cor_export *export, *next;

    list_for_each_entry_safe(export, next, &exports, link)
    {
        if (export->node == node)
            end(export);
    }
}

u64 cor_serve_remaining(u64 number)
{
    const struct cor_export *export = of_number(number);

    return export != NULL ? get_mm_rss(export->mm) : 0;
}

// For tests: the process is stopped by who asks, or waits.
static int export_process(pid_t pid, unsigned long start, unsigned long end, unsigned int node,
                          u64 *number)
{
    static u64 last = TESTS_FIRST;
    struct task_struct *task = find_get_task_by_vpid(pid);
    struct mm_struct *mm = task == NULL ? NULL : get_task_mm(task);
    int error = -ESRCH;

    if (mm != NULL) {
        *number = ++last;
        error = cor_serve(mm, *number, node);
        if (error == 0)
            error = cor_serve_range(*number, start, end);
        mmput(mm);
    }
    if (task != NULL)
        put_task_struct(task);
    return error;
}

// --- Answering -----------------------------------------------------------------------------------

// Waits while too much is under way to that node. Nobody is left without an answer but by the link.
static void answer(const struct request *request, const u64 words[MIGRATION_WORDS],
                   const void *data, size_t bytes)
{
    while (migration_answer(request->node, request->call, words, data, bytes) == -ENOMEM)
        schedule_timeout_idle(1);
}

static void do_maps(const struct request *request, const struct cor_export *export,
                    struct worker *worker)
{
    u64 address = request->words[1], regions = request->words[2];
    u64 words[MIGRATION_WORDS] = {0, regions};
    int error = -ESRCH;

    cor_serve_counts.maps++;
    if (export != NULL && address % COR_REGION_BYTES == 0 && regions <= COR_MAPS_MOST &&
        address < TASK_SIZE)
        error = cor_read_maps(export, address, (unsigned int)regions, worker->maps);
    words[0] = (u64)(s64)error;
    answer(request, words, worker->maps, error == 0 ? regions * sizeof(struct cor_map) : 0);
}

static void do_touch(const struct request *request, const struct cor_export *export,
                     struct worker *worker)
{
    u64 block = request->words[1], mask = request->words[2];
    u64 words[MIGRATION_WORDS] = {(u64)-ESRCH};
    struct cor_pages pages = {0};
    size_t bytes = 0;

    if (export != NULL && block % COR_BLOCK_BYTES == 0 && is_power_of_2(mask) &&
        block < TASK_SIZE &&
        cor_read_maps(export, block & ~(COR_REGION_BYTES - 1), 1, worker->maps) == 0) {
        cor_read_pages(export, block, mask, worker->room, &pages);
        words[0] = 0;
        words[1] = block;
        words[2] = pages.data_mask;
        words[3] = pages.zero_mask;
        words[4] = pages.failed_mask;
        bytes = sizeof(struct cor_map) + pages.bytes;
        memcpy(worker->room, worker->maps, sizeof(struct cor_map));
        if (pages.bytes != 0)
            memcpy(worker->room + sizeof(struct cor_map), pages.data, pages.bytes);
        cor_pages_put(&pages);
    }
    answer(request, words, worker->room, bytes);
}

static void send_pages(const struct request *request, const struct cor_export *export,
                       struct worker *worker, u64 mask)
{
    u64 block = request->words[1];
    u64 words[MIGRATION_WORDS] = {request->words[0], block};
    struct cor_pages pages = {.failed_mask = mask};

    if (export != NULL && block % COR_BLOCK_BYTES == 0 && block < TASK_SIZE)
        cor_read_pages(export, block, mask, worker->room, &pages);
    words[2] = pages.data_mask;
    words[3] = pages.zero_mask;
    words[4] = pages.failed_mask;
    cor_serve_counts.pages += hweight64(pages.data_mask);
    cor_serve_counts.zero += hweight64(pages.zero_mask);
    cor_serve_counts.failed += hweight64(pages.failed_mask);
    while (migration_send(request->node, COR_PAGES, words, pages.data, pages.bytes) == -ENOMEM)
        schedule_timeout_idle(1);
    cor_pages_put(&pages);
}

// In several messages: the network server has PIECE_PAGES and more under way at a time, and what
// somebody waits for is not behind a whole block.
static void do_fetch(const struct request *request, const struct cor_export *export,
                     struct worker *worker)
{
    u64 mask = request->words[2];

    cor_serve_counts.requests++;
    while (mask != 0) {
        u64 piece = 0;

        for (unsigned int i = 0; i < PIECE_PAGES && mask != 0; i++) {
            piece |= mask & -mask;
            mask &= mask - 1;
        }
        send_pages(request, export, worker, piece);
    }
}

static void do_free(const struct request *request, const struct cor_export *export)
{
    size_t count = request->bytes / sizeof(struct cor_freed);
    const struct cor_freed *freed = (const struct cor_freed *)request->data;

    for (size_t i = 0; i < count; i++) {
        cor_serve_counts.freed += hweight64(freed[i].mask);
        if (freed[i].block % COR_BLOCK_BYTES != 0 || freed[i].block >= TASK_SIZE) {
            cor_serve_counts.refused++;
            return;
        }
    }
    if (export != NULL)
        cor_read_free(export, freed, count);
}

static void do_export(const struct request *request)
{
    u64 words[MIGRATION_WORDS] = {0};

    words[0] = (u64)(s64)export_process((pid_t)request->words[0], request->words[1],
                                        request->words[2], request->node, &words[1]);
    answer(request, words, NULL, 0);
}

static void serve(const struct request *request, struct worker *worker)
{
    struct cor_export *export =
        request->id == COR_EXPORT ? NULL : find(request->words[0], request->node);

    if (request->id == COR_MAPS)
        do_maps(request, export, worker);
    else if (request->id == COR_TOUCH)
        do_touch(request, export, worker);
    else if (request->id == COR_FETCH)
        do_fetch(request, export, worker);
    else if (request->id == COR_FREE)
        do_free(request, export);
    else if (request->id == COR_EXPORT)
        do_export(request);
    else if (export != NULL) {
        cor_read_free_all(export);
        end(export);
    }
    put(export);
}

// --- Threads -------------------------------------------------------------------------------------

void cor_serve_message(unsigned int node, u64 call, u32 id, const u64 words[MIGRATION_WORDS],
                       const void *data, size_t bytes)
{
    bool is_call = id == COR_MAPS || id == COR_TOUCH || id == COR_EXPORT;
    bool is_urgent = is_call || (id == COR_FETCH && is_power_of_2(words[2]));
    struct request *request;

    if (id < COR_MAPS || id > COR_EXPORT || is_call != (call != 0) ||
        (id == COR_FREE && bytes % sizeof(struct cor_freed) != 0) || backlog >= BACKLOG) {
        cor_serve_counts.refused++;
        return;
    }
    request = kmalloc(sizeof(*request) + bytes, GFP_KERNEL | __GFP_NOFAIL);
    request->node = node;
    request->call = call;
    request->id = id;
    memcpy(request->words, words, sizeof(request->words));
    request->bytes = bytes;
    memcpy(request->data, data, bytes);
    list_add_tail(&request->link, is_urgent ? &urgent : &others);
    backlog++;
    wake_up(is_urgent && idle == 0 ? &urgent_arrivals : &arrivals);
}

static void wait_for_work(bool urgent_only)
{
    if (urgent_only) {
        wait_event_idle_exclusive(urgent_arrivals, !list_empty(&urgent));
        return;
    }
    idle++;
    wait_event_idle_exclusive(arrivals, !list_empty(&urgent) || !list_empty(&others));
    idle--;
}

static int run(void *context)
{
    bool urgent_only = context != NULL;
    struct worker *worker = NULL;

    for (;;) {
        struct request *request;

        wait_for_work(urgent_only);
        request = list_first_entry(list_empty(&urgent) ? &others : &urgent, struct request, link);
        list_del(&request->link);
        backlog--;
        if (worker == NULL)
            worker = kvzalloc(sizeof(*worker), GFP_KERNEL | __GFP_NOFAIL);
        serve(request, worker);
        kfree(request);
    }
    return 0;
}

int cor_serve_begin(void)
{
    for (unsigned int i = 0; i < THREADS; i++) {
        // The first is kept for what is urgent.
        int error =
            PTR_ERR_OR_ZERO(kthread_run(run, i == 0 ? &urgent : NULL, "corvus-serve/%u", i));

        if (error != 0)
            return error;
    }
    return 0;
}
