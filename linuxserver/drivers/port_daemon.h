// SPDX-License-Identifier: GPL-2.0-only
// A kernel thread that takes the messages of a set of Linux's own ports, and does what follows from
// them. It waits for nothing but the next message and the next moment at which something is due.
#pragma once

#include "linuxserver/backend/messages.h"

#include <linux/spinlock.h>
#include <linux/types.h>

struct corvus_port;

// Labels of the ports: that of notices, and the first of others.
#define PORT_DAEMON_NOTICES     1
#define PORT_DAEMON_FIRST_LABEL 2

struct port_daemon {
    // The owner's, set before it begins; all are called by the thread.
    const char *name;   // the thread's
    size_t room;        // bytes of data that a message may have
    bool frees_memory;  // in the end: it may use the last of it
    bool (*work)(void); // something else to do, one at a time; false: nothing. NULL: never
    // A message has come. Its COPY item is at `data`, and gone with its rights when this returns.
    void (*take)(const struct message_exchange *exchange, const u8 *data);
    // A port that was to be watched is dead.
    void (*dead)(u32 port);
    // After each batch. When to be called again at the latest (ktime, ns; 0: no matter).
    u64 (*tend)(void);

    u32 port_set, notices;        // receive rights
    struct corvus_port *arrivals; // of the set
    struct message_work *finished;
    spinlock_t finished_lock;
    u8 *buffer;
    bool awake;
    u64 page_bytes[CORVUS_PAGE_BYTES / sizeof(u64)];
};

// Makes the set and the port for notices. 0, -ENOMEM.
int port_daemon_begin(struct port_daemon *daemon);
// Starts the thread. 0, or a negative error number.
int port_daemon_start(struct port_daemon *daemon);

// A receive right in the set, with that label and so many messages at a time (0: the kernel's
// choice). 0, -ENOMEM; what has been made by then is in *name and *arrivals and the caller's.
int port_daemon_make_port(struct port_daemon *daemon, u32 label, u32 backlog, u32 *name,
                          struct corvus_port **arrivals);

// `dead` will tell of the port's death, once. A corvus_error_t: it is dead already, or no memory.
int port_daemon_watch(const struct port_daemon *daemon, u32 port);

// The thread looks for something to do. Also before it has begun, and in an interrupt.
void port_daemon_wake(struct port_daemon *daemon);
