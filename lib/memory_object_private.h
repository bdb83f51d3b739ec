// SPDX-License-Identifier: BSD-2-Clause
// What the parts of lib/memory_object share.
#pragma once

#include "lib/memory_object.h"
#include "lib/outbox.h"
#include "lib/port.h"

struct memory_object {
    struct memory_object *next;
    const struct memory_object_functions *functions;
    void *context;
    port_name_t port; // receive right; its label is the address of this structure
    struct memory_manager *managers;
    bool retired; // ends with the manager that is being ended
};

struct memory_manager {
    struct memory_manager *next; // of the object
    struct memory_object *object;
    struct outbox *outbox; // owns `request`
    uint64_t incarnation, node;
    uint64_t last_sequence; // of its requests
    uint64_t last_own;      // of ours to it
    void *context;
    port_name_t request, name, notice; // send rights
    bool unreachable;
    bool unlocks[MEMORY_OBJECT_REQUESTS];               // the open request is a data_unlock
    struct memory_request open[MEMORY_OBJECT_REQUESTS]; // sequence 0: free
};

// The object as a whole is refused.
void memory_refuse(struct memory_manager *manager, corvus_error_t reason);

// A request is answered with an error that was never noted.
void memory_refuse_request(struct memory_manager *manager, const struct memory_request *request,
                           corvus_error_t reason);
