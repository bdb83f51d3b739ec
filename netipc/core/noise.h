// SPDX-License-Identifier: BSD-2-Clause
// The handshake Noise_NNpsk0_25519_ChaChaPoly_SHA256 (The Noise Protocol
// Framework, revision 34) and the primitives it is made of. Pure
// functions: no I/O, no clock, no allocation, nothing kept outside the structure
// that is handed in. What the messages say is secure.h's business.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NOISE_KEY_BYTES 32 // of every key, public or secret, and of every hash
#define NOISE_TAG_BYTES 16
// What a handshake message has beside its payload: a public key and a tag.
#define NOISE_OVERHEAD_BYTES (NOISE_KEY_BYTES + NOISE_TAG_BYTES)

// One side of a handshake: 5.2 and 5.3 of the framework. Secret; to be wiped.
struct noise_handshake {
    uint8_t chaining_key[NOISE_KEY_BYTES];
    uint8_t hash[NOISE_KEY_BYTES]; // of all that both sides have seen so far
    uint8_t key[NOISE_KEY_BYTES];  // for the next payload
    uint64_t counter;              // of payloads under this key
    uint8_t private_key[NOISE_KEY_BYTES];
    uint8_t public_key[NOISE_KEY_BYTES]; // of the initiator, on both sides
};

// Begins on either side. `private_key` is 32 fresh random bytes, used for this
// handshake and never again. The prologue is public; both sides need the same.
void noise_begin(struct noise_handshake *handshake, const void *prologue, size_t prologue_bytes,
                 const uint8_t psk[NOISE_KEY_BYTES], const uint8_t private_key[NOISE_KEY_BYTES]);

// The two messages, initiator to responder and back. A message has
// NOISE_OVERHEAD_BYTES more than its payload. Reading returns false when the
// message was not made with the same psk, prologue and, for the second one, as
// the answer to our first; the payload is then zero. The second message is also
// refused, by either side, when the other's public key is one of the few that
// make the shared secret zero. After a false a handshake can only be wiped.
void noise_write_first(struct noise_handshake *handshake, const void *payload, size_t bytes,
                       uint8_t *message);
bool noise_read_first(struct noise_handshake *handshake, const uint8_t *message, size_t bytes,
                      void *payload);
bool noise_write_second(struct noise_handshake *handshake, const void *payload, size_t bytes,
                        uint8_t *message);
bool noise_read_second(struct noise_handshake *handshake, const uint8_t *message, size_t bytes,
                       void *payload);

// After both messages: the keys for what the initiator and the responder send.
void noise_split(const struct noise_handshake *handshake, uint8_t initiator[NOISE_KEY_BYTES],
                 uint8_t responder[NOISE_KEY_BYTES]);

// --- Primitives -----------------------------------------------------------------

void noise_sha256(const void *first, size_t first_bytes, const void *second, size_t second_bytes,
                  uint8_t hash[NOISE_KEY_BYTES]);

// HKDF-SHA-256 (RFC 5869); at most 8160 bytes come out.
void noise_hkdf(const void *salt, size_t salt_bytes, const void *secret, size_t secret_bytes,
                const void *info, size_t info_bytes, void *out, size_t bytes);

// X25519 (RFC 7748): `point` becomes scalar * point; false, and the product is
// useless, when it is zero. All numbers are little-endian.
bool noise_x25519(const uint8_t scalar[NOISE_KEY_BYTES], uint8_t point[NOISE_KEY_BYTES]);

// ChaCha20-Poly1305 (RFC 8439) in place; the nonce is the counter, as Noise has
// it (12.3). noise_open writes zeroes over what does not open.
void noise_seal(const uint8_t key[NOISE_KEY_BYTES], uint64_t counter, const void *associated,
                size_t associated_bytes, void *data, size_t bytes, uint8_t tag[NOISE_TAG_BYTES]);
bool noise_open(const uint8_t key[NOISE_KEY_BYTES], uint64_t counter, const void *associated,
                size_t associated_bytes, void *data, size_t bytes,
                const uint8_t tag[NOISE_TAG_BYTES]);

// Compares in a time that does not depend on what the bytes are.
bool noise_equal(const void *a, const void *b, size_t bytes);
