// SPDX-License-Identifier: BSD-2-Clause
// A replica of the directory, as its node uses it.
#include "dsm/core/directory_order.h"

#include <stdlib.h>

struct directory *directory_create(unsigned node, uint64_t first,
                                   const struct directory_output *output, void *context)
{
    struct directory *directory = calloc(1, sizeof *directory);

    if (directory == NULL)
        return NULL;
    directory->node = node;
    directory->output = output;
    directory->context = context;
    directory->next_request = first;
    // A life's epochs are later than those of the lives before, of which nothing is known.
    directory->epoch = first / 1000000 * EPOCH_STEP;
    contents_open(&directory->contents);
    return directory;
}

void directory_destroy(struct directory *directory)
{
    order_fail_asks(directory);
    lead_end(directory);
    contents_close(&directory->contents);
    free(directory);
}

corvus_error_t directory_ask(struct directory *directory, const struct directory_change *change,
                             void *token)
{
    struct proposal **place = &directory->asks, *ask;

    if (!change_is_valid(change) || change->kind == DIRECTORY_GONE)
        return ERR_INVALID_ARGUMENT;
    if (!directory->majority)
        return ERR_PEER_DIED;
    ask = malloc(sizeof *ask);
    if (ask == NULL)
        return ERR_NO_MEMORY;
    *ask =
        (struct proposal){.token = token, .request = directory->next_request++, .change = *change};
    while (*place != NULL)
        place = &(*place)->next;
    *place = ask;
    if (directory->asks == ask)
        order_propose(directory);
    return ERR_OK;
}

bool directory_settled(const struct directory *directory)
{
    return directory->coordinator != 0 && !directory->accepted.there;
}

bool directory_serves(const struct directory *directory)
{
    return directory->majority;
}

const struct directory_name *directory_find(const struct directory *directory, const char *name,
                                            size_t bytes)
{
    return contents_find(&directory->contents, name, bytes);
}

const struct directory_segment *directory_segment(const struct directory *directory,
                                                  uint64_t number)
{
    return contents_segment(&directory->contents, number);
}

const struct directory_segment *directory_first_segment(const struct directory *directory)
{
    return directory->contents.segments;
}

const struct directory_name *directory_next(const struct directory *directory, uint64_t cookie)
{
    const struct directory_name *name = directory->contents.names;

    while (name != NULL && name->cookie <= cookie)
        name = name->next;
    return name;
}

void directory_status(const struct directory *directory, struct directory_status *status)
{
    *status = (struct directory_status){.coordinator = directory->coordinator,
                                        .epoch = directory->epoch,
                                        .sequence = directory->contents.sequence,
                                        .members = directory->members,
                                        .majority = directory->majority};
}
