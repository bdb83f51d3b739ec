// SPDX-License-Identifier: BSD-2-Clause
// sources: netipc/core/secure.c netipc/core/noise.c netipc/core/aead.c $(CRYPTO_UNIT)
// Segments of open sessions: what is altered, repeated, lost, turned round or too
// long ends the session, and it stays ended.
#include "tests/unit/secure_scene.h"
#include "tests/unit/hex.h"
#include "tap.h"

#define BODY_BYTES    64
#define SEGMENT_BYTES (BODY_BYTES + SECURE_OVERHEAD_BYTES)

static struct scene scene;
static uint8_t segments[3][SECURE_SEGMENT_MAX];

// Three segments from the initiator, to be opened by the responder.
static void make_segments(uint32_t options)
{
    scene_open(&scene, options);
    for (unsigned i = 0; i < 3; i++) {
        memset(segments[i], 0, sizeof segments[i]);
        scene_fill(segments[i] + SECURE_HEADER_BYTES, i, BODY_BYTES);
        secure_seal(&scene.initiator, segments[i], BODY_BYTES);
    }
}

static bool is_ended(const uint8_t *segment, enum secure_error error, enum secure_error expected)
{
    static const uint8_t zeroes[BODY_BYTES];
    uint8_t copy[SEGMENT_BYTES];
    size_t bytes = 0;
    memcpy(copy, segments[2], sizeof copy);
    return error == expected && scene_is_wiped(&scene.responder, expected) &&
           (segment == NULL || memcmp(segment + SECURE_HEADER_BYTES, zeroes, BODY_BYTES) == 0) &&
           secure_open(&scene.responder, copy) == SECURE_ERROR_CLOSED &&
           secure_open_header(&scene.responder, copy, &bytes) == SECURE_ERROR_CLOSED &&
           secure_seal(&scene.responder, copy, 1) == 0 && secure_peer(&scene.responder) == NULL &&
           scene_is_wiped(&scene.responder, expected);
}

static void test_layout(uint32_t options, const char *first, const char *second, const char *back)
{
    uint8_t expected[3][SECURE_OVERHEAD_BYTES + 5], made[3][SECURE_OVERHEAD_BYTES + 5];
    hex_read(expected[0], first);
    hex_read(expected[1], second);
    hex_read(expected[2], back);
    scene_begin(&scene, options);
    scene_hellos(&scene);
    memcpy(made[0] + SECURE_HEADER_BYTES, scene_body, 5);
    hex_read(made[1] + SECURE_HEADER_BYTES, "616761696e");
    memcpy(made[2] + SECURE_HEADER_BYTES, scene_body, 5);
    secure_seal(&scene.initiator, made[0], 5);
    secure_seal(&scene.initiator, made[1], 5);
    uint8_t copy[SECURE_OVERHEAD_BYTES + 5];
    memcpy(copy, made[0], sizeof copy);
    secure_open(&scene.responder, copy);
    secure_seal(&scene.responder, made[2], 5);
    tap_ok(memcmp(made, expected, sizeof made) == 0, "layout, as a second implementation makes it");
    tap_ok(memcmp(made[0] + SECURE_HEADER_BYTES, made[2] + SECURE_HEADER_BYTES,
                  options != 0 ? 5 : 5 + SECURE_TAG_BYTES) != 0,
           "the two directions have different keys");
    bool clear = memcmp(made[0] + SECURE_HEADER_BYTES, scene_body, 5) == 0;
    tap_ok(clear == (options == 0), "the body can be read only where it may be");
}

static void test_every_bit(uint32_t options)
{
    bool ended = true;
    for (size_t bit = 0; bit < (size_t)SEGMENT_BYTES * 8; bit++) {
        make_segments(options);
        uint8_t *segment = segments[0];
        segment[bit / 8] ^= (uint8_t)(1 << bit % 8);
        uint32_t length =
            segment[0] | segment[1] << 8 | segment[2] << 16 | (uint32_t)segment[3] << 24;
        bool possible = length >= 1 && length <= SECURE_BODY_MAX;
        ended &=
            is_ended(length == BODY_BYTES ? segment : NULL, secure_open(&scene.responder, segment),
                     possible ? SECURE_ERROR_SEGMENT : SECURE_ERROR_LENGTH);
    }
    tap_ok(ended, "a segment with any bit changed ends the session, and its body is wiped");
}

static void test_order(uint32_t options)
{
    make_segments(options);
    static uint8_t again[SECURE_SEGMENT_MAX];
    memcpy(again, segments[0], sizeof again);
    tap_ok(secure_open(&scene.responder, segments[0]) == SECURE_OK &&
               is_ended(again, secure_open(&scene.responder, again), SECURE_ERROR_SEGMENT),
           "a segment that comes twice");
    make_segments(options);
    tap_ok(is_ended(segments[1], secure_open(&scene.responder, segments[1]), SECURE_ERROR_SEGMENT),
           "a segment that comes too early, or the one before it is lost");
    make_segments(options);
    tap_ok(secure_open(&scene.initiator, segments[0]) == SECURE_ERROR_SEGMENT &&
               scene_is_wiped(&scene.initiator, SECURE_ERROR_SEGMENT),
           "a segment that comes back to its sender");
    make_segments(options);
    memcpy(again, segments[0], SEGMENT_BYTES - 1);
    memcpy(again + SEGMENT_BYTES - 1, segments[1], SEGMENT_BYTES);
    tap_ok(is_ended(again, secure_open(&scene.responder, again), SECURE_ERROR_SEGMENT),
           "a segment cut by a byte, and the next behind it");
    make_segments(options);
    static struct scene other;
    scene_begin(&other, options);
    scene_fill(other.entropy_two, 0x55, SECURE_KEY_BYTES);
    scene_hellos(&other);
    tap_ok(secure_open(&other.responder, segments[0]) == SECURE_ERROR_SEGMENT &&
               scene_is_wiped(&other.responder, SECURE_ERROR_SEGMENT),
           "a segment of another session between the same nodes");
}

