// SPDX-License-Identifier: BSD-2-Clause
// Virtual I/O Device 1.1, section 2.6. The layout is the one that legacy devices
// demand (section 2.6.2), which suits the others too. Descriptor table and
// available ring are only ever written here; the device's own fields, the used
// ring and its event index, are only read, each once.
#include "virtqueue.h"

#define DESCRIPTOR_NEXT     1u
#define DESCRIPTOR_WRITE    2u
#define DESCRIPTOR_INDIRECT 4u
#define NO_INTERRUPT        1u // in the available ring's flags
#define NO_NOTIFY           1u // in the used ring's flags
#define USED_ALIGNMENT      4096u
#define LENGTH_MAX          0xffffffffu // of what a device reads, or writes, of a chain

// The available ring in 16-bit words.
#define AVAILABLE_FLAGS 0
#define AVAILABLE_INDEX 1
#define AVAILABLE_RING  2 // size entries, then the used event

// The used ring in 16-bit words: flags, index, entries of an id and a length of
// 32 bits each, then the available event.
#define USED_FLAGS       0
#define USED_INDEX       1
#define USED_RING        2
#define USED_ENTRY_WORDS 4
#define USED_LENGTH      2

static uint16_t load_word(const uint16_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static uint32_t load_pair(const uint16_t *words)
{
    return __atomic_load_n((const uint32_t *)(const void *)words, __ATOMIC_RELAXED);
}

static void store_word(uint16_t *word, uint16_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELAXED);
}

