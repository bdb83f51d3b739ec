// SPDX-License-Identifier: BSD-2-Clause
// The network server: finds the card, joins wire and TCP/IP by the switch, starts what
// stands in the table of subjects, and runs the event loop. A node without a card
// runs on without network.
#include "netipc/card.h"
#include "netipc/exchange.h"
#include "netipc/identity.h"
#include "netipc/interface.h"
#include "netipc/linux_port.h"
#include "netipc/loop.h"
#include "netipc/names.h"

#include <stdio.h>
#include <stdlib.h>

#define NETWORK_MASK 0xffff0000u

static struct node_identity identity;
static struct network_switch network;

// What the server does, in the order in which it is started. False: it cannot, and has
// said why; the server ends.
static bool (*const subjects[])(const struct server_context *context) = {
    linux_port_start, exchange_start, carrier_start, names_start, NULL,
};

static void say_address(const struct network_card *card)
{
    const uint8_t *hardware = card->address;
    uint32_t address = node_address(identity.number);

    printf("net: node %u of %u is %u.%u.%u.%u, card %s "
           "%02x:%02x:%02x:%02x:%02x:%02x, mtu %u\n",
           identity.number, identity.nodes, address >> 24, address >> 16 & 255, address >> 8 & 255,
           address & 255, card->driver->name, hardware[0], hardware[1], hardware[2], hardware[3],
           hardware[4], hardware[5], card->mtu);
}

static bool start_network(struct network_card *card)
{
    struct interface_settings settings = {
        .address = node_address(identity.number),
        .mask = NETWORK_MASK,
        .mtu = card->mtu,
    };

    for (unsigned i = 0; i < FRAME_ADDRESS_BYTES; i++)
        settings.hardware[i] = card->address[i];
    if (interface_open(&network, card, &settings))
        return true;
    printf("net: no memory for TCP/IP\n");
    return false;
}

int main(int count, char **words)
{
    const char *wrong = identity_read(&identity, count - 1, words + 1);

    if (wrong != NULL) {
        printf("net: %s; this node is by itself\n", wrong);
        return EXIT_SUCCESS; // started again it would read the same
    }
    if (server_open() != ERR_OK) {
        printf("net: no port set\n");
        return EXIT_FAILURE;
    }
    struct network_card *card = card_open(&network);
    if (card == NULL)
        printf("net: no network card: this node is by itself\n");
    else if (start_network(card))
        say_address(card);
    else
        return EXIT_FAILURE;
    struct server_context context = {.node = &identity, .network = &network, .card = card};
    for (unsigned i = 0; subjects[i] != NULL; i++) {
        if (!subjects[i](&context))
            return EXIT_FAILURE;
    }
    card_finish_steps();
    corvus_error_t error = server_run();
    printf("net: receiving failed: error %d\n", error);
    return EXIT_FAILURE;
}
