// SPDX-License-Identifier: BSD-2-Clause
// TCP/IP (lwIP) as a port of the switch. Received frames become its buffers without
// a copy, as long as the card has enough others; frames to send are shown to the
// card where they lie.
#pragma once

#include "netipc/driver.h"
#include "netipc/switch.h"

#define INTERFACE_HEAP_BYTES (3u << 19)

struct interface_settings {
    uint8_t hardware[FRAME_ADDRESS_BYTES];
    uint32_t address, mask; // IPv4, host order
    uint16_t mtu;
};

struct interface_counters {
    uint64_t received, received_copied, received_lost;
    uint64_t sent, sent_gathered, sent_lost; // gathered: in too many pieces for a frame
    uint64_t sent_saved;                     // acknowledgements that a later one made superfluous
};

// Starts lwIP, once, and adds its port to the switch. `card` is what the wire is
// driven by, whose buffers are watched; NULL: nothing is lent for long. False: no
// memory.
bool interface_open(struct network_switch *network, struct network_card *card,
                    const struct interface_settings *settings);

// Runs what is due; returns when there is more: nanoseconds of network_now.
uint64_t interface_poll(void);

// Sends what is kept in the hope of something better. To be called before the caller waits, and
// before it has the card look at what there is to send.
void interface_flush(void);

// Keeps what is known of the hardware address behind an IPv4 address (host order), whoever else
// asks for room in the table; or no more. For at most INTERFACE_NEIGHBOURS_MAX of them at a time.
#define INTERFACE_NEIGHBOURS_MAX 96u
void interface_keep_neighbour(uint32_t address, bool keep);

// A mark of all that has been sent so far, and whether the card is done with it.
uint64_t interface_sent_mark(void);
bool interface_is_sent(uint64_t mark);

struct switch_port *interface_port(void);
const struct interface_counters *interface_counters(void);
