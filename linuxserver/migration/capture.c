// SPDX-License-Identifier: GPL-2.0-only
#include "linuxserver/migration/capture.h"
#include "linuxserver/migration/capture_private.h"
#include "linuxserver/migration/features.h"

#include <linux/file.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/timekeeping.h>

void *gather(struct gathered *gathered, size_t item_bytes)
{
    if (gathered->count == gathered->room) {
        size_t room = gathered->room ? 2 * gathered->room : 32;
        void *items = kvcalloc(room, item_bytes, GFP_KERNEL);

        if (!items)
            return NULL;
        if (gathered->count > 0)
            memcpy(items, gathered->items, gathered->count * item_bytes);
        kvfree(gathered->items);
        gathered->items = items;
        gathered->room = room;
    }
    return (char *)gathered->items + item_bytes * gathered->count++;
}

int capture_text(struct capture *capture, const char *string)
{
    size_t at = capture->text.count;

    if (*string == 0 && at > 0)
        return 0;
    do {
        char *to = gather(&capture->text, 1);

        if (!to)
            return -ENOMEM;
        *to = *string;
    } while (*string++);
    return (int)at;
}

// --- Threads -------------------------------------------------------------------------------------

static int by_number(const void *left, const void *right)
{
    const struct task_struct *const *a = left, *const *b = right;

    return (*a)->pid < (*b)->pid ? -1 : (*a)->pid > (*b)->pid;
}

// Under rcu_read_lock there is no memory to be had, so there is room beforehand; none are made
// meanwhile, for all stand still.
static int gather_threads(struct capture *capture)
{
    struct task_struct *t, *leader = capture->leader;
    size_t room = (size_t)leader->signal->nr_threads;
    struct gathered *to = &capture->threads;

    to->items = kvcalloc(room, sizeof t, GFP_KERNEL);
    if (!to->items)
        return -ENOMEM;
    to->room = room;
    rcu_read_lock();
    capture_threads(capture)[to->count++] = get_task_struct(leader);
    for_each_thread(leader, t)
    {
        if (t != leader && !(t->flags & PF_EXITING) && to->count < room)
            capture_threads(capture)[to->count++] = get_task_struct(t);
    }
    rcu_read_unlock();
    sort(capture_threads(capture) + 1, to->count - 1, sizeof t, by_number, NULL);
    return 0;
}

// --- The process ---------------------------------------------------------------------------------

// The program's path, in the text.
static int gather_name(struct capture *capture)
{
    struct file *file = get_mm_exe_file(capture->mm);
    char *room = kmalloc(PATH_MAX, GFP_KERNEL);
    const char *path = "";
    int at;

    if (file && room)
        path = file_path(file, room, PATH_MAX);
    at = room ? capture_text(capture, IS_ERR(path) ? "" : path) : -ENOMEM;
    kfree(room);
    if (file)
        fput(file);
    return at;
}

static void write_process(struct capture *capture)
{
    struct package_process *to = capture->records.process;
    struct task_struct *leader = capture->leader;
    const struct signal_struct *signal = leader->signal;

    to->tgid = (u32)leader->tgid;
    if (signal->flags & SIGNAL_STOP_STOPPED && !(capture->flags & CAPTURE_BY_STOP))
        to->flags |= PACKAGE_STOPPED;
    to->umask = (u32)leader->fs->umask;
    to->clock_real = ktime_get_real_ns();
    to->clock_monotonic = ktime_get_ns();
    to->clock_boot = ktime_get_boottime_ns();
    to->oom_score_adj = signal->oom_score_adj;
    to->user_time = signal->utime;
    to->system_time = signal->stime;
    to->children_user_time = signal->cutime;
    to->children_system_time = signal->cstime;
    features_read(to->features, &to->xcr0);
    for (size_t i = 0; i < RLIM_NLIMITS; i++) {
        capture->records.limits[i] = (struct package_limit){.now = signal->rlim[i].rlim_cur,
                                                            .most = signal->rlim[i].rlim_max};
    }
}

static int write_all(struct capture *capture)
{
    int error = 0;

    write_process(capture);
    capture_bounds(capture);
    capture_handlers(capture);
    capture_alarms(capture);
    for (size_t i = 0; i < capture->threads.count && !error; i++)
        error = capture_thread(capture, i);
    capture_times(capture);
    return error ?: capture_pages(capture);
}

// --- All of it -----------------------------------------------------------------------------------

