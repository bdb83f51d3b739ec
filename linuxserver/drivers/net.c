// SPDX-License-Identifier: GPL-2.0-only
// eth0: Linux's port of the network server's switch. Frames are copied once, between
// socket buffers and the rings (lib/ethernet_ring.h); checksums are made on the way.
// When the network server dies, or writes nonsense into the rings, the carrier is lost
// until it can be opened anew.
#include "lib/ethernet_ring.h"
#include "linuxserver/backend/ethernet.h"

#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/if_arp.h>
#include <linux/init.h>
#include <linux/interrupt.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <linux/skbuff.h>
#include <linux/workqueue.h>

#define RETRY_DELAY HZ // before the network server is asked for again

// Beyond Linux's own statistics, in the order of counter_names.
struct counters {
    u64 opened;       // how often the port was
    u64 interrupts;   // of the rings
    u64 bells;        // rung
    u64 bad_frames;   // in memory, impossible, passed over
    u64 broken_rings; // which ended the port
    u64 lost_pages;   // met when the memory had gone
};

static const char counter_names[][ETH_GSTRING_LEN] = {"opened",     "interrupts",   "bells",
                                                      "bad_frames", "broken_rings", "lost_pages"};

struct port {
    struct net_device *device;
    struct napi_struct napi;
    struct delayed_work news_work, ask_work;
    // What follows belongs to the transmitter and to NAPI while the rings are in use;
    // to the work, with both stopped, while not.
    struct ethernet_producer producer;
    struct ethernet_consumer consumer;
    const struct ethernet_memory *memory; // NULL: there are none
    struct counters counters;
    bool ending;          // what is wrong has been seen
    bool polling;         // the bell for what is sent meanwhile is rung at the end
    u8 address[ETH_ALEN]; // the network server passes no other
};

static void ring_bell(struct port *port)
{
    port->counters.bells++;
    machine_ethernet_ring();
}

// The rings cannot be used any more: the work will close them.
static void give_up(struct port *port)
{
    if (port->ending)
        return;
    port->ending = true;
    port->counters.broken_rings++;
    mod_delayed_work(system_wq, &port->news_work, 0);
}

// --- To the network server -----------------------------------------------------------------

static bool room_for_any(struct port *port)
{
    return ethernet_reserve(&port->producer, ETHERNET_FRAME_MAX) != NULL;
}

// Nothing comes to the transmitter until there is room.
static void stop_until_room(struct port *port)
{
    netif_stop_queue(port->device);
    if (ethernet_await_room(&port->producer, ETHERNET_FRAME_MAX))
        netif_start_queue(port->device);
    else if (port->producer.broken)
        give_up(port);
}

static netdev_tx_t transmit(struct sk_buff *skb, struct net_device *device)
{
    struct port *port = netdev_priv(device);
    bool more = netdev_xmit_more();
    u8 *space = NULL;

    if (port->memory != NULL && skb->len >= ETHERNET_HEADER_BYTES && skb->len <= ETHERNET_FRAME_MAX)
        space = ethernet_reserve(&port->producer, skb->len);
    if (space != NULL) {
        skb_copy_and_csum_dev(skb, space);
        ethernet_commit(&port->producer);
        device->stats.tx_packets++;
        device->stats.tx_bytes += skb->len;
    } else {
        device->stats.tx_dropped++;
    }
    dev_consume_skb_any(skb);
    if (port->memory == NULL)
        return NETDEV_TX_OK;
    if (!room_for_any(port)) {
        stop_until_room(port);
        more = false;
    }
    if (!more && !port->polling && ethernet_producer_must_ring(&port->producer))
        ring_bell(port);
    return NETDEV_TX_OK;
}

static void look_for_room(struct port *port)
{
    if (!netif_queue_stopped(port->device))
        return;
    if (ethernet_await_room(&port->producer, ETHERNET_FRAME_MAX))
        netif_wake_queue(port->device);
    else if (port->producer.broken)
        give_up(port);
}

// --- From the network server ---------------------------------------------------------------

static void receive(struct port *port, const void *frame, u32 bytes)
{
    struct net_device *device = port->device;
    struct sk_buff *skb = napi_alloc_skb(&port->napi, bytes);

    if (skb == NULL) {
        device->stats.rx_dropped++;
        return;
    }
    memcpy(skb_put(skb, bytes), frame, bytes);
    skb->protocol = eth_type_trans(skb, device);
    device->stats.rx_packets++;
    device->stats.rx_bytes += bytes;
    napi_gro_receive(&port->napi, skb);
}

static void look_at_link(struct port *port)
{
    bool link = READ_ONCE(port->memory->link) == 1 && !port->ending;

    if (link && !netif_carrier_ok(port->device))
        netif_carrier_on(port->device);
    else if (!link && netif_carrier_ok(port->device))
        netif_carrier_off(port->device);
}

