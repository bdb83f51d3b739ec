// SPDX-License-Identifier: BSD-2-Clause
// sources: init/platform/blake2s.c
// BLAKE2s against the example of RFC 7693 (appendix B) and the first keyed vector
// of the authors' test suite.
#include "init/platform/blake2s.h"
#include "tap.h"

#include <string.h>

static void fill(uint8_t *out, size_t length, uint32_t seed)
{
    uint32_t a = 0xdead4bad * seed, b = 1;
    for (size_t i = 0; i < length; i++) {
        uint32_t t = a + b;
        a = b;
        b = t;
        out[i] = (uint8_t)(t >> 24);
    }
}

int main(void)
{
    static const uint8_t abc[] = {
        0x50, 0x8c, 0x5e, 0x8c, 0x32, 0x7c, 0x14, 0xe2, 0xe1, 0xa7, 0x2b,
        0xa3, 0x4e, 0xeb, 0x45, 0x2f, 0x37, 0x45, 0x8b, 0x20, 0x9e, 0xd6,
        0x3a, 0x29, 0x4d, 0x99, 0x9b, 0x4c, 0x86, 0x67, 0x59, 0x82,
    };
    // Key 00..1f, no input.
    static const uint8_t keyed[] = {
        0x48, 0xa8, 0x99, 0x7d, 0xa4, 0x07, 0x87, 0x6b, 0x3d, 0x79, 0xc0,
        0xd9, 0x23, 0x25, 0xad, 0x3b, 0x89, 0xcb, 0xb7, 0x54, 0xd8, 0x6a,
        0xb7, 0x1a, 0xee, 0x04, 0x7a, 0xd3, 0x45, 0xfd, 0x2c, 0x49,
    };
    uint8_t output[BLAKE2S_BYTES], key[32], long_input[1024], again[BLAKE2S_BYTES];
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)i;
    blake2s(output, NULL, 0, "abc", 3);
    tap_ok(memcmp(output, abc, sizeof abc) == 0, "\"abc\", RFC 7693 appendix B");
    blake2s(output, key, sizeof key, "", 0);
    tap_ok(memcmp(output, keyed, sizeof keyed) == 0, "a key and no input");
    fill(long_input, sizeof long_input, 1024);
    blake2s(output, NULL, 0, long_input, 128);
    blake2s(again, NULL, 0, long_input, 129);
    tap_ok(memcmp(output, again, sizeof again) != 0, "whole blocks and one byte more");
    return tap_end();
}
