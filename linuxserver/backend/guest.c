// SPDX-License-Identifier: GPL-2.0-only
// The loop in which a process runs: its registers into the vCPU page, its task until it traps,
// Linux's handler for what it did. Each Linux thread has its own invocation, on its own kernel
// stack.
#include "guests.h"
#include "vcpu_page.h"

#include "lib/x86/trap.h"

#include <corvus/error.h>

#include <kern_util.h>
#include <os.h>
#include <signal.h>
#include <stdbool.h>
#include <skas.h>
#include <string.h>
#include <sysdep/faultinfo.h>
#include <sysdep/ptrace.h>
#include <sysdep/ptrace_user.h>

#define FLAG_TRAP         0x100ul
#define VECTOR_PROTECTION 13

// The first fifteen have the same order on both sides (struct user_regs_struct).
#define COMMON_REGISTERS 15
_Static_assert(offsetof(struct vcpu_registers, rip) == COMMON_REGISTERS * 8, "same order");
_Static_assert(HOST_R8 == 9 && HOST_DI == 14 && HOST_ORIG_AX == COMMON_REGISTERS, "same order");

static inline void copy_common(volatile void *to, const volatile void *from)
{
    uint64_t count = COMMON_REGISTERS;

    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

static inline void load_guest(const struct uml_pt_regs *regs, bool stepping)
{
    copy_common(&vcpu->guest, regs->gp);
    vcpu->guest.rip = regs->gp[HOST_IP];
    vcpu->guest.rflags = regs->gp[HOST_EFLAGS] | (stepping ? FLAG_TRAP : 0);
    vcpu->guest.rsp = regs->gp[HOST_SP];
    vcpu->guest.fs_base = regs->gp[HOST_FS_BASE];
    vcpu->guest.gs_base = regs->gp[HOST_GS_BASE];
    vcpu->fpu_area = (uint64_t)regs->fp;
}

static inline void store_guest(struct uml_pt_regs *regs, bool stepping)
{
    copy_common(regs->gp, &vcpu->guest);
    regs->gp[HOST_IP] = vcpu->guest.rip;
    regs->gp[HOST_EFLAGS] = vcpu->guest.rflags & ~(stepping ? FLAG_TRAP : 0);
    regs->gp[HOST_SP] = vcpu->guest.rsp;
    regs->gp[HOST_FS_BASE] = vcpu->guest.fs_base;
    regs->gp[HOST_GS_BASE] = vcpu->guest.gs_base;
    regs->is_user = 1;
}

static void system_call(struct uml_pt_regs *regs)
{
    PT_SYSCALL_NR(regs->gp) = (long)regs->gp[HOST_AX];
    handle_syscall(regs);
    // Nothing restarts it any more once its signals have been dealt with.
}

#define FAULT_BY_USER 4

// An access that the processor itself makes on the program's behalf, as to a segment's descriptor,
// is none that a page could help.
static void page_fault(struct uml_pt_regs *regs)
{
    if (!(vcpu->error_code & FAULT_BY_USER)) {
        guest_exception(regs, 14, vcpu->error_code);
        return;
    }
    regs->faultinfo = (struct faultinfo){
        .error_code = (int)vcpu->error_code, .cr2 = vcpu->fault_address, .trap_no = 14};
    guest_page_missing(vcpu->fault_address);
    segv_handler(SIGSEGV, NULL, regs);
    regs->faultinfo.error_code = 0; // it is over: see execution.c
}

// Runs the process until it traps. Events are off.
static inline int64_t run_guest(void)
{
    if (__builtin_expect(guest_running->task == PORT_NULL, 0)) {
        corvus_error_t error = guest_begin(guest_running);

        if (error != ERR_OK)
            return -(int64_t)error;
    }
    return vcpu_run(guest_running->task);
}

static bool is_canonical(unsigned long address)
{
    return (unsigned long)((long)(address << 16) >> 16) == address;
}

_Static_assert(HOST_GS_BASE == HOST_FS_BASE + 1, "the bases");

// Processors refuse a base that is not canonical at `wrgsbase`; QEMU takes it.
static bool drop_bad_bases(struct uml_pt_regs *regs)
{
    bool bad = false;

    for (int i = HOST_FS_BASE; i <= HOST_GS_BASE; i++) {
        if (is_canonical(regs->gp[i]))
            continue;
        regs->gp[i] = 0;
        bad = true;
    }
    return bad;
}

// The process cannot run: its task is gone, or it has registers that no processor takes. Of those
// it can have made itself only bases: that is its fault, which is told it late.
static void cannot_run(struct uml_pt_regs *regs, int64_t error)
{
    if (error == -(int64_t)ERR_STATE && drop_bad_bases(regs)) {
        guest_exception(regs, VECTOR_PROTECTION, 0);
        return;
    }
    printk(UM_KERN_ERR "linux server: a process cannot run: error %d\n", (int)-error);
    fatal_sigsegv();
}

// Signals, rescheduling. Events are off from the last look on: one that comes afterwards makes the
// guest exit at once.
static void finish_work(void)
{
    for (;;) {
        interrupt_end();
        block_signals();
        if (!process_has_work())
            return;
        unblock_signals();
    }
}

void userspace(struct uml_pt_regs *regs, unsigned long *aux_fp_regs)
{
    (void)aux_fp_regs;
    finish_work();
    for (;;) {
        bool stepping = singlestepping(NULL);
        int64_t reason;

        load_guest(regs, stepping);
        reason = run_guest();
        store_guest(regs, stepping);
        UPT_SYSCALL_NR(regs) = -1;
        PT_SYSCALL_NR(regs->gp) = -1; // what a debugger takes for: in no system call
        if (reason == VCPU_EXIT_EVENT)
            events_deliver(regs);
        unblock_signals();
        switch (reason) {
        case VCPU_EXIT_SYSCALL:
            system_call(regs);
            break;
        case VCPU_EXIT_PAGE_FAULT:
            page_fault(regs);
            break;
        case VCPU_EXIT_EXCEPTION:
            guest_exception(regs, vcpu->vector, vcpu->error_code);
            break;
        case VCPU_EXIT_EVENT:
            break;
        default:
            cannot_run(regs, reason);
        }
        finish_work();
    }
}
