// SPDX-License-Identifier: BSD-2-Clause
// vcpu_run as a C function: the kernel keeps nothing but the stack pointer, so
// the registers that C expects back are put on the stack.

    // corvus/message.h: TAG_VCPU_RUN; the constants there are C's.
    .set    TAG_VCPU_RUN, 1 << 24

    .text
    .globl  vcpu_run
    .type   vcpu_run, @function
vcpu_run:
    push    %rbx
    push    %rbp
    push    %r12
    push    %r13
    push    %r14
    push    %r15
    mov     %edi, %edi
    mov     $TAG_VCPU_RUN, %eax
    syscall
    pop     %r15
    pop     %r14
    pop     %r13
    pop     %r12
    pop     %rbp
    pop     %rbx
    ret
    .size   vcpu_run, . - vcpu_run

    .section .note.GNU-stack, "", @progbits
