// SPDX-License-Identifier: BSD-2-Clause
// Cards of virtio (lib/virtio/net.h). Received frames are lent upwards by a hold that
// gives the buffers back; frames to send are shown to the card where they lie, if it
// can reach that, and else copied to where it can.
#include "netipc/driver.h"
#include "netipc/heap.h"
#include "netipc/memory.h"
#include "netipc/platform.h"

#include "lib/virtio/native.h"
#include "lib/virtio/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENT_QUEUE  1ull
#define EVENT_CONFIG 2ull

#define BUFFERS      512u  // several times what the card's queue holds, since many are lent
#define BUFFER_BYTES 2048u // a frame of a usual MTU, with its header
#define FRAMES       256u  // to send, in flight
#define MTU_MAX      9000u

_Static_assert(VIRTIO_NET_PIECES_MAX <= FRAME_PIECES_MAX, "a received frame is a frame");

// A received frame in the hands of others; the one that its first buffer is.
struct lent_frame {
    struct frame_hold hold; // the first
    struct card *card;
    uint16_t count;
    uint16_t buffers[VIRTIO_NET_PIECES_MAX];
};

// A frame under way to the card: number n is at n % FRAMES.
struct sent_frame {
    struct frame_hold *hold; // or NULL
    void *copy;              // or NULL
    bool in_flight;
};

struct card {
    struct network_card card; // the first
    struct network_card_events events;
    struct virtio_native native;
    struct virtio_net net;
    struct virtio_memory memory;
    struct lent_frame lent[BUFFERS];
    struct sent_frame sent[FRAMES];
    bool refused; // a frame, and nobody has been told of room
    bool stopped; // for good
    bool link_up;
};

static void count_buffers(struct card *card)
{
    card->card.buffers_left = card->card.buffers - card->net.lent;
}

// --- Receiving ------------------------------------------------------------------------------

static void release_lent(struct frame_hold *hold)
{
    struct lent_frame *lent = (struct lent_frame *)(void *)hold;

    for (uint16_t i = 0; i < lent->count; i++)
        (void)virtio_net_give_back(&lent->card->net, lent->buffers[i]);
    count_buffers(lent->card);
}

static void receive(struct card *card, const struct virtio_net_frame *received)
{
    struct frame_piece pieces[VIRTIO_NET_PIECES_MAX];
    struct lent_frame *lent = &card->lent[received->pieces[0].buffer];

    lent->hold = (struct frame_hold){.references = 1, .release = release_lent};
    lent->card = card;
    lent->count = received->count;
    for (uint16_t i = 0; i < received->count; i++) {
        lent->buffers[i] = received->pieces[i].buffer;
        pieces[i] = (struct frame_piece){received->pieces[i].data, received->pieces[i].bytes};
    }
    struct frame frame = {.pieces = pieces, .count = received->count, .hold = &lent->hold};
    card->card.counters.received++;
    card->card.counters.received_bytes += received->bytes;
    count_buffers(card);
    card->events.received(card->events.context, &frame);
    frame_release(&lent->hold);
}

// --- Sending ----------------------------------------------------------------------------------

static void finish(struct card *card, struct sent_frame *sent)
{
    struct network_card *counts = &card->card;
    struct frame_hold *hold = sent->hold;

    sent->in_flight = false;
    network_heap_free(sent->copy);
    if (hold != NULL)
        frame_release(hold);
    while (counts->done < counts->submitted && !card->sent[counts->done % FRAMES].in_flight)
        counts->done++;
}

static void take_sent(struct card *card)
{
    struct sent_frame *sent;

    while ((sent = virtio_net_transmitted(&card->net)) != NULL)
        finish(card, sent);
}

// Where the pieces of a frame are for the card. False: it cannot reach one of them, or
// may not keep them.
static bool find_segments(const struct frame *frame, struct virtio_segment *segments)
{
    if (frame->hold == NULL)
        return false;
    for (unsigned i = 0; i < frame->count; i++) {
        segments[i].bytes = (uint32_t)frame->pieces[i].bytes;
        if (!network_memory_bus(frame->pieces[i].data, frame->pieces[i].bytes, &segments[i].bus))
            return false;
    }
    return true;
}

