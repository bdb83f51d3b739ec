// SPDX-License-Identifier: BSD-2-Clause
// What the files of the cache manager's ports share: an object's binding to its pager.
#pragma once

#include "pagers/vm/server.h"

// Ports of forgotten objects. Their death tells the pager that the cache manager is dead, so they
// live until the last message to it has gone.
struct old_ports {
    struct old_ports *next;
    port_name_t request, name;
};

struct binding {
    struct source request;
    struct binding *next;
    struct vm_object *object;
    struct outbox *outbox;
    port_name_t pager; // send right to the object, the outbox's
    port_name_t name;  // receive right that names the object here
    uint64_t port_id;  // of the object; 0: it is internal
    uint64_t incarnation;
    uint64_t number;
    corvus_error_t broken; // noted by any thread
    struct old_ports *old; // of forgotten objects with the same outbox
};

// An outbox of an object that is forgotten, with messages that have not gone yet. If the object is
// mapped again before they have, it must go on with the same one, so that its pager hears what
// comes later later.
struct draining {
    struct draining *next;
    struct outbox *outbox;
    port_name_t pager;
    uint64_t port_id; // 0: of no object that can be mapped again
    struct old_ports *ports;
};

// --- objects.c

// Binds an object to the pager behind that send right, which becomes the binding's, by a new outbox
// (NULL) or the one of a forgotten object. NULL: no memory, nothing has changed.
struct binding *binding_make(struct vm_object *object, port_name_t pager, struct outbox *outbox);
// The object has none any more. If it has a pager, what that one is to hear still goes there.
void binding_end(struct binding *binding);

// --- drain.c

// Leaves the binding's outbox to send what it has. False: there is nothing, or no memory.
bool drain_start(struct binding *binding);
// What is left of a forgotten object of that port; the caller frees it. NULL: nothing.
struct draining *drain_take(uint64_t port_id);
// Closes the outboxes that are through.
void drains_end(void);
void old_ports_close(struct old_ports *ports);

// --- default_pager.c: of `environment`

bool default_pager_create(void *context, struct vm_object *object);
