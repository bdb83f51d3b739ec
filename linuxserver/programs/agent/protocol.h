// SPDX-License-Identifier: GPL-2.0-only
// What the agent in a node and deploy/agent at the host say to each other, over
// a channel that carries bytes reliably and in order but knows no records, and
// of which either end may vanish and come back in mid-frame.
//
// A frame is AGENT_MARK, then header and payload, escaped so that the mark
// stands nowhere else: whoever reads is in step again with the next frame.
// Numbers are little-endian. One frame belongs to one session, a number that
// the host chose and does not use again.
#pragma once

#include <stdint.h>

#define AGENT_VERSION 1u

// A mark or an escape in the text becomes an escape and that byte with a bit
// turned. The two differ in one bit, so that one comparison finds both.
#define AGENT_MARK   0xf9u
#define AGENT_ESCAPE 0xfbu
#define AGENT_FLIP   0x20u

// Header: type, stream (a byte each), zero (two bytes), session, length of the
// payload (four bytes each).
#define AGENT_HEADER_BYTES 12u
#define AGENT_PAYLOAD_MAX  65536u
// A sender's usual piece, so that many sessions share the channel evenly.
#define AGENT_PIECE_BYTES 16384u

// Bytes that may be under way in one stream before credit is given: what the
// receiver has room for.
#define AGENT_WINDOW 131072u

#define AGENT_SESSIONS_MAX 256u

// H: host to agent, A: agent to host. A session begins with OPEN and ends with
// EXIT or CLOSE; frames of sessions that are over are stray, not wrong.
enum agent_type {
    AGENT_HELLO = 1, // HA: struct agent_hello. The end that (re)starts says it again and again
    AGENT_OPEN,      // H: start a process, see agent_open
    AGENT_DATA,      // HA: bytes of a stream, within its credit
    AGENT_END,       // HA: the stream has no more bytes
    AGENT_STOP,      // HA: no more bytes of this stream are wanted
    AGENT_CREDIT,    // HA: so many bytes more may be sent (4 bytes)
    AGENT_SIGNAL,    // H: to the process and its group (4 bytes)
    AGENT_RESIZE,    // H: the terminal's rows and columns (2 bytes each)
    AGENT_CLOSE,     // H: nobody wants the session any more; its process gets SIGHUP
    AGENT_EXIT,      // A: enum agent_end (4 bytes), value (4 bytes), text; last of a session
    AGENT_QUERY,     // H: asks for a report; needs no session
    AGENT_REPORT,    // A: text, a line "name value" a counter
    AGENT_TYPES
};

enum agent_stream { AGENT_STDIN, AGENT_STDOUT, AGENT_STDERR, AGENT_STREAMS };

enum agent_end {
    AGENT_EXITED,   // value: exit status
    AGENT_SIGNALED, // value: signal
    AGENT_REFUSED   // no process was, or it was ended for a mistake; text says why
};

// HELLO: version, window (4 bytes each), epoch, echo (8 bytes each). An epoch is
// a random number that an end draws when it starts; echo is the other's epoch as
// far as it is known, else 0. The host's HELLO with a new epoch ends all
// sessions; both talk when each has seen its own epoch echoed.
#define AGENT_HELLO_BYTES 24u

// OPEN: flags, rows, columns, count of arguments, count of environment strings,
// zero (2 bytes each); then these strings and the working folder, each ended by
// a zero byte. An empty folder means the agent's choice.
#define AGENT_OPEN_BYTES   12u
#define AGENT_OPEN_PTY     1u // a terminal takes the place of the three pipes
#define AGENT_OPEN_SELF    2u // the program is the agent itself: file copies
#define AGENT_OPEN_STRINGS 4096u

static inline uint32_t agent_get16(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8;
}

static inline uint32_t agent_get32(const uint8_t *bytes)
{
    return agent_get16(bytes) | agent_get16(bytes + 2) << 16;
}

static inline uint64_t agent_get64(const uint8_t *bytes)
{
    return (uint64_t)agent_get32(bytes) | (uint64_t)agent_get32(bytes + 4) << 32;
}

static inline void agent_put32(uint8_t *bytes, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(value >> 8 * i);
}

static inline void agent_put64(uint8_t *bytes, uint64_t value)
{
    agent_put32(bytes, (uint32_t)value);
    agent_put32(bytes + 4, (uint32_t)(value >> 32));
}
