// SPDX-License-Identifier: BSD-2-Clause
// A console device behind the model, with a host that opens and closes ports,
// sends, receives, and makes the guest wait.
#pragma once

#include "model.h"

#define CONSOLE_PORTS     8
#define CONSOLE_F_PORTS   (1ull << 1)
#define CONSOLE_SENT_MAX  (1u << 20)
#define CONSOLE_NO_WINDOW UINT32_MAX

struct console_model_port {
    bool added, guest_ready, guest_open, refused;
    uint8_t *from_guest; // CONSOLE_SENT_MAX bytes, from the first receive on
    size_t from_guest_count;
    uint32_t window; // how many chains from the guest the host still takes
};

struct console_model {
    struct model model;
    struct console_model_port ports[CONSOLE_PORTS];
    bool guest_ready;
    unsigned controls, controls_lost;
    // Called for each control message of the guest, as a host answers it at once.
    void (*control)(struct console_model *console, uint32_t port, uint16_t event, uint16_t value);
};

void console_model_initialize(struct console_model *console, enum model_kind kind,
                              uint64_t features, uint16_t queue_size);
void console_model_destroy(struct console_model *console);

// A control message to the guest; lost when there is no buffer for it.
void console_model_control(struct console_model *console, uint32_t port, unsigned event,
                           unsigned value, const void *rest, size_t bytes);

// Sends to the guest as much as it has buffers for, in pieces of `piece` bytes at
// most (0: as large as they go); returns how much.
size_t console_model_send(struct console_model *console, uint32_t port, const void *bytes,
                          size_t count, size_t piece);

// Takes what the guest has sent, as far as the window lets it.
void console_model_receive(struct console_model *console, uint32_t port);

unsigned console_receive_queue(uint32_t port);
unsigned console_transmit_queue(uint32_t port);
