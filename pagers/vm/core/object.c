// SPDX-License-Identifier: BSD-2-Clause
// Memory objects: their life, and what is said to their pagers.
#include "private.h"

#include <stdlib.h>

struct vm_object *vm_object_create(struct vm_core *core, enum vm_object_kind kind, uint64_t limit)
{
    struct vm_object *object = calloc(1, sizeof *object);

    if (object == NULL)
        return NULL;
    object->kind = kind;
    object->limit = limit;
    object->has_pager = kind == VM_EXTERNAL;
    object->references = 1;
    object->next = core->objects;
    if (core->objects != NULL)
        core->objects->previous = object;
    core->objects = object;
    core->object_count++;
    return object;
}

void vm_object_hold(struct vm_object *object)
{
    object->references++;
}

void object_send(struct vm_core *core, struct vm_object *object, const struct vm_message *message)
{
    if (object->has_pager)
        core->environment->send(core->context, object, message);
}

bool object_pager(struct vm_core *core, struct vm_object *object)
{
    if (!object->has_pager && object->kind == VM_INTERNAL && object->refused == ERR_OK)
        object->has_pager = core->environment->create(core->context, object);
    return object->has_pager;
}

void request_over(struct vm_page *page)
{
    if (page->sequence == 0)
        return;
    page->sequence = 0;
    page->unlocking = false;
    page->object->pending--;
}

// --- The end -------------------------------------------------------------------------------------

// What the pager wants to have goes back; all pages are gone afterwards.
static void drop_pages(struct vm_core *core, struct vm_object *object)
{
    while (object->pages != NULL) {
        struct vm_page *page = object->pages;
        if (page->state == VM_RESIDENT) {
            page_restrict(core, page, ACCESS_ALL);
            if (object->kind == VM_EXTERNAL && object->has_pager &&
                (page->changed || page->precious)) {
                write_back(core, page, 0, false);
                continue;
            }
        }
        page_destroy(core, page);
    }
}

static void destroy(struct vm_core *core, struct vm_object *object)
{
    struct vm_message message = {.kind = VM_TERMINATE};
    struct vm_object *shadow = object->shadow;

    drop_pages(core, object);
    object_send(core, object, &message);
    core->environment->forget(core->context, object);
    *(object->previous != NULL ? &object->previous->next : &core->objects) = object->next;
    if (object->next != NULL)
        object->next->previous = object->previous;
    core->object_count--;
    if (shadow != NULL && shadow->copy == object)
        shadow->copy = NULL;
    free(object);
    if (shadow != NULL)
        vm_object_release(core, shadow);
}

// An object that is only there for its one copy: nobody can change it any more, so its pages become
// the copy's, and the chain is shorter.
static void collapse(struct vm_core *core, struct vm_object *object)
{
    struct vm_object *copy = object->copy;

    if (object->kind != VM_INTERNAL || object->has_pager || copy == NULL ||
        copy->shadow != object || object->references != 1)
        return;
    while (object->pages != NULL) {
        struct vm_page *page = object->pages;
        if (page_find(core, copy, page->index) == NULL)
            page_move(core, page, copy);
        else
            page_destroy(core, page);
    }
    // The reference to what lies below is the copy's now.
    copy->shadow = object->shadow;
    if (copy->shadow != NULL && copy->shadow->copy == object)
        copy->shadow->copy = copy;
    object->shadow = NULL;
    object->copy = NULL;
    object->references = 0;
    destroy(core, object);
}

void vm_object_release(struct vm_core *core, struct vm_object *object)
{
    if (--object->references == 1)
        collapse(core, object);
    else if (object->references == 0 && !(object->may_cache && object->refused == ERR_OK))
        destroy(core, object);
}

void vm_object_uncache(struct vm_core *core, struct vm_object *object)
{
    if (object->references == 0)
        destroy(core, object);
}
