// SPDX-License-Identifier: BSD-2-Clause
// From the boot loader to C. The loader enters in 32-bit protected mode, paging
// off, eax = magic, ebx = information structure. This file maps the first 4 GiB
// three ways (one to one, direct map, kernel image), enters long mode and calls
// kernel_boot(). paging_init() replaces these tables.
//
// Everything here is linked at its physical address, since it runs there.
#include "x86/boot.h"
#include "x86/paging.h"

#define CR4_PAE 0x20
#define MSR_EFER 0xc0000080
#define EFER_LONG_MODE 0x100
#define CR0_PAGING 0x80000000
#define LARGE_PAGE_FLAGS (PTE_PRESENT | PTE_WRITE | PTE_LARGE)
#define TABLE_FLAGS (PTE_PRESENT | PTE_WRITE)
#define DIRECTORIES 4 // of 1 GiB each
#define COM1 0x3f8
#define CPUID_EXTENDED_FEATURES 0x80000001
#define CPUID_LONG_MODE 0x20000000
#define RFLAGS_ID 0x200000

        .section .boot, "awx", @progbits
        .code32

// QEMU and iPXE take a 64-bit ELF only with the address fields.
        .balign 8
multiboot1_header:
        .long   MULTIBOOT1_HEADER_MAGIC
        .long   MULTIBOOT1_HEADER_FLAGS
        .long   -(MULTIBOOT1_HEADER_MAGIC + MULTIBOOT1_HEADER_FLAGS)
        .long   multiboot1_header       // header_addr
        .long   kernel_image_start      // load_addr
        .long   boot_load_end           // load_end_addr
        .long   boot_bss_end            // bss_end_addr
        .long   boot_start              // entry_addr

        .balign 8
multiboot2_header:
        .long   MULTIBOOT2_HEADER_MAGIC
        .long   0                       // architecture: i386
        .long   multiboot2_end - multiboot2_header
        .long   -(MULTIBOOT2_HEADER_MAGIC + multiboot2_end - multiboot2_header)
        // Information request; bit 0 of flags = optional, for old ACPI is not on every machine.
multiboot2_request:
        .short  1, 1
        .long   multiboot2_request_end - multiboot2_request
        .long   1, 3, 6, 14, 15         // command line, modules, memory map, ACPI old, new
multiboot2_request_end:
        .balign 8
        .short  6, 0                    // align modules to pages
        .long   8
        .short  0, 0                    // end
        .long   8
multiboot2_end:

        .globl  boot_start
boot_start:
        cli
        cld
        movl    $boot_stack_end, %esp
        movl    %eax, %edi              // kernel_boot's first argument
        movl    %ebx, %esi              // and second

        // A CPU without CPUID cannot flip the ID flag.
        pushfl
        popl    %eax
        movl    %eax, %ecx
        xorl    $RFLAGS_ID, %eax
        pushl   %eax
        popfl
        pushfl
        popl    %eax
        cmpl    %eax, %ecx
        je      no_long_mode
        movl    $0x80000000, %eax
        cpuid
        cmpl    $CPUID_EXTENDED_FEATURES, %eax
        jb      no_long_mode
        movl    $CPUID_EXTENDED_FEATURES, %eax
        cpuid
        testl   $CPUID_LONG_MODE, %edx
        jz      no_long_mode

        // The directories: consecutive 2 MiB pages.
        xorl    %ecx, %ecx
        movl    $LARGE_PAGE_FLAGS, %eax
1:      movl    %eax, boot_directories(, %ecx, 8)
        movl    $0, boot_directories + 4(, %ecx, 8)
        addl    $0x200000, %eax
        incl    %ecx
        cmpl    $(512 * DIRECTORIES), %ecx
        jb      1b

        // One PDPT for both low addresses and the direct map, one for the image at -2 GiB.
        xorl    %ecx, %ecx
        movl    $(boot_directories + TABLE_FLAGS), %eax
2:      movl    %eax, boot_low_pdpt(, %ecx, 8)
        addl    $PAGE_SIZE, %eax
        incl    %ecx
        cmpl    $DIRECTORIES, %ecx
        jb      2b
        movl    $(boot_directories + TABLE_FLAGS), boot_image_pdpt + 510 * 8
        movl    $(boot_low_pdpt + TABLE_FLAGS), boot_pml4
        movl    $(boot_low_pdpt + TABLE_FLAGS), boot_pml4 + 256 * 8
        movl    $(boot_image_pdpt + TABLE_FLAGS), boot_pml4 + 511 * 8

        movl    %cr4, %eax
        orl     $CR4_PAE, %eax
        movl    %eax, %cr4
        movl    $boot_pml4, %eax
        movl    %eax, %cr3
        movl    $MSR_EFER, %ecx
        rdmsr
        orl     $EFER_LONG_MODE, %eax
        wrmsr
        movl    %cr0, %eax
        orl     $CR0_PAGING, %eax
        movl    %eax, %cr0
        lgdt    boot_gdt_pointer
        ljmp    $8, $long_mode

// Says so on the serial line and stops.
no_long_mode:
        movl    $no_long_mode_text, %esi
3:      movw    $(COM1 + 5), %dx
        movl    $0x100000, %ecx         // no port, no wait for ever
4:      inb     %dx, %al
        testb   $0x20, %al
        loopz   4b
        movb    (%esi), %al
        testb   %al, %al
        jz      5f
        movw    $COM1, %dx
        outb    %al, %dx
        incl    %esi
        jmp     3b
5:      hlt
        jmp     5b

no_long_mode_text:
        .asciz  "corvus: cannot boot: this CPU has no 64-bit long mode\r\n"

        .code64
long_mode:
        movl    $16, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        xorl    %eax, %eax
        movl    %eax, %fs
        movl    %eax, %gs
        movq    $cpu_stack_top, %rsp
        movl    %edi, %edi              // the upper halves are undefined after the mode switch
        movl    %esi, %esi
        xorl    %ebp, %ebp              // the backtrace ends here
        pushq   $0
        movq    $kernel_boot, %rax
        jmpq    *%rax

        .balign 8
boot_gdt:
        .quad   0
        .quad   0x00af9b000000ffff      // 64-bit code
        .quad   0x00cf93000000ffff      // data
boot_gdt_pointer:
        .short  . - boot_gdt - 1
        .long   boot_gdt

        .balign 8
        .skip   64
boot_stack_end:

        .bss
        .balign PAGE_SIZE
        .globl  cpu_stack_guard, cpu_stack_bottom, cpu_stack_top
cpu_stack_guard:
        .skip   PAGE_SIZE
cpu_stack_bottom:
        .skip   CPU_STACK_SIZE
cpu_stack_top:

// Used until paging_init(); at physical addresses below.
boot_pml4_image:
        .skip   PAGE_SIZE
boot_low_pdpt_image:
        .skip   PAGE_SIZE
boot_image_pdpt_image:
        .skip   PAGE_SIZE
boot_directories_image:
        .skip   PAGE_SIZE * DIRECTORIES

boot_pml4 = boot_pml4_image - KERNEL_OFFSET
boot_low_pdpt = boot_low_pdpt_image - KERNEL_OFFSET
boot_image_pdpt = boot_image_pdpt_image - KERNEL_OFFSET
boot_directories = boot_directories_image - KERNEL_OFFSET

        .section .note.GNU-stack, "", @progbits
