// SPDX-License-Identifier: BSD-2-Clause
// What TCP/IP and transport need of where they run: a native task (platform.c), or
// a test on the host.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// Nanoseconds of a clock that never goes back.
uint64_t network_now(void);

// Random numbers that a stranger cannot guess: sequence numbers, ports.
uint32_t network_random(void);

// Whether SSSE3 is there and worth its use. QEMU's TCG has it, but encrypts with it at
// less than half the speed that it has without.
bool network_has_fast_vectors(void);
