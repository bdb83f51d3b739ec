// SPDX-License-Identifier: BSD-2-Clause
// See world.h.
#include "tests/unit/vm/world.h"

#include <stdlib.h>
#include <string.h>

uint64_t world_address(unsigned page)
{
    return WORLD_BASE + page * PAGE_BYTES;
}

// --- The environment ------------------------------------------------------------------------

static bool piece_take(void *context, uint32_t piece, uint32_t frames)
{
    struct world *world = context;

    if (world->no_memory)
        return false;
    world->pieces[piece] = true;
    world->present += frames;
    return true;
}

static void piece_give(void *context, uint32_t piece, uint32_t frames)
{
    struct world *world = context;

    world->bad_pieces += !world->pieces[piece];
    for (uint32_t i = 0; i < frames; i++) {
        struct vm_frame *frame = &world->core.frames[piece * VM_PIECE_FRAMES + i];
        world->bad_pieces += frame->page != NULL || frame->in_flight != 0;
    }
    world->pieces[piece] = false;
    world->present -= frames;
    world->given++;
}

static void *frame_bytes(void *context, uint32_t frame)
{
    struct world *world = context;

    world->bad_pieces += !world->pieces[frame / VM_PIECE_FRAMES];
    return world->frames[frame];
}

static void note(struct world *world, struct world_translation *translation)
{
    world->frame_accessed[translation->frame] |= translation->accessed;
    world->frame_written[translation->frame] |= translation->written;
    translation->accessed = translation->written = false;
}

static void take(struct world *world, struct world_translation *translation, uint64_t access)
{
    note(world, translation);
    if ((access & ACCESS_READ) != 0)
        translation->access = 0;
    else
        translation->access &= ~access;
}

static void frame_restrict(void *context, uint32_t frame, uint64_t access, bool *accessed,
                           bool *written)
{
    struct world *world = context;

    for (unsigned m = 0; m < WORLD_MAPS; m++)
        for (unsigned p = 0; p < WORLD_PAGES; p++)
            if (world->tables[m][p].access != 0 && world->tables[m][p].frame == frame)
                take(world, &world->tables[m][p], access);
    *accessed = world->frame_accessed[frame];
    *written = world->frame_written[frame];
    world->frame_accessed[frame] = world->frame_written[frame] = false;
}

static void map_restrict(void *context, struct vm_map *map, uint64_t address, uint64_t length,
                         uint64_t access)
{
    struct world *world = context;

    for (unsigned m = 0; m < WORLD_MAPS; m++)
        for (unsigned p = 0; world->maps[m] == map && p < WORLD_PAGES; p++)
            if (world->tables[m][p].access != 0 && world_address(p) >= address &&
                world_address(p) - address < length)
                take(world, &world->tables[m][p], access);
}

static void send(void *context, struct vm_object *object, const struct vm_message *message)
{
    struct world *world = context;
    world->queue[world->last++ % WORLD_QUEUE] =
        (struct world_message){.pager = object->binding, .message = *message};
    if (world->last - world->first >= WORLD_QUEUE)
        abort();
}

static struct world_pager *make_pager(struct world *world)
{
    struct world_pager *pager = calloc(1, sizeof *pager);

    pager->next = world->pagers;
    world->pagers = pager;
    return pager;
}

static bool create(void *context, struct vm_object *object)
{
    struct world *world = context;
    struct world_pager *pager;

    if (world->no_default_pager)
        return false;
    pager = make_pager(world);
    world->creations++;
    pager->object = object;
    object->binding = pager;
    return true;
}

static void forget(void *context, struct vm_object *object)
{
    struct world *world = context;
    struct world_pager *pager = object->binding;

    world->forgotten++;
    if (pager != NULL)
        pager->object = NULL;
}

static const struct vm_environment environment = {
    .piece_take = piece_take,
    .piece_give = piece_give,
    .frame_bytes = frame_bytes,
    .frame_restrict = frame_restrict,
    .map_restrict = map_restrict,
    .send = send,
    .create = create,
    .forget = forget,
};

void world_open(struct world *world, uint32_t frames)
{
    memset(world, 0, sizeof *world);
    if (!vm_core_open(&world->core, &environment, world, frames))
        abort();
}

void world_close(struct world *world)
{
    world_settle(world);
    vm_core_close(&world->core);
    while (world->pagers != NULL) {
        struct world_pager *pager = world->pagers;
        world->pagers = pager->next;
        free(pager);
    }
}

