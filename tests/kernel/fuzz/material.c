// SPDX-License-Identifier: BSD-2-Clause
// Small tables with random replacement.
#include "material.h"

#define TABLE_NAMES 12u

static port_name_t tables[MATERIAL_KINDS][TABLE_NAMES];

port_name_t material_add(enum material kind, port_name_t name, struct random *random)
{
    uint64_t place = random_below(random, TABLE_NAMES);

    for (uint64_t i = 0; i < TABLE_NAMES; i++)
        if (tables[kind][i] == PORT_NULL)
            place = i;
    port_name_t old = tables[kind][place];
    tables[kind][place] = name;
    return old;
}

port_name_t material_pick(enum material kind, struct random *random)
{
    uint64_t start = random_below(random, TABLE_NAMES);

    for (uint64_t i = 0; i < TABLE_NAMES; i++) {
        port_name_t name = tables[kind][(start + i) % TABLE_NAMES];
        if (name != PORT_NULL)
            return name;
    }
    return PORT_NULL;
}

port_name_t material_any(struct random *random)
{
    return material_pick((enum material)random_below(random, MATERIAL_KINDS), random);
}

uint64_t material_bad(struct random *random)
{
    switch (random_below(random, 6)) {
    case 0:
        return PORT_NULL;
    case 1:
        return material_any(random) + 1; // another generation
    case 2:
        return random_next(random);
    case 3:
        return UINT32_MAX;
    case 4:
        return (uint64_t)material_any(random) | 1ull << 40;
    default:
        return (uint32_t)random_next(random);
    }
}

void material_forget(void)
{
    for (unsigned kind = 0; kind < MATERIAL_KINDS; kind++)
        for (unsigned i = 0; i < TABLE_NAMES; i++)
            tables[kind][i] = PORT_NULL;
}
