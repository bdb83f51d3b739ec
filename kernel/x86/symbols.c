// SPDX-License-Identifier: BSD-2-Clause
// From an address to the function it lies in. The table comes from nm by way of
// a build step; in the first of the two links it is empty.
#include "x86/panic.h"

#include "x86/boot.h"

const char *symbol_find(uint64_t address, uint64_t *offset)
{
    if (address < (uint64_t)kernel_text_start || address >= (uint64_t)kernel_text_end)
        return 0;

    // The last symbol at or below address is in [low - 1].
    uint32_t low = 0;
    uint32_t high = kernel_symbol_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (kernel_symbols[middle].address <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return 0;
    *offset = address - kernel_symbols[low - 1].address;
    return kernel_symbols[low - 1].name;
}
