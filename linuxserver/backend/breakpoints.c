// SPDX-License-Identifier: GPL-2.0-only
// Debug registers as a debugger finds them: the checks and results of arch/x86/kernel/ptrace.c and
// hw_breakpoint.c, without their performance events.
#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/string.h>

#include <asm/ptrace-abi.h>
#include <asm/ptrace.h>

#include <uapi/asm/debugreg.h>

#include "breakpoints.h"
#include "server.h"

#define BREAKPOINTS  4
#define CONTROL      4
#define MADE         5
#define FLAGS_RESUME 0x10000ul

// The highest address a breakpoint can have, natively: TASK_SIZE_MAX.
#define ADDRESS_END 0x7ffffffff000ul

// A breakpoint's kind and length as in the upper half of DR7.
#define CONDITION_MASK  15ul
#define KIND(condition) ((condition)&3)
#define KIND_PORTS      2

static unsigned long enabled_mask(unsigned int number)
{
    return 3ul << (number * DR_ENABLE_SIZE);
}

static unsigned int condition_shift(unsigned int number)
{
    return DR_CONTROL_SHIFT + number * DR_CONTROL_SIZE;
}

static unsigned long condition_of(unsigned long control, unsigned int number)
{
    return control >> condition_shift(number) & CONDITION_MASK;
}

static bool sound(unsigned long condition, unsigned long address)
{
    static const u8 lengths[] = {1, 2, 8, 4};
    unsigned long length = lengths[condition >> 2];

    if (KIND(condition) == KIND_PORTS || (KIND(condition) == DR_RW_EXECUTE && length != 1))
        return false;
    return address % length == 0 && address < ADDRESS_END;
}

static void set_condition(struct arch_thread *thread, unsigned int number, unsigned long condition,
                          bool enabled)
{
    unsigned long *control = &thread->debugregs[CONTROL];

    *control &= ~(enabled_mask(number) | CONDITION_MASK << condition_shift(number));
    *control |= condition << condition_shift(number);
    if (enabled)
        *control |= (unsigned long)DR_GLOBAL_ENABLE << (number * DR_ENABLE_SIZE);
    thread->debugregs[MADE] |= BIT(number);
}

// The first address makes a breakpoint that is off.
static int set_address(struct arch_thread *thread, unsigned int number, unsigned long address)
{
    bool made = thread->debugregs[MADE] & BIT(number);
    unsigned long condition =
        made ? condition_of(thread->debugregs[CONTROL], number) : DR_RW_WRITE | DR_LEN_1;

    if (!sound(condition, address))
        return -EINVAL;
    if (!made)
        set_condition(thread, number, condition, false);
    thread->debugregs[number] = address;
    return 0;
}

// Those that are off and were never made need not be sound. All or nothing.
static int set_control(struct arch_thread *thread, unsigned long value)
{
    struct arch_thread changed = *thread;
    unsigned int i;

    for (i = 0; i < BREAKPOINTS; i++) {
        bool enabled = value & enabled_mask(i);
        unsigned long condition = condition_of(value, i);

        if (!enabled && !(thread->debugregs[MADE] & BIT(i)))
            continue;
        if (!sound(condition, thread->debugregs[i]))
            return -EINVAL;
        set_condition(&changed, i, condition, enabled);
    }
    changed.debugregs[DR_CONTROL] = value;
    *thread = changed;
    return 0;
}

unsigned long debug_register_get(const struct arch_thread *thread, unsigned int number)
{
    switch (number) {
    case 4:
    case 5:
        return 0;
    case DR_STATUS:
        return thread->debugregs[DR_STATUS] ^ DR6_RESERVED;
    default:
        return thread->debugregs[number];
    }
}

int debug_register_set(struct arch_thread *thread, unsigned int number, unsigned long value)
{
    switch (number) {
    case 4:
    case 5:
        return -EIO;
    case DR_STATUS:
        thread->debugregs[DR_STATUS] = value ^ DR6_RESERVED;
        return 0;
    case DR_CONTROL:
        return set_control(thread, value);
    default:
        return set_address(thread, number, value);
    }
}

void breakpoints_clear(struct arch_thread *thread)
{
    memset(thread->debugregs, 0, sizeof thread->debugregs);
}

// The microkernel is told only when somebody is or was watched.
void breakpoints_switch(const struct arch_thread *thread)
{
    static bool loaded;
    unsigned long control = thread->debugregs[CONTROL];
    bool any = control & 0xff;

    if (any || loaded)
        debug_load(thread->debugregs, any ? control : 0);
    loaded = any;
}

// What struck, of those that the thread has. An instruction that is at a breakpoint and ends a
// single step gives the step first.
static unsigned long take_hits(const struct arch_thread *thread, unsigned long status,
                               struct uml_pt_regs *regs)
{
    unsigned long hits = 0;
    unsigned int i;

    for (i = 0; i < BREAKPOINTS; i++) {
        bool execution = KIND(condition_of(thread->debugregs[CONTROL], i)) == DR_RW_EXECUTE;

        if (!(status & BIT(i)) || (execution && status & DR_STEP))
            continue;
        hits |= BIT(i);
        // Or it would strike again at once.
        if (execution)
            regs->gp[HOST_EFLAGS] |= FLAGS_RESUME;
    }
    return hits;
}

void breakpoints_trap(struct arch_thread *thread, struct uml_pt_regs *regs)
{
    unsigned long status = debug_status();
    int code = TRAP_BRKPT; // by the instruction int1

    thread->debugregs[DR_STATUS] = (status & DR_STEP) | take_hits(thread, status, regs);
    if (status & DR_STEP)
        code = TRAP_TRACE;
    else if (status & DR_TRAP_BITS)
        code = TRAP_HWBKPT;
    force_sig_fault(SIGTRAP, code, (void __user *)UPT_IP(regs));
}
