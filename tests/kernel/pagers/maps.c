// SPDX-License-Identifier: BSD-2-Clause
// Maps, objects of another task's pager, copies, and more memory than there is.
#include "pagers_test.h"

#include <corvus/stubs.h>

#include <string.h>

#define RW (ACCESS_READ | ACCESS_WRITE)

static volatile uint64_t *word_at(uint64_t address)
{
    return (volatile uint64_t *)(uintptr_t)address;
}

void test_maps(void)
{
    uint64_t at = 0, start, length, access, inheritance, object, offset, wired, value = 0;
    port_name_t none;

    ok(vm_attach(vm_server, copy_send(NAME_TASK_SELF), &none, &none) == ERR_IN_USE,
       "a task has one map");
    ok(vm_attach(vm_server, copy_send(vm_server), &none, &none) != ERR_OK,
       "what is no task's port is refused");
    ok(vm_allocate(map, 0, 8 * PAGE_BYTES, VM_ANYWHERE, &at) == ERR_OK && at != 0, "vm_allocate");
    ok(*word_at(at) == 0 && *word_at(at + 7 * PAGE_BYTES) == 0, "it is zero");
    *word_at(at + PAGE_BYTES) = 42;
    ok(*word_at(at + PAGE_BYTES) == 42, "it can be written to");
    ok(read_word(at + PAGE_BYTES, &value) == ERR_OK && value == 42, "vm_read");
    ok(write_word(at + 2 * PAGE_BYTES, 7) == ERR_OK && *word_at(at + 2 * PAGE_BYTES) == 7,
       "vm_write");
    ok(vm_allocate(map, at, PAGE_BYTES, 0, &start) == ERR_IN_USE, "what is mapped is in use");
    ok(vm_allocate(map, at + 1, PAGE_BYTES, 0, &start) == ERR_INVALID_RANGE, "a range is of pages");
    ok(vm_allocate(map, USER_END - PAGE_BYTES, 1ull << 40, 0, &start) == ERR_INVALID_RANGE,
       "a range ends within user space");
    ok(vm_protect(map, at + PAGE_BYTES, PAGE_BYTES, 0, ACCESS_READ) == ERR_OK &&
           write_word(at + PAGE_BYTES, 1) == ERR_ACCESS_DENIED && *word_at(at + PAGE_BYTES) == 42,
       "vm_protect takes access away");
    ok(vm_protect(map, at + PAGE_BYTES, PAGE_BYTES, 1, ACCESS_READ) == ERR_OK &&
           vm_protect(map, at + PAGE_BYTES, PAGE_BYTES, 0, RW) == ERR_ACCESS_DENIED,
       "what was taken for good does not come back");
    ok(vm_inherit(map, at, PAGE_BYTES, VM_INHERITANCE_SHARE) == ERR_OK &&
           vm_inherit(map, at, PAGE_BYTES, 9) == ERR_INVALID_ARGUMENT,
       "vm_inherit");
    ok(vm_regions(map, at, &start, &length, &access, &inheritance, &object, &offset, &wired) ==
               ERR_OK &&
           start == at && length == PAGE_BYTES && inheritance == VM_INHERITANCE_SHARE &&
           (access & 0xff) == RW,
       "vm_regions");
    ok(vm_wire(map, at + 4 * PAGE_BYTES, 2 * PAGE_BYTES, 1) == ERR_OK &&
           vm_regions(map, at + 4 * PAGE_BYTES, NULL, NULL, NULL, NULL, NULL, NULL, &wired) ==
               ERR_OK &&
           wired == 1 && vm_wire(map, at + 4 * PAGE_BYTES, 2 * PAGE_BYTES, 0) == ERR_OK,
       "vm_wire");
    uint64_t regions = 0, bytes = 0, resident = 0;
    ok(vm_statistics(map, &regions, &bytes, &resident) == ERR_OK && bytes == 8 * PAGE_BYTES,
       "vm_statistics");
    ok(vm_deallocate(map, at, 8 * PAGE_BYTES) == ERR_OK && read_word(at, &value) == ERR_NOT_MAPPED,
       "vm_deallocate");
}

