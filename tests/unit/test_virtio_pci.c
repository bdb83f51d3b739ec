// SPDX-License-Identifier: BSD-2-Clause
// sources: lib/virtio/device.c lib/virtio/pci.c lib/virtio/pci_legacy.c
// sources: lib/virtio/virtqueue.c tests/unit/virtio/model.c tests/unit/virtio/model_pci.c
// virtio over PCI: registers found where capabilities say and nowhere else, the
// status machine, features, vectors and queues, for each kind of device. What a
// driver must not do the model itself refuses.
#include "tap.h"
#include "virtio/model.h"

#include <string.h>

#define FEATURES   (VIRTIO_F_INDIRECT | VIRTIO_F_EVENT_INDEX | 1ull << 5)
#define QUEUE_SIZE 128

static struct model model;
static struct virtio_device device;

static enum virtio_error open_device(void)
{
    struct virtio_platform platform = model_platform(&model);

    return virtio_pci_open(&device, &platform);
}

static void make(enum model_kind kind, uint64_t features)
{
    model_destroy(&model);
    model_initialize(&model, kind, VIRTIO_TYPE_BLOCK, features, 2, QUEUE_SIZE);
}

static bool opens_as(enum model_kind kind, const struct virtio_transport *transport)
{
    make(kind, FEATURES);
    return open_device() == VIRTIO_OK && device.transport == transport &&
           device.type == VIRTIO_TYPE_BLOCK && model.resets == 1;
}

static void test_kinds(void)
{
    tap_ok(opens_as(MODEL_MODERN, &virtio_pci_modern), "a modern device");
    tap_ok(opens_as(MODEL_LEGACY, &virtio_pci_legacy), "a legacy device");
    tap_ok(opens_as(MODEL_TRANSITIONAL, &virtio_pci_modern), "a transitional device is modern");
    make(MODEL_TRANSITIONAL, FEATURES);
    model.space[0x43] = 0x77; // no common configuration any more
    tap_ok(open_device() == VIRTIO_OK && device.transport == &virtio_pci_legacy,
           "or legacy, when its capabilities are not whole");
    tap_ok(virtio_pci_type(0x1af4, 0x1003, 3) == 3 && virtio_pci_type(0x1af4, 0x1042, 99) == 2 &&
               virtio_pci_type(0x1af4, 0x0fff, 2) == 0 && virtio_pci_type(0x1af4, 0x1080, 2) == 0 &&
               virtio_pci_type(0x8086, 0x1042, 2) == 0,
           "types by their ids");
}

// --- Capabilities --------------------------------------------------------------------

// Changes one byte of the modern device's configuration space.
static enum virtio_error with_byte(unsigned offset, unsigned value)
{
    make(MODEL_MODERN, FEATURES);
    model.space[offset] = (uint8_t)value;
    return open_device();
}

