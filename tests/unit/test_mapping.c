// SPDX-License-Identifier: BSD-2-Clause
// The rules of map, grant and unmap one by one: what is refused, what happens
// to 2 MiB pages, to pages that are mapped onto themselves or their
// ancestors, to pinned pages, to I/O ports, and to walks in many steps.
#include "shim/mapping_part.h"
#include "tap.h"

#define FRAME       0x100000000ull // frames of roots are never touched, so any will do
#define HERE        0x40000000ull  // where roots of 4 KiB are
#define THERE       0x50000000ull
#define LARGE_HERE  0x60000000ull // where a 2 MiB root is
#define LARGE_THERE 0x70000000ull
#define READ_WRITE  (ACCESS_READ | ACCESS_WRITE)

static struct task *a, *b, *c;
static uint64_t done; // of the last map()
static struct unmap_result result;

// Eight small roots and a large one in a.
static void setup(void)
{
    a = task_make();
    b = task_make();
    c = task_make();
    for (uint64_t i = 0; i < 8; i++)
        mapping_root(a, HERE + i * PAGE_BYTES, FRAME + i * PAGE_BYTES, false, ACCESS_ALL,
                     HOST_CACHE_ON);
    mapping_root(a, LARGE_HERE, 2 * FRAME, true, ACCESS_ALL, HOST_CACHE_ON);
}

// Those with I/O ports have more charges than check_task() knows.
static void teardown_io(void)
{
    check_tlb();
    task_end(a);
    task_end(b);
    task_end(c);
    step_budget = 10000;
}

static void teardown(void)
{
    check_task(a);
    check_task(b);
    check_task(c);
    teardown_io();
}

static corvus_error_t map(struct task *from, uint64_t source, struct task *to, uint64_t destination,
                          uint64_t length, uint32_t access)
{
    return map_all(from, source, to, destination, length, access, false, &done);
}

static corvus_error_t give(struct task *from, uint64_t source, struct task *to,
                           uint64_t destination, uint64_t length)
{
    return map_all(from, source, to, destination, length, ACCESS_ALL, true, &done);
}

static corvus_error_t unmap(struct task *task, uint64_t address, uint64_t length, uint32_t access,
                            bool self)
{
    return unmap_all(task, address, length, access, self, &result);
}

static uint64_t frame_at(struct task *task, uint64_t address)
{
    return space_translate(task, address, 0);
}

static uint32_t access_at(struct task *task, uint64_t address)
{
    uint32_t access;

    space_page_bytes(task, address, &access);
    return access;
}

static struct mapping_node *node_of(struct task *task, uint64_t address)
{
    return node_find(task, address / PAGE_BYTES);
}

static void test_ranges(void)
{
    tap_ok(mapping_check_range(0, PAGE_BYTES) == ERR_OK &&
               mapping_check_range(USER_MAP_END - PAGE_BYTES, PAGE_BYTES) == ERR_OK,
           "the first and the last page are ranges");
    tap_ok(mapping_check_range(1, PAGE_BYTES) && mapping_check_range(0, 1) &&
               mapping_check_range(0, 0) && mapping_check_range(USER_MAP_END, PAGE_BYTES) &&
               mapping_check_range(PAGE_BYTES, 0 - PAGE_BYTES) &&
               mapping_check_range(0, USER_MAP_END + PAGE_BYTES),
           "misaligned, empty, wrapping and outside ranges are not");
    tap_ok(mapping_io_check_range(0, 65536) == ERR_OK &&
               mapping_io_check_range(65528, 8) == ERR_OK && mapping_io_check_range(0, 65544) &&
               mapping_io_check_range(4, 8) && mapping_io_check_range(8, 0) &&
               mapping_io_check_range(8, 0 - 8ull),
           "ranges of I/O ports likewise");
}

