// SPDX-License-Identifier: BSD-2-Clause
// sources: netipc/core/core.c netipc/core/link.c netipc/core/segment.c netipc/core/format.c
// sources: netipc/core/outbound.c netipc/core/control.c netipc/core/export.c
// sources: netipc/core/import.c netipc/core/call.c netipc/core/delivery.c netipc/core/rights.c
// sources: netipc/core/table.c netipc/core/pool.c netipc/core/secure.c
// sources: netipc/core/noise.c netipc/core/aead.c $(CRYPTO_UNIT)
// Any bytes on a new connection, in any pieces: who does not hold the key gets no
// session, and nothing stays behind.
// Input: one byte says who connects, and the length of pieces; then what comes.
#include "netipc/core/core.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    int closed;
    size_t memory;
    void *cookie;
} seen;

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void *op_allocate(void *context, size_t bytes)
{
    (void)context;
    seen.memory++;
    return malloc(bytes);
}

static void op_release(void *context, void *memory, size_t bytes)
{
    (void)context;
    (void)bytes;
    seen.memory--;
    free(memory);
}

static bool op_transmit(void *context, void *owner, const void *data, size_t bytes, void *cookie)
{
    (void)context;
    (void)owner;
    must(data != NULL && bytes == SECURE_HELLO_BYTES && seen.cookie == NULL);
    seen.cookie = cookie;
    return true;
}

static void op_close_link(void *context, void *owner)
{
    (void)context;
    (void)owner;
    seen.closed++;
}

static bool op_entropy(void *context, uint8_t bytes[SECURE_KEY_BYTES])
{
    (void)context;
    memset(bytes, 0x42, SECURE_KEY_BYTES);
    return true;
}

static void op_peer_changed(void *context, uint32_t node, bool live, const char *why)
{
    (void)context;
    (void)node;
    (void)live;
    (void)why;
    abort();
}

// Without a session none of the others is asked for.
static const struct core_operations operations = {
    .allocate = op_allocate,
    .release = op_release,
    .transmit = op_transmit,
    .close_link = op_close_link,
    .entropy = op_entropy,
    .peer_changed = op_peer_changed,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct core_settings settings = {
        .identity = {.self = {.node = 1, .cluster_size = 2, .incarnation = 7}, .key = {9}},
        .heartbeat_ns = 1,
        .suspect_ns = 10,
        .dead_ns = 20,
        .unreached_ns = 20,
    };

    if (size == 0)
        return 0;
    memset(&seen, 0, sizeof seen);
    struct core *core = core_create(&settings, &operations, NULL);
    must(core != NULL);
    core_tick(core, 1);
    struct core_link *link = core_link_open(core, data[0] & 1 ? 2 : CORE_NODE_NONE, &seen);
    must(link != NULL);
    size_t piece = 1 + data[0] / 2u;
    for (size_t at = 1; at < size && !seen.closed; at += piece)
        core_link_received(link, data + at, piece < size - at ? piece : size - at);
    must(seen.closed == (size > SECURE_HELLO_BYTES));
    if (seen.cookie != NULL)
        core_sent(core, seen.cookie);
    // Who says nothing is not waited for.
    core_tick(core, 100);
    must(seen.closed == 1 && seen.memory == 0);
    must((core_counters(core)->hellos_refused == 1) == (size > SECURE_HELLO_BYTES));
    core_destroy(core);
    return 0;
}
