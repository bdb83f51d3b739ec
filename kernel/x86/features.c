// SPDX-License-Identifier: BSD-2-Clause
// CPUID: leaves and bits as in the Intel SDM, volume 2, CPUID, and the AMD
// manual, volume 3, appendix E.
#include "x86/features.h"

#include <stddef.h>

#include "x86/instructions.h"
#include "x86/memory.h"
#include "x86/print.h"

enum {
    LEAF_VENDOR = 0,
    LEAF_BASIC = 1,
    LEAF_STRUCTURED = 7,
    LEAF_XSAVE = 0xd,
    LEAF_EXTENDED = 0x80000000,
    LEAF_EXTENDED_BASIC = 0x80000001,
    LEAF_NAME = 0x80000002, // and the two after it
    LEAF_POWER = 0x80000007,
    LEAF_ADDRESS = 0x80000008,
    NAME_LEAVES = 3,

    FXSAVE_AREA = 512,
    XSAVE_HEADER = 64,
    PHYSICAL_BITS_DEFAULT = 36,
};

// XCR0, Intel SDM volume 1, section 13.3.
#define XCR0_X87 1ul
#define XCR0_SSE 2ul
#define XCR0_AVX 4ul

struct cpu_features cpu_features;

// A leaf above the CPU's highest would give another leaf's data.
static struct cpuid_result leaf_or_zero(uint32_t leaf, uint32_t subleaf)
{
    uint32_t highest = cpuid(leaf & LEAF_EXTENDED, 0).eax;
    if (leaf > highest)
        return (struct cpuid_result){0};
    return cpuid(leaf, subleaf);
}

static bool bit(uint32_t word, unsigned number)
{
    return word >> number & 1;
}

static void detect_basic(struct cpu_features *f)
{
    struct cpuid_result basic = leaf_or_zero(LEAF_BASIC, 0);
    struct cpuid_result structured = leaf_or_zero(LEAF_STRUCTURED, 0);
    struct cpuid_result extended = leaf_or_zero(LEAF_EXTENDED_BASIC, 0);

    f->tsc = bit(basic.edx, 4);
    f->apic = bit(basic.edx, 9);
    f->fxsr = bit(basic.edx, 24);
    f->sse2 = bit(basic.edx, 26);
    f->pcid = bit(basic.ecx, 17);
    f->x2apic = bit(basic.ecx, 21);
    f->tsc_deadline = bit(basic.ecx, 24);
    f->xsave = bit(basic.ecx, 26);
    f->avx = bit(basic.ecx, 28) && f->xsave;
    f->rdrand = bit(basic.ecx, 30);
    f->hypervisor = bit(basic.ecx, 31);

    f->fsgsbase = bit(structured.ebx, 0);
    f->smep = bit(structured.ebx, 7);
    f->invpcid = bit(structured.ebx, 10);
    f->smap = bit(structured.ebx, 20);
    f->umip = bit(structured.ecx, 2);

    f->syscall = bit(extended.edx, 11);
    f->no_execute = bit(extended.edx, 20);
    f->page_1g = bit(extended.edx, 26);
    f->invariant_tsc = bit(leaf_or_zero(LEAF_POWER, 0).edx, 8);

    f->physical_bits = leaf_or_zero(LEAF_ADDRESS, 0).eax & 0xff;
    if (f->physical_bits == 0)
        f->physical_bits = PHYSICAL_BITS_DEFAULT;
}

static void detect_fpu(struct cpu_features *f)
{
    uint64_t supported = leaf_or_zero(LEAF_XSAVE, 0).eax;

    f->fpu_area_size = FXSAVE_AREA;

    // Some emulated CPUs have the instruction and no state to save with it.
    f->xsave = f->xsave && (supported & (XCR0_X87 | XCR0_SSE)) == (XCR0_X87 | XCR0_SSE);
    f->avx = f->avx && f->xsave && supported & XCR0_AVX;
    if (!f->xsave)
        return;
    f->xcr0 = XCR0_X87 | XCR0_SSE;
    f->fpu_area_size += XSAVE_HEADER;
    if (f->avx) {
        // Subleaf 2 describes the AVX part: size in eax, offset in ebx.
        struct cpuid_result part = leaf_or_zero(LEAF_XSAVE, 2);
        f->xcr0 |= XCR0_AVX;
        f->fpu_area_size = part.ebx + part.eax;
    }
    f->xsaveopt = bit(leaf_or_zero(LEAF_XSAVE, 1).eax, 0);
}

static void detect_names(struct cpu_features *f)
{
    struct cpuid_result vendor = cpuid(LEAF_VENDOR, 0);

    memcpy(f->vendor + 0, &vendor.ebx, 4);
    memcpy(f->vendor + 4, &vendor.edx, 4);
    memcpy(f->vendor + 8, &vendor.ecx, 4);
    for (uint32_t i = 0; i < NAME_LEAVES; i++) {
        struct cpuid_result part = leaf_or_zero(LEAF_NAME + i, 0);
        memcpy(f->name + i * sizeof part, &part, sizeof part);
    }
}

const char *features_detect(void)
{
    struct cpu_features *f = &cpu_features;

    detect_basic(f);
    detect_fpu(f);
    detect_names(f);

    const struct {
        bool present;
        const char *name;
    } needed[] = {
        {f->no_execute, "no-execute pages (NX)"},
        {f->syscall, "SYSCALL"},
        {f->sse2, "SSE2"},
        {f->fxsr, "FXSAVE"},
        {f->apic, "a local APIC"},
        {f->tsc, "a time stamp counter"},
    };
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        if (!needed[i].present)
            return needed[i].name;
    }
    return 0;
}

void features_print(void)
{
    const struct cpu_features *f = &cpu_features;
    const struct {
        bool present;
        const char *name;
    } used[] = {
        {f->page_1g, "1g-pages"},
        {f->pcid, "pcid"},
        {f->invpcid, "invpcid"},
        {f->fsgsbase, "fsgsbase"},
        {f->smep, "smep"},
        {f->smap, "smap"},
        {f->umip, "umip"},
        {f->xsave, "xsave"},
        {f->xsaveopt, "xsaveopt"},
        {f->avx, "avx"},
        {f->x2apic, "x2apic"},
        {f->tsc_deadline, "tsc-deadline"},
        {f->invariant_tsc, "invariant-tsc"},
        {f->rdrand, "rdrand"},
        {f->hypervisor, "hypervisor"},
    };

    kprintf("cpu: %s %s\n", f->vendor, f->name);
    kprintf("cpu: physical-bits=%u fpu-area=%u", f->physical_bits, f->fpu_area_size);
    for (size_t i = 0; i < sizeof used / sizeof used[0]; i++) {
        if (used[i].present)
            kprintf(" %s", used[i].name);
    }
    kprintf("\n");
}
