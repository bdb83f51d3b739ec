// SPDX-License-Identifier: GPL-2.0-only
// Processes execute CPUID themselves, as does the server, so both see the same (Intel's manual,
// volume 2A, CPUID).
#include "linuxserver/migration/features.h"

#define LEAF_EXTENDED 0x80000000u
#define HAS_XSAVE     (1u << 27) // OSXSAVE of leaf 1, ECX: XGETBV can be used

struct leaf {
    u32 eax, ebx, ecx, edx;
};

static struct leaf cpuid(u32 number, u32 part)
{
    struct leaf leaf;

    __asm__ volatile("cpuid"
                     : "=a"(leaf.eax), "=b"(leaf.ebx), "=c"(leaf.ecx), "=d"(leaf.edx)
                     : "a"(number), "c"(part));
    return leaf;
}

static struct leaf cpuid_if_there(u32 number, u32 part)
{
    struct leaf nothing = {};

    return cpuid(number & LEAF_EXTENDED, 0).eax >= number ? cpuid(number, part) : nothing;
}

void features_read(u32 features[PACKAGE_FEATURES], u64 *xcr0)
{
    struct leaf basic = cpuid(1, 0), structured = cpuid_if_there(7, 0);
    struct leaf saving = cpuid_if_there(0xd, 1), extended = cpuid_if_there(LEAF_EXTENDED + 1, 0);
    u32 low = 0, high = 0;

    features[0] = basic.ecx;
    features[1] = basic.edx;
    features[2] = structured.ebx;
    features[3] = structured.ecx;
    features[4] = structured.edx;
    features[5] = saving.eax;
    features[6] = extended.ecx;
    features[7] = extended.edx;
    if (basic.ecx & HAS_XSAVE)
        __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    *xcr0 = low | (u64)high << 32;
}
