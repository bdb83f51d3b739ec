// SPDX-License-Identifier: GPL-2.0-only
// What a debugger sees of system calls: the stops at their entry and exit, PTRACE_SYSEMU, and
// PTRACE_GET_SYSCALL_INFO. ARCH=um has but the first. As kernel/entry/common.c and kernel/ptrace.c
// do it for other architectures.
#include <linux/audit.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include <asm/ptrace-abi.h>
#include <asm/ptrace.h>
#include <asm/syscall.h>

#include "server.h"

#include "linuxserver/migration/forward.h"
#include "linuxserver/migration/migration.h"

// A flag of threads that ARCH=um does not use: system calls are reported and not made.
#define TIF_EMULATED  16
#define _TIF_EMULATED (1ul << TIF_EMULATED)
#define _TIF_MIGRATED (1ul << TIF_MIGRATED)

// --- In the thread that makes the call ----------------------------------------------------------

// True: the call is not made here: it has been made by the debugger, or at the process's home. What
// the debugger was asking for when the thread stopped counts, not what it asks for next.
int __wrap_syscall_trace_enter(struct pt_regs *regs);
int __wrap_syscall_trace_enter(struct pt_regs *regs)
{
    unsigned long flags = read_thread_flags();

    if (likely(!(flags & (_TIF_SYSCALL_TRACE | _TIF_EMULATED | _TIF_MIGRATED))))
        return 0;
    if (flags & (_TIF_SYSCALL_TRACE | _TIF_EMULATED) &&
        (ptrace_report_syscall_entry(regs) || flags & _TIF_EMULATED))
        return 1;
    return flags & _TIF_MIGRATED && forward_call(regs);
}

// The single step over a call that was not made was reported at its entry.
void __wrap_syscall_trace_leave(struct pt_regs *regs);
void __wrap_syscall_trace_leave(struct pt_regs *regs)
{
    unsigned long flags = read_thread_flags();

    if (likely(!(flags & (_TIF_SYSCALL_TRACE | _TIF_SINGLESTEP))))
        return;
    if ((flags & (_TIF_SINGLESTEP | _TIF_EMULATED)) == _TIF_SINGLESTEP)
        force_sig_fault(SIGTRAP, TRAP_BRKPT, (void __user *)PT_REGS_IP(regs));
    if (!(flags & _TIF_SYSCALL_TRACE))
        return;
    ptrace_report_syscall_exit(regs, 0);
    // The debugger may have changed what a call is restarted by: do_signal looks at it.
    set_thread_flag(TIF_SIGPENDING);
}

void calls_not_emulated(struct task_struct *t)
{
    clear_tsk_thread_flag(t, TIF_EMULATED);
}

// --- In the debugger ----------------------------------------------------------------------------

// A debugger that ends lets its threads go.
void __real_exit_ptrace(struct task_struct *tracer, struct list_head *dead);
void __wrap_exit_ptrace(struct task_struct *tracer, struct list_head *dead);
void __wrap_exit_ptrace(struct task_struct *tracer, struct list_head *dead)
{
    struct task_struct *t;

    list_for_each_entry(t, &tracer->ptraced, ptrace_entry)
    {
        calls_not_emulated(t);
    }
    __real_exit_ptrace(tracer, dead);
}

static size_t describe_entry(struct task_struct *child, struct pt_regs *regs,
                             struct ptrace_syscall_info *info)
{
    unsigned long arguments[ARRAY_SIZE(info->entry.args)];

    info->op = PTRACE_SYSCALL_INFO_ENTRY;
    info->entry.nr = (u64)syscall_get_nr(child, regs);
    syscall_get_arguments(child, regs, arguments);
    for (size_t i = 0; i < ARRAY_SIZE(arguments); i++)
        info->entry.args[i] = arguments[i];
    return offsetofend(struct ptrace_syscall_info, entry.args);
}

static size_t describe_exit(struct task_struct *child, struct pt_regs *regs,
                            struct ptrace_syscall_info *info)
{
    info->op = PTRACE_SYSCALL_INFO_EXIT;
    info->exit.rval = syscall_get_return_value(child, regs);
    info->exit.is_error = syscall_get_error(child, regs) != 0;
    return offsetofend(struct ptrace_syscall_info, exit.is_error);
}

// Why the thread stopped says its last signal, which stays while it is stopped.
static size_t describe(struct task_struct *child, struct ptrace_syscall_info *info)
{
    struct pt_regs *regs = task_pt_regs(child);
    int code = child->last_siginfo ? child->last_siginfo->si_code : 0;

    info->arch = (u32)syscall_get_arch(child);
    info->instruction_pointer = PT_REGS_IP(regs);
    info->stack_pointer = PT_REGS_SP(regs);
    if (code == (SIGTRAP | 0x80) && child->ptrace_message == PTRACE_EVENTMSG_SYSCALL_ENTRY)
        return describe_entry(child, regs, info);
    if (code == (SIGTRAP | 0x80) && child->ptrace_message == PTRACE_EVENTMSG_SYSCALL_EXIT)
        return describe_exit(child, regs, info);
    if (code == (SIGTRAP | PTRACE_EVENT_SECCOMP << 8)) {
        (void)describe_entry(child, regs, info);
        info->op = PTRACE_SYSCALL_INFO_SECCOMP;
        info->seccomp.ret_data = (u32)child->ptrace_message;
        return offsetofend(struct ptrace_syscall_info, seccomp.ret_data);
    }
    return offsetof(struct ptrace_syscall_info, entry);
}

// Returns the bytes there are, of which the debugger gets as many as it has room for.
static long call_information(struct task_struct *child, unsigned long room, void __user *user)
{
    struct ptrace_syscall_info info = {.op = PTRACE_SYSCALL_INFO_NONE};
    size_t bytes = describe(child, &info);

    return copy_to_user(user, &info, min_t(size_t, bytes, room)) ? -EFAULT : (long)bytes;
}

long __real_arch_ptrace(struct task_struct *child, long request, unsigned long addr,
                        unsigned long data);
long __wrap_arch_ptrace(struct task_struct *child, long request, unsigned long addr,
                        unsigned long data);
long __wrap_arch_ptrace(struct task_struct *child, long request, unsigned long addr,
                        unsigned long data)
{
    switch (request) {
    case PTRACE_SYSEMU:
    case PTRACE_SYSEMU_SINGLESTEP:
        if (!valid_signal(data))
            return -EIO;
        set_tsk_thread_flag(child, TIF_EMULATED);
        // Otherwise it is one of these two; Linux's own ptrace_request knows no other on ARCH=um.
        return ptrace_request(child, request == PTRACE_SYSEMU ? PTRACE_CONT : PTRACE_SINGLESTEP,
                              addr, data);
    case PTRACE_CONT:
    case PTRACE_SYSCALL:
    case PTRACE_SINGLESTEP:
    case PTRACE_DETACH:
        if (valid_signal(data))
            calls_not_emulated(child);
        break;
    case PTRACE_GET_SYSCALL_INFO:
        return call_information(child, addr, (void __user *)data);
    }
    return __real_arch_ptrace(child, request, addr, data);
}
