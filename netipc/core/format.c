// SPDX-License-Identifier: BSD-2-Clause
// The bytes of messages and control records. Whatever comes from outside is
// judged here: what wire_read and control_read let through has counts, kinds and
// lengths that are possible.
#include "netipc/core/internal.h"

#include <string.h>

static size_t head_bytes(enum segment_kind kind, const struct wire_head *head)
{
    if (kind == SEGMENT_ANSWER)
        return 4 + 4 + 4 + 4;
    return 4 + 4 + 4 + 4 + 4 + 4 + (head->call != 0 ? 4 * MESSAGE_ITEMS : 0);
}

size_t wire_bytes(enum segment_kind kind, const struct wire_head *head,
                  const struct core_bytes *items)
{
    size_t bytes = head_bytes(kind, head) + 8u * head->words + WIRE_RIGHT_BYTES * head->rights +
                   4u * head->items;

    for (unsigned i = 0; i < head->items; i++)
        bytes += items[i].bytes;
    return bytes;
}

static void write_head(struct builder *builder, enum segment_kind kind,
                       const struct wire_head *head)
{
    builder_put32(builder, head->generation);
    if (kind == SEGMENT_REQUEST) {
        builder_put32(builder, head->serial);
        builder_put32(builder, head->call);
        builder_put32(builder, head->call_generation);
    } else {
        builder_put32(builder, head->accepted);
    }
    builder_put32(builder, head->id);
    builder_put8(builder, head->words);
    builder_put8(builder, head->rights);
    builder_put8(builder, head->items);
    builder_put8(builder, kind == SEGMENT_REQUEST ? head->flags : head->error);
    if (head->call != 0)
        for (unsigned i = 0; i < MESSAGE_ITEMS; i++)
            builder_put32(builder, head->room[i]);
}

_Static_assert(CORE_NODES_MAX <= 1u << 16, "a node's number is told in 16 bits");

static void write_right(struct builder *builder, const struct wire_right *right)
{
    builder_put32(builder, right->kind | right->home << 16);
    builder_put32(builder, right->number);
    builder_put32(builder, right->generation);
    builder_put32(builder, right->serial);
    builder_put64(builder, right->incarnation);
}

void wire_write(struct builder *builder, enum segment_kind kind, const struct wire_head *head,
                const uint64_t *words, const struct wire_right *rights,
                const struct core_bytes *items)
{
    write_head(builder, kind, head);
    builder_put(builder, words, 8u * head->words);
    for (unsigned i = 0; i < head->rights; i++)
        write_right(builder, &rights[i]);
    for (unsigned i = 0; i < head->items; i++)
        builder_put32(builder, (uint32_t)items[i].bytes);
    for (unsigned i = 0; i < head->items; i++)
        builder_put(builder, items[i].data, items[i].bytes);
}

// --- Reading -------------------------------------------------------------------------

static bool read_head(struct reader *reader, enum segment_kind kind, struct wire_head *head)
{
    *head = (struct wire_head){.generation = reader_get32(reader)};
    if (kind == SEGMENT_REQUEST) {
        head->serial = reader_get32(reader);
        head->call = reader_get32(reader);
        head->call_generation = reader_get32(reader);
    } else {
        head->accepted = reader_get32(reader);
    }
    head->id = reader_get32(reader);
    head->words = reader_get8(reader);
    head->rights = reader_get8(reader);
    head->items = reader_get8(reader);
    uint8_t last = reader_get8(reader);
    if (kind == SEGMENT_REQUEST)
        head->flags = last;
    else
        head->error = last;
    if (head->call != 0)
        for (unsigned i = 0; i < MESSAGE_ITEMS; i++)
            head->room[i] = reader_get32(reader);
    return !reader->bad && head->words <= MESSAGE_WORDS && head->rights <= MESSAGE_RIGHTS &&
           head->items <= MESSAGE_ITEMS && (head->flags & ~WIRE_ACCEPT_NOW) == 0 &&
           head->error < ERR_COUNT && head->call <= CORE_CALLS_MAX;
}

static bool read_right(struct reader *reader, struct wire_right *right)
{
    uint32_t word = reader_get32(reader), kind = word & 0xffffu;

    right->kind = (uint8_t)kind;
    right->home = word >> 16;
    right->number = reader_get32(reader);
    right->generation = reader_get32(reader);
    right->serial = reader_get32(reader);
    right->incarnation = reader_get64(reader);
    return !reader->bad && kind <= CORE_SEND_ONCE &&
           (kind != CORE_SEND || (right->home != 0 && right->home < CORE_NODES_MAX));
}

static bool read_items(struct reader *reader, struct wire_message *message)
{
    size_t total = 0;

    for (unsigned i = 0; i < message->head.items; i++) {
        message->items[i].bytes = reader_get32(reader);
        total += message->items[i].bytes;
    }
    if (reader->bad || total > CORE_COPY_MAX)
        return false;
    for (unsigned i = 0; i < message->head.items; i++)
        message->items[i].data = reader_get(reader, message->items[i].bytes);
    return true;
}

bool wire_read(enum segment_kind kind, const void *bytes, size_t count,
               struct wire_message *message)
{
    struct reader reader = {.at = bytes, .end = (const uint8_t *)bytes + count};

    if (!read_head(&reader, kind, &message->head))
        return false;
    const void *words = reader_get(&reader, 8u * message->head.words);
    if (words == NULL)
        return false;
    memcpy(message->words, words, 8u * message->head.words);
    for (unsigned i = 0; i < message->head.rights; i++)
        if (!read_right(&reader, &message->rights[i]))
            return false;
    return read_items(&reader, message) && !reader.bad && reader.at == reader.end;
}

// --- Control records -------------------------------------------------------------------

void control_write(uint8_t bytes[CONTROL_BYTES], const struct control *control)
{
    memset(bytes, 0, CONTROL_BYTES);
    bytes[0] = control->kind;
    memcpy(bytes + 4, &control->number, 4);
    memcpy(bytes + 8, &control->generation, 4);
    memcpy(bytes + 12, &control->value, 4);
    memcpy(bytes + 16, &control->home, 4);
    memcpy(bytes + 20, &control->serial, 4);
}

bool control_read(const uint8_t bytes[CONTROL_BYTES], struct control *control)
{
    control->kind = bytes[0];
    memcpy(&control->number, bytes + 4, 4);
    memcpy(&control->generation, bytes + 8, 4);
    memcpy(&control->value, bytes + 12, 4);
    memcpy(&control->home, bytes + 16, 4);
    memcpy(&control->serial, bytes + 20, 4);
    return control->kind >= CONTROL_PING && control->kind < CONTROL_KINDS && bytes[1] == 0 &&
           bytes[2] == 0 && bytes[3] == 0;
}
