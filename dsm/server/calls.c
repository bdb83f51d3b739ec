// SPDX-License-Identifier: BSD-2-Clause
// Every request is kept with the right to answer it: a change until it has been made, a question
// until this replica has all that was ever answered.
#include "dsm/server/calls.h"

#include <stdlib.h>

#define WAIT_MAX 1024u

static struct call *waiting, **last_waiting = &waiting;
static unsigned call_count;

static void call_end(struct call *call)
{
    call_count--;
    free(call);
}

void call_answer_with(struct call *call, corvus_error_t error, const uint64_t *words,
                      unsigned count, uint64_t shape)
{
    struct message message = {.tag = (1 + count) | shape, .destination = call->reply};

    if (error != ERR_OK)
        message.tag = 1;
    message.words[0] = error;
    for (unsigned i = 0; i < count && error == ERR_OK; i++) {
        if (i + 1 < MESSAGE_REGISTER_WORDS)
            message.words[i + 1] = words[i];
        else
            utcb_self()->words[i + 1] = words[i];
    }
    // Who has gone wants no answer.
    if (call->reply != PORT_NULL && message_exchange(&message, TAG_SEND, DEADLINE_NONE) != ERR_OK)
        (void)port_deallocate(call->reply);
    call_end(call);
}

void call_answer(struct call *call, corvus_error_t error)
{
    call_answer_with(call, error, NULL, 0, 0);
}

struct call *call_begin(void (*go_on)(struct call *call))
{
    struct call *call = call_count < WAIT_MAX ? calloc(1, sizeof *call) : NULL;

    if (call == NULL || message_save_reply(&call->reply) != ERR_OK) {
        free(call);
        return NULL;
    }
    call->go_on = go_on;
    call_count++;
    return call;
}

void call_go_on_or_wait(struct call *call)
{
    if (!directory_serves(directory)) {
        call_answer(call, ERR_PEER_DIED);
    } else if (directory_settled(directory)) {
        call->go_on(call);
    } else {
        call->next = NULL;
        *last_waiting = call;
        last_waiting = &call->next;
    }
}

void calls_go_on(void *context)
{
    struct call *call = waiting;

    (void)context;
    waiting = NULL;
    last_waiting = &waiting;
    while (call != NULL) {
        struct call *next = call->next;
        call_go_on_or_wait(call);
        call = next;
    }
}
