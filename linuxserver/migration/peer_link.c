// SPDX-License-Identifier: GPL-2.0-only
// Links to other nodes' migration drivers (peer.h). One kernel thread looks for those that somebody
// wants, by RPCs that may take long, and checks this node's own port in. All else that happens to a
// link happens in the daemon's thread.
//
// A link is up when this node has the other's port and knows its life. It is down when the port
// dies, or when the other tells its life although it had: then it has begun anew, and so does this
// side. Each side tells its life once a link, as its first message.
#include "linuxserver/migration/peer_private.h"

#include <corvus/netname_services.h>

#include <linux/init.h>
#include <linux/kthread.h>
#include <linux/random.h>
#include <linux/slab.h>

#define WANTED_FOR  (60 * HZ)
#define LOOK_PERIOD (HZ / 2)
#define LISTENERS   4

unsigned int peer_nodes = 1;
u64 peer_life;
bool peer_tend_links;

static struct peer_link *links[PEER_NODES_MAX + 1];
static void (*listeners[LISTENERS])(unsigned int node, enum migration_link_event event);
static u32 netname;
static bool checked_in;
static DECLARE_WAIT_QUEUE_HEAD(keeper_wait);
static bool keeper_awake;

static int __init nodes_are(char *text)
{
    if (kstrtouint(text, 10, &peer_nodes) != 0 || peer_nodes > PEER_NODES_MAX)
        peer_nodes = 1;
    return 0;
}
__setup("nodes=", nodes_are);

static void wake_keeper(void)
{
    keeper_awake = true;
    wake_up(&keeper_wait);
}

struct peer_link *peer_link(unsigned int node)
{
    return node <= PEER_NODES_MAX ? links[node] : NULL;
}

struct peer_link *peer_link_next(struct peer_link *link)
{
    for (unsigned int node = link == NULL ? 1 : link->node + 1; node <= peer_nodes; node++)
        if (links[node] != NULL)
            return links[node];
    return NULL;
}

struct peer_link *peer_link_want(unsigned int node)
{
    struct peer_link *link;

    if (node == 0 || node > peer_nodes || node == memobj_node)
        return NULL;
    link = links[node];
    if (link == NULL) {
        link = kzalloc(sizeof *link, GFP_NOIO);
        if (link == NULL || links[node] != NULL) { // it may have slept
            kfree(link);
            return links[node];
        }
        link->node = node;
        send_queue_begin(&link->queue, &peer_queue_kind);
        init_waitqueue_head(&link->wait);
        links[node] = link;
    }
    link->wanted_until = jiffies + WANTED_FOR;
    if (!link->up && link->port == PORT_NULL)
        wake_keeper();
    return link;
}

// --- Up and down -------------------------------------------------------------------------

void migration_on_link(void (*told)(unsigned int node, enum migration_link_event event))
{
    for (unsigned int i = 0; i < LISTENERS; i++) {
        if (listeners[i] == NULL) {
            listeners[i] = told;
            return;
        }
    }
    WARN_ON_ONCE(1);
}

static void tell(unsigned int node, enum migration_link_event event)
{
    for (unsigned int i = 0; i < LISTENERS && listeners[i] != NULL; i++)
        listeners[i](node, event);
}

static void go_up(struct peer_link *link)
{
    if (link->up || link->port == PORT_NULL || link->life == 0)
        return;
    link->up = true;
    if (link->last != 0 && link->last != link->life)
        tell(link->node, MIGRATION_LINK_GONE);
    link->last = link->life;
    wake_up_all(&link->wait);
    tell(link->node, MIGRATION_LINK_UP);
}

void peer_link_down(struct peer_link *link)
{
    bool was_up = link->up;
    u32 port = link->port;

    link->up = false;
    link->broken = false;
    link->life = 0;
    link->port = PORT_NULL;
    send_queue_drop(&link->queue);
    memobj_deallocate(port);
    wake_keeper();
    if (!was_up)
        return;
    peer_fail_calls(link->node);
    tell(link->node, MIGRATION_LINK_DOWN);
}

