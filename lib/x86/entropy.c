// SPDX-License-Identifier: BSD-2-Clause
// RDRAND (Intel SDM volume 1, 7.3.17): it may fail for a moment when asked too
// often, so it is tried again a few times.
#include "lib/entropy.h"

#include <cpuid.h>
#include <stdint.h>
#include <string.h>

#define RDRAND_TRIES 10

static bool has_rdrand(void)
{
    unsigned eax, ebx, ecx, edx;

    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_RDRND) != 0;
}

static bool rdrand(uint64_t *value)
{
    for (int i = 0; i < RDRAND_TRIES; i++) {
        bool delivered;
        __asm__ volatile("rdrand %0" : "=r"(*value), "=@ccc"(delivered));
        if (delivered)
            return true;
    }
    return false;
}

bool entropy_from_processor(void *buffer, size_t bytes)
{
    uint8_t *to = buffer;

    if (!has_rdrand())
        return false;
    while (bytes > 0) {
        uint64_t value;
        size_t part = bytes < sizeof value ? bytes : sizeof value;
        if (!rdrand(&value))
            return false;
        memcpy(to, &value, part);
        to += part;
        bytes -= part;
    }
    return true;
}
