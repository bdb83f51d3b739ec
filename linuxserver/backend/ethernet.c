// SPDX-License-Identifier: GPL-2.0-only
// See ethernet.h. What may take long, the network server's coming and going, is told by
// messages to a port that is an interrupt; only the opening is a call.
#include "ethernet.h"
#include "vcpu_page.h"

#include "lib/call.h"

#include <corvus/ethernet.h>
#include <corvus/ethernet_stubs.h>
#include <corvus/host.h>
#include <corvus/init_services.h>
#include <corvus/stubs.h>

#include <errno.h>
#include <os.h>

#define NAME_WORD   0x74656e7265687465ul // ETHERNET_NAME, the first byte lowest
#define WAIT_FOR_IT 1ul

static port_name_t frames, news; // receive rights
static port_name_t server, bell; // send rights
static int open;                 // the memory is mapped
static unsigned long lost_pages;

// In the place of memory that has gone with its owner.
static unsigned char rubbish[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));

static void drop(port_name_t *right)
{
    if (*right != PORT_NULL)
        (void)QUIETLY(task_deallocate_right(NAME_TASK_SELF, *right));
    *right = PORT_NULL;
}

int machine_ethernet_ask(void)
{
    struct message message = {
        .tag = TAG_SEND | TAG_SEND_DEADLINE | TAG_REPLY_RIGHT | 5,
        .destination = NAME_BOOTSTRAP,
        .id = SERVICE_bootstrap_look_up,
        .words = {NAME_WORD, 0, 0, 0, WAIT_FOR_IT},
    };
    int enabled = um_set_signals(0);

    utcb_self()->reply = make_send_once(news);
    utcb_self()->send_deadline = 0;
    message_trap(&message);
    um_set_signals(enabled);
    return machine_errno(TAG_ERROR(message.tag));
}

int machine_ethernet_begin(unsigned int *frames_irq, unsigned int *news_irq)
{
    int first = machine_make_interrupt_port(&frames);
    int second = first < 0 ? first : machine_make_interrupt_port(&news);

    if (second < 0)
        return second;
    *frames_irq = (unsigned int)first;
    *news_irq = (unsigned int)second;
    return 0;
}

// Events off.
static enum machine_ethernet_news receive_news(void)
{
    struct message message;

    do {
        message = (struct message){.tag = TAG_RECEIVE | TAG_RECEIVE_DEADLINE, .receive_from = news};
        utcb_self()->receive_deadline = 0;
        message_trap(&message);
        if (TAG_ERROR(message.tag) != ERR_OK)
            return MACHINE_ETHERNET_NOTHING;
        if (message.id == MESSAGE_ID_DEAD_NAME && message.words[0] == bell)
            return MACHINE_ETHERNET_LOST;
    } while (message.id == MESSAGE_ID_DEAD_NAME); // of one that was closed before
    if (message.words[0] != ERR_OK || (message.tag & TAG_RIGHTS_MASK) != TAG_RIGHTS(1)) {
        message_drop_rights(message.tag);
        return MACHINE_ETHERNET_REFUSED;
    }
    server = utcb_self()->rights[0].name;
    return MACHINE_ETHERNET_FOUND;
}

enum machine_ethernet_news machine_ethernet_news(void)
{
    enum machine_ethernet_news result;
    int enabled = um_set_signals(0);

    result = receive_news();
    um_set_signals(enabled);
    return result;
}

// The pages are the network server's, or rubbish of ours.
static void unmap_rings(void)
{
    (void)QUIETLY(memory_unmap(NAME_TASK_SELF, SERVER_ETHERNET_BASE, ETHERNET_MEMORY_BYTES,
                               ACCESS_ALL | MEMORY_SELF, NULL, NULL, NULL));
}

int machine_ethernet_open(struct machine_ethernet *port)
{
    uint64_t address = 0, mtu = 0;
    size_t bytes = ETHERNET_MEMORY_BYTES;
    corvus_error_t error = QUIETLY(ethernet_open(server, make_send(frames), &address, &mtu, &bell,
                                                 (void *)SERVER_ETHERNET_BASE, &bytes));

    if (error == ERR_OK) {
        open = 1;
        error = QUIETLY(task_request_notification(NAME_TASK_SELF, bell, NOTIFY_DEAD_NAME,
                                                  make_send_once(news)));
    }
    if (error != ERR_OK)
        return error == ERR_PEER_DIED ? -EPIPE : machine_errno(error);
    if (bytes != ETHERNET_MEMORY_BYTES || mtu < ETHERNET_MTU_MIN || mtu > ETHERNET_MTU_MAX)
        return -EPROTO;
    *port =
        (struct machine_ethernet){.memory = (void *)SERVER_ETHERNET_BASE, .mtu = (unsigned int)mtu};
    for (unsigned int i = 0; i < sizeof port->address; i++)
        port->address[i] = (unsigned char)(address >> 8 * i);
    return 0;
}

void machine_ethernet_close(void)
{
    drop(&bell);
    drop(&server);
    if (open)
        unmap_rings();
    open = 0;
}

void machine_ethernet_ring(void)
{
    struct message message = {
        .tag = TAG_SEND | TAG_NOTIFY | 1, .destination = bell, .words = {ETHERNET_EVENT}};
    int enabled = um_set_signals(0);

    message_trap(&message); // a dead one is told otherwise
    um_set_signals(enabled);
}

int ethernet_fault(unsigned long address)
{
    unsigned long page = address & ~(PAGE_BYTES - 1);

    if (!open || address - SERVER_ETHERNET_BASE >= ETHERNET_MEMORY_BYTES)
        return 0;
    lost_pages++;
    return QUIETLY(memory_map(NAME_TASK_SELF, (uint64_t)rubbish, page, PAGE_BYTES,
                              ACCESS_READ | ACCESS_WRITE, NULL)) == ERR_OK;
}

unsigned long machine_ethernet_lost_pages(void)
{
    return lost_pages;
}
