// SPDX-License-Identifier: BSD-2-Clause
// The calls of vm.def with arguments that are wrong: each documented error is met, and nothing has
// changed. What they do when they are right is in maps.c and children.c.
#include "pagers_test.h"

#define RW    (ACCESS_READ | ACCESS_WRITE)
#define PAGES 8u

static uint8_t large[VM_COPY_MAX + PAGE_BYTES];
static uint64_t at, hole; // PAGES pages, the last of which cannot be written to; nothing is mapped

static void wrong_places(void)
{
    uint64_t start = 0, most = USER_END;
    const uint64_t page = PAGE_BYTES;

    ok(vm_allocate(map, hole, 0, 0, &start) == ERR_INVALID_RANGE &&
           vm_allocate(map, 0, page, 0, &start) == ERR_INVALID_RANGE &&
           vm_allocate(map, 0, page + 1, VM_ANYWHERE, &start) == ERR_INVALID_RANGE &&
           vm_allocate(map, hole, page, 8, &start) == ERR_INVALID_ARGUMENT &&
           vm_allocate(map, 0, 1ull << 46, VM_ANYWHERE, &start) == ERR_NO_MEMORY,
       "vm_allocate: ranges, flags, too much");
    ok(vm_deallocate(map, at + 1, page) == ERR_INVALID_RANGE &&
           vm_deallocate(map, at, 0) == ERR_INVALID_RANGE &&
           vm_deallocate(map, most, ~0ull << 12) == ERR_INVALID_RANGE &&
           vm_deallocate(map, hole, page) == ERR_OK,
       "vm_deallocate: ranges; a hole is no error");
    ok(vm_inherit(map, at + 1, page, 0) == ERR_INVALID_RANGE &&
           vm_inherit(map, hole, page, 0) == ERR_NOT_MAPPED,
       "vm_inherit: ranges, a hole");
    ok(vm_protect(map, at, 5, 0, RW) == ERR_INVALID_RANGE &&
           vm_protect(map, hole, page, 0, RW) == ERR_NOT_MAPPED &&
           vm_protect(map, at, page, 2, RW) == ERR_INVALID_ARGUMENT &&
           vm_protect(map, at, page, 0, 0x80) == ERR_INVALID_ARGUMENT,
       "vm_protect: ranges, a hole, no such access");
    ok(vm_regions(map, most, NULL, NULL, NULL, NULL, NULL, NULL, NULL) == ERR_NOT_FOUND,
       "vm_regions: nothing is above");
}

static void wrong_memory(void)
{
    size_t bytes = sizeof large;
    const uint64_t page = PAGE_BYTES, last = at + (PAGES - 1) * page;

    ok(vm_read(map, hole, 8, large, &bytes) == ERR_NOT_MAPPED &&
           vm_read(map, at, 0, large, &bytes) == ERR_INVALID_RANGE &&
           vm_read(map, at, VM_COPY_MAX + 1, large, &bytes) == ERR_TOO_LARGE &&
           vm_read(map, ~0ull - 4, 8, large, &bytes) == ERR_INVALID_RANGE,
       "vm_read: a hole, nothing, too much");
    ok(vm_write(map, hole, large, 8) == ERR_NOT_MAPPED &&
           vm_write(map, last, large, 8) == ERR_ACCESS_DENIED &&
           vm_write(map, at, large, sizeof large) != ERR_OK,
       "vm_write: a hole, no access, too much");
    ok(vm_copy(map, at, page, hole) == ERR_NOT_MAPPED &&
           vm_copy(map, hole, page, at) == ERR_NOT_MAPPED &&
           vm_copy(map, at, page, last) == ERR_ACCESS_DENIED &&
           vm_copy(map, at, 7, at + page) == ERR_INVALID_RANGE,
       "vm_copy: holes, no access, a part of a page");
    ok(vm_wire(map, hole, page, 1) == ERR_NOT_MAPPED &&
           vm_wire(map, at, 7, 1) == ERR_INVALID_RANGE &&
           vm_wire(map, at, page, 2) == ERR_INVALID_ARGUMENT &&
           vm_wire(map, hole, page, 0) == ERR_NOT_MAPPED,
       "vm_wire: a hole, a part of a page");
    (void)vm_protect(map, last, page, 0, 0);
    port_name_t object;
    ok(vm_read(map, last, 8, large, &bytes) == ERR_ACCESS_DENIED &&
           vm_wire(map, last, page, 1) == ERR_ACCESS_DENIED &&
           vm_snapshot(map, last, page, &object) == ERR_ACCESS_DENIED,
       "what cannot be read is not read, wired, or told by a snapshot");
    ok(vm_snapshot(map, hole, page, &object) == ERR_NOT_MAPPED &&
           vm_snapshot(map, at, page + 1, &object) == ERR_INVALID_RANGE,
       "vm_snapshot: a hole, a part of a page");
}

