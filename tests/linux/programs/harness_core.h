// SPDX-License-Identifier: BSD-2-Clause
// Reading an ELF core file: its notes and its memory.
#pragma once

#include "harness.h"

#include <elf.h>

struct core {
    const uint8_t *bytes;
    size_t size;
    const Elf64_Ehdr *header;
    const Elf64_Phdr *segments;
};

// The core file in the current folder; fails the test when there is none, or more than one.
struct core core_open(void);
// False when there is none.
bool core_exists(void);

// Note number `index` of a kind; NULL when there are fewer. `size` gets the length of its body.
const void *core_note(const struct core *core, uint32_t kind, unsigned index, size_t *size);

// What the core says is at an address of the process; NULL when that is not in it.
const void *core_memory(const struct core *core, uint64_t address, size_t count);
