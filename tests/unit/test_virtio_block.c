// SPDX-License-Identifier: BSD-2-Clause
// sources: lib/virtio/block.c lib/virtio/device.c lib/virtio/pci.c lib/virtio/pci_legacy.c
// sources: lib/virtio/virtqueue.c tests/unit/virtio/model.c tests/unit/virtio/model_pci.c
// sources: tests/unit/virtio/model_block.c
// The block device against a disk in memory: what it says of itself, each
// operation, errors, a device that lies and is started again, and random requests
// compared with a plain array.
//
//   test_virtio_block [SEED [OPERATIONS]]
#include "lib/virtio/block.h"
#include "tap.h"
#include "virtio/model_block.h"

#include <string.h>

#define REQUESTS    24
#define SEGMENTS    6
#define DATA_BYTES  (64u * 1024)
#define QUEUE_SIZE  64
#define RINGS       (VIRTIO_F_INDIRECT | VIRTIO_F_EVENT_INDEX)
#define RANDOM_JOBS 20

static struct block_model disk;
static struct virtio_device device;
static struct virtio_block block;
static struct virtio_memory memory;
static uint8_t *data;
static uint64_t data_bus;

static void close_disk(void)
{
    model_memory_free(&memory);
    block_model_destroy(&disk);
}

static enum virtio_error open_disk(void)
{
    struct virtio_platform platform = model_platform(&disk.model);

    MODEL_CHECK(virtio_pci_open(&device, &platform) == VIRTIO_OK);
    return virtio_block_open(&block, &device, REQUESTS, SEGMENTS);
}

static enum virtio_error start_disk(void)
{
    memory = model_memory(&disk.model, virtio_block_shared_bytes(&block),
                          virtio_block_own_bytes(&block));
    data = model_share(&disk.model, DATA_BYTES, &data_bus);
    return virtio_block_start(&block, &memory);
}

static void begin(enum model_kind kind, uint64_t features)
{
    block_model_initialize(&disk, kind, features, QUEUE_SIZE);
    MODEL_CHECK(open_disk() == VIRTIO_OK && start_disk() == VIRTIO_OK);
}

// --- One request at a time -----------------------------------------------------------

static enum virtio_error submit(enum virtio_block_operation operation, uint64_t sector,
                                uint32_t sectors, uint32_t bytes, void *cookie)
{
    struct virtio_segment segments[2] = {
        {.bus = data_bus, .bytes = bytes / 2 + bytes % 2},
        {.bus = data_bus + DATA_BYTES / 2, .bytes = bytes / 2},
    };
    struct virtio_block_request request = {
        .operation = operation,
        .sector = sector,
        .sectors = sectors,
        .segments = segments,
        .count = (uint16_t)(bytes == 0 ? 0 : 2),
        .cookie = cookie,
    };
    return virtio_block_submit(&block, &request);
}

// Its outcome, whether it is refused at once or fails later.
static enum virtio_error perform(enum virtio_block_operation operation, uint64_t sector,
                                 uint32_t sectors, uint32_t bytes)
{
    struct virtio_block_completion completion = {0};
    unsigned interrupts = disk.model.interrupts;
    enum virtio_error error = submit(operation, sector, sectors, bytes, &completion);

    if (error != VIRTIO_OK)
        return error;
    virtio_block_commit(&block);
    block_model_work(&disk);
    MODEL_CHECK(disk.model.interrupts == interrupts + 1);
    if (!virtio_block_complete(&block, &completion))
        return VIRTIO_BROKEN;
    MODEL_CHECK(completion.cookie == &completion && !virtio_block_complete(&block, &completion));
    return completion.error;
}

