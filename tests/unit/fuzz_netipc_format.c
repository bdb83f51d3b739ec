// SPDX-License-Identifier: BSD-2-Clause
// sources: netipc/core/format.c netipc/core/segment.c
// The bytes of messages and control records, whatever they are: no crash, and what is
// let through has possible counts, and items that lie within it.
// Input: one byte for the kind, then what is read.
#include "netipc/core/internal.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void read_message(enum segment_kind kind, const uint8_t *bytes, size_t count)
{
    static struct wire_message message;

    if (!wire_read(kind, bytes, count, &message))
        return;
    const struct wire_head *head = &message.head;
    must(head->words <= MESSAGE_WORDS && head->rights <= MESSAGE_RIGHTS &&
         head->items <= MESSAGE_ITEMS && head->error < ERR_COUNT && head->call <= CORE_CALLS_MAX);
    // Nothing is left over, nothing is read twice.
    must(wire_bytes(kind, head, message.items) == count);
    for (unsigned i = 0; i < head->items; i++) {
        const uint8_t *at = message.items[i].data;
        must(at >= bytes && at + message.items[i].bytes <= bytes + count);
    }
    for (unsigned i = 0; i < head->rights; i++) {
        const struct wire_right *right = &message.rights[i];
        must(right->kind <= CORE_SEND_ONCE &&
             (right->kind != CORE_SEND || (right->home != 0 && right->home < CORE_NODES_MAX)));
    }
}

static void read_control(const uint8_t *bytes, size_t count)
{
    uint8_t again[CONTROL_BYTES];
    struct control control;

    if (count != CONTROL_BYTES || !control_read(bytes, &control))
        return;
    control_write(again, &control);
    must(memcmp(again, bytes, CONTROL_BYTES) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    // Memory of just that size, so that reading beyond it is seen.
    uint8_t *bytes = malloc(size > 1 ? size - 1 : 1);
    must(bytes != NULL);
    memcpy(bytes, data + 1, size - 1);
    if (data[0] % 3 == 0)
        read_control(bytes, size - 1);
    else
        read_message(data[0] % 3 == 1 ? SEGMENT_REQUEST : SEGMENT_ANSWER, bytes, size - 1);
    free(bytes);
    return 0;
}
