// SPDX-License-Identifier: BSD-2-Clause
// The device's side of queues, and memory. Registers are in model_pci.c.
#include "model.h"

#include <string.h>

#define NEXT          1u
#define WRITE         2u
#define INDIRECT      4u
#define NO_INTERRUPT  1u
#define CHUNK_GAP     0x10000u
#define CHUNK_ALIGNED 4096u

void model_fail(const char *file, int line, const char *text)
{
    printf("Bail out! %s:%d: %s\n", file, line, text);
    fflush(stdout);
    abort();
}

uint32_t model_random(struct model_random *random)
{
    random->state = random->state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(random->state >> 33);
}

// --- Memory ------------------------------------------------------------------------

void *model_share(struct model *model, size_t bytes, uint64_t *bus)
{
    MODEL_CHECK(model->chunk_count < MODEL_CHUNKS_MAX);
    struct model_chunk *chunk = &model->chunks[model->chunk_count++];
    void *found = NULL;
    MODEL_CHECK(posix_memalign(&found, CHUNK_ALIGNED, bytes) == 0);
    chunk->bytes = found;
    memset(chunk->bytes, 0, bytes);
    chunk->size = bytes;
    chunk->bus = model->next_bus;
    model->next_bus += virtio_align(bytes, CHUNK_ALIGNED) + CHUNK_GAP;
    *bus = chunk->bus;
    return chunk->bytes;
}

struct virtio_memory model_memory(struct model *model, size_t shared_bytes, size_t own_bytes)
{
    struct virtio_memory memory = {.shared_bytes = shared_bytes, .own_bytes = own_bytes};

    memory.shared = model_share(model, shared_bytes, &memory.shared_bus);
    memory.own = calloc(1, own_bytes);
    MODEL_CHECK(memory.own != NULL);
    return memory;
}

void model_memory_free(struct virtio_memory *memory)
{
    free(memory->own);
    memory->own = NULL;
}

void *model_at(struct model *model, uint64_t bus, size_t bytes)
{
    for (unsigned i = 0; i < model->chunk_count; i++) {
        struct model_chunk *chunk = &model->chunks[i];
        if (bus >= chunk->bus && bus - chunk->bus < chunk->size &&
            bytes <= chunk->size - (bus - chunk->bus))
            return chunk->bytes + (bus - chunk->bus);
    }
    model_fail(__FILE__, __LINE__, "the driver named memory that it does not share");
}

// --- Queues ------------------------------------------------------------------------

static struct model_queue *queue_of(struct model *model, unsigned number)
{
    MODEL_CHECK(number < MODEL_QUEUES);
    struct model_queue *queue = &model->queues[number];
    MODEL_CHECK(queue->enabled);
    return queue;
}

// The driver may be another thread.
static uint16_t load_word(struct model *model, uint64_t bus)
{
    return __atomic_load_n((uint16_t *)model_at(model, bus, sizeof(uint16_t)), __ATOMIC_ACQUIRE);
}

