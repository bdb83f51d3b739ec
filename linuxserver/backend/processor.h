/* SPDX-License-Identifier: GPL-2.0-only */
/* What the processor says of itself (CPUID), for /proc/cpuinfo. Plain C, as server.h. */
#ifndef LINUXSERVER_PROCESSOR_H
#define LINUXSERVER_PROCESSOR_H

struct processor {
    char vendor[13];
    char name[49]; /* without spaces before it; empty: it has none */
    unsigned int family, model, stepping;
    unsigned int level; /* the highest basic leaf */
    unsigned int khz;   /* of the time stamp counter */
    unsigned int cache_kib;
    unsigned int line_bytes;
    unsigned int apic;
    unsigned int tlb_pages; /* 4 KiB pages that its last TLBs hold; 0: it does not say */
    unsigned int physical_bits, virtual_bits;
};

/* Of the one that Linux runs on. */
void processor_read(struct processor *processor);

/* The names of what a process can use, a space before each; returns the length. */
unsigned long processor_flags_text(char *text, unsigned long room);

#endif
