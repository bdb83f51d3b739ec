// SPDX-License-Identifier: BSD-2-Clause
// Virtual I/O Device 1.1, section 5.2. Each request in flight has an area of
// shared memory for its header and status, and for an indirect table; what is to
// be known when it completes is kept apart from that.
#include "block.h"

#define F_SIZE_MAX     (1ull << 1)
#define F_SEG_MAX      (1ull << 2)
#define F_READ_ONLY    (1ull << 5)
#define F_BLOCK_SIZE   (1ull << 6)
#define F_FLUSH        (1ull << 9)
#define F_TOPOLOGY     (1ull << 10)
#define F_DISCARD      (1ull << 13)
#define F_WRITE_ZEROES (1ull << 14)
#define WANTED                                                                                     \
    (F_SIZE_MAX | F_SEG_MAX | F_READ_ONLY | F_BLOCK_SIZE | F_FLUSH | F_TOPOLOGY | F_DISCARD |      \
     F_WRITE_ZEROES)

// Section 5.2.4.
enum config {
    CAPACITY = 0,
    SIZE_MAX_ = 8,
    SEG_MAX = 12,
    BLOCK_SIZE = 20,
    PHYSICAL_BLOCK_EXPONENT = 24,
    OPTIMAL_BLOCKS = 28,
    DISCARD_SECTORS = 36,
    DISCARD_ALIGNMENT = 44,
    WRITE_ZEROES_SECTORS = 48,
    WRITE_ZEROES_MAY_UNMAP = 56,
};

#define STATUS_OK          0u
#define STATUS_IO          1u
#define STATUS_UNSUPPORTED 2u
#define STATUS_NONE        0xffu // what is there before the device writes

#define QUEUE               0
#define QUEUE_SIZE_WANTED   256u
#define HEADER_SEGMENTS     2u // header and status, around the data
#define BLOCK_BYTES_MAX     65536u
#define PHYSICAL_EXPONENT   16u
#define AREA_ALIGNMENT      64u
#define RANGE_UNMAP         1u
#define SEGMENTS_MAX_ALWAYS 1u // what a device takes that names no limit (section 5.2.5)

// What the device sees of a request: the header, for DISCARD and WRITE_ZEROES the
// range, the status.
struct virtio_block_area {
    uint32_t operation;
    uint32_t reserved;
    uint64_t sector;
    uint64_t range_sector;
    uint32_t range_sectors;
    uint32_t range_flags;
    uint8_t status;
    uint8_t padding[15];
    struct virtqueue_descriptor table[];
};
_Static_assert(sizeof(struct virtio_block_area) == 48, "the table is aligned to 16");

struct virtio_block_slot {
    void *cookie;
    uint32_t written; // bytes that the device writes when all goes well
    uint16_t number;
    struct virtio_block_slot *next; // free
};

// --- Opening -----------------------------------------------------------------------

