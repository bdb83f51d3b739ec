// SPDX-License-Identifier: BSD-2-Clause
// sources: lib/virtio/virtqueue.c
// A device that writes any bytes at all into the shared memory of a queue, the
// used ring above all, between any operations of the driver: no crash, and each
// chain comes back once.
#include "lib/virtio/virtqueue.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SIZE       16
#define CHAINS_MAX 4096
#define USED_AT    4096

static bool out[CHAINS_MAX];
static unsigned added;

struct input {
    const uint8_t *bytes;
    size_t left;
};

static uint8_t next(struct input *input)
{
    if (input->left == 0)
        return 0;
    input->left--;
    return *input->bytes++;
}

static void add(struct virtqueue *queue, struct input *input)
{
    struct virtio_segment segments[8];
    struct virtqueue_descriptor table[8];
    uint8_t shape = next(input);
    struct virtqueue_chain chain = {
        .segments = segments,
        .readable = shape & 3,
        .writable = shape >> 2 & 3,
        .table = shape & 16 ? table : NULL,
        .cookie = (void *)(uintptr_t)(added + 1),
    };

    for (unsigned i = 0; i < 8; i++)
        segments[i] = (struct virtio_segment){.bus = i * 4096u, .bytes = 1 + next(input)};
    if (added < CHAINS_MAX && virtqueue_add_chain(queue, &chain) == VIRTIO_OK)
        out[added++] = true;
}

static void comes_back(const void *cookie)
{
    uintptr_t number = (uintptr_t)cookie - 1;

    if (number >= added || !out[number])
        abort();
    out[number] = false;
}

static void take(struct virtqueue *queue)
{
    struct virtqueue_completion completion;

    while (virtqueue_take(queue, &completion)) {
        comes_back(completion.cookie);
        if (completion.bytes > 3 * 256)
            abort();
    }
}

// What a real device might do, so that the depths are reached: completes a head.
static void complete(uint8_t *shared, uint8_t id, uint8_t bytes)
{
    uint16_t *used = (uint16_t *)(void *)(shared + USED_AT);
    uint32_t entry[2] = {id % (SIZE + 1), bytes};

    memcpy(&used[2 + used[1] % SIZE * 4], entry, sizeof entry);
    used[1]++;
}

static void scribble(uint8_t *shared, size_t bytes, struct input *input)
{
    size_t at = USED_AT + (size_t)next(input) % (8 * SIZE + 6);

    if (next(input) & 128)
        at = ((size_t)next(input) << 8 | next(input)) % bytes;
    shared[at] = next(input);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {.bytes = data, .left = size};
    uint8_t options = next(&input);
    struct virtqueue queue;
    size_t bytes = virtqueue_shared_bytes(SIZE);
    uint8_t *shared = aligned_alloc(4096, bytes), *own = malloc(virtqueue_own_bytes(SIZE));

    if (shared == NULL || own == NULL)
        abort();
    added = 0;
    virtqueue_initialize(
        &queue, 0, SIZE,
        (struct virtqueue_options){.event_index = options & 1, .indirect = options & 2}, shared,
        0x10000, own);
    while (input.left > 0) {
        switch (next(&input) % 7) {
        case 0:
            add(&queue, &input);
            break;
        case 1:
            (void)virtqueue_publish(&queue);
            break;
        case 2:
            take(&queue);
            break;
        case 3:
            virtqueue_interrupts_off(&queue);
            break;
        case 4:
            (void)virtqueue_interrupts_on(&queue);
            break;
        case 5:
            complete(shared, next(&input), next(&input));
            break;
        default:
            scribble(shared, bytes, &input);
        }
    }
    take(&queue);
    for (const void *cookie; (cookie = virtqueue_give_back(&queue)) != NULL;)
        comes_back(cookie);
    for (unsigned i = 0; i < added; i++) {
        if (out[i])
            abort();
    }
    if (queue.free_count != SIZE)
        abort();
    free(shared);
    free(own);
    return 0;
}
