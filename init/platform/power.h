// SPDX-License-Identifier: BSD-2-Clause
// The end of the machine.
#pragma once

#include "acpi.h"

#include <stdint.h>

void power_initialize(const struct acpi_facts *facts);

// Tells an emulator's debug exit device a status, which ends QEMU with
// status << 1 | 1. Returns when there is no such device.
void power_debug_exit(uint32_t status);
// Return only when nothing that was tried had an effect.
void power_off(void);
void power_reset(void);
