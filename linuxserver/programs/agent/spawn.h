// SPDX-License-Identifier: GPL-2.0-only
// A process with pipes or a terminal for its three standard files.
#pragma once

#include "frame.h"

#include <sys/types.h>

struct spawned {
    pid_t process;
    int files[AGENT_STREAMS]; // our ends, not blocking; -1: none. A terminal is stdin and stdout
};

// To be called once, before the first spawn: what children get back.
void spawn_init(void);

// NULL, or what failed, with errno set. What goes wrong in the child, such as a
// command that is not there, is said on its standard error with status 126 or
// 127, as a shell does.
const char *spawn(const struct open_request *request, struct spawned *spawned);