static void test_operations(enum model_kind kind, uint64_t rings, const char *name)
{
    printf("# %s\n", name);
    begin(kind, BLOCK_F_ALL | rings);
    memset(data, 0xa1, 512);
    memset(data + DATA_BYTES / 2, 0xb2, 512);
    tap_ok(perform(VIRTIO_BLOCK_WRITE, 10, 0, 1024) == VIRTIO_OK && disk.disk[10 * 512] == 0xa1 &&
               disk.disk[12 * 512 - 1] == 0xb2 && disk.disk[12 * 512] == 0,
           "write");
    memset(disk.disk + 20 * 512, 0xc3, 1024);
    tap_ok(perform(VIRTIO_BLOCK_READ, 20, 0, 1024) == VIRTIO_OK && data[511] == 0xc3 &&
               data[512] == 0 && data[DATA_BYTES / 2] == 0xc3,
           "read");
    tap_ok(perform(VIRTIO_BLOCK_FLUSH, 0, 0, 0) == VIRTIO_OK && disk.flushes == 1, "flush");
    tap_ok(perform(VIRTIO_BLOCK_IDENTIFY, 0, 0, 20) == VIRTIO_OK &&
               memcmp(data, "model of a", 10) == 0 &&
               memcmp(data + DATA_BYTES / 2, " disk", 6) == 0,
           "identify");
    tap_ok(perform(VIRTIO_BLOCK_DISCARD, 16, 8, 0) == VIRTIO_OK && disk.discards == 1 &&
               disk.disk[16 * 512] == 0xdd && disk.disk[24 * 512] == 0,
           "discard");
    tap_ok(perform(VIRTIO_BLOCK_WRITE_ZEROES, 10, 1, 0) == VIRTIO_OK && disk.disk[10 * 512] == 0 &&
               disk.disk[11 * 512] == 0xb2,
           "write zeroes");
    tap_ok(perform(VIRTIO_BLOCK_READ, BLOCK_SECTORS - 2, 0, 1024) == VIRTIO_OK, "the last sector");
    close_disk();
}

static void test_refused(void)
{
    begin(MODEL_MODERN, BLOCK_F_ALL | RINGS);
    tap_ok(perform(VIRTIO_BLOCK_READ, BLOCK_SECTORS - 1, 0, 1024) == VIRTIO_INVALID,
           "refused: behind the end");
    tap_ok(perform(VIRTIO_BLOCK_WRITE, ~0ull, 0, 1024) == VIRTIO_INVALID, "refused: far behind it");
    tap_ok(perform(VIRTIO_BLOCK_READ, 0, 0, 1000) == VIRTIO_INVALID, "refused: part of a sector");
    tap_ok(perform(VIRTIO_BLOCK_READ, 0, 0, 0) == VIRTIO_INVALID, "refused: nothing");
    tap_ok(perform(VIRTIO_BLOCK_FLUSH, 0, 0, 512) == VIRTIO_INVALID, "refused: a flush with data");
    tap_ok(perform(VIRTIO_BLOCK_IDENTIFY, 0, 0, 512) == VIRTIO_INVALID,
           "refused: an identity of another length");
    tap_ok(perform(VIRTIO_BLOCK_DISCARD, 0, 129, 0) == VIRTIO_INVALID &&
               perform(VIRTIO_BLOCK_DISCARD, 0, 128, 0) == VIRTIO_OK,
           "refused: more than the device discards at once");
    tap_ok(perform(VIRTIO_BLOCK_WRITE_ZEROES, 0, 65, 0) == VIRTIO_INVALID,
           "refused: more than it writes zeroes at once");
    tap_ok(perform(VIRTIO_BLOCK_DISCARD, BLOCK_SECTORS, 1, 0) == VIRTIO_INVALID,
           "refused: a range behind the end");
    tap_ok(perform((enum virtio_block_operation)5, 0, 0, 512) == VIRTIO_INVALID,
           "refused: no such operation");
    struct virtio_segment segments[SEGMENTS + 1];
    for (unsigned i = 0; i <= SEGMENTS; i++)
        segments[i] = (struct virtio_segment){.bus = data_bus, .bytes = 512};
    struct virtio_block_request request = {.segments = segments, .count = SEGMENTS + 1};
    tap_ok(virtio_block_submit(&block, &request) == VIRTIO_INVALID, "refused: too many segments");
    close_disk();
    begin(MODEL_LEGACY, BLOCK_F_READ_ONLY | BLOCK_F_SEG_MAX);
    tap_ok(block.geometry.read_only && perform(VIRTIO_BLOCK_WRITE, 0, 0, 512) == VIRTIO_READ_ONLY &&
               perform(VIRTIO_BLOCK_READ, 0, 0, 512) == VIRTIO_OK,
           "refused: writing to a read-only disk");
    tap_ok(perform(VIRTIO_BLOCK_FLUSH, 0, 0, 0) == VIRTIO_NOT_SUPPORTED &&
               perform(VIRTIO_BLOCK_DISCARD, 0, 1, 0) == VIRTIO_NOT_SUPPORTED &&
               perform(VIRTIO_BLOCK_WRITE_ZEROES, 0, 1, 0) == VIRTIO_NOT_SUPPORTED,
           "refused: what the device does not offer");
    close_disk();
}

