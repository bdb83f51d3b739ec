// SPDX-License-Identifier: BSD-2-Clause
// Sessions on a native task: that BearSSL as built for it computes what its standards
// say, that two sessions agree, and what they cost in instructions. Prints TAP, and
// rows for tests/kernel/secure.sh.
#include "tests/kernel/bench/measure.h"
#include "tests/unit/hex.h"
#include "tests/unit/secure_scene.h"

#include <stdio.h>

#define SEGMENT_ROUNDS 51
#define HELLO_ROUNDS   3
#define SMALL_BYTES    64
#define LARGE_BYTES    16384

static unsigned tests, failures;
static struct scene scene;

static void ok(bool passed, const char *text)
{
    printf("%sok %u - %s\n", passed ? "" : "not ", ++tests, text);
    failures += !passed;
}

static bool is_hex(const void *bytes, const char *digits)
{
    uint8_t expected[128];
    size_t count = hex_read(expected, digits);
    return memcmp(bytes, expected, count) == 0;
}

static void test_primitives(void)
{
    uint8_t out[42], secret[32], point[32], data[16] = {0}, tag[16];
    noise_sha256("abc", 3, "", 0, out);
    ok(is_hex(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
       "SHA-256 of \"abc\"");
    memset(secret, 0x0b, 22);
    noise_hkdf("", 0, secret, 22, "", 0, out, 42);
    ok(is_hex(out, "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
                   "9d201395faa4b61a96c8"),
       "HKDF, RFC 5869 A.3");
    hex_read(secret, "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4");
    hex_read(point, "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c");
    ok(noise_x25519(secret, point) &&
           is_hex(point, "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"),
       "X25519, RFC 7748 5.2");
    // Zeroes under the zero key: the second block of ChaCha20 in A.1 of the RFC.
    memset(secret, 0, sizeof secret);
    noise_seal(secret, 0, "", 0, data, sizeof data, tag);
    ok(is_hex(data, "9f07e7be5551387a98ba977c732d080d") &&
           noise_open(secret, 0, "", 0, data, sizeof data, tag),
       "ChaCha20-Poly1305, RFC 8439 A.1");
}

static void test_layout(void)
{
    uint8_t segment[SECURE_OVERHEAD_BYTES + 5];
    scene_begin(&scene, SECURE_ENCRYPT);
    ok(scene_hellos(&scene) == SECURE_OK &&
           is_hex(scene.answer, "605a725d2a4adfeeb1a29e17edd621c1"),
       "the hellos are those that the host makes of the same values");
    memcpy(segment + SECURE_HEADER_BYTES, scene_body, 5);
    secure_seal(&scene.initiator, segment, 5);
    ok(is_hex(segment, "050000004ba6f2c4cc4f7c0f78ac13e86986162db672a9cf46"),
       "and so is the first segment");
}

static void measure_segments(uint32_t options, size_t bytes, const char *seal_name,
                             const char *open_name)
{
    static uint8_t segments[SEGMENT_ROUNDS][SECURE_SEGMENT_MAX];
    bool right = scene_open(&scene, options) == SECURE_OK;
    struct row *row = measure_row(seal_name, "instructions", "");
    for (unsigned i = 0; i < SEGMENT_ROUNDS; i++) {
        memset(segments[i], (int)i, sizeof segments[i]);
        uint64_t start = processor_time();
        size_t length = secure_seal(&scene.initiator, segments[i], bytes);
        row->samples[row->count++] = processor_time() - start;
        right &= length == bytes + SECURE_OVERHEAD_BYTES;
    }
    measure_print(row);
    row = measure_row(open_name, "instructions", "");
    for (unsigned i = 0; i < SEGMENT_ROUNDS; i++) {
        uint64_t start = processor_time();
        enum secure_error error = secure_open(&scene.responder, segments[i]);
        row->samples[row->count++] = processor_time() - start;
        right &= error == SECURE_OK && segments[i][SECURE_HEADER_BYTES + bytes - 1] == i;
    }
    measure_print(row);
    ok(right, open_name);
}

static void measure_hellos(void)
{
    static const char *const names[] = {"hello_initiate", "hello_accept", "hello_complete"};
    bool right = true;
    scene_begin(&scene, SECURE_ENCRYPT);
    for (int step = 0; step < 3; step++) {
        struct row *row = measure_row(names[step], "instructions", "");
        for (unsigned i = 0; i < HELLO_ROUNDS; i++) {
            struct secure_session before = scene.initiator;
            uint64_t start = processor_time();
            enum secure_error error = step == 0   ? scene_hello(&scene)
                                      : step == 1 ? scene_accept(&scene)
                                                  : secure_complete(&scene.initiator, scene.answer);
            row->samples[row->count++] = processor_time() - start;
            right &= error == SECURE_OK;
            if (step == 2 && i + 1 < HELLO_ROUNDS)
                scene.initiator = before;
        }
        measure_print(row);
    }
    ok(right && secure_is_open(&scene.initiator), "hellos");
}

int main(void)
{
    measure_calibrate();
    test_primitives();
    test_layout();
    measure_segments(SECURE_ENCRYPT, SMALL_BYTES, "seal_64", "open_64");
    measure_segments(SECURE_ENCRYPT, LARGE_BYTES, "seal_16k", "open_16k");
    measure_segments(0, SMALL_BYTES, "seal_clear_64", "open_clear_64");
    measure_segments(0, LARGE_BYTES, "seal_clear_16k", "open_clear_16k");
    measure_hellos();
    printf("1..%u\n", tests);
    return failures == 0 ? 0 : 1;
}
