// SPDX-License-Identifier: BSD-2-Clause
// The mapping tree at its limits: walks over many nodes in many steps, many
// walks at a time, depth, quotas and an empty pool.
#include "shim/mapping_scene.h"
#include "tap.h"

#define GRANTED 0x80000000ull

// What is derived from a page that is granted has to be visited in one step.
static void test_grant_of_many(void)
{
    uint64_t used;
    bool kept = true;

    setup();
    for (uint64_t i = 0; i < NODE_REPLACE_MAX; i++)
        map(a, HERE, i % 3 ? a : b, LARGE_THERE + i * PAGE_BYTES, PAGE_BYTES, ACCESS_READ);
    map(b, LARGE_THERE, c, THERE, PAGE_BYTES, ACCESS_READ);
    used = c->quota.used;
    tap_ok(give(a, HERE, c, HERE, PAGE_BYTES) == ERR_IN_USE && frame_at(a, HERE) == FRAME &&
               c->quota.used == used,
           "a page from which too many are derived is not granted");
    unmap(c, THERE, PAGE_BYTES, ACCESS_ALL, true);
    tap_ok(give(a, HERE, c, HERE, PAGE_BYTES) == ERR_OK && !frame_at(a, HERE), "but some are");
    for (uint64_t i = 0; i < NODE_REPLACE_MAX; i++)
        kept = kept && node_parent(node_of(i % 3 ? a : b, LARGE_THERE + i * PAGE_BYTES)) ==
                           node_of(c, HERE);
    tap_ok(kept, "and all of them are derived from it still");
    teardown();
}

// A walk over many nodes in short steps, with changes in between.
static void test_walks(void)
{
    uint64_t cursor = 0;
    unsigned steps = 0;
    corvus_error_t error = ERR_OK;
    bool all = true, finished = false;

    setup();
    for (uint64_t i = 0; i < 1000; i++)
        map(a, HERE, i % 2 ? b : c, THERE + i * PAGE_BYTES, PAGE_BYTES, READ_WRITE);
    for (uint64_t i = 0; i < 1000; i++)
        user_access(i % 2 ? b : c, THERE + i * PAGE_BYTES, i == 3);
    result = (struct unmap_result){0};
    while (!finished) {
        finished =
            mapping_unmap_step(a, HERE, PAGE_BYTES, ACCESS_WRITE, true, &cursor, &result, &error);
        // The node that the walk waits at goes, and its memory is used again;
        // or it is granted, and another node takes its place.
        if (!finished) {
            struct mapping_node *at = node_at(walks[cursor % 16 - 1].at);
            struct task *holder = node_task(at);

            if (steps % 2)
                map_all(holder, node_address(at), c, GRANTED + steps * PAGE_BYTES, PAGE_BYTES,
                        READ_WRITE, true, &done);
            else
                unmap_all(holder, node_address(at), PAGE_BYTES, ACCESS_ALL, true,
                          &(struct unmap_result){0});
        }
        map(a, HERE, b, LARGE_THERE + steps * PAGE_BYTES, PAGE_BYTES, ACCESS_READ);
        steps++;
    }
    for (uint64_t i = 0; i < 1000; i++)
        all = all && !(access_at(i % 2 ? b : c, THERE + i * PAGE_BYTES) & ACCESS_WRITE);
    for (unsigned i = 1; i + 1 < steps; i += 2)
        all = all && access_at(c, GRANTED + i * PAGE_BYTES) == ACCESS_READ;
    tap_ok(error == ERR_OK && all && steps > 5 && cursor == PAGE_BYTES,
           "access is taken from a thousand mappings in bounded steps");
    tap_ok(result.accessed == 1 && result.dirty == 1, "and their use is told");
    tap_ok(unmap(a, HERE, PAGE_BYTES, ACCESS_ALL, false) == ERR_OK && b->space.mapped == 0 &&
               c->space.mapped == 0 && !node_has_children(node_of(a, HERE)),
           "and they can all be removed");
    teardown();
}

