// SPDX-License-Identifier: GPL-2.0-only
#include "linuxserver/migration/interrupted.h"
#include "linuxserver/migration/forward_private.h"

#include <linux/restart_block.h>
#include <linux/sched/signal.h>
#include <linux/syscalls.h>
#include <linux/time64.h>
#include <linux/timekeeping.h>

#include <asm/syscall.h>
#include <asm/unistd.h>

#include <sysdep/ptrace.h>

extern const sys_call_ptr_t sys_call_table[];

// --- Which calls -------------------------------------------------------------------------

enum limit_kind { NO_LIMIT, MILLISECONDS, TIMESPEC };

static enum limit_kind limit_of(unsigned int nr, unsigned int *argument)
{
    *argument = 3;
    switch (nr) {
    case __NR_epoll_wait:
    case __NR_epoll_pwait:
        return MILLISECONDS;
    case __NR_rt_sigtimedwait:
        *argument = 2;
        return TIMESPEC;
    case __NR_epoll_pwait2:
    case __NR_semtimedop:
        return TIMESPEC;
    default:
        return NO_LIMIT;
    }
}

bool interrupted_has_limit(u32 nr)
{
    unsigned int argument;

    return limit_of(nr, &argument) != NO_LIMIT;
}

bool interrupted_limit(unsigned int nr, const u64 arguments[6], ktime_t *end)
{
    unsigned int argument;
    enum limit_kind kind = limit_of(nr, &argument);
    struct timespec64 span;

    if (kind == NO_LIMIT)
        return false;
    if (kind == MILLISECONDS) {
        if ((int)arguments[argument] < 0)
            return false;
        *end = ktime_add_ms(ktime_get(), (u64)(int)arguments[argument]);
        return true;
    }
    if (arguments[argument] == 0 ||
        get_timespec64(&span, (const struct __kernel_timespec __user *)arguments[argument]) != 0 ||
        !timespec64_valid(&span))
        return false; // without one, or wrong: Linux says how
    *end = ktime_add_safe(ktime_get(), timespec64_to_ktime(span));
    return true;
}

// Sockets have limits of their own (SO_RCVTIMEO), which then begin anew.
static bool is_repeated(unsigned int nr)
{
    switch (nr) {
    case __NR_read:
    case __NR_readv:
    case __NR_write:
    case __NR_writev:
    case __NR_recvfrom:
    case __NR_recvmsg:
    case __NR_recvmmsg:
    case __NR_sendto:
    case __NR_sendmsg:
    case __NR_sendmmsg:
    case __NR_accept:
    case __NR_accept4:
    case __NR_connect:
    case __NR_semop:
        return true;
    default:
        return interrupted_has_limit(nr);
    }
}

// --- Whether it was a signal -------------------------------------------------------------

// What Linux keeps is only that there may be one.
static bool is_signalled(void)
{
    spin_lock_irq(&current->sighand->siglock);
    recalc_sigpending();
    spin_unlock_irq(&current->sighand->siglock);
    return task_sigpending(current);
}

// Calls are made again where signals are looked at.
static long again(long result)
{
    set_thread_flag(TIF_SIGPENDING);
    return result;
}

long interrupted_wait(unsigned int nr, long result, ktime_t end)
{
    struct restart_block *block = &current->restart_block;

    if (result != -EINTR || is_signalled())
        return result;
    block->futex.val = nr;
    block->futex.time = (u64)end;
    return again(set_restart_fn(block, interrupted_restart));
}

long interrupted_call(unsigned int nr, const u64 arguments[6], long result)
{
    ktime_t end;

    if (result != -EINTR || !is_repeated(nr) || interrupted_limit(nr, arguments, &end) ||
        is_signalled())
        return result;
    return again(-ERESTARTNOINTR);
}

static void arguments_of_current(u64 arguments[6])
{
    const struct uml_pt_regs *regs = &current->thread.regs.regs;

    arguments[0] = UPT_SYSCALL_ARG1(regs);
    arguments[1] = UPT_SYSCALL_ARG2(regs);
    arguments[2] = UPT_SYSCALL_ARG3(regs);
    arguments[3] = UPT_SYSCALL_ARG4(regs);
    arguments[4] = UPT_SYSCALL_ARG5(regs);
    arguments[5] = UPT_SYSCALL_ARG6(regs);
}

void interrupted_by_freeze(void)
{
    struct uml_pt_regs *regs = &current->thread.regs.regs;
    u64 arguments[6];

    if (regs->syscall < 0 || (long)regs->gp[HOST_AX] != -EINTR)
        return;
    arguments_of_current(arguments);
    regs->gp[HOST_AX] =
        (unsigned long)interrupted_call((unsigned int)regs->syscall, arguments, -EINTR);
}

// --- Going on with it --------------------------------------------------------------------

// Its registers are as they were when it was called.
long interrupted_restart(struct restart_block *block)
{
    struct forward_thread *thread = forward_thread_of(current);
    unsigned int nr = block->futex.val, argument;
    s64 left = max_t(s64, (s64)block->futex.time - ktime_get(), 0);
    struct __kernel_timespec span = {.tv_sec = left / NSEC_PER_SEC, .tv_nsec = left % NSEC_PER_SEC};
    u64 a[6];

    arguments_of_current(a);
    if (limit_of(nr, &argument) == TIMESPEC)
        return forward_with_memory(nr, a, argument, &span, sizeof span);
    a[argument] = (u64)min_t(s64, DIV_ROUND_UP(left, NSEC_PER_MSEC), INT_MAX);
    return thread != NULL ? forward_waiting(thread, nr, a)
                          : sys_call_table[nr](a[0], a[1], a[2], a[3], a[4], a[5]);
}

// --- On the node itself ------------------------------------------------------------------
// In place of Linux's calls, also when they are made for a process that has moved.

#define CALL_WITH_LIMIT(name)                                                                      \
    long __real_sys_##name(u64 a, u64 b, u64 c, u64 d, u64 e, u64 f);                              \
    long __wrap_sys_##name(u64 a, u64 b, u64 c, u64 d, u64 e, u64 f);                              \
    long __wrap_sys_##name(u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)                               \
    {                                                                                              \
        const u64 arguments[6] = {a, b, c, d, e, f};                                               \
        ktime_t end = 0;                                                                           \
        bool limited = interrupted_limit(__NR_##name, arguments, &end);                            \
        long result = __real_sys_##name(a, b, c, d, e, f);                                         \
                                                                                                   \
        return limited ? interrupted_wait(__NR_##name, result, end) : result;                      \
    }

CALL_WITH_LIMIT(epoll_wait)
CALL_WITH_LIMIT(epoll_pwait)
CALL_WITH_LIMIT(epoll_pwait2)
CALL_WITH_LIMIT(semtimedop)
CALL_WITH_LIMIT(rt_sigtimedwait)
