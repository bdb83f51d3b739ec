// SPDX-License-Identifier: BSD-2-Clause
// sources: netipc/core/secure.c netipc/core/noise.c netipc/core/aead.c $(CRYPTO_UNIT)
// Any bytes at all from the wire, in any order of calls: no crash; nothing is
// accepted but what the other end has made, in order; what has ended stays so.
// Input: one byte says what is done, bytes behind it are what is received.
#include "tests/unit/secure_scene.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct scene scene;
static struct scene prepared[2][2]; // by whether they encrypt, by whether the hellos are through
static uint8_t honest[SECURE_SEGMENT_MAX]; // the initiator's segment on its way, if any
static size_t honest_bytes;

static void must(bool holds)
{
    if (!holds)
        abort();
}

// Takes up to `most` bytes of the input; the rest are zero.
static void take(const uint8_t **data, size_t *size, uint8_t *out, size_t most)
{
    size_t count = *size < most ? *size : most;
    memset(out, 0, most);
    memcpy(out, *data, count);
    *data += count;
    *size -= count;
}

static void receive_hello(const uint8_t **data, size_t *size, bool payload)
{
    uint8_t hello[SECURE_HELLO_BYTES], answer[SECURE_HELLO_BYTES], body[72];
    if (payload) { // as from a holder of the key, so that the payload is judged, too
        struct noise_handshake forger;
        take(data, size, body, sizeof body);
        noise_begin(&forger, "Corvus session", 14, scene.one.key, scene.entropy_one);
        noise_write_first(&forger, body, sizeof body, hello);
    } else {
        take(data, size, hello, sizeof hello);
    }
    static struct secure_session session;
    enum secure_error error = secure_accept(&session, &scene.two, scene.entropy_two, hello, answer);
    if (error != SECURE_OK) {
        must(scene_is_wiped(&session, error));
        return;
    }
    must(payload && session.state == SECURE_UNCONFIRMED && secure_peer(&session) == NULL);
    must(session.peer.node != 0 && session.peer.node != 2 && body[0] == SECURE_VERSION &&
         body[12] == 2 && memcmp(body + 40, scene.two.self.cluster, 32) == 0);
}

static void receive_answer(const uint8_t **data, size_t *size)
{
    uint8_t answer[SECURE_HELLO_BYTES];
    take(data, size, answer, sizeof answer);
    static struct secure_session session;
    session = prepared[scene.one.self.options][0].initiator;
    must(secure_complete(&session, answer) == SECURE_ERROR_KEY);
    must(scene_is_wiped(&session, SECURE_ERROR_KEY));
}

static void send_segment(size_t bytes)
{
    scene_fill(honest + SECURE_HEADER_BYTES, (unsigned)bytes, bytes);
    honest_bytes = secure_seal(&scene.initiator, honest, bytes);
    must(honest_bytes == bytes + SECURE_OVERHEAD_BYTES);
}

// Receives into memory as long as the header says, so that reading beyond it is
// seen. The honest segment comes with input laid over it, which mostly changes it.
static void receive_segment(const uint8_t **data, size_t *size, bool start_honest)
{
    uint8_t header[SECURE_HEADER_BYTES], patch[8];
    enum secure_state before = scene.responder.state;
    size_t body_bytes = 0;
    if (start_honest)
        memcpy(header, honest, sizeof header);
    else
        take(data, size, header, sizeof header);
    enum secure_error error = secure_open_header(&scene.responder, header, &body_bytes);
    if (error != SECURE_OK) {
        must(error == (before == SECURE_CLOSED ? SECURE_ERROR_CLOSED : SECURE_ERROR_LENGTH));
        must(scene.responder.state == SECURE_CLOSED);
        return;
    }
    size_t bytes = body_bytes + SECURE_OVERHEAD_BYTES;
    uint8_t *segment = calloc(1, bytes);
    must(segment != NULL);
    memcpy(segment, header, sizeof header);
    if (start_honest && honest_bytes == bytes) {
        memcpy(segment, honest, bytes);
        take(data, size, patch, sizeof patch);
        size_t at =
            SECURE_HEADER_BYTES + (patch[0] | patch[1] << 8) % (bytes - SECURE_HEADER_BYTES);
        segment[at] ^= patch[2];
    } else {
        take(data, size, segment + SECURE_HEADER_BYTES, bytes - SECURE_HEADER_BYTES);
    }
    bool same = honest_bytes == bytes && memcmp(segment, honest, bytes) == 0;
    error = secure_open(&scene.responder, segment);
    must((error == SECURE_OK) == same);
    must(same ? secure_is_open(&scene.responder)
              : scene_is_wiped(&scene.responder, SECURE_ERROR_SEGMENT));
    honest_bytes = 0;
    memset(honest, 0, sizeof honest);
    free(segment);
}

// Hellos are slow, and always the same.
static void prepare(void)
{
    for (uint32_t options = 0; options <= SECURE_ENCRYPT; options++) {
        scene_begin(&prepared[options][0], options);
        must(scene_hello(&prepared[options][0]) == SECURE_OK);
        prepared[options][1] = prepared[options][0];
        must(scene_hellos(&prepared[options][1]) == SECURE_OK);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (prepared[0][0].one.self.node == 0)
        prepare();
    if (size == 0)
        return 0;
    scene = prepared[data[0] & 1][1];
    // Else libFuzzer, which sees what memcmp compares, learns a good segment in one
    // run and sends it in the next.
    noise_sha256(data, size, "", 0, scene.initiator.send_key);
    memcpy(scene.responder.receive_key, scene.initiator.send_key, NOISE_KEY_BYTES);
    honest_bytes = 0;
    memset(honest, 0, sizeof honest);
    for (data++, size--; size > 0;) {
        uint8_t what = *data++;
        size--;
        switch (what % 5) {
        case 0:
            receive_hello(&data, &size, false);
            break;
        case 1:
            receive_hello(&data, &size, true);
            break;
        case 2:
            receive_answer(&data, &size);
            break;
        case 3:
            if (honest_bytes == 0)
                send_segment(1 + what / 5);
            receive_segment(&data, &size, true);
            break;
        default:
            receive_segment(&data, &size, false);
        }
    }
    return 0;
}
