// SPDX-License-Identifier: BSD-2-Clause
// One inline function for each machine instruction that C has no word for:
// port I/O, model-specific registers, control registers, CPUID, TSC.
// Intel SDM volume 2 describes each; volume 3 chapter 2 the control registers.
#pragma once

#include <stdint.h>

// Intel SDM volume 3, section 2.5.
#define CR0_PROTECTED           (1ul << 0)
#define CR0_MONITOR_COPROCESSOR (1ul << 1)
#define CR0_TASK_SWITCHED       (1ul << 3)
#define CR0_EXTENSION_TYPE      (1ul << 4)
#define CR0_NUMERIC_ERROR       (1ul << 5)
#define CR0_WRITE_PROTECT       (1ul << 16)
#define CR0_PAGING              (1ul << 31)
#define CR4_PHYSICAL_EXTENSION  (1ul << 5)
#define CR4_MACHINE_CHECK       (1ul << 6)
#define CR4_PAGE_GLOBAL         (1ul << 7)
#define CR4_OSFXSR              (1ul << 9)
#define CR4_OSXMMEXCPT          (1ul << 10)
#define CR4_UMIP                (1ul << 11)
#define CR4_FSGSBASE            (1ul << 16)
#define CR4_PCIDE               (1ul << 17)
#define CR4_OSXSAVE             (1ul << 18)
#define CR4_SMEP                (1ul << 20)
#define CR4_SMAP                (1ul << 21)

// Intel SDM volume 4.
#define MSR_APIC_BASE    0x1bu
#define MSR_PAT          0x277u
#define MSR_TSC_DEADLINE 0x6e0u
#define MSR_X2APIC_BASE  0x800u
#define MSR_SYSENTER_CS  0x174u
#define MSR_FS_BASE      0xc0000100u
#define MSR_GS_BASE      0xc0000101u
#define MSR_EFER         0xc0000080u
#define MSR_STAR         0xc0000081u
#define MSR_LSTAR        0xc0000082u
#define MSR_CSTAR        0xc0000083u
#define MSR_SFMASK       0xc0000084u
#define EFER_SYSCALL     (1ul << 0)
#define EFER_NO_EXECUTE  (1ul << 11)

// Flags register, Intel SDM volume 1, section 3.4.3.
#define RFLAGS_TRAP            (1ul << 8)
#define RFLAGS_INTERRUPT       (1ul << 9)
#define RFLAGS_DIRECTION       (1ul << 10)
#define RFLAGS_IOPL            (3ul << 12)
#define RFLAGS_NESTED_TASK     (1ul << 14)
#define RFLAGS_RESUME          (1ul << 16)
#define RFLAGS_ALIGNMENT_CHECK (1ul << 18)

struct cpuid_result {
    uint32_t eax;
    uint32_t ebx;
    uint32_t ecx;
    uint32_t edx;
};

static inline struct cpuid_result cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_result result;
    __asm__ volatile("cpuid"
                     : "=a"(result.eax), "=b"(result.ebx), "=c"(result.ecx), "=d"(result.edx)
                     : "a"(leaf), "c"(subleaf));
    return result;
}

static inline void outb(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint32_t inl(uint16_t port)
{
    uint32_t value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint64_t rdmsr(uint32_t msr)
{
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr"
                     :
                     : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
}

// Not ordered against earlier loads; fine for a clock, see clock.c for calibration.
static inline uint64_t rdtsc(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

static inline uint64_t read_cr0(void)
{
    uint64_t value;
    __asm__ volatile("mov %%cr0, %0" : "=r"(value));
    return value;
}

static inline uint64_t read_cr2(void)
{
    uint64_t value;
    __asm__ volatile("mov %%cr2, %0" : "=r"(value));
    return value;
}

static inline uint64_t read_cr3(void)
{
    uint64_t value;
    __asm__ volatile("mov %%cr3, %0" : "=r"(value));
    return value;
}

static inline uint64_t read_cr4(void)
{
    uint64_t value;
    __asm__ volatile("mov %%cr4, %0" : "=r"(value));
    return value;
}

static inline void write_cr0(uint64_t value)
{
    __asm__ volatile("mov %0, %%cr0" : : "r"(value) : "memory");
}
static inline void write_cr3(uint64_t value)
{
    __asm__ volatile("mov %0, %%cr3" : : "r"(value) : "memory");
}
static inline void write_cr4(uint64_t value)
{
    __asm__ volatile("mov %0, %%cr4" : : "r"(value) : "memory");
}

static inline uint64_t read_dr6(void)
{
    uint64_t value;
    __asm__ volatile("mov %%dr6, %0" : "=r"(value));
    return value;
}

static inline void write_dr6(uint64_t value)
{
    __asm__ volatile("mov %0, %%dr6" : : "r"(value) : "memory");
}
static inline void write_dr7(uint64_t value)
{
    __asm__ volatile("mov %0, %%dr7" : : "r"(value) : "memory");
}

static inline void xsetbv(uint32_t index, uint64_t value)
{
    __asm__ volatile("xsetbv" : : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

static inline void interrupts_disable(void)
{
    __asm__ volatile("cli" : : : "memory");
}
static inline void cpu_halt(void)
{
    __asm__ volatile("hlt" : : : "memory");
}
