/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The vDSO of processes that see the clocks of another node (linuxserver/migration/clocks.h): its
 * data page is that of this node with other times in it.
 */
#ifndef LINUXSERVER_VDSO_MAP_H
#define LINUXSERVER_VDSO_MAP_H

#include <linux/types.h>

struct vdso_other;

/* With the times of this node at first. It is never given back. NULL: no memory. */
struct vdso_other *vdso_make_other(void);

/* How many nanoseconds its CLOCK_MONOTONIC is ahead of that here, and its CLOCK_REALTIME of its
 * CLOCK_MONOTONIC. */
void vdso_set_other(struct vdso_other *other, s64 monotonic, s64 real);

/* Puts both pages into the current address space, which has none. NULL: the clocks here. 0, or a
 * negative error number. */
int vdso_map(const struct vdso_other *other);

#endif
