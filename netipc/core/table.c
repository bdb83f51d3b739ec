// SPDX-License-Identifier: BSD-2-Clause
#include "netipc/core/table.h"

#include <stdlib.h>

#define FIRST_BITS 6u
#define BITS_MAX   24u

static uint32_t bucket_of(const struct table *table, uint64_t key)
{
    // Fibonacci hashing (Knuth, volume 3, 6.4).
    return (uint32_t)(key * 0x9e3779b97f4a7c15ull >> (64 - table->bits));
}

bool table_create(struct table *table)
{
    *table = (struct table){.bits = FIRST_BITS};
    table->buckets = calloc(1u << FIRST_BITS, sizeof *table->buckets);
    return table->buckets != NULL;
}

void table_destroy(struct table *table)
{
    free(table->buckets);
    *table = (struct table){0};
}

struct table_link *table_find(const struct table *table, uint64_t key)
{
    struct table_link *link = table->buckets[bucket_of(table, key)];

    while (link != NULL && link->key != key)
        link = link->next;
    return link;
}

// Without memory it stays as it is, and only becomes slower.
static void grow(struct table *table)
{
    struct table larger = {.bits = table->bits + 1, .count = table->count};

    larger.buckets = calloc((size_t)1 << larger.bits, sizeof *larger.buckets);
    if (larger.buckets == NULL)
        return;
    for (uint32_t i = 0; i < 1u << table->bits; i++) {
        while (table->buckets[i] != NULL) {
            struct table_link *link = table->buckets[i];
            uint32_t bucket = bucket_of(&larger, link->key);

            table->buckets[i] = link->next;
            link->next = larger.buckets[bucket];
            larger.buckets[bucket] = link;
        }
    }
    free(table->buckets);
    *table = larger;
}

void table_insert(struct table *table, struct table_link *link, uint64_t key)
{
    if (table->count >> table->bits != 0 && table->bits < BITS_MAX)
        grow(table);
    uint32_t bucket = bucket_of(table, key);
    link->key = key;
    link->next = table->buckets[bucket];
    table->buckets[bucket] = link;
    table->count++;
}

void table_remove(struct table *table, struct table_link *link)
{
    struct table_link **place = &table->buckets[bucket_of(table, link->key)];

    while (*place != link)
        place = &(*place)->next;
    *place = link->next;
    table->count--;
}
