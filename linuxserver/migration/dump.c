// SPDX-License-Identifier: GPL-2.0-only
// A process as a file, by requests of /dev/corvus-migrate: written down where SIGSTOP has stopped
// it, and made anew from that. So capture and build are tested on one node, without a move.
#include "linuxserver/migration/build.h"
#include "linuxserver/migration/capture.h"
#include "linuxserver/migration/capture_private.h"
#include "linuxserver/migration/migration.h"
#include "linuxserver/migration/package.h"

#include <linux/init.h>
#include <linux/mm.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/uaccess.h>

#include <corvus/migrate.h>

#define BYTES_MAX (1ul << 30)

_Static_assert(MIGRATE_REASON == MIGRATION_REASON, "reasons");

static bool is_stopped(struct task_struct *leader)
{
    struct task_struct *t;
    bool stopped = true;

    rcu_read_lock();
    for_each_thread(leader, t)
    {
        stopped = stopped && (task_is_stopped(t) || t->flags & PF_EXITING);
    }
    rcu_read_unlock();
    return stopped;
}

static long dump(struct task_struct *leader, struct migrate_dump *request)
{
    void *bytes;
    long error;

    if (!thread_group_leader(leader))
        return -ESRCH;
    error = capture_check_all(leader, request->reason);
    if (error)
        return error;
    if (!is_stopped(leader))
        return -EBUSY;
    error = capture_dump(leader, request->flags & MIGRATE_DUMP_PAGES, &bytes,
                         (size_t *)&request->count, request->reason);
    if (error)
        return error;
    if (request->count > request->room)
        error = -ENOSPC;
    else if (copy_to_user((void __user *)request->bytes, bytes, request->count))
        error = -EFAULT;
    kvfree(bytes);
    return error;
}

static long request_dump(struct file *file, void __user *argument)
{
    struct migrate_dump request;
    struct task_struct *leader;
    long error;

    if (copy_from_user(&request, argument, sizeof request))
        return -EFAULT;
    request.reason[0] = 0;
    leader = find_get_task_by_vpid((pid_t)request.pid);
    if (!leader)
        return -ESRCH;
    error = dump(leader, &request);
    put_task_struct(leader);
    return copy_to_user(argument, &request, sizeof request) ? -EFAULT : error;
}

// When it fails with the process already changed, there is nobody left to be told.
static long build(const void *bytes, struct migrate_build *request)
{
    const struct build_clocks clocks = {.real = request->clock_offsets[0],
                                        .monotonic = request->clock_offsets[1],
                                        .boot = request->clock_offsets[2]};
    struct migration_package package;
    const char *wrong = package_read(&package, bytes, request->count);
    int error;

    if (wrong) {
        scnprintf(request->reason, sizeof request->reason, "it is %s", wrong);
        return -EINVAL;
    }
    error = build_alone(&package, &clocks, request->reason);
    if (error)
        pr_info("migration: process %u cannot be built: %s (%d)\n", package.process->tgid,
                request->reason, error);
    return error;
}

static long request_build(struct file *file, void __user *argument)
{
    struct migrate_build request;
    void *bytes;
    long error = -EFAULT;

    if (copy_from_user(&request, argument, sizeof request))
        return -EFAULT;
    if (request.count > BYTES_MAX)
        return -EINVAL;
    request.reason[0] = 0;
    bytes = kvmalloc(request.count, GFP_KERNEL);
    if (!bytes)
        return -ENOMEM;
    if (!copy_from_user(bytes, (void __user *)request.bytes, request.count))
        error = build(bytes, &request);
    kvfree(bytes);
    if (error && copy_to_user(argument, &request, sizeof request))
        error = -EFAULT;
    return error;
}

static int __init begin(void)
{
    migration_device_handle(MIGRATE_DUMP, request_dump);
    migration_device_handle(MIGRATE_BUILD, request_build);
    return 0;
}
late_initcall(begin);
