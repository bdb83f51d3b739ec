// SPDX-License-Identifier: BSD-2-Clause
// What a replica holds, and what each change does to it. All of this must come out the same on
// every node: it depends on nothing but the contents and the change.
#include "dsm/core/directory_internal.h"

#include <stdlib.h>
#include <string.h>

void contents_open(struct directory_contents *contents)
{
    *contents = (struct directory_contents){
        .next_segment = 1, .next_cookie = 1, .image_bytes = image_empty_bytes()};
    contents->last_name = &contents->names;
}

void contents_close(struct directory_contents *contents)
{
    while (contents->segments != NULL) {
        struct directory_segment *segment = contents->segments;
        contents->segments = segment->next;
        free(segment);
    }
    while (contents->names != NULL) {
        struct directory_name *name = contents->names;
        contents->names = name->next;
        free(name);
    }
    contents_open(contents);
}

struct directory_segment *contents_segment(const struct directory_contents *contents,
                                           uint64_t number)
{
    struct directory_segment *segment = contents->segments;

    while (segment != NULL && segment->number != number)
        segment = segment->next;
    return segment;
}

struct directory_name *contents_find(const struct directory_contents *contents, const char *name,
                                     size_t bytes)
{
    struct directory_name *entry = contents->names;

    while (entry != NULL && (entry->bytes != bytes || memcmp(entry->text, name, bytes) != 0))
        entry = entry->next;
    return entry;
}

bool contents_add_segment(struct directory_contents *contents,
                          const struct directory_segment *segment)
{
    struct directory_segment *copy = malloc(sizeof *copy);

    if (copy == NULL)
        return false;
    *copy = *segment;
    copy->next = contents->segments;
    contents->segments = copy;
    contents->image_bytes += image_segment_bytes();
    return true;
}

static struct directory_name *make_name(struct directory_segment *segment, uint64_t cookie,
                                        const char *name, size_t bytes)
{
    struct directory_name *entry = malloc(sizeof *entry + bytes);

    if (entry == NULL)
        return NULL;
    entry->next = NULL;
    entry->segment = segment;
    entry->cookie = cookie;
    entry->bytes = (uint32_t)bytes;
    memcpy(entry->text, name, bytes);
    return entry;
}

bool contents_add_name(struct directory_contents *contents, struct directory_segment *segment,
                       uint64_t cookie, const char *name, size_t bytes)
{
    struct directory_name *entry = make_name(segment, cookie, name, bytes);

    if (entry == NULL)
        return false;
    *contents->last_name = entry;
    contents->last_name = &entry->next;
    contents->image_bytes += image_name_bytes(bytes);
    return true;
}

// --- Parts of changes ----------------------------------------------------------------------------

static void must(bool made)
{
    if (!made)
        abort();
}

static bool has_room(const struct directory_contents *contents, size_t bytes)
{
    return contents->image_bytes + bytes <= DIRECTORY_IMAGE_MAX;
}

static bool is_held(const struct directory_segment *segment)
{
    const uint64_t *bits = segment->holders.bits;

    return (bits[0] | bits[1] | bits[2] | bits[3]) != 0;
}

static void end_if_unused(struct directory_contents *contents, struct directory_segment *segment)
{
    struct directory_segment **place = &contents->segments;

    if (segment->links != 0 || is_held(segment))
        return;
    while (*place != segment)
        place = &(*place)->next;
    *place = segment->next;
    contents->image_bytes -= image_segment_bytes();
    free(segment);
}

static void touch(struct directory_segment *segment, const struct directory_change *change)
{
    segment->changed = change->time;
    segment->version++;
}

static void remove_name(struct directory_contents *contents, struct directory_name *name)
{
    struct directory_name **place = &contents->names;

    while (*place != name)
        place = &(*place)->next;
    *place = name->next;
    if (contents->last_name == &name->next)
        contents->last_name = place;
    contents->image_bytes -= image_name_bytes(name->bytes);
    free(name);
}

// Gives an entry another text; its place and cookie stay.
static void replace_name(struct directory_contents *contents, struct directory_name *name,
                         const char *text, size_t bytes)
{
    struct directory_name **place = &contents->names;
    struct directory_name *entry = make_name(name->segment, name->cookie, text, bytes);

    must(entry != NULL);
    while (*place != name)
        place = &(*place)->next;
    entry->next = name->next;
    *place = entry;
    if (contents->last_name == &name->next)
        contents->last_name = &entry->next;
    contents->image_bytes += image_name_bytes(bytes) - image_name_bytes(name->bytes);
    free(name);
}

// --- The changes ---------------------------------------------------------------------------------

static corvus_error_t make_create(struct directory_contents *contents,
                                  const struct directory_change *change, uint64_t *number)
{
    struct directory_segment segment = {
        .mode = change->mode,
        .uid = change->uid,
        .gid = change->gid,
        .links = 1,
        .modified = change->time,
        .changed = change->time,
    };

    if (contents_find(contents, change->name, change->name_bytes) != NULL)
        return ERR_IN_USE;
    if (!has_room(contents, image_segment_bytes() + image_name_bytes(change->name_bytes)))
        return ERR_NO_MEMORY;
    *number = segment.number = contents->next_segment++;
    must(contents_add_segment(contents, &segment));
    must(contents_add_name(contents, contents->segments, contents->next_cookie++, change->name,
                           change->name_bytes));
    return ERR_OK;
}

