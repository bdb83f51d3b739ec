// SPDX-License-Identifier: BSD-2-Clause
// The edge between user mode and the kernel: system-call entry, trap stubs and
// the ways back. One kernel stack, used afresh at each entry: what a thread
// waits for is in its structure, not on a stack. `cpu` and `cpu_tss` are
// reached by address, so no swapgs is needed.
#define __ASSEMBLER__ 1
#include "cpu.h"
#include "vcpu.h"
#include "x86/descriptor.h"
#include "x86/frame.h"

// On the stack of a trap that has pushed its error code and vector.
#define TRAP_CS 24

    .text
// Taken instead of syscall_entry while stretches with interrupts off are
// measured: notes when this one began.
    .globl syscall_entry_measured
syscall_entry_measured:
    mov     %rax, cpu + CPU_SCRATCH
    mov     %rdx, cpu + CPU_SCRATCH_2
    rdtsc
    shl     $32, %rdx
    or      %rdx, %rax
    mov     %rax, cpu + CPU_IRQS_OFF_SINCE
    mov     cpu + CPU_SCRATCH, %rax
    mov     cpu + CPU_SCRATCH_2, %rdx
    jmp     syscall_entry

    .balign 64
    .globl syscall_entry
// rcx = user ip, r11 = user flags; interrupts are off (SFMASK). Message
// registers as in corvus/message.h.
syscall_entry:
    mov     %rsp, cpu + CPU_SCRATCH
    cmpq    $0, cpu + CPU_IN_GUEST
    jne     guest_syscall
    mov     cpu + CPU_CURRENT, %rsp
    mov     %rcx, FRAME_RIP(%rsp)
    mov     cpu + CPU_SCRATCH, %rcx
    mov     %rcx, FRAME_RSP(%rsp)
    mov     %r11, FRAME_RFLAGS(%rsp)
    mov     %rbx, FRAME_RBX(%rsp)
    mov     %rbp, FRAME_RBP(%rsp)
    mov     %r15, FRAME_R15(%rsp)
    mov     %r8, FRAME_WORDS(%rsp)
    mov     %r9, FRAME_WORDS + 8(%rsp)
    mov     %r10, FRAME_WORDS + 16(%rsp)
    mov     %r12, FRAME_WORDS + 24(%rsp)
    mov     %r13, FRAME_WORDS + 32(%rsp)
    mov     %r14, FRAME_WORDS + 40(%rsp)
    mov     %rax, %rcx
    mov     $cpu_stack_top, %rsp
    // Comes back here only when the fast path was not taken.
    call    message_fast

// Runs whatever thread the kernel left as current.
    .globl kernel_leave
kernel_leave:
    call    kernel_exit
    testl   $HAZARD_FULL_FRAME, THREAD_HAZARD(%rax)
    jnz     leave_full
    mov     %rax, %rsi
    mov     %rax, %rcx
    mov     FRAME_RDI(%rsi), %rdi
    mov     FRAME_RDX(%rsi), %rdx
    mov     FRAME_RAX(%rsi), %rax
    // falls through

// Leaves to a thread that waited in a message system call: rdi label, rsi the
// thread, edx id, rax tag; the words come straight from the frame of rcx, the
// sender.
    .globl message_exit
message_exit:
    mov     FRAME_WORDS(%rcx), %r8
    mov     FRAME_WORDS + 8(%rcx), %r9
    mov     FRAME_WORDS + 16(%rcx), %r10
    mov     FRAME_WORDS + 24(%rcx), %r12
    mov     FRAME_WORDS + 32(%rcx), %r13
    mov     FRAME_WORDS + 40(%rcx), %r14
    mov     FRAME_RBX(%rsi), %rbx
    mov     FRAME_RBP(%rsi), %rbp
    mov     FRAME_R15(%rsi), %r15
    mov     FRAME_RIP(%rsi), %rcx
    mov     FRAME_RFLAGS(%rsi), %r11
    mov     FRAME_RSP(%rsi), %rsp
    xor     %esi, %esi
    sysretq

