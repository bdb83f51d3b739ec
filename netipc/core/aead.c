// SPDX-License-Identifier: BSD-2-Clause
// The composition of RFC 8439, 2.8. OpenSSL's two functions are of its own inside and so in
// none of its headers; what is declared here is theirs of version 3.0 (crypto/chacha/asm,
// crypto/poly1305/asm, crypto/poly1305/poly1305.c).
//
// Its ChaCha20 uses vector registers, though few, so short texts and the keys of tags are
// BearSSL's: no faster by itself, but in the network server the first use of such a register
// behind a switch of threads is a trap.
#include "netipc/core/aead.h"

#include "netipc/core/bytes.h"

#include <bearssl/bearssl_block.h>

#include <string.h>

#define SHORT_BYTES        256 // are encrypted without a vector register
#define BLOCK_BYTES        64  // of ChaCha20
#define MAC_BLOCK_BYTES    16u
#define ONE_TIME_KEY_BYTES 32
#define CAPABILITY_SSSE3   (1u << 9) // in word 1, which is ecx of CPUID's leaf 1

// What OpenSSL knows of the processor. With zeroes it uses what every x86-64 has.
unsigned OPENSSL_ia32cap_P[4];

struct mac_state {
    double opaque[24];
};

struct mac_functions {
    void (*blocks)(struct mac_state *state, const uint8_t *data, size_t bytes, uint32_t high_bit);
    void (*emit)(struct mac_state *state, uint8_t tag[AEAD_TAG_BYTES], const uint32_t addend[4]);
};

// Encrypts whole or cut blocks. `counter` is the block's number and the nonce.
void ChaCha20_ctr32(uint8_t *out, const uint8_t *in, size_t bytes, const uint8_t *key,
                    const uint32_t counter[4]);
// Tells by which functions the rest is to be done.
int poly1305_init(struct mac_state *state, const uint8_t *key, struct mac_functions *functions);

void aead_use_vectors(bool vectors)
{
    OPENSSL_ia32cap_P[1] = vectors ? CAPABILITY_SSSE3 : 0;
}

bool aead_equal(const void *a, const void *b, size_t bytes)
{
    // Volatile, so that no compiler makes a loop of it that ends early.
    const volatile uint8_t *x = a, *y = b;
    uint8_t difference = 0;
    for (size_t i = 0; i < bytes; i++)
        difference |= x[i] ^ y[i];
    return difference == 0;
}

// --- The tag (2.5, 2.8) -------------------------------------------------------------

struct mac {
    struct mac_state state;
    struct mac_functions functions;
    uint32_t addend[4];
};

// Each part is filled up with zeroes to whole blocks.
static void absorb(struct mac *mac, const uint8_t *data, size_t bytes)
{
    uint8_t last[MAC_BLOCK_BYTES] = {0};
    size_t rest = bytes % MAC_BLOCK_BYTES, whole = bytes - rest;

    if (whole != 0)
        mac->functions.blocks(&mac->state, data, whole, 1);
    if (rest == 0)
        return;
    memcpy(last, data + whole, rest);
    mac->functions.blocks(&mac->state, last, sizeof last, 1);
}

static void make_tag(const uint8_t one_time_key[ONE_TIME_KEY_BYTES], const void *associated,
                     size_t associated_bytes, const void *data, size_t bytes,
                     uint8_t tag[AEAD_TAG_BYTES])
{
    uint8_t lengths[MAC_BLOCK_BYTES];
    struct mac mac;

    (void)poly1305_init(&mac.state, one_time_key, &mac.functions);
    memcpy(mac.addend, one_time_key + 16, sizeof mac.addend);
    absorb(&mac, associated, associated_bytes);
    absorb(&mac, data, bytes);
    store_u64(lengths, associated_bytes);
    store_u64(lengths + 8, bytes);
    absorb(&mac, lengths, sizeof lengths);
    mac.functions.emit(&mac.state, tag, mac.addend);
    explicit_bzero(&mac, sizeof mac);
}

// --- Both together (2.6, 2.8) -------------------------------------------------------

// Block 0 has the key of the tag.
static void make_one_time_key(const uint8_t *key, const uint8_t *nonce, uint8_t block[BLOCK_BYTES])
{
    memset(block, 0, BLOCK_BYTES);
    (void)br_chacha20_ct_run(key, nonce, 0, block, BLOCK_BYTES);
}

static void encrypt(const uint8_t *key, const uint8_t *nonce, uint8_t *data, size_t bytes)
{
    uint32_t counter[4] = {1};

    if (bytes <= SHORT_BYTES) {
        (void)br_chacha20_ct_run(key, nonce, counter[0], data, bytes);
        return;
    }
    memcpy(counter + 1, nonce, AEAD_NONCE_BYTES);
    ChaCha20_ctr32(data, data, bytes, key, counter);
}

void aead_seal(const uint8_t key[AEAD_KEY_BYTES], const uint8_t nonce[AEAD_NONCE_BYTES],
               const void *associated, size_t associated_bytes, void *data, size_t bytes,
               uint8_t tag[AEAD_TAG_BYTES])
{
    uint8_t block[BLOCK_BYTES];

    make_one_time_key(key, nonce, block);
    encrypt(key, nonce, data, bytes);
    make_tag(block, associated, associated_bytes, data, bytes, tag);
    explicit_bzero(block, sizeof block);
}

bool aead_open(const uint8_t key[AEAD_KEY_BYTES], const uint8_t nonce[AEAD_NONCE_BYTES],
               const void *associated, size_t associated_bytes, void *data, size_t bytes,
               const uint8_t tag[AEAD_TAG_BYTES])
{
    uint8_t block[BLOCK_BYTES], right[AEAD_TAG_BYTES];

    make_one_time_key(key, nonce, block);
    make_tag(block, associated, associated_bytes, data, bytes, right);
    bool opened = aead_equal(right, tag, sizeof right);
    // It is the tag that a forger was looking for.
    explicit_bzero(right, sizeof right);
    explicit_bzero(block, sizeof block);
    if (!opened)
        memset(data, 0, bytes);
    else
        encrypt(key, nonce, data, bytes);
    return opened;
}
