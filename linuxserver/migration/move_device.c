// SPDX-License-Identifier: GPL-2.0-only
// What the commands ask the mover for: to move a process, to list those that move or have moved,
// and how long a message takes.
#include "linuxserver/migration/move_private.h"

#include <linux/cred.h>
#include <linux/init.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

static long move(struct file *file, void __user *argument)
{
    struct migrate_move request;
    int error;

    if (copy_from_user(&request, argument, sizeof request) != 0)
        return -EFAULT;
    if (request.flags & ~MIGRATE_EAGER)
        return -EINVAL;
    memset(request.reason, 0, sizeof request.reason);
    error = move_process(request.pid, request.node, (request.flags & MIGRATE_EAGER) != 0,
                         request.reason);
    if (copy_to_user(argument, &request, sizeof request) != 0)
        return -EFAULT;
    return error;
}

// --- The list ----------------------------------------------------------------------------

// The first one behind that serial number: records that end meanwhile hide no others.
static struct migration *after_serial(u32 serial)
{
    struct migration *migration = NULL;

    list_for_each_entry(migration, &move_all, link)
    {
        if (migration->serial > serial)
            return migration;
    }
    return NULL;
}

// How long after the command the source came into a state; 0: it has not, or this is the target.
static u64 after(const struct migration *migration, unsigned int state)
{
    return migration->since[state] == 0 ? 0
                                        : migration->since[state] - migration->since[SOURCE_IDLE];
}

static void describe(const struct migration *migration, struct migrate_entry *entry)
{
    *entry = (struct migrate_entry){
        .index = migration->serial,
        .pid = migration->tgid,
        .source = migration->source,
        .target = migration->target,
        .home = migration->home,
        .here = migration->resident || !move_is_source(migration),
        .move = migration->move,
        .freezing = after(migration, SOURCE_FREEZING),
        .frozen = after(migration, SOURCE_FROZEN),
        .committed = after(migration, SOURCE_COMMITTED),
        .away = after(migration, SOURCE_AWAY),
    };
    (void)strscpy(entry->state, commit_state_name(migration->state), sizeof entry->state);
    memcpy(entry->comm, migration->comm, sizeof entry->comm);
    if (migration->leader != NULL)
        entry->uid = from_kuid_munged(&init_user_ns, task_uid(migration->leader));
    if (!move_is_source(migration)) {
        struct cor_remaining remaining = {0};

        cor_remaining(migration->source, migration->move, &remaining);
        entry->pages = remaining.pages;
        entry->regions = remaining.regions;
    } else if (migration->served) {
        entry->pages = cor_serve_remaining(migration->move);
    }
}

static long list(struct file *file, void __user *argument)
{
    struct migrate_entry entry;
    const struct migration *migration;

    if (copy_from_user(&entry, argument, sizeof entry) != 0)
        return -EFAULT;
    migration = after_serial(entry.index);
    if (migration == NULL)
        return -ENOENT;
    describe(migration, &entry);
    return copy_to_user(argument, &entry, sizeof entry) != 0 ? -EFAULT : 0;
}

// --- Echo --------------------------------------------------------------------------------

static void hear_echo(unsigned int node, u64 call, u32 id, const u64 words[MIGRATION_WORDS],
                      const void *data, size_t bytes)
{
    if (call != 0)
        (void)migration_answer(node, call, words, data, bytes);
}

static bool is_echo(const u8 *data, size_t bytes, u8 first)
{
    for (size_t i = 0; i < bytes; i++)
        if (data[i] != (u8)(first + i))
            return false;
    return true;
}

static int echo_once(struct migrate_echo *request, u8 *out, u8 *in)
{
    u64 words[MIGRATION_WORDS] = {1, 2, 3, 4, 5, ktime_get_ns()};
    u64 begun = words[5];
    size_t came = request->bytes;
    int error = migration_call(request->node, MESSAGE_ECHO, words, out, request->bytes, in, &came);

    request->nanoseconds = ktime_get_ns() - begun;
    if (error == 0 && (came != request->bytes || words[5] != begun || !is_echo(in, came, 7)))
        error = -EIO;
    return error;
}

static long echo(struct file *file, void __user *argument)
{
    struct migrate_echo request;
    u8 *out, *in;
    long error;

    if (copy_from_user(&request, argument, sizeof request) != 0)
        return -EFAULT;
    if (request.bytes > MIGRATION_DATA_MAX)
        return -EMSGSIZE;
    error = migration_connect(request.node);
    if (error != 0)
        return error;
    out = kvmalloc(request.bytes + 1, GFP_KERNEL);
    in = kvmalloc(request.bytes + 1, GFP_KERNEL);
    for (size_t i = 0; out != NULL && i < request.bytes; i++)
        out[i] = (u8)(7 + i);
    error = out == NULL || in == NULL ? -ENOMEM : echo_once(&request, out, in);
    kvfree(out);
    kvfree(in);
    if (error == 0 && copy_to_user(argument, &request, sizeof request) != 0)
        error = -EFAULT;
    return error;
}

static int __init begin(void)
{
    migration_handle(MESSAGE_ECHO, MESSAGE_ECHO, hear_echo);
    migration_device_handle(MIGRATE_MOVE, move);
    migration_device_handle(MIGRATE_LIST, list);
    migration_device_handle(MIGRATE_ECHO, echo);
    return 0;
}
device_initcall(begin);