static void test_map(void)
{
    setup();
    tap_ok(map(a, HERE, b, THERE, 2 * PAGE_BYTES, READ_WRITE) == ERR_OK && done == 2 * PAGE_BYTES &&
               frame_at(b, THERE + 5) == FRAME + 5 &&
               frame_at(b, THERE + PAGE_BYTES) == FRAME + PAGE_BYTES,
           "pages are shared");
    tap_ok(access_at(b, THERE) == READ_WRITE && !space_translate(b, THERE, ACCESS_EXECUTE),
           "with the access given");
    tap_ok(map(b, THERE, c, HERE, PAGE_BYTES, ACCESS_ALL) == ERR_ACCESS_DENIED && done == 0,
           "but not with more than the source has");
    tap_ok(map(a, HERE + 7 * PAGE_BYTES, b, THERE + 7 * PAGE_BYTES, 2 * PAGE_BYTES, ACCESS_READ) ==
                   ERR_NOT_MAPPED &&
               done == PAGE_BYTES,
           "a hole in the source ends it, and what came before stays");
    tap_ok(map(a, HERE, b, THERE, PAGE_BYTES, ACCESS_ALL) == ERR_OK &&
               access_at(b, THERE) == ACCESS_ALL && b->space.mapped == 3,
           "mapped again from the same source, only access changes");
    map(b, THERE, c, HERE, PAGE_BYTES, ACCESS_ALL);
    map(a, HERE, b, THERE, PAGE_BYTES, ACCESS_READ);
    tap_ok(access_at(b, THERE) == ACCESS_READ && access_at(c, HERE) == ACCESS_READ,
           "with less access, what is derived from it has less too");
    tap_ok(map(a, HERE + PAGE_BYTES, b, THERE, PAGE_BYTES, ACCESS_READ) == ERR_OK &&
               frame_at(b, THERE) == FRAME + PAGE_BYTES && !frame_at(c, HERE),
           "another page at its place takes away what was derived from it");
    b->terminated = true;
    tap_ok(map(a, HERE, b, LARGE_THERE, PAGE_BYTES, ACCESS_READ) == ERR_TERMINATED,
           "a terminated task gets nothing");
    teardown();
}

static void test_grant(void)
{
    uint64_t used;

    setup();
    map(a, HERE, b, THERE, PAGE_BYTES, READ_WRITE);
    map(b, THERE, c, THERE, PAGE_BYTES, READ_WRITE);
    used = b->quota.used;
    tap_ok(map_all(b, THERE, c, HERE, PAGE_BYTES, READ_WRITE, true, &done) == ERR_OK &&
               !frame_at(b, THERE) && frame_at(c, HERE) == FRAME && frame_at(c, THERE) == FRAME,
           "a granted page moves, what is derived from it stays");
    tap_ok(b->quota.used == used - 32 && node_parent(node_of(c, THERE)) == node_of(c, HERE) &&
               node_parent(node_of(c, HERE)) == node_of(a, HERE),
           "the node keeps its place, and its charge moves");
    tap_ok(give(a, HERE + PAGE_BYTES, b, HERE, PAGE_BYTES) == ERR_OK && !node_of(b, HERE)->parent,
           "a root stays a root");
    tap_ok(map_all(c, HERE, c, HERE, PAGE_BYTES, ACCESS_READ, true, &done) == ERR_OK &&
               access_at(c, HERE) == ACCESS_READ && access_at(c, THERE) == ACCESS_READ,
           "granted onto itself it keeps its place and loses access");
    b->quota.limit = b->quota.used;
    tap_ok(give(a, HERE + 2 * PAGE_BYTES, b, HERE + PAGE_BYTES, PAGE_BYTES) == ERR_NO_MEMORY &&
               frame_at(a, HERE + 2 * PAGE_BYTES) && !frame_at(b, HERE + PAGE_BYTES),
           "without quota the source keeps it");
    tap_ok(give(a, HERE + 2 * PAGE_BYTES, b, HERE, PAGE_BYTES) == ERR_OK,
           "a page in place of another needs no quota");
    teardown();
}

static void test_onto_itself(void)
{
    setup();
    tap_ok(map(a, HERE, a, HERE, PAGE_BYTES, READ_WRITE) == ERR_OK &&
               access_at(a, HERE) == READ_WRITE && !node_has_children(node_of(a, HERE)),
           "a page mapped onto itself loses access");
    tap_ok(map(a, HERE, a, HERE + PAGE_BYTES, 3 * PAGE_BYTES, ACCESS_READ) == ERR_OK &&
               frame_at(a, HERE + 3 * PAGE_BYTES) == FRAME,
           "overlapping ranges are mapped page by page upwards");
    map(a, HERE, b, THERE, PAGE_BYTES, ACCESS_READ);
    map(b, THERE, c, THERE, PAGE_BYTES, ACCESS_READ);
    tap_ok(map(c, THERE, b, THERE, PAGE_BYTES, ACCESS_READ) == ERR_IN_USE &&
               map(c, THERE, a, HERE, PAGE_BYTES, ACCESS_READ) == ERR_IN_USE,
           "a page cannot take the place of what it is derived from");
    tap_ok(map_all(c, THERE, b, THERE, PAGE_BYTES, ACCESS_READ, true, &done) == ERR_IN_USE &&
               frame_at(c, THERE) == FRAME,
           "not by grant either");
    tap_ok(map_all(b, THERE, c, THERE, PAGE_BYTES, ACCESS_READ, true, &done) == ERR_OK &&
               !frame_at(b, THERE) && !node_has_children(node_of(c, THERE)),
           "but it can be granted to where its child was");
    teardown();
}

