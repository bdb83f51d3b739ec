// SPDX-License-Identifier: BSD-2-Clause
// Disks: modern, legacy, transitional, without MSI-X, without event index or
// indirect descriptors, read-only, and one that cannot be driven. Each begins with a line that
// tells its name, from the host; the task leaves one in its last sector, which virtio.sh looks for
// afterwards.
#include "virtio_test.h"

#include "lib/virtio/block.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUESTS     16
#define SEGMENTS     8
#define JOB_BYTES    32768u // of data for each request
#define ROUNDS       400
#define AREA_START   64u // sectors; what is before belongs to the host
#define AREA_SECTORS 1024u
#define SECTOR       VIRTIO_BLOCK_SECTOR_BYTES

struct disk {
    struct driven driven;
    struct virtio_block block;
    struct virtio_memory memory, data;
    const char *name;
    uint8_t *mirror; // of the area
    uint64_t random;
};

struct job {
    bool busy, writes;
    uint32_t sector, sectors; // within the area
    uint8_t *bytes;
    uint64_t bus;
};

static uint32_t below(struct disk *disk, uint32_t limit)
{
    disk->random = disk->random * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(disk->random >> 33) % limit;
}

// --- One request -----------------------------------------------------------------------

static bool complete(struct disk *disk, struct virtio_block_completion *completion)
{
    while (!virtio_block_complete(&disk->block, completion)) {
        if (!wait_for_queues(&disk->driven))
            return false;
    }
    return true;
}

static enum virtio_error perform(struct disk *disk, enum virtio_block_operation operation,
                                 uint64_t sector, uint32_t bytes)
{
    struct virtio_segment segment = {.bus = disk->data.shared_bus, .bytes = bytes};
    struct virtio_block_completion completion;
    struct virtio_block_request request = {
        .operation = operation,
        .sector = sector,
        .segments = &segment,
        .count = bytes == 0 ? 0 : 1,
        .cookie = disk,
    };
    enum virtio_error error = virtio_block_submit(&disk->block, &request);
    if (error != VIRTIO_OK)
        return error;
    virtio_block_commit(&disk->block);
    if (!complete(disk, &completion) || completion.cookie != disk)
        return VIRTIO_BROKEN;
    return completion.error;
}

static enum virtio_error write_range(struct disk *disk, enum virtio_block_operation operation,
                                     uint64_t sector, uint32_t sectors)
{
    struct virtio_block_completion completion;
    struct virtio_block_request request = {
        .operation = operation, .sector = sector, .sectors = sectors, .cookie = disk};
    enum virtio_error error = virtio_block_submit(&disk->block, &request);

    if (error != VIRTIO_OK)
        return error;
    virtio_block_commit(&disk->block);
    return complete(disk, &completion) ? completion.error : VIRTIO_BROKEN;
}

// --- Opening -----------------------------------------------------------------------------

static bool start(struct disk *disk)
{
    enum virtio_error error =
        virtio_block_open(&disk->block, &disk->driven.native.device, REQUESTS, SEGMENTS);
    bool memory =
        error == VIRTIO_OK &&
        virtio_native_allocate(virtio_block_shared_bytes(&disk->block),
                               virtio_block_own_bytes(&disk->block), &disk->memory) == ERR_OK &&
        virtio_native_allocate((size_t)REQUESTS * JOB_BYTES, 1, &disk->data) == ERR_OK;

    if (memory)
        error = virtio_block_start(&disk->block, &disk->memory);
    printf("# %s: %s, %lu sectors, queue of %u, event index %d, indirect %d, flush %d, discard "
           "%d\n",
           disk->name, virtio_error_text(error), disk->block.geometry.sectors,
           disk->block.queue_size, disk->block.queue.event_index, disk->block.queue.indirect,
           disk->block.geometry.flush, disk->block.geometry.discard);
    ok(memory && error == VIRTIO_OK, disk->name, "works");
    return memory && error == VIRTIO_OK;
}

static void test_identity(struct disk *disk)
{
    char expected[32];
    const char *data = disk->data.shared;

    snprintf(expected, sizeof expected, "disk %s\n", disk->name);
    ok(perform(disk, VIRTIO_BLOCK_READ, 0, SECTOR) == VIRTIO_OK &&
           strncmp(data, expected, strlen(expected)) == 0,
       disk->name, "it is the one that the host made");
    ok(perform(disk, VIRTIO_BLOCK_IDENTIFY, 0, VIRTIO_BLOCK_ID_BYTES) == VIRTIO_OK &&
           strncmp(data, disk->name, VIRTIO_BLOCK_ID_BYTES) == 0,
       disk->name, "it has its serial number");
}

