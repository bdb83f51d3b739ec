// SPDX-License-Identifier: BSD-2-Clause
// sources: netipc/checksum.c
// The Internet checksum against the sum of 16-bit words as RFC 1071 writes it down, at
// all lengths, places and carries.
#include "tap.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

uint16_t network_checksum(const void *data, int bytes);

static uint16_t plain(const uint8_t *bytes, int count)
{
    uint32_t sum = 0;

    for (int i = 0; i + 1 < count; i += 2)
        sum += (uint32_t)bytes[i] | (uint32_t)bytes[i + 1] << 8;
    if (count % 2 != 0)
        sum += bytes[count - 1];
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

// A buffer of exactly that size, so that a byte too many is noticed.
static bool is_same(const uint8_t *bytes, int count)
{
    uint8_t *copy = malloc((size_t)count + 1);
    bool same;

    if (copy == NULL)
        return false;
    memcpy(copy + 1, bytes, (size_t)count); // at an odd place
    same = network_checksum(copy + 1, count) == plain(bytes, count);
    free(copy);
    return same;
}

int main(void)
{
    static uint8_t bytes[9000];
    bool good = true;

    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 73 + i / 89);
    for (int count = 0; count < 600; count++)
        good = good && is_same(bytes + count % 17, count);
    tap_ok(good, "all lengths up to 600");
    tap_ok(is_same(bytes, 8999) && is_same(bytes, 9000), "long ones");
    memset(bytes, 0xff, sizeof bytes);
    for (int count = 0; count < 600; count++)
        good = good && is_same(bytes, count);
    tap_ok(good && is_same(bytes, 9000), "nothing but carries");
    memset(bytes, 0, sizeof bytes);
    tap_ok(network_checksum(bytes, 9000) == 0 && network_checksum(bytes, 0) == 0 &&
               network_checksum(bytes, -1) == 0,
           "nothing");
    return tap_end();
}
