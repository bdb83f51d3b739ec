// SPDX-License-Identifier: BSD-2-Clause
// sources: lib/virtio/net.c lib/virtio/net_frames.c lib/virtio/device.c lib/virtio/pci.c
// sources: lib/virtio/pci_legacy.c lib/virtio/virtqueue.c tests/unit/virtio/model.c
// sources: tests/unit/virtio/model_pci.c tests/unit/virtio/model_net.c
// The network device against a card in memory: what it says of itself, frames in
// both directions by every kind of ring, checksums, buffers lent and given back, a
// card that lies and is started again, and random traffic.
//
//   test_virtio_net [SEED [OPERATIONS]]
#include "lib/virtio/net.h"
#include "tap.h"
#include "virtio/model_net.h"

#include <string.h>

#define QUEUE_SIZE 32
#define BUFFERS    48
#define FRAMES     12
#define SEGMENTS   6
#define RINGS      (VIRTIO_F_INDIRECT | VIRTIO_F_EVENT_INDEX)
#define DATA_BYTES 65536u

static struct net_model card;
static struct virtio_device device;
static struct virtio_net net;
static struct virtio_memory memory;
static uint8_t *data;
static uint64_t data_bus;
static uint8_t pattern[NET_FRAME_MAX];

static const struct virtio_net_sizes sizes = {
    .receive_buffers = BUFFERS,
    .receive_bytes = 2048,
    .transmit_frames = FRAMES,
    .segments = SEGMENTS,
    .mtu_max = 9000,
    .transmit_checksum = true,
    .receive_checksum = true,
};

static void close_card(void)
{
    model_memory_free(&memory);
    net_model_destroy(&card);
}

static enum virtio_error open_card(void)
{
    struct virtio_platform platform = model_platform(&card.model);

    MODEL_CHECK(virtio_pci_open(&device, &platform) == VIRTIO_OK);
    return virtio_net_open(&net, &device, &sizes);
}

static void start_card(void)
{
    memory = model_memory(&card.model, virtio_net_shared_bytes(&net), virtio_net_own_bytes(&net));
    data = model_share(&card.model, DATA_BYTES, &data_bus);
    MODEL_CHECK(virtio_net_start(&net, &memory) == VIRTIO_OK);
}

static void begin(enum model_kind kind, uint64_t features)
{
    net_model_initialize(&card, kind, features, QUEUE_SIZE);
    MODEL_CHECK(open_card() == VIRTIO_OK);
    start_card();
    for (unsigned i = 0; i < sizeof pattern; i++)
        pattern[i] = (uint8_t)(i * 7 + i / 251);
}

static void give_back(const struct virtio_net_frame *frame)
{
    for (unsigned i = 0; i < frame->count; i++)
        MODEL_CHECK(virtio_net_give_back(&net, frame->pieces[i].buffer) == VIRTIO_OK);
    virtio_net_commit(&net);
}

static bool is_pattern(const struct virtio_net_frame *frame, size_t bytes)
{
    size_t done = 0;

    for (unsigned i = 0; i < frame->count; i++) {
        if (memcmp(frame->pieces[i].data, pattern + done, frame->pieces[i].bytes) != 0)
            return false;
        done += frame->pieces[i].bytes;
    }
    return done == bytes && frame->bytes == bytes;
}

// A frame from the card comes whole, with one interrupt, and its buffers go back.
static bool receives(size_t bytes)
{
    struct virtio_net_frame frame, none;
    unsigned interrupts = card.model.interrupts;

    if (!net_model_send(&card, pattern, bytes))
        return false;
    model_signal(&card.model, 0);
    bool good = card.model.interrupts == interrupts + 1 && virtio_net_receive(&net, &frame) &&
                is_pattern(&frame, bytes) && !virtio_net_receive(&net, &none);
    if (good)
        give_back(&frame);
    return good && net.lent == 0;
}

