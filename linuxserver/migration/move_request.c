// SPDX-License-Identifier: GPL-2.0-only
// Who wants a process moved, here or where it runs: its home knows where that is, and asks there.
// What is on reference in its memory comes first, while it runs: so no page is ever asked for by
// more than one other node, and pages are on one node only but for those that are to follow.
#include "linuxserver/migration/forward.h"
#include "linuxserver/migration/move_private.h"

#include <linux/init.h>
#include <linux/mm.h>
#include <linux/ktime.h>
#include <linux/pid.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

#define SETTLED_WAIT (5 * HZ) // ticks, one by one

static u64 last_move;

static struct task_struct *leader_of(pid_t number)
{
    struct task_struct *leader = NULL;
    struct pid *pid;

    rcu_read_lock();
    pid = find_vpid(number);
    leader = pid != NULL ? pid_task(pid, PIDTYPE_TGID) : NULL;
    if (leader != NULL)
        get_task_struct(leader);
    rcu_read_unlock();
    return leader;
}

// No life of this node has given it before: other nodes may know moves of those yet.
static u64 next_number(void)
{
    last_move = max(last_move + 1, ktime_get_real_ns());
    return last_move;
}

static struct migration *make(struct task_struct *leader, unsigned int node, bool eager,
                              char reason[MIGRATION_REASON], int *error)
{
    struct package_process *process = kzalloc(sizeof *process, GFP_KERNEL);
    struct migration *migration = NULL;

    *error = process == NULL ? -ENOMEM : capture_check(leader, process, reason);
    // Nobody may have begun meanwhile.
    if (*error == 0 && move_under_way(leader->tgid) != NULL) {
        *error = -EALREADY;
        (void)strscpy(reason, "it is moving", MIGRATION_REASON);
    }
    if (*error == 0) {
        migration = move_make(migration_self(), next_number(), leader->tgid);
        *error = migration == NULL ? -ENOMEM : 0;
    }
    if (migration == NULL) {
        kfree(process);
        return NULL;
    }
    migration->home = forward_home(leader->tgid);
    if (migration->home == 0)
        migration->home = migration_self();
    migration->outline = process;
    migration->target = node;
    migration->eager = eager;
    migration->leader = leader;
    get_task_struct(leader);
    get_task_comm(migration->comm, leader);
    migration->limit = jiffies + MOVE_LIMIT;
    return migration;
}

static bool is_decided(const struct migration *migration)
{
    return migration->state == SOURCE_AWAY || migration->state == SOURCE_LOST ||
           migration->state == SOURCE_ABORTED;
}

static int await(struct migration *migration, char reason[MIGRATION_REASON])
{
    if (wait_event_interruptible(migration->wait, is_decided(migration)) != 0) {
        move_fails(migration, -EINTR, "it was called off");
        move_event(migration, CANCEL);
        if (wait_event_killable(migration->wait, is_decided(migration)) != 0)
            return -EINTR;
    }
    if (migration->state == SOURCE_AWAY)
        return 0;
    if (migration->state == SOURCE_LOST)
        move_fails(migration, -EHOSTDOWN, "it died with node %u", migration->target);
    else
        move_fails(migration, -EHOSTDOWN, "node %u is not there", migration->target);
    (void)strscpy(reason, migration->reason, MIGRATION_REASON);
    return migration->error;
}

// Until none of its memory is here any more.
static int await_pages(const struct migration *migration, char reason[MIGRATION_REASON])
{
    while (!migration->over && migration->state == SOURCE_AWAY &&
           cor_serve_remaining(migration->move) != 0) {
        schedule_timeout_interruptible(HZ / 20 + 1);
        if (signal_pending(current)) {
            (void)strscpy(reason, "it has moved, but not all of its memory", MIGRATION_REASON);
            return -EINTR;
        }
    }
    if (migration->state != SOURCE_LOST)
        return 0;
    (void)strscpy(reason, "it died there before its memory had followed", MIGRATION_REASON);
    return -EHOSTDOWN;
}

// --- Where it runs -------------------------------------------------------------------------

// What is on reference in its memory comes over.
static int settle(struct task_struct *leader, char reason[MIGRATION_REASON])
{
    struct mm_struct *mm = get_task_mm(leader);
    int error = mm != NULL ? cor_settle(mm) : 0;

    if (mm != NULL)
        mmput(mm);
    if (error == -EINTR)
        (void)strscpy(reason, "it was called off", MIGRATION_REASON);
    else if (error != 0)
        (void)snprintf(reason, MIGRATION_REASON, "its memory cannot be had: error %d", -error);
    return error;
}

