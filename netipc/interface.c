// SPDX-License-Identifier: BSD-2-Clause
// Between the switch and lwIP. A received piece is a custom buffer (pbuf) that keeps
// the frame's hold. What lwIP sends is held, too: it retransmits nothing of which it
// is not the only owner, so the card never reads what is being changed.
//
// lwIP acknowledges every second segment, by a frame that costs both sides as much as a
// large one. One that does nothing else is kept until the loop has done all that has come;
// a later one of the same connection takes its place.
#include "netipc/interface.h"

#include "netipc/acknowledgement.h"
#include "netipc/heap.h"
#include "netipc/memory.h"
#include "netipc/platform.h"

#include <lwip/etharp.h>
#include <lwip/init.h>
#include <lwip/netif.h>
#include <lwip/pbuf.h>
#include <lwip/sys.h>
#include <lwip/timeouts.h>
#include <netif/ethernet.h>

#include <string.h>

#define NANOSECONDS_PER_MILLISECOND 1000000ull
// With fewer buffers than this part left to the card, received frames are copied.
#define SCARCE_PART 4u

// A received piece in lwIP's hands.
struct lent_piece {
    struct pbuf_custom buffer; // the first, so that the one is the other
    struct frame_hold *hold;
};

// A frame of lwIP's in the hands of others.
struct sent_frame {
    struct frame_hold hold; // the first
    struct pbuf *buffer;
};

static struct {
    struct netif netif;
    struct switch_port port;
    struct network_switch *network;
    struct network_card *card;
    struct interface_settings settings;
    struct interface_counters counters;
    unsigned neighbours; // that are kept
    struct pbuf *kept;   // an acknowledgement that has not been sent, or NULL
    struct acknowledgement kept_says;
} interface;

// lwIP's clock, which may go round.
u32_t sys_now(void)
{
    return (u32_t)(network_now() / NANOSECONDS_PER_MILLISECOND);
}

// --- Received -----------------------------------------------------------------------------

static void free_lent_piece(struct pbuf *buffer)
{
    struct lent_piece *piece = (struct lent_piece *)(void *)buffer;
    struct frame_hold *hold = piece->hold;

    network_heap_free(piece);
    frame_release(hold);
}

static struct pbuf *lend_piece(const struct frame_piece *piece, struct frame_hold *hold)
{
    struct lent_piece *lent = network_heap_allocate(sizeof *lent);

    if (lent == NULL)
        return NULL;
    lent->buffer.custom_free_function = free_lent_piece;
    lent->hold = hold;
    frame_keep(hold);
    return pbuf_alloced_custom(PBUF_RAW, (u16_t)piece->bytes, PBUF_REF, &lent->buffer,
                               (void *)(uintptr_t)piece->data, (u16_t)piece->bytes);
}

static struct pbuf *lend(const struct frame *frame)
{
    struct pbuf *chain = NULL;

    // From the last on, so that each is put before what is there.
    for (unsigned i = frame->count; i-- > 0;) {
        struct pbuf *buffer = lend_piece(&frame->pieces[i], frame->hold);
        if (buffer == NULL) {
            if (chain != NULL)
                (void)pbuf_free(chain);
            return NULL;
        }
        if (chain != NULL)
            pbuf_cat(buffer, chain);
        chain = buffer;
    }
    return chain;
}

static struct pbuf *copy(const struct frame *frame)
{
    size_t bytes = frame_bytes(frame->pieces, frame->count);
    struct pbuf *buffer = pbuf_alloc(PBUF_RAW, (u16_t)bytes, PBUF_RAM);

    if (buffer != NULL)
        (void)frame_copy(frame->pieces, frame->count, 0, buffer->payload, bytes);
    interface.counters.received_copied += buffer != NULL;
    return buffer;
}

static bool can_lend(const struct frame *frame)
{
    const struct network_card *card = interface.card;

    return frame->hold != NULL &&
           (card == NULL || card->buffers_left >= card->buffers / SCARCE_PART);
}

static bool take_frame(struct switch_port *port, const struct frame *frame)
{
    struct pbuf *buffer = can_lend(frame) ? lend(frame) : copy(frame);

    (void)port;
    if (buffer == NULL) {
        interface.counters.received_lost++;
        return false;
    }
    interface.counters.received++;
    if (interface.netif.input(buffer, &interface.netif) != ERR_OK)
        (void)pbuf_free(buffer);
    return true;
}

// --- Sent ---------------------------------------------------------------------------------

static void release_sent(struct frame_hold *hold)
{
    struct sent_frame *sent = (struct sent_frame *)(void *)hold;

    (void)pbuf_free(sent->buffer);
    network_heap_free(sent);
}

static unsigned list_pieces(const struct pbuf *buffer, struct frame_piece *pieces)
{
    unsigned count = 0;

    for (; buffer != NULL; buffer = buffer->next) {
        if (buffer->len == 0)
            continue;
        if (count == FRAME_PIECES_MAX)
            return FRAME_PIECES_MAX + 1;
        pieces[count++] = (struct frame_piece){buffer->payload, buffer->len};
    }
    return count;
}

