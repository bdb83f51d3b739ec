// SPDX-License-Identifier: BSD-2-Clause
// One TCP connection. lwIP's callbacks only note what happened: the owner is told by
// transport_poll, when lwIP is not in the middle of anything.
#include "netipc/transport_private.h"

#include <stdlib.h>
#include <string.h>

#define WRITE_MAX 0xffffu // of one tcp_write

// --- Lists ----------------------------------------------------------------------------------

void link_mark_pending(struct transport_link *link)
{
    if (link->on_pending)
        return;
    link->on_pending = true;
    link->next_pending = link->transport->pending;
    link->transport->pending = link;
}

void link_mark_dirty(struct transport_link *link)
{
    link->dirty = true;
    if (link->on_dirty)
        return;
    link->on_dirty = true;
    link->next_dirty = link->transport->dirty;
    link->transport->dirty = link;
}

struct transport_link *link_create(struct transport *transport, uint32_t address)
{
    if (transport->link_count >= TRANSPORT_LINKS_MAX) {
        transport->counters.links_full++;
        return NULL;
    }
    struct transport_link *link = calloc(1, sizeof *link);
    if (link != NULL)
        link->sends = calloc(TRANSPORT_SENDS_MAX, sizeof link->sends[0]);
    if (link == NULL || link->sends == NULL) {
        free(link);
        transport->counters.no_memory++;
        return NULL;
    }
    link->transport = transport;
    link->address = address;
    link->progress_at = network_now();
    link->next = transport->links;
    link->previous = &transport->links;
    if (link->next != NULL)
        link->next->previous = &link->next;
    transport->links = link;
    transport->link_count++;
    return link;
}

static void drop_received(struct transport_link *link)
{
    while (link->first != NULL) {
        struct pbuf *next = link->first->next;
        link->first->next = NULL;
        (void)pbuf_free(link->first);
        link->first = next;
    }
    link->last = NULL;
    link->available = link->offset = 0;
}

// Not while it is on the dirty or the pending list.
void link_destroy(struct transport_link *link)
{
    drop_received(link);
    *link->previous = link->next;
    if (link->next != NULL)
        link->next->previous = link->previous;
    link->transport->link_count--;
    free(link->sends);
    free(link);
}

// --- Sending ----------------------------------------------------------------------------------

static struct link_send *send_at(const struct transport_link *link, uint32_t number)
{
    return &link->sends[(link->send_first + number) % TRANSPORT_SENDS_MAX];
}

// Writes from the send that is next, as much as TCP takes at once. False: it takes no
// more now.
static bool write_some(struct transport_link *link)
{
    struct link_send *send = send_at(link, link->send_written);
    size_t part = send->bytes - link->offset_written;
    size_t room = tcp_sndbuf(link->pcb);
    bool more = link->send_written + 1 < link->send_count;

    if (part > room)
        part = room;
    if (part > WRITE_MAX)
        part = WRITE_MAX;
    if (part == 0)
        return false;
    more = more || link->offset_written + part < send->bytes;
    if (tcp_write(link->pcb, send->data + link->offset_written, (u16_t)part,
                  more ? TCP_WRITE_FLAG_MORE : 0) != ERR_OK)
        return false;
    link->offset_written += part;
    if (link->offset_written == send->bytes) {
        link->send_written++;
        link->offset_written = 0;
    }
    return true;
}

// Opens TCP's window again by what the owner has consumed.
static void open_window(struct transport_link *link)
{
    while (link->pcb != NULL && link->consumed > 0) {
        u16_t part = link->consumed < WRITE_MAX ? (u16_t)link->consumed : WRITE_MAX;
        link->consumed -= part;
        tcp_recved(link->pcb, part);
    }
}

void link_output(struct transport_link *link)
{
    link->dirty = false;
    if (link->pcb == NULL || link->state == LINK_CONNECTING)
        return;
    open_window(link);
    while (link->send_written < link->send_count && write_some(link)) {
    }
    (void)tcp_output(link->pcb);
}

// The card may still be at a second copy of what has been acknowledged. It is done
// with it when it has sent all that it was given up to now.
void link_mark_done(struct transport_link *link)
{
    if (link->send_marked != 0)
        return;
    link->send_marked = link->send_done;
    link->mark = interface_sent_mark();
}

// The sends that the other side has wholly acknowledged.
static void find_done(struct transport_link *link)
{
    uint32_t before = link->send_done;

    while (link->send_done < link->send_written) {
        uint64_t end = link->done_bytes + send_at(link, link->send_done)->bytes;
        if (end > link->acknowledged)
            break;
        link->done_bytes = end;
        link->send_done++;
    }
    if (link->send_done == before)
        return;
    link_mark_done(link);
    link_mark_pending(link);
}

// --- The connection's end -------------------------------------------------------------------

void link_end(struct transport_link *link, enum transport_error reason)
{
    link->pcb = NULL;
    link->state = LINK_OVER;
    link->reason = reason;
    // All come back, as soon as the card is done with what was on its way.
    link->send_done = link->send_written = link->send_count;
    link->send_marked = 0;
    link_mark_done(link);
    link_mark_pending(link);
}

// lwIP does not call back for a connection that no longer has callbacks.
static void detach(struct tcp_pcb *pcb)
{
    tcp_arg(pcb, NULL);
    tcp_recv(pcb, NULL);
    tcp_sent(pcb, NULL);
    tcp_err(pcb, NULL);
}

void link_abort(struct transport_link *link, enum transport_error reason)
{
    struct tcp_pcb *pcb = link->pcb;

    if (pcb != NULL) {
        detach(pcb);
        tcp_abort(pcb);
    }
    link_end(link, reason);
}

