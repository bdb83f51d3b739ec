// SPDX-License-Identifier: GPL-2.0-only
// The ports of virtio consoles as byte streams for programs, /dev/corvus-agent
// above all, by which the host runs commands in the node.
//
// One program has a port open at a time (EBUSY). When the host closes its side,
// read gives the rest, then once 0, the end of the session; until that was read,
// write says EPIPE. From then on both wait for the host to come back (EAGAIN
// without waiting): a program that reads 0 forgets what it was about, and goes on
// reading. poll says POLLIN for bytes and for the end, POLLHUP with the latter,
// POLLOUT when a write would not wait.
#include "agent.h"

#include <linux/fs.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#define RESTARTS_MAX 10

static unsigned int channels;

static struct port *port_of(const struct file *file)
{
    return container_of(file->private_data, struct port_node, device)->port;
}

// --- What the device says ------------------------------------------------------------

static bool is_untouchable(const struct channel *channel)
{
    return channel->idle || channel->failed;
}

// Under the lock. Work is needed for a port that has come, gone, or got its name, and
// for a device that has to be started again.
static bool needs_work(const struct channel *channel)
{
    if (virtio_console_is_broken(&channel->console))
        return true;
    for (u32 i = 0; i < channel->console.sizes.ports; i++) {
        const struct virtio_console_port *now = &channel->console.ports[i];
        const struct port *port = &channel->ports[i];
        if (now->present != port->known_present || strcmp(now->name, port->known_name) != 0)
            return true;
    }
    return false;
}

static void wake_everybody(struct channel *channel)
{
    for (u32 i = 0; i < PORTS_MAX; i++)
        wake_up_interruptible_all(&channel->ports[i].wait);
}

static void queues_interrupt(void *context)
{
    struct channel *channel = context;
    unsigned long flags;

    spin_lock_irqsave(&channel->lock, flags);
    if (!is_untouchable(channel)) {
        virtio_console_poll(&channel->console);
        if (needs_work(channel))
            schedule_work(&channel->work);
    }
    spin_unlock_irqrestore(&channel->lock, flags);
    wake_everybody(channel);
}

static void config_interrupt(void *context)
{
    struct channel *channel = context;

    schedule_work(&channel->work); // looks whether the device has met an error
}

// --- Starting again --------------------------------------------------------------------

static bool begin_to_mend(struct channel *channel)
{
    unsigned long flags;
    bool needed;

    spin_lock_irqsave(&channel->lock, flags);
    needed = !is_untouchable(channel) && (virtio_console_is_broken(&channel->console) ||
                                          virtio_needs_reset(&channel->virtio.device));
    channel->idle = channel->idle || needed;
    spin_unlock_irqrestore(&channel->lock, flags);
    return needed;
}

static void mend(struct channel *channel)
{
    enum virtio_error error = VIRTIO_BROKEN;
    unsigned long flags;

    mutex_lock(&channel->mending_lock);
    if (begin_to_mend(channel)) {
        pr_err("corvus-agent: console %u broke the protocol; resetting it\n", channel->number);
        if (channel->restarts++ < RESTARTS_MAX)
            error = virtio_console_restart(&channel->console);
        if (error != VIRTIO_OK) {
            pr_err("corvus-agent: console %u: %s; its ports are dead\n", channel->number,
                   virtio_error_text(error));
            corvus_virtio_release(&channel->virtio);
        }
        spin_lock_irqsave(&channel->lock, flags);
        channel->failed = error != VIRTIO_OK;
        channel->idle = false;
        spin_unlock_irqrestore(&channel->lock, flags);
    }
    mutex_unlock(&channel->mending_lock);
}

static const struct file_operations port_operations;

static void update_nodes(struct channel *channel)
{
    for (u32 i = 0; i < channel->console.sizes.ports; i++) {
        struct port *port = &channel->ports[i];
        unsigned long flags;

        spin_lock_irqsave(&channel->lock, flags);
        port->known_present = channel->console.ports[i].present && !channel->failed;
        strscpy(port->known_name, channel->console.ports[i].name, sizeof port->known_name);
        spin_unlock_irqrestore(&channel->lock, flags);
        port_update_nodes(port, &port_operations);
    }
}

static void work(struct work_struct *work)
{
    struct channel *channel = container_of(work, struct channel, work);

    mend(channel);
    update_nodes(channel);
    // What came meanwhile, perhaps while nothing was to be touched.
    queues_interrupt(channel);
}

// --- Reading ---------------------------------------------------------------------------

// What a call may find.
enum outcome { DONE, ENDED, WAIT, GONE };

static enum outcome read_piece(struct port *port, size_t *count)
{
    struct channel *channel = port->channel;
    enum outcome outcome = WAIT;
    unsigned long flags;
    bool hangup = false;

    spin_lock_irqsave(&channel->lock, flags);
    if (channel->failed) {
        outcome = GONE;
    } else if (!channel->idle) {
        *count = virtio_console_read(&channel->console, port->number, port->read_piece,
                                     min_t(size_t, *count, PORT_PIECE), &hangup);
        if (*count != 0)
            outcome = DONE;
        else if (hangup)
            outcome = ENDED;
        else if (!channel->console.ports[port->number].present)
            outcome = GONE;
    }
    spin_unlock_irqrestore(&channel->lock, flags);
    return outcome;
}

