// SPDX-License-Identifier: GPL-2.0-only
// Linux's block driver for virtio disks: vda, vdb … with partitions. Requests go
// from Linux's multi-queue layer to lib/virtio/block.h, data where it lies. A disk
// that breaks the protocol is reset, and what it had is given to it again; when
// that does not help either, its requests fail.
#include "transport.h"

#include "lib/virtio/block.h"

#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#define REQUESTS   64
#define SEGMENTS   64
#define MINORS     16
#define DISKS_MAX  26 // letters
#define RESETS_MAX 3  // in a row, without a completion in between

struct disk {
    struct corvus_virtio virtio;
    struct virtio_block block;
    struct virtio_memory memory;
    struct blk_mq_tag_set tags;
    struct gendisk *disk;
    struct work_struct mend_work, config_work;
    spinlock_t lock;      // of block, and what follows
    bool mending, failed; // nothing goes to the device: for now, for good
    unsigned int resets;
    struct scatterlist pages[SEGMENTS]; // of the request that is being submitted
    struct virtio_segment segments[SEGMENTS];
};

// Beside each request of Linux.
struct job {
    blk_status_t status;
};

static int major;
static unsigned int disks;

static const char *name_of(const struct disk *disk)
{
    return disk->disk->disk_name;
}

// --- Requests in -----------------------------------------------------------------------

static bool find_operation(const struct request *request, struct virtio_block_request *out)
{
    switch (req_op(request)) {
    case REQ_OP_READ:
        out->operation = VIRTIO_BLOCK_READ;
        return true;
    case REQ_OP_WRITE:
        out->operation = VIRTIO_BLOCK_WRITE;
        return true;
    case REQ_OP_FLUSH:
        out->operation = VIRTIO_BLOCK_FLUSH;
        return true;
    case REQ_OP_DISCARD:
        out->operation = VIRTIO_BLOCK_DISCARD;
        return true;
    case REQ_OP_WRITE_ZEROES:
        out->operation = VIRTIO_BLOCK_WRITE_ZEROES;
        out->unmap = !(request->cmd_flags & REQ_NOUNMAP);
        return true;
    default:
        return false;
    }
}

// Where the device finds the data. INVALID when part of it is not memory, or not in
// a row where backend/machine.h says it is.
static enum virtio_error find_segments(struct disk *disk, struct request *request, u16 *count)
{
    struct scatterlist *page = disk->pages;

    sg_init_table(disk->pages, SEGMENTS);
    *count = blk_rq_map_sg(request->q, request, disk->pages);
    for (u16 i = 0; i < *count; i++, page = sg_next(page)) {
        unsigned long bytes = 0;
        u64 bus = machine_bus_address(sg_phys(page), &bytes);
        if (bytes < page->length)
            return VIRTIO_INVALID;
        disk->segments[i] = (struct virtio_segment){.bus = bus, .bytes = page->length};
    }
    return VIRTIO_OK;
}

static blk_status_t status_of(enum virtio_error error)
{
    switch (error) {
    case VIRTIO_OK:
        return BLK_STS_OK;
    case VIRTIO_NOT_SUPPORTED:
        return BLK_STS_NOTSUPP;
    default:
        return BLK_STS_IOERR;
    }
}

static enum virtio_error submit_to_device(struct disk *disk, struct request *request,
                                          struct virtio_block_request *out)
{
    enum virtio_error error = VIRTIO_OK;

    if (disk->mending)
        return VIRTIO_FULL;
    if (out->operation <= VIRTIO_BLOCK_WRITE)
        error = find_segments(disk, request, &out->count);
    return error == VIRTIO_OK ? virtio_block_submit(&disk->block, out) : error;
}

// Under the lock. What cannot go to the device now comes again: the queue stays
// stopped until something completes, or the device has been mended.
static blk_status_t submit(struct disk *disk, struct blk_mq_hw_ctx *queue, struct request *request,
                           struct virtio_block_request *out)
{
    if (disk->failed)
        return BLK_STS_IOERR;
    enum virtio_error error = submit_to_device(disk, request, out);
    if (error == VIRTIO_FULL || error == VIRTIO_BROKEN) {
        if (error == VIRTIO_BROKEN)
            schedule_work(&disk->mend_work);
        else if (!disk->mending)
            virtio_block_commit(&disk->block);
        blk_mq_stop_hw_queue(queue);
        return BLK_STS_DEV_RESOURCE;
    }
    if (error != VIRTIO_OK)
        pr_err_ratelimited("%s: operation %d at sector %llu: %s\n", name_of(disk), out->operation,
                           out->sector, virtio_error_text(error));
    return status_of(error);
}

