// SPDX-License-Identifier: GPL-2.0-only
// corvus run: what its files share. One process of a run is a rank; the agent of its node
// (corvus agentd) speaks for it (include/corvus/run.def).
#pragma once

#include "corvus.h"

#include "lib/linux/corvus.h"

#include <corvus/run.h>

struct rank {
    uint64_t node;
    port_name_t session; // send right; PORT_NULL: not yet opened
    bool ended;
};

struct run {
    struct rank ranks[RUN_RANKS_MAX];
    size_t count;
    bool shared;      // /dsm in the place of /dev/shm
    bool input;       // rank 0 reads what the command does
    char **command;   // the program's arguments, NULL behind them
    size_t words;     // how many
    uint64_t name;    // of this run, which no other has
    port_name_t port; // where run_command is served
};

// Names the rank in messages: "rank 1 on node2". In a static buffer.
const char *rank_name(const struct run *run, size_t rank);

// Looks for the program as a shell would, reads its file, and gives it to all nodes; then starts
// all. A status; anything but STATUS_OK has been said, and the command is to end, with which all
// that runs is killed.
int run_prepare(struct run *run);
int run_start(struct run *run);

// Serves the agents until all processes have ended; a status.
int run_serve_all(struct run *run);
