// SPDX-License-Identifier: GPL-2.0-only
// What others see of the transport (peer.h): sending, calls that wait for their answers, and who
// gets what comes.
#include "linuxserver/migration/peer_private.h"

#include "linuxserver/migration/messages.h"

#include <linux/completion.h>
#include <linux/mm.h>
#include <linux/slab.h>

#define CONNECT_LIMIT (5 * HZ)

struct migration_peer_counts migration_peer_counts;

static migration_handler *handlers[MESSAGES_COUNT];

struct call {
    struct list_head link;
    unsigned int node;
    u64 number;
    u64 *words;
    void *answer;
    size_t room, bytes;
    int error;
    struct completion done;
};

static LIST_HEAD(calls);
static LIST_HEAD(own); // packets to this node itself
static size_t own_bytes;
static u64 last_call;

unsigned int migration_self(void)
{
    return memobj_node;
}

unsigned int migration_nodes(void)
{
    return peer_nodes;
}

bool migration_is_up(unsigned int node)
{
    const struct peer_link *link = peer_link(node);

    return node == memobj_node || (link != NULL && link->up);
}

int migration_connect(unsigned int node)
{
    struct peer_link *link;
    long left;

    if (node == memobj_node)
        return 0;
    if (node == 0 || node > peer_nodes)
        return -ENOENT;
    link = peer_link_want(node);
    if (link == NULL)
        return -ENOMEM;
    left = wait_event_killable_timeout(link->wait, link->up, CONNECT_LIMIT);
    return left < 0 ? -EINTR : left == 0 ? -EHOSTUNREACH : 0;
}

// --- Sending -----------------------------------------------------------------------------

static int queue_own(struct peer_packet *packet)
{
    if (own_bytes + packet->bytes > PEER_QUEUE_MAX) {
        kvfree(packet);
        return -ENOMEM;
    }
    own_bytes += packet->bytes;
    list_add_tail(&packet->link, &own);
    port_daemon_wake(&peer_daemon);
    return 0;
}

static int send(unsigned int node, enum peer_kind kind, u32 id, u64 call,
                const u64 words[MIGRATION_WORDS], const void *data, size_t bytes)
{
    struct peer_link *link = NULL;
    struct peer_packet *packet;

    if (bytes > MIGRATION_DATA_MAX)
        return -EMSGSIZE;
    if (node != memobj_node) {
        link = peer_link_want(node);
        if (link == NULL || !link->up)
            return -EHOSTDOWN;
    }
    packet = peer_packet(kind, id, call, words, data, bytes);
    if (packet == NULL)
        return -ENOMEM;
    migration_peer_counts.sent++;
    migration_peer_counts.bytes_sent += bytes;
    return link != NULL ? peer_queue(link, packet) : queue_own(packet);
}

int migration_send(unsigned int node, u32 id, const u64 words[MIGRATION_WORDS], const void *data,
                   size_t bytes)
{
    return send(node, PEER_PLAIN, id, 0, words, data, bytes);
}

int migration_answer(unsigned int node, u64 call, const u64 words[MIGRATION_WORDS],
                     const void *data, size_t bytes)
{
    return send(node, PEER_ANSWER, 0, call, words, data, bytes);
}

// --- Calls -------------------------------------------------------------------------------

int migration_call(unsigned int node, u32 id, u64 words[MIGRATION_WORDS], const void *data,
                   size_t bytes, void *answer, size_t *answer_bytes)
{
    struct call call = {
        .node = node,
        .number = ++last_call,
        .words = words,
        .answer = answer,
        .room = answer != NULL && answer_bytes != NULL ? *answer_bytes : 0,
    };

    init_completion(&call.done);
    list_add_tail(&call.link, &calls);
    call.error = send(node, PEER_CALL, id, call.number, words, data, bytes);
    if (call.error == 0 && wait_for_completion_killable(&call.done) != 0)
        call.error = -EINTR;
    list_del(&call.link);
    if (answer_bytes != NULL)
        *answer_bytes = call.error == 0 ? call.bytes : 0;
    return call.error;
}

// An answer that nobody waits for any more is late.
static void answered(unsigned int node, u64 number, const u64 words[MIGRATION_WORDS],
                     const void *data, size_t bytes)
{
    struct call *call = NULL;

    list_for_each_entry(call, &calls, link)
    {
        if (call->node != node || call->number != number || completion_done(&call->done))
            continue;
        memcpy(call->words, words, MIGRATION_WORDS * sizeof *words);
        call->bytes = min(bytes, call->room);
        if (call->bytes != 0)
            memcpy(call->answer, data, call->bytes);
        call->error = bytes > call->room ? -EMSGSIZE : 0;
        complete(&call->done);
        return;
    }
    migration_peer_counts.late++;
}

void peer_fail_calls(unsigned int node)
{
    struct call *call = NULL;

    list_for_each_entry(call, &calls, link)
    {
        if (call->node != node || completion_done(&call->done))
            continue;
        call->error = -EHOSTDOWN;
        complete(&call->done);
    }
}

// --- What comes --------------------------------------------------------------------------

void migration_handle(u32 first, u32 last, migration_handler *handler)
{
    for (u32 id = first; id <= last && id < MESSAGES_COUNT; id++)
        handlers[id] = handler;
}

void peer_deliver(unsigned int node, enum peer_kind kind, u32 id, u64 call,
                  const u64 words[MIGRATION_WORDS], const void *data, size_t bytes)
{
    migration_peer_counts.received++;
    migration_peer_counts.bytes_received += bytes;
    if (kind == PEER_ANSWER)
        answered(node, call, words, data, bytes);
    else if (id < MESSAGES_COUNT && handlers[id] != NULL)
        handlers[id](node, call, id, words, data, bytes);
    else
        migration_peer_counts.unhandled++;
}

bool peer_deliver_own(void)
{
    struct peer_packet *packet = list_first_entry_or_null(&own, struct peer_packet, link);

    if (packet == NULL)
        return false;
    list_del(&packet->link);
    own_bytes -= packet->bytes;
    peer_deliver(memobj_node, packet->kind, packet->id, packet->call, packet->words, packet->data,
                 packet->bytes);
    kvfree(packet);
    return true;
}
