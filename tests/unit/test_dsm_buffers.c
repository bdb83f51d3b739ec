// SPDX-License-Identifier: BSD-2-Clause
// sources: $(DSM_PAGES)
// Pages that the core of distributed shared memory keeps: made and dropped at random, each is what
// it was, and nothing is left of them.
#include "dsm/core/internal.h"
#include "tap.h"

#include <stdlib.h>
#include <string.h>

#define KEPT  300u // at most: more than four chunks
#define STEPS 40000u

static struct buffer *kept[KEPT];
static uint32_t numbers[KEPT], count;

static bool is_whole(const struct buffer *buffer, uint32_t number)
{
    for (size_t i = 0; i < DSM_PAGE_BYTES; i++)
        if (buffer->bytes[i] != (uint8_t)(number >> i % 4 * 8))
            return false;
    return true;
}

static bool make(struct dsm *dsm, uint32_t number)
{
    uint8_t page[DSM_PAGE_BYTES];

    for (size_t i = 0; i < sizeof page; i++)
        page[i] = (uint8_t)(number >> i % 4 * 8);
    kept[count] = buffer_make(dsm, page);
    numbers[count] = number;
    return kept[count++] != NULL;
}

// Whether it was as it had been made, until it was collected.
static bool drop(struct dsm *dsm, uint32_t which)
{
    struct buffer *buffer = kept[which];
    uint32_t number = numbers[which];

    buffer_drop(dsm, buffer);
    bool whole = is_whole(buffer, number);
    kept[which] = kept[--count];
    numbers[which] = numbers[count];
    return whole;
}

static bool live(struct dsm *dsm)
{
    bool good = true;

    for (uint32_t step = 0; step < STEPS && good; step++) {
        // Grows and shrinks by turns.
        bool more = (uint32_t)rand() % 100 < (step / 2000 % 2 == 0 ? 70u : 30u);
        if (more && count < KEPT)
            good = make(dsm, step);
        else if (count > 0)
            good = drop(dsm, (uint32_t)rand() % count);
        if (step % 7 == 0)
            buffers_collect(dsm);
        good = good && dsm->stored == count;
    }
    return good;
}

int main(void)
{
    static struct dsm dsm;
    bool whole = true;

    srand(1);
    tap_ok(live(&dsm), "pages are what they were, until they are dropped and collected");
    while (count < KEPT)
        whole = make(&dsm, count) && whole;
    tap_ok(whole && dsm.used_bytes < (uint64_t)KEPT * DSM_PAGE_BYTES / 100 * 103,
           "one takes less than three hundredths more than a page");
    while (count > 0)
        whole = drop(&dsm, count - 1) && whole;
    buffers_collect(&dsm);
    tap_ok(whole && dsm.stored == 0 && dsm.used_bytes == 0 && dsm.chunks == NULL &&
               dsm.empty_chunk != NULL,
           "when all have gone one chunk is kept for the next");
    buffers_free(&dsm);
    return tap_end();
}
