// SPDX-License-Identifier: BSD-2-Clause
// A network card behind the model: it hands frames to the guest, in one buffer or
// several, keeps what the guest sends until it is told to finish, and can lie.
#pragma once

#include "model.h"

#define NET_F_CSUM       (1ull << 0)
#define NET_F_GUEST_CSUM (1ull << 1)
#define NET_F_MTU        (1ull << 3)
#define NET_F_MAC        (1ull << 5)
#define NET_F_MRG_RXBUF  (1ull << 15)
#define NET_F_STATUS     (1ull << 16)
#define NET_F_ALL                                                                                  \
    (NET_F_CSUM | NET_F_GUEST_CSUM | NET_F_MTU | NET_F_MAC | NET_F_MRG_RXBUF | NET_F_STATUS)

#define NET_HELD_MAX  256
#define NET_FRAME_MAX 10240

struct net_model {
    struct model model;
    bool receive_waiting; // the guest has notified of new buffers
    struct model_chain *held[NET_HELD_MAX];
    unsigned held_count;
    // The header of the next frame to the guest.
    uint8_t flags, gso;
    uint16_t checksum_start, checksum_offset;
    int buffers_lie; // added to the number of buffers in the header
    // The frame that was sent last, and its header.
    uint8_t sent[NET_FRAME_MAX];
    size_t sent_bytes;
    bool sent_partial;
    uint16_t sent_start, sent_offset;
    unsigned frames_sent, frames_lost;
};

void net_model_initialize(struct net_model *net, enum model_kind kind, uint64_t features,
                          uint16_t queue_size);
void net_model_destroy(struct net_model *net);

// Hands a frame to the guest. False: it has too few buffers, and the frame is lost.
bool net_model_send(struct net_model *net, const void *frame, size_t bytes);

// Completes a frame that the guest has sent, of those that are held; false when
// there is none.
bool net_model_finish(struct net_model *net, unsigned which);
