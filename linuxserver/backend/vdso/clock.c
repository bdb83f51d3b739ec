// SPDX-License-Identifier: GPL-2.0-only
// The vDSO: clocks without a system call. Runs in every process, position independent, without data
// of its own.
#include "data.h"

#define SYSTEM_clock_gettime 228
#define SYSTEM_clock_getres  229
#define SYSTEM_gettimeofday  96

#define NANOSECONDS_PER_SECOND 1000000000ul

enum {
    REALTIME,
    MONOTONIC,
    PROCESS_CPU,
    THREAD_CPU,
    RAW,
    REALTIME_COARSE,
    MONOTONIC_COARSE,
    BOOTTIME
};
enum { TAI = 11 };

struct timespec64 {
    long seconds, nanoseconds;
};

struct timeval64 {
    long seconds, microseconds;
};

struct zone {
    int minutes_west, summer_time;
};

extern const volatile struct vdso_data vdso_data __attribute__((visibility("hidden")));

// Fields are written in the order of their addresses, so that a bad pointer faults at its own
// address, as with Linux's vDSO, whatever the compiler would prefer.
static inline void keep_order(void)
{
    __asm__ volatile("" : : : "memory");
}

static inline long system_call(long number, long first, void *second)
{
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"(number), "D"(first), "S"(second)
                     : "rcx", "r11", "memory");
    return result;
}

// Nanoseconds of the microkernel's clock. The fence keeps the counter from being read before the
// sequence number.
static inline unsigned long now(void)
{
    unsigned int low, high;
    unsigned __int128 ticks;

    __asm__ volatile("lfence\n\trdtsc" : "=a"(low), "=d"(high) : : "memory");
    ticks = ((unsigned long)high << 32 | low) - vdso_data.tsc_base;
    return (unsigned long)(ticks * vdso_data.tsc_multiplier >> vdso_data.tsc_shift);
}

// Reads a clock as it is now. False while Linux has told nothing.
static inline int read_clock(const volatile struct vdso_clock *clock,
                             const volatile unsigned int *multiplier, struct timespec64 *time)
{
    unsigned int sequence;
    unsigned long nanoseconds, seconds, elapsed;

    if (__builtin_expect(!vdso_data.ready, 0))
        return 0;
    do {
        sequence = vdso_data.sequence;
        elapsed = now() - vdso_data.cycle_last;
        // The counters of two moments may seem to go back by a little.
        if (__builtin_expect((long)elapsed < 0, 0))
            elapsed = 0;
        nanoseconds = (elapsed * *multiplier + clock->shifted_nanoseconds) >> vdso_data.shift;
        seconds = clock->seconds;
    } while (__builtin_expect((sequence & 1) || sequence != vdso_data.sequence, 0));
    while (__builtin_expect(nanoseconds >= NANOSECONDS_PER_SECOND, 0)) {
        nanoseconds -= NANOSECONDS_PER_SECOND;
        seconds++;
    }
    time->seconds = (long)seconds;
    keep_order();
    time->nanoseconds = (long)nanoseconds;
    return 1;
}

// Likewise as it was at Linux's last tick.
static inline int read_coarse(const volatile struct vdso_clock *clock, struct timespec64 *time)
{
    unsigned int sequence;

    if (!vdso_data.ready)
        return 0;
    do {
        sequence = vdso_data.sequence;
        time->seconds = (long)clock->seconds;
        keep_order();
        time->nanoseconds = (long)(clock->shifted_nanoseconds >> vdso_data.shift);
    } while ((sequence & 1) || sequence != vdso_data.sequence);
    while (time->nanoseconds >= (long)NANOSECONDS_PER_SECOND) {
        time->nanoseconds -= (long)NANOSECONDS_PER_SECOND;
        time->seconds++;
    }
    return 1;
}

// The two clocks that everybody asks for are tried first.
int __vdso_clock_gettime(int clock, struct timespec64 *time);
int __vdso_clock_gettime(int clock, struct timespec64 *time)
{
    const volatile struct vdso_clock *base = &vdso_data.monotonic;
    const volatile unsigned int *multiplier = &vdso_data.multiplier;
    int known;

    if (__builtin_expect(clock == MONOTONIC, 1)) {
        known = read_clock(base, multiplier, time);
    } else if (clock == REALTIME_COARSE || clock == MONOTONIC_COARSE) {
        known = read_coarse(clock == REALTIME_COARSE ? &vdso_data.real : base, time);
    } else {
        if (clock == REALTIME)
            base = &vdso_data.real;
        else if (clock == BOOTTIME)
            base = &vdso_data.boot;
        else if (clock == TAI)
            base = &vdso_data.tai;
        else if (clock == RAW)
            base = &vdso_data.raw;
        if (clock == RAW)
            multiplier = &vdso_data.raw_multiplier;
        known = (base != &vdso_data.monotonic) && read_clock(base, multiplier, time);
    }
    return __builtin_expect(known, 1) ? 0 : (int)system_call(SYSTEM_clock_gettime, clock, time);
}

int __vdso_clock_getres(int clock, struct timespec64 *resolution);
int __vdso_clock_getres(int clock, struct timespec64 *resolution)
{
    int fine = clock == REALTIME || clock == MONOTONIC || clock == RAW || clock == BOOTTIME ||
               clock == TAI;

    if (!vdso_data.ready || !(fine || clock == REALTIME_COARSE || clock == MONOTONIC_COARSE))
        return (int)system_call(SYSTEM_clock_getres, clock, resolution);
    if (resolution != 0) {
        resolution->seconds = 0;
        keep_order();
        resolution->nanoseconds = fine ? vdso_data.resolution : vdso_data.coarse_resolution;
    }
    return 0;
}

int __vdso_gettimeofday(struct timeval64 *time, struct zone *zone);
int __vdso_gettimeofday(struct timeval64 *time, struct zone *zone)
{
    struct timespec64 real;

    // The time zone is Linux's to know.
    if (zone != 0 || !read_clock(&vdso_data.real, &vdso_data.multiplier, &real))
        return (int)system_call(SYSTEM_gettimeofday, (long)time, zone);
    if (time != 0) {
        time->seconds = real.seconds;
        keep_order();
        time->microseconds = real.nanoseconds / 1000;
    }
    return 0;
}

long __vdso_time(long *time);
long __vdso_time(long *time)
{
    struct timespec64 real;

    if (!read_coarse(&vdso_data.real, &real))
        (void)system_call(SYSTEM_clock_gettime, REALTIME, &real);
    if (time != 0)
        *time = real.seconds;
    return real.seconds;
}

// Linux has one processor here.
long __vdso_getcpu(unsigned int *cpu, unsigned int *node, void *unused);
long __vdso_getcpu(unsigned int *cpu, unsigned int *node, void *unused)
{
    (void)unused;
    if (cpu != 0)
        *cpu = 0;
    if (node != 0)
        *node = 0;
    return 0;
}

int clock_gettime(int, struct timespec64 *) __attribute__((weak, alias("__vdso_clock_gettime")));
int clock_getres(int, struct timespec64 *) __attribute__((weak, alias("__vdso_clock_getres")));
int gettimeofday(struct timeval64 *, struct zone *)
    __attribute__((weak, alias("__vdso_gettimeofday")));
long time(long *) __attribute__((weak, alias("__vdso_time")));
long getcpu(unsigned int *, unsigned int *, void *) __attribute__((weak, alias("__vdso_getcpu")));
