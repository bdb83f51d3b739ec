// SPDX-License-Identifier: BSD-2-Clause
// The Internet checksum (RFC 1071), for lwIP: eight bytes at a time, for it is what
// every byte of a message costs that no card does it for.
#include <stdint.h>
#include <string.h>

uint16_t network_checksum(const void *data, int bytes);

static uint64_t load(const uint8_t *bytes)
{
    uint64_t value;

    memcpy(&value, bytes, sizeof value);
    return value;
}

static uint64_t add(uint64_t sum, uint64_t value)
{
    uint64_t result;

    return result = sum + value, result + (result < sum);
}

// The sum, not its complement, in the order of bytes in memory; as lwIP wants it, an
// odd last byte counts as the low half of a word.
uint16_t network_checksum(const void *data, int bytes)
{
    const uint8_t *next = data;
    uint64_t sums[4] = {0, 0, 0, 0}, last = 0;
    size_t left = bytes > 0 ? (size_t)bytes : 0;

    for (; left >= 32; left -= 32, next += 32) {
        sums[0] = add(sums[0], load(next));
        sums[1] = add(sums[1], load(next + 8));
        sums[2] = add(sums[2], load(next + 16));
        sums[3] = add(sums[3], load(next + 24));
    }
    for (; left >= 8; left -= 8, next += 8)
        sums[0] = add(sums[0], load(next));
    for (size_t i = 0; i < left; i++)
        last |= (uint64_t)next[i] << 8 * i;
    uint64_t sum = add(add(sums[0], sums[1]), add(add(sums[2], sums[3]), last));
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)((sum & 0xffff) + (sum >> 16));
}
