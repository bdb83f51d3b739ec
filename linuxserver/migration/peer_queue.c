// SPDX-License-Identifier: GPL-2.0-only
// What waits to go to a node (peer.h): the packets of a link, in order (send_queue.h).
#include "linuxserver/migration/peer_private.h"

#include <linux/mm.h>
#include <linux/slab.h>

struct peer_packet *peer_packet(enum peer_kind kind, u32 id, u64 call,
                                const u64 words[MIGRATION_WORDS], const void *data, size_t bytes)
{
    // Data reach all of its pages, so a worker finds them if they are vmalloc's.
    struct peer_packet *packet = kvmalloc(sizeof *packet + bytes, GFP_NOIO | __GFP_NOWARN);

    if (packet == NULL)
        return NULL;
    packet->kind = kind;
    packet->id = id;
    packet->call = call;
    packet->bytes = bytes;
    memset(packet->words, 0, sizeof packet->words);
    if (words != NULL)
        memcpy(packet->words, words, sizeof packet->words);
    if (bytes != 0)
        memcpy(packet->data, data, bytes);
    return packet;
}

static bool prepare(const struct send_queue *queue, const struct list_head *first, bool waits,
                    struct message_exchange *exchange)
{
    const struct peer_link *link = container_of(queue, struct peer_link, queue);
    const struct peer_packet *packet = container_of(first, struct peer_packet, link);
    struct utcb *page = exchange->page;
    u64 words[PEER_HEAD_WORDS + MIGRATION_WORDS] = {
        PEER_HEAD(packet->kind, memobj_node, packet->id), peer_life, link->life, packet->call};

    if (link->port == PORT_NULL || link->broken)
        return false;
    migration_peer_counts.workers += waits;
    memcpy(words + PEER_HEAD_WORDS, packet->words, sizeof packet->words);
    *exchange = (struct message_exchange){
        .tag = TAG_SEND | (waits ? 0 : TAG_SEND_DEADLINE) | ARRAY_SIZE(words) |
               TAG_ITEMS(packet->bytes != 0),
        .destination = link->port,
        .id = PEER_MESSAGE,
        .page = page,
    };
    memcpy(exchange->words, words, sizeof exchange->words);
    memcpy(page->words + MESSAGE_REGISTER_WORDS, words + MESSAGE_REGISTER_WORDS,
           sizeof words - sizeof exchange->words);
    if (packet->bytes != 0)
        page->items[0] = (struct message_item){
            .kind = ITEM_COPY, .address = (u64)packet->data, .length = packet->bytes};
    return true;
}

static void end(struct send_queue *queue, struct list_head *first, int error)
{
    struct peer_link *link = container_of(queue, struct peer_link, queue);
    struct peer_packet *packet = container_of(first, struct peer_packet, link);

    link->queued -= packet->bytes;
    kvfree(packet);
    if (error == ERR_OK)
        return;
    migration_peer_counts.lost++;
    if (link->port != PORT_NULL && !link->broken) {
        link->broken = true;
        peer_tend_links = true;
        port_daemon_wake(&peer_daemon);
    }
}

static void rested(struct send_queue *queue)
{
    if (queue->stuck)
        port_daemon_wake(&peer_daemon);
}

const struct send_queue_kind peer_queue_kind = {&peer_daemon, prepare, end, rested};

int peer_queue(struct peer_link *link, struct peer_packet *packet)
{
    if (link->queued + packet->bytes > PEER_QUEUE_MAX) {
        kvfree(packet);
        return -ENOMEM;
    }
    link->queued += packet->bytes;
    send_queue_add(&link->queue, &packet->link);
    return 0;
}

bool peer_queue_unstick(void)
{
    bool left = false;

    for (struct peer_link *link = peer_link_next(NULL); link != NULL; link = peer_link_next(link)) {
        if (link->queue.stuck)
            send_queue_go_on(&link->queue);
        left = left || link->queue.stuck;
    }
    return left;
}
