// SPDX-License-Identifier: GPL-2.0-only
// A process made from a state package. Who becomes it is a process that was forked for it, with the
// package's process number: it gives up its program and its memory. So what fails costs only that
// process. What the mover calls is in migration.h.
#pragma once

#include "linuxserver/migration/migration.h"

// How much later it is by the clocks here than by those of the package's source.
struct build_clocks {
    s64 real, monotonic, boot; // ns
};

// As build_process, but without a move: it runs from the end of the present system call on.
int build_alone(const struct migration_package *package, const struct build_clocks *clocks,
                char reason[MIGRATION_REASON]);
