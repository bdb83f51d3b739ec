// SPDX-License-Identifier: BSD-2-Clause
// A vCPU: a thread that lends its processor to guest tasks, and is entered
// like a processor's interrupt handler when an event comes.
#pragma once

#include "x86/frame.h"

// Offsets for entry.S: of the state page's kernel address in struct vcpu, and
// of the registers in struct vcpu_registers.
#define VCPU_STATE FRAME_BYTES
#define VR_R15     0x00
#define VR_R14     0x08
#define VR_R13     0x10
#define VR_R12     0x18
#define VR_RBP     0x20
#define VR_RBX     0x28
#define VR_R11     0x30
#define VR_R10     0x38
#define VR_R9      0x40
#define VR_R8      0x48
#define VR_RAX     0x50
#define VR_RCX     0x58
#define VR_RDX     0x60
#define VR_RSI     0x68
#define VR_RDI     0x70
#define VR_RIP     0x78
#define VR_RFLAGS  0x80
#define VR_RSP     0x88

#ifndef __ASSEMBLER__
#include "thread.h"

struct vcpu {
    struct frame frame;       // where traps of the guest are saved; first: TSS.rsp0 while it runs
    struct vcpu_state *state; // kernel address of the state page; second: entry.S
    uint64_t state_address;   // in the server
    struct thread *thread;
    struct task *guest;      // the guest task that runs or ran last; referenced
    bool resume_guest;       // an interrupt took the processor from the guest
    uint64_t vector_address; // save area in the server whose context the kernel holds; 0: none
};
_Static_assert(offsetof(struct vcpu, frame) == 0, "entry.S");
_Static_assert(offsetof(struct vcpu, state) == VCPU_STATE, "entry.S");
_Static_assert(offsetof(struct vcpu_registers, rip) == VR_RIP, "entry.S");
_Static_assert(offsetof(struct vcpu_registers, rsp) == VR_RSP, "entry.S");

// vcpu_run: the current thread enters a guest, or waits for an event.
void vcpu_run(struct thread *thread, port_name_t guest);

// An event bit was set: exits the guest, enters the server, or ends its wait.
void vcpu_raise(struct thread *thread, unsigned bit);

// A trap while a guest runs.
void vcpu_guest_trap(struct frame *frame);

// vcpu_debug.c: the guest is about to run, if debug_control is set with its debug
// registers; false: they are refused. At the trap that ends this; true: it was a system call, and
// is in the state page as one.
bool vcpu_debug_begin(struct vcpu *vcpu);
bool vcpu_debug_end(struct vcpu *vcpu, unsigned vector);

// Called by entry.S for a guest's `syscall`.
void vcpu_guest_syscall(void);

// Before the vCPU thread runs: delivers what is pending.
void vcpu_before_run(struct thread *thread);

// A fault of the server itself; true when its entry takes it.
bool vcpu_server_fault(struct thread *thread, const struct fault *fault);

// thread_abort of a vcpu_run that waits.
void vcpu_end_idle(struct thread *thread);

corvus_error_t vcpu_create(struct thread *thread, uint64_t address);
void vcpu_destroy(struct thread *thread);

// bit 64 undoes the binding.
void vcpu_bind_port(struct thread *thread, struct port *port, uint8_t bit);

// The guest's vector state goes to its save area in the server.
corvus_error_t vcpu_flush_vector(struct thread *thread);

// The vector unit is not available in the guest: loads its context. False: the
// server has named no save area, or a bad one.
bool vcpu_load_vector(struct thread *thread);

_Noreturn void vcpu_guest_iret(const struct vcpu_registers *registers, uint64_t flags, uint64_t ip);
#endif
