// SPDX-License-Identifier: GPL-2.0-only
// A move at its target: checks, and the process built by a child of a shepherd, which is an
// ordinary program of this node (`corvus shepherd`): it forks with the pid of home, waits for what
// becomes of the child, and tells the driver.
#include "linuxserver/migration/forward.h"
#include "linuxserver/migration/move_private.h"

#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/init.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/syscalls.h>
#include <linux/task_work.h>
#include <linux/uaccess.h>
#include <linux/umh.h>

#define SHEPHERD    "/usr/bin/corvus"
#define NUMBER_WAIT (2 * HZ) // ticks, one by one

// --- The shepherd ------------------------------------------------------------------------
// This node can take the process when a child with its pid is there to become it. The process runs
// meanwhile: it stands still only from when its state can be used as soon as it comes.

static bool awaits_child(const struct migration *migration)
{
    return migration->state >= TARGET_CHECKING && migration->state <= TARGET_BUILDING;
}

// There will be no child to build the process. Between check and state that is kept for later.
static void cannot_build(struct migration *migration)
{
    migration->unbuildable = true;
    if (migration->state != TARGET_PREPARED)
        move_event(migration, CANNOT);
}

// What is left of the process here, from when it was here before, is over soon.
static void await_number(pid_t number)
{
    for (unsigned int i = 0; i < NUMBER_WAIT; i++) {
        bool used;

        rcu_read_lock();
        used = find_pid_ns(number, &init_pid_ns) != NULL;
        rcu_read_unlock();
        if (!used)
            return;
        schedule_timeout_idle(1);
    }
}

