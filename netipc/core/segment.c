// SPDX-License-Identifier: BSD-2-Clause
// Segments: their memory, and the two ways of reading and writing bytes.
#include "netipc/core/internal.h"

#include <string.h>

struct segment *segment_allocate(struct core *core, uint32_t body_room)
{
    uint32_t bytes = (uint32_t)sizeof(struct segment) + body_room + SECURE_OVERHEAD_BYTES;
    struct segment *segment = OPERATION(core, allocate, bytes);

    if (segment == NULL) {
        core->counters.no_memory++;
        return NULL;
    }
    *segment = (struct segment){.allocated = bytes, .room = body_room};
    return segment;
}

void segment_free(struct core *core, struct segment *segment)
{
    OPERATION(core, release, segment, segment->allocated);
}

void segment_list_free(struct core *core, struct segment_list *list)
{
    while (list->first != NULL) {
        struct segment *segment = list->first;
        list->first = segment->next;
        segment_free(core, segment);
    }
    list->last = NULL;
}

static void list_append(struct segment_list *list, struct segment *segment)
{
    if (list->last != NULL)
        list->last->next = segment;
    else
        list->first = segment;
    list->last = segment;
}

// --- Writing -------------------------------------------------------------------------

static uint8_t *body_of(struct segment *segment)
{
    return segment->bytes + SECURE_HEADER_BYTES;
}

static void put_head(struct segment *segment, enum segment_kind kind, uint8_t flags,
                     uint32_t stream)
{
    uint8_t head[SEGMENT_HEAD] = {(uint8_t)kind,
                                  flags,
                                  0,
                                  0,
                                  (uint8_t)stream,
                                  (uint8_t)(stream >> 8),
                                  (uint8_t)(stream >> 16),
                                  (uint8_t)(stream >> 24)};

    memcpy(body_of(segment), head, sizeof head);
    segment->body = SEGMENT_HEAD;
}

bool builder_begin(struct core *core, struct builder *builder, enum segment_kind kind,
                   uint32_t stream, size_t bytes)
{
    size_t left = bytes + 4; // the length goes before

    *builder = (struct builder){0};
    do {
        uint32_t payload = left < PAYLOAD_MAX ? (uint32_t)left : PAYLOAD_MAX;
        struct segment *segment = segment_allocate(core, SEGMENT_HEAD + payload);
        if (segment == NULL) {
            segment_list_free(core, &builder->segments);
            return false;
        }
        left -= payload;
        uint8_t flags = (uint8_t)((builder->segments.first == NULL ? SEGMENT_FIRST : 0) |
                                  (left == 0 ? SEGMENT_LAST : 0));
        put_head(segment, kind, flags, stream);
        list_append(&builder->segments, segment);
    } while (left != 0);
    builder->at = builder->segments.first;
    builder_put32(builder, (uint32_t)bytes);
    return true;
}

void builder_put(struct builder *builder, const void *data, size_t bytes)
{
    const uint8_t *from = data;

    while (bytes != 0) {
        struct segment *segment = builder->at;
        size_t piece = segment->room - segment->body;

        if (piece == 0) {
            builder->at = segment->next;
            continue;
        }
        if (piece > bytes)
            piece = bytes;
        memcpy(body_of(segment) + segment->body, from, piece);
        segment->body += (uint32_t)piece;
        from += piece;
        bytes -= piece;
    }
}

void builder_put8(struct builder *builder, uint8_t value)
{
    builder_put(builder, &value, 1);
}

// Little-endian, as is every machine that this runs on.
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "bytes are written as they lie");

void builder_put32(struct builder *builder, uint32_t value)
{
    builder_put(builder, &value, sizeof value);
}

void builder_put64(struct builder *builder, uint64_t value)
{
    builder_put(builder, &value, sizeof value);
}

// --- Reading -------------------------------------------------------------------------

const void *reader_get(struct reader *reader, size_t bytes)
{
    const void *at = reader->at;

    if (reader->bad || (size_t)(reader->end - reader->at) < bytes) {
        reader->bad = true;
        return NULL;
    }
    reader->at += bytes;
    return at;
}

static uint64_t get_number(struct reader *reader, size_t bytes)
{
    const void *at = reader_get(reader, bytes);
    uint64_t value = 0;

    if (at != NULL)
        memcpy(&value, at, bytes);
    return value;
}

uint8_t reader_get8(struct reader *reader)
{
    return (uint8_t)get_number(reader, 1);
}

uint32_t reader_get32(struct reader *reader)
{
    return (uint32_t)get_number(reader, 4);
}

uint64_t reader_get64(struct reader *reader)
{
    return get_number(reader, 8);
}
