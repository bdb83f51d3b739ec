// SPDX-License-Identifier: BSD-2-Clause
// The rules of map, grant and unmap one by one: what is refused, what happens
// to 2 MiB pages, to pages that are mapped onto themselves or their
// ancestors, to pinned pages, and to device memory.
#include "shim/mapping_scene.h"
#include "tap.h"

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
    tap_ok(b->quota.used == used - PAGE_BYTES &&
               node_parent(node_of(c, THERE)) == node_of(c, HERE) &&
               node_parent(node_of(c, HERE)) == node_of(a, HERE),
           "it keeps its place in the tree, and the node is the new holder's");
    tap_ok(give(a, HERE + PAGE_BYTES, b, HERE, PAGE_BYTES) == ERR_OK && !node_of(b, HERE)->parent,
           "a root stays a root");
    tap_ok(map_all(c, HERE, c, HERE, PAGE_BYTES, ACCESS_READ, true, &done) == ERR_OK &&
               access_at(c, HERE) == ACCESS_READ && access_at(c, THERE) == ACCESS_READ,
           "granted onto itself it keeps its place and loses access");
    b->quota.limit = b->quota.used;
    for (uint64_t i = 1; b->slabs[NODE_CLASS]; i++)
        map(c, HERE, b, THERE + i * PAGE_BYTES, PAGE_BYTES, ACCESS_READ);
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
               space_pin(b, USER_MAP_END, 0x5000, ACCESS_READ) == ERR_INVALID_RANGE,
           "it wants an empty, aligned place where tasks have pages");
    tap_ok(space_pin_kernel(b, USER_MAP_END, 0x5000, ACCESS_READ) == ERR_OK &&
               frame_at(b, USER_MAP_END) == 0x5000,
           "above are the kernel's own");
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

// Device memory may lie where the kernel reaches nothing, and reads of it may
// have effects.
static void test_device(void)
{
    uint64_t place = HERE + 16 * PAGE_BYTES;
    struct place at;

    setup();
    mapping_root(a, place, FRAME, false, READ_WRITE, HOST_CACHE_OFF | MAPPING_DEVICE);
    mapping_root(a, LARGE_HERE + LARGE_PAGE_BYTES, FRAME, true, READ_WRITE,
                 HOST_CACHE_WRITE_COMBINING | MAPPING_DEVICE);
    tap_ok(!space_translate(a, place, ACCESS_READ) && !space_translate(a, place, ACCESS_WRITE) &&
               access_at(a, place) == READ_WRITE,
           "the kernel does not touch device memory");
    map(a, place, b, HERE, PAGE_BYTES, ACCESS_READ);
    map(a, place, b, THERE, 2 * PAGE_BYTES, READ_WRITE);
    give(a, place, c, HERE, PAGE_BYTES);
    map_all(a, place, c, HERE, PAGE_BYTES, READ_WRITE, true, &done);
    map(a, LARGE_HERE + LARGE_PAGE_BYTES, b, LARGE_THERE, LARGE_PAGE_BYTES, READ_WRITE);
    map(b, LARGE_THERE + PAGE_BYTES, c, THERE, PAGE_BYTES, READ_WRITE);
    tap_ok(!frame_at(b, HERE) && !frame_at(b, THERE) && !frame_at(c, HERE) && !frame_at(c, THERE) &&
               !frame_at(b, LARGE_THERE) && access_at(b, THERE) == READ_WRITE &&
               access_at(c, HERE) == READ_WRITE && access_at(c, THERE) == READ_WRITE,
           "nor what is mapped from it or granted");
    at = space_find(c, THERE);
    tap_ok(*at.entry & PTE_CACHE_DISABLE && !(*at.entry & PTE_WRITE_THROUGH),
           "and how it is cached goes with it");
    unmap(a, LARGE_HERE + LARGE_PAGE_BYTES, LARGE_PAGE_BYTES, ACCESS_ALL, false);
    unmap(a, LARGE_HERE + LARGE_PAGE_BYTES, PAGE_BYTES, ACCESS_ALL, true);
    tap_ok(!frame_at(a, LARGE_HERE + LARGE_PAGE_BYTES + PAGE_BYTES) &&
               access_at(a, LARGE_HERE + LARGE_PAGE_BYTES + PAGE_BYTES) == READ_WRITE,
           "nor the parts of a 2 MiB page that is split");
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
    test_device();
    test_use();
    tap_ok(memory_free_bytes() == free_before && free_page_count * PAGE_BYTES == free_before,
           "nothing is left");
    return tap_end();
}
