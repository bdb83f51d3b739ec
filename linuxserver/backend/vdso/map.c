// SPDX-License-Identifier: GPL-2.0-only
// Gives every process the vDSO, in place of ARCH=um's, each function of which is a system call; and
// keeps its data page as Linux's timekeeper is. Processes that have come from another node have a
// page by which they see that node's clocks.
#include <linux/clocksource.h>
#include <linux/hrtimer.h>
#include <linux/mm.h>
#include <linux/notifier.h>
#include <linux/pvclock_gtod.h>
#include <linux/slab.h>
#include <linux/timekeeper_internal.h>

#include <asm/elf.h>

#include <os.h>

#include "data.h"
#include "map.h"
#include "../server.h"

extern const char vdso_image[], vdso_image_end[];

static struct page *code_pages[2], *data_pages[2];
static struct vdso_data *data;

static const struct vm_special_mapping code_mapping = {.name = "[vdso]", .pages = code_pages};
static const struct vm_special_mapping data_mapping = {.name = "[vvar]", .pages = data_pages};

// Seconds and shifted nanoseconds of `base` + offset, with less than a second in the latter.
static void set_clock(struct vdso_clock *clock, u64 seconds, u64 shifted, u32 shift,
                      const struct timespec64 *offset)
{
    u64 second = (u64)NSEC_PER_SEC << shift;

    seconds += (u64)offset->tv_sec;
    shifted += (u64)offset->tv_nsec << shift;
    while (shifted >= second) {
        shifted -= second;
        seconds++;
    }
    clock->seconds = seconds;
    clock->shifted_nanoseconds = shifted;
}

// --- Other nodes' clocks -----------------------------------------------------------------

// Its pages have `code_mapping` beside them. It stays for good: processes may have it mapped.
struct vdso_other {
    struct list_head link;
    struct page *pages[2];
    struct vm_special_mapping mapping;
    s64 monotonic; // nanoseconds that its CLOCK_MONOTONIC is ahead of that here
    s64 real;      // that its CLOCK_REALTIME is ahead of its CLOCK_MONOTONIC
};

static LIST_HEAD(others);

static void add_to_clock(struct vdso_clock *to, const struct vdso_clock *from, s64 nanoseconds)
{
    struct timespec64 offset = ns_to_timespec64(nanoseconds);

    set_clock(to, from->seconds, from->shifted_nanoseconds, data->shift, &offset);
}

// With interrupts off: Linux updates its own page in one of them.
static void derive(const struct vdso_other *other)
{
    struct vdso_data *to = page_address(other->pages[0]);
    struct vdso_data derived = *data;

    derived.sequence = to->sequence + 1;
    add_to_clock(&derived.monotonic, &data->monotonic, other->monotonic);
    add_to_clock(&derived.boot, &data->boot, other->monotonic);
    add_to_clock(&derived.raw, &data->raw, other->monotonic);
    add_to_clock(&derived.real, &derived.monotonic, other->real);
    derived.tai = derived.real;
    derived.tai.seconds += data->tai.seconds - data->real.seconds;
    WRITE_ONCE(to->sequence, derived.sequence);
    barrier();
    *to = derived;
    barrier();
    WRITE_ONCE(to->sequence, derived.sequence + 1);
}

struct vdso_other *vdso_make_other(void)
{
    struct vdso_other *other = kzalloc(sizeof *other, GFP_KERNEL);

    if (other == NULL)
        return NULL;
    other->pages[0] = alloc_page(GFP_KERNEL | __GFP_ZERO);
    if (other->pages[0] == NULL) {
        kfree(other);
        return NULL;
    }
    other->mapping = (struct vm_special_mapping){.name = data_mapping.name, .pages = other->pages};
    vdso_set_other(other, 0, 0);
    list_add(&other->link, &others);
    return other;
}

void vdso_set_other(struct vdso_other *other, s64 monotonic, s64 real)
{
    unsigned long flags;

    local_irq_save(flags);
    other->monotonic = monotonic;
    other->real = real;
    derive(other);
    local_irq_restore(flags);
}

// --- The page of this node ---------------------------------------------------------------

static struct clocksource server_clocksource;