void peer_link_hello(unsigned int node, u64 life)
{
    struct peer_link *link = peer_link_want(node);

    if (link == NULL)
        return;
    if (link->life != 0)
        peer_link_down(link);
    link->life = life;
    go_up(link);
}

void peer_link_tend(void)
{
    if (!peer_tend_links)
        return;
    peer_tend_links = false;
    for (struct peer_link *link = peer_link_next(NULL); link != NULL; link = peer_link_next(link)) {
        if (link->broken)
            peer_link_down(link);
        go_up(link);
    }
}

void peer_link_dead_port(u32 port)
{
    if (port == netname) {
        memobj_deallocate(netname);
        netname = PORT_NULL;
        checked_in = false;
        wake_keeper();
    }
    for (struct peer_link *link = peer_link_next(NULL); link != NULL; link = peer_link_next(link))
        if (link->port == port)
            peer_link_down(link);
}

// --- Finding -----------------------------------------------------------------------------

static bool find_netname(void)
{
    u32 found;

    if (memobj_look_up("netname", &found) != ERR_OK)
        return false;
    if (port_daemon_watch(&peer_daemon, found) != ERR_OK) {
        memobj_deallocate(found);
        return false;
    }
    netname = found;
    return true;
}

static void check_in(void)
{
    struct memobj_call call = {
        .id = SERVICE_netname_check_in,
        .words = 5,
        .word = {0, 0, 0, 0, peer_life},
        .give = {peer_port, MAKE_SEND},
    };

    memcpy(call.word, PEER_NAME, sizeof PEER_NAME);
    if (netname != PORT_NULL || find_netname())
        checked_in = memobj_call(netname, &call) == ERR_OK;
}

static void look_up(struct peer_link *link)
{
    struct memobj_call call = {
        .id = SERVICE_netname_look_up, .words = 6, .word = {0, 0, 0, 0, link->node, 0}};
    struct peer_packet *hello;

    memcpy(call.word, PEER_NAME, sizeof PEER_NAME);
    if (memobj_call(netname, &call) != ERR_OK || call.right == PORT_NULL)
        return;
    hello = peer_packet(PEER_HELLO, 0, 0, NULL, NULL, 0);
    if (hello == NULL || port_daemon_watch(&peer_daemon, call.right) != ERR_OK) {
        kvfree(hello);
        memobj_deallocate(call.right);
        return;
    }
    link->port = call.right;
    (void)peer_queue(link, hello); // the queue is empty: it takes it
    peer_tend_links = true;
    port_daemon_wake(&peer_daemon);
}

static bool is_sought(const struct peer_link *link)
{
    return link->port == PORT_NULL && time_before(jiffies, link->wanted_until);
}

// Whether something is left to look for.
static bool look_around(void)
{
    bool left = false;

    if (!checked_in)
        check_in();
    if (!checked_in)
        return true;
    for (struct peer_link *link = peer_link_next(NULL); link != NULL; link = peer_link_next(link)) {
        if (!is_sought(link))
            continue;
        // What was under way on the link before has to be over.
        if (send_queue_is_over(&link->queue))
            look_up(link);
        left = left || link->port == PORT_NULL;
    }
    return left;
}

static int keep(void *unused)
{
    while (!kthread_should_stop()) {
        bool left;

        keeper_awake = false;
        left = look_around();
        if (left)
            schedule_timeout_idle(LOOK_PERIOD);
        else
            wait_event_idle(keeper_wait, keeper_awake);
    }
    return 0;
}

int peer_link_begin(void)
{
    while (peer_life == 0)
        peer_life = get_random_u64();
    if (memobj_node == 0)
        peer_nodes = 1;
    return peer_nodes == 1 ? 0 : PTR_ERR_OR_ZERO(kthread_run(keep, NULL, "corvus-links"));
}
