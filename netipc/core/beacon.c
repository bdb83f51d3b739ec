// SPDX-License-Identifier: BSD-2-Clause
// Beacons: HMAC-SHA-256 over fields at fixed places.
#include "netipc/core/beacon.h"

#include "netipc/core/bytes.h"

#include <bearssl/bearssl_hmac.h>

#include <string.h>

static const char key_salt[] = "Corvus beacon";

#define BEACON_MAGIC 0x62767243u // "Crvb"

enum {
    BEACON_AT_MAGIC = 0,
    BEACON_AT_VERSION = 4,
    BEACON_AT_NODE = 8,
    BEACON_AT_PORT = 12,
    BEACON_AT_ZERO = 14,
    BEACON_AT_INCARNATION = 16,
    BEACON_AT_SEQUENCE = 24,
    BEACON_AT_CLUSTER = 32,
    BEACON_AT_MAC = BEACON_AT_CLUSTER + SECURE_CLUSTER_BYTES,
    BEACON_MAC_BYTES = 32,
};
_Static_assert(BEACON_AT_MAC + BEACON_MAC_BYTES == BEACON_BYTES, "see the header");

void beacon_cluster(struct beacon_cluster *cluster, const struct secure_identity *identity)
{
    memcpy(cluster->cluster, identity->self.cluster, sizeof cluster->cluster);
    noise_hkdf(key_salt, sizeof key_salt - 1, identity->key, sizeof identity->key, "", 0,
               cluster->key, sizeof cluster->key);
}

static void authenticate(const uint8_t *datagram, const struct beacon_cluster *cluster,
                         uint8_t mac[BEACON_MAC_BYTES])
{
    br_hmac_key_context key;
    br_hmac_context context;
    br_hmac_key_init(&key, &br_sha256_vtable, cluster->key, sizeof cluster->key);
    br_hmac_init(&context, &key, BEACON_MAC_BYTES);
    br_hmac_update(&context, datagram, BEACON_AT_MAC);
    br_hmac_out(&context, mac);
    explicit_bzero(&key, sizeof key);
    explicit_bzero(&context, sizeof context);
}

void beacon_make(const struct beacon *beacon, const struct beacon_cluster *cluster,
                 uint8_t datagram[BEACON_BYTES])
{
    store_u32(datagram + BEACON_AT_MAGIC, BEACON_MAGIC);
    store_u32(datagram + BEACON_AT_VERSION, BEACON_VERSION);
    store_u32(datagram + BEACON_AT_NODE, beacon->node);
    store_u16(datagram + BEACON_AT_PORT, beacon->port);
    store_u16(datagram + BEACON_AT_ZERO, 0);
    store_u64(datagram + BEACON_AT_INCARNATION, beacon->incarnation);
    store_u64(datagram + BEACON_AT_SEQUENCE, beacon->sequence);
    memcpy(datagram + BEACON_AT_CLUSTER, cluster->cluster, SECURE_CLUSTER_BYTES);
    authenticate(datagram, cluster, datagram + BEACON_AT_MAC);
}

static bool is_authentic(const uint8_t *datagram, const struct beacon_cluster *cluster)
{
    uint8_t right[BEACON_MAC_BYTES];
    authenticate(datagram, cluster, right);
    bool authentic = noise_equal(right, datagram + BEACON_AT_MAC, sizeof right);
    explicit_bzero(right, sizeof right);
    return authentic;
}

enum beacon_error beacon_read(const uint8_t *datagram, size_t bytes,
                              const struct beacon_cluster *cluster, uint32_t own_node,
                              struct beacon *beacon)
{
    // Magic and version are where they are in every version, whatever its length.
    if (bytes < BEACON_AT_NODE || load_u32(datagram + BEACON_AT_MAGIC) != BEACON_MAGIC)
        return BEACON_ERROR_FORMAT;
    if (load_u32(datagram + BEACON_AT_VERSION) != BEACON_VERSION)
        return BEACON_ERROR_VERSION;
    if (bytes != BEACON_BYTES)
        return BEACON_ERROR_FORMAT;
    if (!noise_equal(datagram + BEACON_AT_CLUSTER, cluster->cluster, SECURE_CLUSTER_BYTES))
        return BEACON_ERROR_CLUSTER;
    if (!is_authentic(datagram, cluster))
        return BEACON_ERROR_KEY;

    struct beacon read = {
        .node = load_u32(datagram + BEACON_AT_NODE),
        .port = load_u16(datagram + BEACON_AT_PORT),
        .incarnation = load_u64(datagram + BEACON_AT_INCARNATION),
        .sequence = load_u64(datagram + BEACON_AT_SEQUENCE),
    };
    if (read.node == 0 || read.port == 0 || load_u16(datagram + BEACON_AT_ZERO) != 0)
        return BEACON_ERROR_MALFORMED;
    if (read.node == own_node)
        return BEACON_ERROR_SELF;
    *beacon = read;
    return BEACON_OK;
}

enum beacon_age beacon_age(const struct beacon *known, const struct beacon *seen)
{
    if (known == NULL || seen->incarnation > known->incarnation)
        return BEACON_NEW_START;
    bool next = seen->incarnation == known->incarnation && seen->sequence > known->sequence;
    return next ? BEACON_NEXT : BEACON_OLD;
}

const char *beacon_error_text(enum beacon_error error)
{
    static const char *const texts[] = {
#define BEACON_ERROR_TEXT(name, text) [name] = (text),
        BEACON_ERRORS(BEACON_ERROR_TEXT)
#undef BEACON_ERROR_TEXT
    };
    return (unsigned)error < BEACON_ERROR_COUNT ? texts[error] : "unknown error of a beacon";
}
