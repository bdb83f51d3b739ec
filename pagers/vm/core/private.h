// SPDX-License-Identifier: BSD-2-Clause
// What the files of the core share. See vm.h.
#pragma once

#include "vm.h"

// Open requests that one object may have.
#define OBJECT_PENDING_MAX 1024u

static inline uint64_t page_index(uint64_t offset)
{
    return offset / PAGE_BYTES;
}

// --- frame.c

// `frames` at most, none yet. False: no memory.
bool frames_open(struct vm_core *core, uint32_t frames);
void frames_close(struct vm_core *core);
// A free frame. VM_FRAME_NONE: there is none.
uint32_t frame_take(struct vm_core *core);
// Nothing uses it. Who waits for memory is tried again.
void frame_put(struct vm_core *core, uint32_t frame);
// Gets more from the environment, as far as it may and there is need; not before `grow_after`.
void frames_grow(struct vm_core *core);
static inline bool frames_may_grow(const struct vm_core *core)
{
    return core->present_count < core->frame_count;
}

// --- page.c

struct vm_page *page_find(const struct vm_core *core, const struct vm_object *object,
                          uint64_t index);
// A page with a frame. NULL: there is no frame, or no memory.
struct vm_page *page_create(struct vm_core *core, struct vm_object *object, uint64_t index,
                            enum vm_page_state state);
// Takes the frame away; it is free when no message sends it.
void page_drop_frame(struct vm_core *core, struct vm_page *page);
// Who waits for it is tried again; the page is no more.
void page_destroy(struct vm_core *core, struct vm_page *page);
// To another object that has none of that index.
void page_move(struct vm_core *core, struct vm_page *page, struct vm_object *object);
void page_to_end(struct vm_core *core, struct vm_page *page);
void page_unqueue(struct vm_core *core, struct vm_page *page);
void *page_bytes(struct vm_core *core, const struct vm_page *page);
// Takes access away from all mappings, and notes whether it was written to.
void page_restrict(struct vm_core *core, struct vm_page *page, uint64_t access);
// All who wait for the page are tried again; with an error they end.
void page_wake(struct vm_core *core, struct vm_page *page, corvus_error_t error);

// --- evict.c

// Makes room when there is little. Whoever waits for memory is tried when there is some.
void evict(struct vm_core *core);
// Sends the page back. Not kept: the page is gone afterwards, or an internal one is VM_PAGED.
void write_back(struct vm_core *core, struct vm_page *page, uint64_t sequence, bool kept);

// --- fault.c

void fault_wake(struct vm_core *core, struct vm_fault *fault, corvus_error_t error);
void fault_wake_for_memory(struct vm_core *core);
// Ends all faults of a map.
void faults_cancel(struct vm_core *core, const struct vm_map *map, corvus_error_t error);
// Tries all faults that are to be tried: at the end of each entry into the core.
void run(struct vm_core *core);

// --- object.c

void object_send(struct vm_core *core, struct vm_object *object, const struct vm_message *message);
bool object_pager(struct vm_core *core, struct vm_object *object);
// The page's request is over.
void request_over(struct vm_page *page);
