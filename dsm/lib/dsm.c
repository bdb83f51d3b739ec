// SPDX-License-Identifier: BSD-2-Clause
// Each call is one RPC to this node's DSM server, by the port that makes this process an owner.
#include "dsm/lib/dsm.h"
#include "dsm/lib/server.h"

#include <corvus/segments_stubs.h>

#include <string.h>

static port_name_t owner;
static uint64_t own_group;

uint64_t dsm_group_of(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325ull; // FNV-1a

    for (; *text != '\0'; text++)
        hash = (hash ^ (uint8_t)*text) * 0x100000001b3ull;
    return hash;
}

corvus_error_t dsm_open(uint64_t group)
{
    port_name_t server;
    corvus_error_t error = owner != PORT_NULL ? ERR_IN_USE : dsm_find_server(&server);

    if (error != ERR_OK)
        return error;
    error = segment_locks(server, &owner);
    (void)dsm_drop_right(server);
    if (error != ERR_OK)
        owner = PORT_NULL;
    own_group = group;
    return error;
}

void dsm_close(void)
{
    if (owner != PORT_NULL)
        (void)dsm_drop_right(owner);
    owner = PORT_NULL;
}

static corvus_error_t lock(uint64_t number, uint64_t flags, bool *died)
{
    uint64_t word = 0;
    corvus_error_t error = sync_lock(owner, own_group, number, flags, &word);

    if (error == ERR_OK && died != NULL)
        *died = word != 0;
    return error;
}

corvus_error_t dsm_lock(uint64_t number, bool *died)
{
    return lock(number, 0, died);
}

corvus_error_t dsm_try_lock(uint64_t number, bool *died)
{
    return lock(number, LOCK_TRY, died);
}

corvus_error_t dsm_unlock(uint64_t number)
{
    return sync_unlock(owner, own_group, number);
}

corvus_error_t dsm_semaphore_wait(uint64_t semaphore, uint64_t initial)
{
    return sync_wait(owner, own_group, semaphore, initial, 0);
}

corvus_error_t dsm_semaphore_try(uint64_t semaphore, uint64_t initial)
{
    return sync_wait(owner, own_group, semaphore, initial, LOCK_TRY);
}

corvus_error_t dsm_semaphore_post(uint64_t semaphore, uint64_t initial, uint64_t count)
{
    return sync_post(owner, own_group, semaphore, initial, count);
}

corvus_error_t dsm_barrier(uint64_t barrier, uint64_t count, bool *last)
{
    uint64_t word = 0;
    corvus_error_t error = sync_barrier(owner, own_group, barrier, count, &word);

    if (error == ERR_OK && last != NULL)
        *last = word != 0;
    return error;
}

corvus_error_t dsm_reduce(uint64_t barrier, uint64_t count, uint64_t operation, uint64_t *values,
                          size_t value_count)
{
    uint64_t results[REDUCE_VALUES_MAX];
    size_t result_count = REDUCE_VALUES_MAX;

    if (value_count == 0 || value_count > REDUCE_VALUES_MAX)
        return ERR_INVALID_ARGUMENT;
    corvus_error_t error = sync_reduce(owner, own_group, barrier, count, operation, values,
                                       value_count, results, &result_count);
    if (error != ERR_OK)
        return error;
    if (result_count != value_count)
        return ERR_PROTOCOL;
    memcpy(values, results, value_count * sizeof *values);
    return ERR_OK;
}

corvus_error_t dsm_reduce_double(uint64_t barrier, uint64_t count, uint64_t operation,
                                 double *values, size_t value_count)
{
    uint64_t words[REDUCE_VALUES_MAX];

    if (value_count == 0 || value_count > REDUCE_VALUES_MAX || operation < REDUCE_SUM_DOUBLE)
        return ERR_INVALID_ARGUMENT;
    memcpy(words, values, value_count * sizeof *words);
    corvus_error_t error = dsm_reduce(barrier, count, operation, words, value_count);
    if (error == ERR_OK)
        memcpy(values, words, value_count * sizeof *words);
    return error;
}

corvus_error_t dsm_statistics(uint64_t *values, size_t *count)
{
    return sync_statistics(owner, 0, values, count);
}
