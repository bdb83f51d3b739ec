// SPDX-License-Identifier: BSD-2-Clause
// Requests that wait at the manager until the page is free: one of a node, the latest.
#include "dsm/core/manager.h"

#include <stdlib.h>

void waiting_add(struct entry *entry, const struct request *request)
{
    struct waiting *waiting;

    for (waiting = entry->first; waiting != NULL; waiting = waiting->next)
        if (waiting->request.slot == request->slot) {
            waiting->request = *request;
            return;
        }
    waiting = malloc(sizeof *waiting);
    if (waiting == NULL)
        return; // it asks again
    *waiting = (struct waiting){.request = *request};
    if (entry->last != NULL)
        entry->last->next = waiting;
    else
        entry->first = waiting;
    entry->last = waiting;
}

bool waiting_take(struct entry *entry, struct request *request)
{
    struct waiting *waiting = entry->first;

    if (waiting == NULL)
        return false;
    *request = waiting->request;
    entry->first = waiting->next;
    if (entry->first == NULL)
        entry->last = NULL;
    free(waiting);
    return true;
}

void waiting_drop(struct entry *entry, uint8_t slot, bool writing)
{
    struct waiting **place = &entry->first, *last = NULL;

    while (*place != NULL) {
        struct waiting *waiting = *place;
        if (waiting->request.slot == slot &&
            (writing || (waiting->request.flags & WIRE_WRITE) == 0)) {
            *place = waiting->next;
            free(waiting);
        } else {
            last = waiting;
            place = &waiting->next;
        }
    }
    entry->last = last;
}