static bool copy_frame(struct card *card, const struct frame *frame, struct sent_frame *sent,
                       struct virtio_segment *segment)
{
    size_t bytes = frame_bytes(frame->pieces, frame->count);

    sent->copy = network_heap_allocate(bytes);
    if (sent->copy == NULL)
        return false;
    (void)frame_copy(frame->pieces, frame->count, 0, sent->copy, bytes);
    segment->bytes = (uint32_t)bytes;
    card->card.counters.copied++;
    return network_memory_bus(sent->copy, bytes, &segment->bus);
}

static bool submit(struct card *card, const struct frame *frame)
{
    struct virtio_segment segments[FRAME_PIECES_MAX];
    struct sent_frame *sent = &card->sent[card->card.submitted % FRAMES];
    struct virtio_net_packet packet = {
        .segments = segments,
        .count = 1,
        .checksum_partial = frame->checksum.partial,
        .checksum_start = frame->checksum.start,
        .checksum_offset = frame->checksum.offset,
        .cookie = sent,
    };

    *sent = (struct sent_frame){0};
    if (find_segments(frame, segments)) {
        packet.count = (uint16_t)frame->count;
        sent->hold = frame->hold;
    } else if (!copy_frame(card, frame, sent, segments)) {
        return false;
    }
    if (virtio_net_transmit(&card->net, &packet) != VIRTIO_OK) {
        network_heap_free(sent->copy);
        return false;
    }
    if (sent->hold != NULL)
        frame_keep(sent->hold);
    sent->in_flight = true;
    card->card.submitted++;
    card->card.counters.sent++;
    card->card.counters.sent_bytes += frame_bytes(frame->pieces, frame->count);
    return true;
}

static bool transmit(struct network_card *base, const struct frame *frame)
{
    struct card *card = (struct card *)(void *)base;

    if (!card->stopped && base->submitted - base->done == FRAMES) {
        virtio_net_commit(&card->net);
        take_sent(card);
    }
    if (!card->stopped && base->submitted - base->done < FRAMES && submit(card, frame))
        return true;
    base->counters.full++;
    card->refused = true;
    if (!card->stopped)
        (void)virtio_net_transmit_interrupts(&card->net, true);
    return false;
}

static void tell_of_room(struct card *card)
{
    if (!card->refused || card->card.submitted - card->card.done > FRAMES / 2)
        return;
    card->refused = false;
    (void)virtio_net_transmit_interrupts(&card->net, false);
    card->events.room(card->events.context);
}

static void flush(struct network_card *base)
{
    struct card *card = (struct card *)(void *)base;

    if (!card->stopped)
        virtio_net_commit(&card->net);
}

// --- The card ----------------------------------------------------------------------

// What is under way is lost; the protocols above repeat it.
static void restart(struct card *card)
{
    enum virtio_error error = virtio_net_stop(&card->net);
    struct sent_frame *sent;

    card->card.counters.resets++;
    while (error == VIRTIO_OK && (sent = virtio_net_take_back(&card->net)) != NULL)
        finish(card, sent);
    if (error == VIRTIO_OK)
        error = virtio_net_restart(&card->net);
    printf("net: the card broke its protocol: %s\n",
           error == VIRTIO_OK ? "started again" : virtio_error_text(error));
    card->stopped = error != VIRTIO_OK;
    card->refused = card->refused && !card->stopped;
}

static void look_at_wire(struct card *card)
{
    bool up = virtio_net_link_is_up(&card->net);

    if (up != card->link_up)
        printf("net: the wire is %s\n", up ? "there again" : "gone");
    card->link_up = up;
}

