// SPDX-License-Identifier: BSD-2-Clause
// I/O ports in the mapping tree: ranges, map, grant and unmap by eight ports,
// and the window onto the TSS that shows a space's own bitmap.
#include "shim/mapping_part.h"
#include "tap.h"

static struct task *a, *b, *c;
static uint64_t done; // of the last io_map()

static void test_ranges(void)
{
    tap_ok(mapping_io_check_range(0, 65536) == ERR_OK &&
               mapping_io_check_range(65528, 8) == ERR_OK && mapping_io_check_range(0, 65544) &&
               mapping_io_check_range(4, 8) && mapping_io_check_range(8, 0) &&
               mapping_io_check_range(8, 0 - 8ull),
           "ranges of I/O ports are whole, not empty and inside");
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

    a = task_make();
    b = task_make();
    c = task_make();
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
    check_tlb();
    task_end(a);
    task_end(b);
    task_end(c);
}

int main(void)
{
    uint64_t free_before;

    part_init();
    free_before = memory_free_bytes();
    test_ranges();
    test_io();
    tap_ok(memory_free_bytes() == free_before, "nothing is left");
    return tap_end();
}
