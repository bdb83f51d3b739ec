// SPDX-License-Identifier: BSD-2-Clause
// Requests for services of the directory, with the right to answer them (calls.c), and the services
// that only ask (questions.c).
#pragma once

#include "dsm/server/server.h"

struct call {
    struct call *next; // of those that wait until the replica is settled
    void (*go_on)(struct call *call);
    port_name_t reply; // PORT_NULL: nobody waits
    uint64_t words[2]; // of a question
    size_t room;       // for its answer's COPY item
    struct directory_change change;
};

// Keeps the request that is being served; it is to be answered once, and is gone then. NULL: no
// memory, or too many.
struct call *call_begin(void (*go_on)(struct call *call));
// Answers with words (up to 8 of them, the first at word 1) and what is in the message page
// besides.
void call_answer_with(struct call *call, corvus_error_t error, const uint64_t *words,
                      unsigned count, uint64_t shape);
void call_answer(struct call *call, corvus_error_t error);
// Goes on when this replica has all that was ever answered; PEER_DIED in a minority.
void call_go_on_or_wait(struct call *call);
// It may have now. `context` is not used.
void calls_go_on(void *context);

// --- questions.c: operations of segments.def ---------------------------------------------------

corvus_error_t question_look_up(uint64_t label, const void *name, size_t bytes, uint64_t *segment);
corvus_error_t question_get(uint64_t label, uint64_t segment, uint64_t *size, uint64_t *mode,
                            uint64_t *uid, uint64_t *gid, uint64_t *links, uint64_t *modified,
                            uint64_t *changed, uint64_t *version);
corvus_error_t question_list(uint64_t label, uint64_t cookie, uint64_t *next, const void **entries,
                             size_t *bytes);
corvus_error_t question_statistics(uint64_t label, uint64_t segment, uint64_t first,
                                   uint64_t *values, size_t *count);
corvus_error_t question_trace(uint64_t label, uint64_t sequence, uint64_t *first,
                              const void **records, size_t *bytes);
corvus_error_t question_cluster(uint64_t label, uint64_t *node, uint64_t *members,
                                uint64_t *majority, uint64_t *coordinator, uint64_t *epoch,
                                uint64_t *sequence);