static enum virtio_error send_with(uint32_t bytes, bool partial, uint16_t start, uint16_t offset,
                                   void *cookie)
{
    struct virtio_segment segments[2] = {{.bus = data_bus, .bytes = bytes / 2},
                                         {.bus = data_bus + bytes / 2, .bytes = bytes - bytes / 2}};
    struct virtio_net_packet packet = {
        .segments = segments,
        .count = 2,
        .checksum_partial = partial,
        .checksum_start = start,
        .checksum_offset = offset,
        .cookie = cookie,
    };

    memcpy(data, pattern, bytes);
    return virtio_net_transmit(&net, &packet);
}

static bool sends(uint32_t bytes)
{
    unsigned sent = card.frames_sent, interrupts = card.model.interrupts;
    int cookie;

    if (send_with(bytes, false, 0, 0, &cookie) != VIRTIO_OK || card.frames_sent != sent)
        return false;
    virtio_net_commit(&net);
    bool good = card.frames_sent == sent + 1 && card.sent_bytes == bytes &&
                memcmp(card.sent, pattern, bytes) == 0 && virtio_net_transmitted(&net) == NULL;
    net_model_finish(&card, 0);
    model_signal(&card.model, 1);
    return good && card.model.interrupts == interrupts && virtio_net_transmitted(&net) == &cookie &&
           virtio_net_transmitted(&net) == NULL;
}

static void test_traffic(enum model_kind kind, uint64_t features, const char *name)
{
    bool mtu = (features & NET_F_MTU) != 0;

    printf("# %s\n", name);
    begin(kind, features | NET_F_MAC);
    tap_ok(net.has_address && net.address[5] == 7 && net.mtu == (mtu ? 9000 : 1500),
           "address and MTU");
    bool good = true;
    for (size_t bytes = 14; good && bytes <= net.mtu + 18u; bytes += bytes < 70 ? 1 : 97)
        good = receives(bytes);
    tap_ok(good && receives(net.mtu + 18u), "frames of all lengths are received");
    for (uint32_t bytes = 14; good && bytes <= net.mtu + 18u; bytes += bytes < 70 ? 1 : 97)
        good = sends(bytes);
    tap_ok(good && sends(net.mtu + 18u), "and sent, without an interrupt");
    int cookie;
    tap_ok(send_with(13, false, 0, 0, &cookie) == VIRTIO_INVALID &&
               send_with(net.mtu + 19u, false, 0, 0, &cookie) == VIRTIO_INVALID,
           "one too short or too long is refused");
    close_card();
}

// --- What the card says of itself --------------------------------------------------------

static void test_configuration(void)
{
    net_model_initialize(&card, MODEL_MODERN, NET_F_ALL, QUEUE_SIZE);
    memset(card.model.config, 0, 6);
    tap_ok(open_card() == VIRTIO_OK && !net.has_address, "an address of zeroes is none");
    card.model.config[0] = 1;
    tap_ok(open_card() == VIRTIO_OK && !net.has_address, "a group's address is none");
    card.model.config[10] = 60;
    card.model.config[11] = 0;
    tap_ok(open_card() == VIRTIO_BAD_CONFIGURATION, "an MTU of 60 is refused");
    card.model.config[11] = 0xff;
    tap_ok(open_card() == VIRTIO_OK && net.mtu == 9000, "a larger MTU is made smaller");
    net_model_destroy(&card);

    begin(MODEL_MODERN, NET_F_ALL | RINGS);
    tap_ok(virtio_net_link_is_up(&net), "the wire is there");
    card.model.config[6] = 0;
    tap_ok(!virtio_net_link_is_up(&net), "the wire is not there");
    close_card();
    begin(MODEL_MODERN, NET_F_MAC);
    card.model.config[6] = 0;
    tap_ok(virtio_net_link_is_up(&net), "a card that does not say has one");
    struct virtio_memory small = memory;
    small.own_bytes = virtio_net_own_bytes(&net) - 1;
    tap_ok(virtio_net_start(&net, &small) == VIRTIO_NO_MEMORY, "too little memory is refused");
    close_card();
}

