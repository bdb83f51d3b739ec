// SPDX-License-Identifier: GPL-2.0-only
// Linux's interrupts: the vCPU's pending bits and its mask. Blocking them is one store. Unblocking
// is another and a look at what came meanwhile.
#include "registers.h"
#include "vcpu_page.h"

#include <kern_util.h>
#include <os.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sysdep/faultinfo.h>
#include <sysdep/ptrace.h>

#define CHECK_OFFSET(NAME, field)                                                                  \
    _Static_assert(REGISTERS_##NAME == offsetof(struct vcpu_registers, field), "start.S")
CHECK_OFFSET(R15, r15);
CHECK_OFFSET(R14, r14);
CHECK_OFFSET(R13, r13);
CHECK_OFFSET(R12, r12);
CHECK_OFFSET(RBP, rbp);
CHECK_OFFSET(RBX, rbx);
CHECK_OFFSET(R11, r11);
CHECK_OFFSET(R10, r10);
CHECK_OFFSET(R9, r9);
CHECK_OFFSET(R8, r8);
CHECK_OFFSET(RAX, rax);
CHECK_OFFSET(RCX, rcx);
CHECK_OFFSET(RDX, rdx);
CHECK_OFFSET(RSI, rsi);
CHECK_OFFSET(RDI, rdi);
CHECK_OFFSET(RIP, rip);
CHECK_OFFSET(RFLAGS, rflags);
CHECK_OFFSET(RSP, rsp);
_Static_assert(offsetof(struct vcpu_state, events_enabled) == 0x148, "Makefile-os-Corvus");
_Static_assert(REGISTERS_BYTES == sizeof(struct vcpu_registers), "start.S");

// What an interrupt of Linux itself shows to its handlers: that it was not a process.
static struct uml_pt_regs server_registers;

void machine_interrupts(unsigned long bits, struct uml_pt_regs *regs);

void events_deliver(struct uml_pt_regs *regs)
{
    uint64_t bits = __atomic_exchange_n(&vcpu->pending, 0, __ATOMIC_RELAXED);

    if (bits & 1ul << EVENT_CONSOLE) {
        console_receive();
        sigio_handler(SIGIO, NULL, regs);
    }
    if (bits >> EVENT_DEVICE)
        machine_interrupts(bits >> EVENT_DEVICE, regs);
    if (bits >> EVENT_MESSAGES)
        messages_event(bits >> EVENT_MESSAGES, regs);
    if (bits & 1ul << EVENT_TIMER)
        timer_handler(SIGALRM, NULL, regs);
}

// Opens the mask, then looks: an event that comes between the two enters by itself.
static void open_mask(struct uml_pt_regs *regs)
{
    for (;;) {
        vcpu->events_enabled = 1;
        if (__builtin_expect(vcpu->pending == 0, 1))
            return;
        vcpu->events_enabled = 0;
        events_deliver(regs);
    }
}

void block_signals(void)
{
    vcpu->events_enabled = 0;
}

void unblock_signals(void)
{
    if (!vcpu->events_enabled)
        open_mask(&server_registers);
}

int um_set_signals(int enable)
{
    int before = (int)vcpu->events_enabled;

    if (enable)
        unblock_signals();
    else
        block_signals();
    return before;
}

int um_set_signals_trace(int enable)
{
    return um_set_signals(enable);
}

// --- Entered by the microkernel ------------------------------------------------------------------

static void fault(struct vcpu_registers *saved, bool page_fault, uint32_t vector,
                  uint64_t error_code, uint64_t address)
{
    struct uml_pt_regs regs;

    if (page_fault && ethernet_fault(address))
        return;
    memset(regs.gp, 0, sizeof regs.gp);
    memcpy(regs.gp, saved, offsetof(struct vcpu_registers, rip)); // the same order
    regs.gp[HOST_IP] = saved->rip;
    regs.gp[HOST_EFLAGS] = saved->rflags;
    regs.gp[HOST_SP] = saved->rsp;
    regs.is_user = 0;
    regs.faultinfo =
        (struct faultinfo){.error_code = (int)error_code, .cr2 = address, .trap_no = (int)vector};
    UPT_SYSCALL_NR(&regs) = -1;
    if (page_fault)
        segv_handler(SIGSEGV, NULL, &regs);
    else
        relay_signal(SIGILL, NULL, &regs); // panics, which shows the registers
    saved->rip = regs.gp[HOST_IP];
}

void server_entered(struct vcpu_registers *saved);
void server_entered(struct vcpu_registers *saved)
{
    uint32_t reason = vcpu->reason;
    uint32_t vector = vcpu->vector;
    uint32_t enabled = vcpu->server_events_enabled;
    uint64_t error_code = vcpu->error_code;
    uint64_t address = vcpu->fault_address;

    memcpy(saved, (const void *)&vcpu->server, sizeof *saved);
    vcpu->in_entry = 0;
    if (reason == VCPU_EXIT_EVENT)
        events_deliver(&server_registers);
    else
        fault(saved, reason == VCPU_EXIT_PAGE_FAULT, vector, error_code, address);
    if (enabled)
        open_mask(&server_registers);
}

// --- Signals as the rest of ARCH=um knows them ---------------------------------------------------

void set_handler(int sig)
{
    (void)sig;
}

void timer_set_signal_handler(void)
{
}

void set_sigstack(void *sig_stack, int size)
{
    (void)sig_stack;
    (void)size;
}

int change_sig(int signal, int on)
{
    (void)signal;
    (void)on;
    return 0;
}

void init_new_thread_signals(void)
{
}

// Handlers run on the stack that was interrupted.
int os_is_signal_stack(void)
{
    return 0;
}

void send_sigio_to_self(void)
{
    __atomic_or_fetch(&vcpu->pending, 1ul << EVENT_CONSOLE, __ATOMIC_RELAXED);
}
