// SPDX-License-Identifier: BSD-2-Clause
// What test programs about ports (/dev/corvus) share.
#pragma once

#include "harness.h"

#include "lib/linux/corvus.h"

#define MEGABYTE (1u << 20)

static inline void need_device(void)
{
    if (access(CORVUS_DEVICE, F_OK) != 0)
        skip("there is no " CORVUS_DEVICE);
}

static inline port_name_t make_port(uint64_t label, port_name_t *send)
{
    port_name_t receive;
    need_device();
    ZERO(port_allocate_with_send(label, &receive, send));
    return receive;
}

static inline corvus_error_t send_word(port_name_t to, uint64_t word, uint64_t timeout)
{
    struct message message = {.tag = 1, .destination = to, .id = 7, .words = {word}};
    return msg_send(&message, timeout);
}

static inline uint64_t receive_word(port_name_t from)
{
    struct message message;
    ZERO(msg_receive(&message, from, TIMEOUT_NONE));
    return message.words[0];
}

static inline uint64_t kind_of(port_name_t name)
{
    uint64_t kind = RIGHT_NONE;
    (void)task_right_info(NAME_TASK_SELF, name, &kind, NULL, NULL);
    return kind;
}
