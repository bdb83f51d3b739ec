// SPDX-License-Identifier: BSD-2-Clause
// Frames between the hub and one node, many in one system call.
#include "deploy/wire/port.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool complain(const char *what)
{
    fprintf(stderr, "wire: %s: %s\n", what, strerror(errno));
    return false;
}

static bool set_path(struct sockaddr_un *address, const char *folder, const char *format,
                     unsigned number)
{
    char name[32];
    snprintf(name, sizeof name, format, number);
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    int length = snprintf(address->sun_path, sizeof address->sun_path, "%s/%s", folder, name);
    if (length >= (int)sizeof address->sun_path) {
        errno = ENAMETOOLONG;
        return complain(folder);
    }
    return true;
}

static int datagram_socket(void)
{
    return socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

bool port_open(struct port *port, const char *folder, unsigned number, struct frame_pool *pool)
{
    struct sockaddr_un own;
    memset(port, 0, sizeof *port);
    port->in = port->out = -1;
    if (!set_path(&own, folder, "wire%u", number) ||
        !set_path(&port->node, folder, "node%u.nic", number))
        return false;
    // A hub that ended badly has left it.
    unlink(own.sun_path);
    port->in = datagram_socket();
    port->out = datagram_socket();
    if (port->in < 0 || port->out < 0 || bind(port->in, (struct sockaddr *)&own, sizeof own) != 0)
        return complain(own.sun_path);
    for (unsigned i = 0; i < PORT_BATCH; i++) {
        port->batch[i] = frame_take(pool);
        if (port->batch[i] == NULL)
            return complain("memory");
    }
    return true;
}

// --- From the node ------------------------------------------------------------------------------

// Takes a received frame out of the batch, when it is good and another can take its place.
static bool accept_frame(struct port *port, struct frame_pool *pool, unsigned place,
                         const struct mmsghdr *message)
{
    struct frame *frame = port->batch[place];
    if ((message->msg_hdr.msg_flags & MSG_TRUNC) != 0) {
        port->counters.giant++;
        return false;
    }
    // An empty one besides would end QEMU's reading at the other side for good.
    if (message->msg_len < FRAME_BYTES_MIN) {
        port->counters.runt++;
        return false;
    }
    struct frame *fresh = frame_take(pool);
    if (fresh == NULL) {
        port->counters.exhausted++;
        return false;
    }
    frame->length = message->msg_len;
    port->batch[place] = fresh;
    port->counters.received++;
    port->counters.received_bytes += frame->length;
    return true;
}

unsigned port_receive(struct port *port, struct frame_pool *pool, struct frame *frames[PORT_BATCH])
{
    struct mmsghdr messages[PORT_BATCH];
    struct iovec pieces[PORT_BATCH];
    unsigned good = 0;
    memset(messages, 0, sizeof messages);
    for (unsigned i = 0; i < PORT_BATCH; i++) {
        pieces[i] = (struct iovec){port->batch[i]->bytes, FRAME_BYTES_MAX};
        messages[i].msg_hdr.msg_iov = &pieces[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    int count = recvmmsg(port->in, messages, PORT_BATCH, 0, NULL);
    for (int i = 0; i < count; i++) {
        struct frame *frame = port->batch[i];
        if (accept_frame(port, pool, (unsigned)i, &messages[i]))
            frames[good++] = frame;
    }
    // Who speaks is there.
    if (count > 0)
        port->retry_at = 0;
    return good;
}

// --- To the node --------------------------------------------------------------------------------

// Connects to the socket that has the node's name now.
static bool look_for_node(struct port *port, uint64_t now)
{
    if (now < port->retry_at)
        return false;
    port->retry_at = now + PORT_RETRY_NS;
    port->present = connect(port->out, (struct sockaddr *)&port->node, sizeof port->node) == 0;
    return port->present;
}

static void drop_first(struct port *port, struct frame_pool *pool, uint64_t *counter)
{
    frame_release(pool, port->waiting[port->first]);
    port->first = (port->first + 1) % PORT_WAITING_MAX;
    port->count--;
    (*counter)++;
}

static void drop_all(struct port *port, struct frame_pool *pool)
{
    while (port->count > 0)
        drop_first(port, pool, &port->counters.absent);
}

void port_append(struct port *port, uint64_t now, struct frame_pool *pool, struct frame *frame)
{
    if (!port->present && !look_for_node(port, now)) {
        port->counters.absent++;
        frame_release(pool, frame);
        return;
    }
    if (port->count == PORT_WAITING_MAX)
        port_flush(port, now, pool);
    if (port->count == PORT_WAITING_MAX) {
        port->counters.full++;
        frame_release(pool, frame);
        return;
    }
    port->waiting[(port->first + port->count++) % PORT_WAITING_MAX] = frame;
}

// Sends the first few; returns what sendmmsg does.
static int send_batch(struct port *port)
{
    struct mmsghdr messages[PORT_BATCH];
    struct iovec pieces[PORT_BATCH];
    unsigned count = port->count < PORT_BATCH ? port->count : PORT_BATCH;
    memset(messages, 0, sizeof messages);
    for (unsigned i = 0; i < count; i++) {
        struct frame *frame = port->waiting[(port->first + i) % PORT_WAITING_MAX];
        pieces[i] = (struct iovec){frame->bytes, frame->length};
        messages[i].msg_hdr.msg_iov = &pieces[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    return sendmmsg(port->out, messages, count, MSG_NOSIGNAL);
}

static void count_sent(struct port *port, struct frame_pool *pool, int count)
{
    for (; count > 0; count--) {
        port->counters.sent_bytes += port->waiting[port->first]->length;
        drop_first(port, pool, &port->counters.sent);
    }
}

// The socket that the node had is gone: it ended, or is a new one that has made a new socket.
static void node_left(struct port *port, uint64_t now, struct frame_pool *pool)
{
    port->present = false;
    port->retry_at = 0;
    if (!look_for_node(port, now))
        drop_all(port, pool);
}

void port_look(struct port *port, uint64_t now, struct frame_pool *pool)
{
    bool was_present = port->present;
    port->retry_at = 0;
    bool is_present = look_for_node(port, now);
    // This was out of turn.
    port->retry_at = 0;
    if (was_present && !is_present)
        drop_all(port, pool);
}

bool port_flush(struct port *port, uint64_t now, struct frame_pool *pool)
{
    while (port->count > 0) {
        int sent = send_batch(port);
        if (sent > 0) {
            count_sent(port, pool, sent);
            continue;
        }
        switch (errno) {
        case EINTR:
            break;
        case EAGAIN:
            return true;
        case ECONNREFUSED:
        case ECONNRESET:
        case ENOTCONN:
        case EPIPE:
            node_left(port, now, pool);
            break;
        default:
            // It concerns this frame: the next may go.
            drop_first(port, pool, &port->counters.failed);
        }
    }
    return false;
}

void port_close(struct port *port, const char *folder, unsigned number, struct frame_pool *pool)
{
    struct sockaddr_un own;
    drop_all(port, pool);
    for (unsigned i = 0; i < PORT_BATCH; i++)
        if (port->batch[i] != NULL)
            frame_release(pool, port->batch[i]);
    if (port->out >= 0)
        close(port->out);
    if (port->in >= 0) {
        close(port->in);
        if (set_path(&own, folder, "wire%u", number))
            unlink(own.sun_path);
    }
}
