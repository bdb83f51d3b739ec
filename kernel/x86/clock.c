// SPDX-License-Identifier: BSD-2-Clause
// Measures the time stamp counter and the local APIC timer against the ACPI PM
// timer or, without one, against channel 2 of the 8254, over one interval.
//
// The machine may be an emulator on a busy host that stops us anywhere, so each
// end of the interval is the best of several attempts to read all three
// counters at once. Between the ends the loop reads nothing: under QEMU's
// instruction counting a device read costs much more than the instructions.
#include "x86/clock.h"

#include <stdbool.h>

#include "x86/acpi.h"
#include "x86/apic.h"
#include "x86/features.h"
#include "x86/panic.h"
#include "x86/print.h"

#define SECOND 1000000000ul // in nanoseconds
// Never overflows the sums below, and is near enough to correct for the scale's rounding.
#define WAIT_MAX    (3600 * SECOND)
#define PM_TIMER_HZ 3579545ul
#define PIT_HZ      1193182ul

enum {
    INTERVAL_MS = 25,
    SAMPLE_ATTEMPTS = 8,
    EDGE_READS = 100000, // a counter that does not move in so many reads is dead
    SPIN_LOOPS = 5000,
    SPINS_MAX = 1000000,

    TIMER_DIVIDE_BY_1 = 0xb,
    LVT_MASKED = 1 << 16,
    LVT_TSC_DEADLINE = 2 << 17,

    PIT_CHANNEL2 = 0x42,
    PIT_COMMAND = 0x43,
    PIT_CHANNEL2_MODE0 = 0xb0, // both bytes, binary, count down once
    PIT_LATCH_CHANNEL2 = 0x80,
    PIT_PORT_B = 0x61,
    PIT_PORT_B_GATE = 0x01,
    PIT_PORT_B_SPEAKER = 0x02,
};

// A counter of known rate that counts up, modulo mask + 1.
struct reference {
    const char *name;
    uint64_t hz;
    uint32_t mask;
    uint32_t (*read)(void);
};

// All three counters at (nearly) one moment.
struct sample {
    uint64_t tsc;
    uint32_t reference;
    uint32_t apic; // counts down
};

struct clock_scale clock_scale;
uint64_t clock_tsc_hz;
uint64_t clock_apic_hz;

// ticks = nanoseconds * multiplier >> shift; no base.
static struct clock_scale ticks_scale;

// What the interrupt to come was asked for; UINT64_MAX: none comes.
static uint64_t armed_for = UINT64_MAX;

static uint32_t pm_timer_read(void)
{
    return inl(acpi_info.timer_port);
}

static void pit_start(void)
{
    outb(PIT_PORT_B, (inb(PIT_PORT_B) & ~PIT_PORT_B_SPEAKER) | PIT_PORT_B_GATE);
    outb(PIT_COMMAND, PIT_CHANNEL2_MODE0);
    outb(PIT_CHANNEL2, 0xff);
    outb(PIT_CHANNEL2, 0xff);
}

static uint32_t pit_read(void)
{
    outb(PIT_COMMAND, PIT_LATCH_CHANNEL2);
    uint32_t low = inb(PIT_CHANNEL2);
    uint32_t high = inb(PIT_CHANNEL2);
    return 0xffff - (high << 8 | low);
}

// Waits for the reference to step, so that its own coarseness does not count. False if it never
// does.
static bool sample_edge(const struct reference *reference, struct sample *sample, uint64_t *width)
{
    uint32_t first = reference->read() & reference->mask;

    for (int i = 0; i < EDGE_READS; i++) {
        uint64_t before = rdtsc();
        sample->reference = reference->read() & reference->mask;
        sample->apic = apic_read(APIC_TIMER_CURRENT);
        sample->tsc = rdtsc();
        *width = sample->tsc - before;
        if (sample->reference != first)
            return true;
    }
    return false;
}

static bool sample_take(const struct reference *reference, struct sample *best)
{
    uint64_t best_width = UINT64_MAX;

    for (int i = 0; i < SAMPLE_ATTEMPTS; i++) {
        struct sample sample;
        uint64_t width;
        if (!sample_edge(reference, &sample, &width))
            return false;
        if (width < best_width) {
            best_width = width;
            *best = sample;
        }
    }
    return true;
}

static uint32_t reference_since(const struct reference *reference, uint32_t start)
{
    return (reference->read() - start) & reference->mask;
}

