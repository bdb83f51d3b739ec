// SPDX-License-Identifier: BSD-2-Clause
// Virtual I/O Device 1.1, section 5.1.6, from the device's side.
#include "model_net.h"

#include <string.h>

#define RECEIVE  0
#define TRANSMIT 1

struct header {
    uint8_t flags, gso;
    uint16_t length, gso_size, start, offset, buffers;
};

static size_t header_bytes(const struct net_model *net)
{
    bool lengthy = (net->model.accepted & (NET_F_MRG_RXBUF | VIRTIO_F_VERSION_1)) != 0;

    return lengthy ? 12 : 10;
}

static void take_sent(struct net_model *net, const struct model_chain *chain)
{
    struct header header = {0};
    size_t skip = header_bytes(net);

    MODEL_CHECK(chain->writable == 0 && chain->readable >= 2);
    // A legacy device may want the header by itself.
    MODEL_CHECK(chain->segments[0].bytes == skip);
    model_read_chain(&net->model, chain, 0, &header, skip);
    MODEL_CHECK(header.flags <= 1 && header.gso == 0 && header.gso_size == 0);
    MODEL_CHECK(header.flags == 0 || (net->model.accepted & NET_F_CSUM));
    net->sent_partial = header.flags != 0;
    net->sent_start = header.start;
    net->sent_offset = header.offset;
    net->sent_bytes = chain->readable_bytes - skip;
    MODEL_CHECK(net->sent_bytes >= 14 && net->sent_bytes <= sizeof net->sent);
    model_read_chain(&net->model, chain, skip, net->sent, net->sent_bytes);
    net->frames_sent++;
}

static void was_notified(struct model *model, unsigned queue)
{
    struct net_model *net = model->context;

    MODEL_CHECK(queue == RECEIVE || queue == TRANSMIT);
    if (queue == RECEIVE) {
        net->receive_waiting = true;
        return;
    }
    for (;;) {
        MODEL_CHECK(net->held_count < NET_HELD_MAX);
        struct model_chain *chain = malloc(sizeof *chain);
        MODEL_CHECK(chain != NULL);
        if (!model_pop_or_wait(model, TRANSMIT, chain)) {
            free(chain);
            return;
        }
        take_sent(net, chain);
        net->held[net->held_count++] = chain;
    }
}

static void was_reset(struct model *model)
{
    struct net_model *net = model->context;

    while (net->held_count > 0)
        free(net->held[--net->held_count]);
    net->receive_waiting = false;
}

void net_model_initialize(struct net_model *net, enum model_kind kind, uint64_t features,
                          uint16_t queue_size)
{
    static const uint8_t address[6] = {0x52, 0x54, 0, 0xc0, 0, 7};
    uint16_t mtu = 9000, status = 1;

    memset(net, 0, sizeof *net);
    model_initialize(&net->model, kind, VIRTIO_TYPE_NETWORK, features, 2, queue_size);
    net->model.context = net;
    net->model.notified = was_notified;
    net->model.was_reset = was_reset;
    memcpy(net->model.config, address, sizeof address);
    memcpy(net->model.config + 6, &status, sizeof status);
    memcpy(net->model.config + 10, &mtu, sizeof mtu);
}

void net_model_destroy(struct net_model *net)
{
    was_reset(&net->model);
    model_destroy(&net->model);
}

// Takes buffers for `bytes`; returns how many.
static unsigned take_buffers(struct net_model *net, struct model_chain **chains, size_t bytes)
{
    bool mergeable = (net->model.accepted & NET_F_MRG_RXBUF) != 0;
    size_t room = 0;
    unsigned count = 0;

    while (room < bytes && count < 32 && (mergeable || count == 0)) {
        struct model_chain *chain = malloc(sizeof *chain);
        MODEL_CHECK(chain != NULL);
        if (!model_pop_or_wait(&net->model, RECEIVE, chain)) {
            free(chain);
            break;
        }
        MODEL_CHECK(chain->readable == 0 && chain->writable_bytes > 12);
        MODEL_CHECK(mergeable || chain->segments[0].bytes == header_bytes(net));
        room += chain->writable_bytes;
        chains[count++] = chain;
    }
    return count;
}

bool net_model_send(struct net_model *net, const void *frame, size_t bytes)
{
    struct model_chain *chains[32];
    struct header header = {.flags = net->flags,
                            .gso = net->gso,
                            .start = net->checksum_start,
                            .offset = net->checksum_offset};
    static uint8_t whole[NET_FRAME_MAX + sizeof header];
    size_t skip = header_bytes(net), done = 0, room = 0;

    MODEL_CHECK(bytes <= NET_FRAME_MAX);
    unsigned count = take_buffers(net, chains, skip + bytes);
    header.buffers = (uint16_t)(count + (unsigned)net->buffers_lie);
    memcpy(whole, &header, skip);
    memcpy(whole + skip, frame, bytes);
    for (unsigned i = 0; i < count; i++) {
        room += chains[i]->writable_bytes;
        size_t part =
            model_write_chain(&net->model, chains[i], 0, whole + done, skip + bytes - done);
        done += part;
        model_push(&net->model, RECEIVE, chains[i]->head, (uint32_t)part);
        free(chains[i]);
    }
    if (room < skip + bytes)
        net->frames_lost++;
    return room >= skip + bytes;
}

bool net_model_finish(struct net_model *net, unsigned which)
{
    if (which >= net->held_count)
        return false;
    model_push(&net->model, TRANSMIT, net->held[which]->head, 0);
    free(net->held[which]);
    net->held_count--;
    for (unsigned i = which; i < net->held_count; i++)
        net->held[i] = net->held[i + 1];
    return true;
}
