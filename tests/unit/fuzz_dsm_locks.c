// SPDX-License-Identifier: BSD-2-Clause
// sources: $(DSM_LOCKS)
// Locks, semaphores and barriers, and what may come from outside: a node that is home or is not,
// and others which say anything. Each request is answered once at most; one owner holds a lock; and
// when all links are lost whoever waited has been answered. Input: a byte, who is home; then acts:
// a request of this node, or a message.
#include "dsm/core/locks_internal.h"

#include <stdlib.h>
#include <string.h>

#define CALLS 512u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct call {
    bool done;
};

static struct {
    struct locks *locks;
    struct call calls[CALLS];
    unsigned called, answered;
} scene;

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void send(void *context, unsigned node, const void *bytes, size_t count)
{
    (void)context;
    (void)bytes;
    must(node >= 1 && node <= LOCK_NODES && node != scene.locks->node);
    must(count <= sizeof(struct lock_message));
}

static bool answer(void *context, void *token, corvus_error_t error, const uint64_t *words,
                   size_t count)
{
    struct call *call = token;

    (void)context;
    must(!call->done && (unsigned)error < ERR_COUNT && (count == 0 || words != NULL));
    must(count <= 1 + REDUCE_VALUES_MAX);
    call->done = true;
    scene.answered++;
    return (scene.answered & 7) != 0; // some have gone meanwhile
}

static const struct locks_output output = {send, answer};

static void check(const struct locks *locks)
{
    unsigned items = 0, waiters = 0;

    for (unsigned i = 0; i < LOCK_BUCKETS; i++)
        for (const struct lock_item *item = locks->items[i]; item != NULL; item = item->next) {
            items++;
            must(!item->held || (item->kind == KIND_LOCK && item->token));
            must(item->pass_to <= LOCK_NODES && item->tail <= LOCK_NODES);
            must(item->result_count <= REDUCE_VALUES_MAX);
            must(item->result_count == 0 || item->results != NULL);
            for (const struct waiter *one = item->waiters; one != NULL; one = one->next)
                waiters++;
        }
    must(items == locks->item_count && waiters == locks->waiter_count);
    must(scene.called - scene.answered == waiters);
}

static void request(const uint8_t *data)
{
    struct call *call = &scene.calls[scene.called % CALLS];
    uint64_t values[REDUCE_VALUES_MAX] = {data[1], data[2]}, owner = 1 + data[1] % 3;
    uint64_t number = data[2] % 3;

    if (scene.called == CALLS)
        return;
    switch (data[0] % 6) {
    case 0:
        scene.called++;
        locks_acquire(scene.locks, owner, 1, number, data[3] % 4 == 0, call);
        break;
    case 1:
        (void)locks_release(scene.locks, owner, 1, number);
        break;
    case 2:
        scene.called++;
        locks_wait(scene.locks, owner, 1, number, data[3] % 3, data[3] % 4 == 0, call);
        break;
    case 3:
        (void)locks_post(scene.locks, 1, number, data[3] % 3, 1);
        break;
    case 4:
        scene.called++;
        locks_barrier(scene.locks, owner, 1, number, 1 + data[3] % 3, data[3] % 6, values,
                      data[1] % 3, call);
        break;
    default:
        locks_owner_died(scene.locks, owner);
    }
}

static void message(const uint8_t *data, size_t count)
{
    struct lock_message message = {.type = (uint8_t)(data[1] % (LOCK_TYPES + 1)),
                                   .kind = data[2] % (LOCK_KINDS + 1),
                                   .flags = data[3],
                                   .node = data[4] % 4,
                                   .count = data[5] % 4,
                                   .generation = data[6] % 4,
                                   .round = scene.locks->round + (data[7] % 8 == 0),
                                   .group = 1,
                                   .number = data[8] % 3,
                                   .id = data[9] % 16,
                                   .value = data[10],
                                   .added = data[11] % 4,
                                   .value_count = data[12] % 3,
                                   .operation = data[13] % 8};
    uint8_t bytes[sizeof message];
    size_t length = offsetof(struct lock_message, values) + message.value_count * 8u;

    memcpy(bytes, &message, sizeof message);
    // Sometimes any bytes in it, or another length.
    for (size_t i = 15; i + 1 < count && data[14] >= 192; i += 2)
        bytes[data[i] % length] ^= data[i + 1];
    if (data[14] % 16 == 0)
        length = data[14] * length / 255;
    uint8_t *copy = malloc(length != 0 ? length : 1);
    must(copy != NULL);
    memcpy(copy, bytes, length);
    (void)locks_receive(scene.locks, 1 + data[0] % 4, copy, length);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint64_t members[4] = {7};

    if (size == 0)
        return 0;
    memset(&scene, 0, sizeof scene);
    scene.locks = locks_create(2, &output, NULL);
    must(scene.locks != NULL);
    if (data[0] % 2 != 0)
        locks_lead(scene.locks, 1, members, data[0] % 4 == 3);
    data++;
    size--;
    for (; size >= 20; data += 20, size -= 20) {
        if (data[0] % 4 == 0)
            request(data + 1);
        else if (data[0] == 255)
            locks_lead(scene.locks, scene.locks->round + 1, members, true);
        else
            message(data + 1, 19);
        check(scene.locks);
    }
    locks_lose(scene.locks);
    must(scene.called == scene.answered);
    check(scene.locks);
    locks_destroy(scene.locks);
    return 0;
}