// --- What lwIP calls --------------------------------------------------------------------------

static err_t was_sent(void *argument, struct tcp_pcb *pcb, u16_t bytes)
{
    struct transport_link *link = argument;

    (void)pcb;
    link->acknowledged += bytes;
    link->transport->counters.bytes_sent += bytes;
    link->progress_at = network_now();
    find_done(link);
    if (link->send_written < link->send_count)
        link_mark_dirty(link);
    if (link->state == LINK_LINGERING)
        link_mark_pending(link);
    return ERR_OK;
}

// The other side has closed. This side does so when it is told of it by the poll.
static err_t has_ended(struct transport_link *link)
{
    struct tcp_pcb *pcb = link->pcb;

    // What is not acknowledged will not be, and TCP must not read it any more.
    bool unfinished = link->queued != link->acknowledged;
    open_window(link); // bytes that seem unread would make the end a reset
    detach(pcb);
    link_end(link, TRANSPORT_ENDED);
    if (!unfinished && tcp_close(pcb) == ERR_OK)
        return ERR_OK;
    tcp_abort(pcb);
    return ERR_ABRT;
}

static err_t was_received(void *argument, struct tcp_pcb *pcb, struct pbuf *chain, err_t error)
{
    struct transport_link *link = argument;

    (void)error;
    if (chain == NULL)
        return has_ended(link);
    link->transport->counters.bytes_received += chain->tot_len;
    if (link->abandoned) {
        tcp_recved(pcb, chain->tot_len);
        (void)pbuf_free(chain);
        return ERR_OK;
    }
    link->available += chain->tot_len;
    if (link->last != NULL)
        link->last->next = chain;
    else
        link->first = chain;
    while (chain->next != NULL)
        chain = chain->next;
    link->last = chain;
    link->received_due = true;
    link_mark_pending(link);
    return ERR_OK;
}

// The connection has been freed by lwIP.
static void was_lost(void *argument, err_t error)
{
    struct transport_link *link = argument;
    enum transport_error reason = TRANSPORT_TIMED_OUT;

    if (error == ERR_RST)
        reason = link->state == LINK_CONNECTING ? TRANSPORT_REFUSED : TRANSPORT_RESET;
    link_end(link, reason);
}

void link_adopt(struct transport_link *link, struct tcp_pcb *pcb)
{
    link->pcb = pcb;
    tcp_arg(pcb, link);
    tcp_recv(pcb, was_received);
    tcp_sent(pcb, was_sent);
    tcp_err(pcb, was_lost);
    tcp_nagle_disable(pcb);
}

// --- What the owner asks -----------------------------------------------------------------------

enum transport_error transport_send(struct transport_link *link, const void *data, size_t bytes,
                                    void *cookie)
{
    struct transport_counters *counters = &link->transport->counters;

    if (link->state != LINK_CONNECTED)
        return TRANSPORT_NOT_CONNECTED;
    if (bytes == 0)
        return TRANSPORT_INVALID;
    if (link->send_count == TRANSPORT_SENDS_MAX) {
        counters->sends_full++;
        return TRANSPORT_FULL;
    }
    *send_at(link, link->send_count++) =
        (struct link_send){.data = data, .bytes = bytes, .cookie = cookie};
    link->queued += bytes;
    counters->sends++;
    link_mark_dirty(link);
    return TRANSPORT_OK;
}

unsigned transport_room(const struct transport_link *link)
{
    return link->state == LINK_CONNECTED ? TRANSPORT_SENDS_MAX - link->send_count : 0;
}

uint64_t transport_unacknowledged(const struct transport_link *link)
{
    return link->state == LINK_OVER ? 0 : link->queued - link->acknowledged;
}

void transport_flush(struct transport_link *link)
{
    if (link->dirty)
        link_output(link);
}

unsigned transport_peek(const struct transport_link *link, struct frame_piece *pieces, unsigned max)
{
    const struct pbuf *buffer = link->first;
    size_t offset = link->offset;
    unsigned count = 0;

    for (; buffer != NULL && count < max; buffer = buffer->next, offset = 0) {
        if (buffer->len > offset)
            pieces[count++] = (struct frame_piece){(const uint8_t *)buffer->payload + offset,
                                                   buffer->len - offset};
    }
    return count;
}

size_t transport_available(const struct transport_link *link)
{
    return link->available;
}

void transport_consume(struct transport_link *link, size_t bytes)
{
    if (bytes > link->available)
        bytes = link->available;
    link->available -= bytes;
    size_t left = bytes + link->offset;
    while (link->first != NULL && left >= link->first->len) {
        struct pbuf *buffer = link->first;
        left -= buffer->len;
        link->first = buffer->next;
        buffer->next = NULL;
        (void)pbuf_free(buffer);
    }
    if (link->first == NULL)
        link->last = NULL;
    link->offset = left;
    // TCP is told once of all that is consumed in a round.
    link->consumed += bytes;
    if (link->pcb != NULL && link->consumed > 0)
        link_mark_dirty(link);
}

void transport_close(struct transport_link *link, bool orderly)
{
    link->abandoned = true;
    transport_consume(link, link->available); // unread bytes would make the end a reset
    open_window(link);
    if (link->state == LINK_CONNECTED && orderly) {
        link->state = LINK_LINGERING;
        link_mark_dirty(link);
        link_mark_pending(link);
        return;
    }
    if (link->state != LINK_OVER)
        link_abort(link, TRANSPORT_LOCAL);
    link_mark_pending(link);
}

void transport_set_context(struct transport_link *link, void *link_context)
{
    link->context = link_context;
}

void *transport_context(const struct transport_link *link)
{
    return link->context;
}

uint32_t transport_address(const struct transport_link *link)
{
    return link->address;
}
