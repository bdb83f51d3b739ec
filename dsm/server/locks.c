// SPDX-License-Identifier: BSD-2-Clause
// Services of locks: an owner is a port, which dies with its program; requests are kept with the
// right to answer them. The home of all locks is the coordinator of the directory.
#include "dsm/core/locks.h"
#include "dsm/server/server.h"

#include "lib/serve.h"

#include <corvus/segments_dispatch.h>

#include <stdlib.h>
#include <string.h>

#define ROUND_BITS 12u // rounds of one epoch of the directory

struct owner {
    struct source source;  // requests
    struct source notices; // no senders
    struct owner *next;
};

struct request {
    port_name_t reply;
    bool reduce; // its results are an array
};

static struct locks *locks;
static struct owner *owners;
static uint64_t led_epoch, led_rounds;
static bool lost, lost_since, served;

// --- Answers -------------------------------------------------------------------------------------

static bool answer(void *context, void *token, corvus_error_t error, const uint64_t *words,
                   size_t count)
{
    struct request *request = token;
    struct message message = {.tag = 1, .destination = request->reply, .words = {error}};

    (void)context;
    if (error == ERR_OK && request->reduce) {
        message.tag = 6 + count - 1;
        memcpy(&utcb_self()->words[6], words + 1, (count - 1) * sizeof *words);
    } else if (error == ERR_OK && count != 0) {
        message.tag = 2;
        message.words[1] = words[0];
    }
    bool there = message_exchange(&message, TAG_SEND, DEADLINE_NONE) == ERR_OK;
    if (!there)
        (void)port_deallocate(request->reply);
    free(request);
    return there;
}

static struct request *begin(void)
{
    struct request *request = calloc(1, sizeof *request);

    if (request == NULL || message_save_reply(&request->reply) != ERR_OK) {
        free(request);
        return NULL;
    }
    return request;
}

// --- Services ------------------------------------------------------------------------------------

static corvus_error_t lock(uint64_t label, uint64_t group, uint64_t number, uint64_t flags,
                           uint64_t *died)
{
    struct request *request;

    (void)died;
    if (flags > LOCK_TRY)
        return ERR_INVALID_ARGUMENT;
    if (!served)
        return ERR_PEER_DIED;
    request = begin();
    if (request == NULL)
        return ERR_NO_MEMORY;
    locks_acquire(locks, label, group, number, flags == LOCK_TRY, request);
    return SERVE_LATER;
}

static corvus_error_t unlock(uint64_t label, uint64_t group, uint64_t number)
{
    return locks_release(locks, label, group, number);
}

static corvus_error_t wait(uint64_t label, uint64_t group, uint64_t number, uint64_t initial,
                           uint64_t flags)
{
    struct request *request;

    if (flags > LOCK_TRY || initial > INT32_MAX)
        return ERR_INVALID_ARGUMENT;
    if (!served)
        return ERR_PEER_DIED;
    request = begin();
    if (request == NULL)
        return ERR_NO_MEMORY;
    locks_wait(locks, label, group, number, initial, flags == LOCK_TRY, request);
    return SERVE_LATER;
}

static corvus_error_t post(uint64_t label, uint64_t group, uint64_t number, uint64_t initial,
                           uint64_t count)
{
    (void)label;
    if (initial > INT32_MAX || count == 0)
        return ERR_INVALID_ARGUMENT;
    if (count > UINT32_MAX)
        return ERR_TOO_LARGE;
    return served ? locks_post(locks, group, number, initial, count) : ERR_PEER_DIED;
}

static corvus_error_t meet(uint64_t label, uint64_t group, uint64_t number, uint64_t count,
                           uint64_t operation, const uint64_t *values, size_t value_count)
{
    struct request *request;

    if (count == 0 || count > BARRIER_COUNT_MAX)
        return ERR_INVALID_ARGUMENT;
    if (!served)
        return ERR_PEER_DIED;
    request = begin();
    if (request == NULL)
        return ERR_NO_MEMORY;
    request->reduce = operation != LOCKS_BARRIER;
    locks_barrier(locks, label, group, number, count, operation, values, value_count, request);
    return SERVE_LATER;
}

static corvus_error_t barrier(uint64_t label, uint64_t group, uint64_t number, uint64_t count,
                              uint64_t *last)
{
    (void)last;
    return meet(label, group, number, count, LOCKS_BARRIER, NULL, 0);
}

static corvus_error_t reduce(uint64_t label, uint64_t group, uint64_t number, uint64_t count,
                             uint64_t operation, const uint64_t *values, size_t value_count,
                             uint64_t *results, size_t *result_count)
{
    (void)results;
    (void)result_count;
    if (operation > REDUCE_MAX_DOUBLE || value_count == 0 || value_count > REDUCE_VALUES_MAX)
        return ERR_INVALID_ARGUMENT;
    return meet(label, group, number, count, operation, values, value_count);
}

