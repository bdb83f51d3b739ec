// SPDX-License-Identifier: BSD-2-Clause
// sources: linuxserver/programs/agent/frame.c
// Frames of the agent's channel: whole, in pieces, cut short, spoiled; and the
// payload of OPEN.
#include "linuxserver/programs/agent/frame.h"
#include "tap.h"

#include <stdlib.h>
#include <string.h>

static struct frame_parser parser;
static uint8_t wire[FRAME_WIRE_BYTES(AGENT_PAYLOAD_MAX) * 2];

static size_t write_frame(uint8_t *out, enum agent_type type, uint32_t session, const void *payload,
                          uint32_t length)
{
    struct frame frame = {
        .type = type, .stream = AGENT_STDERR, .session = session, .length = length};
    frame.payload = payload;
    return frame_write(out, &frame);
}

// Feeds bytes in pieces of a size; counts frames, and those that hold what is
// expected.
struct tally {
    unsigned frames, right;
};

static struct tally feed(const uint8_t *bytes, size_t count, size_t piece, const void *payload,
                         uint32_t length)
{
    struct tally tally = {0};
    for (size_t at = 0; at < count;) {
        size_t most = count - at < piece ? count - at : piece;
        struct frame frame;
        bool complete;
        at += frame_parse(&parser, bytes + at, most, &frame, &complete);
        if (!complete)
            continue;
        tally.frames++;
        tally.right += frame.length == length && frame.session == 0xf9fb0001 &&
                       frame.stream == AGENT_STDERR &&
                       (length == 0 || memcmp(frame.payload, payload, length) == 0);
    }
    return tally;
}

static void clear(void)
{
    memset(&parser, 0, sizeof parser);
}

static void test_whole_and_pieces(void)
{
    static uint8_t payload[AGENT_PAYLOAD_MAX];
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)(i % 3 == 0 ? AGENT_MARK : i % 7 == 0 ? AGENT_ESCAPE : i);
    static const uint32_t lengths[] = {0, 1, 7, 8, 9, 255, 4096, AGENT_PAYLOAD_MAX};
    static const size_t pieces[] = {1, 2, 3, 13, 4096, SIZE_MAX};
    bool right = true;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        size_t count = write_frame(wire, AGENT_DATA, 0xf9fb0001, payload, lengths[i]);
        count += write_frame(wire + count, AGENT_DATA, 0xf9fb0001, payload, lengths[i]);
        right &= count <= 2 * FRAME_WIRE_BYTES(lengths[i]);
        for (size_t j = 0; j < sizeof pieces / sizeof pieces[0]; j++) {
            clear();
            struct tally tally = feed(wire, count, pieces[j], payload, lengths[i]);
            right &= tally.frames == 2 && tally.right == 2 && parser.frames == 2 &&
                     parser.bad_frames == 0 && parser.skipped == 0;
        }
    }
    tap_ok(right, "frames of all lengths, in pieces of all lengths");
}

static void test_all_bytes(void)
{
    uint8_t payload[256], worst[64];
    for (unsigned i = 0; i < 256; i++)
        payload[i] = (uint8_t)i;
    memset(worst, AGENT_MARK, sizeof worst);
    clear();
    size_t count = write_frame(wire, AGENT_DATA, 0xf9fb0001, payload, sizeof payload);
    tap_ok(feed(wire, count, SIZE_MAX, payload, sizeof payload).right == 1, "every byte");
    tap_ok(memchr(wire + 1, AGENT_MARK, count - 1) == NULL, "the mark stands at the head only");
    // Type, stream, zero, session (two of four escaped), length: 14 bytes.
    tap_ok(write_frame(wire, AGENT_DATA, 0xf9fb0001, worst, sizeof worst) ==
               1 + 14 + 2 * sizeof worst,
           "marks take two bytes each");
}

static void test_cut_short(void)
{
    static const uint8_t payload[] = {1, 2, 3, AGENT_MARK, 5, 6, 7, 8};
    uint8_t first[64];
    size_t length = write_frame(first, AGENT_DATA, 0xf9fb0001, payload, sizeof payload);
    bool right = true;
    // However much of a frame there was, the next one is whole.
    for (size_t cut = 0; cut < length; cut++) {
        clear();
        memcpy(wire, first, cut);
        size_t count = cut + write_frame(wire + cut, AGENT_DATA, 0xf9fb0001, payload, 8);
        struct tally tally = feed(wire, count, SIZE_MAX, payload, 8);
        right &= tally.frames == 1 && tally.right == 1 && parser.bad_frames == (cut > 0);
    }
    tap_ok(right, "a frame behind one that was cut short");
    clear();
    memset(wire, 'n', 5);
    size_t count = 5 + write_frame(wire + 5, AGENT_DATA, 0xf9fb0001, payload, 8);
    memset(wire + count, 'm', 4);
    tap_ok(feed(wire, count + 4, 3, payload, 8).right == 1 && parser.skipped == 9,
           "bytes outside frames are skipped and counted");
}