static void store_word(struct model *model, uint64_t bus, uint16_t value)
{
    __atomic_store_n((uint16_t *)model_at(model, bus, sizeof value), value, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static bool has_event_index(const struct model *model)
{
    return (model->accepted & VIRTIO_F_EVENT_INDEX) != 0;
}

void model_join_queue(struct model *model, const struct virtqueue *queue, bool event_index,
                      bool indirect)
{
    MODEL_CHECK(queue->index < MODEL_QUEUES);
    model->accepted = (event_index ? VIRTIO_F_EVENT_INDEX : 0) | (indirect ? VIRTIO_F_INDIRECT : 0);
    model->queues[queue->index] = (struct model_queue){
        .size = queue->size,
        .descriptors = virtqueue_descriptors_bus(queue),
        .available = virtqueue_available_bus(queue),
        .used = virtqueue_used_bus(queue),
        .enabled = true,
    };
}

static void add_segment(struct model *model, struct model_chain *chain,
                        const struct virtqueue_descriptor *descriptor)
{
    unsigned count = chain->readable + chain->writable;

    MODEL_CHECK(count < MODEL_CHAIN_MAX && descriptor->bytes != 0);
    (void)model_at(model, descriptor->bus, descriptor->bytes);
    chain->segments[count] =
        (struct virtio_segment){.bus = descriptor->bus, .bytes = descriptor->bytes};
    if (descriptor->flags & WRITE) {
        chain->writable++;
        chain->writable_bytes += descriptor->bytes;
    } else {
        MODEL_CHECK(chain->writable == 0); // what the device reads comes first
        chain->readable++;
        chain->readable_bytes += descriptor->bytes;
    }
}

// Follows descriptors in a table of `count` from `index` on.
static void follow(struct model *model, struct model_chain *chain,
                   const struct virtqueue_descriptor *table, unsigned count, unsigned index,
                   unsigned limit)
{
    for (unsigned steps = 0;; steps++) {
        MODEL_CHECK(index < count && steps < limit);
        struct virtqueue_descriptor descriptor = table[index];
        MODEL_CHECK((descriptor.flags & ~(NEXT | WRITE)) == 0);
        add_segment(model, chain, &descriptor);
        if (!(descriptor.flags & NEXT))
            return;
        index = descriptor.next;
    }
}

static void read_chain(struct model *model, const struct model_queue *queue, uint16_t head,
                       struct model_chain *chain)
{
    const struct virtqueue_descriptor *ring =
        model_at(model, queue->descriptors, queue->size * sizeof *ring);

    chain->head = head;
    chain->readable = chain->writable = 0;
    chain->readable_bytes = chain->writable_bytes = 0;
    MODEL_CHECK(head < queue->size);
    if (!(ring[head].flags & INDIRECT)) {
        follow(model, chain, ring, queue->size, head, queue->size);
        return;
    }
    MODEL_CHECK(ring[head].flags == INDIRECT && (model->accepted & VIRTIO_F_INDIRECT));
    MODEL_CHECK(ring[head].bytes % sizeof *ring == 0);
    unsigned count = ring[head].bytes / sizeof *ring;
    follow(model, chain, model_at(model, ring[head].bus, ring[head].bytes), count, 0, queue->size);
    MODEL_CHECK(chain->readable + chain->writable == count);
}

bool model_pop(struct model *model, unsigned number, struct model_chain *chain)
{
    struct model_queue *queue = queue_of(model, number);
    uint16_t index = load_word(model, queue->available + 2);

    if (model->lies && (uint16_t)(index - queue->seen) > queue->size)
        queue->seen = (uint16_t)(index - queue->size);
    MODEL_CHECK((uint16_t)(index - queue->seen) <= queue->size);
    if (index == queue->seen) {
        if (has_event_index(model))
            store_word(model, queue->used + 4 + 8u * queue->size, queue->seen);
        return false;
    }
    uint16_t head =
        load_word(model, queue->available + 4 + 2u * (queue->seen & (queue->size - 1u)));
    queue->seen++;
    read_chain(model, queue, head, chain);
    return true;
}

bool model_pop_or_wait(struct model *model, unsigned number, struct model_chain *chain)
{
    if (model_pop(model, number, chain))
        return true;
    return model_pop(model, number, chain);
}

void model_push_raw(struct model *model, unsigned number, uint32_t id, uint32_t bytes,
                    uint16_t index)
{
    struct model_queue *queue = queue_of(model, number);
    uint32_t *entry =
        model_at(model, queue->used + 4 + 8u * (queue->pushed & (queue->size - 1u)), 8);

    entry[0] = id;
    entry[1] = bytes;
    queue->pushed = index;
    store_word(model, queue->used + 2, index);
}

void model_push(struct model *model, unsigned number, uint16_t head, uint32_t bytes)
{
    struct model_queue *queue = queue_of(model, number);

    model_push_raw(model, number, head, bytes, (uint16_t)(queue->pushed + 1));
}

void model_signal(struct model *model, unsigned number)
{
    struct model_queue *queue = queue_of(model, number);
    uint16_t old = queue->signaled, new = queue->pushed;
    bool wanted;

    if (new == old)
        return;
    queue->signaled = new;
    if (has_event_index(model)) {
        uint16_t event = load_word(model, queue->available + 4 + 2u * queue->size);
        MODEL_CHECK(load_word(model, queue->available) == 0); // the flag is not used then
        wanted = (uint16_t)(new - event - 1) < (uint16_t)(new - old);
    } else {
        wanted = !(load_word(model, queue->available) & NO_INTERRUPT);
    }
    if (!wanted)
        return;
    model->interrupt_status |= VIRTIO_INTERRUPT_QUEUE;
    model->interrupts++;
}

// --- Bytes of a chain --------------------------------------------------------------

static size_t copy_part(struct model *model, const struct virtio_segment *segments, unsigned count,
                        size_t offset, void *bytes, size_t wanted, bool write)
{
    size_t done = 0;

    for (unsigned i = 0; i < count && done < wanted; i++) {
        if (offset >= segments[i].bytes) {
            offset -= segments[i].bytes;
            continue;
        }
        size_t part = segments[i].bytes - offset;
        if (part > wanted - done)
            part = wanted - done;
        uint8_t *shared = model_at(model, segments[i].bus + offset, part);
        uint8_t *own = (uint8_t *)bytes + done;
        memcpy(write ? shared : own, write ? own : shared, part);
        done += part;
        offset = 0;
    }
    return done;
}

size_t model_read_chain(struct model *model, const struct model_chain *chain, size_t offset,
                        void *bytes, size_t count)
{
    return copy_part(model, chain->segments, chain->readable, offset, bytes, count, false);
}

size_t model_write_chain(struct model *model, const struct model_chain *chain, size_t offset,
                         const void *bytes, size_t count)
{
    // Not written through: only the direction of the copy differs.
    return copy_part(model, chain->segments + chain->readable, chain->writable, offset,
                     (void *)(uintptr_t)bytes, count, true);
}

void model_destroy(struct model *model)
{
    for (unsigned i = 0; i < model->chunk_count; i++)
        free(model->chunks[i].bytes);
    model->chunk_count = 0;
}
