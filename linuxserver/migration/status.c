// SPDX-License-Identifier: GPL-2.0-only
// How this node is doing, for `corvus top` of any node.
#include "linuxserver/migration/move_private.h"

#include <linux/init.h>
#include <linux/kernel_stat.h>
#include <linux/mm.h>
#include <linux/sched/loadavg.h>
#include <linux/sched/stat.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>

static u64 busy_time(void)
{
    const u64 *times = kcpustat_this_cpu->cpustat;

    return times[CPUTIME_USER] + times[CPUTIME_NICE] + times[CPUTIME_SYSTEM] +
           times[CPUTIME_SOFTIRQ] + times[CPUTIME_IRQ];
}

static void look_at_moved(struct migrate_node *status)
{
    const struct migration *migration = NULL;

    list_for_each_entry(migration, &move_all, link)
    {
        if (migration->resident && migration->run)
            status->guests++;
        else if (migration->state == SOURCE_AWAY && move_is_home(migration))
            status->away++;
    }
}

static void look_at_self(struct migrate_node *status)
{
    unsigned long load[3];

    *status = (struct migrate_node){
        .node = migration_self(),
        .nodes = migration_nodes(),
        .uptime = ktime_get_boottime_ns(),
        .busy = busy_time(),
        .total = (u64)totalram_pages() << PAGE_SHIFT,
        .available = (u64)si_mem_available() << PAGE_SHIFT,
        .running = nr_running(),
        .threads = (u32)nr_threads,
    };
    get_avenrun(load, FIXED_1 / 200, 0);
    for (unsigned int i = 0; i < ARRAY_SIZE(status->load); i++)
        status->load[i] = (u32)(load[i] * 100 >> FSHIFT);
    look_at_moved(status);
}

static void hear(unsigned int node, u64 call, u32 id, const u64 words[MIGRATION_WORDS],
                 const void *data, size_t bytes)
{
    struct migrate_node status;

    look_at_self(&status);
    if (call != 0)
        (void)migration_answer(node, call, words, &status, sizeof status);
}

static long ask(struct file *file, void __user *argument)
{
    struct migrate_node status;
    unsigned int node;
    u64 words[MIGRATION_WORDS] = {0};
    size_t came = sizeof status;
    int error;

    if (copy_from_user(&status, argument, sizeof status) != 0)
        return -EFAULT;
    node = status.node;
    if (node == 0 || node == migration_self()) {
        look_at_self(&status);
    } else {
        error = migration_connect(node);
        if (error == 0)
            error = migration_call(node, MESSAGE_NODE, words, NULL, 0, &status, &came);
        if (error == 0 && (came != sizeof status || status.node != node))
            error = -EPROTO;
        if (error != 0)
            return error;
    }
    return copy_to_user(argument, &status, sizeof status) != 0 ? -EFAULT : 0;
}

static int __init begin(void)
{
    migration_handle(MESSAGE_NODE, MESSAGE_NODE, hear);
    migration_device_handle(MIGRATE_NODE, ask);
    return 0;
}
device_initcall(begin);
