// SPDX-License-Identifier: BSD-2-Clause
// The node's Linux as a port of the switch: serves `ethernet`
// (include/corvus/ethernet.def), one client at a time.
#pragma once

#include "netipc/server.h"

struct linux_port_counters {
    uint64_t opened, closed;
    uint64_t bells;        // rung at Linux
    uint64_t bad_frames;   // from Linux, impossible, passed over
    uint64_t broken_rings; // in which Linux wrote nonsense: deaf until it opens anew
    uint64_t not_open;     // frames to Linux while it had not opened
};

// A subject of main.c: takes its memory, adds the port to the switch and checks in.
// Once. False: it cannot, and has said why.
bool linux_port_start(const struct server_context *context);

// Tells Linux whether the wire is connected; at first it is.
void linux_port_set_link(bool connected);

const struct linux_port_counters *linux_port_counters(void);
