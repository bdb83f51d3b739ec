// SPDX-License-Identifier: GPL-2.0-only
// A move at its source: the process brought to a stop and written down, its memory served, or all
// of that undone. Where it is at home it becomes its stub; elsewhere it goes.
#include "linuxserver/migration/capture.h"
#include "linuxserver/migration/forward.h"
#include "linuxserver/migration/move_private.h"

#include <linux/mm.h>
#include <linux/pid.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

// --- Serving -----------------------------------------------------------------------------

static int serve_mappings(struct migration *migration)
{
    struct migration_package package;
    const char *wrong = package_read(&package, migration->bytes, migration->length);

    if (wrong != NULL) {
        move_fails(migration, -EPROTO, "its own state cannot be read: %s", wrong);
        return -EPROTO;
    }
    for (size_t i = 0; i < package.vmas_count; i++) {
        const struct package_vma *vma = &package.vmas[i];
        int error =
            package_vma_has_pages(vma) ? cor_serve_range(migration->move, vma->start, vma->end) : 0;

        if (error != 0) {
            move_fails(migration, error, "no memory to serve its pages");
            return error;
        }
    }
    return 0;
}

static int serve(struct migration *migration)
{
    int error = cor_serve(migration->leader->mm, migration->move, migration->target);

    if (error != 0) {
        move_fails(migration, error, "its pages cannot be served");
        return error;
    }
    migration->served = true;
    return serve_mappings(migration);
}

static void unserve(struct migration *migration)
{
    if (migration->served)
        cor_serve_end(migration->move);
    migration->served = false;
}

// --- Frozen and thawed ---------------------------------------------------------------------

static int freeze(struct migration *migration)
{
    char reason[MIGRATION_REASON] = "";
    int error;

    error = freeze_process(migration->leader);
    if (error != 0) {
        move_fails(migration, error,
                   error == -EBUSY ? "it is in a system call that cannot be interrupted"
                                   : "it cannot be brought to a stop");
        return error;
    }
    error = capture_process(migration->leader, &migration->bytes, &migration->length, reason);
    if (error == 0)
        error = serve(migration);
    else
        move_fails(migration, error, "%s", reason);
    return error;
}

static void freeze_work(struct work_struct *work)
{
    struct migration *migration = container_of(work, struct migration, work);
    int error = freeze(migration);

    migration->busy = false;
    // It was given up meanwhile.
    if (migration->state != SOURCE_FREEZING)
        move_thaw(migration);
    move_event(migration, error == 0 ? CAN : CANNOT);
    migration_put(migration);
}

void move_freeze(struct migration *migration)
{
    migration_get(migration);
    migration->busy = true;
    INIT_WORK(&migration->work, freeze_work);
    queue_work(system_unbound_wq, &migration->work);
}

void move_thaw(struct migration *migration)
{
    if (migration->busy)
        return; // the work does it when it is done
    unserve(migration);
    thaw_process(migration->leader);
}

// Nothing of it stays but its memory, until that has followed.
static void go_on(struct migration *migration)
{
    struct migration *before = move_here(migration->tgid);

    cor_serve_keep(migration->move);
    forward_leave(migration->leader, migration->target);
    // One that was forked here has none.
    if (before != NULL)
        migration_end(before);
    freeze_into_stub(migration->leader, move_leave, NULL);
}

// It was sound when its mappings were served.
static bool read_package(const struct migration *migration, struct migration_package *package)
{
    return !WARN_ON_ONCE(package_read(package, migration->bytes, migration->length) != NULL);
}

static void drop_what_went(struct migration *migration)
{
    struct migration_package package;

    if (!migration->moved && read_package(migration, &package))
        capture_moved(migration->leader, &package);
    migration->moved = true;
}

// It was written down as stopped, and continued since: its stub sends that after it.
static void continue_late(const struct migration *migration)
{
    struct migration_package package;

    if (read_package(migration, &package) && (package.process->flags & PACKAGE_STOPPED) &&
        !(migration->leader->signal->flags & SIGNAL_STOP_STOPPED))
        send_sig(SIGCONT, migration->leader, 1);
}

void move_send_signals(struct migration *migration)
{
    if (migration->moved || move_is_home(migration) || migration->target != migration->home)
        return;
    drop_what_went(migration);
    forward_send_signals(migration->leader);
}

void move_serve(struct migration *migration)
{
    drop_what_went(migration);
    if (move_is_home(migration)) {
        freeze_into_stub(migration->leader, stub_serve, (void *)(unsigned long)migration->target);
        continue_late(migration);
    } else {
        go_on(migration);
    }
    kvfree(migration->bytes); // nobody asks for it again
    migration->bytes = NULL;
    migration->length = 0;
}