static corvus_error_t make_link(struct directory_contents *contents,
                                const struct directory_change *change)
{
    struct directory_segment *segment = contents_segment(contents, change->segment);

    if (segment == NULL || segment->links == 0)
        return ERR_NOT_FOUND;
    if (contents_find(contents, change->name, change->name_bytes) != NULL)
        return ERR_IN_USE;
    if (!has_room(contents, image_name_bytes(change->name_bytes)))
        return ERR_NO_MEMORY;
    must(contents_add_name(contents, segment, contents->next_cookie++, change->name,
                           change->name_bytes));
    segment->links++;
    touch(segment, change);
    return ERR_OK;
}

static void unlink_name(struct directory_contents *contents, struct directory_name *name,
                        const struct directory_change *change)
{
    struct directory_segment *segment = name->segment;

    remove_name(contents, name);
    segment->links--;
    touch(segment, change);
    end_if_unused(contents, segment);
}

static corvus_error_t make_unlink(struct directory_contents *contents,
                                  const struct directory_change *change, uint64_t *number)
{
    struct directory_name *name = contents_find(contents, change->name, change->name_bytes);

    if (name == NULL)
        return ERR_NOT_FOUND;
    *number = name->segment->number;
    unlink_name(contents, name, change);
    return ERR_OK;
}

static corvus_error_t make_rename(struct directory_contents *contents,
                                  const struct directory_change *change, uint64_t *number)
{
    struct directory_name *name = contents_find(contents, change->name, change->name_bytes);
    struct directory_name *other = contents_find(contents, change->other, change->other_bytes);

    if (name == NULL || (change->flags == SEGMENT_EXCHANGE && other == NULL))
        return ERR_NOT_FOUND;
    if (change->flags == SEGMENT_NO_REPLACE && other != NULL)
        return ERR_IN_USE;
    *number = name->segment->number;
    if (change->flags == SEGMENT_EXCHANGE) {
        struct directory_segment *segment = name->segment;
        name->segment = other->segment;
        other->segment = segment;
        touch(segment, change);
        touch(name->segment, change);
        return ERR_OK;
    }
    if (other != NULL && other->segment == name->segment)
        return ERR_OK;
    if (other == NULL && change->other_bytes > change->name_bytes &&
        !has_room(contents, (size_t)change->other_bytes - change->name_bytes))
        return ERR_NO_MEMORY;
    touch(name->segment, change);
    if (other != NULL)
        unlink_name(contents, other, change);
    replace_name(contents, name, change->other, change->other_bytes);
    return ERR_OK;
}

static corvus_error_t make_set(struct directory_contents *contents,
                               const struct directory_change *change)
{
    struct directory_segment *segment = contents_segment(contents, change->segment);

    if (segment == NULL)
        return ERR_NOT_FOUND;
    if (change->which & SEGMENT_SET_MODE)
        segment->mode = change->mode;
    if (change->which & SEGMENT_SET_UID)
        segment->uid = change->uid;
    if (change->which & SEGMENT_SET_GID)
        segment->gid = change->gid;
    if (change->which & SEGMENT_SET_SIZE) {
        segment->generation += change->size < segment->size;
        segment->size = change->size;
        segment->modified = change->time;
    }
    if (change->which & SEGMENT_SET_TIMES)
        segment->modified = change->modified;
    touch(segment, change);
    return ERR_OK;
}

static corvus_error_t make_hold(struct directory_contents *contents,
                                const struct directory_change *change)
{
    struct directory_segment *segment = contents_segment(contents, change->segment);

    if (segment == NULL)
        return ERR_NOT_FOUND;
    if (change->kind == DIRECTORY_HOLD) {
        directory_add_node(&segment->holders, change->node);
        return ERR_OK;
    }
    directory_remove_node(&segment->holders, change->node);
    end_if_unused(contents, segment);
    return ERR_OK;
}

static corvus_error_t make_gone(struct directory_contents *contents,
                                const struct directory_change *change)
{
    struct directory_segment *next;

    for (struct directory_segment *segment = contents->segments; segment != NULL; segment = next) {
        next = segment->next;
        directory_remove_node(&segment->holders, change->node);
        end_if_unused(contents, segment);
    }
    return ERR_OK;
}

corvus_error_t contents_make(struct directory_contents *contents,
                             const struct directory_change *change, uint64_t *segment)
{
    *segment = change->segment;
    switch (change->kind) {
    case DIRECTORY_CREATE:
        return make_create(contents, change, segment);
    case DIRECTORY_LINK:
        return make_link(contents, change);
    case DIRECTORY_UNLINK:
        return make_unlink(contents, change, segment);
    case DIRECTORY_RENAME:
        return make_rename(contents, change, segment);
    case DIRECTORY_SET:
        return make_set(contents, change);
    case DIRECTORY_HOLD:
    case DIRECTORY_DROP:
        return make_hold(contents, change);
    default:
        return make_gone(contents, change);
    }
}
