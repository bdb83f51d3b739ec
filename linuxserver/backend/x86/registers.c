// SPDX-License-Identifier: GPL-2.0-only
// Register files as ARCH=um keeps them: general registers in `gp` (struct user_regs_struct), vector
// state in `fp` (XSAVE's standard form up to AVX).
#include <errno.h>
#include <kern_util.h>
#include <longjmp.h>
#include <os.h>
#include <registers.h>
#include <string.h>
#include <sysdep/ptrace.h>
#include <sysdep/ptrace_user.h>

#include "server.h"

// What programs see of Linux's selectors (arch/x86/include/asm/segment.h).
#define USER_CODE_SELECTOR  0x33
#define USER_STACK_SELECTOR 0x2b
#define FLAGS_INITIAL       0x202

#define FCW_INITIAL   0x37fu
#define MXCSR_INITIAL 0x1f80u
#define MXCSR_OFFSET  24
#define VECTOR_BYTES  832 // x87, SSE and AVX state; ARCH=um has room for more
_Static_assert(HOST_FP_SIZE * sizeof(long) >= VECTOR_BYTES, "the state fits");

void get_safe_registers(unsigned long *regs, unsigned long *fp_regs)
{
    memset(regs, 0, MAX_REG_NR * sizeof *regs);
    regs[HOST_CS] = USER_CODE_SELECTOR;
    regs[HOST_SS] = USER_STACK_SELECTOR;
    regs[HOST_EFLAGS] = FLAGS_INITIAL;
    regs[HOST_ORIG_AX] = ~0ul;
    if (fp_regs == NULL)
        return;
    fpu_release(fp_regs);
    memset(fp_regs, 0, VECTOR_BYTES);
    *(unsigned short *)fp_regs = FCW_INITIAL;
    *(unsigned int *)((char *)fp_regs + MXCSR_OFFSET) = MXCSR_INITIAL;
}

unsigned long get_thread_reg(int reg, jmp_buf *buf)
{
    switch (reg) {
    case HOST_IP:
        return buf[0]->__rip;
    case HOST_SP:
        return buf[0]->__rsp;
    case HOST_BP:
        return buf[0]->__rbp;
    default:
        return 0;
    }
}

// arch_prctl puts the registers into "the process", has the host change them there and takes them
// back. Here the process is where they are already.
static struct uml_pt_regs *staged;

int restore_pid_registers(int pid, struct uml_pt_regs *regs)
{
    (void)pid;
    staged = regs;
    return 0;
}

int save_registers(int pid, struct uml_pt_regs *regs)
{
    (void)pid;
    (void)regs;
    return 0;
}

int os_arch_prctl(int pid, int option, unsigned long *arg2)
{
    enum { SET_GS = 0x1001, SET_FS, GET_FS, GET_GS };
    struct uml_pt_regs *regs = current_registers();

    (void)pid;
    switch (option) {
    case SET_FS:
    case SET_GS:
        if ((unsigned long)arg2 >= os_get_top_address())
            return -EPERM;
        staged->gp[option == SET_FS ? HOST_FS_BASE : HOST_GS_BASE] = (unsigned long)arg2;
        return 0;
    case GET_FS:
        *arg2 = regs->gp[HOST_FS_BASE];
        return 0;
    case GET_GS:
        *arg2 = regs->gp[HOST_GS_BASE];
        return 0;
    default:
        return -EINVAL;
    }
}

// elf_core_copy_fpregs and PTRACE_GETFPREGS go past these (ptrace.c).
int save_i387_registers(int pid, unsigned long *fp_regs)
{
    (void)pid;
    (void)fp_regs;
    return -EIO;
}

int restore_i387_registers(int pid, unsigned long *fp_regs)
{
    (void)pid;
    (void)fp_regs;
    return -EIO;
}
