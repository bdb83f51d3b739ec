// SPDX-License-Identifier: GPL-2.0-only
// Linux's port of the network server's switch (include/corvus/ethernet.def), by
// functions that both sides of the server can see, so without headers of either.
// In this order, in process context:
//
//   machine_ethernet_begin    two interrupts, which the caller requests
//   machine_ethernet_ask      asks init for the network server, which may take for ever
//   machine_ethernet_news     at each interrupt `news`: it is there; or it has gone
//   machine_ethernet_open     the rings
//   machine_ethernet_close    after which machine_ethernet_ask begins anew
//
// Functions that return an int return 0, or a negative error number of Linux.
#pragma once

struct machine_ethernet {
    void *memory; // struct ethernet_memory
    unsigned char address[6];
    unsigned int mtu;
};

// Makes two interrupts: `frames` for what the rings ask for, `news` for the rest.
int machine_ethernet_begin(unsigned int *frames_irq, unsigned int *news_irq);

int machine_ethernet_ask(void);

enum machine_ethernet_news {
    MACHINE_ETHERNET_NOTHING, // no more news
    MACHINE_ETHERNET_FOUND,   // the network server can be asked to open
    MACHINE_ETHERNET_LOST,    // it has died, or given the port to somebody else
    MACHINE_ETHERNET_REFUSED, // init does not want to tell
};
enum machine_ethernet_news machine_ethernet_news(void);

// -EPIPE: it has died meanwhile. -EPROTO: what it answers makes no sense. After any error
// machine_ethernet_close.
//
// When the network server dies, the memory goes with it. Whoever still reads or writes
// there then finds a page of rubbish, until the close.
int machine_ethernet_open(struct machine_ethernet *port);

// The memory is no longer used. Can be called at any time.
void machine_ethernet_close(void);

// Wakes the network server. Any context.
void machine_ethernet_ring(void);

// How many pages of rubbish there have been.
unsigned long machine_ethernet_lost_pages(void);