leave_full:
    andl    $~HAZARD_FULL_FRAME, THREAD_HAZARD(%rax)
    mov     %rax, %rsp
    .globl leave_frame
// Restores all registers from the frame at rsp.
leave_frame:
    pop     %rbx
    pop     %rbp
    pop     %r15
    pop     %r8
    pop     %r9
    pop     %r10
    pop     %r12
    pop     %r13
    pop     %r14
    pop     %rdi
    pop     %rsi
    pop     %rdx
    pop     %rax
    pop     %rcx
    pop     %r11
    add     $16, %rsp
    iretq

// A guest's `syscall`: its registers go straight into the vCPU state page.
guest_syscall:
    mov     cpu + CPU_IN_GUEST, %rsp
    mov     VCPU_STATE(%rsp), %rsp
    mov     %r15, VR_R15(%rsp)
    mov     %r14, VR_R14(%rsp)
    mov     %r13, VR_R13(%rsp)
    mov     %r12, VR_R12(%rsp)
    mov     %rbp, VR_RBP(%rsp)
    mov     %rbx, VR_RBX(%rsp)
    mov     %r11, VR_R11(%rsp)
    mov     %r10, VR_R10(%rsp)
    mov     %r9, VR_R9(%rsp)
    mov     %r8, VR_R8(%rsp)
    mov     %rax, VR_RAX(%rsp)
    mov     %rcx, VR_RCX(%rsp)
    mov     %rdx, VR_RDX(%rsp)
    mov     %rsi, VR_RSI(%rsp)
    mov     %rdi, VR_RDI(%rsp)
    mov     %rcx, VR_RIP(%rsp)
    mov     %r11, VR_RFLAGS(%rsp)
    mov     cpu + CPU_SCRATCH, %rax
    mov     %rax, VR_RSP(%rsp)
    mov     $cpu_stack_top, %rsp
    call    vcpu_guest_syscall
    jmp     kernel_leave

// Jumped to with rdi thread, rax reason: back into the server after vcpu_run; it
// has kept nothing but its stack pointer and ip.
    .globl vcpu_server_exit
vcpu_server_exit:
    mov     FRAME_RIP(%rdi), %rcx
    mov     FRAME_RFLAGS(%rdi), %r11
    mov     FRAME_RSP(%rdi), %rsp
    xor     %ebx, %ebx
    xor     %edx, %edx
    xor     %esi, %esi
    xor     %edi, %edi
    xor     %ebp, %ebp
    xor     %r8d, %r8d
    xor     %r9d, %r9d
    xor     %r10d, %r10d
    xor     %r12d, %r12d
    xor     %r13d, %r13d
    xor     %r14d, %r14d
    xor     %r15d, %r15d
    sysretq

// Jumped to with rdi registers, rsi flags: enters a guest that stopped at a
// system call (rcx and r11 are lost by then) with checked ip and flags.
    .globl vcpu_guest_sysret
vcpu_guest_sysret:
    mov     %rsi, %r11
    mov     VR_R15(%rdi), %r15
    mov     VR_R14(%rdi), %r14
    mov     VR_R13(%rdi), %r13
    mov     VR_R12(%rdi), %r12
    mov     VR_RBP(%rdi), %rbp
    mov     VR_RBX(%rdi), %rbx
    mov     VR_R10(%rdi), %r10
    mov     VR_R9(%rdi), %r9
    mov     VR_R8(%rdi), %r8
    mov     VR_RAX(%rdi), %rax
    mov     VR_RIP(%rdi), %rcx
    mov     VR_RDX(%rdi), %rdx
    mov     VR_RSI(%rdi), %rsi
    mov     VR_RSP(%rdi), %rsp
    mov     VR_RDI(%rdi), %rdi
    sysretq

// vcpu_guest_iret(rdi registers, rsi flags, rdx ip): as above for any state.
    .globl vcpu_guest_iret
