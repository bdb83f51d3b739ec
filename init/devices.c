// SPDX-License-Identifier: BSD-2-Clause
// Which PCI function is whose.
#include "devices.h"

#include "platform/config_space.h"

static struct pci_function functions[PCI_FUNCTIONS_MAX];
static uint32_t function_count;
static const struct child *owners[PCI_FUNCTIONS_MAX];

void devices_initialize(const struct acpi_facts *facts)
{
    config_space_initialize(facts);
    function_count = pci_scan(&config_space, functions, PCI_FUNCTIONS_MAX);
    report("%u PCI functions%s", (unsigned)function_count,
           facts->ecam_base != 0 ? ", configuration space in memory" : "");
}

static void stop(const struct pci_function *function)
{
    uint32_t command = config_space.read(NULL, function->address, PCI_COMMAND) & 0xffffu;
    config_space.write(NULL, function->address, PCI_COMMAND,
                       (command & ~PCI_COMMAND_MASTER) | PCI_COMMAND_INTX_OFF);
}

void devices_forget(const struct child *child)
{
    for (uint32_t i = 0; i < function_count; i++) {
        if (owners[i] != child)
            continue;
        stop(&functions[i]);
        owners[i] = NULL;
    }
}
