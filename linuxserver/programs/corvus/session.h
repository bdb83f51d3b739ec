// SPDX-License-Identifier: GPL-2.0-only
// The agent of a node (corvus agentd): one process of a run (include/corvus/run.def). Each has a
// thread of its own, which serves its session's port and passes on what the process reads and
// writes.
#pragma once

#include "lib/linux/corvus.h"

#include <stdint.h>
#include <sys/types.h>

#include <corvus/run.h>

// At a time; beyond it run_open is refused.
#define SESSIONS_MAX 128

struct program {
    char *path;            // malloc's; NULL until run_program
    uint64_t length, sum;  // of its file
    uint64_t arrived, now; // of run_file: bytes, and their run_sum
    int file;              // the file as it came; -1: the one under `path` is the same
};

struct process {
    pid_t number;  // 0: not yet begun
    int ended;     // descriptor of the process, readable when it has ended
    int output[2]; // what it writes; -1: no more
    int input;     // what it reads; -1: not, or no more
};

// The begin of a line that a process has not ended yet: it waits a little for its end, so that
// lines of several processes do not mix.
struct held {
    uint8_t bytes[1024];
    size_t length;
};

struct session {
    port_name_t port, command;
    uint64_t node, key[2], rank;
    bool admitted, over;
    struct program program;
    struct process process;
    struct held held[2]; // of its output
    // What run_input brought and the process has not read yet; who waits for that.
    uint8_t *pending;
    size_t pending_length, pending_done;
    port_name_t pending_reply;
};

// A session for the caller of run_open; takes over the right `command`. On success its thread runs
// and frees all; *right is to be sent.
corvus_error_t session_begin(uint64_t node, const uint64_t key[2], uint64_t rank,
                             struct message_right command, struct message_right *right);

// The program's file. `program` is zeroed but for file -1, before; errors are those of run.def.
corvus_error_t program_name(struct program *program, uint64_t length, uint64_t sum,
                            const void *path, size_t path_length, uint64_t *there);
corvus_error_t program_piece(struct program *program, uint64_t offset, const void *bytes,
                             size_t length);
// All of it is there, and it is what was promised.
bool program_is_whole(const struct program *program);
void program_free(struct program *program);

// Starts it. `text` is that of run_begin. On success the process runs, or *step and *reason say why
// not (include/corvus/run.h).
corvus_error_t process_begin(struct process *process, const struct program *program, uint64_t flags,
                             uint64_t arguments, uint64_t strings, char *text, size_t length,
                             uint64_t *step, uint64_t *reason);
