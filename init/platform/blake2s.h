// SPDX-License-Identifier: BSD-2-Clause
// The BLAKE2s hash (RFC 7693), with 32 bytes of output and an optional key.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define BLAKE2S_BYTES 32

// `key_bytes` is 0..32.
void blake2s(uint8_t output[BLAKE2S_BYTES], const void *key, size_t key_bytes, const void *input,
             size_t bytes);
