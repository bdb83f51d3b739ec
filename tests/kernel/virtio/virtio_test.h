// SPDX-License-Identifier: BSD-2-Clause
// A task that drives QEMU's virtio devices by the library (lib/virtio) and init's
// machine services. tests/kernel/virtio.sh makes the disks and is the host at the
// other end of the console's port.
#pragma once

#include "lib/virtio/native.h"

// Prints a line of TAP and counts. `about` (a device's name, or NULL) goes before.
void ok(bool passed, const char *about, const char *text);

// Events of this task's port.
#define EVENT_CONFIG  1ull
#define EVENT_QUEUE   2ull
#define EVENT_TIMEOUT 20000000ull // microseconds; an emulated machine may be slow

// A device with all its interrupts at one port.
struct driven {
    struct virtio_native native;
    port_name_t port, send;
    unsigned waits; // for an interrupt
};

// Claims and opens the first device of the type from *number on, which becomes
// its number. False, having said why, when that fails.
bool drive(struct driven *driven, uint16_t type, uint64_t *number, const char *about);

// Waits for an interrupt for the queues. False when none comes.
bool wait_for_queues(struct driven *driven);

void test_disks(void);
void test_console(void);
void test_network(void);
