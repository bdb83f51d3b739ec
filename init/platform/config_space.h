// SPDX-License-Identifier: BSD-2-Clause
// PCI configuration space of this machine: by the memory window that ACPI names
// where there is one, or else by the two I/O ports.
#pragma once

#include "acpi.h"
#include "pci.h"

extern const struct pci_space config_space;

void config_space_initialize(const struct acpi_facts *facts);
