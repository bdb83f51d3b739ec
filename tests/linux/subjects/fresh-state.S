// SPDX-License-Identifier: BSD-2-Clause
// A program without a C library whose very first instructions look at what exec gave it: all vector
// registers and general registers zero, the control words of a fresh process. Ends with status 0, or
// with the number of what was wrong.
    .globl _start
_start:
    // The System V ABI leaves the general registers open, but for rdx, what Linux sets to zero.
    mov $1, %r15d
    or %rbx, %rax
    or %rcx, %rax
    or %rdx, %rax
    or %rsi, %rax
    or %rdi, %rax
    or %rbp, %rax
    or %r8, %rax
    or %r9, %rax
    or %r10, %rax
    or %r12, %rax
    or %r13, %rax
    or %r14, %rax
    test %rax, %rax
    jnz wrong

    mov $2, %r15d
    stmxcsr -8(%rsp)
    cmpl $0x1f80, -8(%rsp)
    jne wrong
    mov $3, %r15d
    fnstcw -8(%rsp)
    cmpw $0x37f, -8(%rsp)
    jne wrong
    mov $4, %r15d
    fnstsw %ax
    test %ax, %ax
    jnz wrong

    mov $5, %r15d
    .irp number, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    vorps %ymm\number, %ymm0, %ymm0
    .endr
    vptest %ymm0, %ymm0
    jnz wrong

    // FS and GS bases are zero: what they point to is not there, so they are read, not used.
    mov $6, %r15d
    mov $158, %eax              // arch_prctl(ARCH_GET_FS)
    mov $0x1003, %edi
    lea -16(%rsp), %rsi
    movq $-1, (%rsi)
    syscall
    mov -16(%rsp), %rbx
    mov $158, %eax              // arch_prctl(ARCH_GET_GS)
    mov $0x1004, %edi
    lea -16(%rsp), %rsi
    movq $-1, (%rsi)
    syscall
    or -16(%rsp), %rbx
    jnz wrong

    xor %r15d, %r15d
wrong:
    mov %r15d, %edi
    mov $60, %eax
    syscall
    hlt
    .section .note.GNU-stack, "", @progbits
