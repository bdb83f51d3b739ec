// SPDX-License-Identifier: GPL-2.0-only
// Requests of /dev/corvus-migrate about forwarding: what a shepherd tells of its child, and a test
// on one node, in which a process becomes the stub of another one.
#include "linuxserver/migration/forward_private.h"

#include <corvus/migrate.h>

#include <linux/delay.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

static long status(struct file *file, void __user *argument)
{
    struct migrate_status given;

    if (copy_from_user(&given, argument, sizeof given) != 0)
        return -EFAULT;
    forward_status(given.pid, given.status);
    return 0;
}

// The caller's descriptors may be closed meanwhile, this one, too.
static long be_stub(struct file *file, void __user *argument)
{
    if (!thread_group_empty(current))
        return -EBUSY;
    get_file(file);
    stub_serve((void *)(unsigned long)migration_self());
    fput(file);
    return 0;
}

#define STUB_WAIT 500 // 10 ms

static long forward_to(struct file *file, void __user *argument)
{
    struct migrate_pid given;
    int error = -ESRCH;

    if (copy_from_user(&given, argument, sizeof given) != 0)
        return -EFAULT;
    if (!thread_group_empty(current))
        return -EBUSY;
    for (int i = 0; stub_find(given.pid) == NULL; i++) {
        if (i == STUB_WAIT)
            return -ESRCH;
        if (msleep_interruptible(10) != 0)
            return -EINTR;
    }
    error = forward_attach(current, migration_self(), given.pid, given.pid, true);
    if (error != 0)
        return error;
    // What a C library remembers of its first thread.
    if (current->clear_child_tid != NULL)
        (void)put_user(given.pid, current->clear_child_tid);
    get_file(file);
    error = __close_range(0, ~0u, 0);
    fput(file);
    return error;
}

static int __init begin(void)
{
    migration_device_handle(MIGRATE_STATUS, status);
    migration_device_handle(MIGRATE_BE_STUB, be_stub);
    migration_device_handle(MIGRATE_FORWARD_TO, forward_to);
    return 0;
}
device_initcall(begin);