static void wrong_objects(void)
{
    uint64_t start = 0;
    port_name_t receive, right;

    ok(port_allocate_with_send(0, &receive, &right) == ERR_OK, "an object");
    ok(vm_allocate_with_pager(map, at, PAGE_BYTES, 0, 0, RW, 0, copy_send(right), &start) ==
               ERR_IN_USE &&
           vm_allocate_with_pager(map, hole, PAGE_BYTES, 1, 0, RW, 0, copy_send(right), &start) ==
               ERR_INVALID_ARGUMENT &&
           vm_allocate_with_pager(map, hole, PAGE_BYTES, 0, 0, 0, 0, copy_send(right), &start) ==
               ERR_INVALID_ARGUMENT &&
           vm_allocate_with_pager(map, hole, PAGE_BYTES, 0, 8, RW, 0, copy_send(right), &start) ==
               ERR_INVALID_ARGUMENT,
       "vm_allocate_with_pager: in use, offset, access, flags");
    (void)port_deallocate(receive);
    ok(vm_allocate_with_pager(map, hole, PAGE_BYTES, 0, 0, RW, 0, copy_send(right), &start) !=
           ERR_OK,
       "an object whose pager is dead");
    (void)port_deallocate(right);
}

static void wiring(void)
{
    uint64_t some = map_object(example, 4, 1022 * PAGE_BYTES, 0, 0), wired = 1;

    // The example's object has 1024 pages.
    ok(vm_wire(map, some, 4 * PAGE_BYTES, 1) == ERR_INVALID_RANGE &&
           vm_regions(map, some, NULL, NULL, NULL, NULL, NULL, NULL, &wired) == ERR_OK &&
           wired == 0,
       "a range of which a page cannot be had is not wired in part");
    (void)vm_deallocate(map, some, 4 * PAGE_BYTES);
    corvus_error_t first = vm_wire(map, at, 2 * PAGE_BYTES, 1);
    ok(first == ERR_OK && vm_wire(map, at, 2 * PAGE_BYTES, 1) == ERR_OK &&
           vm_wire(map, at, 2 * PAGE_BYTES, 0) == ERR_OK &&
           vm_regions(map, at, NULL, NULL, NULL, NULL, NULL, NULL, &wired) == ERR_OK && wired == 0,
       "wired twice, it is unwired once");
}

void test_calls(void)
{
    uint64_t maps = numbers().maps;

    ok(vm_allocate(map, 0, PAGES * PAGE_BYTES, VM_ANYWHERE, &at) == ERR_OK &&
           vm_protect(map, at + (PAGES - 1) * PAGE_BYTES, PAGE_BYTES, 0, ACCESS_READ) == ERR_OK,
       "memory whose last page is only read");
    hole = at + (1ull << 32);
    *(volatile uint64_t *)(uintptr_t)at = 42;
    wrong_places();
    wrong_memory();
    wrong_objects();
    wiring();
    ok(*(volatile uint64_t *)(uintptr_t)at == 42 && numbers().maps == maps, "nothing has changed");
    struct message odd = {.tag = 1, .destination = map, .id = SERVICE_vm_fork + 100};
    ok(msg_rpc(&odd, TIMEOUT_NONE) == ERR_OK && odd.words[0] == ERR_UNKNOWN_SERVICE,
       "a call that there is not");
    odd = (struct message){.tag = 1, .destination = map, .id = SERVICE_vm_allocate};
    ok(msg_rpc(&odd, TIMEOUT_NONE) == ERR_OK && odd.words[0] == ERR_INVALID_ARGUMENT,
       "a call without its words");
    (void)vm_deallocate(map, at, PAGES * PAGE_BYTES);
}
