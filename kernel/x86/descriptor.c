// SPDX-License-Identifier: BSD-2-Clause
// Descriptor tables and SYSCALL registers, filled in once. Formats: Intel SDM
// volume 3, sections 3.4.5 (segments), 8.2.3 (TSS) and 6.14.1 (gates).
#include "x86/descriptor.h"

#include "x86/debug_registers.h"
#include "x86/instructions.h"

// Type, privilege and present bits; the accessed bit is set so that the CPU need not write it.
#define SEGMENT_KERNEL_CODE   0x00af9b000000ffff
#define SEGMENT_KERNEL_DATA   0x00cf93000000ffff
#define SEGMENT_USER_DATA     0x00cff3000000ffff
#define SEGMENT_USER_CODE     0x00affb000000ffff
#define SEGMENT_TSS_AVAILABLE 0x89ul

enum {
    GDT_TSS = SELECTOR_TSS / 8,
    GDT_ENTRIES = GDT_TSS + 2, // a TSS descriptor is two entries long
    IDT_ENTRIES = 256,
    IST_STACKS = 3,

    GATE_INTERRUPT = 0x8e,
    GATE_USER = 0x60, // descriptor privilege level 3

    VECTOR_NMI = 2,
    VECTOR_BREAKPOINT = 3,
    VECTOR_OVERFLOW = 4,
    VECTOR_DOUBLE_FAULT = 8,
    VECTOR_MACHINE_CHECK = 18,
};

struct gate {
    uint16_t offset_low;
    uint16_t selector;
    uint8_t ist;
    uint8_t type;
    uint16_t offset_middle;
    uint32_t offset_high;
    uint32_t reserved;
};
_Static_assert(sizeof(struct gate) == 16, "Intel SDM volume 3, figure 6-8");

struct table_pointer {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

// In .data, not .bss, by its contents: a page of the file with nothing else in it.
struct tss_page cpu_tss __attribute__((aligned(PAGE_SIZE))) = {.iomap_base = TSS_IOMAP_BASE};

static const uint8_t denied_page[PAGE_SIZE]
    __attribute__((aligned(PAGE_SIZE))) = {[0 ... PAGE_SIZE - 1] = 0xff};

const uint64_t tss_page_physical = (uint64_t)&cpu_tss - KERNEL_OFFSET;
const uint64_t tss_denied_page_physical = (uint64_t)denied_page - KERNEL_OFFSET;

static uint64_t gdt[GDT_ENTRIES] = {
    [SELECTOR_KERNEL_CODE / 8] = SEGMENT_KERNEL_CODE,
    [SELECTOR_KERNEL_DATA / 8] = SEGMENT_KERNEL_DATA,
    // User code 32 is absent: SYSRET to 64-bit mode never reads it, and nobody
    // else must get into compatibility mode.
    [SELECTOR_USER_DATA / 8] = SEGMENT_USER_DATA,
    [SELECTOR_USER_CODE / 8] = SEGMENT_USER_CODE,
};

static struct gate idt[IDT_ENTRIES] __attribute__((aligned(16)));
static uint8_t ist_stacks[IST_STACKS][IST_STACK_SIZE] __attribute__((aligned(16)));

// Intel SDM volume 3, figure 8-4.
static void gdt_set_tss(uint64_t base, uint64_t limit)
{
    gdt[GDT_TSS] = (limit & 0xffff) | (base & 0xffffff) << 16 | SEGMENT_TSS_AVAILABLE << 40 |
                   (limit >> 16 & 0xf) << 48 | (base >> 24 & 0xff) << 56;
    gdt[GDT_TSS + 1] = base >> 32;
}

static void gdt_load(void)
{
    const struct table_pointer pointer = {.limit = sizeof gdt - 1, .base = (uint64_t)gdt};

    // A far return is the one way to load CS in 64-bit code. FS and GS bases stay 0.
    __asm__ volatile("lgdt %0\n\t"
                     "pushq %1\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "lretq\n"
                     "1:\tmovl %2, %%eax\n\t"
                     "movl %%eax, %%ss\n\t"
                     "xorl %%eax, %%eax\n\t"
                     "movl %%eax, %%ds\n\t"
                     "movl %%eax, %%es\n\t"
                     "movl %%eax, %%fs\n\t"
                     "movl %%eax, %%gs\n\t"
                     "movl %3, %%eax\n\t"
                     "ltr %%ax\n\t"
                     "xorl %%eax, %%eax\n\t"
                     "lldt %%ax"
                     :
                     : "m"(pointer), "i"(SELECTOR_KERNEL_CODE), "i"(SELECTOR_KERNEL_DATA),
                       "i"(SELECTOR_TSS)
                     : "rax", "memory");
}

static void idt_set(unsigned vector, uint8_t ist, uint8_t type)
{
    uint64_t target = trap_stubs[vector];

    idt[vector] = (struct gate){
        .offset_low = (uint16_t)target,
        .selector = SELECTOR_KERNEL_CODE,
        .ist = ist,
        .type = type,
        .offset_middle = (uint16_t)(target >> 16),
        .offset_high = (uint32_t)(target >> 32),
    };
}

static void idt_load(void)
{
    const struct table_pointer pointer = {.limit = sizeof idt - 1, .base = (uint64_t)idt};

    for (unsigned vector = 0; vector < IDT_ENTRIES; vector++)
        idt_set(vector, 0, GATE_INTERRUPT);
    idt_set(VECTOR_BREAKPOINT, 0, GATE_INTERRUPT | GATE_USER);
    idt_set(VECTOR_OVERFLOW, 0, GATE_INTERRUPT | GATE_USER);
    // These can come at any instruction, also where the stack pointer is still the user's.
    idt_set(VECTOR_DOUBLE_FAULT, IST_DOUBLE_FAULT, GATE_INTERRUPT);
    idt_set(VECTOR_NMI, IST_NMI, GATE_INTERRUPT);
    idt_set(VECTOR_MACHINE_CHECK, IST_MACHINE_CHECK, GATE_INTERRUPT);
    __asm__ volatile("lidt %0" : : "m"(pointer));
}

static void syscall_set(void)
{
    wrmsr(MSR_STAR, (uint64_t)SELECTOR_USER_CODE32 << 48 | (uint64_t)SELECTOR_KERNEL_CODE << 32);
    wrmsr(MSR_LSTAR, (uint64_t)syscall_entry);
    // Not reachable without a 32-bit segment; but never a wild address.
    wrmsr(MSR_CSTAR, (uint64_t)syscall_entry);
    wrmsr(MSR_SYSENTER_CS, 0);
    wrmsr(MSR_SFMASK, RFLAGS_TRAP | RFLAGS_INTERRUPT | RFLAGS_DIRECTION | RFLAGS_IOPL |
                          RFLAGS_NESTED_TASK | RFLAGS_RESUME | RFLAGS_ALIGNMENT_CHECK);
}

void descriptor_init(void)
{
    cpu_tss.rsp[0] = (uint64_t)cpu_stack_top;
    for (unsigned i = 0; i < IST_STACKS; i++)
        cpu_tss.ist[i] = (uint64_t)ist_stacks[i] + IST_STACK_SIZE;
    gdt_set_tss(TSS_WINDOW + TSS_OFFSET, TSS_LIMIT);
    gdt_load();
    idt_load();
    debug_registers_off();
    syscall_set();
}