// Hands a chain to the switch, together with one reference to it.
static err_t send_chain(struct pbuf *buffer, const struct frame_piece *pieces, unsigned count)
{
    struct sent_frame *sent = network_heap_allocate(sizeof *sent);

    if (sent == NULL) {
        (void)pbuf_free(buffer);
        interface.counters.sent_lost++;
        return ERR_MEM;
    }
    *sent =
        (struct sent_frame){.hold = {.references = 1, .release = release_sent}, .buffer = buffer};
    struct frame frame = {.pieces = pieces, .count = count, .hold = &sent->hold};
    uint64_t refused = interface.port.counters.no_such_place;
    uint64_t full = interface.network->wire != NULL ? interface.network->wire->counters.no_room : 0;
    switch_receive_frame(interface.network, &interface.port, &frame);
    frame_release(&sent->hold);
    interface.counters.sent++;
    if (interface.network->wire != NULL && interface.network->wire->counters.no_room != full)
        return ERR_MEM; // TCP tries again when it is told of room
    return interface.port.counters.no_such_place != refused ? ERR_RTE : ERR_OK;
}

static err_t send_now(struct pbuf *buffer)
{
    struct frame_piece pieces[FRAME_PIECES_MAX];
    unsigned count = list_pieces(buffer, pieces);

    if (count <= FRAME_PIECES_MAX) {
        pbuf_ref(buffer);
        return send_chain(buffer, pieces, count);
    }
    struct pbuf *whole = pbuf_clone(PBUF_RAW, PBUF_RAM, buffer);
    if (whole == NULL) {
        interface.counters.sent_lost++;
        return ERR_MEM;
    }
    interface.counters.sent_gathered++;
    return send_chain(whole, pieces, list_pieces(whole, pieces));
}

// One for which the card has no room stays kept.
void interface_flush(void)
{
    if (interface.kept == NULL || send_now(interface.kept) == ERR_MEM)
        return;
    (void)pbuf_free(interface.kept);
    interface.kept = NULL;
}

static err_t transmit(struct netif *netif, struct pbuf *buffer)
{
    struct acknowledgement says;
    bool acknowledges = acknowledgement_read(buffer->payload, buffer->len, buffer->tot_len, &says);

    (void)netif;
    if (interface.kept != NULL && acknowledges &&
        acknowledgement_replaces(&says, &interface.kept_says)) {
        (void)pbuf_free(interface.kept);
        interface.kept = NULL;
        interface.counters.sent_saved++;
    }
    interface_flush();
    if (!acknowledges || !says.pure || interface.kept != NULL)
        return send_now(buffer);
    pbuf_ref(buffer);
    interface.kept = buffer;
    interface.kept_says = says;
    return ERR_OK;
}

uint64_t interface_sent_mark(void)
{
    return interface.card != NULL ? interface.card->submitted : 0;
}

bool interface_is_sent(uint64_t mark)
{
    return interface.card == NULL || interface.card->done >= mark;
}

// --- Opening --------------------------------------------------------------------------------

static err_t initialize(struct netif *netif)
{
    netif->name[0] = 'c';
    netif->name[1] = 'v';
    netif->output = etharp_output;
    netif->linkoutput = transmit;
    netif->mtu = interface.settings.mtu;
    netif->hwaddr_len = FRAME_ADDRESS_BYTES;
    memcpy(netif->hwaddr, interface.settings.hardware, FRAME_ADDRESS_BYTES);
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET;
    return ERR_OK;
}

bool interface_open(struct network_switch *network, struct network_card *card,
                    const struct interface_settings *settings)
{
    ip4_addr_t address, mask, gateway = {0};
    void *memory = network_memory_allocate(INTERFACE_HEAP_BYTES);

    if (memory == NULL || !network_heap_open(memory, INTERFACE_HEAP_BYTES))
        return false;
    interface.network = network;
    interface.card = card;
    interface.settings = *settings;
    interface.port = (struct switch_port){.name = "net", .transmit_frame = take_frame};
    memcpy(interface.port.address, settings->hardware, FRAME_ADDRESS_BYTES);
    switch_add_port(network, &interface.port);
    lwip_init();
    ip4_addr_set_u32(&address, lwip_htonl(settings->address));
    ip4_addr_set_u32(&mask, lwip_htonl(settings->mask));
    if (netif_add(&interface.netif, &address, &mask, &gateway, NULL, initialize, ethernet_input) ==
        NULL)
        return false;
    netif_set_default(&interface.netif);
    netif_set_link_up(&interface.netif);
    netif_set_up(&interface.netif);
    return true;
}

uint64_t interface_poll(void)
{
    sys_check_timeouts();
    u32_t wait = sys_timeouts_sleeptime();
    if (wait == SYS_TIMEOUTS_SLEEPTIME_INFINITE)
        return UINT64_MAX;
    return network_now() + wait * NANOSECONDS_PER_MILLISECOND;
}

void interface_keep_neighbour(uint32_t address, bool keep)
{
    struct eth_addr *hardware, known;
    const ip4_addr_t *found;
    ip4_addr_t wanted;

    ip4_addr_set_u32(&wanted, lwip_htonl(address));
    if (!keep) {
        interface.neighbours -= etharp_remove_static_entry(&wanted) == ERR_OK;
    } else if (interface.neighbours < INTERFACE_NEIGHBOURS_MAX &&
               etharp_find_addr(&interface.netif, &wanted, &hardware, &found) >= 0) {
        known = *hardware; // lies in the table that is changed
        interface.neighbours += etharp_add_static_entry(&wanted, &known) == ERR_OK;
    }
}

struct switch_port *interface_port(void)
{
    return &interface.port;
}

const struct interface_counters *interface_counters(void)
{
    return &interface.counters;
}
