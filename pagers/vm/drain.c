// SPDX-License-Identifier: BSD-2-Clause
// Outboxes of forgotten objects, until what they have has gone.
#include "pagers/vm/objects.h"

#include <stdlib.h>

static struct draining *draining;

void old_ports_close(struct old_ports *ports)
{
    while (ports != NULL) {
        struct old_ports *next = ports->next;
        (void)port_deallocate(ports->request);
        (void)port_deallocate(ports->name);
        free(ports);
        ports = next;
    }
}

void drains_end(void)
{
    struct draining **link = &draining, *one;

    while ((one = *link) != NULL) {
        if (outbox_busy(one->outbox)) {
            link = &one->next;
            continue;
        }
        *link = one->next;
        outbox_close(one->outbox, true);
        old_ports_close(one->ports);
        free(one);
    }
}

bool drain_start(struct binding *binding)
{
    struct draining *one;
    struct old_ports *ports;

    if (!outbox_busy(binding->outbox) || !outbox_hand_over(binding->outbox, NULL, NULL))
        return false;
    one = malloc(sizeof *one);
    ports = malloc(sizeof *ports);
    if (one == NULL || ports == NULL) {
        free(one);
        free(ports);
        return false;
    }
    // What the pager still says waits there, unheard.
    (void)port_disable(binding->request.receive);
    *ports = (struct old_ports){binding->old, binding->request.receive, binding->name};
    one->next = draining;
    one->outbox = binding->outbox;
    one->pager = binding->pager;
    one->port_id = binding->port_id;
    one->ports = ports;
    draining = one;
    return true;
}

struct draining *drain_take(uint64_t port_id)
{
    struct draining **link = &draining, *one;

    while ((one = *link) != NULL && one->port_id != port_id)
        link = &one->next;
    if (one != NULL)
        *link = one->next;
    return one;
}
