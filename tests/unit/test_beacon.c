// SPDX-License-Identifier: BSD-2-Clause
// sources: netipc/core/beacon.c netipc/core/secure.c netipc/core/noise.c netipc/core/aead.c
// sources: $(CRYPTO_UNIT)
// Beacons: layout, what is refused, and which are old.
#include "netipc/core/beacon.h"
#include "tests/unit/hex.h"
#include "tests/unit/secure_scene.h"
#include "tap.h"

#include <stdlib.h>

static struct beacon_cluster cluster;
static uint8_t datagram[BEACON_BYTES];
static const struct beacon sent = {2, 9123, 0x0102030405060708, 77};

static void make(void)
{
    struct secure_identity identity;
    scene_identity(&identity, 1, 5, SECURE_ENCRYPT);
    beacon_cluster(&cluster, &identity);
    beacon_make(&sent, &cluster, datagram);
}

// Reads from memory of exactly that length; with an error nothing may be written.
static enum beacon_error read_bytes(size_t bytes, struct beacon *beacon)
{
    uint8_t *copy = malloc(bytes != 0 ? bytes : 1);
    memcpy(copy, datagram, bytes < sizeof datagram ? bytes : sizeof datagram);
    *beacon = (struct beacon){0};
    enum beacon_error error = beacon_read(copy, bytes, &cluster, 1, beacon);
    free(copy);
    if (error != BEACON_OK && (beacon->node | beacon->port | beacon->incarnation) != 0)
        return BEACON_ERROR_COUNT;
    return error;
}

static bool is_refused(enum beacon_error expected)
{
    struct beacon beacon;
    return read_bytes(sizeof datagram, &beacon) == expected;
}

static void test_layout(void)
{
    uint8_t expected[BEACON_BYTES];
    struct beacon beacon;
    // Made by a second implementation.
    hex_read(expected, "437276620100000002000000a323000008070605040302014d00000000000000"
                       "73f042b26a2dd25b56bcd4492e7adb2b97e2f6a82d72c0fdd8a6aa0fb8f44940"
                       "9c7b6d04d96088ef7257c42354623c3da5b98481e722950f90a3a7061c60a3e1");
    make();
    tap_ok(memcmp(datagram, expected, sizeof expected) == 0, "layout");
    tap_ok(read_bytes(sizeof datagram, &beacon) == BEACON_OK && beacon.node == sent.node &&
               beacon.port == sent.port && beacon.incarnation == sent.incarnation &&
               beacon.sequence == sent.sequence,
           "what was said is read");
}

static void test_refused(void)
{
    bool refused = true;
    struct beacon beacon;
    make();
    for (size_t bit = 0; bit < sizeof datagram * 8; bit++) {
        datagram[bit / 8] ^= (uint8_t)(1 << bit % 8);
        refused &= is_refused(bit < 32                  ? BEACON_ERROR_FORMAT
                              : bit < 64                ? BEACON_ERROR_VERSION
                              : bit >= 256 && bit < 512 ? BEACON_ERROR_CLUSTER
                                                        : BEACON_ERROR_KEY);
        datagram[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    tap_ok(refused, "any bit changed");
    refused = true;
    for (size_t bytes = 0; bytes < 3 * sizeof datagram; bytes++)
        refused &= bytes == sizeof datagram || read_bytes(bytes, &beacon) == BEACON_ERROR_FORMAT;
    tap_ok(refused, "any other length");
    cluster.key[0] ^= 1;
    tap_ok(is_refused(BEACON_ERROR_KEY), "another key");
    make();
    cluster.cluster[31] ^= 1;
    tap_ok(is_refused(BEACON_ERROR_CLUSTER), "another cluster");
}

static void test_impossible(void)
{
    static const struct {
        struct beacon beacon;
        enum beacon_error error;
        const char *text;
    } cases[] = {
        {{0, 1, 1, 1}, BEACON_ERROR_MALFORMED, "node 0"},
        {{2, 0, 1, 1}, BEACON_ERROR_MALFORMED, "port 0"},
        {{1, 1, 1, 1}, BEACON_ERROR_SELF, "our own number"},
        {{UINT32_MAX, UINT16_MAX, UINT64_MAX, UINT64_MAX}, BEACON_OK, "the largest of all values"},
    };
    make();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        beacon_make(&cases[i].beacon, &cluster, datagram);
        tap_ok(is_refused(cases[i].error), cases[i].text);
    }
}

static void test_key(void)
{
    struct secure_identity identity;
    struct beacon_cluster other;
    scene_identity(&identity, 1, 5, 0);
    make();
    tap_ok(memcmp(cluster.key, identity.key, sizeof cluster.key) != 0,
           "the key of beacons is not that of sessions");
    identity.key[31] ^= 1;
    beacon_cluster(&other, &identity);
    tap_ok(memcmp(cluster.key, other.key, sizeof other.key) != 0, "another for each cluster");
}

static void test_age(void)
{
    struct beacon known = {2, 9123, 10, 5}, seen = known;
    tap_ok(beacon_age(NULL, &seen) == BEACON_NEW_START, "the first beacon of a node");
    tap_ok(beacon_age(&known, &seen) == BEACON_OLD, "the same again");
    seen.sequence = 6;
    tap_ok(beacon_age(&known, &seen) == BEACON_NEXT, "the next one");
    seen.sequence = 4;
    tap_ok(beacon_age(&known, &seen) == BEACON_OLD, "an earlier one");
    seen = (struct beacon){2, 9123, 9, UINT64_MAX};
    tap_ok(beacon_age(&known, &seen) == BEACON_OLD, "one of an earlier incarnation");
    seen = (struct beacon){2, 9123, 11, 0};
    tap_ok(beacon_age(&known, &seen) == BEACON_NEW_START, "one of a later incarnation");
}

static void test_texts(void)
{
    bool different = true;
    for (int i = 0; i < BEACON_ERROR_COUNT; i++)
        for (int j = 0; j < i; j++)
            different &= strcmp(beacon_error_text((enum beacon_error)i),
                                beacon_error_text((enum beacon_error)j)) != 0;
    tap_ok(different && beacon_error_text(BEACON_ERROR_COUNT) != NULL, "each error has its text");
}

int main(void)
{
    test_layout();
    test_refused();
    test_impossible();
    test_key();
    test_age();
    test_texts();
    return tap_end();
}
