// SPDX-License-Identifier: GPL-2.0-only
// Moves under way and processes that are away from home: their records, and the events of the
// commit protocol with what follows from them.
#include "linuxserver/migration/move_private.h"

#include <linux/init.h>
#include <linux/ktime.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

LIST_HEAD(move_all);
static u32 last_serial;

// --- Records -----------------------------------------------------------------------------

struct migration *move_make(unsigned int source, u64 number, pid_t tgid)
{
    struct migration *migration = kzalloc(sizeof *migration, GFP_KERNEL);

    if (migration == NULL)
        return NULL;
    migration->users = 2;
    migration->serial = ++last_serial;
    migration->source = migration->home = source;
    migration->move = number;
    migration->tgid = tgid;
    init_waitqueue_head(&migration->wait);
    migration->tick = jiffies + MOVE_TICK;
    list_add_tail(&migration->link, &move_all);
    return migration;
}

void migration_get(struct migration *migration)
{
    migration->users++;
}

void migration_put(struct migration *migration)
{
    if (--migration->users != 0)
        return;
    kvfree(migration->bytes);
    kfree(migration->outline);
    if (migration->leader != NULL)
        put_task_struct(migration->leader);
    kfree(migration);
}

struct migration *move_find(unsigned int source, u64 number)
{
    struct migration *migration = NULL;

    list_for_each_entry(migration, &move_all, link)
    {
        if (migration->source == source && migration->move == number)
            return migration;
    }
    return NULL;
}

struct migration *move_under_way(pid_t tgid)
{
    struct migration *migration = NULL;

    list_for_each_entry(migration, &move_all, link)
    {
        if (migration->tgid == tgid && migration->state != SOURCE_AWAY &&
            migration->state != TARGET_SETTLED)
            return migration;
    }
    return NULL;
}

struct migration *move_away(pid_t tgid)
{
    struct migration *migration = NULL;

    list_for_each_entry(migration, &move_all, link)
    {
        if (migration->tgid == tgid && migration->state == SOURCE_AWAY && move_is_home(migration))
            return migration;
    }
    return NULL;
}

struct migration *move_here(pid_t tgid)
{
    struct migration *migration = NULL;

    list_for_each_entry(migration, &move_all, link)
    {
        if (migration->tgid == tgid && migration->state == TARGET_SETTLED)
            return migration;
    }
    return NULL;
}

bool move_has_gone_on(unsigned int home, pid_t tgid)
{
    struct migration *migration = NULL;

    list_for_each_entry(migration, &move_all, link)
    {
        if (migration->tgid == tgid && migration->home == home && move_is_source(migration))
            return true;
    }
    return false;
}

bool move_is_unsettled(unsigned int home, pid_t tgid)
{
    struct migration *migration = NULL;

    list_for_each_entry(migration, &move_all, link)
    {
        if (migration->tgid != tgid || migration->home != home)
            continue;
        if (migration->state == SOURCE_COMMITTED)
            return true;
        if (!migration->resident)
            continue;
        if (migration->state >= TARGET_CHECKING && migration->state <= TARGET_READY)
            return true;
        if (migration->state == TARGET_RUNNING && migration->source == home)
            return true;
    }
    return false;
}

void move_is_on(pid_t tgid, unsigned int node)
{
    struct migration *migration = move_away(tgid);

    if (migration != NULL)
        migration->target = node;
}

struct migration *move_orphan(void)
{
    struct migration *migration = NULL;

    list_for_each_entry(migration, &move_all, link)
    {
        if (!migration->orphaned)
            continue;
        migration_get(migration);
        return migration;
    }
    return NULL;
}

static void forget(struct migration *migration)
{
    if (migration->over)
        return;
    migration->over = true;
    list_del_init(&migration->link);
    wake_up_all(&migration->wait);
    migration_put(migration);
}

void migration_end(struct migration *migration)
{
    if (!move_is_source(migration))
        move_remember_over(migration->source, migration->move);
    else if (migration->served)
        cor_serve_end(migration->move);
    migration->served = false;
    forget(migration);
}

void move_is_over(struct migration *migration)
{
    migration->served = false;
    migration_end(migration);
}

void move_fails(struct migration *migration, int error, const char *format, ...)
{
    va_list arguments;

    migration->error = error;
    if (migration->reason[0] != 0)
        return;
    va_start(arguments, format);
    (void)vsnprintf(migration->reason, sizeof migration->reason, format, arguments);
    va_end(arguments);
}

// The process died with the node that it was on. A stub dies by itself.
static void lost(struct migration *migration)
{
    // One that has gone on from here is its home's to mourn.
    if (!(migration->leader->flags & PF_EXITING)) {
        pr_warn("corvus: process %d (%s) was lost with node %u\n", migration->tgid, migration->comm,
                migration->target);
        send_sig(SIGKILL, migration->leader, 1);
        thaw_process(migration->leader);
    }
    migration_end(migration);
}

// --- Events ------------------------------------------------------------------------------

