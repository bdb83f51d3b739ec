// SPDX-License-Identifier: BSD-2-Clause
// Instructions by which the profiler (profile/count.c) sees where the measured part begins and
// ends. They do nothing: a NOP may have an operand, which is not read.
#pragma once

#define MARK_BEGIN 0x436f7231
#define MARK_END   0x436f7232

// The bytes before the displacement in `nopl DISPLACEMENT(%rax)`.
#define MARK_OPCODE        "\x0f\x1f\x80"
#define MARK_OPCODE_LENGTH 3

#define MARK_STRING(number) #number
#define MARK_NOP(number)    __asm__ volatile("nopl " MARK_STRING(number) "(%%rax)" ::: "memory")

static inline void mark_begin(void)
{
    MARK_NOP(MARK_BEGIN);
}

static inline void mark_end(void)
{
    MARK_NOP(MARK_END);
}
