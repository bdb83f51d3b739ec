// SPDX-License-Identifier: BSD-2-Clause
// The hub's control socket, FOLDER/wire.control: a connection, a line, an answer, the end. The
// answer is "ok", or "error: …", or "ok" and a report in the lines that follow.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "deploy/wire/control.h"

enum {
    COMMANDS_CLIENTS_MAX = 16,
};

struct commands_client {
    int socket; // -1: nobody
    size_t length;
    char line[CONTROL_LINE_BYTES];
};

struct commands {
    int listener;
    unsigned next; // whose place the next client takes, when there is no free one
    struct commands_client clients[COMMANDS_CLIENTS_MAX];
};

// Makes the socket; false, when it has said why it cannot, or that another hub has it.
bool commands_open(struct commands *commands, const char *folder);

// Lets a client in; its place in `clients`, or -1. The one that waited longest goes, when there are
// too many.
int commands_accept(struct commands *commands);

// Reads from a client. Its line, when it is there and whole; else NULL.
const char *commands_read(struct commands *commands, unsigned place);

// Answers, and ends the connection.
void commands_answer(struct commands *commands, unsigned place, const char *answer, size_t length);

void commands_close(struct commands *commands, const char *folder);

// The client's side: sends a line to the hub in a folder and writes the answer to standard output,
// or errors to standard error. The status to end with: 0, 1 for an error, 3 when there is no hub.
int commands_tell(const char *folder, const char *line);
