// SPDX-License-Identifier: GPL-2.0-only
// The table of all system calls (calls.def): where a process that has moved makes each, and what
// its arguments point to.
#pragma once

#include <linux/types.h>

enum call_where { CALL_REFUSED, CALL_LOCAL, CALL_HOME, CALL_BOTH, CALL_OWN };

enum argument_kind {
    ARGUMENT_VALUE,
    ARGUMENT_PATH,
    ARGUMENT_IN,      // argument `from` times `unit` bytes, and `more`
    ARGUMENT_OUT,     // likewise; of what comes back the call's result times `unit`, and `more`
    ARGUMENT_ITEMS,   // likewise, there and back
    ARGUMENT_FIXED,   // `more` bytes there and back
    ARGUMENT_TIMEOUT, // 16 bytes there and back, whatever the result
    ARGUMENT_FDSET,
    ARGUMENT_SOCKET_OUT,
    ARGUMENT_VECTOR_IN,
    ARGUMENT_VECTOR_OUT,
    ARGUMENT_MESSAGE_IN,
    ARGUMENT_MESSAGE_OUT,
    ARGUMENT_IOCTL,
    ARGUMENT_FCNTL,
    ARGUMENT_SEMCTL,
};

#define CALL_NOWHERE 0xff // `from`: no argument, the size is `more`

struct call_argument {
    __u8 kind, from;
    __u8 narrow; // argument `from` is an int
    __u16 unit, more;
};

#define CALL_ARGUMENTS 6

struct call_description {
    const char *name; // NULL: there is no such call
    __u8 where;
    struct call_argument arguments[CALL_ARGUMENTS];
};

#define CALLS 452 // of Linux 6.1 on x86-64 there are fewer

extern const struct call_description call_descriptions[CALLS];

// NULL: no call has that number.
static inline const struct call_description *call_description(__u64 nr)
{
    return nr < CALLS && call_descriptions[nr].name != (const char *)0 ? &call_descriptions[nr]
                                                                       : (void *)0;
}
