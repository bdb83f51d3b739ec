// SPDX-License-Identifier: BSD-2-Clause
// The Noise handshake NNpsk0 over the cipher of aead.h and other primitives of BearSSL.
// Names in brackets are those of the framework's text.
#include "netipc/core/noise.h"

#include "netipc/core/aead.h"
#include "netipc/core/bytes.h"

#include <bearssl/bearssl_ec.h>
#include <bearssl/bearssl_hash.h>
#include <bearssl/bearssl_kdf.h>

#include <string.h>

static const char protocol_name[] = "Noise_NNpsk0_25519_ChaChaPoly_SHA256";

// --- Primitives -----------------------------------------------------------------

void noise_sha256(const void *first, size_t first_bytes, const void *second, size_t second_bytes,
                  uint8_t hash[NOISE_KEY_BYTES])
{
    br_sha256_context context;
    br_sha256_init(&context);
    br_sha256_update(&context, first, first_bytes);
    br_sha256_update(&context, second, second_bytes);
    br_sha256_out(&context, hash);
    explicit_bzero(&context, sizeof context);
}

void noise_hkdf(const void *salt, size_t salt_bytes, const void *secret, size_t secret_bytes,
                const void *info, size_t info_bytes, void *out, size_t bytes)
{
    br_hkdf_context context;
    br_hkdf_init(&context, &br_sha256_vtable, salt, salt_bytes);
    br_hkdf_inject(&context, secret, secret_bytes);
    br_hkdf_flip(&context);
    br_hkdf_produce(&context, info, info_bytes, out, bytes);
    explicit_bzero(&context, sizeof context);
}

// BearSSL's scalars are big-endian for other curves; for this one, in this version,
// they are what RFC 7748 says.
bool noise_x25519(const uint8_t scalar[NOISE_KEY_BYTES], uint8_t point[NOISE_KEY_BYTES])
{
    uint8_t any = 0;
    br_ec_c25519_m31.mul(point, NOISE_KEY_BYTES, scalar, NOISE_KEY_BYTES, BR_EC_curve25519);
    for (size_t i = 0; i < NOISE_KEY_BYTES; i++)
        any |= point[i];
    return any != 0;
}

static void x25519_base(const uint8_t scalar[NOISE_KEY_BYTES], uint8_t out[NOISE_KEY_BYTES])
{
    br_ec_c25519_m31.mulgen(out, scalar, NOISE_KEY_BYTES, BR_EC_curve25519);
}

// 12.3: four zeroes, then the counter, little-endian.
static void make_nonce(uint64_t counter, uint8_t nonce[AEAD_NONCE_BYTES])
{
    store_u32(nonce, 0);
    store_u64(nonce + 4, counter);
}

void noise_seal(const uint8_t key[NOISE_KEY_BYTES], uint64_t counter, const void *associated,
                size_t associated_bytes, void *data, size_t bytes, uint8_t tag[NOISE_TAG_BYTES])
{
    uint8_t nonce[AEAD_NONCE_BYTES];
    make_nonce(counter, nonce);
    aead_seal(key, nonce, associated, associated_bytes, data, bytes, tag);
}

bool noise_open(const uint8_t key[NOISE_KEY_BYTES], uint64_t counter, const void *associated,
                size_t associated_bytes, void *data, size_t bytes,
                const uint8_t tag[NOISE_TAG_BYTES])
{
    uint8_t nonce[AEAD_NONCE_BYTES];
    make_nonce(counter, nonce);
    return aead_open(key, nonce, associated, associated_bytes, data, bytes, tag);
}

bool noise_equal(const void *a, const void *b, size_t bytes)
{
    return aead_equal(a, b, bytes);
}

// --- The symmetric state (5.2) ----------------------------------------------------

// [MixHash]
static void mix_hash(struct noise_handshake *handshake, const void *data, size_t bytes)
{
    noise_sha256(handshake->hash, sizeof handshake->hash, data, bytes, handshake->hash);
}

// [MixKey]
static void mix_key(struct noise_handshake *handshake, const uint8_t secret[NOISE_KEY_BYTES])
{
    uint8_t keys[2][NOISE_KEY_BYTES];
    noise_hkdf(handshake->chaining_key, NOISE_KEY_BYTES, secret, NOISE_KEY_BYTES, "", 0, keys,
               sizeof keys);
    memcpy(handshake->chaining_key, keys[0], NOISE_KEY_BYTES);
    memcpy(handshake->key, keys[1], NOISE_KEY_BYTES);
    handshake->counter = 0;
    explicit_bzero(keys, sizeof keys);
}

// [MixKeyAndHash]
static void mix_key_and_hash(struct noise_handshake *handshake, const uint8_t psk[NOISE_KEY_BYTES])
{
    uint8_t keys[3][NOISE_KEY_BYTES];
    noise_hkdf(handshake->chaining_key, NOISE_KEY_BYTES, psk, NOISE_KEY_BYTES, "", 0, keys,
               sizeof keys);
    memcpy(handshake->chaining_key, keys[0], NOISE_KEY_BYTES);
    mix_hash(handshake, keys[1], NOISE_KEY_BYTES);
    memcpy(handshake->key, keys[2], NOISE_KEY_BYTES);
    handshake->counter = 0;
    explicit_bzero(keys, sizeof keys);
}

