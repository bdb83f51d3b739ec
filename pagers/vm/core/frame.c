// SPDX-License-Identifier: BSD-2-Clause
// Frames. They come from the environment in pieces, when there are few free ones, and a piece goes
// back when all of it is free and enough others are. The lowest free frame is taken first, so that
// the last pieces become free.
#include "private.h"

#include <stdlib.h>

// How long a refusal counts, before more memory is asked for again.
#define GROW_RETRY 1000000000ull // nanoseconds

static uint32_t piece_frames(const struct vm_core *core, uint32_t piece)
{
    uint32_t left = core->frame_count - piece * VM_PIECE_FRAMES;

    return left < VM_PIECE_FRAMES ? left : VM_PIECE_FRAMES;
}

static void put(struct vm_core *core, uint32_t frame)
{
    uint32_t number = frame / VM_PIECE_FRAMES;
    struct vm_piece *piece = &core->pieces[number];

    core->frames[frame].page = NULL;
    core->frames[frame].next_free = piece->first_free;
    piece->first_free = frame;
    piece->free_count++;
    core->free_count++;
    if (number < core->lowest_free)
        core->lowest_free = number;
}

static bool add_piece(struct vm_core *core)
{
    uint32_t piece = 0;

    while (piece < core->piece_count && core->pieces[piece].present)
        piece++;
    if (piece == core->piece_count ||
        !core->environment->piece_take(core->context, piece, piece_frames(core, piece)))
        return false;
    core->pieces[piece] = (struct vm_piece){.first_free = VM_FRAME_NONE, .present = true};
    core->present_count += piece_frames(core, piece);
    for (uint32_t i = piece_frames(core, piece); i-- > 0;)
        put(core, piece * VM_PIECE_FRAMES + i);
    return true;
}

void frames_grow(struct vm_core *core)
{
    bool grown = false;

    if (core->now < core->grow_after)
        return;
    while (core->free_count < core->target && frames_may_grow(core)) {
        if (!add_piece(core)) {
            core->grow_after = core->now + GROW_RETRY;
            break;
        }
        grown = true;
    }
    if (grown)
        fault_wake_for_memory(core);
}

uint32_t frame_take(struct vm_core *core)
{
    if (core->free_count == 0)
        return VM_FRAME_NONE;
    while (core->pieces[core->lowest_free].free_count == 0)
        core->lowest_free++;
    struct vm_piece *piece = &core->pieces[core->lowest_free];
    uint32_t frame = piece->first_free;
    piece->first_free = core->frames[frame].next_free;
    piece->free_count--;
    core->free_count--;
    return frame;
}

void frame_put(struct vm_core *core, uint32_t frame)
{
    uint32_t number = frame / VM_PIECE_FRAMES, count = piece_frames(core, number);
    struct vm_piece *piece = &core->pieces[number];

    put(core, frame);
    // What is taken next leaves more than eviction begins at.
    if (piece->free_count == count && core->free_count >= core->target + count) {
        core->environment->piece_give(core->context, number, count);
        core->free_count -= count;
        core->present_count -= count;
        *piece = (struct vm_piece){.first_free = VM_FRAME_NONE};
    }
    fault_wake_for_memory(core);
}

bool frames_open(struct vm_core *core, uint32_t frames)
{
    core->frame_count = frames;
    core->piece_count = (frames + VM_PIECE_FRAMES - 1) / VM_PIECE_FRAMES;
    core->low = frames / 16 + 2;
    core->target = frames / 8 + 4;
    core->frames = calloc(frames, sizeof *core->frames);
    core->pieces = calloc(core->piece_count, sizeof *core->pieces);
    return core->frames != NULL && core->pieces != NULL;
}

void frames_close(struct vm_core *core)
{
    free(core->frames);
    free(core->pieces);
    core->frames = NULL;
    core->pieces = NULL;
}
