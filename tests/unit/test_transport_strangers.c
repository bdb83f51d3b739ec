// SPDX-License-Identifier: BSD-2-Clause
// sources: netipc/transport.c netipc/transport_link.c netipc/transport_beacon.c
// sources: netipc/transport_admission.c netipc/interface.c netipc/heap.c netipc/frame.c
// sources: netipc/acknowledgement.c netipc/switch.c netipc/memory.c netipc/checksum.c
// sources: build/lwiphost/liblwip.a
//
// What strangers can do to a node: TCP of those who are not admitted gets no answer, and
// however many of them ask for it, the hardware address of a neighbour that is kept stays known.
#include "shim/network_node.h"

#include "tap.h"

#include <lwip/etharp.h>
#include <lwip/netif.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define NODE_2 0x0a430002u
#define NODE_9 0x0a430009u
#define ROUNDS 100

static uint32_t unwanted;     // the address that is not admitted
static bool connected, ended; // ended: connected, or never will be

static bool admits(void *context, uint32_t address)
{
    (void)context;
    return address != unwanted;
}

static bool accepted(void *context, struct transport_link *link)
{
    (void)context, (void)link;
    return true;
}

static void was_connected(void *context, struct transport_link *link)
{
    (void)context, (void)link;
    connected = ended = true;
}

static void ignore(void *context, struct transport_link *link)
{
    (void)context, (void)link;
}

static void ignore_sent(void *context, struct transport_link *link, void *cookie)
{
    (void)context, (void)link, (void)cookie;
}

static void was_closed(void *context, struct transport_link *link, enum transport_error reason)
{
    (void)context, (void)link, (void)reason;
    ended = true;
}

// A connection to node 2, as far as it comes.
static bool connects(void)
{
    struct transport_link *link;

    connected = ended = false;
    if (transport_connect(transport, NODE_2, NULL, &link) != TRANSPORT_OK)
        return false;
    (void)run_until(&ended);
    if (connected)
        transport_close(link, false);
    return connected;
}

static void test_strangers(void)
{
    tap_ok(connects() && transport_counters(transport)->strangers == 0, "a connection");
    unwanted = NODE_2;
    tap_ok(!connects(), "none with who is not admitted");
    tap_ok(transport_counters(transport)->strangers > 0, "whose segments are counted");
    unwanted = 0;
    tap_ok(connects(), "one with who is admitted again");
}

// Node 77 wants a connection, and is not so much as told that there is nobody.
static void test_silence(void)
{
    static const uint8_t syn[60] = {2,  0,    0, 0,  0,  1,  2, 0,    0,  0,  0,    77,   8,
                                    0,  0x45, 0, 0,  40, 0,  0, 0,    0,  64, 6,    0x65, 0xfd,
                                    10, 67,   0, 77, 10, 67, 0, 1,    40, 0,  0x1a, 0x4a, 0,
                                    0,  0,    1, 0,  0,  0,  0, 0x50, 2,  32, 0,    0x38, 0xc4};
    uint64_t before, strangers = transport_counters(transport)->strangers;

    before = interface_counters()->sent;
    arrive(syn, sizeof syn);
    for (unsigned i = 0; i < ROUNDS; i++)
        run_round();
    tap_ok(interface_counters()->sent != before, "who asks for a connection is answered");
    unwanted = 0x0a43004du;
    before = interface_counters()->sent;
    for (unsigned i = 0; i < ROUNDS; i++)
        arrive(syn, sizeof syn);
    tap_ok(interface_counters()->sent == before &&
               transport_counters(transport)->strangers == strangers + ROUNDS,
           "but not who is not admitted");
    unwanted = 0;
}

// Node 78 begins connection after connection.
static void test_too_many(void)
{
    uint8_t syn[60] = {2,  0,    0, 0,  0,  1,  2, 0,    0,  0,  0,    78,   8,
                       0,  0x45, 0, 0,  40, 0,  0, 0,    0,  64, 6,    0x65, 0xfc,
                       10, 67,   0, 78, 10, 67, 0, 1,    40, 0,  0x1a, 0x4a, 0,
                       0,  0,    1, 0,  0,  0,  0, 0x50, 2,  32, 0,    0x38, 0xc3};
    uint64_t refused = transport_counters(transport)->connects_refused;

    tap_ok(refused == 0, "none was refused that began few connections");
    for (unsigned i = 0; i < ROUNDS; i++)
        arrive(syn, sizeof syn);
    refused = transport_counters(transport)->connects_refused;
    // At once 20, and some more on a slow machine.
    tap_ok(refused >= ROUNDS / 2 && refused <= ROUNDS - 20, "of too many at once most are refused");
    tap_ok(connects(), "another node's are not");
    syn[47] = 16; // an acknowledgement
    arrive(syn, sizeof syn);
    tap_ok(transport_counters(transport)->connects_refused == refused,
           "what begins no connection is not counted");
}

static bool is_known(uint32_t address)
{
    struct eth_addr *hardware;
    const ip4_addr_t *found;
    ip4_addr_t wanted;

    ip4_addr_set_u32(&wanted, lwip_htonl(address));
    return etharp_find_addr(netif_default, &wanted, &hardware, &found) >= 0;
}

// More of them ask for this node's address than there is room for.
static void crowd(void)
{
    uint8_t question[60] = {2, 0, 0, 0, 0, 1, 2,  0,  0,  0, 0, 77, 8, 6, 0, 1, 8, 0,  6,  4, 0,
                            1, 2, 0, 0, 0, 0, 77, 10, 67, 9, 0, 0,  0, 0, 0, 0, 0, 10, 67, 0, 1};

    for (unsigned i = 1; i < 255; i++) {
        question[31] = (uint8_t)i;
        arrive(question, sizeof question);
    }
}

static void test_neighbours(void)
{
    tap_ok(is_known(NODE_2), "a neighbour's hardware address is known");
    crowd();
    tap_ok(!is_known(NODE_2), "until too many others ask");
    tap_ok(connects() && is_known(NODE_2), "it is found again");
    interface_keep_neighbour(NODE_2, true);
    crowd();
    tap_ok(is_known(NODE_2) && connects(), "one that is kept stays");
    interface_keep_neighbour(NODE_2, false);
    tap_ok(!is_known(NODE_2) && connects(), "until it need not be any more");
    interface_keep_neighbour(NODE_9, true);
    interface_keep_neighbour(NODE_9, false);
    tap_ok(!is_known(NODE_9), "nothing is kept of who is not known");
}

int main(void)
{
    static const struct transport_events events = {
        .accepted = accepted,
        .connected = was_connected,
        .received = ignore,
        .sent = ignore_sent,
        .closed = was_closed,
        .admits = admits,
    };
    int ends[2];

    setvbuf(stdout, NULL, _IOLBF, 0);
    random_state = 1;
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) != 0)
        return 1;
    pid_t other = fork();
    wire_fd = ends[other == 0];
    close(ends[other != 0]);
    open_all(other == 0 ? 2 : 1, &events);
    if (other == 0)
        for (;;)
            run_round();
    test_strangers();
    test_too_many();
    test_silence();
    test_neighbours();
    kill(other, SIGKILL);
    (void)waitpid(other, NULL, 0);
    return tap_end();
}
