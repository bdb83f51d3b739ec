// SPDX-License-Identifier: BSD-2-Clause
// A server of the configuration and, while it runs, its task. Numbers are places
// in the table and stay; everything else begins anew with each start.
#pragma once

#include "config.h"
#include "console.h"
#include "sigma0.h"

enum child_state {
    CHILD_WAITING, // for what it is to start after
    CHILD_RUNNING,
    CHILD_PAUSED, // will be started again at `restart_at`
    CHILD_ENDED,  // for good
};

struct child {
    const struct config_server *server;
    uint32_t number;
    enum child_state state;
    port_name_t service; // receive right of its bootstrap port
    port_name_t task, thread;
    uint64_t thread_id;
    struct memory_account memory;
    struct console_source output;
    port_name_t reader;              // reply right of a console_read that waits, or PORT_NULL
    uint64_t reader_limit;           // bytes
    uint64_t started_at, restart_at; // nanoseconds of the clock page
    uint32_t starts;                 // in all
    bool started_well;               // at least once
    uint32_t failures;               // restarts in a row
    uint64_t bad_requests;           // messages that could not be served
};

extern struct child children[CONFIG_SERVERS_MAX];
extern uint32_t child_count;

// Labels of init's ports.
#define LABEL_CONTROL 1u     // events and notices
#define LABEL_CHILD   0x100u // + number

static inline struct child *child_of_label(uint64_t label)
{
    return &children[label - LABEL_CHILD];
}

static inline bool child_has(const struct child *child, uint32_t flag)
{
    return (child->server->flags & flag) != 0;
}
