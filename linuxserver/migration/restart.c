// SPDX-License-Identifier: GPL-2.0-only
// Linux tells these calls apart by functions that only the calls themselves can name. So they are
// found by their names, once. Two kinds are our own.
#include "linuxserver/migration/restart.h"
#include "linuxserver/migration/forward.h"
#include "linuxserver/migration/interrupted.h"
#include "linuxserver/migration/package.h"

#include <linux/init.h>
#include <linux/kallsyms.h>
#include <linux/restart_block.h>
#include <linux/sched.h>

typedef long restart_function(struct restart_block *);

static restart_function *functions[PACKAGE_RESTARTS] = {
    [PACKAGE_RESTART_NONE] = do_no_restart_syscall,
    [PACKAGE_RESTART_WAIT] = interrupted_restart,
};

static const char *const names[PACKAGE_RESTARTS] = {
    [PACKAGE_RESTART_SLEEP] = "hrtimer_nanosleep_restart",
    [PACKAGE_RESTART_CPU_SLEEP] = "posix_cpu_nsleep_restart",
    [PACKAGE_RESTART_FUTEX] = "futex_wait_restart",
    [PACKAGE_RESTART_POLL] = "do_restart_poll",
};

#define FUTEX_CLOCK_REAL 2u // FLAGS_CLOCKRT of kernel/futex/futex.h

static void write_sleep(struct package_thread *to, const struct restart_block *block)
{
    to->restart_clock =
        to->restart == PACKAGE_RESTART_SLEEP ? (u32)block->nanosleep.clockid : PACKAGE_CPU_TIME;
    to->restart_word[0] = (u32)block->nanosleep.clockid;
    to->restart_word[1] = block->nanosleep.type;
    to->restart_address = (u64)block->nanosleep.rmtp;
    to->restart_time = block->nanosleep.expires;
}

static void write_futex(struct package_thread *to, const struct restart_block *block)
{
    to->restart_clock = block->futex.flags & FUTEX_CLOCK_REAL ? PACKAGE_REAL : PACKAGE_MONOTONIC;
    to->restart_word[0] = block->futex.val;
    to->restart_word[1] = block->futex.flags;
    to->restart_word[2] = block->futex.bitset;
    to->restart_address = (u64)block->futex.uaddr;
    to->restart_time = block->futex.time;
}

static void write_poll(struct package_thread *to, const struct restart_block *block)
{
    to->restart_clock = PACKAGE_MONOTONIC;
    to->restart_word[0] = (u32)block->poll.nfds;
    to->restart_word[1] = (u32)block->poll.has_timeout;
    to->restart_address = (u64)block->poll.ufds;
    if (block->poll.has_timeout)
        to->restart_time = block->poll.tv_sec * NSEC_PER_SEC + block->poll.tv_nsec;
}

static u32 known(restart_function *function)
{
    u32 kind = 0;

    while (kind < PACKAGE_RESTARTS && functions[kind] != function)
        kind++;
    return kind;
}

bool restart_write(struct package_thread *to, const struct task_struct *from)
{
    const struct restart_block *block = &from->restart_block;

    // poll's, of a process that has come from elsewhere.
    if (block->fn == forward_restart_poll)
        to->restart = PACKAGE_RESTART_POLL;
    else
        to->restart = known(block->fn);
    switch (to->restart) {
    case PACKAGE_RESTART_NONE:
        break;
    case PACKAGE_RESTART_SLEEP:
    case PACKAGE_RESTART_CPU_SLEEP:
        write_sleep(to, block);
        break;
    case PACKAGE_RESTART_FUTEX:
        write_futex(to, block);
        break;
    case PACKAGE_RESTART_POLL:
        write_poll(to, block);
        break;
    case PACKAGE_RESTART_WAIT:
        to->restart_clock = PACKAGE_MONOTONIC;
        to->restart_word[0] = block->futex.val;
        to->restart_time = block->futex.time;
        break;
    default:
        return false;
    }
    return true;
}

void restart_read(const struct package_thread *from, u64 time)
{
    struct restart_block *block = &current->restart_block;

    block->fn = functions[from->restart];
    switch (from->restart) {
    case PACKAGE_RESTART_SLEEP:
    case PACKAGE_RESTART_CPU_SLEEP:
        block->nanosleep.clockid = (clockid_t)from->restart_word[0];
        block->nanosleep.type = from->restart_word[1] == TT_NATIVE ? TT_NATIVE : TT_NONE;
        block->nanosleep.rmtp = (void __user *)from->restart_address;
        block->nanosleep.expires = time;
        break;
    case PACKAGE_RESTART_FUTEX:
        block->futex.uaddr = (u32 __user *)from->restart_address;
        block->futex.val = from->restart_word[0];
        block->futex.flags = from->restart_word[1];
        block->futex.bitset = from->restart_word[2];
        block->futex.time = time;
        break;
    case PACKAGE_RESTART_POLL:
        block->fn = forward_restart_poll; // wherever its descriptors are
        block->poll.ufds = (struct pollfd __user *)from->restart_address;
        block->poll.nfds = (int)from->restart_word[0];
        block->poll.has_timeout = (int)from->restart_word[1];
        block->poll.tv_sec = time / NSEC_PER_SEC;
        block->poll.tv_nsec = time % NSEC_PER_SEC;
        break;
    case PACKAGE_RESTART_WAIT:
        block->futex.val = from->restart_word[0];
        block->futex.time = time;
        break;
    }
}

static int __init find_functions(void)
{
    for (unsigned int i = 1; i < PACKAGE_RESTARTS; i++) {
        if (names[i] == NULL)
            continue;
        functions[i] = (restart_function *)kallsyms_lookup_name(names[i]);
        if (WARN(!functions[i], "migration: this Linux has no %s\n", names[i]))
            return -ENOENT;
    }
    return 0;
}
late_initcall(find_functions);
