// SPDX-License-Identifier: BSD-2-Clause
// Files and their contents, without messages. A version of a file is a table of pages that other
// versions may share; a version that somebody has been given does not change any more.
#pragma once

#include <corvus/types.h>

#include <stdbool.h>

#define FILE_NAME_BYTES 32u

struct file_page {
    uint32_t references; // versions that have it
    uint8_t data[PAGE_BYTES];
};

struct file_version {
    uint64_t size;
    uint64_t page_count;
    struct file_page **pages; // NULL in it: zero
    void *object;             // the pager's, once somebody was given it
    bool current;
};

struct file {
    struct file *next;
    char name[FILE_NAME_BYTES]; // zeroes behind
    struct file_version *version;
};

// NULL: there is none of that name (FILE_NAME_BYTES bytes).
struct file *file_find(const char *name);
// Writes; makes the file, or a new version, where needed. False: no memory, nothing has changed but
// that the file may be there.
bool file_store(const char *name, uint64_t offset, const uint8_t *bytes, uint64_t count);
void file_version_free(struct file_version *version);
// Takes the regular files of a ustar archive (POSIX.1-1988, 10.1.1). Returns how many; a name that
// is too long, or an archive that ends too early, ends it.
unsigned file_take_archive(const uint8_t *archive, uint64_t bytes);
