// SPDX-License-Identifier: GPL-2.0-only
// A console device's ports as character devices: agent.c moves the bytes,
// agent_nodes.c gives the ports their names under /dev.
#pragma once

#include "transport.h"

#include "lib/virtio/console.h"

#include <linux/miscdevice.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#define PORTS_MAX         4
#define PORT_PIECE        16384u // bytes moved at once
#define PORT_NODES        2      // by its number, by its name
#define PORT_NODE_PATH    96
#define AGENT_PORT_NAME   "corvus.agent"
#define AGENT_DEVICE_NAME "corvus-agent"

struct port;

struct port_node {
    struct miscdevice device;
    struct port *port;
    bool registered;
    char name[VIRTIO_CONSOLE_NAME_MAX + 1];
    char path[PORT_NODE_PATH];
};

struct port {
    struct channel *channel;
    u32 number;
    wait_queue_head_t wait;
    struct mutex read_lock, write_lock; // of the pieces
    u8 *read_piece, *write_piece;       // there while the port is open
    unsigned long opened;               // bit 0
    struct port_node nodes[PORT_NODES];
    bool known_present; // what the nodes have been made for
    char known_name[VIRTIO_CONSOLE_NAME_MAX + 1];
};

// One console device.
struct channel {
    struct corvus_virtio virtio;
    struct virtio_console console;
    struct virtio_memory memory;
    unsigned int number;       // among these
    struct work_struct work;   // what cannot be done in an interrupt
    struct mutex mending_lock; // held while the device is started again
    spinlock_t lock;           // of console, and what follows
    bool idle, failed;         // not to be touched: for now, for good
    unsigned int restarts;
    struct port ports[PORTS_MAX];
};

// Makes the nodes of a port what is known of it. In the channel's work only.
void port_update_nodes(struct port *port, const struct file_operations *operations);