// The move before this one: its source has to hear first that it has come.
static int await_settled(const struct task_struct *leader, char reason[MIGRATION_REASON])
{
    const struct migration *migration;

    for (unsigned int i = 0; (migration = move_under_way(leader->tgid)) != NULL; i++) {
        if (migration->state != TARGET_RUNNING || i == SETTLED_WAIT) {
            (void)strscpy(reason, "it is moving", MIGRATION_REASON);
            return -EALREADY;
        }
        schedule_timeout_interruptible(1);
        if (signal_pending(current))
            return -EINTR;
    }
    return 0;
}

static int begin_here(struct task_struct *leader, unsigned int node, bool eager,
                      char reason[MIGRATION_REASON])
{
    u64 asked = ktime_get_ns();
    struct migration *migration = NULL;
    int error = await_settled(leader, reason);

    if (error == 0)
        error = settle(leader, reason);
    if (error == 0)
        migration = make(leader, node, eager, reason, &error);
    if (migration == NULL)
        return error;
    migration->since[SOURCE_IDLE] = asked;
    move_event(migration, BEGIN);
    error = await(migration, reason);
    if (error == 0 && eager)
        error = await_pages(migration, reason);
    migration_put(migration);
    return error;
}

// --- Elsewhere -----------------------------------------------------------------------------

static int ask(unsigned int where, pid_t pid, unsigned int node, bool eager,
               char reason[MIGRATION_REASON])
{
    u64 words[MIGRATION_WORDS] = {(u64)pid, node, eager};
    size_t bytes = MIGRATION_REASON - 1;
    int error = migration_connect(where);

    if (error == 0)
        error = migration_call(where, MESSAGE_MOVE, words, NULL, 0, reason, &bytes);
    if (error == 0)
        return (int)(s64)words[0];
    if (error != -EINTR)
        (void)snprintf(reason, MIGRATION_REASON, "node %u, where it is, is not there", where);
    return error;
}

struct request {
    struct work_struct work;
    unsigned int asker, node;
    u64 call;
    pid_t pid;
    bool eager;
};

static void answer(struct work_struct *work)
{
    struct request *request = container_of(work, struct request, work);
    char reason[MIGRATION_REASON] = "";
    u64 words[MIGRATION_WORDS] = {0};

    words[0] = (u64)(s64)move_process(request->pid, request->node, request->eager, reason);
    (void)migration_answer(request->asker, request->call, words, reason, strlen(reason));
    kfree(request);
}

// Only from its home: where it is not, nobody is asked once more.
static void hear(unsigned int asker, u64 call, u32 id, const u64 words[MIGRATION_WORDS],
                 const void *data, size_t bytes)
{
    static const u64 no_memory[MIGRATION_WORDS] = {(u64)-ENOMEM};
    static const u64 not_here[MIGRATION_WORDS] = {(u64)-ESRCH};
    struct request *request;

    if (call == 0)
        return;
    if (forward_home((pid_t)words[0]) != asker) {
        (void)migration_answer(asker, call, not_here, NULL, 0);
        return;
    }
    request = kzalloc(sizeof *request, GFP_KERNEL);
    if (request == NULL) {
        (void)migration_answer(asker, call, no_memory, NULL, 0);
        return;
    }
    INIT_WORK(&request->work, answer);
    request->asker = asker;
    request->call = call;
    request->pid = (pid_t)words[0];
    request->node = (unsigned int)words[1];
    request->eager = words[2] != 0;
    queue_work(system_unbound_wq, &request->work);
}

int move_process(pid_t pid, unsigned int node, bool eager, char reason[MIGRATION_REASON])
{
    struct task_struct *leader = leader_of(pid);
    unsigned int where = stub_node(pid);
    int error = 0;

    if (leader == NULL) {
        (void)snprintf(reason, MIGRATION_REASON, "there is no process %d", pid);
        return -ESRCH;
    }
    if (where == 0)
        where = migration_self();
    if (node == where) {
        error = -EEXIST;
        (void)snprintf(reason, MIGRATION_REASON, "it is on %s node",
                       where == migration_self() ? "this" : "that");
    } else if (node != migration_self()) {
        error = migration_connect(node);
        if (error != 0)
            (void)snprintf(reason, MIGRATION_REASON, "node %u is not there", node);
    }
    if (error == 0)
        error = where == migration_self() ? begin_here(leader, node, eager, reason)
                                          : ask(where, pid, node, eager, reason);
    put_task_struct(leader);
    return error;
}

static int __init begin(void)
{
    migration_handle(MESSAGE_MOVE, MESSAGE_MOVE, hear);
    return 0;
}
device_initcall(begin);
