// SPDX-License-Identifier: BSD-2-Clause
// Bytes of published test vectors, written in hexadecimal as they were printed.
#pragma once

#include <stddef.h>
#include <stdint.h>

static inline unsigned hex_digit(char digit)
{
    return (unsigned)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

// Returns how many bytes it wrote.
static inline size_t hex_read(uint8_t *out, const char *digits)
{
    size_t bytes = 0;
    for (; digits[2 * bytes] != '\0'; bytes++)
        out[bytes] =
            (uint8_t)(hex_digit(digits[2 * bytes]) << 4 | hex_digit(digits[2 * bytes + 1]));
    return bytes;
}
