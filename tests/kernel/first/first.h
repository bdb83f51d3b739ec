// SPDX-License-Identifier: BSD-2-Clause
// What the parts of the test in init's place share.
#pragma once

#include "lib/call.h"

#include <corvus/host.h>
#include <corvus/stubs.h>

#define PAGES       8ull // donated at a time
#define CHILD_QUOTA (256ull << 10)
#define DEVICE_HOLE 0xe0000000ull // below 4 GiB, and no memory

// One line of TAP.
void ok(bool passed, const char *text);

uint64_t quota_of(port_name_t task);
uint64_t access_at(port_name_t task, uint64_t address);
port_name_t new_port(void); // name of its receive right
corvus_error_t map_device(uint64_t physical, uint64_t address, uint64_t length);

// services.c
void test_services(void);

// limits.c; `memory` is boot memory of at least four pages of 2 MiB, the first of which is in use.
void test_limits(uint64_t memory);
