// SPDX-License-Identifier: GPL-2.0-only
// /dev/corvus: ports for processes (include/corvus/linux.h).
//
//   message.c           the device; what a call is made of
//   message_send.c      its send phase, RPCs included
//   message_receive.c   its receive phase, descriptors for poll
//   message_services.c  what the task and the other well-known names answer
//   message_rights.c    tables of rights, users' shares
//   message_ports.c     ports that processes wait at; finished work; the interrupt
//
// A right of a file holds one name of the server's table, and gives it back when the
// last user of the right has gone: so no call under way meets a name that has become
// somebody else's.
#pragma once

#include "linuxserver/backend/messages.h"

#include <corvus/error.h>

#include <linux/completion.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/uidgid.h>
#include <linux/wait.h>
#include <linux/xarray.h>

#define FILE_NAMES_MAX 8192
#define USER_NAMES_MAX 16384
#define NODE_NAMES_MAX 65536
#define USER_BYTES_MAX (8u << 20)
#define NODE_BYTES_MAX (32u << 20)
#define USER_WORKS_MAX 128
#define FIRST_NAME     NAME_AT(6)

// A receive right or a port set, as a place to wait. It outlives the right while
// somebody waits or polls.
struct corvus_port {
    struct kref users;
    u32 name; // in the server's table; PORT_NULL: it has gone
    unsigned int bin;
    struct corvus_port *set; // counted; in which it is, or was
    struct list_head in_bin; // empty for a set
    wait_queue_head_t wait;
};

// What a file, a user, and all have taken of what is bounded.
struct corvus_share {
    struct list_head link;
    kuid_t user;
    unsigned int files, names, works;
    size_t bytes;
};

// An entry of a file's table. A spare one has a number but no name yet.
struct corvus_right {
    struct kref users;
    struct corvus_file *file;
    u32 number;               // the name by which the process knows it
    u32 name;                 // the server's; PORT_NULL: it has gone to somebody else
    u32 kind;                 // RIGHT_*: what it was when it came
    bool leaving;             // it is being moved, and nobody else's to use
    struct corvus_port *port; // of a receive right or a set
    struct list_head spare;
};

// A notification that was asked for, about a name that has to be told by its number.
struct corvus_notice {
    struct list_head link;
    u32 name, number;
};

#define SPARES_MOST (MESSAGE_RIGHTS + 1)

struct corvus_file {
    struct xarray rights;
    u32 next_number;
    spinlock_t lock; // the lists
    struct list_head spares;
    unsigned int spare_count;
    struct list_head notices;
    unsigned int names; // under the lock of the shares
    struct corvus_share *share;
    bool privileged;
};

// A call under way.
struct corvus_operation {
    struct corvus_file *file;
    struct corvus_call call;
    struct message_work work;
    struct completion done; // of the work
    struct corvus_right *destination;
    struct corvus_right *sent[MESSAGE_RIGHTS + 1]; // the last: the right to answer it
    unsigned int moving;                           // bit n: sent[n] leaves the file
    struct list_head spares;                       // for what arrives
    void *out, *in;                                // COPY items, both ways
    size_t out_bytes, in_bytes;
    u64 in_address[MESSAGE_ITEMS]; // where the process wants them
    struct utcb *page;             // the process's, of which CORVUS_PAGE_BYTES are at `page_bytes`
    u64 page_bytes[CORVUS_PAGE_BYTES / sizeof(u64)];
};

// --- message.c -----------------------------------------------------------------------

// The call ends with that tag, without words.
int corvus_end(struct corvus_operation *operation, enum corvus_error error, bool in_receive);
// Whether it is one of /dev/corvus.
bool corvus_has_ports(struct file *file);

// Memory that the kernel and workers can reach; within the bounds. NULL: there is none.
void *corvus_allocate_bytes(struct corvus_file *file, size_t bytes);
void corvus_free_bytes(struct corvus_file *file, void *memory, size_t bytes);

// The server's deadline for one of CLOCK_MONOTONIC.
u64 corvus_deadline(u64 monotonic);

// --- message_send.c, message_receive.c -------------------------------------------------
// 0: the tag says what came of it; else a negative error number of Linux.

int corvus_send(struct corvus_operation *operation);
int corvus_receive(struct corvus_operation *operation);

// Makes what arrived in `exchange` (rights, answers, memory) the file's.
int corvus_take_message(struct corvus_operation *operation, struct message_exchange *exchange);

// Room for what arrives. A corvus_error_t.
int corvus_prepare_arrival(struct corvus_operation *operation);
int corvus_allocate_arrival(struct corvus_operation *operation);
void corvus_free_arrival(struct corvus_operation *operation);

int corvus_port_file(struct corvus_file *file, u32 number);

// Gives the request to a worker and waits. 0, or -EINTR when a signal ended the wait (its
// tag says how far it had come); -EAGAIN, -ENOMEM.
int corvus_work(struct corvus_operation *operation);

// --- message_services.c -----------------------------------------------------------------

// Of an RPC to one of the well-known names: false, if it has to be sent to the server's
// own one; else it has been answered.
bool corvus_serve(struct corvus_operation *operation);

// --- message_rights.c -------------------------------------------------------------------

struct corvus_share *corvus_share_get(kuid_t user);
void corvus_share_put(struct corvus_share *share);
void corvus_usage(struct corvus_file *file, struct corvus_usage *usage);
bool corvus_take_bytes(struct corvus_file *file, size_t bytes);
void corvus_give_bytes(struct corvus_file *file, size_t bytes);
bool corvus_take_work(struct corvus_file *file);
void corvus_give_work(struct corvus_file *file);

// A counted right by its number, NULL when there is none or it is leaving.
struct corvus_right *corvus_right_get(struct corvus_file *file, u64 number);
void corvus_right_put(struct corvus_right *right);

// Takes its number away; its name goes with its last user.
void corvus_right_remove(struct corvus_right *right);

// Likewise, of one whose name is somebody else's by now.
void corvus_right_gone(struct corvus_right *right);

// Moves `count` spare rights to the list. A corvus_error_t.
int corvus_spares_get(struct corvus_file *file, struct list_head *list, unsigned int count);
void corvus_spares_put(struct corvus_file *file, struct list_head *list);

// Makes a spare one of the list the right of that name of the server; its number.
u32 corvus_right_adopt(struct corvus_file *file, struct list_head *list, u32 name, u32 kind);

int corvus_notice_add(struct corvus_file *file, u32 name, u32 number);
// The number of the name that a notice tells, which is used up; 0: nobody asked.
u32 corvus_notice_take(struct corvus_file *file, u32 name);

void corvus_rights_open(struct corvus_file *file);
void corvus_rights_close(struct corvus_file *file);

// --- memobj_map.c ------------------------------------------------------------------------

int corvus_map_object(struct corvus_file *file, const void __user *argument);

// --- message_ports.c --------------------------------------------------------------------

int corvus_ports_begin(void);
struct corvus_port *corvus_port_make(u32 name, bool is_set);
void corvus_port_get(struct corvus_port *port);
void corvus_port_put(struct corvus_port *port);
// It is no more, here: who waits is told.
void corvus_port_end(struct corvus_port *port);
void corvus_port_set(struct corvus_port *port, struct corvus_port *set);
bool corvus_port_ready(const struct corvus_port *port);
// Finished work goes to who waits for it.
void corvus_reap(void);
