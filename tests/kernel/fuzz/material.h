// SPDX-License-Identifier: BSD-2-Clause
// Names that the fuzzed task has got so far, by what they are believed to be.
// The callers share them without a lock: a name that is gone or of another kind
// is material as well.
#pragma once

#include "random.h"

#include <corvus/types.h>

enum material {
    MATERIAL_TASK,
    MATERIAL_THREAD,
    MATERIAL_TIMER,
    MATERIAL_RECEIVE,
    MATERIAL_SET,
    MATERIAL_SEND,
    MATERIAL_SEND_ONCE,
    MATERIAL_FOREIGN, // names in the tables of children
    MATERIAL_KINDS
};

// Remembers a name in place of an older one, which is returned (PORT_NULL: there
// was room): whoever keeps the tables small gives it up.
port_name_t material_add(enum material kind, port_name_t name, struct random *random);

// One of them, PORT_NULL when there is none.
port_name_t material_pick(enum material kind, struct random *random);

// Any name that has been seen.
port_name_t material_any(struct random *random);

// A name that is most likely wrong: stale, of no right, out of range.
uint64_t material_bad(struct random *random);

// Empties the tables: the names were another incarnation's.
void material_forget(void);
