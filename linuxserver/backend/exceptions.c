// SPDX-License-Identifier: GPL-2.0-only
// What a process did wrong, told it as Linux on x86 does (arch/x86/kernel/traps.c).
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>

#include <asm/ptrace.h>
#include <asm/sigcontext.h>

#include "breakpoints.h"
#include "server.h"

struct uml_pt_regs *current_registers(void)
{
    return &current->thread.regs.regs;
}

int process_has_work(void)
{
    return (read_thread_flags() & _TIF_WORK_MASK) != 0;
}

// Linux takes what it has told of once for known until it changes the page; but a guest may have
// been ended meanwhile (guests.h). Marked as new, the page is told again when the fault has been
// dealt with.
void guest_page_missing(unsigned long address)
{
    struct mm_struct *mm = current->mm;
    pgd_t *pgd;
    p4d_t *p4d;
    pud_t *pud;
    pmd_t *pmd;
    pte_t *pte;

    if (mm == NULL || address >= TASK_SIZE)
        return;
    pgd = pgd_offset(mm, address);
    if (!pgd_present(*pgd))
        return;
    p4d = p4d_offset(pgd, address);
    if (!p4d_present(*p4d))
        return;
    pud = pud_offset(p4d, address);
    if (!pud_present(*pud))
        return;
    pmd = pmd_offset(pud, address);
    if (!pmd_present(*pmd))
        return;
    pte = pte_offset_kernel(pmd, address);
    if (pte_present(*pte))
        *pte = pte_mknewpage(*pte);
}

static int float_code(unsigned int flags)
{
    if (flags & 0x01)
        return FPE_FLTINV;
    if (flags & 0x04)
        return FPE_FLTDIV;
    if (flags & 0x08)
        return FPE_FLTOVF;
    if (flags & 0x12)
        return FPE_FLTUND;
    if (flags & 0x20)
        return FPE_FLTRES;
    return 0;
}

// The exceptions that are pending and not masked, of the x87 unit (16) or of SSE (19).
static void float_exception(struct uml_pt_regs *regs, bool sse, void __user *ip)
{
    const struct _fpstate_64 *state = (const struct _fpstate_64 *)regs->fp;
    int code;

    fpu_release(regs->fp);
    code = float_code(sse ? state->mxcsr & ~(state->mxcsr >> 7) & 0x3f
                          : state->swd & ~state->cwd & 0x3f);
    // Without one the exception is not there any more: the instruction is tried again.
    if (code != 0)
        force_sig_fault(SIGFPE, code, ip);
}

void guest_exception(struct uml_pt_regs *regs, unsigned int vector, unsigned long error_code)
{
    void __user *ip = (void __user *)UPT_IP(regs);

    current->thread.arch.faultinfo = (struct faultinfo){
        .error_code = (int)error_code,
        .cr2 = current->thread.arch.faultinfo.cr2,
        .trap_no = (int)vector,
    };
    switch (vector) {
    case 0:
        force_sig_fault(SIGFPE, FPE_INTDIV, ip);
        break;
    case 1:
        breakpoints_trap(&current->thread.arch, regs);
        break;
    case 3:
        force_sig(SIGTRAP);
        break;
    case 6:
        force_sig_fault(SIGILL, ILL_ILLOPN, ip);
        break;
    case 11:
    case 12:
        force_sig(SIGBUS);
        break;
    case 16:
        float_exception(regs, false, ip);
        break;
    case 17:
        force_sig_fault(SIGBUS, BUS_ADRALN, NULL);
        break;
    case 19:
        float_exception(regs, true, ip);
        break;
    default:
        force_sig(SIGSEGV);
    }
}