static void test_last_sector(struct disk *disk)
{
    uint64_t last = disk->block.geometry.sectors - 1;

    memset(disk->data.shared, 0, SECTOR);
    snprintf(disk->data.shared, SECTOR, "written to %s\n", disk->name);
    ok(perform(disk, VIRTIO_BLOCK_WRITE, last, SECTOR) == VIRTIO_OK &&
           perform(disk, VIRTIO_BLOCK_FLUSH, 0, 0) == VIRTIO_OK,
       disk->name, "its last sector is written and flushed");
    ok(perform(disk, VIRTIO_BLOCK_READ, last + 1, SECTOR) == VIRTIO_INVALID, disk->name,
       "there is none behind it");
}

// --- Many requests at once -----------------------------------------------------------------

static bool is_free(const struct job *jobs, const struct job *job)
{
    for (const struct job *other = jobs; other < jobs + REQUESTS; other++) {
        if (other != job && other->busy && job->sector < other->sector + other->sectors &&
            other->sector < job->sector + job->sectors)
            return false;
    }
    return true;
}

static bool submit_job(struct disk *disk, struct job *job)
{
    struct virtio_segment segments[SEGMENTS];
    uint32_t done = 0, bytes = job->sectors * SECTOR;
    uint16_t count = 0;

    while (done < bytes) {
        uint32_t part =
            count + 1u == disk->block.segments_max ? bytes - done : 1 + below(disk, bytes - done);
        segments[count++] = (struct virtio_segment){.bus = job->bus + done, .bytes = part};
        done += part;
    }
    struct virtio_block_request request = {
        .operation = job->writes ? VIRTIO_BLOCK_WRITE : VIRTIO_BLOCK_READ,
        .sector = AREA_START + job->sector,
        .segments = segments,
        .count = count,
        .cookie = job,
    };
    enum virtio_error error = virtio_block_submit(&disk->block, &request);
    job->busy = error == VIRTIO_OK;
    return error == VIRTIO_OK || error == VIRTIO_FULL;
}

static bool start_job(struct disk *disk, struct job *jobs, struct job *job)
{
    job->writes = below(disk, 2) != 0;
    job->sectors = 1 + below(disk, JOB_BYTES / SECTOR);
    job->sector = below(disk, AREA_SECTORS - job->sectors + 1);
    if (!is_free(jobs, job))
        return true;
    for (uint32_t i = 0; i < job->sectors * SECTOR; i++)
        job->bytes[i] = (uint8_t)below(disk, 256);
    return submit_job(disk, job);
}

// What was read is what was written there last.
static bool end_job(struct disk *disk, const struct virtio_block_completion *completion)
{
    struct job *job = completion->cookie;
    uint8_t *mirror = disk->mirror + (size_t)job->sector * SECTOR;

    job->busy = false;
    if (job->writes)
        memcpy(mirror, job->bytes, (size_t)job->sectors * SECTOR);
    return completion->error == VIRTIO_OK &&
           memcmp(mirror, job->bytes, (size_t)job->sectors * SECTOR) == 0;
}

static unsigned busy_jobs(const struct job *jobs)
{
    unsigned busy = 0;

    for (unsigned i = 0; i < REQUESTS; i++)
        busy += jobs[i].busy;
    return busy;
}

// Keeps as many requests under way as there is room for.
static void test_concurrent(struct disk *disk)
{
    struct job jobs[REQUESTS] = {0};
    struct virtio_block_completion completion;
    bool good = true;
    unsigned most = 0, done = 0;

    for (unsigned i = 0; i < REQUESTS; i++) {
        jobs[i].bytes = (uint8_t *)disk->data.shared + i * JOB_BYTES;
        jobs[i].bus = disk->data.shared_bus + i * JOB_BYTES;
    }
    for (unsigned round = 0; good && (round < ROUNDS || busy_jobs(jobs) != 0); round++) {
        for (unsigned i = 0; i < REQUESTS && round < ROUNDS && good; i++)
            good = jobs[i].busy || start_job(disk, jobs, &jobs[i]);
        virtio_block_commit(&disk->block);
        most = busy_jobs(jobs) > most ? busy_jobs(jobs) : most;
        for (bool first = true; good && busy_jobs(jobs) != 0; first = false, done++) {
            if (!first && !virtio_block_complete(&disk->block, &completion))
                break;
            if (first && !complete(disk, &completion))
                good = false;
            good = good && end_job(disk, &completion);
        }
    }
    printf("# %s: %u requests, up to %u at once, %lu notifications, %u waits\n", disk->name, done,
           most, disk->block.queue.counters.notified, disk->driven.waits);
    ok(good && most > REQUESTS / 2 && done > ROUNDS, disk->name,
       "many requests at once, of which none is lost or wrong");
}

static void test_whole_area(struct disk *disk)
{
    bool good = true;

    for (uint32_t sector = 0; good && sector < AREA_SECTORS; sector += JOB_BYTES / SECTOR)
        good = perform(disk, VIRTIO_BLOCK_READ, AREA_START + sector, JOB_BYTES) == VIRTIO_OK &&
               memcmp(disk->data.shared, disk->mirror + (size_t)sector * SECTOR, JOB_BYTES) == 0;
    ok(good, disk->name, "all that was written is there");
}

