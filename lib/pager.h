// SPDX-License-Identifier: BSD-2-Clause
// The skeleton of a pager: receives page faults and asks a table of functions.
#pragma once

#include "lib/message.h"

// What a fault is answered with: these pages of the pager's own memory, with
// that access, at that address of the faulting task.
struct pager_answer {
    uint64_t source;
    uint64_t destination;
    uint64_t length;
    uint64_t access;
    uint32_t kind; // ITEM_MAP or ITEM_GRANT
};

struct pager_operations {
    // `label` is that of the port the fault came to. OK: *answer says which
    // pages. Any other error becomes an exception of the faulting thread.
    corvus_error_t (*page)(uint64_t label, const struct page_fault_message *fault,
                           struct pager_answer *answer);

    // Any other message; may be NULL. Like a dispatcher of lib/serve.h.
    bool (*other)(const struct message *request, struct message *reply);
};

// Turns the request into its answer. For servers with a loop of their own.
void pager_answer_fault(const struct pager_operations *operations, const struct message *request,
                        struct message *reply);

// Serves faults on a port or port set until receiving fails for good.
corvus_error_t pager_serve(port_name_t from, const struct pager_operations *operations);
