// SPDX-License-Identifier: BSD-2-Clause
// sources: linuxserver/programs/agent/frame.c
// Any bytes at all on the agent's channel: no crash, and what is found in one
// piece is found byte by byte, and again when it is written anew.
#include "linuxserver/programs/agent/frame.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_open(const struct frame *frame)
{
    static struct open_request request;
    uint8_t *copy = malloc(frame->length != 0 ? frame->length : 1);
    memcpy(copy, frame->payload, frame->length);
    if (open_request_read(&request, copy, frame->length) == NULL) {
        size_t sum = strlen(request.folder);
        for (char **text = request.arguments; *text != NULL; text++)
            sum += strlen(*text);
        for (char **text = request.environment; *text != NULL; text++)
            sum += strlen(*text);
        if (sum > frame->length)
            abort();
    }
    free(copy);
}

static void check_again(const struct frame *frame)
{
    static struct frame_parser parser;
    static uint8_t wire[FRAME_WIRE_BYTES(AGENT_PAYLOAD_MAX)];
    struct frame back;
    bool complete;
    memset(&parser, 0, offsetof(struct frame_parser, bytes));
    size_t count = frame_write(wire, frame);
    if (count > FRAME_WIRE_BYTES(frame->length) ||
        frame_parse(&parser, wire, count, &back, &complete) != count || !complete ||
        back.type != frame->type || back.stream != frame->stream ||
        back.session != frame->session || back.length != frame->length ||
        memcmp(back.payload, frame->payload, frame->length) != 0)
        abort();
}

// Parses in pieces; the sum depends on all frames found.
static uint64_t parse(struct frame_parser *parser, const uint8_t *data, size_t size, size_t piece)
{
    uint64_t sum = 0;
    memset(parser, 0, offsetof(struct frame_parser, bytes));
    for (size_t at = 0; at < size;) {
        struct frame frame;
        bool complete;
        size_t most = size - at < piece ? size - at : piece;
        size_t used = frame_parse(parser, data + at, most, &frame, &complete);
        if (used == 0 || used > most)
            abort();
        at += used;
        if (!complete)
            continue;
        sum = sum * 31 + frame.type + frame.session + frame.length;
        for (uint32_t i = 0; i < frame.length; i++)
            sum = sum * 31 + frame.payload[i];
        check_open(&frame);
        check_again(&frame);
    }
    return sum + parser->bad_frames * 7 + parser->skipped;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct frame_parser parser;
    if (parse(&parser, data, size, SIZE_MAX) != parse(&parser, data, size, 1))
        abort();
    return 0;
}