// What is done besides messages, in the order of commit.h.
static void act(struct migration *migration, unsigned int actions)
{
    if (actions & THAW)
        move_thaw(migration);
    if (actions & DISCARD)
        move_discard(migration);
    if (actions & KILL)
        send_sig(SIGKILL, migration->leader, 1);
    if (actions & FREEZE)
        move_freeze(migration);
    if (actions & SERVE)
        move_serve(migration);
    if (actions & BUILD)
        move_build(migration);
    if (actions & RUN)
        move_run(migration);
}

void move_event(struct migration *migration, unsigned int event)
{
    struct commit_step step;

    if (!commit_step(migration->state, event, &step))
        return;
    migration_get(migration);
    pr_debug("corvus: move %llu of node %u: %s, event %u: %s\n", migration->move, migration->source,
             commit_state_name(migration->state), event, commit_state_name(step.state));
    migration->state = step.state;
    migration->tick = jiffies + MOVE_TICK;
    if (step.state <= SOURCE_AWAY && migration->since[step.state] == 0)
        migration->since[step.state] = ktime_get_ns();
    act(migration, step.actions);
    move_send(migration, step.actions);
    // CHECK is the message's (move_message.c), which has what there is to be checked.
    if (step.state == SOURCE_AWAY || step.state == SOURCE_LOST || step.state == SOURCE_ABORTED)
        wake_up_all(&migration->wait);
    if (step.state == TARGET_ENDED)
        migration_end(migration);
    else if (step.state == SOURCE_ABORTED)
        forget(migration);
    else if (step.state == SOURCE_LOST)
        lost(migration);
    migration_put(migration);
}

// Goes through all records, whatever becomes of them meanwhile: each one is counted for as long as
// it is the one looked at. `round` is a new one for each time.
static u32 rounds;

static struct migration *next_of(struct migration *migration, u32 round)
{
    if (migration != NULL)
        migration_put(migration);
    list_for_each_entry(migration, &move_all, link)
    {
        if (migration->round == round)
            continue;
        migration->round = round;
        migration_get(migration);
        return migration;
    }
    return NULL;
}

// Of all moves with that node at the other end.
static void event_of_node(unsigned int node, unsigned int event)
{
    u32 round = ++rounds;

    for (struct migration *each = next_of(NULL, round); each != NULL; each = next_of(each, round))
        if (node == (move_is_source(each) ? each->target : each->source))
            move_event(each, event);
}

// Processes that have come for good do not outlive the link to their home: they find that out
// themselves, as their stubs do.
static void lose(unsigned int node)
{
    u32 round = ++rounds;

    for (struct migration *each = next_of(NULL, round); each != NULL; each = next_of(each, round)) {
        bool guest = each->state == TARGET_SETTLED && each->home == node;
        // Back at home: what has not followed is lost, if it is ever touched.
        bool back = each->state == TARGET_SETTLED && move_is_home(each) && each->source == node;

        if (!guest && !back)
            continue;
        if (guest)
            pr_warn("corvus: process %d (%s) ends: node %u, where it is at home, is not there any "
                    "more\n",
                    each->tgid, each->comm, node);
        migration_end(each);
    }
}

static void link_told(unsigned int node, enum migration_link_event event)
{
    switch (event) {
    case MIGRATION_LINK_UP:
        event_of_node(node, TICK);
        break;
    case MIGRATION_LINK_DOWN:
        lose(node);
        event_of_node(node, PEER_DEAD);
        break;
    case MIGRATION_LINK_GONE:
        event_of_node(node, PEER_GONE);
        move_forget_over(node); // also those that have just ended
        break;
    }
}

// --- Time --------------------------------------------------------------------------------

static void tick(struct work_struct *unused);
static DECLARE_DELAYED_WORK(ticking, tick);

// Its stub has ended, and so has it, though children may want their memory yet; it has gone on, and
// has all of its memory; or it is at home again, with all of it.
static bool is_over(const struct migration *migration)
{
    struct cor_remaining left;

    if (migration->state == SOURCE_AWAY)
        return move_is_home(migration) ? (migration->leader->flags & PF_EXITING) != 0
                                       : !cor_serves(migration->move);
    if (migration->state != TARGET_SETTLED || !move_is_home(migration))
        return false;
    cor_remaining(migration->source, migration->move, &left);
    return left.pages + left.regions == 0;
}

static void tick(struct work_struct *unused)
{
    u32 round = ++rounds;

    for (struct migration *each = next_of(NULL, round); each != NULL; each = next_of(each, round)) {
        bool undecided = each->state >= SOURCE_PREPARING && each->state <= SOURCE_FROZEN;

        if (is_over(each)) {
            move_is_over(each);
        } else if (undecided && time_after(jiffies, each->limit)) {
            move_fails(each, -ETIMEDOUT, "node %u does not answer", each->target);
            move_event(each, CANCEL);
        } else if (time_after(jiffies, each->tick)) {
            each->tick = jiffies + MOVE_TICK;
            move_event(each, TICK);
        }
    }
    schedule_delayed_work(&ticking, HZ / 2);
}

static int __init begin(void)
{
    migration_on_link(link_told);
    schedule_delayed_work(&ticking, HZ / 2);
    return 0;
}
device_initcall(begin);