// --- What the device says of itself ------------------------------------------------------

static enum virtio_error open_with(uint64_t features, unsigned offset, uint32_t value)
{
    block_model_initialize(&disk, MODEL_MODERN, features, QUEUE_SIZE);
    block_model_set32(&disk, offset, value);
    enum virtio_error error = open_disk();
    block_model_destroy(&disk);
    return error;
}

static void test_geometry(void)
{
    begin(MODEL_MODERN, BLOCK_F_ALL);
    const struct virtio_block_geometry *geometry = &block.geometry;
    tap_ok(geometry->sectors == BLOCK_SECTORS && geometry->block_bytes == 512 &&
               geometry->physical_block_bytes == 4096 && geometry->optimal_blocks == 256 &&
               geometry->segments_max == QUEUE_SIZE - 2 && geometry->discard_sectors_max == 128 &&
               geometry->discard_alignment_sectors == 8 &&
               geometry->write_zeroes_sectors_max == 64 && geometry->write_zeroes_may_unmap &&
               geometry->segment_bytes_max == VIRTIO_BLOCK_UNLIMITED && !geometry->read_only,
           "geometry: all that is told");
    tap_ok(block.requests_max == REQUESTS && block.segments_max == SEGMENTS,
           "geometry: as many requests and segments as wanted");
    uint64_t more = BLOCK_SECTORS + 8;
    memcpy(disk.model.config, &more, sizeof more);
    model_config_changed(&disk.model);
    tap_ok(virtio_block_update_capacity(&block) == VIRTIO_OK && geometry->sectors == more,
           "geometry: a disk that grows");
    close_disk();
    tap_ok(open_with(BLOCK_F_ALL, 12, 3) == VIRTIO_OK && block.segments_max == 3,
           "geometry: fewer segments than wanted");
    tap_ok(open_with(0, 12, 50) == VIRTIO_OK && block.segments_max == 1,
           "geometry: one segment when nothing is told");
    tap_ok(open_with(BLOCK_F_ALL, 20, 0) == VIRTIO_BAD_CONFIGURATION &&
               open_with(BLOCK_F_ALL, 20, 1000) == VIRTIO_BAD_CONFIGURATION &&
               open_with(BLOCK_F_ALL, 20, 1u << 31) == VIRTIO_BAD_CONFIGURATION,
           "geometry: blocks of impossible sizes");
    tap_ok(open_with(BLOCK_F_ALL, 4, ~0u) == VIRTIO_BAD_CONFIGURATION,
           "geometry: an impossible capacity");
    tap_ok(open_with(BLOCK_F_ALL | BLOCK_F_SIZE_MAX, 8, 256) == VIRTIO_BAD_CONFIGURATION,
           "geometry: segments smaller than a sector");
    tap_ok(open_with(BLOCK_F_ALL, 24, 0xff) == VIRTIO_OK &&
               block.geometry.physical_block_bytes == 512,
           "geometry: an absurd physical block is not believed");
    block_model_initialize(&disk, MODEL_MODERN, BLOCK_F_ALL | BLOCK_F_SIZE_MAX, QUEUE_SIZE);
    block_model_set32(&disk, 8, 4096);
    block_model_set32(&disk, 20, 4096);
    MODEL_CHECK(open_disk() == VIRTIO_OK && start_disk() == VIRTIO_OK);
    tap_ok(perform(VIRTIO_BLOCK_READ, 8, 0, 8192) == VIRTIO_OK &&
               perform(VIRTIO_BLOCK_READ, 8, 0, 8194) == VIRTIO_INVALID &&
               perform(VIRTIO_BLOCK_READ, 8, 0, 1024) == VIRTIO_INVALID &&
               perform(VIRTIO_BLOCK_READ, 1, 0, 4096) == VIRTIO_INVALID,
           "geometry: its blocks and largest segments are kept to");
    memory.shared_bytes--;
    tap_ok(virtio_block_start(&block, &memory) == VIRTIO_NO_MEMORY, "too little memory");
    close_disk();
}

