// SPDX-License-Identifier: BSD-2-Clause
// The model's registers: configuration space with its capabilities, the modern
// blocks in BAR 4, the legacy ports in BAR 0. The order in which a driver must do
// things is checked here.
#include "model.h"

#include <string.h>

#define ACKNOWLEDGE 1u
#define DRIVER      2u
#define DRIVER_OK   4u
#define FEATURES_OK 8u

#define BAR_MODERN       4
#define BAR_LEGACY       0
#define BAR_MODERN_BYTES 0x4000
#define BAR_LEGACY_BYTES 0x80
#define COMMON_AT        0x0000
#define INTERRUPT_AT     0x1000
#define CONFIG_AT        0x2000
#define NOTIFY_AT        0x3000
#define BLOCK_BYTES      0x1000
#define BUS_START        0x123000000ull

// --- Life --------------------------------------------------------------------------

static void reset(struct model *model)
{
    model->status = 0;
    model->accepted = 0;
    model->interrupt_status = 0;
    model->config_vector = VIRTIO_NO_VECTOR_INDEX;
    model->resets++;
    for (unsigned i = 0; i < MODEL_QUEUES; i++) {
        uint16_t size_max = model->queues[i].size_max;
        model->queues[i] = (struct model_queue){
            .size = size_max, .size_max = size_max, .vector = VIRTIO_NO_VECTOR_INDEX};
    }
    if (model->was_reset != NULL)
        model->was_reset(model);
}

static void write_status(struct model *model, uint8_t status)
{
    if (status == 0) {
        reset(model);
        return;
    }
    MODEL_CHECK((status & model->status) == model->status); // bits are only added
    MODEL_CHECK(!(status & DRIVER) || (status & ACKNOWLEDGE));
    MODEL_CHECK(!(status & DRIVER_OK) || (status & DRIVER));
    if (model->kind == MODEL_LEGACY)
        MODEL_CHECK(!(status & FEATURES_OK));
    else if ((status & DRIVER_OK) && !(model->status & DRIVER_OK))
        MODEL_CHECK(model->status & FEATURES_OK);
    if (model->refuses_features)
        status &= (uint8_t)~FEATURES_OK;
    model->status = status;
}

static void notify(struct model *model, unsigned queue)
{
    MODEL_CHECK(model->status & DRIVER_OK);
    MODEL_CHECK(queue < MODEL_QUEUES && model->queues[queue].enabled);
    model->notifications++;
    if (model->notified != NULL)
        model->notified(model, queue);
}

void model_config_changed(struct model *model)
{
    model->generation++;
    model->interrupt_status |= VIRTIO_INTERRUPT_CONFIG;
    model->interrupts++;
}

static struct model_queue *selected(struct model *model)
{
    static struct model_queue none;

    none = (struct model_queue){0};
    return model->queue_select < MODEL_QUEUES ? &model->queues[model->queue_select] : &none;
}

static uint16_t accept_vector(const struct model *model, uint32_t vector)
{
    return vector < model->vectors ? (uint16_t)vector : VIRTIO_NO_VECTOR_INDEX;
}

// --- Modern ------------------------------------------------------------------------

static uint32_t read_common(struct model *model, uint32_t offset, uint32_t width)
{
    const struct model_queue *queue = selected(model);

    switch (offset << 4 | width) {
    case 0x044:
        return model->device_select < 2 ? (uint32_t)(model->offered >> 32 * model->device_select)
                                        : 0;
    case 0x102:
        return model->config_vector;
    case 0x122:
        return MODEL_QUEUES;
    case 0x141:
        return model->status;
    case 0x151:
        return model->generation;
    case 0x182:
        return queue->size;
    case 0x1a2:
        return queue->vector;
    case 0x1c2:
        return queue->enabled;
    case 0x1e2:
        return model->queue_select;
    default:
        model_fail(__FILE__, __LINE__, "no such register to be read");
    }
}

static void set_half(uint64_t *address, uint32_t offset, uint32_t value)
{
    unsigned shift = offset % 8 * 8;

    *address = (*address & ~(0xffffffffull << shift)) | (uint64_t)value << shift;
}

