// SPDX-License-Identifier: BSD-2-Clause
// The lives of the children: when each starts, what happens at its end.
#pragma once

#include "child.h"

// Makes a child of each server of the configuration; starts nothing yet. Ports
// of children go into `set`; notices about them come to `control`.
void supervise_initialize(const struct config *config, port_name_t set, port_name_t control);

// Starts all whose time has come. To be called whenever something may have
// changed: a child has started or ended, a name was checked in, time has passed.
void supervise_advance(void);

// A child has ended or is to be ended; `how` goes into the report. A failure is
// what restart policy `on-failure` acts upon.
void supervise_end(struct child *child, bool failed, const char *how);

// A right of init's has become a dead name: perhaps a child's task or thread.
void supervise_died(port_name_t name);

// Ends the node: power off, or reset. Tells an emulator the status first if it
// is asked for with `exit=debug`, or `test` is set.
_Noreturn void supervise_shut_down(bool reset, uint32_t status, bool test);