// --- Errors --------------------------------------------------------------------------

static void test_errors(enum model_kind kind)
{
    bool legacy = kind == MODEL_LEGACY;

    begin(kind, BLOCK_F_ALL | RINGS);
    disk.bad_sector = 100;
    tap_ok(perform(VIRTIO_BLOCK_READ, 99, 0, 1024) == VIRTIO_IO &&
               perform(VIRTIO_BLOCK_READ, 101, 0, 1024) == VIRTIO_OK && block.counters.errors == 1,
           "errors: a bad sector");
    disk.status_override = 2;
    tap_ok(perform(VIRTIO_BLOCK_FLUSH, 0, 0, 0) == VIRTIO_NOT_SUPPORTED, "errors: not supported");
    disk.status_override = 3;
    tap_ok(perform(VIRTIO_BLOCK_READ, 0, 0, 1024) == VIRTIO_IO && block.counters.bad_statuses == 1,
           "errors: a status there is not");
    disk.status_override = 0;
    disk.no_status = true;
    tap_ok(perform(VIRTIO_BLOCK_READ, 0, 0, 1024) == VIRTIO_IO && block.counters.bad_statuses == 2,
           "errors: a status that was never written");
    disk.no_status = false;
    disk.short_reads = true;
    tap_ok(perform(VIRTIO_BLOCK_READ, 0, 0, 1024) == (legacy ? VIRTIO_OK : VIRTIO_IO) &&
               block.counters.bad_lengths == !legacy,
           "errors: less was written than there is");
    close_disk();
}

static void test_full(uint64_t rings)
{
    struct virtio_block_completion completion;
    static uint8_t cookies[QUEUE_SIZE];
    unsigned count = 0;
    enum virtio_error error;

    begin(MODEL_MODERN, BLOCK_F_ALL | rings);
    while ((error = submit(VIRTIO_BLOCK_READ, 0, 0, 1024, &cookies[count])) == VIRTIO_OK)
        count++;
    unsigned expected = rings & VIRTIO_F_INDIRECT ? REQUESTS : QUEUE_SIZE / 4;
    tap_ok(error == VIRTIO_FULL && count == expected, "full: a request that finds no room");
    virtio_block_commit(&block);
    block_model_work(&disk);
    unsigned completed = 0;
    while (virtio_block_complete(&block, &completion))
        completed += completion.cookie == &cookies[completed] && completion.error == VIRTIO_OK;
    tap_ok(completed == count && submit(VIRTIO_BLOCK_READ, 0, 0, 1024, cookies) == VIRTIO_OK,
           "full: until others complete");
    close_disk();
}

// --- A device that lies ----------------------------------------------------------------