static blk_status_t queue_request(struct blk_mq_hw_ctx *queue, const struct blk_mq_queue_data *data)
{
    struct disk *disk = queue->queue->queuedata;
    struct request *request = data->rq;
    struct virtio_block_request out = {
        .sector = blk_rq_pos(request),
        .sectors = blk_rq_sectors(request),
        .segments = disk->segments,
        .cookie = request,
    };
    unsigned long flags;

    if (!find_operation(request, &out))
        return BLK_STS_NOTSUPP;
    blk_mq_start_request(request);
    spin_lock_irqsave(&disk->lock, flags);
    blk_status_t status = submit(disk, queue, request, &out);
    if (status == BLK_STS_OK && data->last)
        virtio_block_commit(&disk->block);
    spin_unlock_irqrestore(&disk->lock, flags);
    return status;
}

// The last of a batch did not come to queue_request.
static void commit_requests(struct blk_mq_hw_ctx *queue)
{
    struct disk *disk = queue->queue->queuedata;
    unsigned long flags;

    spin_lock_irqsave(&disk->lock, flags);
    if (!disk->mending && !disk->failed)
        virtio_block_commit(&disk->block);
    spin_unlock_irqrestore(&disk->lock, flags);
}

// --- Completions -----------------------------------------------------------------------

static void end_request(struct request *request)
{
    struct job *job = blk_mq_rq_to_pdu(request);

    blk_mq_end_request(request, job->status);
}

// Under the lock.
static void take_completions(struct disk *disk)
{
    struct virtio_block_completion completion;

    do {
        virtqueue_interrupts_off(&disk->block.queue);
        while (virtio_block_complete(&disk->block, &completion)) {
            struct job *job = blk_mq_rq_to_pdu(completion.cookie);
            job->status = status_of(completion.error);
            disk->resets = 0;
            blk_mq_complete_request(completion.cookie);
        }
    } while (virtqueue_interrupts_on(&disk->block.queue));
    if (virtio_block_is_broken(&disk->block))
        schedule_work(&disk->mend_work);
    else
        blk_mq_start_stopped_hw_queues(disk->disk->queue, true);
}

static void queues_interrupt(void *context)
{
    struct disk *disk = context;
    unsigned long flags;

    spin_lock_irqsave(&disk->lock, flags);
    if (!disk->mending && !disk->failed)
        take_completions(disk);
    spin_unlock_irqrestore(&disk->lock, flags);
}

// Linux has waited long. Perhaps an interrupt was lost; else a slow disk is still better
// than a request that failed and is then carried out after all.
static enum blk_eh_timer_return request_timeout(struct request *request)
{
    struct disk *disk = request->q->queuedata;

    queues_interrupt(disk);
    if (!blk_mq_request_started(request) || blk_mq_request_completed(request))
        return BLK_EH_DONE;
    pr_warn_ratelimited("%s: a request has waited %u seconds\n", name_of(disk),
                        request->timeout / HZ);
    schedule_work(&disk->config_work); // looks whether the device has met an error
    return BLK_EH_RESET_TIMER;
}

static const struct blk_mq_ops queue_operations = {
    .queue_rq = queue_request,
    .commit_rqs = commit_requests,
    .complete = end_request,
    .timeout = request_timeout,
};

// --- When it goes wrong ------------------------------------------------------------------

// What the stopped device had: again later, or, when it has failed, an error.
static void take_back(struct disk *disk)
{
    struct virtio_block_completion completion;

    while (virtio_block_take_back(&disk->block, &completion)) {
        struct job *job = blk_mq_rq_to_pdu(completion.cookie);
        if (!disk->failed) {
            blk_mq_requeue_request(completion.cookie, false);
            continue;
        }
        job->status = BLK_STS_IOERR;
        blk_mq_complete_request(completion.cookie);
    }
}

// Stops the device. One that cannot be stopped loses its right to DMA instead.
static enum virtio_error stop(struct disk *disk)
{
    enum virtio_error error = virtio_block_stop(&disk->block);

    if (error != VIRTIO_OK)
        machine_release_device(disk->virtio.number);
    return error;
}

