// SPDX-License-Identifier: GPL-2.0-only
// fork, clone and exec of a process that has moved. The stub has a child, too, whose number the
// child here gets, and which is its stub. A program is executed at home: its file, descriptors,
// rights and threads are there, and so is the process from then on.
#include "linuxserver/migration/forward_private.h"

#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <asm/unistd.h>

// --- Clone -------------------------------------------------------------------------------

// What is of memory is done here, what is of files there.
#define CLONE_HERE                                                                                 \
    (CLONE_VM | CLONE_VFORK | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID |            \
     CLONE_CHILD_CLEARTID | CLONE_DETACHED | CLONE_UNTRACED | CLONE_PIDFD)

static int read_arguments(unsigned int nr, const u64 a[6], struct kernel_clone_args *clone)
{
    struct clone_args given = {};
    int error;

    *clone = (struct kernel_clone_args){.exit_signal = SIGCHLD};
    switch (nr) {
    case __NR_fork:
        return 0;
    case __NR_vfork:
        clone->flags = CLONE_VFORK | CLONE_VM;
        return 0;
    case __NR_clone: // include/linux/syscalls.h, CONFIG_CLONE_BACKWARDS is not set
        clone->flags = (u32)a[0] & ~(u32)CSIGNAL;
        clone->exit_signal = (int)(a[0] & CSIGNAL);
        clone->stack = a[1];
        clone->pidfd = clone->parent_tid = (int __user *)a[2];
        if ((clone->flags & CLONE_PIDFD) && (clone->flags & CLONE_PARENT_SETTID))
            return -EINVAL;
        clone->child_tid = (int __user *)a[3];
        clone->tls = a[4];
        return 0;
    }
    if (a[1] < CLONE_ARGS_SIZE_VER0 || a[1] > PAGE_SIZE)
        return -EINVAL;
    error = copy_struct_from_user(&given, sizeof given, (const void __user *)a[0], a[1]);
    if (error != 0)
        return error;
    if (given.set_tid_size != 0 || given.exit_signal & ~(u64)CSIGNAL ||
        !valid_signal(given.exit_signal) || (given.stack == 0) != (given.stack_size == 0))
        return -EINVAL;
    clone->pidfd = u64_to_user_ptr(given.pidfd);
    clone->flags = given.flags;
    clone->exit_signal = (int)given.exit_signal;
    clone->stack = given.stack + given.stack_size;
    clone->parent_tid = u64_to_user_ptr(given.parent_tid);
    clone->child_tid = u64_to_user_ptr(given.child_tid);
    clone->tls = given.tls;
    return 0;
}

// In a test on one node the numbers that are put into memory must be home's.
static int put_numbers(struct kernel_clone_args *clone, pid_t stub, int *saved)
{
    bool both = (clone->flags & CLONE_CHILD_SETTID) != 0;

    if (clone->flags & CLONE_PARENT_SETTID && put_user(stub, clone->parent_tid) != 0)
        return -EFAULT;
    if (both && (get_user(*saved, clone->child_tid) != 0 || put_user(stub, clone->child_tid) != 0))
        return -EFAULT;
    clone->flags &= ~(u64)(CLONE_PARENT_SETTID | CLONE_CHILD_SETTID);
    return both && !(clone->flags & CLONE_VM) ? 1 : 0;
}

bool forward_clones(void)
{
    const struct forward_thread *thread =
        test_thread_flag(TIF_MIGRATED) ? forward_thread_of(current) : NULL;

    return thread != NULL && thread->child != 0;
}

static long clone_here(struct forward_thread *thread, struct kernel_clone_args *clone, pid_t stub)
{
    bool local = thread->process->local;
    int restore = 0, saved = 0;
    long result;

    if (local) {
        restore = put_numbers(clone, stub, &saved);
        if (restore < 0)
            return restore;
    } else {
        clone->set_tid = &stub;
        clone->set_tid_size = 1;
    }
    // Its parent here is the one who waits for the process itself: the shepherd.
    if (!(clone->flags & CLONE_THREAD))
        clone->flags |= CLONE_PARENT;
    thread->child = stub;
    result = kernel_clone(clone);
    thread->child = 0;
    if (restore != 0 && result > 0)
        (void)put_user(saved, clone->child_tid);
    return result;
}

// The descriptor is one of home's, of the child there.
static long open_descriptor(struct forward_thread *thread, pid_t stub, int __user *to)
{
    u64 arguments[6] = {(u64)stub, 0};
    long descriptor = forward_table(thread, __NR_pidfd_open, arguments);

    if (descriptor >= 0 && put_user((int)descriptor, to) != 0)
        return -EFAULT;
    return descriptor < 0 ? descriptor : 0;
}

