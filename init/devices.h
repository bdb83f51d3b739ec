// SPDX-License-Identifier: BSD-2-Clause
// The machine's devices, for children that have the privilege.
#pragma once

#include "child.h"

#include "platform/acpi.h"

// Finds PCI functions and says how many.
void devices_initialize(const struct acpi_facts *facts);

// A child has ended: its devices stop writing to memory.
void devices_forget(const struct child *child);