// Keeps everybody else from the device, if there is reason to.
static bool begin_to_mend(struct disk *disk)
{
    unsigned long flags;
    bool needed;

    spin_lock_irqsave(&disk->lock, flags);
    needed = !disk->mending && !disk->failed &&
             (virtio_block_is_broken(&disk->block) || virtio_needs_reset(&disk->virtio.device));
    disk->mending = disk->mending || needed;
    spin_unlock_irqrestore(&disk->lock, flags);
    return needed;
}

static void end_to_mend(struct disk *disk)
{
    unsigned long flags;

    spin_lock_irqsave(&disk->lock, flags);
    disk->mending = false;
    spin_unlock_irqrestore(&disk->lock, flags);
    blk_mq_kick_requeue_list(disk->disk->queue);
    blk_mq_start_stopped_hw_queues(disk->disk->queue, true);
}

static void mend(struct work_struct *work)
{
    struct disk *disk = container_of(work, struct disk, mend_work);

    if (!begin_to_mend(disk))
        return;
    pr_err("%s: the disk broke the protocol (fault %d); resetting it\n", name_of(disk),
           disk->block.queue.fault);
    enum virtio_error error = stop(disk);
    if (error == VIRTIO_OK && ++disk->resets > RESETS_MAX)
        error = VIRTIO_BROKEN;
    disk->failed = error != VIRTIO_OK;
    take_back(disk);
    if (error == VIRTIO_OK)
        error = virtio_block_restart(&disk->block);
    disk->failed = error != VIRTIO_OK;
    if (disk->failed)
        pr_err("%s: %s; from now on it only has errors\n", name_of(disk), virtio_error_text(error));
    end_to_mend(disk);
}

static void config_changed(struct work_struct *work)
{
    struct disk *disk = container_of(work, struct disk, config_work);
    enum virtio_error error = VIRTIO_OK;
    unsigned long flags;
    bool ill = false, settled;

    spin_lock_irqsave(&disk->lock, flags);
    settled = !disk->mending && !disk->failed;
    if (settled) {
        ill = virtio_needs_reset(&disk->virtio.device);
        error = virtio_block_update_capacity(&disk->block);
    }
    u64 sectors = disk->block.geometry.sectors;
    spin_unlock_irqrestore(&disk->lock, flags);
    if (ill)
        schedule_work(&disk->mend_work);
    else if (error != VIRTIO_OK)
        pr_err("%s: its new size: %s\n", name_of(disk), virtio_error_text(error));
    else if (settled)
        set_capacity_and_notify(disk->disk, sectors);
}

static void config_interrupt(void *context)
{
    struct disk *disk = context;

    schedule_work(&disk->config_work);
}

// --- Finding disks -----------------------------------------------------------------------

static const struct block_device_operations disk_operations = {.owner = THIS_MODULE};

static void set_limits(struct disk *disk)
{
    const struct virtio_block_geometry *geometry = &disk->block.geometry;
    struct request_queue *queue = disk->disk->queue;

    blk_queue_flag_set(QUEUE_FLAG_NONROT, queue);
    blk_queue_logical_block_size(queue, geometry->block_bytes);
    blk_queue_physical_block_size(queue, geometry->physical_block_bytes);
    if (geometry->optimal_blocks != 0)
        blk_queue_io_opt(queue, geometry->optimal_blocks * geometry->block_bytes);
    blk_queue_max_segments(queue, disk->block.segments_max);
    blk_queue_max_segment_size(queue, geometry->segment_bytes_max);
    // Linux's memory lies in a row within such runs.
    blk_queue_segment_boundary(queue, MACHINE_RUN_BYTES - 1);
    blk_queue_max_hw_sectors(queue, UINT_MAX);
    blk_queue_write_cache(queue, geometry->flush, false);
    if (geometry->discard) {
        u32 unit = geometry->discard_alignment_sectors * VIRTIO_BLOCK_SECTOR_BYTES;
        queue->limits.discard_granularity = unit != 0 ? unit : geometry->block_bytes;
        blk_queue_max_discard_sectors(queue, geometry->discard_sectors_max);
    }
    if (geometry->write_zeroes)
        blk_queue_max_write_zeroes_sectors(queue, geometry->write_zeroes_sectors_max);
}

