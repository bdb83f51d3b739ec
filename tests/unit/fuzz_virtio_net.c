// SPDX-License-Identifier: BSD-2-Clause
// sources: lib/virtio/net.c lib/virtio/net_frames.c lib/virtio/device.c lib/virtio/pci.c
// sources: lib/virtio/pci_legacy.c lib/virtio/virtqueue.c tests/unit/virtio/model.c
// sources: tests/unit/virtio/model_pci.c tests/unit/virtio/model_net.c
// A card that hands over any frames with any headers, completes what it likes and
// says any lengths, while the driver receives, keeps, gives back and sends.
#include "lib/virtio/net.h"
#include "virtio/model_net.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define KEPT_MAX 8

struct input {
    const uint8_t *bytes;
    size_t left;
};

static struct virtio_net_frame kept[KEPT_MAX];
static uint64_t sent_from;

static uint8_t next(struct input *input)
{
    if (input->left == 0)
        return 0;
    input->left--;
    return *input->bytes++;
}

static void give_back(struct virtio_net *net, struct virtio_net_frame *frame)
{
    for (unsigned i = 0; i < frame->count; i++)
        MODEL_CHECK(virtio_net_give_back(net, frame->pieces[i].buffer) == VIRTIO_OK);
    frame->count = 0;
}

// Every byte that is lent can be read, and adds up.
static void receive(struct virtio_net *net, unsigned place)
{
    struct virtio_net_frame *frame = &kept[place % KEPT_MAX];
    static volatile uint8_t sum;
    size_t bytes = 0;

    give_back(net, frame);
    if (!virtio_net_receive(net, frame))
        return;
    for (unsigned i = 0; i < frame->count; i++) {
        for (size_t j = 0; j < frame->pieces[i].bytes; j++)
            sum = (uint8_t)(sum + frame->pieces[i].data[j]);
        bytes += frame->pieces[i].bytes;
    }
    MODEL_CHECK(bytes == frame->bytes && bytes >= 14 && bytes <= net->mtu + 18u);
    MODEL_CHECK(!frame->checksum_partial ||
                frame->checksum_start + frame->checksum_offset + 2u <= bytes);
}

static void send(struct virtio_net *net, struct input *input)
{
    uint16_t bytes = next(input);
    struct virtio_segment segment = {.bus = sent_from, .bytes = bytes};
    struct virtio_net_packet packet = {.segments = &segment, .count = 1, .cookie = net};

    packet.checksum_partial = next(input) % 2 != 0;
    packet.checksum_start = next(input);
    (void)virtio_net_transmit(net, &packet);
    while (virtio_net_transmitted(net) != NULL) {
    }
}

static void act(struct net_model *card, struct virtio_net *net, struct input *input)
{
    static uint8_t frame[NET_FRAME_MAX];
    uint8_t what = next(input);

    switch (what % 8) {
    case 0:
    case 1:
        card->flags = next(input);
        card->gso = next(input) % 4 == 0;
        card->buffers_lie = (int)(next(input) % 5) - 2;
        card->checksum_start = next(input);
        (void)net_model_send(card, frame, (size_t)next(input) * 37);
        break;
    case 2:
    case 3:
        receive(net, what / 8u);
        break;
    case 4:
        send(net, input);
        break;
    case 5:
        (void)net_model_finish(card, next(input));
        break;
    case 6:
        if (virtio_net_is_broken(net)) {
            MODEL_CHECK(virtio_net_stop(net) == VIRTIO_OK);
            while (virtio_net_take_back(net) != NULL) {
            }
            MODEL_CHECK(virtio_net_restart(net) == VIRTIO_OK);
        }
        break;
    default:
        model_push_raw(&card->model, next(input) % 2, next(input), next(input), next(input));
    }
    virtio_net_commit(net);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct net_model card;
    struct virtio_net_sizes sizes = {
        .receive_buffers = 12,
        .receive_bytes = 512,
        .transmit_frames = 4,
        .segments = 2,
        .mtu_max = 9000,
        .transmit_checksum = true,
        .receive_checksum = true,
    };
    struct virtio_device device;
    struct virtio_net net;
    struct input input = {.bytes = data, .left = size};
    uint64_t features = NET_F_ALL | VIRTIO_F_INDIRECT | VIRTIO_F_EVENT_INDEX;

    if (next(&input) % 4 == 0)
        features &= ~(NET_F_MRG_RXBUF | NET_F_MTU);
    net_model_initialize(&card, MODEL_MODERN, features, 8);
    card.model.lies = true;
    struct virtio_platform platform = model_platform(&card.model);
    MODEL_CHECK(virtio_pci_open(&device, &platform) == VIRTIO_OK);
    MODEL_CHECK(virtio_net_open(&net, &device, &sizes) == VIRTIO_OK);
    struct virtio_memory memory =
        model_memory(&card.model, virtio_net_shared_bytes(&net), virtio_net_own_bytes(&net));
    (void)model_share(&card.model, 256, &sent_from);
    MODEL_CHECK(virtio_net_start(&net, &memory) == VIRTIO_OK);
    memset(kept, 0, sizeof kept);
    while (input.left > 0)
        act(&card, &net, &input);
    model_memory_free(&memory);
    net_model_destroy(&card);
    return 0;
}
