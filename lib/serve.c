// SPDX-License-Identifier: BSD-2-Clause
// The server loop: one system call a request, which answers the last caller
// and receives from the next.
#include "lib/serve.h"

#include <corvus/stubs.h>

// Answers what is in `message`, if anything, and receives the next one into it.
static corvus_error_t next(struct message *message, bool answer, port_name_t from)
{
    corvus_error_t error;

    if (answer) {
        error = msg_reply_receive(message, from, TIMEOUT_NONE);
        // The caller has gone or the reply was refused: its loss, not ours.
        if (error == ERR_OK || (message->tag & TAG_ERROR_RECEIVE) != 0)
            return error;
    }
    return msg_receive(message, from, TIMEOUT_NONE);
}

// A request that is not answered: its caller gets NO_REPLY now, if an operation
// had the right put under a name and left it there.
static void drop_saved_reply(void)
{
    port_name_t reply;

    if (runtime_self()->saved_reply != PORT_NULL && message_save_reply(&reply) == ERR_OK)
        (void)task_deallocate_right(NAME_TASK_SELF, reply);
}

corvus_error_t serve(port_name_t from, serve_function dispatch)
{
    struct message request, reply = {0};

    for (;;) {
        request = reply;
        corvus_error_t error = next(&request, (reply.tag & TAG_WORDS_MASK) != 0, from);
        if (error != ERR_OK && error != ERR_ABORTED)
            return error;
        reply = (struct message){0};
        if (error != ERR_OK)
            continue;
        if (!dispatch(&request, &reply))
            message_refuse(&request, &reply);
        if (!message_wants_reply(&request))
            reply.tag = 0;
        if (reply.tag == 0)
            drop_saved_reply();
    }
}