static void test_restart(enum model_kind kind)
{
    struct virtio_block_completion completion;
    static uint8_t cookies[8];
    unsigned back = 0;

    begin(kind, BLOCK_F_ALL | RINGS);
    for (unsigned i = 0; i < 8; i++)
        MODEL_CHECK(submit(VIRTIO_BLOCK_WRITE, i * 2, 0, 1024, &cookies[i]) == VIRTIO_OK);
    virtio_block_commit(&block);
    block_model_look(&disk);
    block_model_serve(&disk, 3);
    model_push_raw(&disk.model, 0, 63, 0, 2);
    tap_ok(virtio_block_complete(&block, &completion) && completion.cookie == &cookies[3] &&
               !virtio_block_complete(&block, &completion) && virtio_block_is_broken(&block),
           "restart: a lie after one good answer");
    tap_ok(submit(VIRTIO_BLOCK_READ, 0, 0, 512, cookies) == VIRTIO_BROKEN,
           "restart: nothing is taken then");
    tap_ok(virtio_block_stop(&block) == VIRTIO_OK && disk.held_count == 0, "restart: stopped");
    while (virtio_block_take_back(&block, &completion))
        back += completion.error == VIRTIO_BROKEN;
    tap_ok(back == 7, "restart: the others come back as broken");
    tap_ok(virtio_block_restart(&block) == VIRTIO_OK &&
               perform(VIRTIO_BLOCK_READ, 0, 0, 1024) == VIRTIO_OK,
           "restart: it works again");
    MODEL_CHECK(virtio_block_stop(&block) == VIRTIO_OK);
    disk.model.offered &= ~BLOCK_F_FLUSH;
    tap_ok(virtio_block_restart(&block) == VIRTIO_NO_FEATURE,
           "restart: not with a device that has become another");
    disk.model.offered |= BLOCK_F_FLUSH;
    block_model_set32(&disk, 12, 2);
    tap_ok(virtio_block_restart(&block) == VIRTIO_NO_FEATURE, "restart: or takes less");
    disk.model.never_resets = true;
    tap_ok(virtio_block_stop(&block) == VIRTIO_NO_RESET, "restart: a reset that does not end");
    close_disk();
}

// --- Random requests -------------------------------------------------------------------

struct job {
    bool busy;
    enum virtio_block_operation operation;
    uint64_t sector;
    uint32_t sectors;
    uint8_t *bytes;
    uint64_t bus;
};

static struct job jobs[RANDOM_JOBS];
static uint8_t mirror[sizeof disk.disk];
#define JOB_BYTES (DATA_BYTES / RANDOM_JOBS / 512 * 512)

static bool overlaps(const struct job *job)
{
    for (unsigned i = 0; i < RANDOM_JOBS; i++) {
        const struct job *other = &jobs[i];
        if (other != job && other->busy && other->operation != VIRTIO_BLOCK_FLUSH &&
            job->sector < other->sector + other->sectors &&
            other->sector < job->sector + job->sectors)
            return true;
    }
    return false;
}

// Cuts the job's data into segments of any sizes.
static uint16_t cut(struct model_random *random, const struct job *job,
                    struct virtio_segment *segments)
{
    uint32_t done = 0, bytes = job->sectors * 512;
    uint16_t count = 0;

    while (done < bytes) {
        uint32_t part =
            count == block.segments_max - 1 ? bytes - done : 1 + model_below(random, bytes - done);
        segments[count++] = (struct virtio_segment){.bus = job->bus + done, .bytes = part};
        done += part;
    }
    return count;
}

static bool start_job(struct model_random *random, struct job *job)
{
    static const enum virtio_block_operation operations[] = {
        VIRTIO_BLOCK_READ,    VIRTIO_BLOCK_READ,         VIRTIO_BLOCK_WRITE, VIRTIO_BLOCK_WRITE,
        VIRTIO_BLOCK_DISCARD, VIRTIO_BLOCK_WRITE_ZEROES, VIRTIO_BLOCK_FLUSH,
    };
    struct virtio_segment segments[SEGMENTS];
    uint16_t count = 0;

    job->operation = operations[model_below(random, 7)];
    job->sectors = 1 + model_below(random, JOB_BYTES / 512);
    job->sector = model_below(random, BLOCK_SECTORS - job->sectors + 1);
    if (overlaps(job))
        return true;
    for (uint32_t i = 0; i < job->sectors * 512; i++)
        job->bytes[i] = (uint8_t)model_random(random);
    if (job->operation <= VIRTIO_BLOCK_WRITE)
        count = cut(random, job, segments);
    struct virtio_block_request request = {
        .operation = job->operation,
        .sector = job->sector,
        .sectors = job->sectors,
        .unmap = model_below(random, 2),
        .segments = segments,
        .count = count,
        .cookie = job,
    };
    enum virtio_error error = virtio_block_submit(&block, &request);
    job->busy = error == VIRTIO_OK;
    return error == VIRTIO_OK || error == VIRTIO_FULL;
}

