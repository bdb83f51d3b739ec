// SPDX-License-Identifier: GPL-2.0-only
#include "linuxserver/migration/clocks.h"
#include "linuxserver/backend/vdso/map.h"
#include "linuxserver/migration/peer.h"

#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/minmax.h>
#include <linux/timekeeping.h>

#define NODES 256

static struct known {
    struct vdso_other *vdso; // NULL: nothing was ever heard
    s64 monotonic;           // home's minus the one here
    s64 real;                // home's CLOCK_REALTIME minus its CLOCK_MONOTONIC
    bool stale;
} known[NODES];

// NULL: this node itself, or one of which nothing is known.
static const struct known *other(unsigned int home)
{
    if (home == 0 || home >= NODES || home == migration_self() || known[home].vdso == NULL)
        return NULL;
    return &known[home];
}

// How far CLOCK_REALTIME is ahead of CLOCK_MONOTONIC here.
static s64 real_here(void)
{
    return ktime_to_ns(ktime_mono_to_real(0));
}

struct clocks clocks_tell(unsigned int home)
{
    const struct known *it = other(home);

    return (struct clocks){
        .monotonic = ktime_get_ns() + (u64)(it != NULL ? it->monotonic : 0),
        .real = it != NULL ? it->real : real_here(),
    };
}

int clocks_hear(unsigned int home, const struct clocks *told, bool anew)
{
    s64 monotonic = (s64)(told->monotonic - ktime_get_ns());
    struct known *it = &known[home % NODES];

    if (home == 0 || home >= NODES)
        return -EPROTO;
    if (home == migration_self())
        return 0;
    if (it->vdso == NULL) {
        struct vdso_other *vdso = vdso_make_other();

        if (vdso == NULL)
            return -ENOMEM;
        // Another one may have made it while this one slept.
        if (it->vdso == NULL)
            *it = (struct known){.vdso = vdso, .monotonic = monotonic};
    }
    it->monotonic = anew || it->stale ? monotonic : max(monotonic, it->monotonic);
    it->real = told->real;
    it->stale = false;
    vdso_set_other(it->vdso, it->monotonic, it->real);
    return 0;
}

s64 clocks_ahead(unsigned int home, clockid_t clock)
{
    const struct known *it = other(home);

    if (it == NULL)
        return 0;
    switch (clock) {
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
        return it->monotonic;
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_TAI:
        return it->monotonic + it->real - real_here();
    default:
        return 0;
    }
}

void clocks_forget(unsigned int home)
{
    known[home % NODES].stale = true;
}

const struct vdso_other *clocks_vdso(unsigned int home)
{
    const struct known *it = other(home);

    return it != NULL ? it->vdso : NULL;
}
