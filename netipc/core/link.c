// SPDX-License-Identifier: BSD-2-Clause
// Connections and the sessions over them: hellos, then segments, each judged
// before anything of it is used.
#include "netipc/core/internal.h"

#include <stdlib.h>
#include <string.h>

bool core_wants_link(const struct core *core, uint32_t node)
{
    if (node <= core->settings.identity.self.node || node >= CORE_NODES_MAX ||
        core_peer(core, node) != NULL)
        return false;
    return core->connecting[node] == 0;
}

// --- Ends --------------------------------------------------------------------------------

static void free_when_over(struct core_link *link)
{
    if (!link->closed || link->processing || link->in_flight != 0)
        return;
    *link->self = link->next;
    if (link->next != NULL)
        link->next->self = link->self;
    free(link->incoming);
    free(link);
}

static void close(struct core_link *link)
{
    link->closed = true;
    if (link->initiator)
        link->core->connecting[link->expected]--;
    secure_end(&link->session);
    if (link->sealed != NULL)
        segment_free(link->core, link->sealed);
    link->sealed = NULL;
}

void link_finish(struct core_link *link, const char *why)
{
    if (link->closed)
        return;
    close(link);
    OPERATION(link->core, close_link, link->owner);
    if (link->peer != NULL)
        peer_end(link->peer, why);
    free_when_over(link);
}

void links_destroy(struct core *core)
{
    struct core_link *next;

    for (struct core_link *link = core->links; link != NULL; link = next) {
        next = link->next;
        link->in_flight = 0;
        if (link->closed)
            free_when_over(link);
        else
            link_finish(link, "");
    }
}

void core_link_closed(struct core_link *link, const char *why)
{
    struct core *core = link->core;

    close(link);
    if (link->peer != NULL)
        peer_end(link->peer, why);
    free_when_over(link);
    core_flush(core);
}

void core_sent(struct core *core, void *cookie)
{
    struct segment *segment = cookie;
    struct core_link *link = segment->link;

    link->in_flight--;
    segment_free(core, segment);
    free_when_over(link);
}

// --- Out -----------------------------------------------------------------------------------

void link_seal(struct core_link *link, struct segment *segment)
{
    size_t bytes = secure_seal(&link->session, segment->bytes, segment->body);

    segment->link = link;
    if (bytes == 0) {
        segment_free(link->core, segment);
        link_finish(link, secure_error_text(link->session.ended_by));
        return;
    }
    segment->body = (uint32_t)bytes; // from here on, all of it
    link->sealed = segment;
}

bool link_transmit(struct core_link *link)
{
    struct segment *segment = link->sealed;
    struct core *core = link->core;

    if (segment == NULL)
        return true;
    if (!OPERATION(core, transmit, link->owner, segment->bytes, segment->body, segment))
        return false;
    link->sealed = NULL;
    link->in_flight++;
    core->counters.segments_sent++;
    core->counters.bytes_sent += segment->body;
    return true;
}

void core_link_writable(struct core_link *link)
{
    struct core *core = link->core;

    link->processing = true;
    if (link_transmit(link) && link->peer != NULL)
        peer_pump(link->peer);
    link->processing = false;
    free_when_over(link);
    core_flush(core);
}

static bool send_hello(struct core_link *link, const uint8_t hello[SECURE_HELLO_BYTES])
{
    struct segment *segment = segment_allocate(link->core, SECURE_HELLO_BYTES);

    if (segment == NULL)
        return false;
    memcpy(segment->bytes, hello, SECURE_HELLO_BYTES);
    segment->link = link;
    segment->body = SECURE_HELLO_BYTES;
    link->sealed = segment;
    (void)link_transmit(link); // else when it is writable
    return true;
}

// --- Beginning --------------------------------------------------------------------------------

static bool initiate(struct core_link *link)
{
    const struct secure_identity *identity = &link->core->settings.identity;
    uint8_t entropy[SECURE_KEY_BYTES], hello[SECURE_HELLO_BYTES];

    if (!OPERATION(link->core, entropy, entropy))
        return false;
    enum secure_error error =
        secure_initiate(&link->session, identity, link->expected, entropy, hello);
    memset(entropy, 0, sizeof entropy);
    return error == SECURE_OK && send_hello(link, hello);
}

// Those who connect and say nothing may not take the memory of those who have sessions: only so
// many are waited for, and the oldest goes for the newest. A node tries again.
static void bound_mute_links(struct core *core)
{
    struct core_link *oldest = NULL;
    unsigned count = 0;

    for (struct core_link *link = core->links; link != NULL; link = link->next) {
        if (link->peer != NULL || link->initiator || link->closed)
            continue;
        oldest = link; // the newest comes first
        count++;
    }
    if (count >= MUTE_LINKS_MAX)
        link_finish(oldest, "others came, and it had said nothing");
}

struct core_link *core_link_open(struct core *core, uint32_t node, void *link_owner)
{
    struct core_link *link = node < CORE_NODES_MAX ? calloc(1, sizeof *link) : NULL;

