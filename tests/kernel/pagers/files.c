// SPDX-License-Identifier: BSD-2-Clause
// The copy-on-write file example: a file is mapped as a private copy, changed at random places,
// half of it is written back, the rest thrown away. docs/pagers.md goes through it.
#include "pagers_test.h"

#include "lib/file.h"

#include <stdlib.h>
#include <string.h>

#define CHANGES 200u

static void change(char *text, uint64_t size)
{
    srand(5);
    for (unsigned i = 0; i < CHANGES; i++)
        text[(unsigned)rand() % size] = '#';
}

static unsigned count_changes(const char *text, uint64_t size)
{
    unsigned count = 0;

    for (uint64_t i = 0; i < size; i++)
        count += text[i] == '#';
    return count;
}

void test_files(port_name_t files)
{
    uint64_t at = 0, again = 0, old = 0, size = 0, half;
    char *text;

    ok(fs_read_file(files, map, "nothing", &at, &size) == ERR_NOT_FOUND,
       "a file that is not there");
    ok(fs_read_file(files, map, "numbers", &at, &size) == ERR_OK && size > 16 * PAGE_BYTES,
       "fs_read_file maps a file");
    text = (char *)(uintptr_t)at;
    uint64_t before = numbers().paged_in;
    ok(memcmp(text, "1\n2\n3\n4\n", 8) == 0 && numbers().paged_in == before + 1,
       "one page has come, since one was read");
    (void)fs_read_file(files, map, "numbers", &old, &size);
    change(text, size);
    unsigned changes = count_changes(text, size);
    ok(changes > CHANGES / 2 && count_changes((const char *)(uintptr_t)old, size) == 0,
       "it is changed at random places, and nobody else sees that");
    half = size / 2;
    ok(fs_write_file(files, "numbers", 0, text, half) == ERR_OK, "half of it is written back");
    ok(fs_read_file(files, map, "numbers", &again, &size) == ERR_OK &&
           memcmp((const char *)(uintptr_t)again, text, half) == 0 &&
           count_changes((const char *)(uintptr_t)again + half, size - half) == 0,
       "who reads the file now sees that half changed, the other not");
    ok(count_changes((const char *)(uintptr_t)old, size) == 0,
       "who had mapped it before still sees what it was");
    ok(vm_deallocate(map, at, size) == ERR_INVALID_RANGE, "a range is of whole pages");
    size = (size + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    ok(vm_deallocate(map, at, size) == ERR_OK && vm_deallocate(map, again, size) == ERR_OK &&
           vm_deallocate(map, old, size) == ERR_OK,
       "the copies are thrown away");
    ok(fs_write_file(files, "new", 3 * PAGE_BYTES, "end", 3) == ERR_OK &&
           fs_read_file(files, map, "new", &at, &size) == ERR_OK && size == 3 * PAGE_BYTES + 3 &&
           *(const char *)(uintptr_t)at == 0 &&
           memcmp((const char *)(uintptr_t)(at + 3 * PAGE_BYTES), "end", 3) == 0,
       "a new file, with a hole");
    (void)vm_deallocate(map, at, 4 * PAGE_BYTES);
}