// --- Checksums ------------------------------------------------------------------------------

static void test_checksums(void)
{
    struct virtio_net_frame frame = {.count = 0};
    int cookie;

    begin(MODEL_MODERN, NET_F_ALL | RINGS);
    tap_ok(send_with(100, true, 34, 16, &cookie) == VIRTIO_OK, "a checksum is left to the card");
    virtio_net_commit(&net);
    tap_ok(card.sent_partial && card.sent_start == 34 && card.sent_offset == 16,
           "which is told where");
    tap_ok(send_with(100, true, 84, 15, &cookie) == VIRTIO_INVALID &&
               send_with(100, true, 65535, 65535, &cookie) == VIRTIO_INVALID,
           "one beyond the frame is refused");
    card.flags = 1;
    card.checksum_start = 34;
    card.checksum_offset = 16;
    tap_ok(net_model_send(&card, pattern, 100) && virtio_net_receive(&net, &frame) &&
               frame.checksum_partial && frame.checksum_start == 34 && frame.checksum_offset == 16,
           "a frame comes without");
    give_back(&frame);
    card.flags = 2;
    tap_ok(net_model_send(&card, pattern, 100) && virtio_net_receive(&net, &frame) &&
               frame.checksum_good && !frame.checksum_partial,
           "a frame comes checked");
    give_back(&frame);
    card.flags = 1;
    card.checksum_start = 99;
    tap_ok(net_model_send(&card, pattern, 100) && !virtio_net_receive(&net, &frame) &&
               net.counters.malformed == 1 && net.lent == 0 && !virtio_net_is_broken(&net),
           "a place beyond the frame: dropped");
    close_card();

    begin(MODEL_MODERN, NET_F_MAC | NET_F_MRG_RXBUF);
    tap_ok(send_with(100, true, 34, 16, &cookie) == VIRTIO_INVALID, "not of a card that does none");
    card.flags = 3;
    card.checksum_start = 99;
    tap_ok(net_model_send(&card, pattern, 100) && virtio_net_receive(&net, &frame) &&
               !frame.checksum_good && !frame.checksum_partial,
           "nor does one count that was not agreed on");
    give_back(&frame);
    close_card();
}

// --- Buffers -----------------------------------------------------------------------------------

static void test_buffers(void)
{
    static struct virtio_net_frame frames[BUFFERS + 1];
    unsigned count = 0;

    begin(MODEL_MODERN, NET_F_MAC | NET_F_MRG_RXBUF | RINGS);
    tap_ok(net.posted == QUEUE_SIZE, "as many buffers as the queue takes");
    while (net_model_send(&card, pattern, 60) && virtio_net_receive(&net, &frames[count])) {
        count++;
        virtio_net_commit(&net);
    }
    tap_ok(count == BUFFERS && net.lent == BUFFERS && net.posted == 0 && net.counters.starved > 0,
           "all can be lent; then frames are lost, and that is counted");
    tap_ok(virtio_net_give_back(&net, BUFFERS) == VIRTIO_INVALID, "there is no such buffer");
    for (unsigned i = 0; i < count; i++)
        give_back(&frames[i]);
    tap_ok(virtio_net_give_back(&net, frames[0].pieces[0].buffer) == VIRTIO_INVALID, "not twice");
    tap_ok(receives(60), "then frames come again");

    int cookies[FRAMES + 1];
    count = 0;
    while (send_with(60, false, 0, 0, &cookies[count]) == VIRTIO_OK)
        count++;
    tap_ok(count == FRAMES && send_with(60, false, 0, 0, &cookies[0]) == VIRTIO_FULL,
           "frames to send have their limit");
    virtio_net_commit(&net);
    tap_ok(!virtio_net_transmit_interrupts(&net, true), "none is done yet");
    unsigned interrupts = card.model.interrupts;
    net_model_finish(&card, 3);
    model_signal(&card.model, 1);
    tap_ok(card.model.interrupts == interrupts + 1 && virtio_net_transmitted(&net) == &cookies[3],
           "in any order, with an interrupt when that is wanted");
    while (net_model_finish(&card, 0)) {
    }
    virtio_net_transmit_interrupts(&net, false);
    tap_ok(virtio_net_transmit_interrupts(&net, true), "what is done before is told");
    for (count = 0; virtio_net_transmitted(&net) != NULL; count++) {
    }
    tap_ok(count == FRAMES - 1, "each comes back once");
    close_card();
}

