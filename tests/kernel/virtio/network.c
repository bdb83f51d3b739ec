// SPDX-License-Identifier: BSD-2-Clause
// Network cards: modern, transitional, legacy, without MSI-X, without mergeable
// buffers. virtio.conf joins them by a hub of QEMU's, so what one sends all others
// receive. All have an MTU of 9000.
#include "virtio_test.h"

#include "lib/virtio/net.h"

#include <stdio.h>
#include <string.h>

#define CARDS      5u
#define BUFFERS    300u // more than a queue of QEMU's holds
#define FRAMES     32u
#define SEGMENTS   4u
#define DATA_BYTES 65536u
#define ROUNDS     60u
#define TYPE       0x88b5u // for local experiments (IEEE 802, table 2)

enum { LEGACY = 1, LINE = 2, NOT_MERGEABLE = 4 };

struct card {
    const char *name;
    unsigned kind;
    struct driven driven;
    struct virtio_net net;
    struct virtio_memory memory, data;
    unsigned received;
};

static struct card cards[CARDS] = {
    {.name = "net modern"},
    {.name = "net transitional"},
    {.name = "net legacy", .kind = LEGACY},
    {.name = "net line", .kind = LINE | NOT_MERGEABLE},
    {.name = "net legacy-line", .kind = LEGACY | LINE | NOT_MERGEABLE},
};

static bool start(struct card *card)
{
    const struct virtio_net_sizes sizes = {
        .receive_buffers = BUFFERS,
        .receive_bytes = 1024,
        .transmit_frames = FRAMES,
        .segments = SEGMENTS,
        .mtu_max = 9000,
        .transmit_checksum = true,
    };
    struct virtio_net *net = &card->net;
    enum virtio_error error = virtio_net_open(net, &card->driven.native.device, &sizes);
    bool memory = error == VIRTIO_OK &&
                  virtio_native_allocate(virtio_net_shared_bytes(net), virtio_net_own_bytes(net),
                                         &card->memory) == ERR_OK &&
                  virtio_native_allocate(DATA_BYTES, 1, &card->data) == ERR_OK;

    if (memory)
        error = virtio_net_start(net, &card->memory);
    printf("# %s: %s, mtu %u, queues of %u and %u, mergeable %d, event index %d, indirect %d, "
           "checksums %d\n",
           card->name, virtio_error_text(error), net->mtu, net->receive_size, net->transmit_size,
           net->mergeable, net->receive.event_index, net->receive.indirect, net->transmit_checksum);
    ok(memory && error == VIRTIO_OK, card->name, "works");
    return memory && error == VIRTIO_OK;
}

static bool open_card(struct card *card, uint64_t *number)
{
    if (!drive(&card->driven, VIRTIO_TYPE_NETWORK, number, card->name) || !start(card))
        return false;
    ok(card->driven.native.device.transport->modern == !(card->kind & LEGACY) &&
           card->driven.native.line == ((card->kind & LINE) != 0) &&
           card->net.mergeable == !(card->kind & NOT_MERGEABLE),
       card->name, "the kind of device that virtio.conf asks for");
    ok(card->net.has_address && card->net.address[5] == (uint8_t)(card - cards) + 1 &&
           card->net.mtu == 9000 && virtio_net_link_is_up(&card->net),
       card->name, "address, MTU, wire");
    return true;
}

// --- Frames ------------------------------------------------------------------------------

// A frame of that length to everybody, in parts, with its number and a pattern.
static bool send(struct card *card, uint32_t sequence, uint32_t bytes)
{
    uint32_t place = sequence % (DATA_BYTES / 16384u) * 16384u;
    uint8_t *frame = (uint8_t *)card->data.shared + place;
    struct virtio_segment segments[SEGMENTS];
    uint32_t done = 0;
    uint16_t count = 0;

    memset(frame, 0xff, 6);
    memcpy(frame + 6, card->net.address, 6);
    frame[12] = TYPE >> 8;
    frame[13] = TYPE & 0xff;
    memcpy(frame + 14, &sequence, 4);
    memcpy(frame + 18, &bytes, 4);
    for (uint32_t i = 22; i < bytes; i++)
        frame[i] = (uint8_t)(sequence * 31 + i * 7 + i / 256);
    while (done < bytes) {
        uint32_t part = count + 1u == SEGMENTS ? bytes - done : 1 + (bytes - done) / 3;
        segments[count++] =
            (struct virtio_segment){.bus = card->data.shared_bus + place + done, .bytes = part};
        done += part;
    }
    struct virtio_net_packet packet = {.segments = segments, .count = count, .cookie = card};
    if (virtio_net_transmit(&card->net, &packet) != VIRTIO_OK)
        return false;
    virtio_net_commit(&card->net);
    return true;
}