    if (link == NULL)
        return NULL;
    link->core = core;
    link->owner = link_owner;
    link->initiator = node != CORE_NODE_NONE;
    link->expected = node;
    link->opened_ns = link->heard_ns = core->now_ns;
    link->incoming = malloc(SECURE_HELLO_BYTES);
    if (link->incoming == NULL || (link->initiator && !initiate(link))) {
        free(link->incoming);
        free(link);
        core->counters.no_memory++;
        return NULL;
    }
    if (!link->initiator)
        bound_mute_links(core);
    link->next = core->links;
    link->self = &core->links;
    if (link->next != NULL)
        link->next->self = &link->next;
    core->links = link;
    if (link->initiator)
        core->connecting[node]++;
    return link;
}

// --- In -----------------------------------------------------------------------------------------

static void refuse(struct core_link *link, enum secure_error error)
{
    link->core->counters.hellos_refused++;
    link_finish(link, secure_error_text(error));
}

// Room for segments only now: those who say nothing, or nothing true, are given no more than a
// hello's.
static bool make_room(struct core_link *link)
{
    uint8_t *larger = realloc(link->incoming, SECURE_SEGMENT_MAX);

    if (larger == NULL) {
        link->core->counters.no_memory++;
        link_finish(link, "no memory for a session");
        return false;
    }
    link->incoming = larger;
    return true;
}

// The first node of the two connects, so that there is one session.
static void accept_hello(struct core_link *link)
{
    const struct secure_identity *identity = &link->core->settings.identity;
    uint8_t entropy[SECURE_KEY_BYTES], answer[SECURE_HELLO_BYTES];

    if (!OPERATION(link->core, entropy, entropy)) {
        link_finish(link, "no entropy for a session's key");
        return;
    }
    enum secure_error error =
        secure_accept(&link->session, identity, entropy, link->incoming, answer);
    memset(entropy, 0, sizeof entropy);
    if (error == SECURE_OK && link->session.peer.node >= identity->self.node)
        error = SECURE_ERROR_NODE;
    if (error == SECURE_OK && link->session.peer.node >= CORE_NODES_MAX)
        error = SECURE_ERROR_MALFORMED;
    if (error != SECURE_OK)
        refuse(link, error);
    else if (make_room(link) && !send_hello(link, answer))
        link_finish(link, "no memory for a session");
}

static void complete_hello(struct core_link *link)
{
    enum secure_error error = secure_complete(&link->session, link->incoming);

    if (error != SECURE_OK)
        refuse(link, error);
    else if (make_room(link))
        peer_begin(link, secure_peer(&link->session));
}

static void segment_received(struct core_link *link, size_t body)
{
    struct core *core = link->core;
    enum secure_error error = secure_open(&link->session, link->incoming);

    if (error != SECURE_OK) {
        core->counters.segments_refused++;
        link_finish(link, secure_error_text(error));
        return;
    }
    core->counters.segments_received++;
    core->counters.bytes_received += body + SECURE_OVERHEAD_BYTES;
    if (link->peer == NULL)
        peer_begin(link, secure_peer(&link->session));
    if (link->peer != NULL)
        peer_received(link->peer, link->incoming + SECURE_HEADER_BYTES, body);
}

static bool hello_expected(const struct core_link *link)
{
    return link->session.state == SECURE_CLOSED || link->session.state == SECURE_INITIATED;
}

// Bytes that the next hello or segment takes, as far as is known; 0: the session has ended.
static size_t wanted(struct core_link *link)
{
    size_t body = 0;

    if (hello_expected(link))
        return SECURE_HELLO_BYTES;
    if (link->incoming_bytes < SECURE_HEADER_BYTES)
        return SECURE_HEADER_BYTES;
    enum secure_error error = secure_open_header(&link->session, link->incoming, &body);
    if (error != SECURE_OK) {
        link->core->counters.segments_refused++;
        link_finish(link, secure_error_text(error));
        return 0;
    }
    return body + SECURE_OVERHEAD_BYTES;
}

static void whole_received(struct core_link *link, size_t bytes)
{
    link->incoming_bytes = 0;
    if (!hello_expected(link))
        segment_received(link, bytes - SECURE_OVERHEAD_BYTES);
    else if (link->initiator)
        complete_hello(link);
    else
        accept_hello(link);
}

void core_link_received(struct core_link *link, const void *data, size_t bytes)
{
    struct core *core = link->core;
    const uint8_t *from = data;

    link->heard_ns = core->now_ns;
    link->processing = true;
    while (bytes != 0 && !link->closed) {
        size_t need = wanted(link);
        if (link->closed)
            break;
        size_t piece = need - link->incoming_bytes;
        if (piece > bytes)
            piece = bytes;
        memcpy(link->incoming + link->incoming_bytes, from, piece);
        link->incoming_bytes += (uint32_t)piece;
        from += piece;
        bytes -= piece;
        if (link->incoming_bytes == need && need != SECURE_HEADER_BYTES)
            whole_received(link, need);
    }
    link->processing = false;
    free_when_over(link);
    core_flush(core);
}