static void test_large(void)
{
    setup();
    tap_ok(map(a, LARGE_HERE, b, LARGE_THERE, LARGE_PAGE_BYTES, ACCESS_ALL) == ERR_OK &&
               node_of(b, LARGE_THERE)->large && b->space.mapped == 512,
           "a 2 MiB page is mapped as one");
    tap_ok(map(b, LARGE_THERE + 5 * PAGE_BYTES, c, THERE, PAGE_BYTES, READ_WRITE) == ERR_OK &&
               frame_at(c, THERE) == 2 * FRAME + 5 * PAGE_BYTES,
           "a 4 KiB page is derived from a part of it");
    tap_ok(give(a, LARGE_HERE, b, HERE, PAGE_BYTES) == ERR_IN_USE &&
               unmap(b, LARGE_THERE, PAGE_BYTES, ACCESS_ALL, true) == ERR_IN_USE &&
               map(a, HERE, b, LARGE_THERE, PAGE_BYTES, ACCESS_READ) == ERR_IN_USE,
           "with something derived from it, it cannot be split");
    user_access(c, THERE, true);
    tap_ok(unmap(b, LARGE_THERE + 5 * PAGE_BYTES, PAGE_BYTES, 0, false) == ERR_OK &&
               result.dirty == 1 &&
               unmap(b, LARGE_THERE + 6 * PAGE_BYTES, PAGE_BYTES, 0, false) == ERR_OK &&
               result.dirty == 0,
           "use of what is derived is told of its part");
    tap_ok(unmap(b, LARGE_THERE + 4 * PAGE_BYTES, PAGE_BYTES, ACCESS_ALL, false) == ERR_OK &&
               frame_at(c, THERE) &&
               unmap(b, LARGE_THERE + 5 * PAGE_BYTES, PAGE_BYTES, ACCESS_WRITE, false) == ERR_OK &&
               access_at(c, THERE) == ACCESS_READ &&
               unmap(b, LARGE_THERE + 5 * PAGE_BYTES, PAGE_BYTES, ACCESS_ALL, false) == ERR_OK &&
               !frame_at(c, THERE),
           "what is derived from one part can be taken away by itself");
    tap_ok(unmap(a, LARGE_HERE + PAGE_BYTES, PAGE_BYTES, ACCESS_WRITE, false) == ERR_OK &&
               !frame_at(b, LARGE_THERE),
           "a 2 MiB page derived from it then goes as a whole");
    user_access(a, LARGE_HERE, true);
    tap_ok(give(a, LARGE_HERE + PAGE_BYTES, b, HERE, PAGE_BYTES) == ERR_OK &&
               !frame_at(a, LARGE_HERE + PAGE_BYTES) && a->space.mapped == 8 + 511 &&
               frame_at(a, LARGE_HERE + LARGE_PAGE_BYTES - 1) == 2 * FRAME + LARGE_PAGE_BYTES - 1,
           "a part of it can be granted: it is split");
    tap_ok(unmap(a, LARGE_HERE + 2 * PAGE_BYTES, 2 * PAGE_BYTES, 0, true) == ERR_OK &&
               result.dirty == 3 && result.pages == 2,
           "the parts have its record of use");
    teardown();
}

static void test_large_over_small(void)
{
    setup();
    for (uint64_t i = 0; i < 4; i++)
        map(a, HERE, b, LARGE_THERE + i * 100 * PAGE_BYTES, PAGE_BYTES, ACCESS_READ);
    map(b, LARGE_THERE, c, THERE, PAGE_BYTES, ACCESS_READ);
    space_pin(b, LARGE_THERE + 511 * PAGE_BYTES, 0x5000, ACCESS_READ);
    tap_ok(map(a, LARGE_HERE, b, LARGE_THERE, LARGE_PAGE_BYTES, ACCESS_READ) == ERR_IN_USE &&
               frame_at(b, LARGE_THERE) == FRAME && frame_at(c, THERE) == FRAME,
           "a 2 MiB page does not cover a pinned page");
    space_unpin(b, LARGE_THERE + 511 * PAGE_BYTES);
    tap_ok(map(a, LARGE_HERE, b, LARGE_THERE, LARGE_PAGE_BYTES, ACCESS_READ) == ERR_OK &&
               b->space.mapped == 512 && !frame_at(c, THERE),
           "it takes the place of 4 KiB pages");
    tap_ok(map(a, HERE, b, LARGE_THERE + PAGE_BYTES, PAGE_BYTES, ACCESS_READ) == ERR_OK &&
               frame_at(b, LARGE_THERE + PAGE_BYTES) == FRAME &&
               frame_at(b, LARGE_THERE + 2 * PAGE_BYTES) == 2 * FRAME + 2 * PAGE_BYTES,
           "and a 4 KiB page that of a part of it");
    teardown();
}

