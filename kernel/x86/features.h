// SPDX-License-Identifier: BSD-2-Clause
// What this CPU can do, found out once by CPUID. The kernel asks this structure
// and never CPUID itself, so a feature can be left unused in one place.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct cpu_features {
    // Needed: the kernel does not start without these (long mode is checked in boot.S).
    bool no_execute;
    bool syscall;
    bool sse2;
    bool fxsr;
    bool apic;
    bool tsc;
    // Used where present.
    bool page_1g;
    bool pcid;
    bool invpcid;
    bool fsgsbase;
    bool smep;
    bool smap;
    bool umip;
    bool xsave;
    bool xsaveopt;
    bool avx;
    bool x2apic;
    bool tsc_deadline;
    bool invariant_tsc;
    bool rdrand;
    bool hypervisor;

    uint64_t xcr0; // x87, SSE and AVX as available; 0 without XSAVE
    uint32_t
        fpu_area_size; // bytes of an XSAVE area for xcr0 (at most 832), or 512 with FXSAVE only
    uint32_t physical_bits; // width of a physical address
    char vendor[13];
    char name[49];
};

extern struct cpu_features cpu_features;

// Fills cpu_features. Returns the name of the first needed feature that is missing, or null.
const char *features_detect(void);

// One boot line with the CPU's name, one with the features in use.
void features_print(void);
