// SPDX-License-Identifier: BSD-2-Clause
// What the vCPU tests share: a guest task, and a server: a helper thread whose
// code uses no vector register and no C library, and notes what it sees.
#pragma once

#include "harness.h"

#include <corvus/vcpu.h>

#define SERVER     __attribute__((target("general-regs-only")))
#define VCPU_PAGE  0x680000100000ull // beside the message pages: the same page table
#define GUEST_DATA 0x500000000ull    // one page, read and write, stack included
#define NOTES      48

extern port_name_t guest_task;
extern char *guest_data; // the same page here
extern struct helper *server;
extern volatile uint64_t notes[NOTES];
extern volatile unsigned note_count;

#define VCPU ((volatile struct vcpu_state *)VCPU_PAGE)

// Code of a guest: part of this program, mapped into the guest where it is here.
#define GUEST(name, code)                                                                          \
    extern const char name[];                                                                      \
    __asm__(".pushsection .text\n\t.balign 16\n" #name ":\n\t" code "\n\t.popsection")

void guest_make(const char *code);
void guest_serve(void (*function)(void *));
void guest_drop(void); // when the server has ended by itself

SERVER static inline void note(uint64_t value)
{
    if (note_count < NOTES)
        notes[note_count] = value;
    note_count++;
}

// The guest begins there, all other registers zero.
SERVER static inline void guest_begin(const char *code)
{
    volatile uint64_t *words = (volatile uint64_t *)&VCPU->guest;

    for (unsigned i = 0; i < sizeof(struct vcpu_registers) / 8; i++)
        words[i] = 0;
    VCPU->guest.rip = (uint64_t)code;
    VCPU->guest.rsp = GUEST_DATA + PAGE_BYTES;
}
