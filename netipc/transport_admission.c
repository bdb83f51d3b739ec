// SPDX-License-Identifier: BSD-2-Clause
// Who may speak TCP to this node, and how often begin to. Whoever is a stranger to the transport's
// owner is not even answered: each answer would take one of the few half-open connections, and an
// entry of the table of neighbours' addresses from a node.
#include "netipc/transport_private.h"

#include <lwip/ip4.h>
#include <lwip/prot/tcp.h>

// Connections that an address may begin at once, and how long it takes until it may begin another.
// A node needs one a session. Each costs more than a frame, and this server is more urgent than
// Linux: whoever begins thousands a second, in a node's name, would take its time.
#define BEGIN_AT_ONCE 20u
#define BEGIN_EACH_NS 100000000u

struct allowance {
    uint64_t at; // network_now when it is used up no more; all that lies behind is allowed again
};

static struct transport *admitting;
static struct allowance allowances[256]; // by the last byte of the address, which is a node's own

static bool may_begin(uint32_t address)
{
    struct allowance *allowance = &allowances[address & 255];
    uint64_t now = network_now();

    if (allowance->at < now)
        allowance->at = now;
    if (allowance->at - now >= (uint64_t)BEGIN_AT_ONCE * BEGIN_EACH_NS)
        return false;
    allowance->at += BEGIN_EACH_NS;
    return true;
}

static bool begins(const struct pbuf *packet)
{
    const struct ip_hdr *header = packet->payload;
    size_t bytes = IPH_HL_BYTES(header);
    const struct tcp_hdr *tcp = (const void *)((const uint8_t *)packet->payload + bytes);

    return packet->len >= bytes + TCP_HLEN && (TCPH_FLAGS(tcp) & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

void admission_open(struct transport *transport)
{
    admitting = transport->events.admits != NULL ? transport : NULL;
}

int transport_input_hook(struct pbuf *packet)
{
    const struct ip_hdr *header = packet->payload;

    if (admitting == NULL || packet->len < IP_HLEN || IPH_PROTO(header) != IP_PROTO_TCP)
        return 0;
    uint32_t address = lwip_ntohl(header->src.addr);
    if (!admitting->events.admits(admitting->events.context, address))
        admitting->counters.strangers++;
    else if (begins(packet) && !may_begin(address))
        admitting->counters.connects_refused++;
    else
        return 0;
    (void)pbuf_free(packet);
    return 1;
}