vcpu_guest_iret:
    pushq   $SELECTOR_USER_DATA
    pushq   VR_RSP(%rdi)
    push    %rsi
    pushq   $SELECTOR_USER_CODE
    push    %rdx
    mov     VR_R15(%rdi), %r15
    mov     VR_R14(%rdi), %r14
    mov     VR_R13(%rdi), %r13
    mov     VR_R12(%rdi), %r12
    mov     VR_RBP(%rdi), %rbp
    mov     VR_RBX(%rdi), %rbx
    mov     VR_R11(%rdi), %r11
    mov     VR_R10(%rdi), %r10
    mov     VR_R9(%rdi), %r9
    mov     VR_R8(%rdi), %r8
    mov     VR_RAX(%rdi), %rax
    mov     VR_RCX(%rdi), %rcx
    mov     VR_RDX(%rdi), %rdx
    mov     VR_RSI(%rdi), %rsi
    mov     VR_RDI(%rdi), %rdi
    iretq

// --- Traps -----------------------------------------------------------------
// From user mode the processor pushed onto the end of the running frame
// (TSS.rsp0); from kernel mode (interrupts at a preemption point or while idle,
// or a defect) onto the kernel stack.
trap_common:
    push    %r11
    push    %rcx
    push    %rax
    push    %rdx
    push    %rsi
    push    %rdi
    push    %r14
    push    %r13
    push    %r12
    push    %r10
    push    %r9
    push    %r8
    push    %r15
    push    %rbp
    push    %rbx
    cld
    mov     %rsp, %rdi
    testb   $3, FRAME_CS(%rsp)
    jz      1f
    mov     $cpu_stack_top, %rsp
    xor     %ebp, %ebp
    call    trap_from_user
    jmp     kernel_leave
1:  call    trap_from_kernel
    jmp     leave_frame

// Debug exception. A guest's watchpoint may strike in the kernel, at the first
// instruction of a trap: the processor puts one that MOV SS has hit off by an
// instruction, and QEMU tells one that a single step has hit once more. It is
// nothing to the kernel, and has room in the frame that the trap began. At the
// entry of `syscall` there is none, so that watched guests have no `syscall`
// (vcpu_debug.c).
trap_debug:
    testb   $3, TRAP_CS(%rsp)
    jnz     trap_common
    cmpq    $0, cpu + CPU_IN_GUEST
    je      trap_common
    add     $16, %rsp
    iretq

// Non-maskable interrupt, double fault, machine check: on stacks of their own
// (IST), from any mode; back to just where they struck, if at all.
trap_on_own_stack:
    push    %r11
    push    %rcx
    push    %rax
    push    %rdx
    push    %rsi
    push    %rdi
    push    %r14
    push    %r13
    push    %r12
    push    %r10
    push    %r9
    push    %r8
    push    %r15
    push    %rbp
    push    %rbx
    cld
    mov     %rsp, %rdi
    call    trap_uninterruptible
    jmp     leave_frame

// Vectors that push an error code: 8, 10-14, 17, 21, 29, 30.
    .altmacro
    .macro  STUB vector
stub_\vector:
    .if (\vector != 8) && ((\vector < 10) || (\vector > 14)) && (\vector != 17) && (\vector != 21) && (\vector != 29) && (\vector != 30)
    pushq   $0
    .endif
    pushq   $\vector
    .if \vector == 1
    jmp     trap_debug
    .elseif (\vector == 2) || (\vector == 8) || (\vector == 18)
    jmp     trap_on_own_stack
    .else
    jmp     trap_common
    .endif
    .endm

    .set    i, 0
    .rept   256
    STUB    %i
    .set    i, i + 1
    .endr

    .section .rodata
    .balign 8
    .globl trap_stubs
    .macro  ENTRY vector
    .quad   stub_\vector
    .endm
trap_stubs:
    .set    i, 0
    .rept   256
    ENTRY   %i
    .set    i, i + 1
    .endr

    .section .note.GNU-stack, "", @progbits
