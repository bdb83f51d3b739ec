// SPDX-License-Identifier: BSD-2-Clause
// Guests that run with debug registers. MOV SS puts a watchpoint off until after
// the next instruction. Were that `syscall`, it would strike in the kernel on the
// guest's stack pointer; so the instruction is turned off for such a guest, and
// the exception that it raises instead stands for it.
#include "cpu.h"
#include "mapping.h"
#include "memory.h"
#include "task.h"
#include "vcpu.h"
#include "x86/debug_registers.h"
#include "x86/instructions.h"
#include "x86/paging.h"

#define VECTOR_INVALID_OPCODE 6
#define INSTRUCTION_MAX       15

bool vcpu_debug_begin(struct vcpu *vcpu)
{
    uint64_t control = vcpu->state->debug_control;

    if (control == 0)
        return true;
    if (!debug_registers_load(vcpu->state->debug_address, control))
        return false;
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_SYSCALL);
    vcpu->thread->hazard |= HAZARD_DEBUG;
    return true;
}

// A byte of the guest's code; 0 where there is none.
static uint8_t code_byte(struct task *guest, uint64_t address)
{
    uint64_t physical = space_translate(guest, address, ACCESS_EXECUTE);

    return physical ? *(const uint8_t *)physical_to_virtual(physical) : 0;
}

// Segments, sizes, repetitions (Intel SDM volume 2, section 2.1.1), REX (2.2.1).
static bool is_prefix(uint8_t byte)
{
    static const uint8_t legacy[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf2, 0xf3};

    for (unsigned i = 0; i < sizeof legacy; i++)
        if (byte == legacy[i])
            return true;
    return (byte & 0xf0) == 0x40;
}

// Bytes of the `syscall` at this address, with prefixes; 0: it is none.
static unsigned syscall_length(struct task *guest, uint64_t address)
{
    for (unsigned i = 0; i < INSTRUCTION_MAX - 1; i++) {
        uint8_t byte = code_byte(guest, address + i);

        if (byte == 0x0f)
            return code_byte(guest, address + i + 1) == 0x05 ? i + 2 : 0;
        if (!is_prefix(byte))
            return 0;
    }
    return 0;
}

bool vcpu_debug_end(struct vcpu *vcpu, unsigned vector)
{
    struct vcpu_registers *guest = &vcpu->state->guest;
    unsigned length;

    debug_registers_off();
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SYSCALL);
    vcpu->thread->hazard &= ~HAZARD_DEBUG;
    length = vector == VECTOR_INVALID_OPCODE ? syscall_length(vcpu->guest, guest->rip) : 0;
    if (length == 0)
        return false;
    guest->rip += length;
    guest->rflags &= ~RFLAGS_RESUME;
    guest->rcx = guest->rip;
    guest->r11 = guest->rflags;
    return true;
}