static corvus_error_t statistics(uint64_t label, uint64_t first, uint64_t *values, size_t *count)
{
    const struct lock_counters *counters = locks_counters(locks);
    const uint64_t all[] = {
#define LOCK_COUNTER_VALUE(name, text) counters->name,
        LOCK_COUNTERS(LOCK_COUNTER_VALUE)
#undef LOCK_COUNTER_VALUE
    };
    size_t there = sizeof all / sizeof all[0], room = *count;

    (void)label;
    *count = first < there ? there - first : 0;
    if (*count > room)
        *count = room;
    for (size_t i = 0; i < *count; i++)
        values[i] = all[first + i];
    return ERR_OK;
}

static const struct locks_operations operations = {
    .sync_lock = lock,
    .sync_unlock = unlock,
    .sync_wait = wait,
    .sync_post = post,
    .sync_barrier = barrier,
    .sync_reduce = reduce,
    .sync_statistics = statistics,
};

// --- Owners --------------------------------------------------------------------------------------

static void serve_message(struct source *source, struct message *request)
{
    struct message reply;

    (void)source;
    if (!message_wants_reply(request)) {
        message_drop_rights(request->tag);
        return;
    }
    if (!locks_serve(request, &reply, &operations))
        message_refuse(request, &reply);
    if (reply.tag != 0)
        (void)msg_reply(&reply);
}

static void owner_gone(struct source *source, struct message *message)
{
    struct owner **place = &owners, *owner;

    while (*place != NULL && &(*place)->notices != source)
        place = &(*place)->next;
    message_drop_rights(message->tag);
    if (message->id != MESSAGE_ID_NO_SENDERS || *place == NULL)
        return;
    owner = *place;
    *place = owner->next;
    locks_owner_died(locks, (uintptr_t)&owner->source);
    source_close(&owner->source);
    source_close(&owner->notices);
    free(owner);
}

corvus_error_t locks_owner(port_name_t *receive)
{
    struct owner *owner = calloc(1, sizeof *owner);
    corvus_error_t error;

    if (owner == NULL)
        return ERR_NO_MEMORY;
    owner->source.message = serve_message;
    owner->notices.message = owner_gone;
    error = source_open(&owner->source);
    if (error == ERR_OK) {
        error = source_open(&owner->notices);
        if (error != ERR_OK)
            source_close(&owner->source);
    }
    if (error != ERR_OK) {
        free(owner);
        return error;
    }
    owner->next = owners;
    owners = owner;
    *receive = owner->source.receive;
    return ERR_OK;
}

void locks_owner_given(port_name_t receive)
{
    struct owner *owner = owners;

    while (owner != NULL && owner->source.receive != receive)
        owner = owner->next;
    // Who asked may be gone already: then the notice comes at once.
    if (owner != NULL)
        (void)port_request_notification(receive, NOTIFY_NO_SENDERS, owner->notices.receive);
}

// --- Other nodes ---------------------------------------------------------------------------------

static void send(void *context, unsigned node, const void *bytes, size_t count)
{
    (void)context;
    peer_send(node, PEER_LOCKS, bytes, count);
}

static void node_up(unsigned node)
{
    (void)node;
}

// What another home has seen to need not be seen to again.
static void node_down(unsigned node)
{
    struct directory_status status;

    directory_status(directory, &status);
    if (status.coordinator == 0 || status.coordinator == this_node.number ||
        status.coordinator == node)
        lost = lost_since = true;
}

static bool received(unsigned node, const void *bytes, size_t count)
{
    return locks_receive(locks, node, bytes, count);
}

const struct subject locks_subject = {node_up, node_down, received};

static uint64_t follow_directory(uint64_t now)
{
    struct directory_status status;

    (void)now;
    directory_status(directory, &status);
    if (!status.majority) {
        if (served)
            locks_lose(locks);
        served = false;
        return UINT64_MAX;
    }
    served = true;
    if (status.coordinator != this_node.number || (status.epoch == led_epoch && !lost_since))
        return UINT64_MAX;
    led_rounds = status.epoch == led_epoch ? led_rounds + 1 : 0;
    led_epoch = status.epoch;
    lost_since = false;
    locks_lead(locks, (led_epoch << ROUND_BITS) + led_rounds, status.members.bits, lost);
    lost = false;
    return UINT64_MAX;
}

corvus_error_t locks_start(void)
{
    static const struct locks_output output = {send, answer};
    static struct step step = {.step = follow_directory};

    locks = locks_create(this_node.number, &output, NULL);
    loop_add_step(&step);
    return locks != NULL ? ERR_OK : ERR_NO_MEMORY;
}
