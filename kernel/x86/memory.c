// SPDX-License-Identifier: BSD-2-Clause
// memcpy and its kin, by string instructions: words first, then the bytes that
// are left. No vector registers are used.
#include "x86/memory.h"

#include <stdint.h>

void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
    void *destination = to;
    size_t words = bytes / 8;
    size_t rest = bytes % 8;

    __asm__ volatile("rep movsq" : "+D"(destination), "+S"(from), "+c"(words) : : "memory");
    if (rest)
        __asm__ volatile("rep movsb" : "+D"(destination), "+S"(from), "+c"(rest) : : "memory");
    return to;
}

void *memmove(void *to, const void *from, size_t bytes)
{
    // Upwards is right unless the destination starts inside the source.
    if ((uintptr_t)to - (uintptr_t)from >= bytes)
        return memcpy(to, from, bytes);

    void *destination = (char *)to + bytes - 1;
    const void *source = (const char *)from + bytes - 1;
    __asm__ volatile("std; rep movsb; cld"
                     : "+D"(destination), "+S"(source), "+c"(bytes)
                     :
                     : "memory");
    return to;
}

void *memset(void *to, int value, size_t bytes)
{
    void *destination = to;
    uint64_t pattern = (uint8_t)value * 0x0101010101010101ull;
    size_t words = bytes / 8;
    size_t rest = bytes % 8;

    __asm__ volatile("rep stosq" : "+D"(destination), "+c"(words) : "a"(pattern) : "memory");
    if (rest)
        __asm__ volatile("rep stosb" : "+D"(destination), "+c"(rest) : "a"(pattern) : "memory");
    return to;
}

int memcmp(const void *left, const void *right, size_t bytes)
{
    const uint8_t *a = left;
    const uint8_t *b = right;
    for (size_t i = 0; i < bytes; i++) {
        if (a[i] != b[i])
            return a[i] - b[i];
    }
    return 0;
}
