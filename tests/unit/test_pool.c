// SPDX-License-Identifier: BSD-2-Clause
// sources: netipc/core/pool.c
// Memory that is kept between messages: that it comes back, how much of it stays, and that a pool
// which keeps nothing has nothing. What is left is a leak that ASan reports.
#include "netipc/core/pool.h"
#include "tap.h"

#include <stdint.h>
#include <string.h>

#define COUNT 40

static const size_t some_bytes[] = {0, 1, 256, 257, 1168, 2048, 2049, 65536, 69632, 69633, 1 << 20};
#define SIZES (sizeof some_bytes / sizeof some_bytes[0])

static void test_sizes(struct pool *pool, const char *text)
{
    bool right = true;

    for (unsigned round = 0; round < 2; round++) {
        for (size_t i = 0; i < SIZES; i++) {
            uint8_t *memory = pool_take(pool, some_bytes[i]);
            right &= memory != NULL && (uintptr_t)memory % 16 == 0;
            if (memory != NULL)
                memset(memory, (int)i, some_bytes[i]);
            pool_give(pool, memory);
        }
    }
    pool_give(pool, NULL);
    tap_ok(right, text);
}

static unsigned kept(const struct pool *pool)
{
    unsigned count = 0;

    for (unsigned i = 0; i < POOL_SIZES; i++)
        count += pool->counts[i];
    return count;
}

static void test_keeping(void)
{
    struct pool pool = {.keeps = true};
    void *taken[COUNT];

    void *first = pool_take(&pool, 1000);
    pool_give(&pool, first);
    void *second = pool_take(&pool, 2000);
    tap_ok(first == second && kept(&pool) == 0, "what was given back is taken again");
    void *third = pool_take(&pool, 2000);
    tap_ok(third != second, "but not twice");
    pool_give(&pool, second);
    pool_give(&pool, third);
    tap_ok(kept(&pool) == 2, "both are kept");
    for (unsigned i = 0; i < COUNT; i++)
        taken[i] = pool_take(&pool, 65536);
    for (unsigned i = 0; i < COUNT; i++)
        pool_give(&pool, taken[i]);
    tap_ok(kept(&pool) == 2 + 4, "of large pieces only a few stay");
    pool_give(&pool, pool_take(&pool, 1 << 20));
    tap_ok(kept(&pool) == 2 + 4, "and none of what is larger still");
    test_sizes(&pool, "all sizes can be had and written");
    pool_close(&pool);
    tap_ok(kept(&pool) == 0, "closed, it keeps nothing");
}

static void test_not_keeping(void)
{
    struct pool pool = {0};

    test_sizes(&pool, "a pool that keeps nothing has all sizes");
    tap_ok(kept(&pool) == 0, "and keeps nothing");
    tap_ok(pool_take(&pool, SIZE_MAX) == NULL, "no memory");
}

int main(void)
{
    test_keeping();
    test_not_keeping();
    return tap_end();
}
