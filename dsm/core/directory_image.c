// SPDX-License-Identifier: BSD-2-Clause
// How a replica's contents, and changes, travel: structures one behind the other, as all nodes are
// of one architecture. What is read comes from other nodes, and is looked at before it is believed.
#include "dsm/core/directory_internal.h"

#include <stdlib.h>
#include <string.h>

struct image_head {
    uint64_t sequence, next_segment, next_cookie;
    uint32_t segments, names;
    struct directory_last last[DIRECTORY_NODES_MAX + 1];
};

struct image_segment {
    uint64_t number, size, modified, changed, version, generation;
    struct directory_nodes holders;
    uint32_t mode, uid, gid, padding;
};

struct image_name {
    uint64_t segment, cookie;
    uint64_t bytes; // of the name that follows
};

size_t image_segment_bytes(void)
{
    return sizeof(struct image_segment);
}

size_t image_name_bytes(size_t bytes)
{
    return sizeof(struct image_name) + bytes;
}

size_t image_empty_bytes(void)
{
    return sizeof(struct image_head);
}

// --- Writing ------------------------------------------------------------------------------------

static uint8_t *put(uint8_t *at, const void *bytes, size_t count)
{
    memcpy(at, bytes, count);
    return at + count;
}

size_t image_write(const struct directory_contents *contents, void *bytes)
{
    struct image_head head = {.sequence = contents->sequence,
                              .next_segment = contents->next_segment,
                              .next_cookie = contents->next_cookie};
    uint8_t *at = (uint8_t *)bytes + sizeof head;

    memcpy(head.last, contents->last, sizeof head.last);
    for (const struct directory_segment *one = contents->segments; one != NULL; one = one->next) {
        struct image_segment segment = {.number = one->number,
                                        .size = one->size,
                                        .modified = one->modified,
                                        .changed = one->changed,
                                        .version = one->version,
                                        .generation = one->generation,
                                        .holders = one->holders,
                                        .mode = one->mode,
                                        .uid = one->uid,
                                        .gid = one->gid};
        at = put(at, &segment, sizeof segment);
        head.segments++;
    }
    for (const struct directory_name *one = contents->names; one != NULL; one = one->next) {
        struct image_name name = {one->segment->number, one->cookie, one->bytes};
        at = put(put(at, &name, sizeof name), one->text, one->bytes);
        head.names++;
    }
    memcpy(bytes, &head, sizeof head);
    return (size_t)(at - (uint8_t *)bytes);
}

// --- Reading ------------------------------------------------------------------------------------

struct reader {
    const uint8_t *at;
    size_t left;
};

static bool take(struct reader *reader, void *bytes, size_t count)
{
    if (reader->left < count)
        return false;
    memcpy(bytes, reader->at, count);
    reader->at += count;
    reader->left -= count;
    return true;
}

static bool name_is_valid(const char *name, size_t bytes)
{
    return bytes >= 1 && bytes <= SEGMENT_NAME_MAX && memchr(name, 0, bytes) == NULL &&
           memchr(name, '/', bytes) == NULL;
}

static bool read_segment(struct directory_contents *contents, struct reader *reader)
{
    struct image_segment one;

    if (!take(reader, &one, sizeof one) || one.number == 0 ||
        one.number >= contents->next_segment || one.size > SEGMENT_SIZE_MAX ||
        one.mode > SEGMENT_MODE_MAX || contents_segment(contents, one.number) != NULL)
        return false;
    return contents_add_segment(contents, &(struct directory_segment){.number = one.number,
                                                                      .size = one.size,
                                                                      .modified = one.modified,
                                                                      .changed = one.changed,
                                                                      .version = one.version,
                                                                      .generation = one.generation,
                                                                      .holders = one.holders,
                                                                      .mode = one.mode,
                                                                      .uid = one.uid,
                                                                      .gid = one.gid});
}

static bool read_name(struct directory_contents *contents, struct reader *reader, uint64_t *cookie)
{
    struct directory_segment *segment;
    struct image_name one;
    char text[SEGMENT_NAME_MAX];

    if (!take(reader, &one, sizeof one) || one.bytes > sizeof text ||
        !take(reader, text, one.bytes) || !name_is_valid(text, one.bytes) ||
        one.cookie <= *cookie || one.cookie >= contents->next_cookie ||
        contents_find(contents, text, one.bytes) != NULL)
        return false;
    segment = contents_segment(contents, one.segment);
    if (segment == NULL || !contents_add_name(contents, segment, one.cookie, text, one.bytes))
        return false;
    segment->links++;
    *cookie = one.cookie;
    return true;
}

static bool read_all(struct directory_contents *contents, struct reader *reader)
{
    struct image_head head;
    uint64_t cookie = 0;

    if (!take(reader, &head, sizeof head))
        return false;
    contents->sequence = head.sequence;
    contents->next_segment = head.next_segment;
    contents->next_cookie = head.next_cookie;
    memcpy(contents->last, head.last, sizeof head.last);
    for (uint32_t i = 0; i < head.segments; i++)
        if (!read_segment(contents, reader))
            return false;
    for (uint32_t i = 0; i < head.names; i++)
        if (!read_name(contents, reader, &cookie))
            return false;
    return reader->left == 0;
}

bool image_read(struct directory_contents *contents, const void *bytes, size_t count)
{
    struct reader reader = {bytes, count};

    contents_open(contents);
    if (count <= DIRECTORY_IMAGE_MAX && read_all(contents, &reader))
        return true;
    contents_close(contents);
    return false;
}

// --- Changes -------------------------------------------------------------------------------------

#define CHANGE_HEAD offsetof(struct directory_change, name)

size_t change_write(const struct directory_change *change, void *bytes)
{
    uint8_t *at = put(bytes, change, CHANGE_HEAD);

    at = put(put(at, change->name, change->name_bytes), change->other, change->other_bytes);
    return (size_t)(at - (uint8_t *)bytes);
}

static bool names_are_valid(const struct directory_change *change)
{
    bool one = change->kind == DIRECTORY_CREATE || change->kind == DIRECTORY_LINK ||
               change->kind == DIRECTORY_UNLINK || change->kind == DIRECTORY_RENAME;
    bool two = change->kind == DIRECTORY_RENAME;

    return (one ? name_is_valid(change->name, change->name_bytes) : change->name_bytes == 0) &&
           (two ? name_is_valid(change->other, change->other_bytes) : change->other_bytes == 0);
}

bool change_is_valid(const struct directory_change *change)
{
    bool of_node = change->kind >= DIRECTORY_HOLD;

    return change->kind >= DIRECTORY_CREATE && change->kind < DIRECTORY_KINDS &&
           names_are_valid(change) && change->mode <= SEGMENT_MODE_MAX &&
           change->size <= SEGMENT_SIZE_MAX && change->which <= SEGMENT_SET_ALL &&
           change->flags <= SEGMENT_EXCHANGE &&
           (!of_node || (change->node >= 1 && change->node <= DIRECTORY_NODES_MAX));
}

bool change_read(struct directory_change *change, const void *bytes, size_t count)
{
    struct reader reader = {bytes, count};

    memset(change, 0, sizeof *change);
    return take(&reader, change, CHANGE_HEAD) && take(&reader, change->name, change->name_bytes) &&
           take(&reader, change->other, change->other_bytes) && reader.left == 0 &&
           change_is_valid(change);
}
