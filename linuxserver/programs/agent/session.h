// SPDX-License-Identifier: GPL-2.0-only
// One process that the host started, and its streams. What is to be said to the
// host is not queued but remembered as state, and said when the channel has room:
// so memory is bounded, and a session whose host side is slow only waits itself.
#pragma once

#include "channel.h"
#include "frame.h"
#include "queue.h"

#include <poll.h>
#include <sys/types.h>

// A stream from the process to the host.
struct output {
    int file;        // -1: closed
    uint32_t credit; // bytes the host still takes
    bool ready;      // poll says that there is something to read
    bool end_due;    // END is to be said
};

struct session {
    bool used;
    bool terminal; // stdin and stdout are a terminal's master
    uint32_t id;

    pid_t process; // 0: it has ended and was waited for
    enum agent_end end;
    uint32_t end_value;
    const char *end_text;
    int end_error; // an errno that explains end_text, or 0

    int input; // to the process; -1: closed
    struct queue input_queue;
    bool input_end;        // close it when the queue is empty
    bool input_stop_due;   // STOP is to be said
    uint32_t input_window; // bytes the host may still send
    uint32_t input_taken;  // bytes gone to the process, for which credit is due

    struct output outputs[AGENT_STREAMS]; // of AGENT_STDIN unused
};

// Starts the process an OPEN asks for. Whatever happens, the session is used
// afterwards, and ends by an EXIT.
void session_open(struct session *session, uint32_t id, const struct open_request *request);

// A frame for this session. What the host must not do ends it.
void session_take(struct session *session, const struct frame *frame);

// Ends it for a mistake of the host's, or a failure here: the process is killed,
// and an EXIT will say why.
void session_refuse(struct session *session, const char *why, int error);

// The process has ended, with a status of waitpid's.
void session_process_ended(struct session *session, int status);

// Forgets it, without a word to the host.
void session_drop(struct session *session);

// Adds what it waits for; room: whether output could be sent on. Returns how many
// entries, at most AGENT_STREAMS.
unsigned session_poll(const struct session *session, struct pollfd *entries, bool room);

// What came of one of these entries.
void session_ready(struct session *session, const struct pollfd *entry);

// Says what is due and reads what is there, while the channel has room; one
// piece of each stream. False when there was nothing to do. The session may be
// over and unused afterwards.
bool session_send(struct session *session, struct channel *channel);