static int timekeeper_updated(struct notifier_block *block, unsigned long was_set, void *private)
{
    static const struct timespec64 nothing;
    const struct timekeeper *tk = private;
    const struct tk_read_base *base = &tk->tkr_mono;
    const struct vdso_other *other = NULL;
    struct timespec64 boot = ktime_to_timespec64(tk->offs_boot);
    struct timespec64 tai = {.tv_sec = tk->tai_offset};

    set_normalized_timespec64(&boot, tk->wall_to_monotonic.tv_sec + boot.tv_sec,
                              tk->wall_to_monotonic.tv_nsec + boot.tv_nsec);
    WRITE_ONCE(data->sequence, data->sequence + 1);
    barrier();
    data->cycle_last = base->cycle_last;
    data->multiplier = base->mult;
    data->shift = base->shift;
    data->raw_multiplier = tk->tkr_raw.mult;
    set_clock(&data->real, tk->xtime_sec, base->xtime_nsec, base->shift, &nothing);
    set_clock(&data->monotonic, tk->xtime_sec, base->xtime_nsec, base->shift,
              &tk->wall_to_monotonic);
    set_clock(&data->boot, tk->xtime_sec, base->xtime_nsec, base->shift, &boot);
    set_clock(&data->tai, tk->xtime_sec, base->xtime_nsec, base->shift, &tai);
    set_clock(&data->raw, tk->raw_sec, tk->tkr_raw.xtime_nsec, tk->tkr_raw.shift, &nothing);
    data->resolution = hrtimer_resolution;
    data->coarse_resolution = LOW_RES_NSEC;
    // Programs see the clock source's nanoseconds only if it is the microkernel's clock.
    data->ready = base->clock == &server_clocksource;
    barrier();
    WRITE_ONCE(data->sequence, data->sequence + 1);
    list_for_each_entry(other, &others, link)
    {
        derive(other);
    }
    return NOTIFY_OK;
}

static struct notifier_block timekeeper_notifier = {.notifier_call = timekeeper_updated};

// ARCH=um's own clock source counts in steps of 256 nanoseconds.
static u64 read_server_clock(struct clocksource *source)
{
    return (u64)os_nsecs();
}

static struct clocksource server_clocksource = {
    .name = "corvus",
    .rating = 400,
    .read = read_server_clock,
    .mask = CLOCKSOURCE_MASK(64),
    .flags = CLOCK_SOURCE_IS_CONTINUOUS,
};

static int __init register_clock(void)
{
    return clocksource_register_hz(&server_clocksource, NSEC_PER_SEC);
}
core_initcall(register_clock);

static int __init make_vdso(void)
{
    size_t bytes = (unsigned long)vdso_image_end - (unsigned long)vdso_image;

    BUG_ON(bytes > PAGE_SIZE);
    code_pages[0] = alloc_page(GFP_KERNEL | __GFP_ZERO);
    data_pages[0] = alloc_page(GFP_KERNEL | __GFP_ZERO);
    if (!code_pages[0] || !data_pages[0])
        return -ENOMEM;
    memcpy(page_address(code_pages[0]), vdso_image, bytes);
    data = page_address(data_pages[0]);
    server_clock(&data->tsc_base, &data->tsc_multiplier, &data->tsc_shift);
    return pvclock_gtod_register_notifier(&timekeeper_notifier);
}
device_initcall(make_vdso);

// Behind the highest stack there is room for two pages; um_vdso_addr is the last one.
int vdso_map(const struct vdso_other *other)
{
    struct mm_struct *mm = current->mm;
    struct vm_area_struct *area;

    if (data == NULL)
        return -ENOMEM;
    if (mmap_write_lock_killable(mm))
        return -EINTR;
    area = _install_special_mapping(mm, um_vdso_addr - PAGE_SIZE, PAGE_SIZE, VM_READ | VM_MAYREAD,
                                    other != NULL ? &other->mapping : &data_mapping);
    if (!IS_ERR(area))
        area = _install_special_mapping(mm, um_vdso_addr, PAGE_SIZE,
                                        VM_READ | VM_EXEC | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC,
                                        &code_mapping);
    mmap_write_unlock(mm);
    return PTR_ERR_OR_ZERO(area);
}

int __wrap_arch_setup_additional_pages(struct linux_binprm *bprm, int uses_interp);
int __wrap_arch_setup_additional_pages(struct linux_binprm *bprm, int uses_interp)
{
    return vdso_map(NULL);
}