static void write_queue(struct model *model, uint32_t offset, uint32_t width, uint32_t value)
{
    struct model_queue *queue = selected(model);

    MODEL_CHECK(queue->size_max != 0 && !queue->enabled && !(model->status & DRIVER_OK));
    MODEL_CHECK(model->status & FEATURES_OK);
    switch (offset << 4 | width) {
    case 0x182:
        MODEL_CHECK(value != 0 && value <= queue->size_max && (value & (value - 1)) == 0);
        queue->size = (uint16_t)value;
        return;
    case 0x1a2:
        queue->vector = accept_vector(model, value);
        return;
    case 0x1c2:
        MODEL_CHECK(value == 1);
        MODEL_CHECK(queue->descriptors % 16 == 0 && queue->used % 4 == 0);
        (void)model_at(model, queue->descriptors, queue->size * 16u);
        (void)model_at(model, queue->available, queue->size * 2u + 6);
        (void)model_at(model, queue->used, queue->size * 8u + 6);
        queue->enabled = true;
        return;
    case 0x204:
    case 0x244:
        set_half(&queue->descriptors, offset, value);
        return;
    case 0x284:
    case 0x2c4:
        set_half(&queue->available, offset, value);
        return;
    case 0x304:
    case 0x344:
        set_half(&queue->used, offset, value);
        return;
    default:
        model_fail(__FILE__, __LINE__, "no such register of a queue to be written");
    }
}

static void write_common(struct model *model, uint32_t offset, uint32_t width, uint32_t value)
{
    switch (offset << 4 | width) {
    case 0x004:
        model->device_select = value;
        return;
    case 0x084:
        model->driver_select = value;
        return;
    case 0x0c4:
        MODEL_CHECK(model->driver_select < 2 && !(model->status & FEATURES_OK));
        set_half(&model->accepted, model->driver_select * 4, value);
        MODEL_CHECK((model->accepted & ~model->offered) == 0);
        return;
    case 0x102:
        model->config_vector = accept_vector(model, value);
        return;
    case 0x141:
        write_status(model, (uint8_t)value);
        return;
    case 0x162:
        model->queue_select = (uint16_t)value;
        return;
    default:
        write_queue(model, offset, width, value);
    }
}

static uint32_t read_config_bytes(struct model *model, uint32_t offset, uint32_t width)
{
    uint32_t value = 0;

    MODEL_CHECK(offset + width <= MODEL_CONFIG);
    memcpy(&value, model->config + offset, width);
    if (model->config_was_read != NULL)
        model->config_was_read(model);
    return value;
}

static uint8_t take_interrupt_status(struct model *model)
{
    uint8_t status = model->interrupt_status;

    model->interrupt_status = 0;
    return status;
}

static uint32_t read_modern(struct model *model, uint32_t offset, uint32_t width)
{
    uint32_t inside = offset % BLOCK_BYTES;

    switch (offset - inside) {
    case COMMON_AT:
        return read_common(model, inside, width);
    case INTERRUPT_AT:
        MODEL_CHECK(inside == 0 && width == 1);
        return take_interrupt_status(model);
    case CONFIG_AT:
        return read_config_bytes(model, inside, width);
    default:
        model_fail(__FILE__, __LINE__, "notification registers are not read");
    }
}

static void write_modern(struct model *model, uint32_t offset, uint32_t width, uint32_t value)
{
    uint32_t inside = offset % BLOCK_BYTES;

    if (offset - inside == COMMON_AT) {
        write_common(model, inside, width, value);
        return;
    }
    MODEL_CHECK(offset - inside == NOTIFY_AT && width == 2);
    MODEL_CHECK(inside == value * model->notify_multiplier);
    notify(model, value);
}

// --- Legacy ------------------------------------------------------------------------

static uint32_t legacy_config_at(const struct model *model)
{
    return model->msix ? 24 : 20;
}

static uint32_t read_legacy(struct model *model, uint32_t offset, uint32_t width)
{
    const struct model_queue *queue = selected(model);

    if (offset >= legacy_config_at(model))
        return read_config_bytes(model, offset - legacy_config_at(model), width);
    switch (offset << 4 | width) {
    case 0x004:
        return (uint32_t)model->offered;
    case 0x084:
        return queue->enabled ? (uint32_t)(queue->descriptors >> 12) : 0;
    case 0x0c2:
        return queue->size_max;
    case 0x121:
        return model->status;
    case 0x131:
        return take_interrupt_status(model);
    case 0x142:
        return model->config_vector;
    case 0x162:
        return queue->vector;
    default:
        model_fail(__FILE__, __LINE__, "no such port to be read");
    }
}

static void place_legacy_queue(struct model *model, uint32_t frame)
{
    struct model_queue *queue = selected(model);
    uint64_t end;

    MODEL_CHECK(queue->size_max != 0 && !queue->enabled && frame != 0);
    queue->descriptors = (uint64_t)frame << 12;
    queue->available = queue->descriptors + 16u * queue->size;
    end = queue->available + 6 + 2u * queue->size;
    queue->used = (end + 4095) / 4096 * 4096;
    queue->enabled = true;
}

