// SPDX-License-Identifier: BSD-2-Clause
// A byte that goes around through pipes: between two processes and back, and in a ring of
// processes. As in lmbench, a context switch is one hop of the ring without the write and the read
// of the byte, which are measured in one process.
#include "bench.h"

#include <fcntl.h>
#include <unistd.h>

#define PROCESSES_MAX 8

// Where the byte is written, where it comes back; a process's own pair.
static int give, take;
static int own[2];

static void pass_on(void)
{
    char byte;
    for (;;) {
        read_all(take, &byte, 1);
        write_all(give, &byte, 1);
    }
}

// Process 0 is the caller. Process i reads pipe i and writes pipe i + 1.
static void make_ring(int processes)
{
    int pipes[PROCESSES_MAX][2];

    for (int i = 0; i < processes; i++)
        MUST(pipe2(pipes[i], O_CLOEXEC));
    MUST(pipe2(own, O_CLOEXEC));
    for (int i = 1; i < processes; i++) {
        take = pipes[i][0];
        give = pipes[(i + 1) % processes][1];
        partner(pass_on);
    }
    take = pipes[0][0];
    give = pipes[1][1];
}

static void make_ring_of_2(void)
{
    make_ring(2);
}

static void make_ring_of_8(void)
{
    make_ring(8);
}

static void around(void)
{
    char byte = 0;
    write_all(give, &byte, 1);
    read_all(take, &byte, 1);
}

static void alone(void)
{
    char byte = 0;
    write_all(own[1], &byte, 1);
    read_all(own[0], &byte, 1);
}

const struct row rows_pipe[] = {
    {"pipe_round_trip", "instructions", 50, 501, make_ring_of_2, around, 1, NULL},
    {"context_switch_2", "instructions", 50, 501, make_ring_of_2, around, 2, alone},
    {"context_switch_8", "instructions", 20, 201, make_ring_of_8, around, 8, alone},
    {0},
};
