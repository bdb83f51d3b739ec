// SPDX-License-Identifier: BSD-2-Clause
// A virtio device on the host, for the tests of lib/virtio: PCI configuration
// space, modern or legacy registers, the device's side of split virtqueues. It
// holds the driver to the specification: whatever a driver must not do ends the
// test with a line that says what. It looks at a queue only when it was notified,
// and interrupts only when it was asked to, so that a lost notification hangs.
#pragma once

#include "lib/virtio/pci.h"

#include <stdio.h>
#include <stdlib.h>

#define MODEL_QUEUES     20
#define MODEL_CHUNKS_MAX 256
#define MODEL_CHAIN_MAX  1024
#define MODEL_CONFIG     64 // bytes of device configuration

enum model_kind { MODEL_MODERN, MODEL_LEGACY, MODEL_TRANSITIONAL };

// Memory that both sides see. Each piece is an allocation of its own, with red
// zones, somewhere in the bus's address space.
struct model_chunk {
    uint8_t *bytes;
    uint64_t bus;
    size_t size;
};

struct model_queue {
    uint16_t size, size_max;
    uint64_t descriptors, available, used;
    bool enabled;
    uint16_t vector;
    uint16_t seen;     // available entries taken
    uint16_t pushed;   // used index
    uint16_t signaled; // used index at the last look whether to interrupt
};

struct model {
    enum model_kind kind;
    uint16_t type;
    uint8_t space[256]; // configuration space
    uint64_t bar_bytes[6];
    uint64_t offered, accepted;
    uint8_t status;
    uint8_t interrupt_status;
    uint8_t generation;
    uint32_t device_select, driver_select;
    uint16_t queue_select, config_vector, vectors; // vectors: how many there are
    bool msix;
    bool refuses_features, never_resets;
    bool lies; // it completes what it has not taken: then it loses count of what there is
    uint32_t notify_multiplier;
    struct model_queue queues[MODEL_QUEUES];
    uint8_t config[MODEL_CONFIG];
    void (*config_was_read)(struct model *model);

    unsigned interrupts, notifications, resets, pauses;
    // The kind of device: called when a queue was notified, and after a reset.
    void (*notified)(struct model *model, unsigned queue);
    void (*was_reset)(struct model *model);
    void *context;

    struct model_chunk chunks[MODEL_CHUNKS_MAX];
    unsigned chunk_count;
    uint64_t next_bus;
};

_Noreturn void model_fail(const char *file, int line, const char *text);
#define MODEL_CHECK(condition)                                                                     \
    do {                                                                                           \
        if (!(condition))                                                                          \
            model_fail(__FILE__, __LINE__, #condition);                                            \
    } while (0)

// A device of `queues` queues of that size.
void model_initialize(struct model *model, enum model_kind kind, uint16_t type, uint64_t offered,
                      unsigned queues, uint16_t queue_size);
void model_destroy(struct model *model);

struct virtio_platform model_platform(struct model *model);

// Memory that driver and device share; freed with the model.
void *model_share(struct model *model, size_t bytes, uint64_t *bus);
struct virtio_memory model_memory(struct model *model, size_t shared_bytes, size_t own_bytes);
void model_memory_free(struct virtio_memory *memory);
// The host's address of what the driver named; ends the test when it is not all shared.
void *model_at(struct model *model, uint64_t bus, size_t bytes);

// For tests of a queue alone: the device's side of it.
void model_join_queue(struct model *model, const struct virtqueue *queue, bool event_index,
                      bool indirect);

// A chain as the device sees it.
struct model_chain {
    uint16_t head;
    unsigned readable, writable;
    struct virtio_segment segments[MODEL_CHAIN_MAX];
    size_t readable_bytes, writable_bytes;
};

// The next available chain. When there is none, notifications are asked for. The
// device has no use for one that was not notified.
bool model_pop(struct model *model, unsigned queue, struct model_chain *chain);
// Likewise, and looks again behind the request to be notified, as a device must
// that then waits for it.
bool model_pop_or_wait(struct model *model, unsigned queue, struct model_chain *chain);
void model_push(struct model *model, unsigned queue, uint16_t head, uint32_t bytes);
// Interrupts if the driver wants that for what was pushed since the last call.
void model_signal(struct model *model, unsigned queue);
void model_config_changed(struct model *model);

// What a hostile device does: any id, length, and index.
void model_push_raw(struct model *model, unsigned queue, uint32_t id, uint32_t bytes,
                    uint16_t index);

// Copies from the chain's readable, or to its writable part, from `offset` on.
size_t model_read_chain(struct model *model, const struct model_chain *chain, size_t offset,
                        void *bytes, size_t count);
size_t model_write_chain(struct model *model, const struct model_chain *chain, size_t offset,
                         const void *bytes, size_t count);

// Repeatable random numbers.
struct model_random {
    uint64_t state;
};
uint32_t model_random(struct model_random *random);
static inline uint32_t model_below(struct model_random *random, uint32_t limit)
{
    return model_random(random) % limit;
}