// What would come of it, without doing it. `can_write` in the same way.
static bool can_read(struct port *port)
{
    struct channel *channel = port->channel;
    unsigned long flags;
    bool can;

    spin_lock_irqsave(&channel->lock, flags);
    can = channel->failed ||
          (!channel->idle && (virtio_console_can_read(&channel->console, port->number) ||
                              !channel->console.ports[port->number].present));
    spin_unlock_irqrestore(&channel->lock, flags);
    return can;
}

static ssize_t read_once(struct port *port, char __user *to, size_t count, enum outcome *outcome)
{
    ssize_t result = -EFAULT;

    if (mutex_lock_interruptible(&port->read_lock) != 0) {
        *outcome = DONE;
        return -ERESTARTSYS;
    }
    *outcome = read_piece(port, &count);
    if (*outcome != DONE || copy_to_user(to, port->read_piece, count) == 0)
        result = count;
    mutex_unlock(&port->read_lock);
    return result;
}

static ssize_t port_read(struct file *file, char __user *to, size_t count, loff_t *position)
{
    struct port *port = port_of(file);
    enum outcome outcome;

    if (count == 0)
        return 0;
    for (;;) {
        ssize_t result = read_once(port, to, count, &outcome);
        if (outcome == DONE)
            return result;
        if (outcome == ENDED)
            return 0;
        if (outcome == GONE)
            return -ENODEV;
        if (file->f_flags & O_NONBLOCK)
            return -EAGAIN;
        if (wait_event_interruptible(port->wait, can_read(port)) != 0)
            return -ERESTARTSYS;
    }
}

// --- Writing ---------------------------------------------------------------------------

// Under the lock.
static enum outcome write_outcome(const struct port *port)
{
    const struct channel *channel = port->channel;

    if (channel->failed)
        return GONE;
    if (channel->idle)
        return WAIT;
    switch (virtio_console_can_write(&channel->console, port->number)) {
    case VIRTIO_OK:
        return DONE;
    case VIRTIO_HANGUP:
        return ENDED;
    case VIRTIO_NO_DEVICE:
        return GONE;
    default:
        return WAIT; // for room, for the host, or until the device was started again
    }
}

static bool can_write(struct port *port)
{
    unsigned long flags;
    bool can;

    spin_lock_irqsave(&port->channel->lock, flags);
    can = write_outcome(port) != WAIT;
    spin_unlock_irqrestore(&port->channel->lock, flags);
    return can;
}

static enum outcome write_piece(struct port *port, size_t *count)
{
    struct channel *channel = port->channel;
    enum outcome outcome;
    unsigned long flags;

    spin_lock_irqsave(&channel->lock, flags);
    outcome = write_outcome(port);
    if (outcome == DONE) {
        *count = virtio_console_write(&channel->console, port->number, port->write_piece, *count);
        virtio_console_commit(&channel->console, port->number);
        if (virtio_console_is_broken(&channel->console))
            schedule_work(&channel->work);
    }
    spin_unlock_irqrestore(&channel->lock, flags);
    return outcome;
}

// Writes what there is room for.
static ssize_t write_once(struct port *port, const char __user *from, size_t count,
                          enum outcome *outcome)
{
    ssize_t result = -EFAULT;

    *outcome = DONE;
    count = min_t(size_t, count, PORT_PIECE);
    if (mutex_lock_interruptible(&port->write_lock) != 0)
        return -ERESTARTSYS;
    if (copy_from_user(port->write_piece, from, count) == 0) {
        *outcome = write_piece(port, &count);
        result = count;
    }
    mutex_unlock(&port->write_lock);
    return result;
}

static ssize_t port_write(struct file *file, const char __user *from, size_t count,
                          loff_t *position)
{
    struct port *port = port_of(file);
    enum outcome outcome;
    ssize_t result = 0;
    size_t done = 0;

    while (done < count && result >= 0) {
        result = write_once(port, from + done, count - done, &outcome);
        if (outcome == ENDED)
            result = -EPIPE;
        else if (outcome == GONE)
            result = -ENODEV;
        else if (outcome == DONE && result > 0)
            done += result;
        else if (outcome == WAIT && (file->f_flags & O_NONBLOCK))
            result = -EAGAIN;
        else if (outcome == WAIT && wait_event_interruptible(port->wait, can_write(port)) != 0)
            result = -ERESTARTSYS;
    }
    return done != 0 || result >= 0 ? (ssize_t)done : result;
}

// --- The rest --------------------------------------------------------------------------

static __poll_t port_poll(struct file *file, poll_table *table)
{
    struct port *port = port_of(file);
    struct channel *channel = port->channel;
    unsigned long flags;
    __poll_t events = 0;

    poll_wait(file, &port->wait, table);
    if (can_read(port))
        events |= EPOLLIN | EPOLLRDNORM;
    spin_lock_irqsave(&channel->lock, flags);
    switch (write_outcome(port)) {
    case DONE:
        events |= EPOLLOUT | EPOLLWRNORM;
        break;
    case ENDED:
        events |= EPOLLOUT | EPOLLWRNORM | EPOLLHUP;
        break;
    case GONE:
        events |= EPOLLERR | EPOLLHUP;
        break;
    default:
        break;
    }
    spin_unlock_irqrestore(&channel->lock, flags);
    return events;
}

