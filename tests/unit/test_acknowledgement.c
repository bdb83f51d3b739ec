// SPDX-License-Identifier: BSD-2-Clause
// sources: netipc/acknowledgement.c
// Which acknowledgement of TCP says all that an earlier one said.
#include "netipc/acknowledgement.h"
#include "tap.h"

#include <string.h>

#define FRAME_BYTES 80u

// From 10.67.0.1 port 6730 to 10.67.0.2 port 50000: acknowledges 0x01020304, window 0x1000.
static const uint8_t plain[54] = {
    2,    0,    0,    0,    0,  2,  2, 0, 0,   0, 0, 1, 8,    0, // Ethernet
    0x45, 0,    0,    40,   0,  1,  0, 0, 255, 6, 0, 0,          // IPv4
    10,   67,   0,    1,    10, 67, 0, 2,                        // addresses
    0x1a, 0x4a, 0xc3, 0x50, 0,  0,  0, 9, 1,   2, 3, 4, 0x50, 0x10, 0x10, 0, 0, 0, 0, 0,
};

static uint8_t frame[FRAME_BYTES];

static struct acknowledgement plain_one(void)
{
    struct acknowledgement result = {0};

    memcpy(frame, plain, sizeof plain);
    (void)acknowledgement_read(frame, sizeof plain, sizeof plain, &result);
    return result;
}

// The plain one with a byte at a place, `whole` bytes long.
static bool read_with(unsigned place, uint8_t byte, size_t whole, struct acknowledgement *result)
{
    memset(frame, 0, sizeof frame);
    memcpy(frame, plain, sizeof plain);
    frame[place] = byte;
    return acknowledgement_read(frame, sizeof plain, whole, result);
}

static void test_read(void)
{
    struct acknowledgement one = plain_one(), other;

    tap_ok(one.number == 0x01020304 && one.window == 0x1000 && one.pure, "a plain one is read");
    tap_ok(memcmp(one.flow, plain + 26, 12) == 0, "and whose it is");
    tap_ok(!acknowledgement_read(frame, 53, 54, &other), "half of the headers are none");
    tap_ok(!read_with(13, 6, 54, &other), "nor is ARP");
    tap_ok(!read_with(14, 0x46, 54, &other), "nor one with options of IP");
    tap_ok(!read_with(23, 17, 54, &other), "nor UDP");
    tap_ok(!read_with(47, 0x00, 54, &other), "nor one that does not acknowledge");
    tap_ok(!read_with(47, 0x12, 54, &other), "nor what begins a connection");
    tap_ok(!read_with(47, 0x11, 54, &other), "nor what ends it");
    tap_ok(!read_with(47, 0x14, 54, &other), "nor a reset");
    tap_ok(!read_with(47, 0x30, 54, &other), "nor what is urgent");
    tap_ok(read_with(47, 0x18, 54, &other) && other.pure, "it may push");
    tap_ok(read_with(17, 41, 55, &other) && !other.pure, "with data it is not pure");
    tap_ok(read_with(46, 0x80, 66, &other) && !other.pure, "nor with options");
}

static void test_replaces(void)
{
    struct acknowledgement one = plain_one(), later = one;

    tap_ok(!acknowledgement_replaces(&later, &one), "the same again counts: it tells of a loss");
    later.number++;
    tap_ok(acknowledgement_replaces(&later, &one), "one of more replaces it");
    later.pure = false;
    tap_ok(acknowledgement_replaces(&later, &one), "with data, too");
    tap_ok(!acknowledgement_replaces(&one, &later), "data are never replaced");
    later = one;
    later.number--;
    tap_ok(!acknowledgement_replaces(&later, &one), "one of less replaces nothing");
    later = one;
    later.window++;
    tap_ok(acknowledgement_replaces(&later, &one), "one of a larger window does");
    later.pure = false;
    tap_ok(!acknowledgement_replaces(&later, &one), "but not with data");
    later = one;
    later.number += 1000;
    later.flow[11]++;
    tap_ok(!acknowledgement_replaces(&later, &one), "nor does one of another connection");
    one.number = 0xfffffff0;
    later = one;
    later.number = 16;
    tap_ok(acknowledgement_replaces(&later, &one), "numbers go round");
    tap_ok(!acknowledgement_replaces(&one, &later), "in one direction");
}

int main(void)
{
    test_read();
    test_replaces();
    return tap_end();
}