static void write_legacy(struct model *model, uint32_t offset, uint32_t width, uint32_t value)
{
    MODEL_CHECK(offset < legacy_config_at(model));
    switch (offset << 4 | width) {
    case 0x044:
        MODEL_CHECK((value & ~model->offered) == 0);
        model->accepted = value;
        return;
    case 0x084:
        place_legacy_queue(model, value);
        return;
    case 0x0e2:
        model->queue_select = (uint16_t)value;
        return;
    case 0x102:
        notify(model, value);
        return;
    case 0x121:
        write_status(model, (uint8_t)value);
        return;
    case 0x142:
        model->config_vector = accept_vector(model, value);
        return;
    case 0x162:
        selected(model)->vector = accept_vector(model, value);
        return;
    default:
        model_fail(__FILE__, __LINE__, "no such port to be written");
    }
}

// --- The platform ------------------------------------------------------------------

static uint32_t platform_read_config(void *context, uint32_t offset)
{
    struct model *model = context;
    uint32_t value;

    MODEL_CHECK(offset <= 252 && offset % 4 == 0);
    memcpy(&value, model->space + offset, sizeof value);
    return value;
}

static bool platform_open_bar(void *context, uint32_t bar, uint64_t *bytes, bool *ports)
{
    struct model *model = context;

    *bytes = bar < 6 ? model->bar_bytes[bar] : 0;
    *ports = bar == BAR_LEGACY;
    return *bytes != 0;
}

static uint32_t platform_read(void *context, uint32_t bar, uint32_t offset, uint32_t width)
{
    struct model *model = context;
    uint32_t value;

    MODEL_CHECK(bar < 6 && offset % width == 0 && offset + width <= model->bar_bytes[bar]);
    if (bar == BAR_MODERN)
        value = read_modern(model, offset, width);
    else
        value = read_legacy(model, offset, width);
    bool is_status = (bar == BAR_MODERN && offset == 0x14) || (bar == BAR_LEGACY && offset == 0x12);
    return is_status && model->never_resets ? value | 1 : value;
}

static void platform_write(void *context, uint32_t bar, uint32_t offset, uint32_t width,
                           uint32_t value)
{
    struct model *model = context;

    MODEL_CHECK(bar < 6 && offset % width == 0 && offset + width <= model->bar_bytes[bar]);
    if (bar == BAR_MODERN)
        write_modern(model, offset, width, value);
    else
        write_legacy(model, offset, width, value);
}

static void platform_pause(void *context)
{
    struct model *model = context;

    model->pauses++;
}

struct virtio_platform model_platform(struct model *model)
{
    return (struct virtio_platform){
        .read_config = platform_read_config,
        .open_bar = platform_open_bar,
        .read = platform_read,
        .write = platform_write,
        .pause = platform_pause,
        .context = model,
    };
}

// --- Configuration space -----------------------------------------------------------

static void put32(struct model *model, unsigned offset, uint32_t value)
{
    memcpy(model->space + offset, &value, sizeof value);
}

static unsigned put_capability(struct model *model, unsigned at, unsigned type, unsigned bytes,
                               uint32_t offset, uint32_t length, bool last)
{
    put32(model, at, 9u | (last ? 0 : at + bytes) << 8 | bytes << 16 | type << 24);
    put32(model, at + 4, BAR_MODERN);
    put32(model, at + 8, offset);
    put32(model, at + 12, length);
    return at + bytes;
}

static void put_capabilities(struct model *model)
{
    unsigned at = 0x40;

    put32(model, 0x04, 1u << 20);
    put32(model, 0x34, at);
    at = put_capability(model, at, 1, 16, COMMON_AT, 0x38, false);
    at = put_capability(model, at, 3, 16, INTERRUPT_AT, 1, false);
    at = put_capability(model, at, 4, 16, CONFIG_AT, MODEL_CONFIG, false);
    put_capability(model, at, 2, 20, NOTIFY_AT, BLOCK_BYTES, true);
    put32(model, at + 16, model->notify_multiplier);
}

void model_initialize(struct model *model, enum model_kind kind, uint16_t type, uint64_t offered,
                      unsigned queues, uint16_t queue_size)
{
    memset(model, 0, sizeof *model);
    model->kind = kind;
    model->type = type;
    model->offered = offered | (kind == MODEL_LEGACY ? 0 : VIRTIO_F_VERSION_1);
    model->notify_multiplier = 4;
    model->vectors = 4;
    model->next_bus = BUS_START;
    MODEL_CHECK(queues <= MODEL_QUEUES);
    for (unsigned i = 0; i < queues; i++)
        model->queues[i].size_max = queue_size;
    put32(model, 0x00, 0x1af4u | (kind == MODEL_MODERN ? 0x1040u + type : 0x1000u) << 16);
    put32(model, 0x2c, 0x1af4u | (uint32_t)type << 16);
    if (kind != MODEL_LEGACY) {
        model->bar_bytes[BAR_MODERN] = BAR_MODERN_BYTES;
        put_capabilities(model);
    }
    if (kind != MODEL_MODERN)
        model->bar_bytes[BAR_LEGACY] = BAR_LEGACY_BYTES;
    reset(model);
    model->resets = 0;
}
