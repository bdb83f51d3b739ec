// SPDX-License-Identifier: BSD-2-Clause
// A disk in memory behind the model: it takes requests when notified and serves
// them when told to, in any order; it can fail them, and it can lie.
#pragma once

#include "model.h"

#define BLOCK_SECTORS  2048u
#define BLOCK_HELD_MAX 512

#define BLOCK_F_SIZE_MAX     (1ull << 1)
#define BLOCK_F_SEG_MAX      (1ull << 2)
#define BLOCK_F_READ_ONLY    (1ull << 5)
#define BLOCK_F_BLOCK_SIZE   (1ull << 6)
#define BLOCK_F_FLUSH        (1ull << 9)
#define BLOCK_F_TOPOLOGY     (1ull << 10)
#define BLOCK_F_DISCARD      (1ull << 13)
#define BLOCK_F_WRITE_ZEROES (1ull << 14)
#define BLOCK_F_ALL                                                                                \
    (BLOCK_F_SEG_MAX | BLOCK_F_BLOCK_SIZE | BLOCK_F_FLUSH | BLOCK_F_TOPOLOGY | BLOCK_F_DISCARD |   \
     BLOCK_F_WRITE_ZEROES)

struct block_model {
    struct model model;
    uint8_t disk[BLOCK_SECTORS * 512];
    bool waiting; // notified, and not yet looked
    struct model_chain *held[BLOCK_HELD_MAX];
    unsigned held_count;
    unsigned flushes, discards;
    uint64_t bad_sector;     // a request that touches it fails
    uint8_t status_override; // when not 0: the status of every request
    bool short_reads;
    bool no_status; // it is not written at all
};

// Sizes in the device configuration that a test may want otherwise are set after this.
void block_model_initialize(struct block_model *block, enum model_kind kind, uint64_t features,
                            uint16_t queue_size);
void block_model_destroy(struct block_model *block);

// Takes all requests that are there, if it was notified.
void block_model_look(struct block_model *block);
// Serves one of those it has; false when there is none. Then model_signal.
bool block_model_serve(struct block_model *block, unsigned which);
// Looks and serves until there is nothing left, in order.
void block_model_work(struct block_model *block);

void block_model_set32(struct block_model *block, unsigned offset, uint32_t value);