// False if the reference does not reach the end of the interval.
static bool wait_interval(const struct reference *reference, uint32_t start)
{
    uint32_t ticks = (uint32_t)(reference->hz * INTERVAL_MS / 1000);

    for (int spin = 0; spin < SPINS_MAX; spin++) {
        if (reference_since(reference, start) >= ticks)
            return true;
        for (int i = 0; i < SPIN_LOOPS; i++)
            __asm__ volatile("");
    }
    return false;
}

static bool measure(const struct reference *reference)
{
    struct sample start, end;

    if (!sample_take(reference, &start) || !wait_interval(reference, start.reference) ||
        !sample_take(reference, &end))
        return false;

    uint64_t ticks = (end.reference - start.reference) & reference->mask;
    clock_tsc_hz = (end.tsc - start.tsc) * reference->hz / ticks;
    clock_apic_hz = (uint64_t)(start.apic - end.apic) * reference->hz / ticks;
    kprintf("clock: measured against the %s: TSC %lu kHz, local APIC timer %lu kHz\n",
            reference->name, clock_tsc_hz / 1000, clock_apic_hz / 1000);
    return clock_tsc_hz != 0 && clock_apic_hz != 0;
}

static bool measure_pm_timer(void)
{
    const struct reference pm_timer = {
        .name = "PM timer",
        .hz = PM_TIMER_HZ,
        .mask = acpi_info.timer_32bit ? 0xffffffff : 0xffffff,
        .read = pm_timer_read,
    };
    return acpi_info.timer_port != 0 && measure(&pm_timer);
}

static bool measure_pit(void)
{
    const struct reference pit = {
        .name = "PIT",
        .hz = PIT_HZ,
        .mask = 0xffff,
        .read = pit_read,
    };
    pit_start();
    return measure(&pit);
}

// multiplier / 2^shift = to / from, as exact as 32 bits can be. Both below 2^34.
static struct clock_scale scale_make(uint64_t from, uint64_t to)
{
    struct clock_scale scale = {.shift = 30};

    while ((to << scale.shift) / from > UINT32_MAX)
        scale.shift--;
    scale.multiplier = (uint32_t)((to << scale.shift) / from);
    return scale;
}

static uint64_t ticks_of(uint64_t nanoseconds)
{
    return (uint64_t)((unsigned __int128)nanoseconds * ticks_scale.multiplier >> ticks_scale.shift);
}

void clock_init(void)
{
    // Runs down from the top while we measure: 4 s even at 1 GHz.
    apic_write(APIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
    apic_write(APIC_TIMER_DIVIDE, TIMER_DIVIDE_BY_1);
    apic_write(APIC_TIMER_INITIAL, UINT32_MAX);
    if (!measure_pm_timer() && !measure_pit())
        panic("neither the PM timer nor the PIT can be used to measure the clock");
    apic_write(APIC_TIMER_INITIAL, 0);

    clock_scale = scale_make(clock_tsc_hz, SECOND);
    clock_scale.tsc_base = rdtsc();
    if (cpu_features.tsc_deadline) {
        ticks_scale = scale_make(SECOND, clock_tsc_hz);
        apic_write(APIC_LVT_TIMER, LVT_TSC_DEADLINE | VECTOR_TIMER);
        // Orders the switch of mode before the first deadline (Intel SDM volume 3,
        // section 11.5.4.1).
        __asm__ volatile("mfence" : : : "memory");
    } else {
        ticks_scale = scale_make(SECOND, clock_apic_hz);
        apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
    }
    if (!cpu_features.invariant_tsc)
        kprintf(
            "clock: the TSC is not marked invariant; time is right only while its rate stays\n");
}

void clock_fired(void)
{
    armed_for = UINT64_MAX;
}

void clock_arm(uint64_t deadline_ns)
{
    // Programming the timer is slow, and a machine's emulator may have to be woken for it, while
    // most deadlines are never reached.
    if (armed_for <= deadline_ns)
        return;
    armed_for = deadline_ns;
    uint64_t now = clock_now();
    uint64_t wait = deadline_ns > now ? deadline_ns - now : 0;
    uint64_t ticks = ticks_of(wait < WAIT_MAX ? wait : WAIT_MAX);

    if (cpu_features.tsc_deadline) {
        wrmsr(MSR_TSC_DEADLINE, rdtsc() + ticks);
        return;
    }
    // Rounded up, for 0 would stop the timer.
    ticks++;
    apic_write(APIC_TIMER_INITIAL, ticks < UINT32_MAX ? (uint32_t)ticks : UINT32_MAX);
}
