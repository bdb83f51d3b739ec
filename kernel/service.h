// SPDX-License-Identifier: BSD-2-Clause
// Kernel services: messages to kernel objects, served on the caller's own
// thread with the reply written in place. Each handler first decodes (checks
// everything, changes nothing) and then invokes (cannot fail).
#pragma once

#include "task.h"
#include "thread.h"

struct service_call {
    struct thread *caller;
    struct port *target;            // the object's port
    const uint64_t *in;             // words 0..5 of the request; from 6 on: caller->utcb->words
    unsigned in_count;              // words in the request
    struct carried_right rights[1]; // of the request; set kind to RIGHT_NONE to keep it
    uint64_t out[6];                // words 1.. of the reply
    unsigned reply_words;           // preset to all words of the reply; an array changes it
    struct carried_right out_right; // right of the reply; kind RIGHT_NONE: none
    bool local;                     // an RPC for the caller itself: may give and take its memory
    bool long_running;              // caller->operation was set up and gives the answer
};

// Returns the error for word 0 of the reply. Rights left in the call are
// destroyed by the dispatcher.
typedef corvus_error_t (*service_handler)(struct service_call *call);

struct service {
    service_handler handler;
    uint8_t in_words; // words expected at least, arrays not counted
    uint8_t in_rights;
    uint8_t out_words; // words after word 0
    bool out_right;
};

// An entry of an object's table, from the generated list of its services.
#define SERVICE_ENTRY(name, words_in, rights_in, words_out, rights_out)                            \
    [SERVICE_##name & 0xff] = {service_##name, words_in, rights_in, words_out, rights_out},
// The services of one kind of object.
struct service_table {
    const struct service *services; // by the low byte of the id
    uint8_t count;
    uint8_t group; // the high byte of the ids
};
#define SERVICE_TABLE(services, group)                                                             \
    {                                                                                              \
        services, sizeof(services) / sizeof((services)[0]), group                                  \
    }

extern const struct service_table task_service_table, thread_service_table, host_service_table,
    host_privileged_service_table, interrupt_service_table, timer_service_table;

// Serves the message that `caller` (the current thread) is sending to a kernel
// object: reads it from the caller's frame and message page, leaves the reply
// there, or sends it to the reply right given.
void service_dispatch(struct thread *caller, struct port *target, uint32_t id, uint64_t tag);

// Ends a long-running service: writes the reply (used by operation steps).
void service_finish(struct thread *caller, corvus_error_t error, const uint64_t *out,
                    unsigned out_words);

// Starts a long-running service. The task is referenced until it is over.
void service_start_operation(struct service_call *call, bool (*step)(struct thread *),
                             struct task *task);

// Goes on with the current thread's long-running service.
void operation_continue(struct thread *thread);
