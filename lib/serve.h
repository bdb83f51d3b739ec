// SPDX-License-Identifier: BSD-2-Clause
// The server's side: what generated dispatchers are made of, and the loop that
// receives, dispatches and replies.
#pragma once

#include "lib/message.h"

// An operation returns this when it has taken the right to answer
// (message_save_reply) and will use it later.
#define SERVE_LATER ERR_COUNT

// Whether a message has the parts the protocol says: at least `words` words, and the counts of
// rights and items in `shape`.
static inline bool message_fits(const struct message *message, uint64_t words, uint64_t shape)
{
    return (message->tag & (TAG_RIGHTS_MASK | TAG_ITEMS_MASK)) == shape &&
           (message->tag & TAG_WORDS_MASK) >= words;
}

// Checks the shape of a request and clears the reply. False: refused, `reply`
// says why; the request's rights are destroyed.
static inline bool message_begin_serve(const struct message *request, struct message *reply,
                                       uint64_t words, uint64_t shape)
{
    *reply = (struct message){.tag = 1};
    if (message_fits(request, words, shape))
        return true;
    message_drop_rights(request->tag);
    reply->words[0] = ERR_INVALID_ARGUMENT;
    return false;
}

// False: there is nothing more to put into the reply. On success the
// dispatcher adds the counts to an empty tag.
static inline bool message_end_serve(struct message *reply, corvus_error_t error)
{
    reply->tag = error == ERR_OK || error == SERVE_LATER ? 0 : 1;
    reply->words[0] = error;
    return error == ERR_OK;
}

// The answer to a message that no dispatcher knew, or whose operation was left out; its rights are
// destroyed.
static inline void message_refuse(const struct message *request, struct message *reply)
{
    message_drop_rights(request->tag);
    *reply = (struct message){.tag = 1, .words = {ERR_UNKNOWN_SERVICE}};
}

// Whether somebody waits for an answer to the message.
static inline bool message_wants_reply(const struct message *request)
{
    return (request->tag & TAG_REPLY) != 0;
}

// A dispatcher: tries the generated X_serve functions of what it serves, in
// turn. Sees the kernel's messages (events, notices, faults) too. A reply with
// tag 0 is not sent. False: not its message.
typedef bool (*serve_function)(const struct message *request, struct message *reply);

// Serves a port or port set until receiving fails for good; returns why.
// Copy buffers for COPY items of requests are set by the caller, in the
// message page, before.
corvus_error_t serve(port_name_t from, serve_function dispatch);
