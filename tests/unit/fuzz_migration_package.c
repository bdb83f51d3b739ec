// SPDX-License-Identifier: BSD-2-Clause
// sources: linuxserver/migration/package.c linuxserver/migration/package_check.c
// Any bytes at all as a state package, with a right sum: no crash, and what is accepted points
// nowhere else. The first byte says whether the rest is a package, or changes to a good one.
#include "package_scene.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const struct migration_package *package, uint32_t at)
{
    if (at + strlen(&package->text[at].byte) >= package->text_count)
        abort();
}

// Reads all that a builder would.
static void check_accepted(const struct migration_package *package)
{
    for (size_t i = 0; i < package->threads_count; i++) {
        const struct package_credentials *credentials = &package->threads[i].credentials;

        for (uint32_t j = 0; j < credentials->groups; j++) {
            if (package->groups[credentials->first_group + j].gid == UINT32_MAX)
                abort();
        }
    }
    for (size_t i = 0; i < package->signals_count; i++) {
        if (package->signals[i].thread != PACKAGE_SHARED &&
            package->threads[package->signals[i].thread].tid == 0)
            abort();
    }
    for (size_t i = 0; i < package->vmas_count; i++)
        check_text(package, package->vmas[i].name);
    for (size_t i = 0; i < package->pages_count; i++) {
        if (package_vma_at(package, package->pages[i].address) == NULL)
            abort();
    }
    check_text(package, package->process->name);
}

static void try_bytes(void *room, size_t bytes, _Bool whole)
{
    struct package_header *header = room;
    struct migration_package package;

    if (bytes >= sizeof *header && whole) {
        header->magic = PACKAGE_MAGIC;
        header->version = PACKAGE_VERSION;
        header->sections = PACKAGE_SECTIONS;
        header->bytes = bytes;
        header->sum = package_sum(header + 1, bytes - sizeof *header);
    }
    if (package_read(&package, room, bytes) == NULL)
        check_accepted(&package);
}

// Four bytes each: where, by words, and what, xor-ed to one byte of it.
static void try_changes(const uint8_t *data, size_t size)
{
    struct package_room records;
    uint8_t *room = package_scene(&records);
    size_t bytes = package_bytes(package_scene_counts);

    for (; size >= 4; data += 4, size -= 4) {
        size_t at = (data[0] | (size_t)data[1] << 8) * 8 + data[2] % 8;

        room[at % bytes] ^= data[3];
    }
    try_bytes(room, bytes, 1);
    free(room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    void *room;

    if (size == 0)
        return 0;
    if (data[0] % 2 == 1) {
        try_changes(data + 1, size - 1);
        return 0;
    }
    room = malloc(size);
    if (room == NULL)
        abort();
    memcpy(room, data + 1, size - 1);
    try_bytes(room, size - 1, data[0] % 4 == 0);
    free(room);
    return 0;
}