// More walks at a time than can be suspended: the oldest start over.
static void test_many_walks(void)
{
    uint64_t cursors[20] = {0};
    bool pending = true;
    corvus_error_t error = ERR_OK;

    setup();
    for (uint64_t i = 0; i < 600; i++)
        map(a, HERE, b, THERE + i * PAGE_BYTES, PAGE_BYTES, READ_WRITE);
    for (unsigned round = 0; round < 100 && pending; round++) {
        pending = false;
        for (unsigned i = 0; i < 20; i++) {
            if (cursors[i] != PAGE_BYTES)
                pending |= !mapping_unmap_step(a, HERE, PAGE_BYTES, ACCESS_WRITE, false,
                                               &cursors[i], &result, &error);
            if (round > 30)
                break;
        }
    }
    tap_ok(access_at(b, THERE) == ACCESS_READ &&
               access_at(b, THERE + 599 * PAGE_BYTES) == ACCESS_READ,
           "a walk that was forgotten starts over");
    teardown();
}

static void test_depth(void)
{
    uint64_t i = 0;

    setup();
    while (map(a, HERE + i * PAGE_BYTES, a, HERE + (i + 1) * PAGE_BYTES, PAGE_BYTES, ACCESS_ALL) ==
           ERR_OK)
        i++;
    tap_ok(i == NODE_DEPTH_MAX, "the tree's depth is bounded");
    tap_ok(unmap(a, HERE, PAGE_BYTES, ACCESS_ALL, false) == ERR_OK && a->space.mapped == 513,
           "and a chain of derived mappings goes at once");
    teardown();
}

static void test_quota(void)
{
    uint64_t limit;

    setup();
    limit = b->quota.used + 4 * PAGE_BYTES; // three tables, and a page of nodes
    b->quota.limit = limit;
    for (uint64_t i = 0; i < NODES_PER_PAGE - 4; i++)
        map(a, HERE, b, THERE + (100 + i) * PAGE_BYTES, PAGE_BYTES, ACCESS_READ);
    tap_ok(map(a, HERE, b, THERE, 8 * PAGE_BYTES, ACCESS_READ) == ERR_NO_MEMORY &&
               done == 4 * PAGE_BYTES && b->space.mapped == NODES_PER_PAGE &&
               b->quota.used == limit,
           "out of quota, whole pages are mapped or none");
    tap_ok(map(a, HERE + 4 * PAGE_BYTES, b, THERE, 4 * PAGE_BYTES, ACCESS_READ) == ERR_OK &&
               frame_at(b, THERE) == FRAME + 4 * PAGE_BYTES,
           "replacing needs none");
    limit = a->quota.limit;
    a->quota.limit = a->quota.used + 3 * PAGE_BYTES;
    tap_ok(unmap(a, LARGE_HERE, PAGE_BYTES, ACCESS_ALL, true) == ERR_NO_MEMORY &&
               a->space.mapped == 8 + 512 && a->quota.used == a->quota.limit - 3 * PAGE_BYTES,
           "a split that fails leaves the 2 MiB page");
    a->quota.limit = limit;
    teardown();
}

// The reserve itself is exhausted at every possible allocation in turn.
static void test_empty_pool(void)
{
    static uint64_t kept[16384];
    unsigned count = 0;
    unsigned failures = 0;

    setup();
    while ((kept[count] = memory_page_take()))
        count++;
    for (unsigned allowed = 0; allowed < 12; allowed++) {
        corvus_error_t error;

        for (unsigned i = 0; i < allowed && count > 0; i++)
            memory_page_add(kept[--count]);
        error = map(a, HERE, b, THERE + allowed * (1ull << 39), 4 * PAGE_BYTES, ACCESS_READ);
        failures += error == ERR_NO_MEMORY;
        KASSERT(error == ERR_OK || error == ERR_NO_MEMORY);
        check_task(b);
        unmap(a, HERE, 4 * PAGE_BYTES, ACCESS_ALL, false);
        task_end(b);
        while ((kept[count] = memory_page_take()))
            count++;
        memory_page_add(kept[--count]);
        b = task_make();
    }
    while (count > 0)
        memory_page_add(kept[--count]);
    tap_ok(failures > 2, "an empty pool is an error and does no harm");
    teardown();
}

int main(void)
{
    uint64_t free_before;

    part_init();
    free_before = memory_free_bytes();
    test_grant_of_many();
    test_walks();
    test_many_walks();
    test_depth();
    test_quota();
    test_empty_pool();
    tap_ok(memory_free_bytes() == free_before && free_page_count * PAGE_BYTES == free_before,
           "nothing is left");
    return tap_end();
}
