// SPDX-License-Identifier: BSD-2-Clause
// Physical memory that is not RAM, made visible to init: device registers and
// firmware tables.
#pragma once

#include <corvus/error.h>

#include <stdint.h>

// Maps [physical, physical + bytes), rounded out to pages, and returns where
// `physical` now is, NULL when the kernel refuses. `cache` is HOST_CACHE_*.
// Never given back: windows are few and bounded by the devices there are.
void *device_memory_map(uint64_t physical, uint64_t bytes, uint64_t cache);
