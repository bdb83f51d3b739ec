// SPDX-License-Identifier: BSD-2-Clause
// The machine's devices, for children that have the privilege: finding and
// claiming PCI functions, their memory and interrupts, and memory for DMA.
#pragma once

#include "child.h"

#include "platform/acpi.h"

#include "lib/call.h"

// Finds PCI functions and says how many.
void devices_initialize(const struct acpi_facts *facts);

// Serves a message of object `machine` of init.def. False: it is none.
bool devices_serve(const struct message *request, struct message *reply);

// A child has ended: its devices stop writing to memory.
void devices_forget(const struct child *child);
