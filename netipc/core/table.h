// SPDX-License-Identifier: BSD-2-Clause
// A hash table of 64-bit keys with the links inside the elements. Grows with its
// elements, so a look-up costs the same with ten and with a hundred thousand.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table_link {
    struct table_link *next;
    uint64_t key;
};

struct table {
    struct table_link **buckets;
    uint32_t bits; // 2^bits buckets
    uint32_t count;
};

bool table_create(struct table *table);
void table_destroy(struct table *table); // of what is in it nothing is touched

// NULL: no such key.
struct table_link *table_find(const struct table *table, uint64_t key);
// Keys need not be unique; the newest is found.
void table_insert(struct table *table, struct table_link *link, uint64_t key);
void table_remove(struct table *table, struct table_link *link);

#define table_element(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))
