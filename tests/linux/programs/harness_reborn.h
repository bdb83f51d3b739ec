// SPDX-License-Identifier: BSD-2-Clause
// A process written down and made anew (MIGRATE_DUMP, MIGRATE_BUILD of <corvus/migrate.h>): what a
// move to another node does to it, on one node.
#pragma once

#include "harness.h"

#include <corvus/migrate.h>

struct package_file {
    void *bytes;
    size_t count, room; // of a mapping
};

// The device, -1: there is none. skip_without_migration ends the test then.
int migration_device(void);
void skip_without_migration(void);

// The package of a stopped child, with all its pages; fails the test when it is refused.
struct package_file dumped(pid_t pid);

// Why it cannot move; "" when it can, or could if it were stopped.
const char *why_not(pid_t pid);

// A process with that number, which becomes the package's; a child of the caller with all that the
// caller has open. When it is refused, and still there, it ends with that status, and refusal()
// tells why.
#define REFUSED_STATUS 200
pid_t built(pid_t pid, struct package_file package);
const char *refusal(void);

// Stops the child, which must be the caller's and be made by child(), writes it down, kills it, and
// makes it anew. It keeps its number. The files that it has open become those of the caller.
void reborn(pid_t pid);

// Waits until the process's main thread sleeps, and goes on doing so.
void wait_asleep(pid_t pid);
