// SPDX-License-Identifier: BSD-2-Clause
// The network server's end of Linux's Ethernet port (netipc/linux_port.c), alone: in the
// place of switch and card is a mirror, a host 10.67.9.9 that sends each packet back
// with its addresses exchanged. So Linux talks to itself through the rings, in both
// directions at once: who connects to port P of the mirror reaches port P of Linux.
//
// A packet to one of these UDP ports makes the server do as it is bid:
//   7001 end, with failure            7002 cut the wire for a second
//   7003 write nonsense into the rings  7004 answer nothing for a second
//   7005 take the memory back
#include "loop.h"

#include "netipc/linux_port.h"
#include "netipc/memory.h"

#include "lib/clock.h"

#include <corvus/ethernet.h>
#include <corvus/host.h>
#include <corvus/stubs.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FRAME_MAX     9100
#define TYPE_AT       12
#define ARP           0x0806
#define IPV4          0x0800
#define MIRROR_MTU    9000
#define SECOND        1000000000ull
#define FIRST_COMMAND 7001
#define COMMANDS      5

static const uint8_t mirror_address[6] = {0x52, 0x54, 0x00, 0xc1, 0xff, 0x01};
static const uint8_t mirror_ip[4] = {10, 67, 9, 9};
static struct network_switch network;
static struct switch_port *linux_end;
static void *shared; // the memory that Linux has, too
static struct event_timer link_timer;

static unsigned two_bytes(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

static void exchange(uint8_t *one, uint8_t *other, size_t bytes)
{
    uint8_t kept[16];

    memcpy(kept, one, bytes);
    memcpy(one, other, bytes);
    memcpy(other, kept, bytes);
}

// --- What it is bid ------------------------------------------------------------------------

static void link_again(struct event_timer *timer)
{
    (void)timer;
    linux_port_set_link(true);
}

static void obey(unsigned command)
{
    const struct timespec second = {.tv_sec = 1};

    switch (command) {
    case 0:
        puts("mirror: ends as it was bid");
        exit(1);
    case 1:
        linux_port_set_link(false);
        server_arm_timer(&link_timer, clock_now_ns() + SECOND);
        break;
    case 2:
        memset(shared, 0xa5, 8192);
        linux_port_set_link(true); // rings the bell
        break;
    case 3:
        nanosleep(&second, NULL);
        break;
    case 4:
        (void)memory_unmap(NAME_TASK_SELF, (uint64_t)(uintptr_t)shared, ETHERNET_MEMORY_BYTES,
                           ACCESS_ALL, NULL, NULL, NULL);
        break;
    default:
        break;
    }
}

// --- The mirror ------------------------------------------------------------------------------

static bool answer_arp(uint8_t *frame, size_t bytes)
{
    uint8_t *arp = frame + 14;

    if (bytes < 42 || two_bytes(arp + 6) != 1 || memcmp(arp + 24, mirror_ip, 4) != 0)
        return false;
    arp[7] = 2;
    memcpy(arp + 18, arp + 8, 10); // the asker becomes the one who is told
    memcpy(arp + 8, mirror_address, 6);
    memcpy(arp + 14, mirror_ip, 4);
    return true;
}

static bool mirror_ipv4(uint8_t *frame, size_t bytes)
{
    uint8_t *ip = frame + 14;
    size_t header = (size_t)(ip[0] & 15) * 4;

    if (bytes < 34 || memcmp(ip + 16, mirror_ip, 4) != 0)
        return false;
    if (ip[9] == 17 && bytes >= 14 + header + 8 &&
        two_bytes(ip + header + 2) - FIRST_COMMAND < COMMANDS) {
        obey(two_bytes(ip + header + 2) - FIRST_COMMAND);
        return false;
    }
    exchange(ip + 12, ip + 16, 4); // which leaves all checksums as they are
    return true;
}

void switch_receive(struct network_switch *to, struct switch_port *from,
                    const struct frame_piece *pieces, unsigned count)
{
    static uint8_t frame[FRAME_MAX];
    size_t bytes = frame_bytes(pieces, count), done = 0;
    struct frame_piece back = {frame, bytes};
    unsigned type;

    (void)to;
    if (bytes > sizeof frame)
        return;
    for (unsigned i = 0; i < count; done += pieces[i++].bytes)
        memcpy(frame + done, pieces[i].data, pieces[i].bytes);
    type = two_bytes(frame + TYPE_AT);
    if (!(type == ARP && answer_arp(frame, bytes)) && !(type == IPV4 && mirror_ipv4(frame, bytes)))
        return;
    memcpy(frame, frame + 6, 6);
    memcpy(frame + 6, mirror_address, 6);
    (void)from->transmit(from, &back, 1);
}

void switch_add_port(struct network_switch *to, struct switch_port *port)
{
    (void)to;
    linux_end = port;
}

void *network_memory_allocate(size_t bytes)
{
    return shared = loop_allocate(bytes);
}

int main(void)
{
    const struct node_identity node = {.number = 1, .nodes = 1};
    struct network_card card = {.mtu = MIRROR_MTU};
    const struct server_context context = {.node = &node, .network = &network, .card = &card};

    link_timer.expired = link_again;
    if (!linux_port_start(&context))
        return 1;
    puts("mirror: serves");
    corvus_error_t error = server_run();
    printf("mirror: error %d\n", error);
    return 1;
}