static uint8_t byte_at(const struct virtio_net_frame *frame, uint32_t place)
{
    for (unsigned i = 0; i < frame->count; i++) {
        if (place < frame->pieces[i].bytes)
            return frame->pieces[i].data[place];
        place -= frame->pieces[i].bytes;
    }
    return 0;
}

static uint32_t word_at(const struct virtio_net_frame *frame, uint32_t place)
{
    uint32_t word = 0;

    for (uint32_t i = 0; i < 4; i++)
        word |= (uint32_t)byte_at(frame, place + i) << 8 * i;
    return word;
}

static bool is_right(const struct virtio_net_frame *frame, uint32_t sequence)
{
    uint32_t bytes = word_at(frame, 18);

    // Short frames are filled up on the way.
    if (word_at(frame, 14) != sequence || frame->bytes < bytes ||
        (frame->bytes > bytes && frame->bytes != 60))
        return false;
    for (uint32_t i = 22; i < bytes; i++) {
        if (byte_at(frame, i) != (uint8_t)(sequence * 31 + i * 7 + i / 256))
            return false;
    }
    return true;
}

// Waits until the card has received frame `sequence`.
static bool receive(struct card *card, uint32_t sequence)
{
    struct virtio_net_frame frame;

    while (!virtio_net_receive(&card->net, &frame)) {
        if (virtio_net_is_broken(&card->net) || !wait_for_queues(&card->driven))
            return false;
    }
    bool good = is_right(&frame, sequence);
    for (unsigned i = 0; i < frame.count; i++)
        good = virtio_net_give_back(&card->net, frame.pieces[i].buffer) == VIRTIO_OK && good;
    virtio_net_commit(&card->net);
    card->received++;
    return good;
}

static bool wait_until_sent(struct card *card)
{
    while (virtio_net_transmitted(&card->net) == NULL) {
        bool done = virtio_net_transmit_interrupts(&card->net, true);
        if (!done && !wait_for_queues(&card->driven))
            return false;
        (void)virtio_net_transmit_interrupts(&card->net, false);
    }
    return true;
}

// What one sends all others receive, at every length from the shortest to the longest.
static void test_sender(struct card *sender)
{
    bool good = true;
    uint32_t longest = sender->net.mtu + 14u;

    for (uint32_t round = 0; good && round < ROUNDS; round++) {
        uint32_t bytes = round == 0 ? longest : 22 + (longest - 22) * round / ROUNDS;
        good = send(sender, round, bytes);
        for (unsigned i = 0; good && i < CARDS; i++)
            good = &cards[i] == sender || receive(&cards[i], round);
        good = good && wait_until_sent(sender);
        if (!good)
            printf("# %s: round %u, %u bytes\n", sender->name, round, bytes);
    }
    ok(good, sender->name, "what it sends all others receive, whole");
}

// Frames that come together keep their order, at every card.
static void test_burst(struct card *sender)
{
    bool good = true;

    for (uint32_t i = 0; good && i < DATA_BYTES / 16384u; i++)
        good = send(sender, i, 1000);
    for (uint32_t i = 0; good && i < DATA_BYTES / 16384u; i++) {
        for (unsigned j = 0; good && j < CARDS; j++)
            good = &cards[j] == sender || receive(&cards[j], i);
        good = good && wait_until_sent(sender);
    }
    ok(good, sender->name, "frames sent together keep their order");
}

static void test_restart(struct card *card)
{
    bool good = virtio_net_stop(&card->net) == VIRTIO_OK &&
                virtio_net_take_back(&card->net) == NULL &&
                virtio_net_restart(&card->net) == VIRTIO_OK;

    ok(good && card->net.lent == 0, card->name, "stopped and started again");
}

void test_network(void)
{
    uint64_t number = 0;

    for (unsigned i = 0; i < CARDS; i++, number++) {
        if (!open_card(&cards[i], &number))
            return;
    }
    for (unsigned i = 0; i < CARDS; i++)
        test_sender(&cards[i]);
    for (unsigned i = 0; i < CARDS; i++)
        test_restart(&cards[i]);
    for (unsigned i = 0; i < CARDS; i++) {
        test_burst(&cards[i]);
        ok(cards[i].net.counters.malformed == 0 && cards[i].net.counters.transmitted > ROUNDS &&
               cards[i].net.counters.received == cards[i].received,
           cards[i].name, "counts what it did");
    }
    for (unsigned i = 0; i < CARDS; i++) {
        virtio_native_release(&cards[i].driven.native);
        virtio_native_free(&cards[i].memory);
        virtio_native_free(&cards[i].data);
    }
}
