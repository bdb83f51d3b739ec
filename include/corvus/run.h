// SPDX-License-Identifier: BSD-2-Clause
// Limits and constants of run.def.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define RUN_NAME        "run"             // of the name service
#define RUN_PROGRAM_MAX (64u << 20)       // bytes of a program's file
#define RUN_PATH_MAX    4095u             // bytes of its path
#define RUN_PIECE_MAX   (64u << 10)       // bytes of a piece of a file, input or output
#define RUN_TEXT_MAX    (128u << 10)      // bytes of arguments and environment
#define RUN_STRINGS_MAX 4096u             // arguments and variables
#define RUN_RANKS_MAX   64u               // processes of a run
#define RUN_KEY_FILE    "/run/corvus-run" // 16 bytes, which the agent makes when it starts

// Flags of run_begin.
#define RUN_SHARED 1u // /dsm in the place of /dev/shm
#define RUN_INPUT  2u // standard input comes by run_input; without: /dev/null

// Steps of a start.
enum run_step {
    RUN_STEP_NONE,
    RUN_STEP_PROCESS,
    RUN_STEP_FOLDER,
    RUN_STEP_SHARED,
    RUN_STEP_PROGRAM
};

// Tells contents of files apart (FNV-1a, 64 bits); begins with RUN_SUM_START and goes on with what
// it returned. No protection against anybody's intent.
#define RUN_SUM_START 0xcbf29ce484222325u

static inline uint64_t run_sum(uint64_t sum, const void *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        sum = (sum ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3u;
    return sum;
}
