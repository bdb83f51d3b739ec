// SPDX-License-Identifier: GPL-2.0-only
// Functions of Linux that the linker's --wrap answers here, each with its reason; and places that
// Linux leaves to an architecture.
#include <linux/hw_random.h>
#include <linux/init.h>
#include <linux/kthread.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/string.h>

#include <asm/ptrace.h>

#include <os.h>

#include "breakpoints.h"
#include "server.h"

// The base is part of a thread's registers and travels with them; Linux would load it into a host
// process at each switch. Debug registers do not.
void __wrap_arch_switch_to(struct task_struct *to);
void __wrap_arch_switch_to(struct task_struct *to)
{
    breakpoints_switch(&to->thread.arch);
}

// A new program is not watched.
void __real_flush_thread(void);
void __wrap_flush_thread(void);
void __wrap_flush_thread(void)
{
    breakpoints_clear(&current->thread.arch);
    breakpoints_switch(&current->thread.arch);
    __real_flush_thread();
}

// For the same reason CLONE_SETTLS changes the registers.
int __wrap_arch_set_tls(struct task_struct *t, unsigned long tls);
int __wrap_arch_set_tls(struct task_struct *t, unsigned long tls)
{
    t->thread.arch.fs = tls;
    t->thread.regs.regs.gp[HOST_FS_BASE] = tls;
    return 0;
}

// A fork copies the vector state from memory, and is not traced as its parent is.
int __real_copy_thread(struct task_struct *p, const struct kernel_clone_args *args);
int __wrap_copy_thread(struct task_struct *p, const struct kernel_clone_args *args);
int __wrap_copy_thread(struct task_struct *p, const struct kernel_clone_args *args)
{
    fpu_release(current->thread.regs.regs.fp);
    calls_not_emulated(p);
    return __real_copy_thread(p, args);
}

// A new process's pages come as it touches them, and a new thread's are there already.
void __wrap_force_flush_all(void);
void __wrap_force_flush_all(void)
{
}

// The memory of a thread that is gone must not be written to when the processor's state is next
// saved.
void arch_release_task_struct(struct task_struct *tsk)
{
    fpu_release(tsk->thread.regs.regs.fp);
}

// The node's random numbers are fit for keys: they fill Linux's pool at once, so that nobody waits,
// and again whenever it wants more (add_hwgenerator_randomness sleeps until then).
static int feed_random(void *unused)
{
    u8 seed[32];

    while (!kthread_should_stop()) {
        size_t bits = os_getrandom(seed, sizeof seed, 0) == sizeof seed ? 8 * sizeof seed : 0;

        add_hwgenerator_randomness(seed, sizeof seed, bits);
    }
    memzero_explicit(seed, sizeof seed);
    return 0;
}

static int __init start_feeding(void)
{
    return PTR_ERR_OR_ZERO(kthread_run(feed_random, NULL, "corvus-random"));
}
core_initcall(start_feeding);
