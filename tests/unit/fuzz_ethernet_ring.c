// SPDX-License-Identifier: BSD-2-Clause
// sources: lib/ethernet_ring.c
// Another end that writes any words at all into a ring between any operations of this
// one: all that this one reads and writes lies in the data.
#include "lib/ethernet_ring.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ethernet_memory *memory;
static struct ethernet_producer producer;
static struct ethernet_consumer consumer;

static void check(const uint8_t *start, uint32_t bytes)
{
    const uint8_t *data = memory->data_to_server;

    if (start < data || bytes > ETHERNET_DATA_BYTES ||
        (size_t)(start - data) > ETHERNET_DATA_BYTES - bytes)
        abort();
}

static void step(uint8_t what, uint32_t value)
{
    uint32_t *words = (uint32_t *)&memory->to_server;
    uint32_t bytes = 0;
    uint8_t *frame;

    switch (what % 8) {
    case 0:
        words[value >> 16 & 511] = value & 0xffff;
        break;
    case 1:
        words[value >> 24] = value;
        break;
    case 2:
        frame = ethernet_reserve(&producer, value & 0x3fff);
        if (frame != NULL)
            check(frame, value & 0x3fff);
        break;
    case 3:
        ethernet_commit(&producer);
        break;
    case 4:
        frame = (uint8_t *)ethernet_peek(&consumer, &bytes);
        if (frame != NULL)
            check(frame, bytes);
        break;
    case 5:
        ethernet_take(&consumer);
        break;
    case 6:
        (void)ethernet_await_room(&producer, value & 0x3fff);
        (void)ethernet_producer_must_ring(&producer);
        break;
    default:
        (void)ethernet_await_frames(&consumer);
        (void)ethernet_consumer_must_ring(&consumer);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (memory == NULL && (memory = aligned_alloc(4096, sizeof *memory)) == NULL)
        abort();
    ethernet_memory_clear(memory);
    ethernet_producer_start(&producer, &memory->to_server, memory->data_to_server);
    ethernet_consumer_start(&consumer, &memory->to_server, memory->data_to_server);
    for (; size >= 5; size -= 5, data += 5) {
        uint32_t value;
        memcpy(&value, data + 1, sizeof value);
        step(data[0], value);
    }
    return 0;
}
