// SPDX-License-Identifier: BSD-2-Clause
// Frames: the server's own memory, with one mapping of each page, from which clients' derive; and
// how access is taken away from these.
#include "pagers/vm/server.h"

#include <corvus/host.h>
#include <corvus/stubs.h>

#include <stdlib.h>
#include <sys/mman.h>

static uint8_t **pieces; // NULL: not there

uint64_t frame_address(uint32_t frame)
{
    return (uintptr_t)pieces[frame / VM_PIECE_FRAMES] + frame % VM_PIECE_FRAMES * PAGE_BYTES;
}

void *frame_bytes(void *context, uint32_t frame)
{
    (void)context;
    return (void *)(uintptr_t)frame_address(frame); // the address is the server's own
}

void frame_restrict(void *context, uint32_t frame, uint64_t access, bool *accessed, bool *written)
{
    uint64_t was_accessed = 0, was_written = 0;

    (void)context;
    (void)memory_unmap(NAME_TASK_SELF, frame_address(frame), PAGE_BYTES, access, NULL,
                       &was_accessed, &was_written);
    *accessed = was_accessed != 0;
    *written = was_written != 0;
}

void map_restrict(void *context, struct vm_map *map, uint64_t address, uint64_t length,
                  uint64_t access)
{
    struct client *client = client_of_map(map);

    (void)context;
    // A snapshot's map has no task.
    if (client != NULL)
        (void)memory_unmap(client->task, address, length, access | MEMORY_SELF, NULL, NULL, NULL);
}

// A piece is smaller than the pages of 2 MiB that init has: those would be taken away as a whole.
bool piece_take(void *context, uint32_t piece, uint32_t frames)
{
    // To be executed, too: clients' mappings have what this one has, at most.
    void *memory = mmap(NULL, frames * PAGE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)context;
    if (memory == MAP_FAILED)
        return false;
    pieces[piece] = memory;
    return true;
}

// With its own mapping all clients' go.
void piece_give(void *context, uint32_t piece, uint32_t frames)
{
    (void)context;
    (void)munmap(pieces[piece], frames * PAGE_BYTES);
    pieces[piece] = NULL;
}

bool frames_prepare(uint32_t frames)
{
    pieces = calloc((frames + VM_PIECE_FRAMES - 1) / VM_PIECE_FRAMES, sizeof *pieces);
    return pieces != NULL;
}
