// SPDX-License-Identifier: BSD-2-Clause
// sources: linuxserver/programs/agent/tar.c
// Archive headers of file copies: what is written is read back, what is spoiled
// is not, and names that lead elsewhere are told.
#include "linuxserver/programs/agent/tar.h"
#include "tap.h"

#include <string.h>

static uint8_t blocks[TAR_HEADER_BLOCKS_MAX * TAR_BLOCK_BYTES];
static struct tar_entry entry, back;

static void make(enum tar_type type, size_t name_length, size_t target_length)
{
    memset(&entry, 0, sizeof entry);
    entry.type = type;
    entry.mode = 04755;
    entry.time = 1704067200;
    memset(entry.name, 'n', name_length);
    memset(entry.target, 't', target_length);
}

// Writes the entry; reads the header itself, which is the last block.
static size_t round_trip(void)
{
    size_t written = tar_write(blocks, &entry);
    if (tar_read(&back, blocks + written - TAR_BLOCK_BYTES) != TAR_ENTRY)
        return 0;
    return written;
}

static void test_round_trips(void)
{
    make(TAR_FILE, 99, 0);
    entry.size = 123456;
    tap_ok(round_trip() == TAR_BLOCK_BYTES && back.size == 123456 && back.mode == 04755 &&
               back.time == entry.time && strcmp(back.name, entry.name) == 0,
           "a file with a name of 99 bytes");
    make(TAR_FILE, 5, 0);
    entry.size = UINT64_C(1) << 40;
    tap_ok(round_trip() == TAR_BLOCK_BYTES && back.size == entry.size,
           "a size beyond octal digits");
    make(TAR_FOLDER, 5, 0);
    entry.size = 4096;
    tap_ok(round_trip() != 0 && back.type == TAR_FOLDER && back.size == 0, "a folder has no size");
    make(TAR_LINK, 5, 99);
    tap_ok(round_trip() == TAR_BLOCK_BYTES && strcmp(back.target, entry.target) == 0, "a link");
    make(TAR_FILE, 5, 0);
    entry.time = -5;
    tap_ok(round_trip() != 0 && back.time == 0, "a date before all dates");
}

static void test_long_names(void)
{
    make(TAR_LINK, TAR_NAME_MAX - 1, TAR_NAME_MAX - 1);
    size_t written = tar_write(blocks, &entry);
    tap_ok(written == sizeof blocks, "the longest names fill all blocks");
    tap_ok(tar_read(&back, blocks) == TAR_ENTRY && back.type == TAR_LONG_NAME &&
               back.size == TAR_NAME_MAX,
           "a long name comes first");
    tap_ok(strcmp((const char *)blocks + TAR_BLOCK_BYTES, entry.name) == 0, "it is whole");
    const uint8_t *second = blocks + TAR_BLOCK_BYTES + TAR_NAME_MAX;
    tap_ok(tar_read(&back, second) == TAR_ENTRY && back.type == TAR_LONG_TARGET &&
               strcmp((const char *)second + TAR_BLOCK_BYTES, entry.target) == 0,
           "then a long target");
    make(TAR_FILE, 99, 200);
    tap_ok(tar_write(blocks, &entry) == TAR_BLOCK_BYTES, "only links have targets");
}

static void test_spoiled(void)
{
    make(TAR_FILE, 20, 0);
    entry.size = 77;
    tar_write(blocks, &entry);
    bool refused = true;
    for (size_t i = 0; i < TAR_BLOCK_BYTES; i++) {
        // The sum's own last byte is a blank that nobody looks at.
        uint8_t kept = blocks[i];
        blocks[i] ^= 1;
        refused &= tar_read(&back, blocks) == TAR_WRONG || i == 148 + 7;
        blocks[i] = kept;
    }
    tap_ok(refused, "a changed bit in any byte is seen");
    memset(blocks, 0, TAR_BLOCK_BYTES);
    tap_ok(tar_read(&back, blocks) == TAR_END, "zeros are the end");
    memset(blocks, 0xff, TAR_BLOCK_BYTES);
    tap_ok(tar_read(&back, blocks) == TAR_WRONG, "noise");
    make((enum tar_type)'3', 5, 0);
    tar_write(blocks, &entry);
    tap_ok(tar_read(&back, blocks) == TAR_OTHER, "a device is of another kind");
}

static void test_names(void)
{
    static const char *const good[] = {"a", "a/b", "a//b/", "..a/b..", "...", "./a", "a/./b"};
    static const char *const bad[] = {"", "/", "/a", "..", "../a", "a/..", "a/../b", "a//../b"};
    bool right = true;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        right &= tar_name_stays_below(good[i]);
    tap_ok(right, "names that stay below");
    right = true;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        right &= !tar_name_stays_below(bad[i]);
    tap_ok(right, "names that do not");
    tap_ok(tar_padding(0) == 0 && tar_padding(1) == 511 && tar_padding(512) == 0 &&
               tar_padding(513) == 511,
           "padding");
}

int main(void)
{
    test_round_trips();
    test_long_names();
    test_spoiled();
    test_names();
    return tap_end();
}
