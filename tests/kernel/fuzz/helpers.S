// SPDX-License-Identifier: BSD-2-Clause
// See helpers.h. Tags are those of corvus/message.h.
    .set    TAG_WAIT, 1 << 17                       // RECEIVE
    .set    TAG_ANSWER, 1 << 16 | 1 << 17 | 1 << 19 // SEND, RECEIVE, REPLY

    .text
    .globl  helper_server
helper_server:
    mov     %edi, %ebx
receive:
    mov     $TAG_WAIT, %eax
    mov     %ebx, %esi
    syscall
received:
    bt      $40, %rax               // an error of the receive phase
    jc      end
    bt      $19, %rax               // somebody waits for an answer
    jnc     receive
    mov     $TAG_ANSWER + 2, %eax
    mov     %ebx, %esi
    syscall
    mov     %rax, %rcx              // an error of the send phase: the caller has gone
    shr     $32, %rcx
    jz      received
    bt      $40, %rax
    jnc     receive
end:
    ud2

    .globl  helper_worker
helper_worker:
    mov     $20000, %ecx
    movq    %rcx, %xmm1
1:  addpd   %xmm1, %xmm2
    dec     %ecx
    jnz     1b
    ud2

    .globl  helper_guest
    .balign 64
helper_guest:
    syscall
    addpd   %xmm1, %xmm2
    syscall
    mov     (%rax), %rax
    ud2

    .section .note.GNU-stack, "", @progbits
