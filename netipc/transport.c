// SPDX-License-Identifier: BSD-2-Clause
// All links together: connecting, accepting, and the poll by which their owner is
// told what happened.
#include "netipc/transport_private.h"

#include <stdlib.h>

#define PATIENCE_DEFAULT_MS         10000u
#define NANOSECONDS_PER_MILLISECOND 1000000ull
#define SCAN_INTERVAL               (100 * NANOSECONDS_PER_MILLISECOND)
#define CARD_INTERVAL               (NANOSECONDS_PER_MILLISECOND / 5)
#define BACKLOG                     255u

const char *transport_error_text(enum transport_error error)
{
    static const char *const texts[] = {
#define TRANSPORT_ERROR_TEXT(name, text) [TRANSPORT_##name] = (text),
        TRANSPORT_ERRORS(TRANSPORT_ERROR_TEXT)
#undef TRANSPORT_ERROR_TEXT
    };

    return (unsigned)error < TRANSPORT_ERROR_COUNT ? texts[error] : "unknown error";
}

// --- Opening --------------------------------------------------------------------------------

static err_t was_accepted(void *argument, struct tcp_pcb *pcb, err_t error)
{
    struct transport *transport = argument;

    if (error != ERR_OK || pcb == NULL)
        return ERR_VAL;
    uint32_t address = lwip_ntohl(ip4_addr_get_u32(ip_2_ip4(&pcb->remote_ip)));
    struct transport_link *link = link_create(transport, address);
    if (link == NULL) {
        tcp_abort(pcb);
        return ERR_ABRT;
    }
    link->state = LINK_ACCEPTED;
    link_adopt(link, pcb);
    link_mark_pending(link);
    return ERR_OK;
}

static bool listen_for_links(struct transport *transport)
{
    struct tcp_pcb *pcb = tcp_new();

    if (pcb == NULL)
        return false;
    if (tcp_bind(pcb, IP_ANY_TYPE, TRANSPORT_PORT) == ERR_OK)
        transport->listener = tcp_listen_with_backlog(pcb, BACKLOG);
    if (transport->listener == NULL) {
        tcp_abort(pcb);
        return false;
    }
    tcp_arg(transport->listener, transport);
    tcp_accept(transport->listener, was_accepted);
    return true;
}

struct transport *transport_open(const struct transport_events *events,
                                 const struct transport_settings *settings)
{
    struct transport *transport = calloc(1, sizeof *transport);
    uint32_t patience = settings->patience_ms != 0 ? settings->patience_ms : PATIENCE_DEFAULT_MS;

    if (transport == NULL)
        return NULL;
    transport->events = *events;
    transport->patience = patience * NANOSECONDS_PER_MILLISECOND;
    transport->next_scan = network_now() + SCAN_INTERVAL;
    if (listen_for_links(transport) && beacons_open(transport)) {
        admission_open(transport);
        return transport;
    }
    if (transport->listener != NULL)
        (void)tcp_close(transport->listener);
    free(transport);
    return NULL;
}

static err_t was_connected(void *argument, struct tcp_pcb *pcb, err_t error)
{
    struct transport_link *link = argument;

    (void)pcb, (void)error;
    link->state = LINK_CONNECTED;
    link->connected_due = true;
    link->transport->counters.connects++;
    link_mark_pending(link);
    return ERR_OK;
}

enum transport_error transport_connect(struct transport *transport, uint32_t address,
                                       void *link_context, struct transport_link **result)
{
    struct transport_link *link = link_create(transport, address);
    struct tcp_pcb *pcb = link != NULL ? tcp_new() : NULL;
    ip_addr_t to;

    if (link == NULL)
        return transport->link_count >= TRANSPORT_LINKS_MAX ? TRANSPORT_FULL : TRANSPORT_NO_MEMORY;
    if (pcb == NULL) {
        transport->counters.no_memory++;
        link_destroy(link);
        return TRANSPORT_NO_MEMORY;
    }
    link->context = link_context;
    link->state = LINK_CONNECTING;
    link_adopt(link, pcb);
    ip_addr_set_ip4_u32(&to, lwip_htonl(address));
    err_t error = tcp_connect(pcb, &to, TRANSPORT_PORT, was_connected);
    if (error == ERR_OK) {
        *result = link;
        return TRANSPORT_OK;
    }
    tcp_arg(pcb, NULL);
    tcp_err(pcb, NULL);
    tcp_abort(pcb);
    link_destroy(link);
    return error == ERR_RTE ? TRANSPORT_NO_ROUTE : TRANSPORT_NO_MEMORY;
}

// --- Telling ----------------------------------------------------------------------------------

static void tell_accepted(struct transport_link *link)
{
    const struct transport_events *events = &link->transport->events;

    link->state = LINK_CONNECTED;
    link->transport->counters.accepts++;
    if (events->accepted(events->context, link))
        return;
    link->transport->counters.refused++;
    if (!link->abandoned)
        transport_close(link, false);
}

