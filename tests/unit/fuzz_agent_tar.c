// SPDX-License-Identifier: BSD-2-Clause
// sources: linuxserver/programs/agent/tar.c
// Any bytes at all as an archive's header: no crash, names end where they must,
// and what is read can be written and read again.
#include "linuxserver/programs/agent/tar.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// The sum is what a fuzzer does not find by itself.
static void fix_sum(uint8_t *block)
{
    unsigned sum = 0;
    memset(block + 148, ' ', 8);
    for (size_t i = 0; i < TAR_BLOCK_BYTES; i++)
        sum += block[i];
    for (int i = 5; i >= 0; i--, sum >>= 3)
        block[148 + i] = (uint8_t)('0' + (sum & 7));
    block[154] = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tar_entry entry, back;
    static uint8_t blocks[TAR_HEADER_BLOCKS_MAX * TAR_BLOCK_BYTES];
    uint8_t block[TAR_BLOCK_BYTES] = {0};
    memcpy(block, data, size < sizeof block ? size : sizeof block);
    fix_sum(block);
    memset(&entry, 'x', sizeof entry);
    if (tar_read(&entry, block) != TAR_ENTRY)
        return 0;
    if (strnlen(entry.name, sizeof entry.name) > 256 || strnlen(entry.target, 101) > 100)
        abort();
    (void)tar_name_stays_below(entry.name);
    size_t written = tar_write(blocks, &entry);
    if (written > sizeof blocks || written % TAR_BLOCK_BYTES != 0 ||
        tar_read(&back, blocks + written - TAR_BLOCK_BYTES) != TAR_ENTRY ||
        back.mode != entry.mode || back.type != entry.type)
        abort();
    return 0;
}
