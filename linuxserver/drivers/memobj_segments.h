// SPDX-License-Identifier: GPL-2.0-only
// The file system memobj: a directory of memory objects that a server keeps
// (include/corvus/segments.def), the DSM server above all.
//
//   memobj_call.c       RPCs by a worker, while the process sleeps
//   memobj_segments.c   the calls of segments.def, and finding who answers them
//   memobj_directory.c  names: look-up, create, link, unlink, rename, readdir
//   memobj_inode.c      attributes; segments as files
//   memobj_mount.c      mount -t memobj -o server=NAME
//
// Nothing is kept of what the server says: names are looked up and attributes asked for each time.
#pragma once

#include "memobj.h"

#include <corvus/segments.h>

#define MEMOBJ_MAGIC 0x4d654f62

// --- memobj_call.c -----------------------------------------------------------------------

#define MEMOBJ_CALL_WORDS 12

struct memobj_call {
    u32 id;
    unsigned int words;          // of the request
    u64 word[MEMOBJ_CALL_WORDS]; // of the request, then of the answer behind its error
    const void *data;            // or NULL: a COPY item
    size_t bytes;
    void *room; // for a COPY item that comes, or NULL
    size_t room_bytes, came_bytes;
    struct message_right give; // sent along; name PORT_NULL: none
    u32 right;                 // that came, PORT_NULL: none
    bool answered;             // else the error is one of sending, or of waiting
};

// Sends it and waits for the answer, at most PAGER_REQUEST_LIMIT. A corvus_error_t, or -EINTR: the
// process is to die; -ENOMEM.
int memobj_call(u32 port, struct memobj_call *call);

// The port checked in with init under that name, at most 32 bytes: a send right, the caller's.
// As memobj_call; PORT_NULL unless ERR_OK.
int memobj_look_up(const char *name, u32 *port);

// --- memobj_segments.c ---------------------------------------------------------------------
// Each returns 0 or a negative error number of Linux; EIO: nobody answers.

struct memobj_server {
    char name[33];
    u32 port;     // PORT_NULL: to be looked up
    umode_t mode; // of the directory
};

struct memobj_attributes {
    u64 size, mode, uid, gid, links, modified, changed, version;
};

int memobj_segment_look_up(struct memobj_server *server, const struct qstr *name, u64 *segment);
int memobj_segment_create(struct memobj_server *server, const struct qstr *name, u32 mode, u32 uid,
                          u32 gid, u64 *segment);
int memobj_segment_link(struct memobj_server *server, u64 segment, const struct qstr *name);
int memobj_segment_unlink(struct memobj_server *server, const struct qstr *name);
int memobj_segment_rename(struct memobj_server *server, u64 flags, const struct qstr *from,
                          const struct qstr *to);
int memobj_segment_list(struct memobj_server *server, u64 *cookie, void *room, size_t *bytes);
int memobj_segment_get(struct memobj_server *server, u64 segment,
                       struct memobj_attributes *attributes);
int memobj_segment_set(struct memobj_server *server, u64 segment, u64 which,
                       const struct memobj_attributes *attributes);
int memobj_segment_open(struct memobj_server *server, u64 segment, u32 *object);

// --- memobj_inode.c, memobj_directory.c ------------------------------------------------------

static inline struct memobj_server *memobj_server_of(const struct super_block *super)
{
    return super->s_fs_info;
}

// The inode of a segment, counted, with its attributes as they are now.
struct inode *memobj_inode(struct super_block *super, u64 segment);
int memobj_refresh(struct inode *inode);
struct inode *memobj_root(struct super_block *super, umode_t mode);
