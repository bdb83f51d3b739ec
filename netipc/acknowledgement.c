// SPDX-License-Identifier: BSD-2-Clause
#include "netipc/acknowledgement.h"

#include "netipc/frame.h"

#include <string.h>

// Places from a frame's first byte, for IPv4 (RFC 791) without options, and TCP's (RFC 9293)
// behind.
#define TYPE_AT       12u
#define VERSION_AT    14u
#define IP_LENGTH_AT  16u
#define PROTOCOL_AT   23u
#define FLOW_AT       26u
#define NUMBER_AT     42u
#define OFFSET_AT     46u
#define FLAGS_AT      47u
#define WINDOW_AT     48u
#define TCP_AT        34u
#define HEADERS_BYTES 54u // without options
#define IPV4_TYPE     0x0800u
#define IPV4_PLAIN    0x45u // version 4, a header of five words
#define PROTOCOL_TCP  6u
#define FLAG_PUSH     0x08u
#define FLAG_ACK      0x10u

static uint16_t read_16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

bool acknowledgement_read(const void *frame, size_t bytes, size_t whole,
                          struct acknowledgement *result)
{
    const uint8_t *at = frame;

    if (bytes < HEADERS_BYTES || read_16(at + TYPE_AT) != IPV4_TYPE ||
        at[VERSION_AT] != IPV4_PLAIN || at[PROTOCOL_AT] != PROTOCOL_TCP ||
        (at[FLAGS_AT] & ~FLAG_PUSH) != FLAG_ACK)
        return false;
    memcpy(result->flow, at + FLOW_AT, sizeof result->flow);
    result->number = (uint32_t)read_16(at + NUMBER_AT) << 16 | read_16(at + NUMBER_AT + 2);
    result->window = read_16(at + WINDOW_AT);
    result->pure = whole == HEADERS_BYTES &&
                   read_16(at + IP_LENGTH_AT) == HEADERS_BYTES - FRAME_HEADER_BYTES &&
                   at[OFFSET_AT] >> 4 == (HEADERS_BYTES - TCP_AT) / 4;
    return true;
}

bool acknowledgement_replaces(const struct acknowledgement *later,
                              const struct acknowledgement *earlier)
{
    int32_t further = (int32_t)(later->number - earlier->number);

    if (!earlier->pure || memcmp(later->flow, earlier->flow, sizeof later->flow) != 0)
        return false;
    return further > 0 || (further == 0 && later->pure && later->window != earlier->window);
}
