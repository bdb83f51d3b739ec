// SPDX-License-Identifier: BSD-2-Clause
// Random bytes for keys and hash tables of all tasks of the node.
#pragma once

#include <stddef.h>
#include <stdint.h>

// Where the seed came from. RDSEED or RDRAND: as strong as the processor's
// generator. The boot command line (`entropy=…`): as strong as that word was
// secret. Timing alone: some tens of bits at best, under an emulator fewer: fit
// against accidents, not for keys.
enum entropy_source { ENTROPY_TIMING, ENTROPY_COMMAND_LINE, ENTROPY_PROCESSOR };

// `command_line` is what the boot loader gave, which may hold a secret.
enum entropy_source entropy_initialize(const char *command_line);
const char *entropy_source_text(enum entropy_source source);

// Mixes something in that an attacker may not know, such as the time of an event.
void entropy_add(const void *bytes, size_t count);
void entropy_get(void *buffer, size_t count);