static void start_shepherd(struct work_struct *work)
{
    struct migration *migration = container_of(work, struct migration, work);
    char source[12], number[24];
    char *arguments[] = {SHEPHERD, "shepherd", source, number, NULL};
    static char *environment[] = {"HOME=/", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
    int error;

    (void)snprintf(source, sizeof source, "%u", migration->source);
    (void)snprintf(number, sizeof number, "%llu", migration->move);
    await_number(migration->tgid);
    error = migration_connect(migration->home);
    if (error != 0)
        move_fails(migration, error, "its home, node %u, is not there", migration->home);
    else
        error = call_usermodehelper(SHEPHERD, arguments, environment, UMH_WAIT_EXEC);
    migration->busy = false;
    if (error != 0) {
        move_fails(migration, error < 0 ? error : -EIO, "no shepherd can be started there");
        cannot_build(migration);
    }
    migration_put(migration);
}

static void begin_shepherd(struct migration *migration)
{
    migration_get(migration);
    migration->busy = true;
    INIT_WORK(&migration->work, start_shepherd);
    queue_work(system_unbound_wq, &migration->work);
}

void move_check(struct migration *migration, const struct package_process *process)
{
    char reason[MIGRATION_REASON] = "";
    bool home = move_is_home(migration);
    int error = home ? home_check(migration->tgid, migration->source, process, reason)
                     : build_check(process, reason);

    if (error != 0) {
        move_fails(migration, error, "%s", reason);
        move_event(migration, CANNOT);
    } else if (home) {
        move_event(migration, CAN); // its stub will become it
    } else {
        begin_shepherd(migration);
    }
}

// --- Building ----------------------------------------------------------------------------

struct build {
    struct callback_head work;
    struct migration *migration; // counted
};

// The shepherd's child, or the stub, waits for it.
void move_build(struct migration *migration)
{
    if (move_is_home(migration))
        home_begin(migration);
    else if (migration->unbuildable)
        move_event(migration, CANNOT);
    else
        wake_up_all(&migration->wait);
}

// The device's descriptor is all that a shepherd's child has.
static void close_files(void)
{
    for (unsigned int fd = 0; fd < 8; fd++)
        (void)close_fd(fd);
}

static int build(struct migration *migration)
{
    struct migration_package package;
    char reason[MIGRATION_REASON] = "";
    const char *wrong = package_read(&package, migration->bytes, migration->length);
    int error;

    if (wrong != NULL) {
        move_fails(migration, -EPROTO, "the state is not sound: %s", wrong);
        return -EPROTO;
    }
    error = build_process(migration, &package, reason);
    if (error != 0)
        move_fails(migration, error, "%s", reason);
    return error;
}

// In the child, before it would go back to its program.
static void become(struct callback_head *work)
{
    struct build *own = container_of(work, struct build, work);
    struct migration *migration = own->migration;
    int error = -ECANCELED;

    kfree(own);
    close_files();
    if (migration->state == TARGET_CHECKING)
        move_event(migration, CAN);
    wait_event_idle(migration->wait, migration->state != TARGET_PREPARED);
    if (!(current->flags & PF_EXITING) && migration->state == TARGET_BUILDING) {
        migration->leader = current;
        get_task_struct(current);
        error = build(migration);
        move_event(migration, error == 0 ? CAN : CANNOT);
    }
    if (error == 0)
        error = migration_gate(migration);
    kvfree(migration->bytes);
    migration->bytes = NULL;
    migration_put(migration);
    if (error != 0 && !(current->flags & PF_EXITING))
        do_group_exit(SIGKILL);
}

int migration_gate(struct migration *migration)
{
    wait_event_idle(migration->wait,
                    (migration->run && !move_holds_process(migration)) || migration->discarded);
    return migration->run ? 0 : -ECANCELED;
}

int move_map_pages(struct migration *migration, const struct migration_package *package)
{
    int error = 0;

    mmap_write_lock(current->mm);
    for (size_t i = 0; i < package->vmas_count && error == 0; i++) {
        const struct package_vma *vma = &package->vmas[i];

        if (package_vma_has_pages(vma))
            error = cor_map(current->mm, vma->start, vma->end, migration->source, migration->move);
    }
    mmap_write_unlock(current->mm);
    return error;
}

int migration_built(struct migration *migration, const struct migration_package *package)
{
    int error;

    migration->served = true;
    error = move_map_pages(migration, package);
    return error != 0 ? error : move_attach(migration);
}

void move_discard(struct migration *migration)
{
    migration->discarded = true;
    if (move_is_home(migration))
        home_discard(migration);
    if (migration->served)
        cor_discard(migration->source, migration->move);
    wake_up_all(&migration->wait);
}

// It is away no more. What is left there on reference of the memory that it had here is that of its
// children.
static void come_home(struct migration *migration)
{
    struct migration *away = move_away(migration->tgid);

    if (away != NULL) {
        cor_serve_keep(away->move);
        move_is_over(away);
    }
    if (!home_run(migration))
        pr_info("corvus: process %d was killed while it came home\n", migration->tgid);
}

void move_run(struct migration *migration)
{
    cor_start(migration->source, migration->move, migration->eager);
    migration->run = true;
    if (move_is_home(migration))
        come_home(migration);
    wake_up_all(&migration->wait);
}

// --- Without a shepherd --------------------------------------------------------------------

// It has been killed. If it waits at the gate it is let out to its end; its source, when it asks
// again or commits it, hears that the move is over.
static void end_killed(struct migration *migration)
{
    if (!migration->run)
        move_discard(migration);
    migration->discarded = true;
    migration_end(migration);
    await_number(migration->tgid); // its threads have to do with what is forgotten then
    forward_status(migration->tgid, SIGKILL);
}

// What would wait for ever, or be told of by nobody.
static void end_orphans(struct work_struct *unused)
{
    struct migration *migration;

    while ((migration = move_orphan()) != NULL) {
        migration->orphaned = false;
        if (awaits_child(migration)) {
            move_fails(migration, -EIO, "the shepherd there has ended");
            cannot_build(migration);
        } else if (migration->state >= TARGET_READY && migration->state < TARGET_ENDED) {
            end_killed(migration);
        }
        migration_put(migration);
    }
}
static DECLARE_DELAYED_WORK(orphans, end_orphans);

// --- The shepherd's requests ---------------------------------------------------------------

// Which process it is to make.
static long shepherd(struct file *file, void __user *argument)
{
    struct migrate_shepherd request;
    struct migration *migration;

    if (copy_from_user(&request, argument, sizeof request) != 0)
        return -EFAULT;
    migration = move_find(request.source, request.move);
    if (migration == NULL || !awaits_child(migration) || migration->shepherd != NULL)
        return -ESRCH;
    migration->shepherd = file;
    request.tgid = migration->tgid;
    return copy_to_user(argument, &request, sizeof request) != 0 ? -EFAULT : 0;
}

// Of its child.
static long become_it(struct file *file, void __user *argument)
{
    struct migrate_shepherd request;
    struct migration *migration;
    struct build *own;

    if (copy_from_user(&request, argument, sizeof request) != 0)
        return -EFAULT;
    migration = move_find(request.source, request.move);
    if (migration == NULL || migration->shepherd != file || migration->leader != NULL ||
        !awaits_child(migration) || current->tgid != migration->tgid)
        return -ESRCH;
    own = kzalloc(sizeof *own, GFP_KERNEL);
    if (own == NULL)
        return -ENOMEM;
    own->migration = migration;
    migration_get(migration);
    init_task_work(&own->work, become);
    return task_work_add(current, &own->work, TWA_SIGNAL);
}

// What has become of a child, or that there cannot be one.
static long child(struct file *file, void __user *argument)
{
    struct migrate_child request;
    struct migration *migration;

    if (copy_from_user(&request, argument, sizeof request) != 0)
        return -EFAULT;
    migration = move_under_way(request.pid);
    if (migration != NULL)
        migration_get(migration);
    if (migration == NULL || !awaits_child(migration) || migration->shepherd != file) {
        // Also a child of the process that it made.
        move_child(file, request.pid, request.code, request.status);
    } else {
        move_fails(migration, request.status > 0 ? -request.status : -EIO,
                   request.status == EEXIST ? "process %d is there already"
                                            : "process %d cannot be made there",
                   request.pid);
        cannot_build(migration);
    }
    if (migration != NULL)
        migration_put(migration);
    return 0;
}

void migration_shepherd_gone(struct file *file)
{
    struct migration *migration = NULL;

    list_for_each_entry(migration, &move_all, link)
    {
        if (migration->shepherd != file)
            continue;
        migration->shepherd = NULL;
        if (migration->leader != NULL)
            (void)send_sig(SIGKILL, migration->leader, 1);
        migration->orphaned = true;
    }
    mod_delayed_work(system_wq, &orphans, 0);
}

static int __init begin(void)
{
    migration_device_handle(MIGRATE_SHEPHERD, shepherd);
    migration_device_handle(MIGRATE_BECOME, become_it);
    migration_device_handle(MIGRATE_CHILD, child);
    return 0;
}
device_initcall(begin);
