// SPDX-License-Identifier: BSD-2-Clause
// The measurements, by file. Each prints its rows, and nothing where something
// that it needs cannot be had: bench.sh misses the row.
#pragma once

#include "measure.h"
#include "partner.h"

// What the main thread runs with, and its partners unless a row needs another.
#define BENCH_PRIORITY 100u

void rows_rpc(void);
void rows_fault(void);
void rows_vcpu(void);
void rows_events(void);
void rows_memory(void);
void rows_trap(void);