// The device's side: what it says of itself, memory, interrupts.
static int start_device(struct disk *disk)
{
    enum virtio_error error;

    disk->virtio.queues_interrupt = queues_interrupt;
    disk->virtio.config_interrupt = config_interrupt;
    disk->virtio.context = disk;
    int result = corvus_virtio_attach(&disk->virtio, "corvus-block");
    if (result != 0)
        return result;
    error = virtio_block_open(&disk->block, &disk->virtio.device, REQUESTS, SEGMENTS);
    if (error == VIRTIO_OK && disk->block.geometry.block_bytes > PAGE_SIZE)
        error = VIRTIO_NOT_SUPPORTED; // Linux 6.1 has no larger blocks than pages
    if (error != VIRTIO_OK) {
        pr_err("corvus-block: device %u: %s\n", disk->virtio.number, virtio_error_text(error));
        return -EIO;
    }
    return corvus_virtio_allocate(virtio_block_shared_bytes(&disk->block),
                                  virtio_block_own_bytes(&disk->block), &disk->memory);
}

// Linux's side. The name is by the order in which disks are found.
static int make_disk(struct disk *disk)
{
    disk->tags.ops = &queue_operations;
    disk->tags.queue_depth = disk->block.requests_max;
    disk->tags.numa_node = NUMA_NO_NODE;
    disk->tags.flags = BLK_MQ_F_SHOULD_MERGE;
    disk->tags.cmd_size = sizeof(struct job);
    disk->tags.nr_hw_queues = 1;
    int error = blk_mq_alloc_tag_set(&disk->tags);
    if (error != 0)
        return error;
    disk->disk = blk_mq_alloc_disk(&disk->tags, disk);
    if (IS_ERR(disk->disk)) {
        error = PTR_ERR(disk->disk);
        disk->disk = NULL;
        blk_mq_free_tag_set(&disk->tags);
        return error;
    }
    disk->disk->major = major;
    disk->disk->first_minor = disks * MINORS;
    disk->disk->minors = MINORS;
    disk->disk->fops = &disk_operations;
    snprintf(disk->disk->disk_name, DISK_NAME_LEN, "vd%c", 'a' + disks);
    set_limits(disk);
    set_capacity(disk->disk, disk->block.geometry.sectors);
    set_disk_ro(disk->disk, disk->block.geometry.read_only);
    return 0;
}

// From virtio_block_start on interrupts come, so the disk is there before.
static int add_disk_of(struct disk *disk)
{
    enum virtio_error error = virtio_block_start(&disk->block, &disk->memory);

    if (error != VIRTIO_OK) {
        pr_err("%s: %s\n", name_of(disk), virtio_error_text(error));
        return -EIO;
    }
    // Before add_disk, which reads the partitions.
    disk->mending = false;
    return add_disk(disk->disk);
}

static void undo(struct disk *disk)
{
    corvus_virtio_release(&disk->virtio);
    cancel_work_sync(&disk->config_work);
    cancel_work_sync(&disk->mend_work);
    if (disk->disk != NULL) {
        put_disk(disk->disk);
        blk_mq_free_tag_set(&disk->tags);
    }
    corvus_virtio_free(&disk->memory);
    kfree(disk);
}

static void probe(struct disk *disk)
{
    int error;

    spin_lock_init(&disk->lock);
    INIT_WORK(&disk->mend_work, mend);
    INIT_WORK(&disk->config_work, config_changed);
    disk->mending = true; // until there is something for an interrupt to look at
    error = start_device(disk);
    if (error == 0)
        error = make_disk(disk);
    if (error == 0)
        error = add_disk_of(disk);
    if (error != 0) {
        pr_err("corvus-block: device %u cannot be used: error %d\n", disk->virtio.number, -error);
        undo(disk);
        return;
    }
    pr_info("%s: %llu sectors of 512 bytes, %s%s, %u requests of %u segments\n", name_of(disk),
            disk->block.geometry.sectors,
            disk->virtio.device.transport->modern ? "virtio 1" : "legacy virtio",
            disk->block.geometry.read_only ? ", read-only" : "", disk->block.requests_max,
            disk->block.segments_max);
    disks++;
}

static int __init corvus_block_init(void)
{
    unsigned int number = 0;

    major = register_blkdev(0, "corvus-block");
    if (major < 0)
        return major;
    while (disks < DISKS_MAX) {
        struct disk *disk = kzalloc(sizeof *disk, GFP_KERNEL);
        if (disk == NULL)
            return -ENOMEM;
        if (corvus_virtio_claim_next(VIRTIO_TYPE_BLOCK, &number, &disk->virtio) != 0) {
            kfree(disk);
            break;
        }
        probe(disk);
    }
    return 0;
}
device_initcall(corvus_block_init);