long forward_fork(struct forward_thread *thread, unsigned int nr, const u64 arguments[6])
{
    struct marshal_head head = {.nr = __NR_clone};
    struct kernel_clone_args clone;
    unsigned int outcome;
    long stub, result = read_arguments(nr, arguments, &clone);

    if (result != 0)
        return result;
    if (clone.flags & ~(u64)(CLONE_HERE | CLONE_AT_HOME) ||
        ((clone.flags & CLONE_THREAD) && (clone.flags & CLONE_PIDFD)) ||
        ((clone.flags & CLONE_THREAD) && !(clone.flags & CLONE_SIGHAND)) ||
        ((clone.flags & CLONE_SIGHAND) && !(clone.flags & CLONE_VM)))
        return -EINVAL;
    head.arguments[CLONE_ARGUMENT_FLAGS] = clone.flags & CLONE_AT_HOME;
    head.arguments[CLONE_ARGUMENT_SIGNAL] = (u64)clone.exit_signal;
    stub = forward_block(thread, &head, NULL, &outcome);
    if (stub <= 0)
        return stub;
    // Descriptors are home's; the tables here are empty, and each process may have its own.
    result = clone.flags & CLONE_PIDFD ? open_descriptor(thread, (pid_t)stub, clone.pidfd) : 0;
    clone.flags &= ~(u64)(CLONE_PARENT | CLONE_PIDFD);
    if (result == 0)
        result = clone_here(thread, &clone, (pid_t)stub);
    if (result < 0) {
        // The child that is there already dies at once, as one that was killed.
        u64 words[MIGRATION_WORDS] = {(u64)stub, SIGKILL};

        (void)migration_send(thread->process->home,
                             clone.flags & CLONE_THREAD ? FORWARD_END : FORWARD_STATUS, words, NULL,
                             0);
        return result;
    }
    return stub;
}

// --- Exec --------------------------------------------------------------------------------

struct strings {
    u8 *block;
    size_t bytes;
};

static int add_string(struct strings *s, u64 from)
{
    int length = marshal_string(from, MARSHAL_TOTAL - s->bytes);

    if (length < 0)
        return length == -ENAMETOOLONG ? -E2BIG : length;
    if (marshal_get(s->block + s->bytes, from, (u64)length) != 0)
        return -EFAULT;
    s->block[s->bytes + (size_t)length - 1] = 0;
    s->bytes += (size_t)length;
    return 0;
}

// The strings of a vector that ends with a null pointer; how many.
static long add_strings(struct strings *s, u64 vector)
{
    u64 string;
    long count = 0;
    int error;

    for (; vector != 0; vector += sizeof string, count++) {
        if (marshal_get(&string, vector, sizeof string) != 0)
            return -EFAULT;
        if (string == 0)
            break;
        error = add_string(s, string);
        if (error != 0)
            return error;
        if (fatal_signal_pending(current))
            return -EINTR;
    }
    return count;
}

long forward_execute(struct forward_thread *thread, unsigned int nr, const u64 arguments[6])
{
    bool at = nr == __NR_execveat;
    const u64 *a = at ? arguments + 1 : arguments;
    struct marshal_head head = {.nr = __NR_execve};
    struct strings s = {.block = kvmalloc(MARSHAL_TOTAL, GFP_KERNEL)};
    unsigned int outcome = FORWARD_DONE;
    long result = s.block == NULL ? -ENOMEM : 0, words = 0, variables = 0;

    if (result == 0)
        result = add_string(&s, a[0]);
    if (result == 0)
        result = words = add_strings(&s, a[1]);
    if (result >= 0)
        result = variables = add_strings(&s, a[2]);
    if (result >= 0) {
        head.arguments[EXEC_ARGUMENT_FOLDER] = at ? arguments[0] : (u64)AT_FDCWD;
        head.arguments[EXEC_ARGUMENT_FLAGS] = at ? arguments[4] : 0;
        head.arguments[EXEC_ARGUMENT_WORDS] = (u64)words;
        head.arguments[EXEC_ARGUMENT_VARIABLES] = (u64)variables;
        head.in_bytes = head.out_from = head.result_from = head.total = (u32)s.bytes;
        result = forward_block(thread, &head, s.block, &outcome);
    }
    kvfree(s.block);
    if (outcome == FORWARD_GONE) {
        thread->process->gone = true;
        do_group_exit(0);
    }
    return result;
}
