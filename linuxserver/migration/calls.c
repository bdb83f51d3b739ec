// SPDX-License-Identifier: GPL-2.0-only
// calls.def as a table.
#include "linuxserver/migration/calls.h"

#include <asm/unistd.h>

// clang-format off
#define V                    {.kind = ARGUMENT_VALUE}
#define PATH                 {.kind = ARGUMENT_PATH}
#define IN(n)                {.kind = ARGUMENT_IN, .from = (n), .unit = 1}
#define IN_INT(n)            {.kind = ARGUMENT_IN, .from = (n), .narrow = 1, .unit = 1}
#define IN_ITEMS(n, size)    {.kind = ARGUMENT_IN, .from = (n), .unit = (size)}
#define IN_MORE(n, bytes)    {.kind = ARGUMENT_IN, .from = (n), .unit = 1, .more = (bytes)}
#define IN_FIXED(size)       {.kind = ARGUMENT_IN, .from = CALL_NOWHERE, .more = (size)}
#define OUT(n)               {.kind = ARGUMENT_OUT, .from = (n), .unit = 1}
#define OUT_INT(n)           {.kind = ARGUMENT_OUT, .from = (n), .narrow = 1, .unit = 1}
#define OUT_ITEMS(n, size)   {.kind = ARGUMENT_OUT, .from = (n), .unit = (size)}
#define OUT_MORE(n, bytes)   {.kind = ARGUMENT_OUT, .from = (n), .unit = 1, .more = (bytes)}
#define ITEMS(n, size)       {.kind = ARGUMENT_ITEMS, .from = (n), .unit = (size)}
#define FIXED(size)          {.kind = ARGUMENT_FIXED, .from = CALL_NOWHERE, .more = (size)}
#define TIMEOUT              {.kind = ARGUMENT_TIMEOUT, .from = CALL_NOWHERE, .more = 16}
#define FDSET(n)             {.kind = ARGUMENT_FDSET, .from = (n)}
#define SOCKET_OUT(n)        {.kind = ARGUMENT_SOCKET_OUT, .from = (n)}
#define VECTOR_IN(n)         {.kind = ARGUMENT_VECTOR_IN, .from = (n)}
#define VECTOR_OUT(n)        {.kind = ARGUMENT_VECTOR_OUT, .from = (n)}
#define MESSAGE_IN           {.kind = ARGUMENT_MESSAGE_IN}
#define MESSAGE_OUT          {.kind = ARGUMENT_MESSAGE_OUT}
#define IOCTL                {.kind = ARGUMENT_IOCTL}
#define FCNTL                {.kind = ARGUMENT_FCNTL}
#define SEMCTL               {.kind = ARGUMENT_SEMCTL}

#define CALL(call, place, ...) \
    [__NR_##call] = {.name = #call, .where = CALL_##place, .arguments = {__VA_ARGS__}},
// clang-format on

const struct call_description call_descriptions[CALLS] = {
#include "linuxserver/migration/calls.def"
};