// Between a store that the device looks at and a load of what it stored.
static void full_barrier(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

// --- Layout ------------------------------------------------------------------------

static size_t available_offset(uint16_t size)
{
    return size * sizeof(struct virtqueue_descriptor);
}

static size_t used_offset(uint16_t size)
{
    size_t words = AVAILABLE_RING + (size_t)size + 1;

    return virtio_align(available_offset(size) + words * sizeof(uint16_t), USED_ALIGNMENT);
}

size_t virtqueue_shared_bytes(uint16_t size)
{
    size_t words = USED_RING + (size_t)size * USED_ENTRY_WORDS + 1;

    return virtio_align(used_offset(size) + words * sizeof(uint16_t), USED_ALIGNMENT);
}

size_t virtqueue_own_bytes(uint16_t size)
{
    return size * sizeof(struct virtqueue_slot);
}

uint64_t virtqueue_descriptors_bus(const struct virtqueue *queue)
{
    return queue->bus;
}

uint64_t virtqueue_available_bus(const struct virtqueue *queue)
{
    return queue->bus + available_offset(queue->size);
}

uint64_t virtqueue_used_bus(const struct virtqueue *queue)
{
    return queue->bus + used_offset(queue->size);
}

static const uint16_t *available_event(const struct virtqueue *queue)
{
    return &queue->used[USED_RING + queue->size * USED_ENTRY_WORDS];
}

void virtqueue_initialize(struct virtqueue *queue, uint16_t index, uint16_t size,
                          struct virtqueue_options options, void *shared, uint64_t shared_bus,
                          void *own)
{
    uint8_t *bytes = shared;

    memset(shared, 0, virtqueue_shared_bytes(size));
    memset(own, 0, virtqueue_own_bytes(size));
    *queue = (struct virtqueue){
        .descriptors = shared,
        .available = (void *)(bytes + available_offset(size)),
        .used = (void *)(bytes + used_offset(size)),
        .bus = shared_bus,
        .slots = own,
        .index = index,
        .size = size,
        .free_count = size,
        .event_index = options.event_index,
        .indirect = options.indirect,
        .interrupts = true,
    };
    for (uint16_t i = 0; i < size; i++)
        queue->slots[i].next = (uint16_t)(i + 1);
}

// --- Adding ------------------------------------------------------------------------

static enum virtio_error check_chain(const struct virtqueue *queue,
                                     const struct virtqueue_chain *chain, uint32_t *writable)
{
    uint32_t count = (uint32_t)chain->readable + chain->writable;
    uint64_t sums[2] = {0, 0};

    if (count == 0 || count > queue->size || chain->cookie == NULL)
        return VIRTIO_INVALID;
    for (uint32_t i = 0; i < count; i++) {
        const struct virtio_segment *segment = &chain->segments[i];
        if (segment->bytes == 0 || segment->bus + segment->bytes < segment->bus)
            return VIRTIO_INVALID;
        sums[i >= chain->readable] += segment->bytes;
    }
    *writable = (uint32_t)sums[1];
    return sums[0] <= LENGTH_MAX && sums[1] <= LENGTH_MAX ? VIRTIO_OK : VIRTIO_INVALID;
}

static void write_descriptor(struct virtqueue_descriptor *descriptor,
                             const struct virtqueue_chain *chain, uint32_t number, uint16_t next)
{
    bool last = number + 1u == (uint32_t)chain->readable + chain->writable;

    descriptor->bus = chain->segments[number].bus;
    descriptor->bytes = chain->segments[number].bytes;
    descriptor->flags = (uint16_t)((number >= chain->readable ? DESCRIPTOR_WRITE : 0) |
                                   (last ? 0 : DESCRIPTOR_NEXT));
    descriptor->next = last ? 0 : next;
}

// Both return the descriptor that is the first free one afterwards.
static uint16_t write_indirect(struct virtqueue *queue, const struct virtqueue_chain *chain)
{
    uint32_t count = (uint32_t)chain->readable + chain->writable;

    for (uint32_t i = 0; i < count; i++)
        write_descriptor(&chain->table[i], chain, i, (uint16_t)(i + 1));
    queue->descriptors[queue->free_first] = (struct virtqueue_descriptor){
        .bus = chain->table_bus,
        .bytes = (uint32_t)(count * sizeof(struct virtqueue_descriptor)),
        .flags = DESCRIPTOR_INDIRECT,
    };
    return queue->slots[queue->free_first].next;
}

static uint16_t write_direct(struct virtqueue *queue, const struct virtqueue_chain *chain)
{
    uint32_t count = (uint32_t)chain->readable + chain->writable;
    uint16_t number = queue->free_first;

    for (uint32_t i = 0; i < count; i++) {
        uint16_t next = queue->slots[number].next;
        write_descriptor(&queue->descriptors[number], chain, i, next);
        number = next;
    }
    return number;
}

enum virtio_error virtqueue_add_chain(struct virtqueue *queue, const struct virtqueue_chain *chain)
{
    uint32_t writable;
    enum virtio_error error = check_chain(queue, chain, &writable);
    bool indirect =
        queue->indirect && chain->table != NULL && chain->readable + chain->writable > 1;
    uint16_t count = indirect ? 1 : (uint16_t)(chain->readable + chain->writable);

    if (error != VIRTIO_OK)
        return error;
    if (queue->fault != VIRTQUEUE_SOUND)
        return VIRTIO_BROKEN;
    if (queue->free_count < count)
        return VIRTIO_FULL;
    uint16_t head = queue->free_first;
    queue->free_first = indirect ? write_indirect(queue, chain) : write_direct(queue, chain);
    queue->free_count -= count;
    struct virtqueue_slot *slot = &queue->slots[head];
    slot->cookie = chain->cookie;
    slot->turn = queue->added;
    slot->writable = writable;
    slot->length = count;
    store_word(&queue->available[AVAILABLE_RING + (queue->added & (queue->size - 1u))], head);
    queue->added++;
    return VIRTIO_OK;
}

// Whether a side that moved its index from `old` to `new` passed the other's event.
static bool event_passed(uint16_t event, uint16_t new, uint16_t old)
{
    return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}

bool virtqueue_publish(struct virtqueue *queue)
{
    uint16_t old = (uint16_t)queue->published, new = (uint16_t)queue->added;
    bool wanted;

    if (queue->published == queue->added)
        return false;
    queue->counters.published += queue->added - queue->published;
    queue->published = queue->added;
    __atomic_store_n(&queue->available[AVAILABLE_INDEX], new, __ATOMIC_RELEASE);
    full_barrier();
    if (queue->event_index)
        wanted = event_passed(load_word(available_event(queue)), new, old);
    else
        wanted = !(load_word(&queue->used[USED_FLAGS]) & NO_NOTIFY);
    queue->counters.notified += wanted;
    return wanted;
}

// --- Taking ------------------------------------------------------------------------

// Chains that the device says it has completed. An index that says more than it
// was given breaks the queue.
static uint16_t completed(struct virtqueue *queue)
{
    uint16_t index = __atomic_load_n(&queue->used[USED_INDEX], __ATOMIC_ACQUIRE);
    uint16_t count = (uint16_t)(index - (uint16_t)queue->taken);

    if (queue->fault != VIRTQUEUE_SOUND)
        return 0;
    if (count > virtqueue_in_flight(queue)) {
        queue->fault = VIRTQUEUE_BAD_INDEX;
        return 0;
    }
    return count;
}

static void write_used_event(struct virtqueue *queue, uint16_t event)
{
    queue->event = event;
    if (queue->event_index)
        store_word(&queue->available[AVAILABLE_RING + queue->size], event);
}

// Moves the used event up to what has been taken, if it is not there yet, and
// looks again, for the device may have passed it meanwhile.
static bool wait_for_next(struct virtqueue *queue)
{
    uint16_t event = (uint16_t)queue->taken;

    if (!queue->interrupts || !queue->event_index || queue->event == event)
        return false;
    write_used_event(queue, event);
    full_barrier();
    return completed(queue) != 0;
}

// Returns the descriptors of a chain to the free ones.
static void free_chain(struct virtqueue *queue, uint16_t head)
{
    struct virtqueue_slot *slot = &queue->slots[head];
    uint16_t last = head;

    for (uint16_t i = 1; i < slot->length; i++)
        last = queue->slots[last].next;
    queue->slots[last].next = queue->free_first;
    queue->free_first = head;
    queue->free_count += slot->length;
    slot->cookie = NULL;
}

bool virtqueue_take(struct virtqueue *queue, struct virtqueue_completion *completion)
{
    if (completed(queue) == 0 && !wait_for_next(queue))
        return false;
    uint32_t position = (uint32_t)(queue->taken & (queue->size - 1u));
    const uint16_t *entry = &queue->used[USED_RING + position * USED_ENTRY_WORDS];
    uint32_t id = load_pair(entry);
    uint32_t bytes = load_pair(&entry[USED_LENGTH]);
    struct virtqueue_slot *slot = id < queue->size ? &queue->slots[id] : NULL;
    // A chain that was added but not published is not the device's either.
    if (slot == NULL || slot->cookie == NULL || slot->turn >= queue->published) {
        queue->fault = VIRTQUEUE_BAD_ID;
        return false;
    }
    completion->cookie = slot->cookie;
    completion->bad_length = bytes > slot->writable;
    completion->bytes = completion->bad_length ? slot->writable : bytes;
    queue->counters.bad_lengths += completion->bad_length;
    queue->counters.completed++;
    queue->taken++;
    free_chain(queue, (uint16_t)id);
    return true;
}

void virtqueue_interrupts_off(struct virtqueue *queue)
{
    queue->interrupts = false;
    // An event just passed comes again only when the index has gone all the way round.
    write_used_event(queue, (uint16_t)(queue->taken - 1));
    store_word(&queue->available[AVAILABLE_FLAGS], queue->event_index ? 0 : NO_INTERRUPT);
}

bool virtqueue_interrupts_on(struct virtqueue *queue)
{
    queue->interrupts = true;
    write_used_event(queue, (uint16_t)queue->taken);
    store_word(&queue->available[AVAILABLE_FLAGS], 0);
    full_barrier();
    return completed(queue) != 0;
}

void *virtqueue_give_back(struct virtqueue *queue)
{
    for (uint16_t i = 0; i < queue->size; i++) {
        void *cookie = queue->slots[i].cookie;
        if (cookie == NULL)
            continue;
        free_chain(queue, i);
        return cookie;
    }
    return NULL;
}
