// SPDX-License-Identifier: GPL-2.0-only
// The cluster's segments in the place of a process's own POSIX shared memory.
#pragma once

#include <stdbool.h>

// Where the segments are, and where shm_open and sem_open look for theirs.
#define SHARED_FOLDER "/dsm"
#define POSIX_FOLDER  "/dev/shm"

// Gives the calling process mounts of its own, in which /dev/shm is /dsm. False with errno: ENODEV
// when nothing is mounted at /dsm. System calls only.
bool enter_shared(void);
