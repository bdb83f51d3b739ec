// SPDX-License-Identifier: BSD-2-Clause
// A driver of network cards: a table of functions. The network server asks each
// driver in turn for a card; the first that has one drives the wire.
#pragma once

#include "netipc/frame.h"

#include <corvus/types.h>

struct network_card;

struct network_card_counters {
    uint64_t received, received_bytes;
    uint64_t sent, sent_bytes;
    uint64_t full;   // frames for which there was no room
    uint64_t copied; // frames sent that had to be copied for the card
    uint64_t interrupts;
    uint64_t malformed; // what the card said it received, and could not have
    uint64_t starved;   // times that no buffer was left to receive into
    uint64_t resets;    // after the card broke its protocol
};

// What the owner of a card is told. Called from poll only.
struct network_card_events {
    // A frame came. Its pieces are lent by its hold: who wants them longer keeps
    // that (frame.h). The fewer are left the card, the more it loses.
    void (*received)(void *context, const struct frame *frame);
    // There is room again after `transmit` refused a frame.
    void (*room)(void *context);
    void *context;
};

struct network_driver {
    const char *name;
    // Finds and starts a card, whose interrupts set bits 0 and 1 of the events of the port
    // behind `send`. NULL: none there, or, having said why in a line, none that works.
    struct network_card *(*open)(port_name_t send, const struct network_card_events *events);
    // Interrupt bits came, or it is time to look. Takes up to `budget` frames.
    // True: there are more.
    bool (*poll)(struct network_card *card, uint64_t event_bits, unsigned budget);
    // Takes a frame, to be shown to the card by `flush`. Pieces in memory of
    // netipc/memory.h are not copied when the frame has a hold. False: no room.
    bool (*transmit)(struct network_card *card, const struct frame *frame);
    void (*flush)(struct network_card *card);
    // Stops the card and gives it up.
    void (*close)(struct network_card *card);
};

struct network_card {
    const struct network_driver *driver;
    uint8_t address[FRAME_ADDRESS_BYTES];
    uint16_t mtu;                   // bytes behind the Ethernet header, 576..9000
    bool checksums;                 // it fills in those that a frame leaves out
    unsigned buffers, buffers_left; // to receive into: all, and those not lent
    // Frames taken by transmit so far, and how many of the first of them the card is
    // done with: what frame n (from 0) was sent from can be changed when done > n.
    uint64_t submitted, done;
    struct network_card_counters counters;
};

extern const struct network_driver virtio_net_driver;