// The device may be about to be started again, which remembers who is attached.
static int set_attached(struct port *port, bool attached)
{
    struct channel *channel = port->channel;
    unsigned long flags;
    int error = 0;

    mutex_lock(&channel->mending_lock);
    spin_lock_irqsave(&channel->lock, flags);
    if (channel->failed || !channel->console.ports[port->number].present)
        error = -ENODEV;
    if (!channel->failed && attached && error == 0)
        virtio_console_attach(&channel->console, port->number);
    else if (!channel->failed && !attached)
        virtio_console_detach(&channel->console, port->number);
    spin_unlock_irqrestore(&channel->lock, flags);
    mutex_unlock(&channel->mending_lock);
    return error;
}

static int port_open(struct inode *inode, struct file *file)
{
    struct port *port = port_of(file);

    if (test_and_set_bit(0, &port->opened))
        return -EBUSY;
    port->read_piece = kmalloc(PORT_PIECE, GFP_KERNEL);
    port->write_piece = kmalloc(PORT_PIECE, GFP_KERNEL);
    int error = -ENOMEM;
    if (port->read_piece != NULL && port->write_piece != NULL)
        error = set_attached(port, true);
    if (error == 0)
        return stream_open(inode, file);
    kfree(port->read_piece);
    kfree(port->write_piece);
    clear_bit(0, &port->opened);
    return error;
}

static int port_release(struct inode *inode, struct file *file)
{
    struct port *port = port_of(file);

    (void)set_attached(port, false);
    kfree(port->read_piece);
    kfree(port->write_piece);
    clear_bit(0, &port->opened);
    return 0;
}

static const struct file_operations port_operations = {
    .owner = THIS_MODULE,
    .open = port_open,
    .release = port_release,
    .read = port_read,
    .write = port_write,
    .poll = port_poll,
    .llseek = no_llseek,
};

// --- Finding consoles --------------------------------------------------------------------

static const struct virtio_console_sizes sizes = {
    .ports = PORTS_MAX,
    .receive_buffers = 16,
    .receive_bytes = 4096,
    .transmit_buffers = 8,
    .transmit_bytes = 8192,
};

static void initialize(struct channel *channel)
{
    channel->number = channels;
    channel->idle = true; // until there is something for an interrupt to look at
    spin_lock_init(&channel->lock);
    mutex_init(&channel->mending_lock);
    INIT_WORK(&channel->work, work);
    for (u32 i = 0; i < PORTS_MAX; i++) {
        struct port *port = &channel->ports[i];
        port->channel = channel;
        port->number = i;
        init_waitqueue_head(&port->wait);
        mutex_init(&port->read_lock);
        mutex_init(&port->write_lock);
        for (u32 j = 0; j < PORT_NODES; j++)
            port->nodes[j].port = port;
    }
}

static int start(struct channel *channel)
{
    unsigned long flags;

    channel->virtio.queues_interrupt = queues_interrupt;
    channel->virtio.config_interrupt = config_interrupt;
    channel->virtio.context = channel;
    int result = corvus_virtio_attach(&channel->virtio, "corvus-agent");
    if (result != 0)
        return result;
    enum virtio_error error =
        virtio_console_open(&channel->console, &channel->virtio.device, &sizes);
    if (error == VIRTIO_OK)
        result =
            corvus_virtio_allocate(virtio_console_shared_bytes(&channel->console),
                                   virtio_console_own_bytes(&channel->console), &channel->memory);
    if (error == VIRTIO_OK && result == 0)
        error = virtio_console_start(&channel->console, &channel->memory);
    if (error != VIRTIO_OK) {
        pr_err("corvus-agent: device %u: %s\n", channel->virtio.number, virtio_error_text(error));
        return -EIO;
    }
    if (result != 0)
        return result;
    spin_lock_irqsave(&channel->lock, flags);
    channel->idle = false;
    spin_unlock_irqrestore(&channel->lock, flags);
    schedule_work(&channel->work);
    return 0;
}

static int __init corvus_agent_init(void)
{
    unsigned int number = 0;

    for (;;) {
        struct channel *channel = kzalloc(sizeof *channel, GFP_KERNEL);
        if (channel == NULL)
            return -ENOMEM;
        initialize(channel);
        if (corvus_virtio_claim_next(VIRTIO_TYPE_CONSOLE, &number, &channel->virtio) != 0) {
            kfree(channel);
            return 0;
        }
        int error = start(channel);
        if (error == 0) {
            channels++;
            continue;
        }
        pr_err("corvus-agent: device %u cannot be used: error %d\n", channel->virtio.number,
               -error);
        corvus_virtio_release(&channel->virtio);
        cancel_work_sync(&channel->work);
        corvus_virtio_free(&channel->memory);
        kfree(channel);
    }
}
device_initcall(corvus_agent_init);
