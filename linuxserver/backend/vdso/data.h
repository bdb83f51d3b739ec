/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The page in front of the vDSO's code: what it needs to tell the time by itself. Linux writes it
 * at each update of its timekeeper, between two increments of `sequence`, which is odd meanwhile.
 */
#ifndef LINUXSERVER_VDSO_DATA_H
#define LINUXSERVER_VDSO_DATA_H

/* Seconds and shifted nanoseconds of a clock at the time `cycle_last`. */
struct vdso_clock {
    unsigned long seconds;
    unsigned long shifted_nanoseconds;
};

struct vdso_data {
    unsigned int sequence;
    unsigned int ready; /* 0: nothing is known yet, ask Linux */

    /* The microkernel's clock (struct clock_page): nanoseconds from the processor's counter. */
    unsigned long tsc_base;
    unsigned int tsc_multiplier;
    unsigned int tsc_shift;

    /* Linux's timekeeper over it (struct tk_read_base). */
    unsigned long cycle_last;
    unsigned int multiplier;
    unsigned int shift;
    unsigned int raw_multiplier;
    unsigned int reserved;
    struct vdso_clock real;
    struct vdso_clock monotonic;
    struct vdso_clock boot;
    struct vdso_clock tai;
    struct vdso_clock raw;
    unsigned int resolution; /* nanoseconds, of the clocks above */
    unsigned int coarse_resolution;
};

#endif
