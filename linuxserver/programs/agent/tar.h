// SPDX-License-Identifier: GPL-2.0-only
// Headers of tar archives, as GNU tar and Python's tarfile write them: what file
// copies send. Long names come in entries of their own before the file's. Does
// no input or output. Format: GNU tar manual, "Basic Tar Format".
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TAR_BLOCK_BYTES 512u
#define TAR_NAME_MAX    4096u // with its zero

enum tar_type {
    TAR_FILE = '0',
    TAR_LINK = '2', // symbolic
    TAR_FOLDER = '5',
    TAR_LONG_TARGET = 'K', // contents: the target of the next entry's link
    TAR_LONG_NAME = 'L'    // contents: the name of the next entry
};

struct tar_entry {
    enum tar_type type;
    uint32_t mode; // permissions only
    int64_t time;  // of the last change, seconds
    uint64_t size; // of the contents that follow; 0 for all but files and long names
    char name[TAR_NAME_MAX];
    char target[TAR_NAME_MAX];
};

enum tar_result {
    TAR_ENTRY,
    TAR_END,   // a block of zeros
    TAR_WRONG, // no header
    TAR_OTHER  // a header of a kind not known here
};

// Reads one header. Name and target are at most 255 bytes here.
enum tar_result tar_read(struct tar_entry *entry, const uint8_t block[TAR_BLOCK_BYTES]);

// Whether the name stays below the folder that is unpacked into: relative, not
// empty, no ".." in it.
bool tar_name_stays_below(const char *name);

// How many header blocks an entry needs, long names included; at most
// TAR_HEADER_BLOCKS_MAX.
#define TAR_HEADER_BLOCKS_MAX (1 + 2 * (1 + TAR_NAME_MAX / TAR_BLOCK_BYTES))

// Writes an entry's headers; returns the bytes written.
size_t tar_write(uint8_t blocks[TAR_HEADER_BLOCKS_MAX * TAR_BLOCK_BYTES],
                 const struct tar_entry *entry);

// How many zeros fill the last block of contents.
static inline size_t tar_padding(uint64_t size)
{
    return (size_t)(-size % TAR_BLOCK_BYTES);
}
