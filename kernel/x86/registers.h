// SPDX-License-Identifier: BSD-2-Clause
// Register files as user level sees them (struct vcpu_registers), and the one
// place that decides which values of them are safe to load.
#pragma once

#include <corvus/vcpu.h>

#include <stdbool.h>

#include "x86/frame.h"
#include "x86/instructions.h"

// Flags a user may choose: CF PF AF ZF SF TF DF OF RF AC ID.
#define FLAGS_USER                                                                                 \
    (0x1u | 0x4u | 0x10u | 0x40u | 0x80u | 0x100u | 0x400u | 0x800u | 0x10000u | 0x40000u |        \
     0x200000u)
#define FLAGS_FIXED 0x202u // IF and the bit that is always one

static inline uint64_t flags_sanitise(uint64_t flags)
{
    return (flags & FLAGS_USER) | FLAGS_FIXED;
}

// Not zero: not all of instruction pointer and bases are user addresses. A stack
// pointer can be anything, since it is only ever used in user mode.
static inline uint64_t registers_above_user(const struct vcpu_registers *registers)
{
    return (registers->rip | registers->fs_base | registers->gs_base) >> 47;
}

static inline bool is_canonical(uint64_t address)
{
    return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

// Those of a guest can be loaded. Bases may be the kernel's: paging guards what
// they lead to, and a program can set them so by itself.
static inline bool registers_loadable(const struct vcpu_registers *registers)
{
    return registers->rip >> 47 == 0 && is_canonical(registers->fs_base) &&
           is_canonical(registers->gs_base);
}

static inline void registers_from_frame(struct vcpu_registers *to, const struct frame *frame,
                                        uint64_t fs_base, uint64_t gs_base)
{
    *to = (struct vcpu_registers){
        .r15 = frame->r15,
        .r14 = frame->words[5],
        .r13 = frame->words[4],
        .r12 = frame->words[3],
        .rbp = frame->rbp,
        .rbx = frame->rbx,
        .r11 = frame->r11,
        .r10 = frame->words[2],
        .r9 = frame->words[1],
        .r8 = frame->words[0],
        .rax = frame->rax,
        .rcx = frame->rcx,
        .rdx = frame->rdx,
        .rsi = frame->rsi,
        .rdi = frame->rdi,
        .rip = frame->rip,
        .rflags = frame->rflags,
        .rsp = frame->rsp,
        .fs_base = fs_base,
        .gs_base = gs_base,
    };
}

static inline void registers_to_frame(struct frame *frame, const struct vcpu_registers *from)
{
    frame->r15 = from->r15;
    frame->words[5] = from->r14;
    frame->words[4] = from->r13;
    frame->words[3] = from->r12;
    frame->rbp = from->rbp;
    frame->rbx = from->rbx;
    frame->r11 = from->r11;
    frame->words[2] = from->r10;
    frame->words[1] = from->r9;
    frame->words[0] = from->r8;
    frame->rax = from->rax;
    frame->rcx = from->rcx;
    frame->rdx = from->rdx;
    frame->rsi = from->rsi;
    frame->rdi = from->rdi;
    frame->rip = from->rip;
    frame->rflags = flags_sanitise(from->rflags);
    frame->rsp = from->rsp;
}