static void test_capabilities(void)
{
    tap_ok(with_byte(0x06, 0) == VIRTIO_BAD_CAPABILITY, "capabilities: no list");
    tap_ok(with_byte(0x00, 0) == VIRTIO_NO_DEVICE, "capabilities: another vendor");
    tap_ok(with_byte(0x34, 0x10) == VIRTIO_BAD_CAPABILITY, "capabilities: inside the header");
    tap_ok(with_byte(0x41, 0x40) == VIRTIO_BAD_CAPABILITY, "capabilities: a list in a circle");
    tap_ok(with_byte(0x42, 12) == VIRTIO_BAD_CAPABILITY, "capabilities: one that is too short");
    tap_ok(with_byte(0x44, 6) == VIRTIO_BAD_CAPABILITY, "capabilities: no such register");
    tap_ok(with_byte(0x44, 255) == VIRTIO_BAD_CAPABILITY, "capabilities: a reserved one");
    tap_ok(with_byte(0x44, 2) == VIRTIO_BAD_CAPABILITY, "capabilities: an empty one");
    tap_ok(with_byte(0x4b, 0x80) == VIRTIO_BAD_CAPABILITY, "capabilities: beyond its end");
    tap_ok(with_byte(0x49, 0x40) == VIRTIO_BAD_CAPABILITY, "capabilities: right behind its end");
    tap_ok(with_byte(0x4f, 0xff) == VIRTIO_BAD_CAPABILITY, "capabilities: longer than it is");
    tap_ok(with_byte(0x48, 1) == VIRTIO_BAD_CAPABILITY, "capabilities: not aligned");
    tap_ok(with_byte(0x4c, 0x37) == VIRTIO_BAD_CAPABILITY, "capabilities: a block cut short");
    make(MODEL_MODERN, FEATURES);
    memmove(model.space + 0x60, model.space + 0x40, 0x80);
    memset(model.space + 0x40, 0, 0x20);
    for (unsigned at = 0x60, next; (next = model.space[at + 1]) != 0; at = next + 0x20)
        model.space[at + 1] = (uint8_t)(next + 0x20);
    // An ordinary capability, then one of the same type that cannot be used, then the real ones.
    memcpy(model.space + 0x40, (uint8_t[]){0x11, 0x48, 0, 0}, 4);
    memcpy(model.space + 0x48, model.space + 0x60, 16);
    model.space[0x49] = 0x60;
    model.space[0x4c] = 5;
    tap_ok(open_device() == VIRTIO_OK && device.common.bar == 4,
           "capabilities: the first usable one is taken");
    make(MODEL_MODERN, FEATURES);
    memset(model.space + 0x40, 0xff, 0xc0);
    tap_ok(open_device() == VIRTIO_BAD_CAPABILITY, "capabilities: all ones");
}

// --- Features and status ---------------------------------------------------------------

static void test_features(enum model_kind kind, const char *name)
{
    printf("# %s\n", name);
    make(kind, FEATURES | 1ull << 9);
    uint64_t version = kind == MODEL_LEGACY ? 0 : VIRTIO_F_VERSION_1;
    tap_ok(open_device() == VIRTIO_OK && virtio_begin(&device, 1ull << 5 | 1ull << 7, 0) == 0 &&
               device.features == (FEATURES | version) && model.accepted == device.features,
           "features: those that both know");
    tap_ok(virtio_begin(&device, 0, 1ull << 7) == VIRTIO_NO_FEATURE && (model.status & 128) != 0,
           "features: one that is needed is missing");
    tap_ok(virtio_begin(&device, 0, 0) == VIRTIO_OK && model.accepted == (device.features) &&
               !virtio_has(&device, 1ull << 5),
           "features: after a reset others can be chosen");
    model.never_resets = true;
    tap_ok(virtio_begin(&device, 0, 0) == VIRTIO_NO_RESET && model.pauses >= 100,
           "status: a reset that does not end");
}

static void test_refusals(void)
{
    make(MODEL_MODERN, FEATURES);
    model.refuses_features = true;
    (void)open_device();
    tap_ok(virtio_begin(&device, 0, 0) == VIRTIO_FEATURES_REFUSED && (model.status & 128) != 0,
           "features: refused");
    make(MODEL_MODERN, FEATURES | VIRTIO_F_ACCESS_PLATFORM);
    (void)open_device();
    tap_ok(virtio_begin(&device, 0, 0) == VIRTIO_ACCESS_PLATFORM && model.accepted == 0 &&
               strstr(virtio_error_text(VIRTIO_ACCESS_PLATFORM), "iommu_platform") != NULL,
           "features: translated addresses are refused, and why is said");
    make(MODEL_MODERN, FEATURES);
    model.offered &= ~VIRTIO_F_VERSION_1;
    (void)open_device();
    tap_ok(virtio_begin(&device, 0, 0) == VIRTIO_NO_FEATURE,
           "features: modern but without version 1");
    make(MODEL_LEGACY, FEATURES | 1ull << 40);
    (void)open_device();
    tap_ok(virtio_begin(&device, 1ull << 40, 0) == VIRTIO_OK && device.features == FEATURES - 32,
           "features: a legacy device has 32");
    for (unsigned i = 0; i < VIRTIO_ERROR_COUNT; i++)
        MODEL_CHECK(virtio_error_text((enum virtio_error)i)[0] != '\0');
    tap_ok(strcmp(virtio_error_text((enum virtio_error)1000), "unknown error") == 0,
           "errors have texts");
}