// One frame with a byte of its header changed, then a good one.
static bool is_rejected(size_t offset, uint8_t value)
{
    clear();
    size_t count = write_frame(wire, AGENT_DATA, 0, "x", 1);
    wire[1 + offset] = value;
    count += write_frame(wire + count, AGENT_DATA, 0xf9fb0001, "x", 1);
    struct tally tally = feed(wire, count, SIZE_MAX, "x", 1);
    return tally.frames == 1 && tally.right == 1 && parser.bad_frames == 1;
}

static void test_spoiled(void)
{
    tap_ok(is_rejected(0, 0) && is_rejected(0, AGENT_TYPES) && is_rejected(0, 255), "wrong type");
    tap_ok(is_rejected(1, AGENT_STREAMS), "wrong stream");
    tap_ok(is_rejected(2, 1) && is_rejected(3, 1), "zero that is none");
    tap_ok(is_rejected(10, 2) && is_rejected(11, 0x80), "a payload that is too long");
    clear();
    static const uint8_t bad_escape[] = {AGENT_MARK, AGENT_DATA, AGENT_ESCAPE, 0x41};
    struct tally tally = feed(bad_escape, sizeof bad_escape, SIZE_MAX, "", 0);
    tap_ok(tally.frames == 0 && parser.bad_frames == 1 && !parser.inside, "an escape of nothing");
}

// --- OPEN ---------------------------------------------------------------------

static uint8_t open_bytes[AGENT_PAYLOAD_MAX];
static uint32_t open_length;
static struct open_request request;

static void begin_open(uint32_t flags, uint32_t arguments, uint32_t environment)
{
    memset(open_bytes, 0, AGENT_OPEN_BYTES);
    open_bytes[0] = (uint8_t)flags;
    open_bytes[2] = 24;
    open_bytes[4] = 80;
    open_bytes[6] = (uint8_t)arguments;
    open_bytes[7] = (uint8_t)(arguments >> 8);
    open_bytes[8] = (uint8_t)environment;
    open_length = AGENT_OPEN_BYTES;
}

static void add_string(const char *text)
{
    memcpy(open_bytes + open_length, text, strlen(text) + 1);
    open_length += (uint32_t)strlen(text) + 1;
}

// A copy of exactly that length, so that reading beyond it is seen.
static const char *read_open(void)
{
    static uint8_t *copy;
    free(copy);
    copy = malloc(open_length != 0 ? open_length : 1);
    memcpy(copy, open_bytes, open_length);
    return open_request_read(&request, copy, open_length);
}

static void test_open(void)
{
    begin_open(AGENT_OPEN_PTY, 2, 1);
    add_string("sh");
    add_string("");
    add_string("A=b");
    add_string("/tmp");
    tap_ok(read_open() == NULL && request.flags == AGENT_OPEN_PTY && request.rows == 24 &&
               request.columns == 80,
           "OPEN: flags and size");
    tap_ok(strcmp(request.arguments[0], "sh") == 0 && request.arguments[1][0] == 0 &&
               request.arguments[2] == NULL && strcmp(request.environment[0], "A=b") == 0 &&
               request.environment[1] == NULL && strcmp(request.folder, "/tmp") == 0,
           "OPEN: arguments, environment, folder");
    begin_open(0, 1, 0);
    add_string("true");
    add_string("");
    tap_ok(read_open() == NULL && request.environment[0] == NULL && request.folder[0] == 0,
           "OPEN: the least there can be");

    bool refused = true;
    uint32_t whole = open_length;
    for (open_length = 0; open_length < whole; open_length++)
        refused &= read_open() != NULL;
    tap_ok(refused, "OPEN: every cut is refused");
    add_string("more");
    tap_ok(read_open() != NULL, "OPEN: bytes behind the end");
    begin_open(0, 0, 0);
    add_string("");
    tap_ok(read_open() != NULL, "OPEN: no command");
    begin_open(4, 1, 0);
    add_string("x");
    add_string("");
    tap_ok(read_open() != NULL, "OPEN: unknown flags");
    begin_open(0, AGENT_OPEN_STRINGS - 2, 0);
    for (uint32_t i = 0; i < AGENT_OPEN_STRINGS - 1; i++)
        add_string("");
    tap_ok(read_open() == NULL, "OPEN: as many arguments as can be");
    begin_open(0, AGENT_OPEN_STRINGS - 1, 0);
    for (uint32_t i = 0; i < AGENT_OPEN_STRINGS; i++)
        add_string("");
    tap_ok(read_open() != NULL, "OPEN: one more");
}

int main(void)
{
    test_whole_and_pieces();
    test_all_bytes();
    test_cut_short();
    test_spoiled();
    test_open();
    return tap_end();
}