void test_objects(void)
{
    uint64_t at = map_object(example, 64, 16 * PAGE_BYTES, 0, 0), value = 0;
    bool right = true;

    for (unsigned i = 0; i < 64; i++)
        right &= *word_at(at + i * PAGE_BYTES) == 16 + i;
    ok(at != 0 && right, "an object of another task's pager is read");
    *word_at(at) = 4711;
    uint64_t second = map_object(example, 1, 16 * PAGE_BYTES, 0, 0);
    ok(second != 0 && *word_at(second) == 4711, "mapped twice it is the same memory");
    ok(vm_deallocate(map, second, PAGE_BYTES) == ERR_OK &&
           vm_deallocate(map, at, 64 * PAGE_BYTES) == ERR_OK,
       "it is not mapped any more");
    at = map_object(example, 1, 16 * PAGE_BYTES, 0, 0);
    ok(at != 0 && *word_at(at) == 4711, "what was written has come back to the pager");
    (void)vm_deallocate(map, at, PAGE_BYTES);
    // Mapped again while what was written is still on its way.
    at = map_object(example, 64, 200 * PAGE_BYTES, 0, 0);
    for (unsigned i = 0; i < 64; i++)
        *word_at(at + i * PAGE_BYTES) = 5000 + i;
    (void)vm_deallocate(map, at, 64 * PAGE_BYTES);
    at = map_object(example, 64, 200 * PAGE_BYTES, 0, 0);
    right = true;
    for (unsigned i = 0; i < 64; i++)
        right &= *word_at(at + i * PAGE_BYTES) == 5000 + i;
    ok(right, "all of it, however fast the object is mapped again");
    (void)vm_deallocate(map, at, 64 * PAGE_BYTES);
    at = map_object(example, 2, 1023 * PAGE_BYTES, 0, 0);
    ok(read_word(at, &value) == ERR_OK && value == 1023 &&
           read_word(at + PAGE_BYTES, &value) == ERR_INVALID_RANGE,
       "the pager's error comes to who needs the page");
    (void)vm_deallocate(map, at, 2 * PAGE_BYTES);
}

static void test_fork(uint64_t at)
{
    port_name_t task = PORT_NULL, child = PORT_NULL, pager = PORT_NULL;
    uint64_t value = 0;
    size_t bytes = sizeof value;

    *word_at(at) = 1;
    *word_at(at + PAGE_BYTES) = 2;
    (void)vm_inherit(map, at + PAGE_BYTES, PAGE_BYTES, VM_INHERITANCE_SHARE);
    (void)vm_inherit(map, at + 2 * PAGE_BYTES, PAGE_BYTES, VM_INHERITANCE_NONE);
    ok(vm_fork(map, 256 << 10, &task, &child, &pager) == ERR_OK, "vm_fork");
    *word_at(at) = 11;
    *word_at(at + PAGE_BYTES) = 12;
    ok(vm_read(child, at, sizeof value, &value, &bytes) == ERR_OK && value == 1,
       "the child has a copy");
    ok(vm_read(child, at + PAGE_BYTES, sizeof value, &value, &bytes) == ERR_OK && value == 12,
       "it shares what is shared");
    ok(vm_read(child, at + 2 * PAGE_BYTES, sizeof value, &value, &bytes) == ERR_NOT_MAPPED,
       "it has not what is not inherited");
    value = 21;
    ok(vm_write(child, at, &value, sizeof value) == ERR_OK && *word_at(at) == 11,
       "what the child writes is its own");
    uint64_t maps = numbers().maps;
    (void)port_deallocate(child);
    (void)port_deallocate(pager);
    (void)numbers();
    ok(numbers().maps == maps - 1, "it ends when nobody has its map");
    (void)port_deallocate(task);
}