static void test_pinned(void)
{
    setup();
    tap_ok(space_pin(b, HERE, 0x5000, READ_WRITE) == ERR_OK &&
               space_translate(b, HERE, ACCESS_READ) == 0x5000 &&
               space_translate(b, HERE, ACCESS_WRITE) == 0,
           "a pinned page can be read but not be copied to");
    tap_ok(space_pin(b, HERE, 0x5000, ACCESS_READ) == ERR_IN_USE &&
               space_pin(b, 1, 0x5000, ACCESS_READ) == ERR_INVALID_RANGE &&
               space_pin(b, USER_END, 0x5000, ACCESS_READ) == ERR_INVALID_RANGE,
           "it wants an empty, aligned place in user space");
    tap_ok(map(a, HERE, b, HERE, PAGE_BYTES, ACCESS_READ) == ERR_IN_USE &&
               map(b, HERE, c, HERE, PAGE_BYTES, ACCESS_READ) == ERR_ACCESS_DENIED &&
               unmap(b, HERE, PAGE_BYTES, ACCESS_ALL, true) == ERR_OK && result.pages == 0 &&
               frame_at(b, HERE) == 0x5000,
           "services neither replace nor map nor unmap it");
    space_unpin(b, HERE);
    tap_ok(!frame_at(b, HERE), "it can be unpinned");
    space_pin(b, HERE, 0x5000, ACCESS_READ);
    teardown();
}

static void test_use(void)
{
    setup();
    map(a, HERE, b, THERE, 2 * PAGE_BYTES, READ_WRITE);
    map(b, THERE, c, THERE, 2 * PAGE_BYTES, READ_WRITE);
    user_access(c, THERE, true);
    user_access(b, THERE + PAGE_BYTES, false);
    unmap(a, HERE, 2 * PAGE_BYTES, 0, false);
    tap_ok(result.accessed == 3 && result.dirty == 1 && result.pages == 2,
           "use of derived pages is told");
    unmap(a, HERE, 2 * PAGE_BYTES, 0, false);
    tap_ok(result.accessed == 0 && result.dirty == 0, "once");
    unmap(b, THERE, 2 * PAGE_BYTES, 0, false);
    tap_ok(result.accessed == 3 && result.dirty == 1, "to each owner");
    user_access(c, THERE, true);
    unmap(c, THERE, PAGE_BYTES, ACCESS_ALL, true);
    tap_ok(result.dirty == 1, "to who unmaps too");
    unmap(a, HERE, 2 * PAGE_BYTES, 0, false);
    tap_ok(result.accessed == 1 && result.dirty == 1, "use of pages that have gone is not lost");
    user_access(c, THERE + PAGE_BYTES, true);
    task_end(c);
    c = task_make();
    unmap(a, HERE, 2 * PAGE_BYTES, ACCESS_WRITE, false);
    tap_ok(result.dirty == 2 && access_at(b, THERE) == ACCESS_READ &&
               access_at(a, HERE) == ACCESS_ALL,
           "nor of a task that has ended; access is taken from what is derived only");
    teardown();
}