static int gather_all(struct capture *capture, int *name)
{
    int error = capture_text(capture, "");

    if (!error)
        error = gather_threads(capture);
    if (!error)
        error = capture_gather_groups(capture);
    if (!error)
        error = capture_gather_signals(capture);
    if (!error)
        error = capture_gather_timers(capture);
    if (!error)
        error = capture_gather_memory(capture);
    *name = error ?: gather_name(capture);
    return *name < 0 ? *name : 0;
}

static void copy_gathered(void *to, const struct gathered *from, size_t item_bytes)
{
    if (from->count > 0)
        memcpy(to, from->items, from->count * item_bytes);
}

static int lay_out_and_write(struct capture *capture, int name, void **bytes, size_t *count)
{
    const size_t counts[PACKAGE_SECTIONS] = {
        [PACKAGE_SECTION_process] = 1,
        [PACKAGE_SECTION_threads] = capture->threads.count,
        [PACKAGE_SECTION_vectors] = capture->threads.count,
        [PACKAGE_SECTION_handlers] = _NSIG,
        [PACKAGE_SECTION_limits] = RLIM_NLIMITS,
        [PACKAGE_SECTION_signals] = capture->signals.count,
        [PACKAGE_SECTION_timers] = capture->timers.count,
        [PACKAGE_SECTION_groups] = capture->groups.count,
        [PACKAGE_SECTION_vmas] = capture->vmas.count,
        [PACKAGE_SECTION_pages] = capture->pages.count,
        [PACKAGE_SECTION_text] = capture->text.count,
    };
    struct package_room *records = &capture->records;
    int error;

    *count = package_bytes(counts);
    if (*count == 0)
        return capture_refuse(capture->reason, "it has too many threads, mappings or signals");
    *bytes = kvmalloc(*count, GFP_KERNEL);
    if (!*bytes)
        return -ENOMEM;
    package_lay_out(records, *bytes, counts);
    records->process->name = (u32)name;
    copy_gathered(records->signals, &capture->signals, sizeof *records->signals);
    copy_gathered(records->timers, &capture->timers, sizeof *records->timers);
    copy_gathered(records->groups, &capture->groups, sizeof *records->groups);
    copy_gathered(records->vmas, &capture->vmas, sizeof *records->vmas);
    copy_gathered(records->text, &capture->text, sizeof *records->text);
    error = write_all(capture);
    if (error) {
        kvfree(*bytes);
        return error;
    }
    package_seal(*bytes, counts);
    return 0;
}

static void release(struct capture *capture)
{
    for (size_t i = 0; i < capture->threads.count; i++)
        put_task_struct(capture_threads(capture)[i]);
    kvfree(capture->threads.items);
    kvfree(capture->signals.items);
    kvfree(capture->timers.items);
    kvfree(capture->groups.items);
    kvfree(capture->vmas.items);
    kvfree(capture->text.items);
    kvfree(capture->pages.items);
    mmput(capture->mm);
}

static int capture_with(struct task_struct *leader, unsigned int flags, void **bytes, size_t *count,
                        char *reason)
{
    struct capture capture = {.leader = leader, .flags = flags, .reason = reason};
    int error = capture_check_all(leader, reason);
    int name;

    if (error)
        return error;
    capture.mm = get_task_mm(leader);
    if (!capture.mm)
        return capture_refuse(reason, "it is ending");
    error = gather_all(&capture, &name);
    if (!error)
        error = lay_out_and_write(&capture, name, bytes, count);
    release(&capture);
    if (error == -ENOMEM)
        (void)capture_refuse(reason, "there is no memory to write it down");
    return error;
}

int capture_process(struct task_struct *leader, void **bytes, size_t *count,
                    char reason[MIGRATION_REASON])
{
    return capture_with(leader, 0, bytes, count, reason);
}

int capture_dump(struct task_struct *leader, bool all_pages, void **bytes, size_t *count,
                 char reason[MIGRATION_REASON])
{
    return capture_with(leader, CAPTURE_BY_STOP | (all_pages ? CAPTURE_ALL_PAGES : 0), bytes, count,
                        reason);
}

// What the target must know beforehand.
int capture_check(struct task_struct *leader, struct package_process *process,
                  char reason[MIGRATION_REASON])
{
    int error = capture_check_all(leader, reason);
    struct mm_struct *mm;

    if (error)
        return error;
    mm = get_task_mm(leader);
    if (!mm)
        return capture_refuse(reason, "it is ending");
    process->tgid = (u32)leader->tgid;
    process->resident = get_mm_rss(mm);
    features_read(process->features, &process->xcr0);
    mmput(mm);
    return 0;
}

void capture_moved(struct task_struct *leader, const struct migration_package *package)
{
    capture_drop_signals(leader, package);
    capture_drop_timers(leader);
}