void test_copies(void)
{
    uint64_t at = map_object(example, 4, 32 * PAGE_BYTES, VM_PRIVATE, 0), to = 0;
    port_name_t snapshot = PORT_NULL;

    *word_at(at) = 99;
    uint64_t shared = map_object(example, 4, 32 * PAGE_BYTES, 0, 0);
    ok(*word_at(at) == 99 && *word_at(shared) == 32, "a private copy is private");
    *word_at(shared + PAGE_BYTES) = 77;
    ok(*word_at(at + PAGE_BYTES) == 33, "and stays as it was when the object is written to");
    *word_at(shared + PAGE_BYTES) = 33;
    (void)vm_deallocate(map, shared, 4 * PAGE_BYTES);
    ok(vm_allocate(map, 0, 4 * PAGE_BYTES, VM_ANYWHERE, &to) == ERR_OK &&
           vm_copy(map, at, 4 * PAGE_BYTES, to) == ERR_OK && *word_at(to) == 99 &&
           *word_at(to + 3 * PAGE_BYTES) == 35,
       "vm_copy");
    *word_at(at) = 100;
    *word_at(to + PAGE_BYTES) = 5;
    ok(*word_at(to) == 99 && *word_at(at + PAGE_BYTES) == 33, "copies are apart");
    ok(vm_snapshot(map, to, 4 * PAGE_BYTES, &snapshot) == ERR_OK, "vm_snapshot");
    *word_at(to) = 1;
    uint64_t seen = map_object(snapshot, 4, 0, 0, 0);
    *word_at(to + PAGE_BYTES) = 2;
    ok(seen != 0 && *word_at(seen) == 99 && *word_at(seen + PAGE_BYTES) == 5,
       "a snapshot stays while its source is written to");
    *word_at(seen) = 3;
    uint64_t again = map_object(snapshot, 4, 0, 0, 0);
    ok(again != 0 && *word_at(again) == 99 && *word_at(to) == 1, "and while a copy of it is");
    uint64_t maps = numbers().maps;
    (void)port_deallocate(snapshot);
    (void)numbers();
    ok(numbers().maps == maps - 1 && *word_at(seen + PAGE_BYTES) == 5,
       "it ends with its last right; what is mapped stays");
    (void)vm_deallocate(map, seen, 4 * PAGE_BYTES);
    (void)vm_deallocate(map, again, 4 * PAGE_BYTES);
    (void)vm_deallocate(map, at, 4 * PAGE_BYTES);
    test_fork(to);
    (void)vm_deallocate(map, to, 4 * PAGE_BYTES);
}

#define MUCH 500u // pages, of which the server has 192

void test_memory(void)
{
    uint64_t at = 0, shared = map_object(example, 300, 100 * PAGE_BYTES, 0, 0);
    bool right = true;
    struct vm_numbers before = numbers(), after;

    ok(vm_allocate(map, 0, MUCH * PAGE_BYTES, VM_ANYWHERE, &at) == ERR_OK, "more than there is");
    for (uint64_t i = 0; i < MUCH; i++)
        *word_at(at + i * PAGE_BYTES) = i * i;
    for (uint64_t i = 0; i < 300; i++)
        *word_at(shared + i * PAGE_BYTES) = i + 1000;
    for (uint64_t i = 0; i < MUCH; i++)
        right &= *word_at(at + i * PAGE_BYTES) == i * i;
    ok(right, "anonymous memory comes back from the default pager");
    right = true;
    for (uint64_t i = 0; i < 300; i++)
        right &= *word_at(shared + i * PAGE_BYTES) == i + 1000;
    ok(right, "an object's pages come back from its pager");
    after = numbers();
    note("evicted %llu, paged out %llu, paged in %llu", (unsigned long long)after.evicted,
         (unsigned long long)after.paged_out, (unsigned long long)after.paged_in);
    ok(after.evicted > before.evicted + 500 && after.paged_in > before.paged_in + 500,
       "they had been evicted");
    ok(vm_wire(map, at, 16 * PAGE_BYTES, 1) == ERR_OK, "some are wired");
    for (uint64_t i = 16; i < MUCH; i++)
        right &= *word_at(at + i * PAGE_BYTES) == i * i;
    before = numbers();
    for (uint64_t i = 0; i < 16; i++)
        right &= *word_at(at + i * PAGE_BYTES) == i * i;
    ok(right && numbers().paged_in == before.paged_in, "and stay when others go");
    ok(vm_deallocate(map, at, MUCH * PAGE_BYTES) == ERR_OK &&
           vm_deallocate(map, shared, 300 * PAGE_BYTES) == ERR_OK,
       "all is given back");
}
