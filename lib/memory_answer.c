// SPDX-License-Identifier: BSD-2-Clause
// What a pager says to cache managers: all by their outboxes, so that it never waits.
#include "lib/memory_object_private.h"

#include <corvus/pager_services.h>

static struct memory_request *find(struct memory_manager *manager, uint64_t sequence)
{
    for (unsigned i = 0; sequence != 0 && i < MEMORY_OBJECT_REQUESTS; i++)
        if (manager->open[i].sequence == sequence)
            return &manager->open[i];
    return NULL;
}

static corvus_error_t send(struct memory_manager *manager, struct outbox_message message)
{
    message.words[0] = manager->incarnation;
    return outbox_send(manager->outbox, &message);
}

// Sends what answers an open request, which is over if that succeeds.
static corvus_error_t answer(struct memory_manager *manager, struct memory_request *request,
                             struct outbox_message message)
{
    message.words[1] = request->sequence;
    message.words[2] = request->offset;
    corvus_error_t error = send(manager, message);
    if (error == ERR_OK)
        request->sequence = 0;
    return error;
}

static bool fits(const struct memory_request *request, size_t bytes)
{
    return request != NULL && bytes != 0 && bytes % PAGE_BYTES == 0 && bytes <= request->length;
}

corvus_error_t memory_provide(struct memory_manager *manager, uint64_t sequence, const void *data,
                              size_t bytes, uint64_t lock, uint64_t flags)
{
    struct memory_request *request = find(manager, sequence);

    if (!fits(request, bytes))
        return ERR_INVALID_ARGUMENT;
    return answer(manager, request,
                  (struct outbox_message){.id = MESSAGE_pager_data_provided,
                                          .word_count = 5,
                                          .words = {[3] = lock, [4] = flags},
                                          .data = data,
                                          .bytes = bytes});
}

corvus_error_t memory_unavailable(struct memory_manager *manager, uint64_t sequence, size_t bytes,
                                  uint64_t lock, uint64_t flags)
{
    struct memory_request *request = find(manager, sequence);

    if (!fits(request, bytes))
        return ERR_INVALID_ARGUMENT;
    return answer(manager, request,
                  (struct outbox_message){.id = MESSAGE_pager_data_unavailable,
                                          .word_count = 6,
                                          .words = {[3] = bytes, [4] = lock, [5] = flags}});
}

corvus_error_t memory_error(struct memory_manager *manager, uint64_t sequence,
                            corvus_error_t reason)
{
    struct memory_request *request = find(manager, sequence);

    if (request == NULL || reason == ERR_OK)
        return ERR_INVALID_ARGUMENT;
    return answer(manager, request,
                  (struct outbox_message){.id = MESSAGE_pager_data_error,
                                          .word_count = 5,
                                          .words = {[3] = request->length, [4] = reason}});
}

corvus_error_t memory_grant(struct memory_manager *manager, uint64_t sequence, uint64_t lock)
{
    struct memory_request *request = find(manager, sequence);

    if (request == NULL || !manager->unlocks[request - manager->open])
        return ERR_INVALID_ARGUMENT;
    return answer(manager, request,
                  (struct outbox_message){.id = MESSAGE_pager_data_lock,
                                          .word_count = 6,
                                          .words = {[3] = request->length, [4] = lock}});
}

void memory_refuse(struct memory_manager *manager, corvus_error_t reason)
{
    (void)send(manager, (struct outbox_message){.id = MESSAGE_pager_data_error,
                                                .word_count = 5,
                                                .words = {[4] = reason}});
}

void memory_refuse_request(struct memory_manager *manager, const struct memory_request *request,
                           corvus_error_t reason)
{
    (void)send(manager, (struct outbox_message){.id = MESSAGE_pager_data_error,
                                                .word_count = 5,
                                                .words = {0, request->sequence, request->offset,
                                                          request->length, reason}});
}

// A request of the pager's own, numbered.
static corvus_error_t ask(struct memory_manager *manager, struct outbox_message message,
                          uint64_t *sequence)
{
    uint64_t number = (manager->last_own | PAGER_SEQUENCE_OWN) + 1;

    message.words[1] = number;
    corvus_error_t error = send(manager, message);
    if (error != ERR_OK)
        return error;
    manager->last_own = number;
    if (sequence != NULL)
        *sequence = number;
    return ERR_OK;
}

corvus_error_t memory_lock(struct memory_manager *manager, uint64_t offset, uint64_t length,
                           uint64_t lock, uint64_t flags, uint64_t *sequence)
{
    return ask(manager,
               (struct outbox_message){.id = MESSAGE_pager_data_lock,
                                       .word_count = 6,
                                       .words = {0, 0, offset, length, lock, flags}},
               sequence);
}

corvus_error_t memory_flush(struct memory_manager *manager, uint64_t offset, uint64_t length,
                            uint64_t *sequence)
{
    return ask(manager,
               (struct outbox_message){.id = MESSAGE_pager_flush_request,
                                       .word_count = 4,
                                       .words = {0, 0, offset, length}},
               sequence);
}

corvus_error_t memory_clean(struct memory_manager *manager, uint64_t offset, uint64_t length,
                            uint64_t *sequence)
{
    return ask(manager,
               (struct outbox_message){.id = MESSAGE_pager_clean_request,
                                       .word_count = 4,
                                       .words = {0, 0, offset, length}},
               sequence);
}

corvus_error_t memory_cache(struct memory_manager *manager, uint64_t what)
{
    return send(manager, (struct outbox_message){
                             .id = MESSAGE_pager_cache, .word_count = 2, .words = {[1] = what}});
}
