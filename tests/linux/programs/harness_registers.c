// SPDX-License-Identifier: BSD-2-Clause
// A breakpoint with known values in all general registers.
#include "harness_registers.h"

#include "harness.h"

_Static_assert(sizeof(struct registers) == 128, "known to the assembly below");

// rdi: load from. Uses one word of the stack.
__asm__(".macro load_registers\n\t"
        "pushq 120(%rdi)\n\t"
        "mov 0(%rdi), %rax\n\tmov 8(%rdi), %rbx\n\tmov 16(%rdi), %rcx\n\tmov 24(%rdi), %rdx\n\t"
        "mov 32(%rdi), %rsi\n\tmov 48(%rdi), %rbp\n\tmov 56(%rdi), %r8\n\tmov 64(%rdi), %r9\n\t"
        "mov 72(%rdi), %r10\n\tmov 80(%rdi), %r11\n\tmov 88(%rdi), %r12\n\t"
        "mov 96(%rdi), %r13\n\tmov 104(%rdi), %r14\n\tmov 112(%rdi), %r15\n\t"
        "mov 40(%rdi), %rdi\n\tpopf\n"
        ".endm\n"

        ".text\n.globl registers_around_int3\nregisters_around_int3:\n\t"
        "push %rbx\n\tpush %rbp\n\tpush %r12\n\tpush %r13\n\tpush %r14\n\tpush %r15\n\t"
        "push %rdi\n\tload_registers\n"
        ".globl registers_trap\nregisters_trap:\n\t"
        "int3\n\t"
        "xchg %rdi, (%rsp)\n\t"
        "mov %rax, 0(%rdi)\n\tmov %rbx, 8(%rdi)\n\tmov %rcx, 16(%rdi)\n\tmov %rdx, 24(%rdi)\n\t"
        "mov %rsi, 32(%rdi)\n\tmov %rbp, 48(%rdi)\n\tmov %r8, 56(%rdi)\n\tmov %r9, 64(%rdi)\n\t"
        "mov %r10, 72(%rdi)\n\tmov %r11, 80(%rdi)\n\tmov %r12, 88(%rdi)\n\t"
        "mov %r13, 96(%rdi)\n\tmov %r14, 104(%rdi)\n\tmov %r15, 112(%rdi)\n\t"
        "pop %rax\n\tmov %rax, 40(%rdi)\n\t"
        "pushf\n\tpop %rax\n\tmov %rax, 120(%rdi)\n\t"
        "cld\n\t"
        "pop %r15\n\tpop %r14\n\tpop %r13\n\tpop %r12\n\tpop %rbp\n\tpop %rbx\n\tret\n"

        ".globl registers_spin, registers_loop, registers_loop_end\nregisters_spin:\n\t"
        "load_registers\n"
        "registers_loop:\n\tpause\n\tjmp registers_loop\nregisters_loop_end:\n");

void registers_make(struct registers *registers, uint64_t seed)
{
    uint64_t *value = (uint64_t *)registers;
    for (uint64_t i = 0; i < GENERAL_REGISTERS; i++)
        value[i] = (seed + i) * 0x9e3779b97f4a7c15ull;
    // Carry, adjust, sign; interrupts, which are always on, and the bit that is always 1.
    registers->rflags = 0x202 | 0x1 | 0x10 | 0x80;
}
