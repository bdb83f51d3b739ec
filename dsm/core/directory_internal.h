// SPDX-License-Identifier: BSD-2-Clause
// What the files of the directory share: a replica's contents, and how they travel.
#pragma once

#include "dsm/core/directory.h"

// What became of the last change that each node asked for, so that none is made twice.
struct directory_last {
    uint64_t request; // 0: there was none
    uint64_t segment;
    corvus_error_t error;
};

// What all replicas have alike after `sequence` changes.
struct directory_contents {
    uint64_t sequence;
    uint64_t next_segment, next_cookie;
    size_t image_bytes; // of all that stands here
    struct directory_segment *segments;
    struct directory_name *names, **last_name;
    struct directory_last last[DIRECTORY_NODES_MAX + 1]; // by node
};

void contents_open(struct directory_contents *contents);
void contents_close(struct directory_contents *contents);

struct directory_segment *contents_segment(const struct directory_contents *contents,
                                           uint64_t number);
struct directory_name *contents_find(const struct directory_contents *contents, const char *name,
                                     size_t bytes);
// Both for the reading of an image. False: no memory.
bool contents_add_segment(struct directory_contents *contents,
                          const struct directory_segment *segment);
bool contents_add_name(struct directory_contents *contents, struct directory_segment *segment,
                       uint64_t cookie, const char *name, size_t bytes);

// Makes a change. OK or what is wrong with it, the same on all replicas; *segment is its number.
// What cannot be made alike for want of memory ends the program: abort().
corvus_error_t contents_make(struct directory_contents *contents,
                             const struct directory_change *change, uint64_t *segment);

// The image: DIRECTORY_IMAGE_MAX bytes at most.
size_t image_write(const struct directory_contents *contents, void *bytes);
// False, and nothing there: it is not valid, or there is no memory.
bool image_read(struct directory_contents *contents, const void *bytes, size_t count);
size_t image_segment_bytes(void);
size_t image_name_bytes(size_t bytes);
size_t image_empty_bytes(void);

// A change as it travels: all but the unused parts of its names. *count is what there is.
size_t change_write(const struct directory_change *change, void *bytes);
// False: it is not valid.
bool change_read(struct directory_change *change, const void *bytes, size_t count);
bool change_is_valid(const struct directory_change *change);
#define CHANGE_BYTES_MAX sizeof(struct directory_change)
