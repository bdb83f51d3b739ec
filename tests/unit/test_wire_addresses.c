// SPDX-License-Identifier: BSD-2-Clause
// sources: deploy/wire/addresses.c
// What ports learn of one another's addresses: by viewer, within bounds, until a node goes.
#include "deploy/wire/addresses.h"
#include "tap.h"

#include <string.h>

static struct addresses addresses;

// An address of a node's own choice.
static const uint8_t *address(unsigned number)
{
    static uint8_t bytes[ADDRESS_BYTES];
    bytes[0] = 2;
    bytes[4] = (uint8_t)(number >> 8);
    bytes[5] = (uint8_t)number;
    return bytes;
}

static void test_learning(void)
{
    addresses_initialize(&addresses);
    addresses_learn(&addresses, address(1), 0, 6);
    tap_ok(addresses_find(&addresses, address(1), 1) == 0 &&
               addresses_find(&addresses, address(1), 2) == 0,
           "those who hear a frame learn its sender");
    tap_ok(addresses_find(&addresses, address(2), 1) == ADDRESS_UNKNOWN, "others are unknown");
    addresses_learn(&addresses, address(1), 2, 2);
    tap_ok(addresses_find(&addresses, address(1), 1) == 2, "an address may move");
    tap_ok(addresses_find(&addresses, address(1), 2) == 0,
           "who does not hear of it goes on believing");
    static const uint8_t group[ADDRESS_BYTES] = {3};
    addresses_learn(&addresses, group, 0, 6);
    tap_ok(addresses_find(&addresses, group, 1) == ADDRESS_UNKNOWN, "a group is nobody");
}

static void test_bounds(void)
{
    bool known = true;
    addresses_initialize(&addresses);
    for (unsigned i = 0; i < 5000; i++)
        addresses_learn(&addresses, address(i), 0, 2);
    for (unsigned i = 0; i < ADDRESSES_PER_PORT; i++)
        known = known && addresses_find(&addresses, address(i), 1) == 0;
    tap_ok(known, "the first addresses of a port are known");
    tap_ok(addresses_find(&addresses, address(ADDRESSES_PER_PORT), 1) == ADDRESS_UNKNOWN,
           "those above its share are not");
    addresses_learn(&addresses, address(6000), 1, 1);
    tap_ok(addresses_find(&addresses, address(6000), 0) == 1, "another port's still are");
    addresses_learn(&addresses, address(ADDRESSES_PER_PORT), 1, 5);
    addresses_learn(&addresses, address(ADDRESSES_PER_PORT), 0, 6);
    tap_ok(addresses_find(&addresses, address(ADDRESSES_PER_PORT), 2) == 0,
           "what is known may move to a port with a full share");
}

int main(void)
{
    test_learning();
    test_bounds();
    return tap_end();
}
