// SPDX-License-Identifier: BSD-2-Clause
// How lwIP is built: IPv4, TCP and UDP through its raw functions, one thread, no
// sockets. All its memory comes from netipc/heap.c, which bounds it.
#pragma once

// --- The system: one thread, nothing to lock, timers asked for by the loop --------------
#define NO_SYS               1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN         0
#define LWIP_SOCKET          0
#define LWIP_TIMERS          1
#define LWIP_STATS           0
#define LWIP_NETIF_API       0
#define LWIP_PROVIDE_ERRNO   0
#define LWIP_TIMEVAL_PRIVATE 0

// --- Memory: all in memory that cards can reach, so that headers are not copied ----------
#define MEM_ALIGNMENT            8
#define MEM_LIBC_MALLOC          1
#define MEMP_MEM_MALLOC          1
#define mem_clib_malloc          network_heap_allocate
#define mem_clib_calloc          network_heap_allocate_zeroed
#define mem_clib_free            network_heap_free
#define LWIP_SUPPORT_CUSTOM_PBUF 1
#define PBUF_POOL_SIZE           0

// --- Protocols ------------------------------------------------------------------------
#define LWIP_IPV4                     1
#define LWIP_IPV6                     0
#define LWIP_ARP                      1
#define ARP_QUEUEING                  1
#define ARP_TABLE_SIZE                127 // lwIP's limit; more peers take turns
#define ETHARP_SUPPORT_STATIC_ENTRIES 1   // of nodes that there is a session with
#define LWIP_ICMP                     1
#define LWIP_UDP                      1
#define LWIP_TCP                      1
#define LWIP_RAW                      0
#define LWIP_DHCP                     0
#define LWIP_DNS                      0
#define IP_FORWARD                    0
#define IP_FRAG                       0 // TCP never needs it; beacons are short
#define IP_REASSEMBLY                 0
#define IP_SOF_BROADCAST              1
#define IP_SOF_BROADCAST_RECV         0
#define ETH_PAD_SIZE                  0

// --- TCP --------------------------------------------------------------------------------
#define TCP_MSS             8960 // less where the card's MTU is smaller
#define LWIP_WND_SCALE      1
#define TCP_RCV_SCALE       3
#define TCP_WND             262144
#define TCP_SND_BUF         262144
#define TCP_SND_QUEUELEN    4096
#define TCP_QUEUE_OOSEQ     1
#define TCP_SNDLOWAT        16384
#define TCP_OOSEQ_MAX_PBUFS 256
#define LWIP_TCP_SACK_OUT   1
#define TCP_OVERSIZE        0 // nothing is copied into segments
#define TCP_LISTEN_BACKLOG  1
#define LWIP_TCP_KEEPALIVE  0    // the protocol above has its own heartbeat
#define TCP_MSL             1000 // a LAN's
// Retransmission goes by twice this. lwIP's own 250 ms are for slower machines.
#define TCP_TMR_INTERVAL                                                          50
#define LWIP_TCP_RTO_TIME                                                         500 // of the first attempt; later ones go by what was measured
#define LWIP_RANDOMIZE_INITIAL_LOCAL_PORTS                                        1
#define LWIP_TCP_PCB_NUM_EXT_ARGS                                                 0
#define LWIP_HOOK_TCP_ISN(local_address, local_port, remote_address, remote_port) network_random()

// Packets of strangers are dropped before anything of them is used.
#define LWIP_HOOK_IP4_INPUT(packet, netif) transport_input_hook(packet)

// --- Checksums ------------------------------------------------------------------------------
#define LWIP_CHECKSUM_ON_COPY 0

#define LWIP_DEBUG 0
