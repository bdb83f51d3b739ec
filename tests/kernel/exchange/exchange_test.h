// SPDX-License-Identifier: BSD-2-Clause
// What node 1 asks of node 2.
#pragma once

#include "lib/port.h"

#include <corvus/init_stubs.h>
#include <corvus/netname_stubs.h>

#include <pthread.h>
#include <stdbool.h>

// Requests to the port `echo` of node 2. All are answered but the plain ones.
#define ECHO_WORDS   0x70001u // the same words come back
#define ECHO_RIGHTS  0x70002u // so do the rights
#define ECHO_COPY    0x70003u // and the bytes of item 0
#define ECHO_SUM     0x70004u // word 0: the sum of all bytes of all items
#define ECHO_COUNT   0x70005u // how many plain messages came in order; word 1: out of order
#define ECHO_PLAIN   0x70006u // plain: word 0 is one more than before; word 1: sum of all bytes
#define ECHO_SILENT  0x70007u // the right to answer is dropped
#define ECHO_CALL    0x70008u // calls the right that came with it (ECHO_WORDS), and tells word 0
#define ECHO_KEEP    0x70009u // keeps the right that came
#define ECHO_DROP    0x7000au // drops what it kept
#define ECHO_DIE     0x7000bu // the port dies
#define ECHO_SEND    0x7000cu // plain: sends word 0 to the right that came, with that id
#define ECHO_KIND    0x7000du // word 0: RIGHT_* of what it kept
#define ECHO_HOLD    0x7000eu // answered when word 0 of them have come, the last first
#define ECHO_MAKE    0x7000fu // a right to a new port of node 2, from which nobody receives
#define ECHO_CLOSE   0x70010u // that port dies
#define ECHO_DRAIN   0x70011u // receives word 0 messages from it; word 0: how many in order
#define ECHO_NODE    0x70012u // how it sees node 1: imports, exports, sessions
#define ECHO_RESTART 0x70013u // has its node's network server ended, after word 0 milliseconds

extern port_name_t netname;
extern port_name_t echo;

bool ok(bool passed, const char *text);
bool equal(uint64_t one, uint64_t other, const char *text);
void name_words(const char *name, uint64_t words[4]);
corvus_error_t find(const char *name, uint64_t host, uint64_t wait, port_name_t *port);

// The message becomes the answer.
corvus_error_t echo_call(struct message *message);
// Asks with one word; *answer, unless NULL, becomes word 0.
corvus_error_t echo_ask(uint32_t id, uint64_t word, uint64_t *answer);
uint64_t right_kind(port_name_t name);
// The notice that the port behind a right has died comes within seconds.
bool dies(port_name_t name);

// --- Many callers at once (crowd.c) ------------------------------------------------

#define CROWD_MAX 64u

struct member {
    pthread_t thread;
    unsigned number;
    uint64_t begun, ended; // nanoseconds; 0: not yet
    corvus_error_t error;  // the last one
    uint64_t done;         // whatever it counts
};

extern struct member crowd[CROWD_MAX];

// Starts so many threads, which set `error` and `done` and return.
bool crowd_start(unsigned count, void (*function)(struct member *member));
// All have returned within so many seconds.
bool crowd_ended(unsigned count, unsigned seconds);
unsigned crowd_with(unsigned count, corvus_error_t error);

// --- Subjects ------------------------------------------------------------------------

void judge(void);          // one caller, one message at a time
void judge_load(void);     // order, waiting, many at once
void judge_rights(void);   // rights that travel, and die
void judge_task(void);     // a task of node 2 made and run by node 1
void judge_death(void);    // node 2 is killed
void judge_restart(void);  // node 2's network server is started again
void judge_stranger(void); // node 2 has another key
int serve_others(void);    // node 2
