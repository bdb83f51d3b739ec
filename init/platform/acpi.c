// SPDX-License-Identifier: BSD-2-Clause
// Follows the RSDT or XSDT to FADT and MCFG (ACPI 6.4, section 5.2; PCI
// Firmware Specification 3.2, section 4.1.2). Lengths are bounded and sums checked.
#include "acpi.h"

#include "device_memory.h"

#include <corvus/host.h>

#include <stddef.h>
#include <string.h>

#define TABLE_BYTES_MAX     65536u
#define TABLES_MAX          64u
#define FADT_PM1A_CONTROL   64
#define FADT_FLAGS          112
#define FADT_FLAG_RESET     (1u << 10)
#define FADT_RESET_REGISTER 116
#define FADT_RESET_VALUE    128
#define ADDRESS_SPACE_IO    1
#define MCFG_ENTRIES        44

struct __attribute__((packed)) table {
    char signature[4];
    uint32_t length;
    uint8_t revision, checksum;
    char oem[6], oem_table[8];
    uint32_t oem_revision, creator, creator_revision;
};

struct __attribute__((packed)) generic_address {
    uint8_t space, bits, offset, access;
    uint64_t address;
};

struct __attribute__((packed)) mcfg_entry {
    uint64_t base;
    uint16_t segment;
    uint8_t first_bus, last_bus;
    uint32_t reserved;
};

static bool sums_to_zero(const void *bytes, size_t count)
{
    uint8_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum = (uint8_t)(sum + ((const uint8_t *)bytes)[i]);
    return sum == 0;
}

// A whole table of at least `least` bytes, or NULL.
static const struct table *map_table(uint64_t physical, size_t least)
{
    const struct table *table = device_memory_map(physical, sizeof *table, HOST_CACHE_ON);
    if (table == NULL || table->length < least || table->length > TABLE_BYTES_MAX)
        return NULL;
    uint32_t length = table->length;
    table = device_memory_map(physical, length, HOST_CACHE_ON);
    return table != NULL && sums_to_zero(table, length) ? table : NULL;
}

static void read_fadt(const struct table *table, struct acpi_facts *facts)
{
    const char *bytes = (const char *)table;
    uint32_t port, flags;
    if (table->length < FADT_FLAGS + sizeof flags)
        return;
    memcpy(&port, bytes + FADT_PM1A_CONTROL, sizeof port);
    memcpy(&flags, bytes + FADT_FLAGS, sizeof flags);
    if (port <= UINT16_MAX)
        facts->pm1a_control = (uint16_t)port;
    if (!(flags & FADT_FLAG_RESET) || table->length <= FADT_RESET_VALUE)
        return;
    struct generic_address reset;
    memcpy(&reset, bytes + FADT_RESET_REGISTER, sizeof reset);
    facts->reset_in_port = reset.space == ADDRESS_SPACE_IO && reset.address <= UINT16_MAX;
    facts->reset_port = (uint16_t)reset.address;
    facts->reset_value = (uint8_t)bytes[FADT_RESET_VALUE];
}

static void read_mcfg(const struct table *table, struct acpi_facts *facts)
{
    struct mcfg_entry entry;
    if (table->length < MCFG_ENTRIES + sizeof entry)
        return;
    memcpy(&entry, (const char *)table + MCFG_ENTRIES, sizeof entry);
    if (entry.segment != 0 || entry.first_bus != 0 || entry.base == 0)
        return;
    facts->ecam_base = entry.base;
    facts->ecam_buses = entry.last_bus + 1u;
}

static void read_table(uint64_t physical, struct acpi_facts *facts)
{
    const struct table *table = map_table(physical, sizeof *table);
    if (table == NULL)
        return;
    if (memcmp(table->signature, "FACP", 4) == 0)
        read_fadt(table, facts);
    else if (memcmp(table->signature, "MCFG", 4) == 0)
        read_mcfg(table, facts);
}

static void read_root(uint64_t physical, size_t entry_bytes, struct acpi_facts *facts)
{
    const struct table *root = map_table(physical, sizeof *root);
    if (root == NULL)
        return;
    size_t count = (root->length - sizeof *root) / entry_bytes;
    for (size_t i = 0; i < count && i < TABLES_MAX; i++) {
        uint64_t address = 0;
        memcpy(&address, (const char *)(root + 1) + i * entry_bytes, entry_bytes);
        read_table(address, facts);
    }
}

struct acpi_facts acpi_read(uint64_t root, bool root_is_xsdt)
{
    struct acpi_facts facts = {0};
    if (root != 0)
        read_root(root, root_is_xsdt ? sizeof(uint64_t) : sizeof(uint32_t), &facts);
    return facts;
}
