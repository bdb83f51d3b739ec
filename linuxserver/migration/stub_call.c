// SPDX-License-Identifier: GPL-2.0-only
// A stub's thread makes a call of the process: with the process's signal mask, on a block in its
// own memory, by Linux's own function.
#include "linuxserver/migration/forward_private.h"

#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/syscalls.h>
#include <linux/task_work.h>
#include <linux/uaccess.h>

#include <asm/syscall.h>
#include <asm/unistd.h>

#include <sysdep/ptrace.h>

extern const sys_call_ptr_t sys_call_table[];

// --- The block ---------------------------------------------------------------------------

#define AREA_KEPT (64u << 10) // bytes; more is given back after the call

void stub_area_free(struct stub_thread *thread)
{
    if (thread->area != 0)
        (void)vm_munmap(thread->area, thread->area_bytes);
    thread->area = 0;
}

static int area(struct stub_thread *thread, size_t bytes)
{
    unsigned long address;

    if (thread->area != 0 && thread->area_bytes >= bytes)
        return 0;
    stub_area_free(thread);
    bytes = max_t(size_t, PAGE_ALIGN(bytes), AREA_KEPT);
    address = vm_mmap(NULL, 0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, 0);
    if (IS_ERR_VALUE(address))
        return (int)address;
    thread->area = address;
    thread->area_bytes = bytes;
    return 0;
}

// --- fork --------------------------------------------------------------------------------

static int child(void *argument)
{
    struct stub_thread *thread = argument;

    thread->task = current;
    stub_thread_known(thread, current->pid);
    siginitsetinv(&current->real_blocked, sigmask(SIGKILL) | sigmask(SIGSTOP));
    stub_claims(thread->stub);
    stub_loop(thread);
    stub_leave(thread);
    return 0; // and on in user mode
}

// The child shares our memory, in which it needs but room for its blocks: what is to be the child's
// memory is where the process runs.
static long make_clone(struct stub_thread *thread, const struct marshal_head *head)
{
    u64 flags = head->arguments[CLONE_ARGUMENT_FLAGS];
    bool process = (flags & CLONE_THREAD) == 0;
    struct stub *stub = process ? stub_new(thread->stub->node, false) : thread->stub;
    struct stub_thread *fresh;
    struct kernel_clone_args arguments = {
        .flags = (flags & CLONE_AT_HOME) | CLONE_VM | CLONE_UNTRACED,
        .exit_signal = process ? (int)(head->arguments[CLONE_ARGUMENT_SIGNAL] & CSIGNAL) : 0,
        .fn = child,
    };
    long pid;

    if (stub == NULL)
        return -ENOMEM;
    fresh = stub_thread_new(stub);
    if (fresh == NULL) {
        if (process) {
            list_del(&stub->link);
            kfree(stub);
        }
        return -ENOMEM;
    }
    arguments.fn_arg = fresh;
    pid = kernel_clone(&arguments);
    if (pid < 0)
        stub_thread_free(fresh);
    else
        stub_thread_known(fresh, (pid_t)pid);
    return pid;
}

// --- exec --------------------------------------------------------------------------------

#define WORDS_MOST (MARSHAL_TOTAL / 2)

// Where the strings of the block begin, as a program's two vectors. NULL: they do not fit.
static u64 *vectors(const struct stub_call *call, unsigned long address, size_t *bytes)
{
    u64 words = call->head.arguments[EXEC_ARGUMENT_WORDS];
    u64 variables = call->head.arguments[EXEC_ARGUMENT_VARIABLES], count, i = 0;
    size_t at = strnlen((const char *)call->block, call->bytes) + 1;
    u64 *list;

    if (words > WORDS_MOST || variables > WORDS_MOST)
        return NULL;
    count = words + variables + 2;
    *bytes = count * sizeof *list;
    list = kvzalloc(*bytes, GFP_KERNEL);
    for (; list != NULL && i < words + variables; i++) {
        size_t length = at < call->bytes
                            ? strnlen((const char *)call->block + at, call->bytes - at) + 1
                            : call->bytes;

        if (at + length > call->bytes) {
            kvfree(list);
            return NULL;
        }
        list[i + (i >= words)] = address + at;
        at += length;
    }
    return list;
}

static long execute(struct stub_thread *thread, struct stub_call *call)
{
    const u64 *a = call->head.arguments;
    size_t bytes = 0, at = ALIGN(call->bytes, sizeof(u64));
    u64 *list;
    long result = area(thread, at + 2 * (WORDS_MOST + 1) * sizeof(u64));

    if (result != 0)
        return result;
    list = vectors(call, thread->area, &bytes);
    if (list == NULL)
        return -E2BIG;
    if (copy_to_user((void __user *)thread->area, call->block, call->bytes) != 0 ||
        copy_to_user((void __user *)(thread->area + at), list, bytes) != 0)
        result = -EFAULT;
    kvfree(list);
    if (result != 0)
        return result;
    thread->stub->leaving = true;
    result = sys_call_table[__NR_execveat](
        a[EXEC_ARGUMENT_FOLDER], thread->area, thread->area + at,
        thread->area + at + (a[EXEC_ARGUMENT_WORDS] + 1) * sizeof(u64), a[EXEC_ARGUMENT_FLAGS], 0);
    if (result != 0)
        thread->stub->leaving = false;
    return result;
}

