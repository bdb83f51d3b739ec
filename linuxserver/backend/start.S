// SPDX-License-Identifier: GPL-2.0-only
// Where the loader enters, and where the microkernel enters with an event or a fault of the server.
#include "registers.h"

    .text
    .globl _start
_start: // rdi: struct server_boot
    xor %ebp, %ebp
    and $-16, %rsp
    call server_main
    ud2

// The microkernel has put the interrupted registers into the vCPU page, masked events and left room
// on the interrupted stack. Linux finds its current thread by the stack pointer, so its handlers
// run right there. The registers are copied onto the stack first: then the next entry may come.
    .globl server_entry
server_entry:
    sub $REGISTERS_BYTES, %rsp
    cld
    mov %rsp, %rdi
    call server_entered // events are as they were when it returns

    // Flags and instruction pointer go below the interrupted stack pointer: Linux is built without a
    // red zone. An event from here on finds this frame above the stack pointer, untouched.
    mov REGISTERS_RSP(%rsp), %rax
    sub $16, %rax
    mov REGISTERS_RFLAGS(%rsp), %rcx
    mov %rcx, (%rax)
    mov REGISTERS_RIP(%rsp), %rcx
    mov %rcx, 8(%rax)
    mov %rax, REGISTERS_RSP(%rsp)
    mov REGISTERS_R15(%rsp), %r15
    mov REGISTERS_R14(%rsp), %r14
    mov REGISTERS_R13(%rsp), %r13
    mov REGISTERS_R12(%rsp), %r12
    mov REGISTERS_RBP(%rsp), %rbp
    mov REGISTERS_RBX(%rsp), %rbx
    mov REGISTERS_R11(%rsp), %r11
    mov REGISTERS_R10(%rsp), %r10
    mov REGISTERS_R9(%rsp), %r9
    mov REGISTERS_R8(%rsp), %r8
    mov REGISTERS_RAX(%rsp), %rax
    mov REGISTERS_RCX(%rsp), %rcx
    mov REGISTERS_RDX(%rsp), %rdx
    mov REGISTERS_RSI(%rsp), %rsi
    mov REGISTERS_RDI(%rsp), %rdi
    mov REGISTERS_RSP(%rsp), %rsp
    popfq
    ret

    .section .note.GNU-stack, "", @progbits
