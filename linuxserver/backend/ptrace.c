// SPDX-License-Identifier: GPL-2.0-only
// Debuggers see the thread that is meant. ARCH=um asks its one host process for the vector state,
// whichever thread that ran last.
#include <linux/elf.h>
#include <linux/ptrace.h>
#include <linux/regset.h>
#include <linux/sched.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include <asm/elf.h>
#include <asm/prctl.h>
#include <asm/ptrace-abi.h>
#include <asm/ptrace.h>
#include <asm/sigcontext.h>
#include <asm/user.h>

#include "breakpoints.h"
#include "server.h"

#define FXSAVE_BYTES sizeof(struct user_i387_struct)

// --- Single registers ----------------------------------------------------------------------------

#define FLAGS_SETTABLE 0x54dd5ul // what a debugger may change (arch/x86/kernel/ptrace.c)

// ARCH=um's only ever sets flags.
int __real_putreg(struct task_struct *child, int regno, unsigned long value);
int __wrap_putreg(struct task_struct *child, int regno, unsigned long value);
int __wrap_putreg(struct task_struct *child, int regno, unsigned long value)
{
    unsigned long *gp = child->thread.regs.regs.gp;

    switch (regno) {
    case EFLAGS:
        gp[HOST_EFLAGS] = (gp[HOST_EFLAGS] & ~FLAGS_SETTABLE) | (value & FLAGS_SETTABLE);
        return 0;
    case FS_BASE:
    case GS_BASE:
        if (value >= TASK_SIZE_MAX)
            return -EIO;
        gp[regno == FS_BASE ? HOST_FS_BASE : HOST_GS_BASE] = value;
        return 0;
    case CS:
    case SS:
        return value == getreg(child, regno) ? 0 : -EIO;
    default:
        return __real_putreg(child, regno, value);
    }
}

// The real one panics when asked for half a register.
static bool whole_word(long addr)
{
    return addr >= 0 && addr % (long)sizeof(long) == 0 && addr < (long)sizeof(struct user);
}

#define DEBUG_REGISTER(n) ((long)offsetof(struct user, u_debugreg[n]))

static bool is_debug_register(long addr)
{
    return addr >= DEBUG_REGISTER(0) && addr <= DEBUG_REGISTER(7);
}

static unsigned int debug_number(long addr)
{
    return (unsigned int)((addr - DEBUG_REGISTER(0)) / (long)sizeof(long));
}

int __wrap_poke_user(struct task_struct *child, long addr, long data);
int __wrap_poke_user(struct task_struct *child, long addr, long data)
{
    if (!whole_word(addr))
        return -EIO;
    if (addr < (long)MAX_REG_OFFSET)
        return __wrap_putreg(child, (int)addr, (unsigned long)data);
    if (!is_debug_register(addr))
        return -EIO;
    return debug_register_set(&child->thread.arch, debug_number(addr), (unsigned long)data);
}

int __wrap_peek_user(struct task_struct *child, long addr, long data);
int __wrap_peek_user(struct task_struct *child, long addr, long data)
{
    unsigned long value = 0;

    if (!whole_word(addr))
        return -EIO;
    if (addr < (long)MAX_REG_OFFSET)
        value = getreg(child, (int)addr);
    else if (is_debug_register(addr))
        value = debug_register_get(&child->thread.arch, debug_number(addr));
    return put_user(value, (unsigned long __user *)data);
}

// --- Register sets -------------------------------------------------------------------------------

static long move(void *state, size_t size, void __user *user, size_t bytes, bool in)
{
    if (bytes > size)
        bytes = size;
    if (in ? copy_from_user(state, user, bytes) : copy_to_user(user, state, bytes))
        return -EFAULT;
    return (long)bytes;
}

#define MXCSR_MASK 0xffffu
#define FEATURES   7ul // x87, SSE, AVX

// What a debugger gives must be what XRSTOR would take (arch/x86/kernel/fpu/xstate.c).
static bool sound_vector(const struct _xstate *state)
{
    const struct _header *header = &state->xstate_hdr;

    return !(state->fpstate.mxcsr & ~MXCSR_MASK) && !(header->xfeatures & ~FEATURES) &&
           !header->reserved1[0] && !header->reserved1[1] &&
           !memchr_inv(header->reserved2, 0, sizeof header->reserved2);
}

