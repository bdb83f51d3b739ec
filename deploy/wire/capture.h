// SPDX-License-Identifier: BSD-2-Clause
// Frames into a file that tcpdump and Wireshark read: pcapng (draft-ietf-opsawg-pcapng), an
// interface for each node. A frame is there when it comes from a node (inbound) and each time it is
// handed to one (outbound), so what the wire did to it can be seen.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "deploy/wire/frame.h"

struct capture {
    FILE *file; // NULL: off
    char *name; // of the file; owned
    unsigned ports;
    uint64_t rotate; // bytes from which on a new file begins; 0: never
    unsigned keep;   // earlier files that stay, NAME.1 the latest of them
    uint64_t bytes;  // in this file
    uint64_t frames; // since the start
    bool unwritten;  // something is in the buffer
    char *reason;    // why it ended by itself, or NULL; owned
};

enum capture_direction {
    CAPTURE_INBOUND = 1, // the two low bits of pcapng's epb_flags
    CAPTURE_OUTBOUND = 2,
};

// Begins a file, which is made new. False with errno set when it cannot be. One that runs is ended.
bool capture_start(struct capture *capture, const char *name, unsigned ports, uint64_t rotate,
                   unsigned keep);

// Ends the file. False when not all could be written.
bool capture_stop(struct capture *capture);

// Adds a frame at a port, at so many ns after 1970. A write that fails ends the capture.
void capture_frame(struct capture *capture, uint64_t time, unsigned port,
                   enum capture_direction direction, const struct frame *frame);

// Writes what is in the buffer.
void capture_flush(struct capture *capture);
