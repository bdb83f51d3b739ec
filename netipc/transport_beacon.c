// SPDX-License-Identifier: BSD-2-Clause
// Beacons: datagrams by which nodes find each other. They are kept, a few of them,
// until the poll tells.
#include "netipc/transport_private.h"

#include <string.h>

static void was_heard(void *argument, struct udp_pcb *pcb, struct pbuf *buffer,
                      const ip_addr_t *address, u16_t port)
{
    struct transport *transport = argument;

    (void)pcb, (void)port;
    if (buffer->tot_len == 0 || buffer->tot_len > TRANSPORT_BEACON_BYTES_MAX) {
        transport->counters.beacons_malformed++;
    } else if (transport->heard_count == BEACONS_MAX || transport->events.beacon == NULL) {
        transport->counters.beacons_lost++;
    } else {
        transport->heard[transport->heard_count].buffer = buffer;
        transport->heard[transport->heard_count++].address =
            lwip_ntohl(ip4_addr_get_u32(ip_2_ip4(address)));
        return;
    }
    (void)pbuf_free(buffer);
}

bool beacons_open(struct transport *transport)
{
    transport->beacons = udp_new();
    if (transport->beacons == NULL)
        return false;
    ip_set_option(transport->beacons, SOF_BROADCAST);
    if (udp_bind(transport->beacons, IP_ANY_TYPE, TRANSPORT_PORT) != ERR_OK) {
        udp_remove(transport->beacons);
        return false;
    }
    udp_recv(transport->beacons, was_heard, transport);
    return true;
}

void beacons_tell(struct transport *transport)
{
    uint8_t bytes[TRANSPORT_BEACON_BYTES_MAX];
    unsigned count = transport->heard_count;

    for (unsigned i = 0; i < count; i++) {
        struct pbuf *buffer = transport->heard[i].buffer;
        u16_t length = pbuf_copy_partial(buffer, bytes, sizeof bytes, 0);
        (void)pbuf_free(buffer);
        transport->counters.beacons_received++;
        transport->events.beacon(transport->events.context, transport->heard[i].address, bytes,
                                 length);
    }
    transport->heard_count = 0;
}

enum transport_error transport_beacon(struct transport *transport, uint32_t address,
                                      const void *data, size_t bytes)
{
    ip_addr_t to;

    if (bytes == 0 || bytes > TRANSPORT_BEACON_BYTES_MAX)
        return TRANSPORT_INVALID;
    struct pbuf *buffer = pbuf_alloc(PBUF_TRANSPORT, (u16_t)bytes, PBUF_RAM);
    if (buffer == NULL) {
        transport->counters.no_memory++;
        return TRANSPORT_NO_MEMORY;
    }
    memcpy(buffer->payload, data, bytes);
    ip_addr_set_ip4_u32(&to, lwip_htonl(address));
    err_t error = udp_sendto(transport->beacons, buffer, &to, TRANSPORT_PORT);
    (void)pbuf_free(buffer);
    if (error == ERR_OK) {
        transport->counters.beacons_sent++;
        return TRANSPORT_OK;
    }
    return error == ERR_RTE ? TRANSPORT_NO_ROUTE : TRANSPORT_NO_MEMORY;
}