// [EncryptAndHash]: `out` has room for the payload and a tag.
static void encrypt_and_hash(struct noise_handshake *handshake, const void *payload, size_t bytes,
                             uint8_t *out)
{
    memcpy(out, payload, bytes);
    noise_seal(handshake->key, handshake->counter++, handshake->hash, sizeof handshake->hash, out,
               bytes, out + bytes);
    mix_hash(handshake, out, bytes + NOISE_TAG_BYTES);
}

// [DecryptAndHash]
static bool decrypt_and_hash(struct noise_handshake *handshake, const uint8_t *in, size_t bytes,
                             void *payload)
{
    uint8_t before[NOISE_KEY_BYTES];
    memcpy(before, handshake->hash, sizeof before);
    mix_hash(handshake, in, bytes + NOISE_TAG_BYTES);
    memcpy(payload, in, bytes);
    return noise_open(handshake->key, handshake->counter++, before, sizeof before, payload, bytes,
                      in + bytes);
}

// --- The handshake (5.3, 9) ---------------------------------------------------------

void noise_begin(struct noise_handshake *handshake, const void *prologue, size_t prologue_bytes,
                 const uint8_t psk[NOISE_KEY_BYTES], const uint8_t private_key[NOISE_KEY_BYTES])
{
    memset(handshake, 0, sizeof *handshake);
    memcpy(handshake->private_key, private_key, NOISE_KEY_BYTES);
    // The name is longer than a hash, so its hash takes its place.
    noise_sha256(protocol_name, sizeof protocol_name - 1, "", 0, handshake->hash);
    memcpy(handshake->chaining_key, handshake->hash, NOISE_KEY_BYTES);
    mix_hash(handshake, prologue, prologue_bytes);
    mix_key_and_hash(handshake, psk);
}

// The token e: with a psk the public key goes into the key, too.
static void mix_public_key(struct noise_handshake *handshake, const uint8_t key[NOISE_KEY_BYTES])
{
    mix_hash(handshake, key, NOISE_KEY_BYTES);
    mix_key(handshake, key);
}

// The token ee.
static bool mix_shared_secret(struct noise_handshake *handshake,
                              const uint8_t other[NOISE_KEY_BYTES])
{
    uint8_t shared[NOISE_KEY_BYTES];
    memcpy(shared, other, sizeof shared);
    bool any = noise_x25519(handshake->private_key, shared);
    mix_key(handshake, shared);
    explicit_bzero(shared, sizeof shared);
    return any;
}

void noise_write_first(struct noise_handshake *handshake, const void *payload, size_t bytes,
                       uint8_t *message)
{
    x25519_base(handshake->private_key, message);
    memcpy(handshake->public_key, message, NOISE_KEY_BYTES);
    mix_public_key(handshake, message);
    encrypt_and_hash(handshake, payload, bytes, message + NOISE_KEY_BYTES);
}

bool noise_read_first(struct noise_handshake *handshake, const uint8_t *message, size_t bytes,
                      void *payload)
{
    memcpy(handshake->public_key, message, NOISE_KEY_BYTES);
    mix_public_key(handshake, message);
    return decrypt_and_hash(handshake, message + NOISE_KEY_BYTES, bytes, payload);
}

bool noise_write_second(struct noise_handshake *handshake, const void *payload, size_t bytes,
                        uint8_t *message)
{
    x25519_base(handshake->private_key, message);
    mix_public_key(handshake, message);
    if (!mix_shared_secret(handshake, handshake->public_key)) {
        memset(message, 0, bytes + NOISE_OVERHEAD_BYTES);
        return false;
    }
    encrypt_and_hash(handshake, payload, bytes, message + NOISE_KEY_BYTES);
    return true;
}

bool noise_read_second(struct noise_handshake *handshake, const uint8_t *message, size_t bytes,
                       void *payload)
{
    mix_public_key(handshake, message);
    if (!mix_shared_secret(handshake, message)) {
        memset(payload, 0, bytes);
        return false;
    }
    return decrypt_and_hash(handshake, message + NOISE_KEY_BYTES, bytes, payload);
}

void noise_split(const struct noise_handshake *handshake, uint8_t initiator[NOISE_KEY_BYTES],
                 uint8_t responder[NOISE_KEY_BYTES])
{
    uint8_t keys[2][NOISE_KEY_BYTES];
    noise_hkdf(handshake->chaining_key, NOISE_KEY_BYTES, "", 0, "", 0, keys, sizeof keys);
    memcpy(initiator, keys[0], NOISE_KEY_BYTES);
    memcpy(responder, keys[1], NOISE_KEY_BYTES);
    explicit_bzero(keys, sizeof keys);
}
