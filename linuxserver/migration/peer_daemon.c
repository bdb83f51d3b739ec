// SPDX-License-Identifier: GPL-2.0-only
// What other nodes' drivers send (peer.h), given to who handles it: the work of one thread
// (port_daemon.h).
#include "linuxserver/migration/peer_private.h"

#include <linux/init.h>

#define STUCK_NS 10000000u

u32 peer_port;

static bool is_sound(const struct message_exchange *exchange)
{
    u64 items = exchange->tag & TAG_ITEMS_MASK;

    return exchange->id == PEER_MESSAGE &&
           (exchange->tag & TAG_WORDS_MASK) == PEER_HEAD_WORDS + MIGRATION_WORDS &&
           !(exchange->tag & TAG_RIGHTS_MASK) && exchange->reply == PORT_NULL &&
           (items == 0 || (items == TAG_ITEMS(1) && exchange->page->items[0].kind == ITEM_COPY));
}

// Who can look our port up can send to it: a message counts only from the life that the node has
// told, and HELLO is believed. All nodes of a cluster trust each other's root (docs/migration.md).
static bool deliver(const struct message_exchange *exchange, const u8 *data)
{
    u64 words[PEER_HEAD_WORDS + MIGRATION_WORDS];
    unsigned int kind, node;
    const struct peer_link *link;
    u32 id;

    if (!is_sound(exchange))
        return false;
    memcpy(words, exchange->words, sizeof exchange->words);
    memcpy(words + MESSAGE_REGISTER_WORDS, exchange->page->words + MESSAGE_REGISTER_WORDS,
           sizeof words - sizeof exchange->words);
    kind = words[0] & 255;
    node = words[0] >> 16 & 0xffff;
    id = (u32)(words[0] >> 32);
    if ((words[0] >> 8 & 255) != PEER_VERSION || kind > PEER_ANSWER || node == 0 ||
        node > peer_nodes || node == memobj_node || words[1] == 0)
        return false;
    if (kind == PEER_HELLO) {
        peer_link_hello(node, words[1]);
        return true;
    }
    link = peer_link(node);
    if (link == NULL || link->life != words[1] || words[2] != peer_life) {
        migration_peer_counts.late++;
        return true;
    }
    peer_deliver(node, kind, id, words[3], words + PEER_HEAD_WORDS, data,
                 (exchange->tag & TAG_ITEMS_MASK) != 0 ? exchange->page->items[0].length : 0);
    return true;
}

static void take(const struct message_exchange *exchange, const u8 *data)
{
    peer_link_tend();
    if (!deliver(exchange, data))
        migration_peer_counts.refused++;
}

static bool work(void)
{
    peer_link_tend();
    return peer_deliver_own();
}

static u64 tend(void)
{
    peer_link_tend();
    return peer_queue_unstick() ? ktime_get_ns() + STUCK_NS : 0;
}

struct port_daemon peer_daemon = {
    .name = "corvus-migrate",
    .room = MIGRATION_DATA_MAX,
    .work = work,
    .take = take,
    .dead = peer_link_dead_port,
    .tend = tend,
};

static int __init begin(void)
{
    static struct corvus_port *arrivals;
    int error = port_daemon_begin(&peer_daemon);

    if (error == 0)
        error = port_daemon_make_port(&peer_daemon, PORT_DAEMON_FIRST_LABEL, PEER_BACKLOG,
                                      &peer_port, &arrivals);
    if (error == 0)
        error = port_daemon_start(&peer_daemon);
    if (error == 0)
        error = peer_link_begin();
    if (error != 0)
        pr_err("corvus: no migration: error %d\n", -error);
    return error;
}
late_initcall(begin);
