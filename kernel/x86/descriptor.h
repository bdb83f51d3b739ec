// SPDX-License-Identifier: BSD-2-Clause
// Segments, the task state segment and the interrupt descriptor table.
//
// The CPU sees the TSS through a window of its own (PML4 slot 510): the last
// bytes of one page, and behind it three pages of I/O permission bitmap. The
// default bitmap denies every port. An address space with I/O rights has its own
// tables under slot 510, with the same first page and bitmap pages of its own.
#pragma once

#include "x86/paging.h"

// SYSCALL wants kernel code and data in this order, SYSRET the three of the user in this order.
#define SELECTOR_KERNEL_CODE 0x08
#define SELECTOR_KERNEL_DATA 0x10
#define SELECTOR_USER_CODE32 0x1b
#define SELECTOR_USER_DATA   0x23
#define SELECTOR_USER_CODE   0x2b
#define SELECTOR_TSS         0x30

#define IST_DOUBLE_FAULT  1
#define IST_NMI           2
#define IST_MACHINE_CHECK 3
#define IST_STACK_SIZE    4096

#define TSS_WINDOW       0xffffff0000000000
#define TSS_WINDOW_SLOT  510 // of the PML4; index 0 in the two levels below
#define TSS_BITMAP_BYTES 8192
#define TSS_BITMAP_PAGES 3 // two of bitmap, and the page of the all-ones byte that must follow it

// 104 bytes of hardware TSS and 4 of padding end the page, so that rsp0 is 8-byte aligned.
#define TSS_OFFSET      0xf94
#define TSS_IOMAP_BASE  (PAGE_SIZE - TSS_OFFSET)
#define TSS_LIMIT       (TSS_IOMAP_BASE + TSS_BITMAP_BYTES) // the last valid byte
#define TSS_RSP0_OFFSET (TSS_OFFSET + 4)                    // from cpu_tss

#ifndef __ASSEMBLER__

// Intel SDM volume 3, figure 8-11, at its odd place in the page.
struct tss_page {
    uint8_t unused[TSS_OFFSET];
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7]; // ist[0] is IST1
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t iomap_base;
    uint32_t padding;
};
_Static_assert(sizeof(struct tss_page) == PAGE_SIZE, "the TSS must end its page");
_Static_assert(__builtin_offsetof(struct tss_page, rsp) == TSS_RSP0_OFFSET, "used by entry.S");

// In the kernel image: assembly reaches cpu_tss + TSS_RSP0_OFFSET by a 32-bit displacement.
extern struct tss_page cpu_tss;

// For whoever builds tables under slot 510: the first page of the window, mapped
// writable; and a page of all ones, mapped read-only, for each bitmap page that
// grants nothing.
extern const uint64_t tss_page_physical;
extern const uint64_t tss_denied_page_physical;

// Supplied by entry.S.
extern const uint64_t trap_stubs[256];
extern char syscall_entry[];

// Loads GDT, TSS, IDT and the SYSCALL registers. Needs paging_init() for the window.
void descriptor_init(void);

#endif
