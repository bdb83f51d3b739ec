// SPDX-License-Identifier: BSD-2-Clause
// sources: netipc/core/noise.c netipc/core/aead.c $(CRYPTO_UNIT)
// The primitives of sessions against the vectors of their standards, through the
// functions that sessions use, so that a wrong build of a library is seen; and the
// handshake against published vectors of Noise.
#include "netipc/core/aead.h"
#include "netipc/core/noise.h"
#include "tests/unit/hex.h"
#include "tap.h"

#include <bearssl/bearssl_block.h>

#include <stdlib.h>
#include <string.h>

static bool is_hex(const void *bytes, const char *digits)
{
    uint8_t expected[512];
    size_t count = hex_read(expected, digits);
    return memcmp(bytes, expected, count) == 0;
}

static void fill(uint8_t *out, unsigned from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)(from + i);
}

static void test_hashes(void)
{
    uint8_t out[82], secret[80], salt[80], info[80];
    noise_sha256("a", 1, "bc", 2, out);
    tap_ok(is_hex(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
           "SHA-256, FIPS 180-4: \"abc\" in two pieces");
    memset(secret, 0x0b, 22);
    fill(salt, 0, 13);
    fill(info, 0xf0, 10);
    noise_hkdf(salt, 13, secret, 22, info, 10, out, 42);
    tap_ok(is_hex(out, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
                       "34007208d5b887185865"),
           "HKDF, RFC 5869 A.1");
    noise_hkdf("", 0, secret, 22, "", 0, out, 42);
    tap_ok(is_hex(out, "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
                       "9d201395faa4b61a96c8"),
           "HKDF, RFC 5869 A.3: neither salt nor info");
    fill(secret, 0, 80);
    fill(salt, 0x60, 80);
    fill(info, 0xb0, 80);
    noise_hkdf(salt, 80, secret, 80, info, 80, out, 82);
    tap_ok(is_hex(out, "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
                       "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
                       "cc30c58179ec3e87c14c01d5c1f3434f1d87"),
           "HKDF, RFC 5869 A.2: longer than a block");
}

static bool is_x25519(const char *scalar, const char *point, const char *product)
{
    uint8_t k[32], u[32];
    hex_read(k, scalar);
    hex_read(u, point);
    return noise_x25519(k, u) && is_hex(u, product);
}

static void test_x25519(void)
{
    tap_ok(is_x25519("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
                     "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
                     "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552") &&
               is_x25519("4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
                         "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
                         "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"),
           "X25519, RFC 7748 5.2");
    uint8_t k[32] = {9}, u[32] = {9};
    bool once = false;
    for (int i = 0; i < 1000; i++) {
        uint8_t old[32];
        memcpy(old, k, 32);
        noise_x25519(k, u);
        memcpy(k, u, 32);
        memcpy(u, old, 32);
        if (i == 0)
            once = is_hex(k, "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
    }
    tap_ok(once && is_hex(k, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"),
           "X25519, RFC 7748 5.2: once and a thousand times");
    // Points of order 1, 2, 4 and 8, one of them written as a number above p.
    static const char *const low[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    };
    bool refused = true;
    for (size_t i = 0; i < sizeof low / sizeof low[0]; i++) {
        fill(k, 0x11, 32);
        hex_read(u, low[i]);
        refused &= !noise_x25519(k, u);
    }
    tap_ok(refused, "X25519 with points of low order is told from others");
}

// RFC 8439 2.8.2, whose nonce is none that noise_seal makes.
static void test_sunscreen(const char *text)
{
    static const char plain[] =
        "Ladies and Gentlemen of the class of '99: If I could offer you only "
        "one tip for the future, sunscreen would be it.";
    uint8_t key[32], nonce[12], associated[12], data[sizeof plain - 1], tag[16];
    fill(key, 0x80, 32);
    hex_read(nonce, "070000004041424344454647");
    hex_read(associated, "50515253c0c1c2c3c4c5c6c7");
    memcpy(data, plain, sizeof data);
    aead_seal(key, nonce, associated, 12, data, sizeof data, tag);
    bool right = is_hex(data, "d31a8d34648e60db7b86afbc53ef7ec2") &&
                 is_hex(tag, "1ae10b594f09e26a7e902ecbd0600691");
    tap_ok(right && aead_open(key, nonce, associated, 12, data, sizeof data, tag) &&
               memcmp(data, plain, sizeof data) == 0,
           text);
}

// Another implementation, BearSSL's, says the same of random keys and data, which are the same in
// each run. Of long texts every length around the largest stretches that the vector code takes.
static void test_compared(const char *text)
{
    static uint8_t data[17408], other[sizeof data], associated[sizeof data];
    uint8_t key[32], nonce[12], tags[2][16];
    bool same = true;

    srandom(7);
    for (size_t bytes = 0; bytes <= sizeof data; bytes += bytes < 1100 ? 1 : 1019) {
        for (size_t i = 0; i < bytes; i++) {
            data[i] = other[i] = (uint8_t)random();
            associated[i] = (uint8_t)random();
        }
        for (size_t i = 0; i < sizeof key; i++)
            key[i] = (uint8_t)random();
        for (size_t i = 0; i < sizeof nonce; i++)
            nonce[i] = (uint8_t)random();
        aead_seal(key, nonce, associated, bytes, data, bytes, tags[0]);
        br_poly1305_ctmulq_run(key, nonce, other, bytes, associated, bytes, tags[1],
                               &br_chacha20_ct_run, 1);
        same &= memcmp(tags[0], tags[1], 16) == 0 && memcmp(data, other, bytes) == 0;
        br_poly1305_ctmulq_run(key, nonce, other, bytes, associated, bytes, tags[1],
                               &br_chacha20_ct_run, 0);
        same &= aead_open(key, nonce, associated, bytes, data, bytes, tags[0]) &&
                memcmp(data, other, bytes) == 0;
    }
    tap_ok(same, text);
}

// Numbers that carry through all of the authenticator: each one-time key there can be is as good as
// any other, so it is the text that is all ones, or as close to 2^130 - 5 as blocks can say.
static void test_carries(void)
{
    static const uint8_t ends[] = {0xff, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0};
    uint8_t key[32], nonce[12] = {0}, data[64], tags[2][16];
    bool same = true;

    for (unsigned start = 0; start < 256; start++) {
        fill(key, start, sizeof key);
        for (size_t i = 0; i < sizeof ends; i++) {
            memset(data, 0xff, sizeof data);
            for (size_t block = 0; block < sizeof data; block += 16)
                data[block] = ends[i];
            aead_seal(key, nonce, data, sizeof data, NULL, 0, tags[0]);
            br_poly1305_ctmulq_run(key, nonce, NULL, 0, data, sizeof data, tags[1],
                                   &br_chacha20_ct_run, 1);
            same &= memcmp(tags[0], tags[1], 16) == 0;
        }
    }
    tap_ok(same, "the authenticator carries as BearSSL's does");
}

static void test_cipher(void)
{
    static const char plain[] =
        "Internet-Drafts are draft documents valid for a maximum of six months and may be updated, "
        "replaced, or obsoleted by other documents at any time. It is inappropriate to use "
        "Internet-Drafts as reference material or to cite them other than as "
        "/\xe2\x80\x9cwork in progress./\xe2\x80\x9d";
    test_sunscreen("ChaCha20-Poly1305, RFC 8439 2.8.2, without vectors");
    test_compared("all lengths as BearSSL has them, without vectors");
    aead_use_vectors(true);
    test_sunscreen("ChaCha20-Poly1305, RFC 8439 2.8.2, with vectors");
    test_compared("all lengths as BearSSL has them, with vectors");
    aead_use_vectors(false);
    test_carries();

    uint8_t key[32], associated[12], data[sizeof plain - 1], tag[16];
    uint64_t counter = 0x0807060504030201;
    hex_read(key, "1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0");
    hex_read(associated, "f33388860000000000004e91");
    memcpy(data, plain, sizeof data);
    noise_seal(key, counter, associated, 12, data, sizeof data, tag);
    tap_ok(is_hex(data, "64a0861575861af460f062c79be643bd") &&
               is_hex(tag, "eead9d67890cbb22392336fea1851f38"),
           "seal: RFC 8439 A.5");
    tap_ok(noise_open(key, counter, associated, 12, data, sizeof data, tag) &&
               memcmp(data, plain, sizeof data) == 0,
           "open: RFC 8439 A.5");

    // Every length around the blocks of both ciphers, each byte of text and tag.
    bool opened = true, refused = true, wiped = true;
    for (size_t bytes = 0; bytes <= 130; bytes++) {
        uint8_t text[130], sealed[130], copy[130];
        fill(text, (unsigned)bytes, bytes);
        memcpy(sealed, text, bytes);
        noise_seal(key, bytes, associated, bytes % 13, sealed, bytes, tag);
        for (size_t at = 0; at < bytes + 16; at++) {
            uint8_t wrong[16];
            memcpy(copy, sealed, bytes);
            memcpy(wrong, tag, 16);
            (at < bytes ? copy : wrong)[at < bytes ? at : at - bytes] ^= 0x10;
            refused &= !noise_open(key, bytes, associated, bytes % 13, copy, bytes, wrong);
            for (size_t i = 0; i < bytes; i++)
                wiped &= copy[i] == 0;
        }
        memcpy(copy, sealed, bytes);
        opened &= noise_open(key, bytes, associated, bytes % 13, copy, bytes, tag) &&
                  memcmp(copy, text, bytes) == 0;
        refused &= !noise_open(key, bytes + 1, associated, bytes % 13, sealed, bytes, tag);
    }
    tap_ok(opened, "all lengths to 130 bytes open again");
    tap_ok(refused, "none opens with one byte changed, or with another counter");
    tap_ok(wiped, "what does not open is wiped");
}

static void test_equal(void)
{
    uint8_t a[33], b[33];
    bool right = true;
    for (unsigned bit = 0; bit < 33 * 8; bit++) {
        fill(a, 7, 33);
        memcpy(b, a, 33);
        right &= noise_equal(a, b, 33);
        b[bit / 8] ^= (uint8_t)(1 << bit % 8);
        right &= !noise_equal(a, b, 33) && noise_equal(a, b, bit / 8);
    }
    tap_ok(right, "comparison sees each bit");
}

// The vector Noise_NNpsk0_25519_ChaChaPoly_SHA256 that the Noise implementations
// Cacophony and Snow share (cacophony.txt): both messages, then the first ones of
// transport in either direction.
static void test_published_handshake(void)
{
    static const char prologue[] = "John Galt";
    static const uint8_t psk[] = "This is my Austrian perspective!";
    uint8_t private_keys[2][32], first[64], second[63], payload[16], keys[2][2][32];
    struct noise_handshake initiator, responder;

    hex_read(private_keys[0], "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a");
    hex_read(private_keys[1], "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b");
    noise_begin(&initiator, prologue, 9, psk, private_keys[0]);
    noise_begin(&responder, prologue, 9, psk, private_keys[1]);
    noise_write_first(&initiator, "Ludwig von Mises", 16, first);
    tap_ok(is_hex(first, "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944"
                         "79b962b8aff8485742ac32f905ba45369e2465fb59e138a93d67a0d1266b6a54"),
           "Noise's vector: the first message");
    tap_ok(noise_read_first(&responder, first, 16, payload) &&
               memcmp(payload, "Ludwig von Mises", 16) == 0 &&
               noise_write_second(&responder, "Murray Rothbard", 15, second) &&
               is_hex(second, "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843"
                              "d6062704d5a9c422a8e834423f8c1feada7e8d0d910a1a2cd030fb584221e3"),
           "Noise's vector: the second message");
    tap_ok(noise_read_second(&initiator, second, 15, payload) &&
               memcmp(payload, "Murray Rothbard", 15) == 0,
           "Noise's vector: both messages are read");
    noise_split(&initiator, keys[0][0], keys[0][1]);
    noise_split(&responder, keys[1][0], keys[1][1]);
    tap_ok(memcmp(keys[0], keys[1], sizeof keys[0]) == 0,
           "Noise's vector: both have the same keys");
    uint8_t third[27] = "F. A. Hayek", fourth[27] = "Carl Menger";
    noise_seal(keys[0][0], 0, "", 0, third, 11, third + 11);
    noise_seal(keys[0][1], 0, "", 0, fourth, 11, fourth + 11);
    tap_ok(is_hex(third, "e632c3763d7669067383433197a3baddf146e9e70ad4b4e9e59e0f") &&
               is_hex(fourth, "64c6bee32ea91c8474bb4c21d7a700109ad45af77b29764ba5eb1e"),
           "Noise's vector: the keys of either direction");
}

// A holder of the key whose public key, 32 zeroes, makes the shared secret zero. Such
// messages do not come out of the functions that write them, so they are made by hand.
static const uint8_t zeroes[52];

static void mix_zeroes(struct noise_handshake *forger)
{
    uint8_t keys[2][32];
    noise_hkdf(forger->chaining_key, 32, zeroes, 32, "", 0, keys, sizeof keys);
    memcpy(forger->chaining_key, keys[0], 32);
    memcpy(forger->key, keys[1], 32);
}

// The payload "four"; in the second message the shared secret is mixed in, too.
static void forge(struct noise_handshake *forger, bool second, uint8_t message[52])
{
    noise_sha256(forger->hash, 32, zeroes, 32, forger->hash);
    mix_zeroes(forger);
    if (second)
        mix_zeroes(forger);
    memset(message, 0, 32);
    hex_read(message + 32, "666f7572");
    noise_seal(forger->key, 0, forger->hash, 32, message + 32, 4, message + 36);
}

static void test_low_order(void)
{
    uint8_t psk[32], private_key[32], payload[4], message[52], answer[52];
    struct noise_handshake forger, other;
    fill(psk, 1, 32);
    fill(private_key, 0x77, 32);
    noise_begin(&forger, "p", 1, psk, private_key);
    forge(&forger, false, message);
    noise_begin(&other, "p", 1, psk, private_key);
    tap_ok(noise_read_first(&other, message, 4, payload) && memcmp(payload, "four", 4) == 0,
           "a first message with a public key of low order is authentic");
    memset(answer, 0xaa, sizeof answer);
    tap_ok(!noise_write_second(&other, "five", 4, answer) &&
               memcmp(answer, zeroes, sizeof answer) == 0,
           "and gets no answer");

    noise_begin(&other, "p", 1, psk, private_key);
    noise_write_first(&other, "four", 4, message);
    noise_begin(&forger, "p", 1, psk, private_key);
    bool read = noise_read_first(&forger, message, 4, payload);
    forge(&forger, true, answer);
    tap_ok(read && !noise_read_second(&other, answer, 4, payload) &&
               memcmp(payload, zeroes, 4) == 0,
           "nor is such an answer read, though authentic");
}

int main(void)
{
    test_hashes();
    test_x25519();
    test_cipher();
    test_equal();
    test_published_handshake();
    test_low_order();
    return tap_end();
}
