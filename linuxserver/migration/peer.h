// SPDX-License-Identifier: GPL-2.0-only
// Messages between the migration drivers of the nodes: in order for each node, never lost while
// the link is up, never heard by another life of a node than the one they were meant for.
//
//   peer.c         sending, calls and their answers, who handles what
//   peer_queue.c   what waits to go to a node: one try, then a worker
//   peer_link.c    links: finding the other node's port, its life, up and down
//   peer_daemon.c  the thread that takes what comes
//
// A link is a port of the other node's driver, which that has checked in with its network server as
// `migrate`. It begins when both have told their lives (a number made at Linux's start), and is
// down when the port is dead: the node is dead or cut off. When it comes up again with another
// life, all that was there is gone. Messages to this node itself go the same way, but for the
// ports: so one node is enough for tests.
//
// All but migration_call may be called where sleeping for memory is allowed.
#pragma once

#include <linux/types.h>

#define MIGRATION_WORDS    6
#define MIGRATION_DATA_MAX (256u << 10) // bytes of a message's data

// This node's number; 0: it has none, and there are no others.
unsigned int migration_self(void);

// How many nodes the cluster has; 1: there are no others.
unsigned int migration_nodes(void);

// Sees to it that there is a link, and waits for it, a few seconds at most. 0; -EHOSTUNREACH: there
// is none to be had; -ENOENT: no node of that number; -EINTR: the process is to die.
int migration_connect(unsigned int node);

// Whether a message sent now would be under way.
bool migration_is_up(unsigned int node);

// Sends `words` and `bytes` of data, which are copied before it returns. It never waits for the
// peer. 0; -EHOSTDOWN: the link is down, and is being looked for from now on; -ENOMEM: also when
// too much waits already; -EMSGSIZE.
int migration_send(unsigned int node, u32 id, const u64 words[MIGRATION_WORDS], const void *data,
                   size_t bytes);

// Likewise, and waits for the answer: its words replace `words`; up to *answer_bytes of its data go
// to `answer` (NULL: none are expected), and *answer_bytes becomes how many. Not for the daemon's
// thread. -EHOSTDOWN: the link went down, whether the other has heard it or not; -EINTR: the
// process is to die; -EMSGSIZE: more data came than there is room for.
int migration_call(unsigned int node, u32 id, u64 words[MIGRATION_WORDS], const void *data,
                   size_t bytes, void *answer, size_t *answer_bytes);

// Answers the call that a handler was given; later is as good. As migration_send.
int migration_answer(unsigned int node, u64 call, const u64 words[MIGRATION_WORDS],
                     const void *data, size_t bytes);

// A message has come. In the daemon's thread: it must not wait for another node. `call` is 0 when
// no answer is expected. `data` are the handler's until it returns.
typedef void migration_handler(unsigned int node, u64 call, u32 id,
                               const u64 words[MIGRATION_WORDS], const void *data, size_t bytes);

// Who gets the ids first..last from now on. For initcalls.
void migration_handle(u32 first, u32 last, migration_handler *handler);

// What becomes of a node; told in the daemon's thread.
enum migration_link_event {
    MIGRATION_LINK_UP,   // there is a link
    MIGRATION_LINK_DOWN, // no more: the node is dead, or cut off
    MIGRATION_LINK_GONE, // it is there again with another life; before its LINK_UP
};
void migration_on_link(void (*told)(unsigned int node, enum migration_link_event event));

// Counted since Linux's start, of all links.
struct migration_peer_counts {
    u64 sent, received, bytes_sent, bytes_received;
    u64 refused; // nonsense
    u64 late;    // of another life, or of a link that was down
    u64 lost;    // that waited or were under way when a link went down
    u64 workers; // that did not go at the first try
    u64 unhandled;
};
extern struct migration_peer_counts migration_peer_counts;
