// SPDX-License-Identifier: GPL-2.0-only
// Signal frames as programs on x86-64 know them, with the whole vector state and the marks by which
// they find it (arch/x86/kernel/fpu/signal.c). ARCH=um's own, which these stand for, take over
// neither what the processor still holds nor those marks.
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/signal.h>
#include <linux/syscalls.h>
#include <linux/uaccess.h>

#include <asm/ptrace.h>
#include <asm/sigcontext.h>
#include <asm/ucontext.h>

#include <frame_kern.h>
#include <registers.h>

#include "server.h"

#define RED_ZONE       128
#define FLAGS_RESTORED 0x50dd5ul // AC, OF, DF, TF, SF, ZF, AF, PF, CF and RF
#define FLAGS_CLEARED  0x10500ul // RF, DF and TF, as a handler begins

struct vector_frame {
    struct _xstate state;
    u32 magic2;
} __packed;

struct rt_sigframe {
    char __user *pretcode;
    struct ucontext uc;
    struct siginfo info;
};

static void fill_context(struct sigcontext *sc, const struct pt_regs *regs, unsigned long mask,
                         void __user *vector)
{
    const unsigned long *gp = regs->regs.gp;
    const struct faultinfo *fault = &current->thread.arch.faultinfo;

    *sc = (struct sigcontext){
        .r8 = gp[HOST_R8],
        .r9 = gp[HOST_R9],
        .r10 = gp[HOST_R10],
        .r11 = gp[HOST_R11],
        .r12 = gp[HOST_R12],
        .r13 = gp[HOST_R13],
        .r14 = gp[HOST_R14],
        .r15 = gp[HOST_R15],
        .di = gp[HOST_DI],
        .si = gp[HOST_SI],
        .bp = gp[HOST_BP],
        .bx = gp[HOST_BX],
        .dx = gp[HOST_DX],
        .ax = gp[HOST_AX],
        .cx = gp[HOST_CX],
        .sp = gp[HOST_SP],
        .ip = gp[HOST_IP],
        .flags = gp[HOST_EFLAGS],
        .cs = (u16)gp[HOST_CS],
        .ss = (u16)gp[HOST_SS],
        .err = (u64)fault->error_code,
        .trapno = (u64)fault->trap_no,
        .oldmask = mask,
        .cr2 = fault->cr2,
        .fpstate = (u64)vector,
    };
}

static int put_vector(struct vector_frame __user *to, struct pt_regs *regs)
{
    struct _xstate *state = (struct _xstate *)regs->regs.fp;

    fpu_release(state);
    state->fpstate.sw_reserved = (struct _fpx_sw_bytes){
        .magic1 = FP_XSTATE_MAGIC1,
        .extended_size = sizeof *to,
        .xfeatures = 7,
        .xstate_size = sizeof to->state,
    };
    return copy_to_user(&to->state, state, sizeof *state) ||
           put_user(FP_XSTATE_MAGIC2, &to->magic2);
}

int __wrap_setup_signal_stack_si(unsigned long stack_top, struct ksignal *ksig,
                                 struct pt_regs *regs, sigset_t *set);
int __wrap_setup_signal_stack_si(unsigned long stack_top, struct ksignal *ksig,
                                 struct pt_regs *regs, sigset_t *set)
{
    bool alternate = stack_top != PT_REGS_SP(regs);
    struct vector_frame __user *vector =
        (void __user *)round_down(stack_top - (alternate ? 0 : RED_ZONE) - sizeof *vector, 64);
    struct rt_sigframe __user *frame =
        (void __user *)(round_down((unsigned long)vector - sizeof *frame, 16) - 8);
    struct sigcontext sc;
    int err;

    // A handler that has run off its alternate stack must not go on there.
    if (alternate && (unsigned long)frame < current->sas_ss_sp)
        return -EFAULT;
    if (!(ksig->ka.sa.sa_flags & SA_RESTORER) ||
        !access_ok(frame, stack_top - (unsigned long)frame))
        return -EFAULT;
    fill_context(&sc, regs, set->sig[0], vector);
    err = put_vector(vector, regs);
    if (ksig->ka.sa.sa_flags & SA_SIGINFO)
        err |= copy_siginfo_to_user(&frame->info, &ksig->info);
    err |= __put_user(UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS, &frame->uc.uc_flags);
    err |= __put_user(0, &frame->uc.uc_link);
    err |= __save_altstack(&frame->uc.uc_stack, PT_REGS_SP(regs));
    err |= __copy_to_user(&frame->uc.uc_mcontext, &sc, sizeof sc);
    err |= __copy_to_user(&frame->uc.uc_sigmask, set, sizeof *set);
    err |= __put_user((void __user *)ksig->ka.sa.sa_restorer, &frame->pretcode);
    if (err)
        return -EFAULT;

