// SPDX-License-Identifier: BSD-2-Clause
// The vCPU: how a whole kernel runs as one thread of a server and lends its
// processor to guest tasks. The state page is kernel memory mapped into the
// server; everything in it is checked by the kernel at each use.
//
// An entry (upcall) saves the server's registers in `server`, clears
// events_enabled, takes 128 bytes and the alignment off the stack pointer, and
// goes to `entry`. Every fault of the server itself comes that way.
// The server must not use the vector unit: it holds the guest's state.
//
// `syscall` with rax = TAG_VCPU_RUN, rdi = send right to the guest task (or
// PORT_NULL to wait for an event). All registers but rsp are lost; it returns
// with rax = reason (VCPU_EXIT_* or -error).
#pragma once

#include <corvus/types.h>

#define VCPU_EXIT_SYSCALL    1u // the guest executed `syscall`
#define VCPU_EXIT_PAGE_FAULT 2u // fault_address, error_code
#define VCPU_EXIT_EXCEPTION  3u // vector, error_code
#define VCPU_EXIT_EVENT      4u // pending & ~0 became non-zero while events were enabled

// Of vcpu_state.debug_status, Intel SDM volume 3, section 18.2.3.
#define VCPU_DEBUG_HITS 0xfu    // bit N: debug_address[N]
#define VCPU_DEBUG_STEP 0x4000u // single step

#ifndef __ASSEMBLER__

// Register file of a guest, or of the interrupted server. `rflags`: only the
// arithmetic flags, DF, TF, AC, ID and RF are taken over. A guest is not entered
// (ERR_STATE) with an ip in the kernel's half or a base that is not canonical.
struct vcpu_registers {
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8;
    uint64_t rax, rcx, rdx, rsi, rdi;
    uint64_t rip, rflags, rsp;
    uint64_t fs_base, gs_base;
};

struct vcpu_state {
    struct vcpu_registers guest;
    struct vcpu_registers server; // where an event or fault interrupted the server itself
    uint64_t entry;               // ip of the server's event entry; 0: no upcalls
    uint32_t events_enabled;      // 1: a pending event exits the guest / enters the server
    uint32_t in_entry;   // set at an entry; the server clears it when it has copied `server`.
                         // A fault before that goes to the thread's pager or exception port
    uint64_t pending;    // event bits; OR-ed in by the kernel, cleared by the server (atomically)
    uint64_t fpu_area;   // address of the guest's vector save area in the server; 0: none
    uint32_t reason;     // why `entry` was entered (VCPU_EXIT_*), or why the guest left
    uint32_t vector;     // processor vector of an exception
    uint64_t error_code; // of the processor
    uint64_t fault_address;         // CR2
    uint64_t fpu_held;              // written by the kernel: the save area whose context it or the
                                    // processor holds, so that memory there is out of date; 0: none
    uint32_t server_events_enabled; // at an entry: events_enabled as it was before
    uint32_t guest_events; // 1: a pending event exits the guest whatever events_enabled says,
                           // so that a server can look for work and enter without a gap
    // The guest's debug registers. They are loaded while it runs if debug_control is not 0; then
    // it must be a DR7 of breakpoints and watchpoints at user addresses: others than those, ports,
    // lengths with an instruction, unaligned addresses and general detect are refused (ERR_STATE).
    // After an exit with exception 1 debug_status says what it was: VCPU_DEBUG_*. Behind an
    // instruction breakpoint the server sets RF, or it strikes again. A watchpoint at the operand
    // of MOV SS before `int` is lost (Intel SDM volume 3, 6.8.3).
    uint64_t debug_address[4]; // DR0 to DR3
    uint64_t debug_control;    // DR7
    uint64_t debug_status;     // DR6, of enabled breakpoints only
    uint64_t reserved[8];
};
_Static_assert(sizeof(struct vcpu_registers) == 160, "ABI");
_Static_assert(offsetof(struct vcpu_state, entry) == 320, "ABI");
_Static_assert(offsetof(struct vcpu_state, debug_address) == 392, "ABI");
_Static_assert(sizeof(struct vcpu_state) == 504, "ABI");
#endif
