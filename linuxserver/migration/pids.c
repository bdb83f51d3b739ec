// SPDX-License-Identifier: GPL-2.0-only
// Each node gives pids of its own, as many to each as Linux's four million allow, 65,536 at most.
// So a process keeps its pid wherever it goes, and meets nobody who has it. A node with more
// threads at a time than that gives its neighbour's: such a process may be refused there (its pid
// is in use).
#include "linuxserver/migration/forward.h"
#include "linuxserver/migration/peer.h"

#include <linux/cred.h>
#include <linux/err.h>
#include <linux/init.h>
#include <linux/init_task.h>
#include <linux/kernel.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>

#define PIDS_MOST 65536u

static unsigned int count;

struct pid *__real_alloc_pid(struct pid_namespace *ns, pid_t *set_tid, size_t set_tid_size);
struct pid *__wrap_alloc_pid(struct pid_namespace *ns, pid_t *set_tid, size_t set_tid_size);
struct pid *__wrap_alloc_pid(struct pid_namespace *ns, pid_t *set_tid, size_t set_tid_size)
{
    unsigned int first = migration_self() * count;

    // Not the kernel's own threads, and init, which are there before processes and do not move. A
    // pid namespace inside gives what it likes, but has one of these, too.
    if (first != 0 && set_tid_size == 0 && system_state == SYSTEM_RUNNING) {
        unsigned int cursor = idr_get_cursor(&init_pid_ns.idr);

        if (cursor < first || cursor >= first + count)
            idr_set_cursor(&init_pid_ns.idr, first);
    }
    // Who clones may not ask for a number; that it is the stub's is the driver's doing.
    if (unlikely(set_tid_size != 0 && forward_clones())) {
        const struct cred *own = override_creds(&init_cred);
        struct pid *pid = __real_alloc_pid(ns, set_tid, set_tid_size);

        revert_creds(own);
        return pid;
    }
    return __real_alloc_pid(ns, set_tid, set_tid_size);
}

static int __init begin(void)
{
    pid_max = PID_MAX_LIMIT;
    count = min(PIDS_MOST, PID_MAX_LIMIT / roundup_pow_of_two(migration_nodes() + 1));
    return 0;
}
core_initcall(begin);
