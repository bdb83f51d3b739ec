// SPDX-License-Identifier: BSD-2-Clause
// The instructions that forget translations, and the parts of CR3. Intel SDM
// volume 3, section 4.10.4 (what is forgotten), volume 2 (INVPCID's operand).
#pragma once

#include <stdint.h>

#define CR3_PCID_MASK 0xfffull
#define CR3_NO_FLUSH  (1ull << 63) // at a load: keep what is known under the new PCID

#define INVPCID_ADDRESS 0ull // one address under one PCID
#define INVPCID_CONTEXT 1ull // everything under one PCID

static inline void invlpg(uint64_t address)
{
    __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

static inline void invpcid(uint64_t type, uint64_t pcid, uint64_t address)
{
    struct {
        uint64_t pcid, address;
    } descriptor = {pcid, address};

    __asm__ volatile("invpcid %0, %1" : : "m"(descriptor), "r"(type) : "memory");
}