// All of it.
static long move_whole_vector(struct task_struct *child, void __user *user, size_t bytes, bool in)
{
    unsigned long *area = child->thread.regs.regs.fp;
    struct _xstate state;
    long moved;

    vector_image(child, &state);
    if (!in)
        return move(&state, sizeof state, user, bytes, false);
    if (bytes != sizeof state)
        return -EFAULT;
    moved = move(&state, sizeof state, user, bytes, true);
    if (moved < 0)
        return moved;
    if (!sound_vector(&state))
        return -EINVAL;
    memcpy(area, &state, sizeof state);
    return moved;
}

// The x87 and SSE part alone.
static long move_vector(struct task_struct *child, void __user *user, size_t bytes, bool in)
{
    unsigned long *area = child->thread.regs.regs.fp;
    struct _fpstate_64 state;
    long moved;

    fpu_release(area);
    memcpy(&state, area, sizeof state);
    moved = move(&state, FXSAVE_BYTES, user, bytes, in);
    if (!in || moved < 0)
        return moved;
    if (state.mxcsr & ~MXCSR_MASK)
        return -EINVAL;
    memcpy(area, &state, sizeof state);
    ((struct _xstate *)area)->xstate_hdr.xfeatures |= 3;
    return moved;
}

static long move_general(struct task_struct *child, void __user *user, size_t bytes, bool in)
{
    unsigned long words[MAX_REG_NR];
    long moved;
    size_t i;

    for (i = 0; i < MAX_REG_NR; i++)
        words[i] = getreg(child, (int)(i * sizeof(long)));
    moved = move(words, sizeof words, user, bytes, in);
    for (i = 0; in && i < MAX_REG_NR && moved > 0; i++)
        if (__wrap_putreg(child, (int)(i * sizeof(long)), words[i]))
            return -EIO;
    return moved;
}

static long regset(struct task_struct *child, unsigned long type, struct iovec __user *user,
                   bool in)
{
    struct iovec part;
    long moved;

    if (copy_from_user(&part, user, sizeof part))
        return -EFAULT;
    switch (type) {
    case NT_PRSTATUS:
        moved = move_general(child, part.iov_base, part.iov_len, in);
        break;
    case NT_PRFPREG:
        moved = move_vector(child, part.iov_base, part.iov_len, in);
        break;
    case NT_X86_XSTATE:
        moved = move_whole_vector(child, part.iov_base, part.iov_len, in);
        break;
    default:
        return -EINVAL;
    }
    return moved < 0 ? moved : put_user((size_t)moved, &user->iov_len);
}

static long set_base(struct task_struct *child, int index, unsigned long value)
{
    if (value >= TASK_SIZE_MAX)
        return -EPERM;
    child->thread.regs.regs.gp[index] = value;
    return 0;
}

static long arch_prctl_of(struct task_struct *child, unsigned long option, unsigned long argument)
{
    const unsigned long *gp = child->thread.regs.regs.gp;

    switch (option) {
    case ARCH_SET_FS:
        return set_base(child, HOST_FS_BASE, argument);
    case ARCH_SET_GS:
        return set_base(child, HOST_GS_BASE, argument);
    case ARCH_GET_FS:
        return put_user(gp[HOST_FS_BASE], (unsigned long __user *)argument);
    case ARCH_GET_GS:
        return put_user(gp[HOST_GS_BASE], (unsigned long __user *)argument);
    default:
        return -EINVAL;
    }
}

long __wrap_subarch_ptrace(struct task_struct *child, long request, unsigned long addr,
                           unsigned long data);
long __wrap_subarch_ptrace(struct task_struct *child, long request, unsigned long addr,
                           unsigned long data)
{
    void __user *user = (void __user *)data;
    long moved;

    switch (request) {
    case PTRACE_GETFPREGS:
    case PTRACE_SETFPREGS:
        moved = move_vector(child, user, FXSAVE_BYTES, request == PTRACE_SETFPREGS);
        return moved < 0 ? moved : 0;
    case PTRACE_GETREGSET:
    case PTRACE_SETREGSET:
        return regset(child, addr, user, request == PTRACE_SETREGSET);
    case PTRACE_ARCH_PRCTL:
        return arch_prctl_of(child, data, addr);
    default:
        return -EIO;
    }
}