// Each send is off the ring before its owner hears of it, for that may send again.
static void tell_sent(struct transport_link *link)
{
    const struct transport_events *events = &link->transport->events;

    while (link->send_marked > 0 && interface_is_sent(link->mark)) {
        void *cookie = link->sends[link->send_first].cookie;
        link->send_first = (link->send_first + 1) % TRANSPORT_SENDS_MAX;
        link->send_count--;
        link->send_written--;
        link->send_done--;
        link->send_marked--;
        link_mark_done(link);
        events->sent(events->context, link, cookie);
    }
}

static void count_end(struct transport *transport, enum transport_error reason)
{
    struct transport_counters *counters = &transport->counters;

    counters->resets += reason == TRANSPORT_RESET || reason == TRANSPORT_REFUSED;
    counters->ended += reason == TRANSPORT_ENDED;
    counters->timed_out += reason == TRANSPORT_TIMED_OUT;
}

// Everything that was queued has been acknowledged: the connection can be closed.
static void finish_lingering(struct transport_link *link)
{
    struct tcp_pcb *pcb = link->pcb;

    if (link->queued != link->acknowledged)
        return;
    tcp_arg(pcb, NULL);
    tcp_recv(pcb, NULL);
    tcp_sent(pcb, NULL);
    tcp_err(pcb, NULL);
    link_end(link, TRANSPORT_LOCAL);
    if (tcp_close(pcb) != ERR_OK)
        tcp_abort(pcb);
}

static void tell_closed(struct transport_link *link)
{
    const struct transport_events *events = &link->transport->events;

    link->dead = true;
    count_end(link->transport, link->reason);
    if (!link->abandoned)
        events->closed(events->context, link, link->reason);
    link_mark_pending(link); // to be freed by the next poll
}

// Tells what there is of one link. True: there will be more when the card is done.
static bool tell(struct transport_link *link)
{
    const struct transport_events *events = &link->transport->events;

    if (link->state == LINK_ACCEPTED)
        tell_accepted(link);
    if (link->connected_due && !link->abandoned) {
        link->connected_due = false;
        events->connected(events->context, link);
    }
    if (link->received_due && !link->abandoned) {
        link->received_due = false;
        events->received(events->context, link);
    }
    tell_sent(link);
    if (link->state == LINK_LINGERING)
        finish_lingering(link);
    if (link->send_done > 0)
        return true;
    if (link->state == LINK_OVER && !link->dead)
        tell_closed(link);
    return false;
}

// --- The poll -----------------------------------------------------------------------------------

void transport_flush_all(struct transport *transport)
{
    while (transport->dirty != NULL) {
        struct transport_link *link = transport->dirty;
        transport->dirty = link->next_dirty;
        link->on_dirty = false;
        if (link->dirty)
            link_output(link);
    }
}

void transport_has_room(struct transport *transport)
{
    for (struct transport_link *link = transport->links; link != NULL; link = link->next) {
        if (link->pcb != NULL && link->queued != link->acknowledged)
            link_mark_dirty(link);
    }
}

// Whether the other side owes an answer. One that takes nothing, but says so, does not,
// unless the owner has closed the link and does not wait for it.
static bool is_owed(const struct transport_link *link)
{
    switch (link->state) {
    case LINK_CONNECTING:
    case LINK_LINGERING:
        return true;
    case LINK_CONNECTED:
        return link->pcb->unacked != NULL;
    default:
        return false;
    }
}

// Gives up links on which nothing moves.
static void scan(struct transport *transport, uint64_t now)
{
    for (struct transport_link *link = transport->links; link != NULL; link = link->next) {
        if (!is_owed(link))
            link->progress_at = now;
        else if (now - link->progress_at > transport->patience)
            link_abort(link, TRANSPORT_TIMED_OUT);
    }
    transport->next_scan = now + SCAN_INTERVAL;
}

// Tells all that is pending; what that causes is told by the next poll. True when
// there is more to be told once the card is done.
static bool tell_all(struct transport *transport)
{
    struct transport_link *link = transport->pending, *waiting = NULL;

    transport->pending = NULL;
    while (link != NULL) {
        struct transport_link *next = link->next_pending;
        link->on_pending = false;
        if (link->dead) {
            link_destroy(link);
        } else if (tell(link) && !link->on_pending) {
            link->on_pending = true;
            link->next_pending = waiting;
            waiting = link;
        }
        link = next;
    }
    transport->waiting = waiting;
    return waiting != NULL;
}

// Those that waited for the card are pending again.
static void resume_waiting(struct transport *transport)
{
    while (transport->waiting != NULL) {
        struct transport_link *link = transport->waiting;
        transport->waiting = link->next_pending;
        link->on_pending = false;
        link_mark_pending(link);
    }
}

uint64_t transport_poll(struct transport *transport)
{
    uint64_t now = network_now();

    if (now >= transport->next_scan)
        scan(transport, now);
    beacons_tell(transport);
    resume_waiting(transport);
    bool card_busy = tell_all(transport);
    transport_flush_all(transport);
    if (transport->pending != NULL)
        return 0;
    uint64_t deadline = transport->links != NULL ? transport->next_scan : UINT64_MAX;
    return card_busy && now + CARD_INTERVAL < deadline ? now + CARD_INTERVAL : deadline;
}

const struct transport_counters *transport_counters(const struct transport *transport)
{
    return &transport->counters;
}
