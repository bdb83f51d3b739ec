// SPDX-License-Identifier: BSD-2-Clause
// sources: netipc/core/beacon.c netipc/core/secure.c netipc/core/noise.c netipc/core/aead.c
// sources: $(CRYPTO_UNIT)
// Any datagram: no crash, and none is taken that has not the right code at its end;
// with the right one put there, what is read is what is written again.
#include "netipc/core/beacon.h"
#include "tests/unit/secure_scene.h"

#include <bearssl/bearssl_hmac.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void authenticate(uint8_t datagram[BEACON_BYTES], const struct beacon_cluster *cluster)
{
    br_hmac_key_context key;
    br_hmac_context context;
    br_hmac_key_init(&key, &br_sha256_vtable, cluster->key, sizeof cluster->key);
    br_hmac_init(&context, &key, 0);
    br_hmac_update(&context, datagram, BEACON_BYTES - 32);
    br_hmac_out(&context, datagram + BEACON_BYTES - 32);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct secure_identity identity;
    struct beacon_cluster cluster;
    struct beacon beacon;
    uint8_t datagram[BEACON_BYTES], again[BEACON_BYTES];

    scene_identity(&identity, 1, 5, 0);
    beacon_cluster(&cluster, &identity);
    must(beacon_read(data, size, &cluster, 1, &beacon) != BEACON_OK);
    if (size < 32)
        return 0;
    // The input is its first fields, so that what lies behind the checks is reached.
    beacon_make(&(struct beacon){2, 9123, 1, 1}, &cluster, datagram);
    memcpy(datagram + (data[0] & 1) * 8, data, 32 - (data[0] & 1) * 8);
    authenticate(datagram, &cluster);
    if (beacon_read(datagram, sizeof datagram, &cluster, 1, &beacon) != BEACON_OK)
        return 0;
    must(beacon.node > 1 && beacon.port != 0);
    beacon_make(&beacon, &cluster, again);
    // Not the code: libFuzzer sees what memcmp compares, and would send it.
    must(memcmp(datagram, again, sizeof again - 32) == 0);
    return 0;
}
