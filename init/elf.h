// SPDX-License-Identifier: BSD-2-Clause
// What init understands of ELF: a static x86-64 program, checked as a whole
// before any of it is used. Pure, and tested on the host with hostile files.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define ELF_SEGMENTS_MAX 16

struct elf_segment {
    uint64_t address;      // where it is to appear
    uint64_t memory_bytes; // what lies behind file_bytes is zero
    uint64_t offset;       // in the file
    uint64_t file_bytes;
    uint32_t access; // ACCESS_*, never write and execute together
};

struct elf_program {
    uint64_t entry;
    uint64_t headers_address; // of the program headers in memory, 0 when they are in no segment
    uint32_t header_count;
    uint32_t segment_count;
    struct elf_segment segments[ELF_SEGMENTS_MAX]; // sharing no page, by ascending address
};

// Fills `program` from a file of `length` bytes that may hold anything, and
// returns NULL; or returns what is wrong with it. All addresses are above page 0
// and below `address_limit`.
const char *elf_read(const void *file, size_t length, uint64_t address_limit,
                     struct elf_program *program);
