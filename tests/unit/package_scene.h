// SPDX-License-Identifier: BSD-2-Clause
// A state package in which there is one at least of everything, for the test and the fuzz target.
#pragma once

#include "linuxserver/migration/package.h"

#include <stdlib.h>
#include <string.h>

static const size_t package_scene_counts[PACKAGE_SECTIONS] = {
    [PACKAGE_SECTION_process] = 1,   [PACKAGE_SECTION_threads] = 3, [PACKAGE_SECTION_vectors] = 3,
    [PACKAGE_SECTION_handlers] = 64, [PACKAGE_SECTION_limits] = 16, [PACKAGE_SECTION_signals] = 2,
    [PACKAGE_SECTION_timers] = 2,    [PACKAGE_SECTION_groups] = 2,  [PACKAGE_SECTION_vmas] = 4,
    [PACKAGE_SECTION_pages] = 2,     [PACKAGE_SECTION_text] = 13,
};

static inline void package_scene_threads(const struct package_room *records)
{
    static const uint32_t tids[] = {700, 650, 900};

    for (unsigned i = 0; i < 3; i++) {
        struct package_thread *thread = &records->threads[i];

        thread->tid = tids[i];
        thread->call = -1;
        thread->rip = 0x401000;
        thread->credentials = (struct package_credentials){.groups = 2, .bounding = 1};
        strcpy(thread->comm, "scene");
        memcpy(records->vectors[i].bytes + 24, &(uint32_t){0x1f80}, 4);
        records->vectors[i].bytes[512] = 7;
    }
    records->threads[1].restart = PACKAGE_RESTART_POLL;
    records->threads[1].restart_word[0] = 3;
    records->threads[2].policy = 1;
    records->threads[2].priority = 50;
}

static inline void package_scene_memory(const struct package_room *records)
{
    static const struct package_vma vmas[] = {
        {.start = 0x400000,
         .end = 0x402000,
         .kind = PACKAGE_FILE,
         .flags = PACKAGE_READ,
         .name = 1},
        {.start = 0x500000, .end = 0x503000, .kind = PACKAGE_ANONYMOUS, .flags = PACKAGE_WRITE},
        {.start = 0x503000, .end = 0x504000, .kind = PACKAGE_SEGMENT, .name = 1},
        {.start = 0x7ffffffde000, .end = PACKAGE_ADDRESS_END, .kind = PACKAGE_STACK},
    };

    memcpy(records->vmas, vmas, sizeof vmas);
    records->pages[0].address = 0x401000;
    records->pages[1].address = 0x502000;
    memcpy(records->text, "\0/bin/scene\0", 13);
}

// To be freed. Not yet sealed.
static inline void *package_scene(struct package_room *records)
{
    void *room = malloc(package_bytes(package_scene_counts));

    if (room == NULL)
        abort();
    package_lay_out(records, room, package_scene_counts);
    records->process->tgid = 700;
    records->process->name = 1;
    records->process->features[0] = 0xf0;
    records->process->xcr0 = 7;
    package_scene_threads(records);
    package_scene_memory(records);
    records->signals[0] = (struct package_signal){.thread = 1, .number = 34, .info = {34}};
    records->signals[1] =
        (struct package_signal){.thread = PACKAGE_SHARED, .number = 2, .info = {2}};
    records->timers[0] = (struct package_timer){.number = 4, .signal = 14};
    records->timers[1] = (struct package_timer){
        .number = 9, .signal = 34, .notify = PACKAGE_NOTIFY_THREAD, .thread = 900};
    records->groups[1].gid = 100;
    return room;
}
