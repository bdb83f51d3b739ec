/* SPDX-License-Identifier: GPL-2.0-only */
/* Offsets in struct vcpu_registers, for assembly; checked in events.c. */
#ifndef LINUXSERVER_REGISTERS_H
#define LINUXSERVER_REGISTERS_H

#define REGISTERS_R15    0
#define REGISTERS_R14    8
#define REGISTERS_R13    16
#define REGISTERS_R12    24
#define REGISTERS_RBP    32
#define REGISTERS_RBX    40
#define REGISTERS_R11    48
#define REGISTERS_R10    56
#define REGISTERS_R9     64
#define REGISTERS_R8     72
#define REGISTERS_RAX    80
#define REGISTERS_RCX    88
#define REGISTERS_RDX    96
#define REGISTERS_RSI    104
#define REGISTERS_RDI    112
#define REGISTERS_RIP    120
#define REGISTERS_RFLAGS 128
#define REGISTERS_RSP    136
#define REGISTERS_BYTES  160

#endif
