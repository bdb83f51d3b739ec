// SPDX-License-Identifier: BSD-2-Clause
// Makes a running task out of a boot module.
#pragma once

#include "child.h"

// Above what the runtime hands out (lib/hooks.h), below USER_MAP_END.
#define CHILD_STACK_TOP 0x7ff000000000ull
#define CHILD_UTCB      0x7ff000010000ull

// Builds the child's task, its memory, rights and first thread, and starts it.
// `child->service` is there. NULL, or what went wrong in words; what has been
// made by then stays in `child` for loader_undo.
const char *loader_start(struct child *child);

// Ends the task and gives back all that it held, however far it had come.
void loader_undo(struct child *child);
