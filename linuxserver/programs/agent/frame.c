// SPDX-License-Identifier: GPL-2.0-only
#include "frame.h"

#include <string.h>

// --- Reading ------------------------------------------------------------------

static void begin(struct frame_parser *parser)
{
    if (parser->inside)
        parser->bad_frames++; // its sender vanished in the middle
    parser->inside = true;
    parser->escaped = false;
    parser->have = 0;
    parser->want = AGENT_HEADER_BYTES;
}

static void reject(struct frame_parser *parser)
{
    parser->inside = false;
    parser->bad_frames++;
}

// A copy of the byte in each byte of a word.
#define EACH_BYTE(byte) ((byte)*0x0101010101010101ull)

// How many bytes from the start can be taken as they are. This is where the
// agent spends its time, so it looks at a word at once: bytes that are a mark or
// an escape become zero, and the usual test finds a zero byte in a word.
static size_t plain_bytes(const uint8_t *bytes, size_t count)
{
    const uint64_t difference = EACH_BYTE((uint64_t)(AGENT_MARK ^ AGENT_ESCAPE));
    const uint64_t both = EACH_BYTE((uint64_t)(AGENT_MARK | AGENT_ESCAPE));
    size_t plain = 0;
    for (; plain + 8 <= count; plain += 8) {
        uint64_t word;
        memcpy(&word, bytes + plain, sizeof word);
        word = (word | difference) ^ both;
        if (((word - EACH_BYTE(0x01ull)) & ~word & EACH_BYTE(0x80ull)) != 0)
            break;
    }
    while (plain < count && bytes[plain] != AGENT_MARK && bytes[plain] != AGENT_ESCAPE)
        plain++;
    return plain;
}

// A header is there: is it one that can be?
static bool check_header(struct frame_parser *parser)
{
    const uint8_t *header = parser->bytes;
    uint32_t length = agent_get32(header + 8);
    if (header[0] == 0 || header[0] >= AGENT_TYPES || header[1] >= AGENT_STREAMS ||
        agent_get16(header + 2) != 0 || length > AGENT_PAYLOAD_MAX)
        return false;
    parser->want = AGENT_HEADER_BYTES + length;
    return true;
}

static void fill_in(struct frame_parser *parser, struct frame *frame)
{
    const uint8_t *header = parser->bytes;
    frame->type = (enum agent_type)header[0];
    frame->stream = header[1];
    frame->session = agent_get32(header + 4);
    frame->length = agent_get32(header + 8);
    frame->payload = header + AGENT_HEADER_BYTES;
    parser->inside = false;
    parser->frames++;
}

// Takes what can be taken without meeting a mark or the frame's end.
static size_t take(struct frame_parser *parser, const uint8_t *bytes, size_t count)
{
    if (parser->escaped || bytes[0] == AGENT_ESCAPE) {
        uint8_t byte = bytes[0] ^ AGENT_FLIP;
        if (!parser->escaped) {
            parser->escaped = true;
        } else if (byte == AGENT_MARK || byte == AGENT_ESCAPE) {
            parser->escaped = false;
            parser->bytes[parser->have++] = byte;
        } else {
            reject(parser);
        }
        return 1;
    }
    size_t most = parser->want - parser->have;
    size_t plain = plain_bytes(bytes, count < most ? count : most);
    memcpy(parser->bytes + parser->have, bytes, plain);
    parser->have += (uint32_t)plain;
    return plain;
}

static size_t skip(struct frame_parser *parser, const uint8_t *bytes, size_t count)
{
    const uint8_t *mark = memchr(bytes, AGENT_MARK, count);
    size_t skipped = mark != NULL ? (size_t)(mark - bytes) : count;
    parser->skipped += skipped;
    return skipped;
}

size_t frame_parse(struct frame_parser *parser, const uint8_t *bytes, size_t count,
                   struct frame *frame, bool *complete)
{
    size_t used = 0;
    *complete = false;
    while (used < count) {
        if (bytes[used] == AGENT_MARK) {
            begin(parser);
            used++;
        } else if (!parser->inside) {
            used += skip(parser, bytes + used, count - used);
        } else {
            used += take(parser, bytes + used, count - used);
        }
        if (!parser->inside || parser->have < parser->want)
            continue;
        if (parser->want == AGENT_HEADER_BYTES && !check_header(parser)) {
            reject(parser);
        } else if (parser->have == parser->want) {
            fill_in(parser, frame);
            *complete = true;
            break;
        }
    }
    return used;
}

// --- Writing ------------------------------------------------------------------

static size_t escape(uint8_t *out, const uint8_t *bytes, size_t count)
{
    size_t used = 0, written = 0;
    while (used < count) {
        size_t plain = plain_bytes(bytes + used, count - used);
        memcpy(out + written, bytes + used, plain);
        used += plain;
        written += plain;
        if (used < count) {
            out[written++] = AGENT_ESCAPE;
            out[written++] = bytes[used++] ^ AGENT_FLIP;
        }
    }
    return written;
}

size_t frame_write(uint8_t *out, const struct frame *frame)
{
    uint8_t header[AGENT_HEADER_BYTES] = {(uint8_t)frame->type, (uint8_t)frame->stream};
    agent_put32(header + 4, frame->session);
    agent_put32(header + 8, frame->length);
    size_t written = 0;
    out[written++] = AGENT_MARK;
    written += escape(out + written, header, sizeof header);
    written += escape(out + written, frame->payload, frame->length);
    return written;
}

// --- OPEN ---------------------------------------------------------------------

const char *open_request_read(struct open_request *request, const uint8_t *payload, uint32_t length)
{
    if (length < AGENT_OPEN_BYTES || agent_get16(payload + 10) != 0)
        return "OPEN: no proper head";
    request->flags = agent_get16(payload);
    request->rows = agent_get16(payload + 2);
    request->columns = agent_get16(payload + 4);
    request->argument_count = agent_get16(payload + 6);
    request->environment_count = agent_get16(payload + 8);
    uint32_t count = request->argument_count + request->environment_count;
    if ((request->flags & ~(AGENT_OPEN_PTY | AGENT_OPEN_SELF)) != 0)
        return "OPEN: unknown flags";
    if (request->argument_count == 0)
        return "OPEN: no command";
    if (count + 2 > AGENT_OPEN_STRINGS)
        return "OPEN: too many arguments";

    uint32_t slot = 0;
    const char *text = (const char *)payload + AGENT_OPEN_BYTES;
    const char *end = (const char *)payload + length;
    for (uint32_t i = 0; i <= count; i++) {
        const char *zero = text < end ? memchr(text, 0, (size_t)(end - text)) : NULL;
        if (zero == NULL)
            return "OPEN: a string without an end";
        if (i == count) {
            request->folder = text;
        } else {
            if (i == request->argument_count)
                request->strings[slot++] = NULL;
            request->strings[slot++] = text;
        }
        text = zero + 1;
    }
    if (request->environment_count == 0)
        request->strings[slot++] = NULL;
    request->strings[slot] = NULL;
    if (text != end)
        return "OPEN: more than it says";
    request->arguments = (char **)request->strings;
    request->environment = (char **)request->strings + request->argument_count + 1;
    return NULL;
}