// --- A card that lies ----------------------------------------------------------------------------

static bool drops(size_t bytes)
{
    struct virtio_net_frame frame;
    uint64_t before = net.counters.malformed;

    return net_model_send(&card, pattern, bytes) && !virtio_net_receive(&net, &frame) &&
           net.counters.malformed == before + 1 && net.lent == 0;
}

static bool restarts(void)
{
    MODEL_CHECK(virtio_net_stop(&net) == VIRTIO_OK);
    while (virtio_net_take_back(&net) != NULL) {
    }
    return virtio_net_restart(&net) == VIRTIO_OK && !virtio_net_is_broken(&net);
}

static void test_lies(void)
{
    struct virtio_net_frame frame = {.count = 0}, kept = {.count = 0};
    int cookie;

    begin(MODEL_MODERN, NET_F_ALL | RINGS);
    tap_ok(drops(13), "a frame too short is dropped");
    tap_ok(drops(9019), "a frame too long is dropped");
    card.gso = 1;
    tap_ok(drops(60), "a frame to be cut, which was not agreed on, is dropped");
    card.gso = 0;
    tap_ok(receives(60) && !virtio_net_is_broken(&net), "the next one is received");

    card.buffers_lie = -1;
    tap_ok(drops(60) && virtio_net_is_broken(&net), "a frame of no buffers breaks the card");
    tap_ok(send_with(60, false, 0, 0, &cookie) == VIRTIO_BROKEN &&
               !virtio_net_receive(&net, &frame),
           "nothing goes then");
    card.buffers_lie = 0;
    tap_ok(restarts() && receives(60) && sends(60), "until it is started again");
    card.buffers_lie = 1;
    tap_ok(drops(60) && virtio_net_is_broken(&net), "so does one of more buffers than came");
    tap_ok(restarts() && (card.buffers_lie = 30, drops(60)) && virtio_net_is_broken(&net),
           "and one of more buffers than there may be");
    card.buffers_lie = 0;

    restarts();
    MODEL_CHECK(net_model_send(&card, pattern, 3000) && virtio_net_receive(&net, &kept));
    MODEL_CHECK(send_with(60, false, 0, 0, &cookie) == VIRTIO_OK);
    virtio_net_commit(&net);
    MODEL_CHECK(virtio_net_stop(&net) == VIRTIO_OK);
    tap_ok(virtio_net_take_back(&net) == &cookie && virtio_net_take_back(&net) == NULL,
           "what was to be sent comes back");
    tap_ok(virtio_net_restart(&net) == VIRTIO_OK && net.lent == 2 && is_pattern(&kept, 3000),
           "what is lent stays lent");
    memset(pattern, 0x11, 4000);
    tap_ok((net_model_send(&card, pattern, 4000), kept.pieces[0].data[1] == 7),
           "and is not written to");
    give_back(&kept);
    tap_ok(net.lent == 0, "until it is given back");
    model_push_raw(&card.model, 0, 999, 60, (uint16_t)(card.model.queues[0].pushed + 1));
    while (virtio_net_receive(&net, &frame))
        give_back(&frame);
    tap_ok(virtio_net_is_broken(&net), "an impossible id breaks the card");
    MODEL_CHECK(virtio_net_stop(&net) == VIRTIO_OK);
    card.model.config[11] = 0x10;
    tap_ok(virtio_net_restart(&net) == VIRTIO_NO_FEATURE, "another MTU: not the card it was");
    close_card();
}