// --- Queues and vectors ------------------------------------------------------------------

static struct virtqueue queue;
static struct virtio_memory memory;

static enum virtio_error start(uint16_t number, uint16_t size)
{
    free(memory.own);
    memory = model_memory(&model, virtqueue_shared_bytes(size), virtqueue_own_bytes(size));
    virtqueue_initialize(&queue, number, size, virtio_queue_options(&device), memory.shared,
                         memory.shared_bus, memory.own);
    return virtio_start_queue(&device, &queue);
}

static void begin(enum model_kind kind)
{
    make(kind, FEATURES);
    MODEL_CHECK(open_device() == VIRTIO_OK);
}

static void test_queues(enum model_kind kind, const char *name)
{
    bool legacy = kind == MODEL_LEGACY;
    uint16_t size = legacy ? QUEUE_SIZE : 16;

    printf("# %s\n", name);
    begin(kind);
    MODEL_CHECK(virtio_begin(&device, 0, 0) == VIRTIO_OK);
    tap_ok(virtio_queue_size(&device, 0, 16) == size, "queues: a size");
    tap_ok(virtio_queue_size(&device, 7, 16) == 0, "queues: one there is not");
    tap_ok(start(1, size) == VIRTIO_OK && model.queues[1].enabled &&
               model.queues[1].used == virtqueue_used_bus(&queue) &&
               model.queues[1].available == virtqueue_available_bus(&queue) &&
               model.queues[1].size == size,
           "queues: the device knows where it is");
    tap_ok(start(1, size) == VIRTIO_NO_QUEUE, "queues: not twice");
    tap_ok(start(7, size) == VIRTIO_NO_QUEUE, "queues: not one there is not");
    tap_ok(virtio_run(&device) == VIRTIO_OK && (model.status & 4), "status: the device works");
    model.status |= 64;
    tap_ok(virtio_needs_reset(&device), "status: it has met an error");
    MODEL_CHECK(virtio_begin(&device, 0, 0) == VIRTIO_OK);
    model.queues[0].size_max = model.queues[0].size = 100;
    tap_ok(virtio_queue_size(&device, 0, 256) == (legacy ? 0 : 64),
           "queues: a size that is no power of two");
    model.queues[0].size_max = model.queues[0].size = 32768;
    tap_ok(virtio_queue_size(&device, 0, 32768) == (legacy ? 0 : VIRTQUEUE_SIZE_MAX),
           "queues: a size beyond what is supported");
}