static bool end_job(struct job *job)
{
    size_t bytes = job->sectors * 512ull;
    uint8_t *at = mirror + job->sector * 512;

    MODEL_CHECK(job >= jobs && job < jobs + RANDOM_JOBS && job->busy);
    job->busy = false;
    switch (job->operation) {
    case VIRTIO_BLOCK_READ:
        return memcmp(job->bytes, at, bytes) == 0;
    case VIRTIO_BLOCK_WRITE:
        memcpy(at, job->bytes, bytes);
        return true;
    case VIRTIO_BLOCK_DISCARD:
        memset(at, 0xdd, bytes);
        return true;
    case VIRTIO_BLOCK_WRITE_ZEROES:
        memset(at, 0, bytes);
        return true;
    default:
        return true;
    }
}

static bool complete_jobs(unsigned *seen)
{
    struct virtio_block_completion completion;
    bool good = true;

    if (*seen == disk.model.interrupts)
        return true;
    *seen = disk.model.interrupts;
    while (virtio_block_complete(&block, &completion))
        good = completion.error == VIRTIO_OK && end_job(completion.cookie) && good;
    return good;
}

static unsigned busy_jobs(void)
{
    unsigned busy = 0;

    for (unsigned i = 0; i < RANDOM_JOBS; i++)
        busy += jobs[i].busy;
    return busy;
}

static bool run_at_random(uint64_t seed, unsigned operations)
{
    struct model_random random = {.state = seed};
    enum model_kind kind = model_below(&random, 2) ? MODEL_MODERN : MODEL_LEGACY;
    unsigned seen = 0;
    bool good = true;

    begin(kind, BLOCK_F_ALL | (model_random(&random) & RINGS));
    memset(mirror, 0, sizeof mirror);
    memset(jobs, 0, sizeof jobs);
    for (unsigned i = 0; i < RANDOM_JOBS; i++) {
        jobs[i].bytes = data + i * JOB_BYTES;
        jobs[i].bus = data_bus + i * JOB_BYTES;
    }
    for (unsigned i = 0; (i < operations || busy_jobs() != 0) && good && i < 2 * operations; i++) {
        struct job *job = &jobs[model_below(&random, RANDOM_JOBS)];
        if (i < operations && !job->busy)
            good = start_job(&random, job);
        if (i >= operations || model_below(&random, 3) == 0)
            virtio_block_commit(&block);
        block_model_look(&disk);
        if (disk.held_count != 0 && model_below(&random, 2))
            block_model_serve(&disk, model_below(&random, disk.held_count));
        if (model_below(&random, 3) == 0 || i >= operations)
            model_signal(&disk.model, 0);
        good = complete_jobs(&seen) && good;
    }
    good = good && busy_jobs() == 0 && memcmp(mirror, disk.disk, sizeof mirror) == 0;
    close_disk();
    return good;
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    unsigned operations = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 0) : 4000;

    test_operations(MODEL_MODERN, RINGS, "modern");
    test_operations(MODEL_MODERN, 0, "modern, plain ring");
    test_operations(MODEL_LEGACY, RINGS, "legacy");
    test_operations(MODEL_TRANSITIONAL, VIRTIO_F_INDIRECT, "transitional");
    test_refused();
    test_geometry();
    test_errors(MODEL_MODERN);
    test_errors(MODEL_LEGACY);
    test_full(RINGS);
    test_full(VIRTIO_F_EVENT_INDEX);
    test_restart(MODEL_MODERN);
    test_restart(MODEL_LEGACY);
    for (uint64_t i = seed; i < seed + 8; i++) {
        char name[64];
        snprintf(name, sizeof name, "random requests, seed %lu", (unsigned long)i);
        tap_ok(run_at_random(i, operations), name);
    }
    return tap_end();
}