static int take_frames(struct port *port, int budget)
{
    int taken = 0;
    const void *frame;
    u32 bytes;

    while (taken < budget && (frame = ethernet_peek(&port->consumer, &bytes)) != NULL) {
        receive(port, frame, bytes);
        ethernet_take(&port->consumer);
        taken++;
    }
    port->device->stats.rx_frame_errors += port->consumer.bad_frames;
    port->counters.bad_frames += port->consumer.bad_frames;
    port->consumer.bad_frames = 0;
    if (port->consumer.broken)
        give_up(port);
    return taken;
}

static void ring_if_wanted(struct port *port)
{
    bool frames = ethernet_producer_must_ring(&port->producer);
    bool room = ethernet_consumer_must_ring(&port->consumer);

    if (frames || room)
        ring_bell(port);
}

static int poll(struct napi_struct *napi, int budget)
{
    struct port *port = container_of(napi, struct port, napi);
    int taken;

    if (port->memory == NULL) {
        napi_complete(napi);
        return 0;
    }
    look_at_link(port);
    look_for_room(port);
    // Protocols answer what came with frames of their own: one bell for all.
    port->polling = true;
    taken = take_frames(port, budget);
    if (taken < budget && napi_complete_done(napi, taken) && ethernet_await_frames(&port->consumer))
        napi_schedule(napi);
    port->polling = false;
    ring_if_wanted(port);
    return taken;
}

static irqreturn_t frames_interrupt(int irq, void *context)
{
    struct port *port = context;

    port->counters.interrupts++;
    napi_schedule(&port->napi);
    return IRQ_HANDLED;
}

// --- Coming and going ------------------------------------------------------------------------

// Makes NAPI look, as if an interrupt had come, which also arms the bells.
static void look(struct port *port)
{
    local_bh_disable();
    napi_schedule(&port->napi);
    local_bh_enable();
}

static int open_device(struct net_device *device)
{
    struct port *port = netdev_priv(device);

    napi_enable(&port->napi);
    netif_start_queue(device);
    look(port);
    return 0;
}

static int stop_device(struct net_device *device)
{
    struct port *port = netdev_priv(device);

    netif_stop_queue(device);
    napi_disable(&port->napi);
    return 0;
}

// Nobody uses the rings from here to use_rings. Under RTNL.
static void leave_rings(struct port *port)
{
    netif_carrier_off(port->device);
    if (!netif_running(port->device))
        return;
    netif_tx_disable(port->device);
    napi_disable(&port->napi);
}

static void use_rings(struct port *port)
{
    if (!netif_running(port->device)) {
        if (port->memory != NULL)
            look_at_link(port);
        return;
    }
    napi_enable(&port->napi);
    netif_wake_queue(port->device);
    look(port);
}

static void take_address(struct port *port, const struct machine_ethernet *opened)
{
    struct sockaddr address = {.sa_family = ARPHRD_ETHER};

    memcpy(address.sa_data, opened->address, ETH_ALEN);
    memcpy(port->address, opened->address, ETH_ALEN);
    if (is_valid_ether_addr(opened->address) &&
        !ether_addr_equal(port->device->dev_addr, opened->address))
        (void)dev_set_mac_address(port->device, &address, NULL);
    port->device->max_mtu = opened->mtu;
    if (port->device->mtu > opened->mtu)
        (void)dev_set_mtu(port->device, opened->mtu);
}

// Under RTNL.
static void detach(struct port *port)
{
    leave_rings(port);
    port->memory = NULL;
    machine_ethernet_close();
    use_rings(port);
    port->counters.lost_pages = machine_ethernet_lost_pages();
}

// Under RTNL.
static int attach(struct port *port)
{
    struct machine_ethernet opened;
    struct ethernet_memory *memory;
    int error = machine_ethernet_open(&opened);

    if (error != 0)
        return error;
    memory = opened.memory;
    take_address(port, &opened);
    leave_rings(port);
    ethernet_producer_start(&port->producer, &memory->to_server, memory->data_to_server);
    ethernet_consumer_start(&port->consumer, &memory->to_client, memory->data_to_client);
    port->memory = memory;
    port->ending = false;
    port->counters.opened++;
    use_rings(port);
    return 0;
}

static void ask(struct work_struct *work)
{
    struct port *port = container_of(work, struct port, ask_work.work);
    int error = machine_ethernet_ask();

    if (error == 0)
        return;
    netdev_err(port->device, "init does not take the question for the network server: error %d\n",
               -error);
    schedule_delayed_work(&port->ask_work, RETRY_DELAY);
}

static void end_and_retry(struct port *port, const char *why, int error)
{
    netdev_warn(port->device, "%s: error %d\n", why, -error);
    detach(port);
    schedule_delayed_work(&port->ask_work, RETRY_DELAY);
}

static void handle_news(struct port *port, enum machine_ethernet_news news)
{
    int error;

    switch (news) {
    case MACHINE_ETHERNET_FOUND:
        error = attach(port);
        if (error != 0)
            end_and_retry(port, "the network server does not open its port", error);
        break;
    case MACHINE_ETHERNET_LOST:
        netdev_warn(port->device, "the network server has gone\n");
        detach(port);
        schedule_delayed_work(&port->ask_work, 0);
        break;
    default:
        end_and_retry(port, "init does not tell the network server", -EACCES);
        break;
    }
}

