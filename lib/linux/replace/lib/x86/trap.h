// SPDX-License-Identifier: BSD-2-Clause
// The message system call of a Linux program (lib/linux/README.md), in the place of the native
// header of that name.
#pragma once

#include <corvus/message.h>

// As natively: what travels in registers there.
struct message {
    uint64_t tag;
    union {
        uint64_t destination;
        uint64_t label;
    };
    uint64_t receive_from;
    uint64_t id;
    uint64_t words[MESSAGE_REGISTER_WORDS];
};

#define always_inline static inline __attribute__((always_inline))

extern _Thread_local struct utcb corvus_page;

// The calling thread's message page. The kernel uses it only during a call.
always_inline struct utcb *utcb_self(void)
{
    return &corvus_page;
}

void corvus_trap(struct message *message);

always_inline void message_trap(struct message *message)
{
    corvus_trap(message);
}