static void test_lengths(void)
{
    static const uint32_t wrong[] = {0, SECURE_BODY_MAX + 1, 0x10000, 0x80000040, 0xffffffff};
    bool ended = true;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        uint8_t header[SECURE_HEADER_BYTES];
        size_t bytes = 77;
        make_segments(SECURE_ENCRYPT);
        memcpy(header, &wrong[i], sizeof header);
        ended &= is_ended(NULL, secure_open_header(&scene.responder, header, &bytes),
                          SECURE_ERROR_LENGTH) &&
                 bytes == 77;
    }
    tap_ok(ended, "impossible lengths");
    make_segments(SECURE_ENCRYPT);
    uint64_t sent = scene.initiator.sent;
    tap_ok(secure_seal(&scene.initiator, segments[0], 0) == 0 &&
               secure_seal(&scene.initiator, segments[0], SECURE_BODY_MAX + 1) == 0 &&
               secure_is_open(&scene.initiator) && scene.initiator.sent == sent,
           "no segment is made with one, and nothing else happens");
}

static void test_limit(void)
{
    scene_open(&scene, SECURE_ENCRYPT);
    scene.initiator.sent = scene.responder.received = SECURE_SEGMENTS_MAX - 1;
    tap_ok(scene_send(&scene.initiator, &scene.responder, 1, 9) == SECURE_OK,
           "the last segment that one session may have");
    uint8_t segment[SECURE_OVERHEAD_BYTES + 9] = {9};
    tap_ok(secure_seal(&scene.initiator, segment, 9) == 0 &&
               scene_is_wiped(&scene.initiator, SECURE_ERROR_EXHAUSTED),
           "no further one is made");
    tap_ok(secure_open(&scene.responder, segment) == SECURE_ERROR_EXHAUSTED &&
               scene_is_wiped(&scene.responder, SECURE_ERROR_EXHAUSTED),
           "nor taken");
}

static void test_end(void)
{
    scene_open(&scene, SECURE_ENCRYPT);
    secure_end(&scene.initiator);
    tap_ok(scene_is_wiped(&scene.initiator, SECURE_OK), "a session that its owner ends is wiped");
    uint8_t *segment = segments[0];
    size_t bytes;
    struct secure_session none;
    memset(&none, 0, sizeof none);
    tap_ok(secure_seal(&none, segment, 1) == 0 &&
               secure_open(&none, segment) == SECURE_ERROR_CLOSED &&
               secure_open_header(&none, segment, &bytes) == SECURE_ERROR_CLOSED &&
               secure_complete(&none, segment) == SECURE_ERROR_CLOSED,
           "a session that has not begun does nothing");
    scene_begin(&scene, SECURE_ENCRYPT);
    scene_hello(&scene);
    tap_ok(secure_seal(&scene.initiator, segment, 1) == 0 &&
               secure_open(&scene.initiator, segment) == SECURE_ERROR_CLOSED &&
               scene.initiator.state == SECURE_INITIATED,
           "nor one that waits for its answer");
}

static void test_fresh_keys(void)
{
    static struct scene other;
    scene_begin(&scene, SECURE_ENCRYPT);
    scene_hellos(&scene);
    scene_begin(&other, SECURE_ENCRYPT);
    scene_fill(other.entropy_one, 0x12, SECURE_KEY_BYTES);
    scene_hellos(&other);
    const struct secure_session *a = &scene.initiator, *b = &other.initiator;
    tap_ok(memcmp(a->send_key, b->send_key, 32) != 0 &&
               memcmp(a->receive_key, b->receive_key, 32) != 0 &&
               memcmp(a->send_key, a->receive_key, 32) != 0 &&
               memcmp(a->send_key, scene.responder.receive_key, 32) == 0,
           "each session has keys of its own");
    static const struct noise_handshake wiped;
    tap_ok(memcmp(&a->handshake, &wiped, sizeof wiped) == 0 &&
               memcmp(&scene.responder.handshake, &wiped, sizeof wiped) == 0,
           "nothing is left of what they came from");
}

int main(void)
{
    test_layout(SECURE_ENCRYPT, "050000004ba6f2c4cc4f7c0f78ac13e86986162db672a9cf46",
                "05000000cd0e57ae46b7f16d8879ba954196ef5eb2c1c52fb5",
                "05000000ff82c25c0a39b27f5223f9422f6ae2dd4220610db1");
    test_layout(0, "0500000068656c6c6fbbb553e26493aa9eee5cca94096f91ef",
                "05000000616761696e139227c841a6d4e6c240a59c666d27b2",
                "0500000068656c6c6f39ca3ea467c0b2aad484c890c5e8a0b5");
    test_every_bit(SECURE_ENCRYPT);
    test_every_bit(0);
    test_order(SECURE_ENCRYPT);
    test_order(0);
    test_lengths();
    test_limit();
    test_end();
    test_fresh_keys();
    return tap_end();
}