static void handle_all_news(struct work_struct *work)
{
    struct port *port = container_of(work, struct port, news_work.work);
    enum machine_ethernet_news news;

    rtnl_lock();
    while ((news = machine_ethernet_news()) != MACHINE_ETHERNET_NOTHING)
        handle_news(port, news);
    if (port->ending && port->memory != NULL)
        end_and_retry(port, "the network server broke the rings", -EPROTO);
    rtnl_unlock();
}

static irqreturn_t news_interrupt(int irq, void *context)
{
    struct port *port = context;

    mod_delayed_work(system_wq, &port->news_work, 0);
    return IRQ_HANDLED;
}

// --- What Linux asks ---------------------------------------------------------------------------

static void tell_driver(struct net_device *device, struct ethtool_drvinfo *info)
{
    strscpy(info->driver, "corvus-net", sizeof info->driver);
    strscpy(info->bus_info, "network server", sizeof info->bus_info);
}

static void tell_ring(struct net_device *device, struct ethtool_ringparam *ring,
                      struct kernel_ethtool_ringparam *more, struct netlink_ext_ack *answer)
{
    ring->rx_max_pending = ring->rx_pending = ETHERNET_RING_FRAMES;
    ring->tx_max_pending = ring->tx_pending = ETHERNET_RING_FRAMES;
}

static int count_counters(struct net_device *device, int set)
{
    return set == ETH_SS_STATS ? (int)ARRAY_SIZE(counter_names) : -EOPNOTSUPP;
}

static void name_counters(struct net_device *device, u32 set, u8 *names)
{
    if (set == ETH_SS_STATS)
        memcpy(names, counter_names, sizeof counter_names);
}

static void tell_counters(struct net_device *device, struct ethtool_stats *stats, u64 *values)
{
    const struct port *port = netdev_priv(device);

    BUILD_BUG_ON(sizeof port->counters != ARRAY_SIZE(counter_names) * sizeof *values);
    memcpy(values, &port->counters, sizeof port->counters);
}

static const struct ethtool_ops ethtool_operations = {
    .get_drvinfo = tell_driver,
    .get_link = ethtool_op_get_link,
    .get_ringparam = tell_ring,
    .get_sset_count = count_counters,
    .get_strings = name_counters,
    .get_ethtool_stats = tell_counters,
};

static int set_address(struct net_device *device, void *address)
{
    const struct port *port = netdev_priv(device);

    if (!ether_addr_equal(port->address, ((const struct sockaddr *)address)->sa_data))
        return -EOPNOTSUPP;
    return eth_mac_addr(device, address);
}

static const struct net_device_ops device_operations = {
    .ndo_open = open_device,
    .ndo_stop = stop_device,
    .ndo_start_xmit = transmit,
    .ndo_validate_addr = eth_validate_addr,
    .ndo_set_mac_address = set_address,
};

// --- The start -----------------------------------------------------------------------------------

static int make_interrupts(struct port *port)
{
    unsigned int frames, news;
    int error = machine_ethernet_begin(&frames, &news);

    if (error == 0)
        error = request_irq(frames, frames_interrupt, 0, "eth0", port);
    if (error == 0)
        error = request_irq(news, news_interrupt, 0, "eth0-news", port);
    if (error == 0)
        schedule_delayed_work(&port->ask_work, 0); // the answer is an interrupt
    return error;
}

static struct net_device *make_device(void)
{
    struct net_device *device = alloc_etherdev(sizeof(struct port));
    struct port *port;

    if (device == NULL)
        return NULL;
    port = netdev_priv(device);
    port->device = device;
    INIT_DELAYED_WORK(&port->news_work, handle_all_news);
    INIT_DELAYED_WORK(&port->ask_work, ask);
    netif_napi_add(device, &port->napi, poll);
    device->netdev_ops = &device_operations;
    device->ethtool_ops = &ethtool_operations;
    device->hw_features = NETIF_F_SG | NETIF_F_HW_CSUM;
    device->features = device->hw_features | NETIF_F_HIGHDMA;
    device->priv_flags |= IFF_LIVE_ADDR_CHANGE;
    device->min_mtu = ETHERNET_MTU_MIN;
    device->max_mtu = ETHERNET_MTU_MAX;
    eth_hw_addr_random(device); // until the network server tells another
    netif_carrier_off(device);
    return device;
}

// The device is there whether or not there is a network server yet, or at all.
static int __init corvus_net_init(void)
{
    struct net_device *device = make_device();
    int error = device != NULL ? register_netdev(device) : -ENOMEM;

    if (error == 0)
        error = make_interrupts(netdev_priv(device));
    if (error != 0)
        pr_err("corvus-net: eth0 cannot be made: error %d\n", -error);
    return error;
}
device_initcall(corvus_net_init);
