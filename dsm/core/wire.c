// SPDX-License-Identifier: BSD-2-Clause
#include "dsm/core/wire.h"

#include "netipc/core/bytes.h"

void wire_put_header(uint8_t *out, const struct wire_header *header)
{
    store_u32(out, WIRE_MAGIC);
    store_u32(out + 4, header->node);
    store_u64(out + 8, header->life);
    store_u64(out + 16, header->view);
}

bool wire_get_header(const uint8_t *in, size_t bytes, struct wire_header *header)
{
    if (bytes < WIRE_HEADER_BYTES || load_u32(in) != WIRE_MAGIC)
        return false;
    header->node = load_u32(in + 4);
    header->life = load_u64(in + 8);
    header->view = load_u64(in + 16);
    return true;
}

void wire_put_record(uint8_t *out, const struct wire_record *record)
{
    out[0] = record->kind;
    out[1] = record->flags;
    store_u16(out + 2, record->node);
    store_u32(out + 4, record->extra);
    store_u64(out + 8, record->segment);
    store_u64(out + 16, record->generation);
    store_u64(out + 24, record->page);
    store_u64(out + 32, record->txn);
    store_u64(out + 40, record->version);
    store_u64(out + 48, record->serial);
}

bool wire_get_record(const uint8_t **in, size_t *left, struct wire_record *record,
                     const uint8_t **extra)
{
    const uint8_t *from = *in;

    if (*left < WIRE_RECORD_BYTES)
        return false;
    *record = (struct wire_record){
        .kind = from[0],
        .flags = from[1],
        .node = load_u16(from + 2),
        .extra = load_u32(from + 4),
        .segment = load_u64(from + 8),
        .generation = load_u64(from + 16),
        .page = load_u64(from + 24),
        .txn = load_u64(from + 32),
        .version = load_u64(from + 40),
        .serial = load_u64(from + 48),
    };
    if (record->kind == 0 || record->kind >= WIRE_KINDS ||
        record->extra > *left - WIRE_RECORD_BYTES)
        return false;
    *extra = from + WIRE_RECORD_BYTES;
    *in = *extra + record->extra;
    *left -= WIRE_RECORD_BYTES + record->extra;
    return true;
}

void wire_put_held(uint8_t *out, const struct wire_held *held)
{
    out[0] = held->flags;
    out[1] = held->node;
    store_u16(out + 2, 0);
    store_u32(out + 4, held->granted);
    store_u64(out + 8, held->segment);
    store_u64(out + 16, held->page);
    store_u64(out + 24, held->version);
    store_u64(out + 32, held->generation);
}

void wire_get_held(const uint8_t *in, struct wire_held *held)
{
    *held = (struct wire_held){
        .flags = in[0],
        .node = in[1],
        .granted = load_u32(in + 4),
        .segment = load_u64(in + 8),
        .page = load_u64(in + 16),
        .version = load_u64(in + 24),
        .generation = load_u64(in + 32),
    };
}