    PT_REGS_SP(regs) = (unsigned long)frame;
    PT_REGS_IP(regs) = (unsigned long)ksig->ka.sa.sa_handler;
    PT_REGS_DI(regs) = (unsigned long)ksig->sig;
    PT_REGS_SI(regs) = (unsigned long)&frame->info;
    PT_REGS_DX(regs) = (unsigned long)&frame->uc;
    PT_REGS_AX(regs) = 0;
    PT_REGS_EFLAGS(regs) &= ~FLAGS_CLEARED;
    return 0;
}

// --- Back ----------------------------------------------------------------------------------------

static void take_context(struct pt_regs *regs, const struct sigcontext *sc)
{
    unsigned long *gp = regs->regs.gp;

    gp[HOST_R8] = sc->r8;
    gp[HOST_R9] = sc->r9;
    gp[HOST_R10] = sc->r10;
    gp[HOST_R11] = sc->r11;
    gp[HOST_R12] = sc->r12;
    gp[HOST_R13] = sc->r13;
    gp[HOST_R14] = sc->r14;
    gp[HOST_R15] = sc->r15;
    gp[HOST_DI] = sc->di;
    gp[HOST_SI] = sc->si;
    gp[HOST_BP] = sc->bp;
    gp[HOST_BX] = sc->bx;
    gp[HOST_DX] = sc->dx;
    gp[HOST_AX] = sc->ax;
    gp[HOST_CX] = sc->cx;
    gp[HOST_SP] = sc->sp;
    gp[HOST_IP] = sc->ip;
    gp[HOST_EFLAGS] = (gp[HOST_EFLAGS] & ~FLAGS_RESTORED) | (sc->flags & FLAGS_RESTORED);
}

// A program may give no vector state, the SSE part alone, or all of it; what is not given begins
// anew. The microkernel checks what it loads.
static int take_vector(struct pt_regs *regs, const struct _xstate __user *from)
{
    struct _xstate *state = (struct _xstate *)regs->regs.fp;
    unsigned long gp[MAX_REG_NR];
    size_t bytes = sizeof state->fpstate;

    get_safe_registers(gp, regs->regs.fp);
    if (from == NULL)
        return 0;
    if (copy_from_user(&state->fpstate, &from->fpstate, sizeof state->fpstate))
        return -EFAULT;
    state->xstate_hdr.xfeatures = 3;
    if (state->fpstate.sw_reserved.magic1 == FP_XSTATE_MAGIC1) {
        bytes = sizeof *state;
        if (copy_from_user((char *)state + sizeof state->fpstate,
                           (const char __user *)from + sizeof state->fpstate,
                           bytes - sizeof state->fpstate))
            return -EFAULT;
    }
    return 0;
}

long __wrap_sys_rt_sigreturn(void);
long __wrap_sys_rt_sigreturn(void)
{
    struct pt_regs *regs = &current->thread.regs;
    struct rt_sigframe __user *frame = (void __user *)(PT_REGS_SP(regs) - sizeof(long));
    struct sigcontext sc;
    sigset_t set;

    if (copy_from_user(&set, &frame->uc.uc_sigmask, sizeof set) ||
        copy_from_user(&sc, &frame->uc.uc_mcontext, sizeof sc))
        goto bad_frame;
    set_current_blocked(&set);
    current->restart_block.fn = do_no_restart_syscall;
    take_context(regs, &sc);
    if (take_vector(regs, (const void __user *)sc.fpstate) || restore_altstack(&frame->uc.uc_stack))
        goto bad_frame;
    // No system call is restarted by what follows.
    PT_REGS_SYSCALL_NR(regs) = -1;
    return (long)PT_REGS_AX(regs);

bad_frame:
    force_sig(SIGSEGV);
    return 0;
}
