// SPDX-License-Identifier: BSD-2-Clause
// Virtual I/O Device 1.1, section 5.2.6, from the device's side.
#include "model_block.h"

#include <string.h>

struct header {
    uint32_t operation, reserved;
    uint64_t sector;
};

struct range {
    uint64_t sector;
    uint32_t sectors, flags;
};

#define READ     0u
#define WRITE    1u
#define FLUSH    4u
#define IDENTIFY 8u
#define DISCARD  11u
#define ZEROES   13u

static const char serial[20] = "model of a disk";

void block_model_set32(struct block_model *block, unsigned offset, uint32_t value)
{
    memcpy(block->model.config + offset, &value, sizeof value);
}

static void was_notified(struct model *model, unsigned queue)
{
    struct block_model *block = model->context;

    MODEL_CHECK(queue == 0);
    block->waiting = true;
}

static void was_reset(struct model *model)
{
    struct block_model *block = model->context;

    while (block->held_count > 0)
        free(block->held[--block->held_count]);
    block->waiting = false;
}

void block_model_initialize(struct block_model *block, enum model_kind kind, uint64_t features,
                            uint16_t queue_size)
{
    uint64_t sectors = BLOCK_SECTORS;

    memset(block, 0, sizeof *block);
    model_initialize(&block->model, kind, VIRTIO_TYPE_BLOCK, features, 1, queue_size);
    block->model.context = block;
    block->model.notified = was_notified;
    block->model.was_reset = was_reset;
    block->bad_sector = UINT64_MAX;
    memcpy(block->model.config, &sectors, sizeof sectors);
    block_model_set32(block, 12, queue_size - 2u);
    block_model_set32(block, 20, 512);
    block->model.config[24] = 3;
    block_model_set32(block, 28, 256);
    block_model_set32(block, 36, 128);
    block_model_set32(block, 44, 8);
    block_model_set32(block, 48, 64);
    block->model.config[56] = 1;
}

void block_model_destroy(struct block_model *block)
{
    was_reset(&block->model);
    model_destroy(&block->model);
}

void block_model_look(struct block_model *block)
{
    while (block->waiting) {
        MODEL_CHECK(block->held_count < BLOCK_HELD_MAX);
        struct model_chain *chain = malloc(sizeof *chain);
        MODEL_CHECK(chain != NULL);
        if (!model_pop_or_wait(&block->model, 0, chain)) {
            block->waiting = false;
            free(chain);
            return;
        }
        block->held[block->held_count++] = chain;
    }
}

// Where a request's data is on the disk; NULL when part of it is not there, or bad.
static uint8_t *place(struct block_model *block, uint64_t sector, uint64_t bytes)
{
    MODEL_CHECK(bytes % 512 == 0 && bytes != 0);
    MODEL_CHECK(sector <= BLOCK_SECTORS && bytes / 512 <= BLOCK_SECTORS - sector);
    if (block->bad_sector >= sector && block->bad_sector - sector < bytes / 512)
        return NULL;
    return block->disk + sector * 512;
}

static uint8_t serve_range(struct block_model *block, const struct model_chain *chain, bool zeroes)
{
    struct range range;

    MODEL_CHECK(chain->readable_bytes == 16 + sizeof range && chain->writable_bytes == 1);
    model_read_chain(&block->model, chain, 16, &range, sizeof range);
    MODEL_CHECK(range.flags <= zeroes);
    uint8_t *at = place(block, range.sector, range.sectors * 512ull);
    if (at == NULL)
        return 1;
    memset(at, zeroes ? 0 : 0xdd, range.sectors * 512ull);
    block->discards++;
    return 0;
}

static uint8_t serve_data(struct block_model *block, const struct model_chain *chain,
                          const struct header *header)
{
    size_t in = chain->writable_bytes - 1, out = chain->readable_bytes - sizeof *header;

    if (header->operation == READ) {
        MODEL_CHECK(out == 0);
        const uint8_t *at = place(block, header->sector, in);
        if (at == NULL)
            return 1;
        model_write_chain(&block->model, chain, 0, at, in);
        return 0;
    }
    MODEL_CHECK(in == 0 && !(block->model.accepted & BLOCK_F_READ_ONLY));
    uint8_t *at = place(block, header->sector, out);
    if (at == NULL)
        return 1;
    model_read_chain(&block->model, chain, sizeof *header, at, out);
    return 0;
}

static uint8_t serve_chain(struct block_model *block, const struct model_chain *chain)
{
    uint64_t accepted = block->model.accepted;
    struct header header;

    MODEL_CHECK(chain->writable_bytes >= 1 && chain->readable_bytes >= sizeof header);
    model_read_chain(&block->model, chain, 0, &header, sizeof header);
    MODEL_CHECK(header.reserved == 0);
    switch (header.operation) {
    case READ:
    case WRITE:
        return serve_data(block, chain, &header);
    case FLUSH:
        MODEL_CHECK((accepted & BLOCK_F_FLUSH) && header.sector == 0);
        MODEL_CHECK(chain->readable_bytes == 16 && chain->writable_bytes == 1);
        block->flushes++;
        return 0;
    case IDENTIFY:
        MODEL_CHECK(chain->writable_bytes == sizeof serial + 1);
        model_write_chain(&block->model, chain, 0, serial, sizeof serial);
        return 0;
    case DISCARD:
        MODEL_CHECK(accepted & BLOCK_F_DISCARD);
        return serve_range(block, chain, false);
    case ZEROES:
        MODEL_CHECK(accepted & BLOCK_F_WRITE_ZEROES);
        return serve_range(block, chain, true);
    default:
        return 2;
    }
}

bool block_model_serve(struct block_model *block, unsigned which)
{
    if (which >= block->held_count)
        return false;
    struct model_chain *chain = block->held[which];
    uint8_t status = serve_chain(block, chain);
    uint32_t bytes = (uint32_t)chain->writable_bytes;
    if (block->status_override != 0)
        status = block->status_override;
    if (!block->no_status)
        model_write_chain(&block->model, chain, chain->writable_bytes - 1, &status, 1);
    model_push(&block->model, 0, chain->head, block->short_reads ? bytes - 1 : bytes);
    free(chain);
    block->held_count--;
    for (unsigned i = which; i < block->held_count; i++)
        block->held[i] = block->held[i + 1];
    return true;
}

void block_model_work(struct block_model *block)
{
    block_model_look(block);
    while (block_model_serve(block, 0)) {
        model_signal(&block->model, 0);
        block_model_look(block);
    }
}
