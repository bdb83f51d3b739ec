// SPDX-License-Identifier: BSD-2-Clause
// The commands that a running hub takes, a line each; deploy/wire/README.md lists them.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "deploy/wire/spec.h"

enum {
    // A command with its end of line.
    CONTROL_LINE_BYTES = 4096,
    // The shortest file worth a rotation, and the most that may be kept.
    CAPTURE_ROTATE_MIN = 65536,
    CAPTURE_KEEP_MAX = 99,
};

enum control_kind {
    CONTROL_WIRE,
    CONTROL_CUT_GROUP,
    CONTROL_CUT_LINK,
    CONTROL_HEAL,
    CONTROL_STATS,
    CONTROL_CAPTURE,
    CONTROL_CAPTURE_OFF,
};

struct control_request {
    enum control_kind kind;
    struct wire_spec spec; // WIRE
    uint32_t group;        // CUT_GROUP: a bit a port; neither none nor all of them
    unsigned from, to;     // CUT_LINK: ports, from 0
    bool json;             // STATS
    uint64_t rotate;       // CAPTURE: bytes from which on a new file begins; 0: never
    unsigned keep;         // CAPTURE: earlier files that stay
    const char *file;      // CAPTURE: points into the line
};

// Reads a line without its end of line, of a hub with so many ports. False, with a line in
// `message`, when it is not understood.
bool control_parse(const char *line, unsigned ports, struct control_request *request,
                   char message[SPEC_MESSAGE_BYTES]);
