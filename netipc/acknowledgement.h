// SPDX-License-Identifier: BSD-2-Clause
// Acknowledgements of TCP, as far as is needed to tell that one says all that another said. Pure.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What a frame to be sent acknowledges (RFC 9293, 3.1).
struct acknowledgement {
    uint8_t flow[12]; // addresses and ports
    uint32_t number;  // of the next byte expected
    uint16_t window;
    bool pure; // it says nothing else: no data, no options
};

// Reads it from the beginning of an Ethernet frame of `whole` bytes, of which `bytes` lie at
// `frame`. False: it is not TCP over IPv4 in an established connection, or does not acknowledge.
bool acknowledgement_read(const void *frame, size_t bytes, size_t whole,
                          struct acknowledgement *result);

// Whether the later of two makes the earlier, a pure one, superfluous. One that only says the same
// again does not: by such the other side knows of a loss (RFC 5681, 2).
bool acknowledgement_replaces(const struct acknowledgement *later,
                              const struct acknowledgement *earlier);