// --- Any call ----------------------------------------------------------------------------

static long make(struct stub_thread *thread, struct stub_call *call)
{
    struct marshal_head *head = &call->head;
    const u64 *a = head->arguments;
    long result = area(thread, head->total);

    if (result != 0)
        return result;
    marshal_relocate(head, call->block, thread->area);
    if (copy_to_user((void __user *)thread->area, call->block, call->bytes) != 0)
        return -EFAULT;
    return sys_call_table[head->nr](a[0], a[1], a[2], a[3], a[4], a[5]);
}

static bool may_be_made(const struct marshal_head *head)
{
    const struct call_description *call = call_description(head->nr);

    return call != NULL && call->where != CALL_LOCAL && call->where != CALL_REFUSED &&
           head->nr < (u32)(NR_syscalls);
}

static void answer(struct stub *stub, u64 sequence, long result, enum forward_outcome outcome,
                   const void *back, size_t bytes)
{
    u64 words[MIGRATION_WORDS] = {sequence, (u64)result, outcome};
    int error = migration_send(stub->node, FORWARD_RESULT, words, back, bytes);

    if (error != 0)
        pr_err("migration: a result for process %d is lost: error %d\n", stub->tgid, error);
}

// What comes back lies in the thread's memory.
static void answer_block(struct stub_thread *thread, const struct stub_call *call, long result)
{
    size_t bytes = thread->area == 0 ? 0 : marshal_back(&call->head, result);
    void *back = bytes != 0 ? kvmalloc(bytes, GFP_KERNEL) : NULL;

    if (bytes != 0 && back == NULL) {
        result = -ENOMEM;
        bytes = marshal_back(&call->head, result);
    }
    if (bytes != 0 &&
        (back == NULL ||
         copy_from_user(back, (void __user *)(thread->area + call->head.out_from), bytes) != 0)) {
        result = -EFAULT;
        bytes = 0;
    }
    answer(thread->stub, call->sequence, result, FORWARD_DONE, back, bytes);
    kvfree(back);
}

static long make_one(struct stub_thread *thread, struct stub_call *call)
{
    switch (call->head.nr) {
    case __NR_clone:
        return make_clone(thread, &call->head);
    case __NR_execve:
        return execute(thread, call);
    default:
        return may_be_made(&call->head) ? make(thread, call) : -ENOSYS;
    }
}

// Once the program is there nothing is left of the thread's memory but the program's.
static void gone(struct stub_thread *thread, struct stub_call *call)
{
    struct uml_pt_regs *regs = &current->thread.regs.regs;

    thread->area = 0;
    set_current_blocked(&call->mask);
    UPT_SYSCALL_NR(regs) = -1;
    answer(thread->stub, call->sequence, 0, FORWARD_GONE, NULL, 0);
}

// A descriptor that waits for signals has come, or may have gone.
static bool may_change_claims(struct stub *stub, u32 nr)
{
    return !sigisemptyset(&stub->claimed) || nr == __NR_signalfd || nr == __NR_signalfd4 ||
           nr == __NR_recvmsg;
}

bool stub_make(struct stub_thread *thread)
{
    struct stub_call *call = thread->call;
    sigset_t mask;
    long result;
    bool leaves;

    thread->call = NULL;
    thread->sequence = call->sequence;
    sigorsets(&mask, &call->mask, &thread->stub->claimed);
    set_current_blocked(&mask);
    if (call->interrupted)
        set_thread_flag(TIF_NOTIFY_SIGNAL);
    if (call->head.nr == __NR_execve)
        current->real_blocked = thread->real_blocked;
    result = make_one(thread, call);
    leaves = call->head.nr == __NR_execve && result == 0;
    thread->sequence = 0;
    clear_notify_signal();
    // Files that were closed are closed before it is said that they are.
    if (task_work_pending(current))
        task_work_run();
    if (leaves) {
        gone(thread, call);
    } else {
        siginitsetinv(&current->real_blocked, sigmask(SIGKILL) | sigmask(SIGSTOP));
        if (may_change_claims(thread->stub, call->head.nr))
            stub_claims(thread->stub);
        stub_idle_mask(thread);
        // What a call makes happen to its caller happens before it returns.
        if (task_sigpending(current) && !fatal_signal_pending(current))
            stub_send_signals(thread);
        answer_block(thread, call, result);
        if (thread->area_bytes > AREA_KEPT)
            stub_area_free(thread);
    }
    kvfree(call);
    return leaves;
}
