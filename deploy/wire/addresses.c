// SPDX-License-Identifier: BSD-2-Clause
// The table of learned addresses: open addressing with linear steps; nothing is ever deleted.
#include "deploy/wire/addresses.h"

#include <string.h>

#include "deploy/wire/random.h"

// Never 0: bit 48 is not an address's.
static uint64_t key_of(const uint8_t *bytes)
{
    uint64_t key = UINT64_C(1) << 48;
    memcpy(&key, bytes, ADDRESS_BYTES);
    return key;
}

// The slot that has the key, or the free one where it belongs. There is always a free one.
static struct address *slot_of(const struct addresses *addresses, uint64_t key)
{
    unsigned slot = random_mix(key) % ADDRESS_SLOTS;
    while (addresses->slots[slot].key != 0 && addresses->slots[slot].key != key)
        slot = (slot + 1) % ADDRESS_SLOTS;
    return (struct address *)&addresses->slots[slot];
}

void addresses_initialize(struct addresses *addresses)
{
    memset(addresses, 0, sizeof *addresses);
}

void addresses_learn(struct addresses *addresses, const uint8_t *bytes, unsigned port,
                     uint32_t hearers)
{
    // A group address is nobody's.
    if ((bytes[0] & 1) != 0)
        return;
    uint64_t key = key_of(bytes);
    struct address *address = slot_of(addresses, key);
    if (address->key == 0) {
        if (addresses->taught[port] == ADDRESSES_PER_PORT)
            return;
        addresses->taught[port]++;
        address->key = key;
        memset(address->port, ADDRESS_UNKNOWN, sizeof address->port);
    }
    for (; hearers != 0; hearers &= hearers - 1)
        address->port[__builtin_ctz(hearers)] = (uint8_t)port;
}

unsigned addresses_find(const struct addresses *addresses, const uint8_t *bytes, unsigned viewer)
{
    const struct address *address = slot_of(addresses, key_of(bytes));
    return address->key == 0 ? ADDRESS_UNKNOWN : address->port[viewer];
}