static bool poll(struct network_card *base, uint64_t event_bits, unsigned budget)
{
    struct card *card = (struct card *)(void *)base;
    struct virtio_net_frame frame;
    uint8_t reasons = event_bits != 0 ? virtio_native_interrupt(&card->native, event_bits) : 0;
    bool broken = virtio_net_is_broken(&card->net);

    if (card->stopped)
        return false;
    base->counters.interrupts += event_bits != 0;
    if (reasons & VIRTIO_INTERRUPT_CONFIG) {
        broken = broken || virtio_needs_reset(&card->native.device);
        look_at_wire(card);
    }
    if (broken)
        restart(card);
    take_sent(card);
    while (budget > 0 && virtio_net_receive(&card->net, &frame)) {
        receive(card, &frame);
        budget--;
    }
    tell_of_room(card);
    base->counters.malformed = card->net.counters.malformed;
    base->counters.starved = card->net.counters.starved;
    return budget == 0;
}

// --- Opening -----------------------------------------------------------------------

// A card without an address gets one of those that anybody may give (IEEE 802).
static void take_address(struct card *card)
{
    uint32_t random[2] = {network_random(), network_random()};

    memcpy(card->card.address, card->net.address, FRAME_ADDRESS_BYTES);
    if (card->net.has_address)
        return;
    memcpy(card->card.address, random, FRAME_ADDRESS_BYTES);
    card->card.address[0] = (uint8_t)((card->card.address[0] & 0xfcu) | 2);
}

static const char *start(struct card *card, port_name_t send)
{
    static const struct virtio_net_sizes sizes = {
        .receive_buffers = BUFFERS,
        .receive_bytes = BUFFER_BYTES,
        .transmit_frames = FRAMES,
        .segments = FRAME_PIECES_MAX,
        .mtu_max = MTU_MAX,
        .transmit_checksum = true,
    };
    enum virtio_error error = virtio_native_open(&card->native);

    if (error != VIRTIO_OK)
        return virtio_error_text(error);
    if (virtio_native_attach(&card->native, send, EVENT_CONFIG, EVENT_QUEUE) != ERR_OK)
        return "its interrupt cannot be had";
    error = virtio_net_open(&card->net, &card->native.device, &sizes);
    if (error != VIRTIO_OK)
        return virtio_error_text(error);
    if (virtio_native_allocate(virtio_net_shared_bytes(&card->net),
                               virtio_net_own_bytes(&card->net), &card->memory) != ERR_OK ||
        !network_memory_add(card->memory.shared, card->memory.shared_bus,
                            card->memory.shared_bytes))
        return "no memory";
    error = virtio_net_start(&card->net, &card->memory);
    return error == VIRTIO_OK ? NULL : virtio_error_text(error);
}

static struct network_card *open_card(port_name_t send, const struct network_card_events *events)
{
    uint64_t number = 0;

    if (virtio_native_find(VIRTIO_TYPE_NETWORK, 0, &number) != ERR_OK)
        return NULL;
    struct card *card = calloc(1, sizeof *card);
    const char *wrong = card == NULL ? "no memory" : NULL;
    if (wrong == NULL && virtio_native_claim(&card->native, number) != ERR_OK)
        wrong = "it is another's";
    if (wrong == NULL)
        wrong = start(card, send);
    if (wrong != NULL) {
        printf("net: the virtio card does not work: %s\n", wrong);
        return NULL;
    }
    card->card.driver = &virtio_net_driver;
    card->card.mtu = card->net.mtu;
    card->card.checksums = card->net.transmit_checksum;
    card->card.buffers = card->card.buffers_left = BUFFERS;
    card->events = *events;
    card->link_up = true;
    take_address(card);
    look_at_wire(card);
    return &card->card;
}

static void close_card(struct network_card *base)
{
    struct card *card = (struct card *)(void *)base;

    card->stopped = true;
    virtio_native_release(&card->native);
}

const struct network_driver virtio_net_driver = {
    .name = "virtio",
    .open = open_card,
    .poll = poll,
    .transmit = transmit,
    .flush = flush,
    .close = close_card,
};
