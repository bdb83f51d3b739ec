// SPDX-License-Identifier: BSD-2-Clause
// How a PCI function's interrupt gets to a port.
#pragma once

#include "pci.h"

#include "lib/call.h"

enum interrupt_kind { INTERRUPT_LINE, INTERRUPT_MSI, INTERRUPT_MSIX };

// Attaches the interrupt of a function. `index` is the MSI-X table entry.
// `functions` are all there are: a line goes through the bridges above. The
// interrupt's port is the caller's.
corvus_error_t interrupts_attach(const struct pci_function *function, uint32_t index, uint64_t bits,
                                 struct message_right port, const struct pci_function *functions,
                                 uint32_t count, enum interrupt_kind *kind, port_name_t *interrupt);

// The function sends no interrupt of any kind any more.
void interrupts_disable(const struct pci_function *function);