static void test_ranges(struct disk *disk)
{
    const uint8_t *data = disk->data.shared;

    if (!disk->block.geometry.write_zeroes)
        return;
    memset(disk->data.shared, 0x5a, 8 * SECTOR);
    bool good = perform(disk, VIRTIO_BLOCK_WRITE, AREA_START, 8 * SECTOR) == VIRTIO_OK &&
                write_range(disk, VIRTIO_BLOCK_WRITE_ZEROES, AREA_START + 1, 6) == VIRTIO_OK &&
                perform(disk, VIRTIO_BLOCK_READ, AREA_START, 8 * SECTOR) == VIRTIO_OK;
    ok(good && data[SECTOR - 1] == 0x5a && data[SECTOR] == 0 && data[7 * SECTOR - 1] == 0 &&
           data[7 * SECTOR] == 0x5a,
       disk->name, "zeroes are written");
    ok(write_range(disk, VIRTIO_BLOCK_DISCARD, AREA_START, 8) == VIRTIO_OK, disk->name,
       "sectors are discarded");
}

static void test_restart(struct disk *disk)
{
    struct virtio_block_completion completion;

    ok(virtio_block_stop(&disk->block) == VIRTIO_OK &&
           !virtio_block_take_back(&disk->block, &completion) &&
           virtio_block_restart(&disk->block) == VIRTIO_OK &&
           perform(disk, VIRTIO_BLOCK_READ, 0, SECTOR) == VIRTIO_OK,
       disk->name, "stopped and started again");
}

static void close_disk(struct disk *disk, uint64_t number)
{
    virtio_native_release(&disk->driven.native);
    if (disk->memory.shared != NULL)
        virtio_native_free(&disk->memory);
    if (disk->data.shared != NULL)
        virtio_native_free(&disk->data);
    ok(virtio_native_claim(&disk->driven.native, number) == ERR_OK, disk->name,
       "given up, and free for the next");
}

// What virtio.conf says of the device.
enum { LEGACY = 1, LINE = 2, NO_EVENT_INDEX = 4, NO_INDIRECT = 8 };

static bool is_as_expected(const struct disk *disk, unsigned kind)
{
    return disk->driven.native.device.transport->modern == !(kind & LEGACY) &&
           disk->driven.native.line == ((kind & LINE) != 0) &&
           disk->block.queue.event_index == !(kind & NO_EVENT_INDEX) &&
           disk->block.queue.indirect == !(kind & NO_INDIRECT);
}

static void test_disk(const char *name, uint64_t *number, unsigned kind)
{
    struct disk disk = {.name = name, .random = *number + 1};

    disk.mirror = calloc(AREA_SECTORS, SECTOR);
    if (disk.mirror == NULL || !drive(&disk.driven, VIRTIO_TYPE_BLOCK, number, name))
        return;
    if (!start(&disk))
        return;
    ok(is_as_expected(&disk, kind), name, "is of the kind expected");
    test_identity(&disk);
    test_last_sector(&disk);
    test_concurrent(&disk);
    test_whole_area(&disk);
    test_ranges(&disk);
    test_restart(&disk);
    ok(disk.block.counters.errors == 0 && disk.block.queue.counters.bad_lengths == 0, name,
       "without an error");
    close_disk(&disk, *number);
    free(disk.mirror);
    ++*number;
}

static void test_read_only(uint64_t *number)
{
    struct disk disk = {.name = "readonly"};

    if (!drive(&disk.driven, VIRTIO_TYPE_BLOCK, number, disk.name) || !start(&disk))
        return;
    ok(disk.block.geometry.read_only &&
           perform(&disk, VIRTIO_BLOCK_WRITE, 1, SECTOR) == VIRTIO_READ_ONLY,
       disk.name, "cannot be written");
    test_identity(&disk);
    close_disk(&disk, *number);
}

static void test_translated(uint64_t *number)
{
    struct disk disk = {.name = "translated"};

    ++*number;
    if (!drive(&disk.driven, VIRTIO_TYPE_BLOCK, number, disk.name))
        return;
    ok(virtio_block_open(&disk.block, &disk.driven.native.device, REQUESTS, SEGMENTS) ==
           VIRTIO_ACCESS_PLATFORM,
       disk.name, "refused, because it wants translated addresses");
    virtio_native_release(&disk.driven.native);
}

// In the order in which virtio.conf names them.
void test_disks(void)
{
    uint64_t number = 0;

    test_disk("modern", &number, 0);
    test_disk("legacy", &number, LEGACY | NO_EVENT_INDEX);
    test_disk("transitional", &number, 0);
    test_disk("line", &number, LINE | NO_INDIRECT);
    test_disk("legacy-line", &number, LEGACY | LINE);
    test_read_only(&number);
    test_translated(&number);
}