static bool is_power_of_two(uint32_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

static uint32_t limit_of(struct virtio_device *device, uint32_t offset)
{
    uint32_t limit = (uint32_t)virtio_read(device, offset, 4);

    return limit == 0 ? VIRTIO_BLOCK_UNLIMITED : limit;
}

static void read_geometry(struct virtio_device *device, void *context)
{
    struct virtio_block_geometry *geometry = context;
    uint32_t exponent = 0;

    *geometry = (struct virtio_block_geometry){
        .sectors = virtio_read(device, CAPACITY, 8),
        .block_bytes = VIRTIO_BLOCK_SECTOR_BYTES,
        .segment_bytes_max = VIRTIO_BLOCK_UNLIMITED,
        .segments_max = SEGMENTS_MAX_ALWAYS,
        .read_only = virtio_has(device, F_READ_ONLY),
        .flush = virtio_has(device, F_FLUSH),
        .discard = virtio_has(device, F_DISCARD),
        .write_zeroes = virtio_has(device, F_WRITE_ZEROES),
    };
    if (virtio_has(device, F_BLOCK_SIZE))
        geometry->block_bytes = (uint32_t)virtio_read(device, BLOCK_SIZE, 4);
    if (virtio_has(device, F_SIZE_MAX))
        geometry->segment_bytes_max = limit_of(device, SIZE_MAX_);
    if (virtio_has(device, F_SEG_MAX))
        geometry->segments_max = limit_of(device, SEG_MAX);
    if (virtio_has(device, F_TOPOLOGY)) {
        exponent = (uint32_t)virtio_read(device, PHYSICAL_BLOCK_EXPONENT, 1);
        geometry->optimal_blocks = (uint32_t)virtio_read(device, OPTIMAL_BLOCKS, 4);
    }
    geometry->physical_block_bytes = geometry->block_bytes;
    if (exponent <= PHYSICAL_EXPONENT && geometry->block_bytes <= BLOCK_BYTES_MAX)
        geometry->physical_block_bytes <<= exponent;
    if (geometry->discard) {
        geometry->discard_sectors_max = limit_of(device, DISCARD_SECTORS);
        geometry->discard_alignment_sectors = (uint32_t)virtio_read(device, DISCARD_ALIGNMENT, 4);
    }
    if (geometry->write_zeroes) {
        geometry->write_zeroes_sectors_max = limit_of(device, WRITE_ZEROES_SECTORS);
        geometry->write_zeroes_may_unmap = virtio_read(device, WRITE_ZEROES_MAY_UNMAP, 1) != 0;
    }
}

static bool geometry_makes_sense(const struct virtio_block_geometry *geometry)
{
    return is_power_of_two(geometry->block_bytes) &&
           geometry->block_bytes >= VIRTIO_BLOCK_SECTOR_BYTES &&
           geometry->block_bytes <= BLOCK_BYTES_MAX &&
           geometry->segment_bytes_max >= VIRTIO_BLOCK_SECTOR_BYTES &&
           geometry->sectors <= ~0ull / VIRTIO_BLOCK_SECTOR_BYTES;
}

static enum virtio_error agree(struct virtio_block *block, uint64_t needed)
{
    enum virtio_error error = virtio_begin(block->device, WANTED, needed);

    if (error == VIRTIO_OK)
        error = virtio_read_stable(block->device, read_geometry, &block->geometry);
    if (error == VIRTIO_OK && !geometry_makes_sense(&block->geometry))
        error = VIRTIO_BAD_CONFIGURATION;
    return error;
}

static uint16_t smaller(uint32_t a, uint32_t b)
{
    return (uint16_t)(a < b ? a : b);
}

enum virtio_error virtio_block_open(struct virtio_block *block, struct virtio_device *device,
                                    uint16_t requests, uint16_t segments)
{
    *block = (struct virtio_block){.device = device};
    if (device->type != VIRTIO_TYPE_BLOCK)
        return VIRTIO_NO_DEVICE;
    if (requests == 0 || segments == 0)
        return VIRTIO_INVALID;
    enum virtio_error error = agree(block, 0);
    if (error != VIRTIO_OK)
        return error;
    block->queue_size = virtio_queue_size(device, QUEUE, QUEUE_SIZE_WANTED);
    if (block->queue_size <= HEADER_SEGMENTS)
        return VIRTIO_NO_QUEUE;
    // A chain is never longer than the queue, indirect or not (section 2.6.5.3.1).
    block->segments_max = smaller(segments, block->queue_size - HEADER_SEGMENTS);
    block->segments_max = smaller(block->segments_max, block->geometry.segments_max);
    block->requests_max = smaller(requests, block->queue_size);
    return VIRTIO_OK;
}

// --- Memory ------------------------------------------------------------------------

static size_t area_bytes(const struct virtio_block *block)
{
    size_t descriptors = block->segments_max + HEADER_SEGMENTS;

    return virtio_align(sizeof(struct virtio_block_area) +
                            descriptors * sizeof(struct virtqueue_descriptor),
                        AREA_ALIGNMENT);
}

size_t virtio_block_shared_bytes(const struct virtio_block *block)
{
    return virtqueue_shared_bytes(block->queue_size) + block->requests_max * area_bytes(block);
}

size_t virtio_block_own_bytes(const struct virtio_block *block)
{
    return virtqueue_own_bytes(block->queue_size) +
           block->requests_max * sizeof(struct virtio_block_slot) +
           (block->segments_max + HEADER_SEGMENTS) * sizeof(struct virtio_segment);
}

static void lay_out(struct virtio_block *block)
{
    uint8_t *shared = block->memory.shared, *own = block->memory.own;
    size_t ring = virtqueue_shared_bytes(block->queue_size);

    virtqueue_initialize(&block->queue, QUEUE, block->queue_size,
                         virtio_queue_options(block->device), shared, block->memory.shared_bus,
                         own);
    block->area_bytes = area_bytes(block);
    block->areas = shared + ring;
    block->areas_bus = block->memory.shared_bus + ring;
    own += virtqueue_own_bytes(block->queue_size);
    block->slots = (void *)own;
    block->segments = (void *)(own + block->requests_max * sizeof block->slots[0]);
    block->free = NULL;
    for (uint16_t i = block->requests_max; i-- > 0;) {
        block->slots[i] = (struct virtio_block_slot){.number = i, .next = block->free};
        block->free = &block->slots[i];
    }
}

static enum virtio_error run(struct virtio_block *block)
{
    lay_out(block);
    enum virtio_error error = virtio_start_queue(block->device, &block->queue);
    return error == VIRTIO_OK ? virtio_run(block->device) : error;
}

enum virtio_error virtio_block_start(struct virtio_block *block, const struct virtio_memory *memory)
{
    block->memory = *memory;
    if (memory->shared_bytes < virtio_block_shared_bytes(block) ||
        memory->own_bytes < virtio_block_own_bytes(block))
        return VIRTIO_NO_MEMORY;
    return run(block);
}

// --- Requests ----------------------------------------------------------------------

static struct virtio_block_area *area_of(const struct virtio_block *block, uint32_t number)
{
    return (void *)(block->areas + number * block->area_bytes);
}

static bool is_range(enum virtio_block_operation operation)
{
    return operation == VIRTIO_BLOCK_DISCARD || operation == VIRTIO_BLOCK_WRITE_ZEROES;
}

// Adds up the data. INVALID when there is too much of it, or in parts too large.
static enum virtio_error sum_segments(const struct virtio_block *block,
                                      const struct virtio_block_request *request, uint32_t *bytes)
{
    uint64_t sum = 0;

    if (request->count > block->segments_max)
        return VIRTIO_INVALID;
    for (uint32_t i = 0; i < request->count; i++) {
        if (request->segments[i].bytes > block->geometry.segment_bytes_max)
            return VIRTIO_INVALID;
        sum += request->segments[i].bytes;
    }
    *bytes = (uint32_t)sum;
    return sum < 0xffffffffu ? VIRTIO_OK : VIRTIO_INVALID; // with room for the status
}

static enum virtio_error check_place(const struct virtio_block *block, uint64_t sector,
                                     uint64_t sectors)
{
    uint64_t unit = block->geometry.block_bytes / VIRTIO_BLOCK_SECTOR_BYTES;

    if (sectors == 0 || sector % unit != 0 || sectors % unit != 0 ||
        sector > block->geometry.sectors || sectors > block->geometry.sectors - sector)
        return VIRTIO_INVALID;
    return VIRTIO_OK;
}

static enum virtio_error check_range(const struct virtio_block *block,
                                     const struct virtio_block_request *request)
{
    bool discard = request->operation == VIRTIO_BLOCK_DISCARD;
    const struct virtio_block_geometry *geometry = &block->geometry;

    if (!(discard ? geometry->discard : geometry->write_zeroes))
        return VIRTIO_NOT_SUPPORTED;
    if (geometry->read_only)
        return VIRTIO_READ_ONLY;
    if (request->sectors >
            (discard ? geometry->discard_sectors_max : geometry->write_zeroes_sectors_max) ||
        request->count != 0)
        return VIRTIO_INVALID;
    return check_place(block, request->sector, request->sectors);
}

static enum virtio_error check_request(const struct virtio_block *block,
                                       const struct virtio_block_request *request, uint32_t *bytes)
{
    enum virtio_error error = sum_segments(block, request, bytes);

    if (error != VIRTIO_OK)
        return error;
    switch (request->operation) {
    case VIRTIO_BLOCK_WRITE:
        if (block->geometry.read_only)
            return VIRTIO_READ_ONLY;
        __attribute__((__fallthrough__));
    case VIRTIO_BLOCK_READ:
        if (*bytes % VIRTIO_BLOCK_SECTOR_BYTES != 0)
            return VIRTIO_INVALID;
        return check_place(block, request->sector, *bytes / VIRTIO_BLOCK_SECTOR_BYTES);
    case VIRTIO_BLOCK_FLUSH:
        if (!block->geometry.flush)
            return VIRTIO_NOT_SUPPORTED;
        return request->count == 0 ? VIRTIO_OK : VIRTIO_INVALID;
    case VIRTIO_BLOCK_IDENTIFY:
        return *bytes == VIRTIO_BLOCK_ID_BYTES ? VIRTIO_OK : VIRTIO_INVALID;
    case VIRTIO_BLOCK_DISCARD:
    case VIRTIO_BLOCK_WRITE_ZEROES:
        return check_range(block, request);
    default:
        return VIRTIO_INVALID;
    }
}

static void fill_area(struct virtio_block_area *area, const struct virtio_block_request *request)
{
    bool range = is_range(request->operation);
    bool placed = range || request->operation == VIRTIO_BLOCK_READ ||
                  request->operation == VIRTIO_BLOCK_WRITE;

    area->operation = request->operation;
    area->reserved = 0;
    area->sector = placed && !range ? request->sector : 0;
    area->range_sector = request->sector;
    area->range_sectors = request->sectors;
    area->range_flags =
        request->operation == VIRTIO_BLOCK_WRITE_ZEROES && request->unmap ? RANGE_UNMAP : 0;
    area->status = STATUS_NONE;
}

// Header, data, status; the range of a DISCARD takes the place of data.
static void build_chain(struct virtio_block *block, const struct virtio_block_request *request,
                        struct virtio_block_slot *slot, struct virtqueue_chain *chain)
{
    struct virtio_block_area *area = area_of(block, slot->number);
    uint64_t bus = block->areas_bus + slot->number * block->area_bytes;
    struct virtio_segment *segments = block->segments;
    uint16_t count = 0;

    segments[count++] =
        (struct virtio_segment){bus, offsetof(struct virtio_block_area, range_sector)};
    for (uint16_t i = 0; i < request->count; i++)
        segments[count++] = request->segments[i];
    if (is_range(request->operation))
        segments[count++] =
            (struct virtio_segment){bus + offsetof(struct virtio_block_area, range_sector), 16};
    segments[count++] =
        (struct virtio_segment){bus + offsetof(struct virtio_block_area, status), 1};
    bool reads = slot->written > 1;
    *chain = (struct virtqueue_chain){
        .segments = segments,
        .readable = reads ? 1 : (uint16_t)(count - 1),
        .writable = reads ? (uint16_t)(count - 1) : 1,
        .cookie = slot,
        .table = area->table,
        .table_bus = bus + offsetof(struct virtio_block_area, table),
    };
}

enum virtio_error virtio_block_submit(struct virtio_block *block,
                                      const struct virtio_block_request *request)
{
    struct virtio_block_slot *slot = block->free;
    struct virtqueue_chain chain;
    uint32_t bytes;
    enum virtio_error error = check_request(block, request, &bytes);

    if (error != VIRTIO_OK)
        return error;
    if (virtio_block_is_broken(block))
        return VIRTIO_BROKEN;
    if (slot == NULL)
        return VIRTIO_FULL;
    bool reads =
        request->operation == VIRTIO_BLOCK_READ || request->operation == VIRTIO_BLOCK_IDENTIFY;
    slot->written = 1 + (reads ? bytes : 0);
    fill_area(area_of(block, slot->number), request);
    build_chain(block, request, slot, &chain);
    error = virtqueue_add_chain(&block->queue, &chain);
    if (error != VIRTIO_OK)
        return error;
    block->free = slot->next;
    slot->cookie = request->cookie;
    block->counters.submitted++;
    return VIRTIO_OK;
}

void virtio_block_commit(struct virtio_block *block)
{
    virtio_kick(block->device, &block->queue);
}

// --- Completions ---------------------------------------------------------------------

static void free_slot(struct virtio_block *block, struct virtio_block_slot *slot)
{
    slot->next = block->free;
    block->free = slot;
}

static enum virtio_error judge(struct virtio_block *block, const struct virtio_block_slot *slot,
                               const struct virtqueue_completion *completion)
{
    const uint8_t *status_byte = &area_of(block, slot->number)->status;
    uint8_t status = __atomic_load_n(status_byte, __ATOMIC_RELAXED);
    // Legacy devices are known to tell too little.
    bool too_short = block->device->transport->modern && completion->bytes < slot->written;

    if (status == STATUS_OK && !completion->bad_length && !too_short)
        return VIRTIO_OK;
    block->counters.errors++;
    if (status == STATUS_OK)
        block->counters.bad_lengths++;
    else if (status == STATUS_UNSUPPORTED)
        return VIRTIO_NOT_SUPPORTED;
    else if (status != STATUS_IO)
        block->counters.bad_statuses++;
    return VIRTIO_IO;
}

bool virtio_block_complete(struct virtio_block *block, struct virtio_block_completion *completion)
{
    struct virtqueue_completion taken;

    if (!virtqueue_take(&block->queue, &taken))
        return false;
    struct virtio_block_slot *slot = taken.cookie;
    completion->cookie = slot->cookie;
    completion->error = judge(block, slot, &taken);
    free_slot(block, slot);
    return true;
}

// --- When it goes wrong ----------------------------------------------------------------

enum virtio_error virtio_block_stop(struct virtio_block *block)
{
    return virtio_reset(block->device);
}

bool virtio_block_take_back(struct virtio_block *block, struct virtio_block_completion *completion)
{
    struct virtio_block_slot *slot = virtqueue_give_back(&block->queue);

    if (slot == NULL)
        return false;
    completion->cookie = slot->cookie;
    completion->error = VIRTIO_BROKEN;
    free_slot(block, slot);
    return true;
}

enum virtio_error virtio_block_restart(struct virtio_block *block)
{
    uint64_t features = block->device->features;
    struct virtio_block_geometry before = block->geometry;
    enum virtio_error error = agree(block, features);

    if (error != VIRTIO_OK)
        return error;
    // What was promised to the caller must still hold; a disk may have grown.
    if (block->device->features != features || block->geometry.segments_max < before.segments_max ||
        block->geometry.segment_bytes_max < before.segment_bytes_max ||
        block->geometry.block_bytes != before.block_bytes ||
        virtio_queue_size(block->device, QUEUE, QUEUE_SIZE_WANTED) != block->queue_size)
        return VIRTIO_NO_FEATURE;
    return run(block);
}

static void read_capacity(struct virtio_device *device, void *context)
{
    *(uint64_t *)context = virtio_read(device, CAPACITY, 8);
}

enum virtio_error virtio_block_update_capacity(struct virtio_block *block)
{
    uint64_t sectors = 0;
    enum virtio_error error = virtio_read_stable(block->device, read_capacity, &sectors);

    if (error == VIRTIO_OK && sectors > ~0ull / VIRTIO_BLOCK_SECTOR_BYTES)
        error = VIRTIO_BAD_CONFIGURATION;
    if (error == VIRTIO_OK)
        block->geometry.sectors = sectors;
    return error;
}
