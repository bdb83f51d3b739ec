// SPDX-License-Identifier: BSD-2-Clause
// What the controller shares with the task that is fuzzed and with the witness:
// memory of the controller, mapped into them at the same address. Each side
// writes only its own part.
//
// Three kinds of tasks, all running this program (twin.h), each with private
// copies of its variables:
//   controller  main.c, incarnation.c, pager.c: makes the others, watches them
//   fuzzed      caller.c and what it uses: the random calls
//   witness     witness.c: two tasks that must not notice anything
#pragma once

#include "services.h"

#include <corvus/error.h>
#include <corvus/types.h>

#define FUZZ_CALLERS 3u
#define FUZZ_LOG     24u // calls remembered of each caller

// What a call was, beside the services by their index.
#define CALL_MESSAGE  0xf001u
#define CALL_RAW      0xf002u
#define CALL_VCPU_RUN 0xf003u

struct call_record {
    uint64_t number;
    uint32_t what;   // index of the service or CALL_*
    uint32_t target; // name
    uint64_t tag, id;
    uint64_t words[MESSAGE_REGISTER_WORDS];
    uint64_t right; // name | disposition << 32 of the first one
    uint64_t result;
    bool returned;
};

struct caller_report {
    uint64_t calls; // grows with each one
    struct call_record log[FUZZ_LOG];
};

struct witness_report {
    uint64_t rounds;  // grows with each one
    uint64_t failure; // 0, or WITNESS_*
    uint64_t expected, found;
};

#define WITNESS_CALL      1u // an RPC failed
#define WITNESS_ANSWER    2u // or had a wrong answer
#define WITNESS_COPY      3u // bytes arrived wrong
#define WITNESS_MEMORY    4u // its own memory changed
#define WITNESS_MAPPED    5u // memory that it shares with another task changed
#define WITNESS_REGISTERS 6u // a register changed

struct fuzz_shared {
    uint64_t seed;        // of this incarnation
    uint64_t calls_limit; // callers wait for their end when this many were made
    uint64_t calls;       // by all callers of all incarnations
    struct caller_report callers[FUZZ_CALLERS];
    struct witness_report witness;
    // How often each service gave each result; the last row: messages.
    uint64_t results[FUZZ_SERVICES_MAX + 1][ERR_COUNT];
    uint64_t guest_exits;
};

#define FUZZ_RESULTS_MESSAGES FUZZ_SERVICES_MAX

// Set before the other tasks get their copy.
extern struct fuzz_shared *fuzz_shared;

// Where all the random mapping goes on, in the fuzzed task and in its children:
// beside everything that the fuzzer itself stands on. The first half comes
// page by page from the pager when it is touched.
#define ARENA_START 0x40000000ull
#define ARENA_PAGES 1024ull
#define ARENA_PAGED 512ull
#define ARENA_END   (ARENA_START + ARENA_PAGES * PAGE_BYTES)

#define FUZZ_PRIORITY       100u
#define WITNESS_PRIORITY    110u
#define CONTROLLER_PRIORITY 120u