// A walk over many nodes in short steps, with changes in between.
static void test_walks(void)
{
    uint64_t cursor = 0;
    unsigned steps = 0;
    corvus_error_t error;
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
        // The node that the walk waits at goes, and its memory is used again.
        if (!finished) {
            struct mapping_node *at = node_at(walks[cursor % 16 - 1].at);

            unmap_all(node_task(at), node_address(at), PAGE_BYTES, ACCESS_ALL, true,
                      &(struct unmap_result){0});
        }
        map(a, HERE, b, LARGE_THERE + steps * PAGE_BYTES, PAGE_BYTES, ACCESS_READ);
        steps++;
    }
    for (uint64_t i = 0; i < 1000; i++)
        all = all && !(access_at(i % 2 ? b : c, THERE + i * PAGE_BYTES) & ACCESS_WRITE);
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
    corvus_error_t error;

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
    limit = b->quota.used + 3 * PAGE_BYTES + 4 * 32;
    b->quota.limit = limit;
    tap_ok(map(a, HERE, b, THERE, 8 * PAGE_BYTES, ACCESS_READ) == ERR_NO_MEMORY &&
               done == 4 * PAGE_BYTES && b->space.mapped == 4 && b->quota.used == limit,
           "out of quota, whole pages are mapped or none");
    tap_ok(map(a, HERE + 4 * PAGE_BYTES, b, THERE, 4 * PAGE_BYTES, ACCESS_READ) == ERR_OK &&
               frame_at(b, THERE) == FRAME + 4 * PAGE_BYTES,
           "replacing needs none");
    limit = a->quota.limit;
    a->quota.limit = a->quota.used + PAGE_BYTES + 300 * 32;
    tap_ok(unmap(a, LARGE_HERE, PAGE_BYTES, ACCESS_ALL, true) == ERR_NO_MEMORY &&
               a->space.mapped == 8 + 512 && a->quota.used < a->quota.limit - PAGE_BYTES,
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

static bool io_held(struct task *task, uint64_t port)
{
    return unit_held(task, port / 8);
}

static corvus_error_t io_map(struct task *from, struct task *to, uint64_t first, uint64_t count,
                             bool grants)
{
    corvus_error_t error = ERR_OK;

    done = 0;
    while (!error && done < count)
        error = mapping_io_map_step(from, to, first, count, grants, &done);
    return error;
}

static uint64_t io_unmap(struct task *task, uint64_t first, uint64_t count, bool self)
{
    uint64_t cursor = 0, units = 0;

    while (!mapping_io_unmap_step(task, first, count, self, &cursor, &units))
        ;
    return units;
}

static void test_io(void)
{
    const uint64_t *top;

    setup();
    tap_ok(io_map(a, b, 0, 8, false) == ERR_NOT_MAPPED && b->space.io_bitmap == 0,
           "there is nothing to map without I/O ports");
    tap_ok(mapping_io_root(a) == ERR_OK && mapping_io_root(b) == ERR_IN_USE && io_held(a, 65535),
           "one task gets all I/O ports");
    top = space_table_at(a->space.cr3);
    tap_ok((*(uint64_t *)space_table_at(
                *(uint64_t *)space_table_at(*(uint64_t *)space_table_at(top[510]))) &
            PTE_ADDRESS_MASK) == tss_page_physical,
           "its window shows the TSS page");
    tap_ok(io_map(a, b, 0x3f8, 16, false) == ERR_OK && io_held(b, 0x3f8) && io_held(b, 0x400) &&
               !io_held(b, 0x408),
           "ports are mapped by eight");
    tap_ok(io_map(b, c, 0x3f8, 8, false) == ERR_OK && io_map(c, b, 0x3f8, 8, false) == ERR_IN_USE &&
               io_map(c, a, 0x3f8, 8, true) == ERR_IN_USE && io_map(c, c, 0x3f8, 8, true) == ERR_OK,
           "not onto what they are derived from, but onto themselves");
    tap_ok(io_map(b, c, 0x400, 8, true) == ERR_OK && !io_held(b, 0x400) && io_held(c, 0x400),
           "ports are granted");
    tap_ok(io_unmap(a, 0, 65536, false) == 8192 && !io_held(b, 0x3f8) && !io_held(c, 0x3f8) &&
               !io_held(c, 0x400) && io_held(a, 0x3f8),
           "what is derived can be taken back");
    io_map(a, b, 0, 65536, false);
    io_map(b, c, 0, 65536, true);
    tap_ok(io_unmap(a, 0x60, 8, true) == 1 && !io_held(a, 0x60) && !io_held(c, 0x60) &&
               io_held(c, 0x68) && io_unmap(a, 0x60, 8, true) == 0,
           "the task's own right too");
    task_end(a);
    a = task_make();
    tap_ok(!io_held(c, 0x68) && mapping_io_root(a) == ERR_OK,
           "they go with the task they came from");
    teardown_io();
}

int main(void)
{
    uint64_t free_before;

    part_init();
    free_before = memory_free_bytes();
    test_ranges();
    test_map();
    test_grant();
    test_onto_itself();
    test_large();
    test_large_over_small();
    test_pinned();
    test_use();
    test_walks();
    test_many_walks();
    test_depth();
    test_quota();
    test_empty_pool();
    test_io();
    tap_ok(memory_free_bytes() == free_before && free_page_count * PAGE_BYTES == free_before,
           "nothing is left");
    return tap_end();
}
