// SPDX-License-Identifier: BSD-2-Clause
// The cipher AEAD_CHACHA20_POLY1305 of RFC 8439, made mostly of functions of OpenSSL's that are
// written in assembly language: of those that Debian has, they need the fewest instructions a byte
// without vector registers. Their time does not depend on keys and data.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AEAD_KEY_BYTES   32
#define AEAD_NONCE_BYTES 12
#define AEAD_TAG_BYTES   16

// Encrypts in place (2.8) and makes the tag. A key has each nonce once.
void aead_seal(const uint8_t key[AEAD_KEY_BYTES], const uint8_t nonce[AEAD_NONCE_BYTES],
               const void *associated, size_t associated_bytes, void *data, size_t bytes,
               uint8_t tag[AEAD_TAG_BYTES]);

// Decrypts in place; or returns false, when the tag is another one, and the data is wiped.
bool aead_open(const uint8_t key[AEAD_KEY_BYTES], const uint8_t nonce[AEAD_NONCE_BYTES],
               const void *associated, size_t associated_bytes, void *data, size_t bytes,
               const uint8_t tag[AEAD_TAG_BYTES]);

// Whether SSSE3 encrypts, which the processor must have; at first it does not. For the whole
// program: not while another thread is in a function above.
void aead_use_vectors(bool vectors);

// Compares in a time that does not depend on what the bytes are.
bool aead_equal(const void *a, const void *b, size_t bytes);
