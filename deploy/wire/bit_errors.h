// SPDX-License-Identifier: BSD-2-Clause
// Wrong bits at a rate, drawn as distances between them, so that a frame without one costs one
// draw.
#pragma once

#include <stdint.h>

// The first wrong bit at or after `bit`, of the frame with that generator; beyond all frames, when
// there is none. `rate` is above 0.
uint64_t bit_error_next(uint64_t generator, uint64_t bit, double rate);

// Turns the bits of a frame, of which `first` is the first wrong one.
void bit_errors_make(uint64_t generator, double rate, uint64_t first, uint8_t *bytes,
                     uint32_t length);