struct world_pager *world_pager(struct world *world, uint64_t limit)
{
    struct world_pager *pager = make_pager(world);

    pager->object = vm_object_create(&world->core, VM_EXTERNAL, limit);
    pager->object->binding = pager;
    return pager;
}

// --- Pagers ----------------------------------------------------------------------------------

static void answer(struct world *world, struct world_pager *pager, const struct vm_message *m)
{
    uint64_t page[PAGE_BYTES / 8] = {0}, index = m->offset / PAGE_BYTES;
    uint64_t flags = pager->precious ? PAGER_PRECIOUS : 0;

    pager->requests++;
    if (pager->silent || pager->object == NULL)
        return;
    page[0] = pager->store[index];
    if (pager->stored[index])
        vm_data_provided(&world->core, pager->object, m->sequence, m->offset, pager->locks[index],
                         flags, page, PAGE_BYTES);
    else
        vm_data_unavailable(&world->core, pager->object, m->sequence, m->offset, PAGE_BYTES,
                            pager->locks[index], flags);
    // What is precious it does not keep.
    if (pager->precious) {
        pager->store[index] = WORLD_POISON;
        pager->stored[index] = true;
    }
}

static void take_back(struct world *world, struct world_pager *pager, const struct vm_message *m)
{
    uint64_t index = m->offset / PAGE_BYTES;

    pager->writes++;
    if (!pager->precious || !m->kept) {
        pager->store[index] = world->frames[m->frame][0];
        pager->stored[index] = true;
    }
    vm_frame_sent(&world->core, m->frame);
}

bool world_step(struct world *world)
{
    if (world->first == world->last)
        return false;
    struct world_message got = world->queue[world->first++ % WORLD_QUEUE];
    const struct vm_message *m = &got.message;
    struct world_pager *pager = got.pager;

    switch (m->kind) {
    case VM_DATA_REQUEST:
        answer(world, pager, m);
        break;
    case VM_DATA_WRITE:
        take_back(world, pager, m);
        break;
    case VM_DATA_UNLOCK:
        pager->unlocks++;
        if (!pager->silent && pager->object != NULL) {
            pager->locks[m->offset / PAGE_BYTES] = 0;
            vm_data_lock(&world->core, pager->object, m->sequence, m->offset, m->length, 0, 0);
        }
        break;
    case VM_LOCK_COMPLETED:
        pager->completed++;
        break;
    case VM_TERMINATE:
        pager->terminated++;
        break;
    }
    return true;
}

void world_settle(struct world *world)
{
    while (world_step(world))
        ;
}

// --- Tasks -----------------------------------------------------------------------------------

static void fault_done(struct vm_core *core, struct vm_fault *fault, corvus_error_t error,
                       struct vm_page *page, uint64_t access)
{
    struct world_fault *f = fault->argument;
    struct world_translation *translation = &f->world->tables[f->map][f->page];

    (void)core;
    f->result = error;
    if (error != ERR_OK)
        return;
    if (translation->access != 0)
        note(f->world, translation);
    *translation = (struct world_translation){.frame = page->frame, .access = access};
}

void world_fault(struct world *world, struct world_fault *fault, unsigned map, unsigned page,
                 uint64_t access)
{
    *fault = (struct world_fault){
        .fault = {.map = world->maps[map],
                  .address = world_address(page),
                  .access = access,
                  .done = fault_done,
                  .argument = fault},
        .world = world,
        .map = map,
        .page = page,
        .result = ERR_COUNT,
    };
    vm_fault_start(&world->core, &fault->fault);
}

corvus_error_t world_touch(struct world *world, unsigned map, unsigned page, uint64_t access,
                           uint64_t *value)
{
    struct world_translation *translation = &world->tables[map][page];

    for (unsigned tries = 0; (translation->access & access) != access; tries++) {
        struct world_fault fault;
        if (tries == 100)
            abort(); // it never gets what it asks for
        world_fault(world, &fault, map, page, access);
        while (fault.result == ERR_COUNT && world_step(world))
            ;
        if (fault.result == ERR_COUNT) {
            vm_fault_cancel(&world->core, &fault.fault, ERR_TIMED_OUT);
            return ERR_TIMED_OUT;
        }
        if (fault.result != ERR_OK)
            return fault.result;
    }
    translation->accessed = true;
    if ((access & ACCESS_WRITE) != 0) {
        translation->written = true;
        world->frames[translation->frame][0] = *value;
    } else {
        *value = world->frames[translation->frame][0];
    }
    return ERR_OK;
}
