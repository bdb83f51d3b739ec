// SPDX-License-Identifier: GPL-2.0-only
// Ids of what the nodes' migration drivers say to each other (peer.h), and who has which.
#pragma once

#include "linuxserver/migration/names.h"

// 0..15: the commit protocol, by the numbers of names.h (PREPARE, STATE, … ABORTED).
// Words: 0 number of the move, of the source's; 1 the rest by id (move_messages.c).
#define MESSAGES_COMMIT_FIRST 0
#define MESSAGES_COMMIT_LAST  15

// 16..31: pages (cor*.c).
#define MESSAGES_PAGES_FIRST 16
#define MESSAGES_PAGES_LAST  31

// 32..63: forwarded calls, signals, exit (forward*.c, stub*.c).
#define MESSAGES_FORWARD_FIRST 32
#define MESSAGES_FORWARD_LAST  63

// 64..79: what commands ask of other nodes.
#define MESSAGES_STATUS_FIRST 64
#define MESSAGES_STATUS_LAST  79
#define MESSAGE_ECHO          64 // comes back as it is
#define MESSAGE_NODE          65 // the answer: struct migrate_node
#define MESSAGE_MOVE          66 // pid, node, eager: move it; the answer: 0 or an error, and why

#define MESSAGES_COUNT 80
