// SPDX-License-Identifier: GPL-2.0-only
// /proc/cpuinfo with the fields of x86 in their order (arch/x86/kernel/cpu/proc.c), of which
// ARCH=um has some. Without `bugs` and `microcode`: nobody here knows them.
#include <linux/delay.h>
#include <linux/seq_file.h>
#include <linux/string.h>

#include "processor.h"

static void show_identity(struct seq_file *m, const struct processor *p)
{
    seq_puts(m, "processor\t: 0\n");
    seq_printf(m, "vendor_id\t: %s\n", p->vendor);
    seq_printf(m, "cpu family\t: %u\n", p->family);
    seq_printf(m, "model\t\t: %u\n", p->model);
    seq_printf(m, "model name\t: %s\n", p->name[0] ? p->name : "unknown");
    seq_printf(m, "stepping\t: %u\n", p->stepping);
    seq_printf(m, "cpu MHz\t\t: %u.%03u\n", p->khz / 1000, p->khz % 1000);
    if (p->cache_kib)
        seq_printf(m, "cache size\t: %u KB\n", p->cache_kib);
}

// A node has one processor.
static void show_topology(struct seq_file *m, const struct processor *p)
{
    seq_puts(m, "physical id\t: 0\nsiblings\t: 1\ncore id\t\t: 0\ncpu cores\t: 1\n");
    seq_printf(m, "apicid\t\t: %u\ninitial apicid\t: %u\n", p->apic, p->apic);
}

static int show(struct seq_file *m, void *v)
{
    struct processor p;
    char flags[512];

    processor_read(&p);
    (void)processor_flags_text(flags, sizeof flags);
    show_identity(m, &p);
    show_topology(m, &p);
    seq_printf(m, "fpu\t\t: yes\nfpu_exception\t: yes\ncpuid level\t: %u\nwp\t\t: yes\n", p.level);
    seq_printf(m, "flags\t\t:%s\n", flags);
    seq_printf(m, "bogomips\t: %lu.%02lu\n", loops_per_jiffy / (500000 / HZ),
               loops_per_jiffy / (5000 / HZ) % 100);
    if (p.tlb_pages)
        seq_printf(m, "TLB size\t: %u 4K pages\n", p.tlb_pages);
    seq_printf(m, "clflush size\t: %u\ncache_alignment\t: %u\n", p.line_bytes, p.line_bytes);
    seq_printf(m, "address sizes\t: %u bits physical, %u bits virtual\n", p.physical_bits,
               p.virtual_bits);
    seq_puts(m, "power management:\n\n");
    return 0;
}

static void *start(struct seq_file *m, loff_t *position)
{
    return *position == 0 ? m : NULL;
}

static void *next(struct seq_file *m, void *v, loff_t *position)
{
    ++*position;
    return NULL;
}

static void stop(struct seq_file *m, void *v)
{
}

extern const struct seq_operations __wrap_cpuinfo_op;
const struct seq_operations __wrap_cpuinfo_op = {
    .start = start, .next = next, .stop = stop, .show = show};
