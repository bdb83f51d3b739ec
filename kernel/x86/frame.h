// SPDX-License-Identifier: BSD-2-Clause
// Where a thread's registers lie while it is not running. The processor pushes
// the last five itself on a trap (TSS.rsp0 = end of the frame of whoever runs),
// the entry code the rest. A thread that entered by `syscall` has saved only
// what the system-call ABI keeps, and its message registers.
#pragma once

#define FRAME_RBX    0x00
#define FRAME_RBP    0x08
#define FRAME_R15    0x10
#define FRAME_WORDS  0x18
#define FRAME_RDI    0x48
#define FRAME_RSI    0x50
#define FRAME_RDX    0x58
#define FRAME_RAX    0x60
#define FRAME_RCX    0x68
#define FRAME_R11    0x70
#define FRAME_VECTOR 0x78
#define FRAME_ERROR  0x80
#define FRAME_RIP    0x88
#define FRAME_CS     0x90
#define FRAME_RFLAGS 0x98
#define FRAME_RSP    0xa0
#define FRAME_SS     0xa8
#define FRAME_BYTES  0xb0

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

struct frame {
    uint64_t rbx, rbp, r15;
    uint64_t words[6]; // r8 r9 r10 r12 r13 r14
    uint64_t rdi, rsi, rdx, rax, rcx, r11;
    uint64_t vector, error_code;
    uint64_t rip, cs, rflags, rsp, ss;
};
_Static_assert(sizeof(struct frame) == FRAME_BYTES, "entry.S");
_Static_assert(sizeof(struct frame) % 16 == 0, "the processor aligns the stack it pushes on");
_Static_assert(offsetof(struct frame, words) == FRAME_WORDS, "entry.S");
_Static_assert(offsetof(struct frame, rdi) == FRAME_RDI, "entry.S");
_Static_assert(offsetof(struct frame, vector) == FRAME_VECTOR, "entry.S");
_Static_assert(offsetof(struct frame, rip) == FRAME_RIP, "entry.S");
_Static_assert(offsetof(struct frame, ss) == FRAME_SS, "entry.S");
#endif
