// SPDX-License-Identifier: BSD-2-Clause
// What the generated stubs are made of: rights and memory in a message, and
// the check of a reply. Freestanding: needs no C library.
#pragma once

#include "lib/x86/trap.h"

#include <stdbool.h>

// How a right of the caller travels. The disposition is checked by the kernel.
static inline struct message_right message_right(port_name_t name, uint32_t disposition)
{
    return (struct message_right){.name = name, .disposition = disposition};
}

static inline struct message_right copy_send(port_name_t send)
{
    return message_right(send, COPY_SEND);
}

static inline struct message_right move_send(port_name_t send)
{
    return message_right(send, MOVE_SEND);
}

static inline struct message_right move_send_once(port_name_t send_once)
{
    return message_right(send_once, MOVE_SEND_ONCE);
}

// These two take the name of a receive right.
static inline struct message_right make_send(port_name_t receive)
{
    return message_right(receive, MAKE_SEND);
}

static inline struct message_right make_send_once(port_name_t receive)
{
    return message_right(receive, MAKE_SEND_ONCE);
}

static inline struct message_right move_receive(port_name_t receive)
{
    return message_right(receive, MOVE_RECEIVE);
}

static inline struct message_item message_copy_item(const void *bytes, size_t length)
{
    return (struct message_item){
        .kind = ITEM_COPY, .address = (uint64_t)(uintptr_t)bytes, .length = length};
}

static inline struct message_buffer message_buffer(void *bytes, size_t length)
{
    return (struct message_buffer){.address = (uint64_t)(uintptr_t)bytes, .length = length};
}

// What an item that was to map memory at the start of the window did map there.
static inline size_t message_mapped_bytes(const struct message_item *item)
{
    return item->kind == ITEM_MAP && item->offset == 0 ? item->length : 0;
}

static inline size_t message_words(uint64_t tag)
{
    size_t words = tag & TAG_WORDS_MASK;
    return words < MESSAGE_WORDS ? words : MESSAGE_WORDS;
}

static inline void message_copy_words(uint64_t *to, const uint64_t *from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = from[i];
}

// Takes the array that begins at word `first` of a message received. *count is
// the room there is, then the words that came; more than that are left.
static inline void message_take_words(uint64_t *to, size_t *count, const struct utcb *page,
                                      uint64_t tag, size_t first)
{
    size_t words = message_words(tag);
    size_t arrived = words > first ? words - first : 0;

    if (*count > arrived)
        *count = arrived;
    message_copy_words(to, &page->words[first], *count);
}

// Destroys the rights of a message just received that nobody wants.
void message_drop_rights(uint64_t tag);

// Why a reply cannot be used; its rights are destroyed. By value, so that the
// message stays in registers.
corvus_error_t message_refuse_reply(uint64_t tag, uint64_t word0);

// ERR_OK when the reply says so and has at least that many words and exactly
// those rights and items.
always_inline corvus_error_t message_check_reply(const struct message *reply, uint64_t words,
                                                 uint64_t shape)
{
    uint64_t fixed = TAG_RIGHTS_MASK | TAG_ITEMS_MASK | TAG_ERROR_MASK;

    if (__builtin_expect((reply->tag & fixed) == shape && reply->words[0] == ERR_OK &&
                             (reply->tag & TAG_WORDS_MASK) >= words,
                         1))
        return ERR_OK;
    return message_refuse_reply(reply->tag, reply->words[0]);
}