static void test_vectors(enum model_kind kind, const char *name)
{
    uint16_t size = kind == MODEL_LEGACY ? QUEUE_SIZE : 16;

    printf("# %s\n", name);
    begin(kind);
    memcpy(model.config, "configuration", 14);
    MODEL_CHECK(virtio_begin(&device, 0, 0) == VIRTIO_OK);
    tap_ok(virtio_read(&device, 0, 4) == 0x666e6f63, "configuration: without vectors");
    model.interrupt_status = VIRTIO_INTERRUPT_CONFIG;
    uint8_t reasons = virtio_interrupt_status(&device);
    tap_ok(reasons == VIRTIO_INTERRUPT_CONFIG && model.interrupt_status == 0,
           "interrupts: why, once");
    begin(kind);
    model.msix = true;
    memcpy(model.config, "configuration", 14);
    virtio_use_vectors(&device, 0, 1);
    tap_ok(virtio_begin(&device, 0, 0) == VIRTIO_OK && model.config_vector == 0 &&
               start(0, size) == VIRTIO_OK && model.queues[0].vector == 1,
           "vectors: for the configuration and for queues");
    tap_ok(virtio_read(&device, 4, 8) == 0x6f69746172756769 && virtio_read(&device, 1, 1) == 'o',
           "configuration: with vectors");
    tap_ok(virtio_read(&device, 0xffffff, 4) == 0 && virtio_read(&device, 0xfffffffc, 8) == 0,
           "configuration: beyond its end");
    virtio_use_vectors(&device, 99, 1);
    tap_ok(virtio_begin(&device, 0, 0) == VIRTIO_NO_VECTOR, "vectors: refused");
    virtio_use_vectors(&device, 0, 99);
    MODEL_CHECK(virtio_begin(&device, 0, 0) == VIRTIO_OK);
    tap_ok(start(0, size) == VIRTIO_NO_VECTOR, "vectors: refused for a queue");
}

static void test_notify(void)
{
    begin(MODEL_MODERN);
    MODEL_CHECK(virtio_begin(&device, 0, 0) == VIRTIO_OK && start(1, 16) == VIRTIO_OK &&
                virtio_run(&device) == VIRTIO_OK);
    uint64_t bus;
    (void)model_share(&model, 64, &bus);
    struct virtio_segment segment = {.bus = bus, .bytes = 64};
    struct virtqueue_chain chain = {.segments = &segment, .readable = 1, .cookie = &segment};
    MODEL_CHECK(virtqueue_add_chain(&queue, &chain) == VIRTIO_OK);
    virtio_kick(&device, &queue);
    virtio_kick(&device, &queue);
    tap_ok(model.notifications == 1,
           "notify: at the queue's own register, when there is something");
    make(MODEL_MODERN, FEATURES);
    model.notify_multiplier = 0x2000;
    memcpy(model.space + 0x40 + 3 * 16 + 16, "\0\x20\0\0", 4);
    MODEL_CHECK(open_device() == VIRTIO_OK && virtio_begin(&device, 0, 0) == VIRTIO_OK);
    tap_ok(start(0, 16) == VIRTIO_OK && start(1, 16) == VIRTIO_BAD_CAPABILITY,
           "notify: a register outside its block");
}

// --- A configuration that changes while it is read -------------------------------------------

static unsigned changes;

static void change(struct model *changing)
{
    if (changes > 0) {
        changes--;
        changing->generation++;
        changing->config[0]++;
        changing->config[4]++;
    }
}

static void read_wide(struct virtio_device *read_from, void *context)
{
    *(uint64_t *)context = virtio_read(read_from, 0, 8);
}

static void test_stable(enum model_kind kind, const char *name)
{
    uint64_t value = 0;

    begin(kind);
    MODEL_CHECK(virtio_begin(&device, 0, 0) == VIRTIO_OK);
    model.config_was_read = change;
    changes = 5;
    tap_ok(virtio_read_stable(&device, read_wide, &value) == VIRTIO_OK &&
               value == 0x0000000500000005,
           name);
    changes = 1000000;
    tap_ok(virtio_read_stable(&device, read_wide, &value) == VIRTIO_BAD_CONFIGURATION,
           "configuration: never twice the same");
}

int main(void)
{
    test_kinds();
    test_capabilities();
    test_features(MODEL_MODERN, "modern");
    test_features(MODEL_LEGACY, "legacy");
    test_refusals();
    test_queues(MODEL_MODERN, "modern");
    test_queues(MODEL_LEGACY, "legacy");
    test_vectors(MODEL_MODERN, "modern");
    test_vectors(MODEL_LEGACY, "legacy");
    test_notify();
    test_stable(MODEL_MODERN, "configuration: changing, modern");
    test_stable(MODEL_LEGACY, "configuration: changing, legacy");
    free(memory.own);
    model_destroy(&model);
    return tap_end();
}
