// SPDX-License-Identifier: GPL-2.0-only
// The calls of segments.def. The server is looked up when it is first needed, and again when it has
// died.
#include "memobj_segments.h"

#include <corvus/init_services.h>
#include <corvus/segments_services.h>
#include <corvus/services.h>

#include <linux/slab.h>
#include <linux/vmalloc.h>

static int errno_of(int error)
{
    switch (error) {
    case ERR_OK:
    case -EINTR:
    case -ENOMEM:
        return error;
    case ERR_NOT_FOUND:
        return -ENOENT;
    case ERR_IN_USE:
        return -EEXIST;
    case ERR_NO_MEMORY:
    case ERR_RIGHTS_FULL:
        return -ENOSPC;
    case ERR_TOO_LARGE:
        return -EFBIG;
    case ERR_INVALID_ARGUMENT:
        return -EINVAL;
    case ERR_ACCESS_DENIED:
        return -EACCES;
    default:
        return -EIO;
    }
}

// --- Who answers ----------------------------------------------------------------------------

static void forget(struct memobj_server *server, u32 port)
{
    if (server->port != port)
        return;
    server->port = PORT_NULL;
    memobj_deallocate(port);
}

int memobj_look_up(const char *name, u32 *port)
{
    struct memobj_call call = {.id = SERVICE_bootstrap_look_up, .words = 5};
    int error;

    memcpy(call.word, name, strnlen(name, 4 * sizeof(u64)));
    error = memobj_call(NAME_BOOTSTRAP, &call);
    *port = call.right;
    return error == ERR_OK && call.right == PORT_NULL ? ERR_NOT_FOUND : error;
}

static int find(struct memobj_server *server)
{
    u32 port;
    int error = memobj_look_up(server->name, &port);

    if (error != ERR_OK)
        return error == -EINTR || error == -ENOMEM ? error : -EIO;
    if (server->port != PORT_NULL) // somebody was faster
        memobj_deallocate(port);
    else
        server->port = port;
    return 0;
}

static bool has_gone(int error)
{
    return error == ERR_PEER_DIED || error == ERR_INVALID_NAME || error == ERR_INVALID_RIGHT;
}

// A call that did not reach a server that has died is made once more.
static int ask(struct memobj_server *server, struct memobj_call *call)
{
    struct memobj_call again = *call;
    int error = ERR_PEER_DIED;

    for (int i = 0; i < 2; i++) {
        u32 port;

        *call = again;
        error = server->port == PORT_NULL ? find(server) : 0;
        if (error != 0)
            return error;
        port = server->port;
        error = memobj_call(port, call);
        if (call->answered || !has_gone(error))
            break;
        forget(server, port);
    }
    return errno_of(error);
}

// --- Calls ------------------------------------------------------------------------------------

int memobj_segment_look_up(struct memobj_server *server, const struct qstr *name, u64 *segment)
{
    struct memobj_call call = {
        .id = SERVICE_segment_look_up, .data = name->name, .bytes = name->len};
    int error = ask(server, &call);

    *segment = call.word[0];
    return error != 0 ? error : *segment == 0 ? -EIO : 0;
}

int memobj_segment_create(struct memobj_server *server, const struct qstr *name, u32 mode, u32 uid,
                          u32 gid, u64 *segment)
{
    struct memobj_call call = {.id = SERVICE_segment_create,
                               .words = 3,
                               .word = {mode, uid, gid},
                               .data = name->name,
                               .bytes = name->len};
    int error = ask(server, &call);

    *segment = call.word[0];
    return error != 0 ? error : *segment == 0 ? -EIO : 0;
}

int memobj_segment_link(struct memobj_server *server, u64 segment, const struct qstr *name)
{
    struct memobj_call call = {.id = SERVICE_segment_link,
                               .words = 1,
                               .word = {segment},
                               .data = name->name,
                               .bytes = name->len};

    return ask(server, &call);
}

int memobj_segment_unlink(struct memobj_server *server, const struct qstr *name)
{
    struct memobj_call call = {
        .id = SERVICE_segment_unlink, .data = name->name, .bytes = name->len};

    return ask(server, &call);
}

int memobj_segment_rename(struct memobj_server *server, u64 flags, const struct qstr *from,
                          const struct qstr *to)
{
    struct memobj_call call = {.id = SERVICE_segment_rename,
                               .words = 1,
                               .word = {flags},
                               .bytes = (size_t)from->len + 1 + to->len};
    char *names = kzalloc(call.bytes, GFP_KERNEL);
    int error;

    if (names == NULL)
        return -ENOMEM;
    memcpy(names, from->name, from->len);
    memcpy(names + from->len + 1, to->name, to->len);
    call.data = names;
    error = ask(server, &call);
    kfree(names);
    return error;
}

int memobj_segment_list(struct memobj_server *server, u64 *cookie, void *room, size_t *bytes)
{
    struct memobj_call call = {.id = SERVICE_segment_list,
                               .words = 1,
                               .word = {*cookie},
                               .room = room,
                               .room_bytes = *bytes};
    int error = ask(server, &call);

    *cookie = call.word[0];
    *bytes = call.came_bytes;
    return error;
}

int memobj_segment_get(struct memobj_server *server, u64 segment,
                       struct memobj_attributes *attributes)
{
    struct memobj_call call = {.id = SERVICE_segment_get, .words = 1, .word = {segment}};
    int error = ask(server, &call);

    memcpy(attributes, call.word, sizeof *attributes);
    return error != 0 ? error : attributes->size > SEGMENT_SIZE_MAX ? -EIO : 0;
}

int memobj_segment_set(struct memobj_server *server, u64 segment, u64 which,
                       const struct memobj_attributes *attributes)
{
    struct memobj_call call = {.id = SERVICE_segment_set,
                               .words = 7,
                               .word = {segment, which, attributes->mode, attributes->uid,
                                        attributes->gid, attributes->size, attributes->modified}};

    return ask(server, &call);
}

int memobj_segment_open(struct memobj_server *server, u64 segment, u32 *object)
{
    struct memobj_call call = {.id = SERVICE_segment_open, .words = 2, .word = {segment, 0}};
    int error = ask(server, &call);

    *object = call.right;
    return error != 0 ? error : call.right == PORT_NULL ? -EIO : 0;
}
