// SPDX-License-Identifier: BSD-2-Clause
// A cancellable system call: __syscall_cp_asm(flag, number, a, b, c, d, e, f).
// There are no signals that could cancel it half way, so the flag is looked at
// once, before.
    .text
    .globl  __cp_begin
    .hidden __cp_begin
    .globl  __cp_end
    .hidden __cp_end
    .globl  __cp_cancel
    .hidden __cp_cancel
    .hidden __cancel
    .globl  __syscall_cp_asm
    .hidden __syscall_cp_asm
    .type   __syscall_cp_asm, @function
    .hidden __corvus_syscall
__syscall_cp_asm:
__cp_begin:
    mov     (%rdi), %eax
    test    %eax, %eax
    jnz     __cp_cancel
    mov     %rsi, %rdi
    mov     %rdx, %rsi
    mov     %rcx, %rdx
    mov     %r8, %rcx
    mov     %r9, %r8
    mov     8(%rsp), %r9
    pushq   16(%rsp)
    call    __corvus_syscall
    add     $8, %rsp
__cp_end:
    ret
__cp_cancel:
    jmp     __cancel

    .section .note.GNU-stack, "", @progbits