// --- Random traffic ----------------------------------------------------------------------------

struct expected {
    uint32_t seed, bytes;
};

static void fill(uint8_t *bytes, struct expected expected)
{
    struct model_random random = {expected.seed};

    for (uint32_t i = 0; i < expected.bytes; i++)
        bytes[i] = (uint8_t)model_random(&random);
}

static bool matches(const struct virtio_net_frame *frame, struct expected expected)
{
    static uint8_t whole[NET_FRAME_MAX];
    size_t done = 0;

    fill(whole, expected);
    for (unsigned i = 0; i < frame->count; i++) {
        if (memcmp(frame->pieces[i].data, whole + done, frame->pieces[i].bytes) != 0)
            return false;
        done += frame->pieces[i].bytes;
    }
    return done == expected.bytes;
}

// Frames come while others are kept for a while, so that buffers change places.
static bool random_traffic(uint64_t features, uint64_t seed, unsigned operations)
{
    static struct virtio_net_frame kept[8];
    static struct expected contents[8];
    static uint8_t frame_bytes[NET_FRAME_MAX];
    struct model_random random = {seed};
    bool good = true;
    unsigned received = 0;

    begin(MODEL_MODERN, features);
    memset(kept, 0, sizeof kept);
    for (unsigned i = 0; good && i < operations; i++) {
        unsigned place = model_below(&random, 8);
        struct expected expected = {model_random(&random), 14 + model_below(&random, net.mtu + 4u)};
        if (kept[place].count != 0) {
            good = matches(&kept[place], contents[place]);
            give_back(&kept[place]);
            kept[place].count = 0;
            continue;
        }
        fill(frame_bytes, expected);
        bool sent = net_model_send(&card, frame_bytes, expected.bytes);
        // A frame cut short for want of buffers is one, but not this one.
        struct virtio_net_frame frame;
        while (virtio_net_receive(&net, &frame)) {
            if (!sent || frame.bytes != expected.bytes) {
                give_back(&frame);
                continue;
            }
            good = matches(&frame, expected);
            kept[place] = frame;
            contents[place] = expected;
            received++;
        }
        virtio_net_commit(&net);
        if (virtio_net_is_broken(&net))
            good = good && !sent && restarts();
    }
    printf("# seed %lu: %u frames of %u operations\n", (unsigned long)seed, received, operations);
    close_card();
    return good && received > operations / 4;
}

int main(int count, char **arguments)
{
    uint64_t seed = count > 1 ? strtoull(arguments[1], NULL, 0) : 1;
    unsigned operations = count > 2 ? (unsigned)strtoul(arguments[2], NULL, 0) : 3000;

    test_traffic(MODEL_MODERN, NET_F_ALL | RINGS, "modern");
    test_traffic(MODEL_MODERN, NET_F_MTU, "modern, buffers not mergeable, plain rings");
    test_traffic(MODEL_TRANSITIONAL, NET_F_ALL | RINGS, "transitional");
    test_traffic(MODEL_LEGACY, NET_F_MRG_RXBUF | VIRTIO_F_INDIRECT, "legacy");
    test_traffic(MODEL_LEGACY, VIRTIO_F_EVENT_INDEX, "legacy, buffers not mergeable");
    test_configuration();
    test_checksums();
    test_buffers();
    test_lies();
    tap_ok(random_traffic(NET_F_ALL | RINGS, seed, operations), "random traffic");
    tap_ok(random_traffic(NET_F_MTU | VIRTIO_F_EVENT_INDEX, seed + 1, operations),
           "random traffic in whole buffers");
    return tap_end();
}
