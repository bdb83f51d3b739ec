// SPDX-License-Identifier: BSD-2-Clause
// What the node that measures asks of the one beside it.
#pragma once

#include "lib/port.h"

#include <corvus/netname_stubs.h>

#define STREAM_BYTES 65536u

// Requests to the port `netbench`. All are answered but BENCH_SINK.
#define BENCH_NULL   0x71001u // nothing
#define BENCH_ECHO   0x71002u // the bytes of item 0 come back
#define BENCH_SINK   0x71003u // plain: the bytes of item 0 are counted
#define BENCH_SUNK   0x71004u // word 0: bytes counted since the last BENCH_SUNK
#define BENCH_SOURCE 0x71005u // sends word 0 BENCH_SINKs to the right that comes with it

extern port_name_t netname;

// The name of a node's port, in the words of the name service.
void bench_name(uint64_t words[4]);

// Node by node: an odd one measures, and the next one serves it.
int bench_drive(uint64_t server, unsigned rounds, unsigned divide);
int bench_serve(void);
