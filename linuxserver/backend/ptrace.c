// SPDX-License-Identifier: BSD-2-Clause
// Debuggers and core dumps see the thread that is meant. ARCH=um asks its one host process for the
// vector state, whichever thread that ran last.
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

#include "server.h"

#define FXSAVE_BYTES sizeof(struct user_i387_struct)

int __wrap_elf_core_copy_fpregs(struct task_struct *t, elf_fpregset_t *fpu);
int __wrap_elf_core_copy_fpregs(struct task_struct *t, elf_fpregset_t *fpu)
{
    fpu_release(t->thread.regs.regs.fp);
    memcpy(fpu, t->thread.regs.regs.fp, FXSAVE_BYTES);
    return 1;
}

static long move(void *state, size_t size, void __user *user, size_t bytes, bool in)
{
    if (bytes > size)
        bytes = size;
    if (in ? copy_from_user(state, user, bytes) : copy_to_user(user, state, bytes))
        return -EFAULT;
    return (long)bytes;
}

// Of a debugger's state only what the processor can have; the microkernel checks the rest when it
// loads it.
static long move_vector(struct task_struct *child, void __user *user, size_t bytes, bool in,
                        bool whole)
{
    unsigned long *state = child->thread.regs.regs.fp;

    fpu_release(state);
    if (in && !whole)
        ((struct _xstate *)state)->xstate_hdr.xfeatures |= 3;
    return move(state, whole ? sizeof(struct _xstate) : FXSAVE_BYTES, user, bytes, in);
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
        if (putreg(child, (int)(i * sizeof(long)), words[i]))
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
        moved = move_vector(child, part.iov_base, part.iov_len, in, false);
        break;
    case NT_X86_XSTATE:
        moved = move_vector(child, part.iov_base, part.iov_len, in, true);
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
        moved = move_vector(child, user, FXSAVE_BYTES, request == PTRACE_SETFPREGS, false);
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
