// SPDX-License-Identifier: BSD-2-Clause
// Memory from init: given, changed and taken back in parts, small and large
// pages, and each documented error.
#include "init_test.h"

#include <stdlib.h>
#include <string.h>

#define READ_WRITE (ACCESS_READ | ACCESS_WRITE)
#define FAR        (AREA + (1ull << 30)) // nothing is mapped from here on
#define LARGE_AREA (AREA + (1ull << 32))

static corvus_error_t allocate(uint64_t address, uint64_t length, uint64_t access)
{
    return bootstrap_allocate_memory(NAME_BOOTSTRAP, address, length, access);
}

static corvus_error_t release(uint64_t address, uint64_t length)
{
    return bootstrap_free_memory(NAME_BOOTSTRAP, address, length);
}

static corvus_error_t protect(uint64_t address, uint64_t length, uint64_t access)
{
    return bootstrap_protect_memory(NAME_BOOTSTRAP, address, length, access);
}

static uint64_t access_at(uint64_t address, uint64_t *bytes)
{
    uint64_t access = 0, derived, root;

    if (memory_info(NAME_TASK_SELF, address, &access, bytes, &derived, &root) != ERR_OK)
        return 0;
    return access;
}

static bool holds(const char *bytes, size_t count, char value)
{
    for (size_t i = 0; i < count; i++)
        if (bytes[i] != value)
            return false;
    return true;
}

static void test_small(void)
{
    char *bytes = (char *)AREA;

    ok(allocate(AREA, 10 * PAGE, READ_WRITE) == ERR_OK, "memory: ten pages");
    memset(bytes, 1, 10 * PAGE);
    ok(allocate(AREA + PAGE, PAGE, READ_WRITE) == ERR_IN_USE, "memory: where some is already");
    ok(release(AREA + PAGE, PAGE) == ERR_OK, "memory: one in the middle is freed");
    ok(release(AREA + PAGE, PAGE) == ERR_INVALID_RANGE, "memory: it cannot be freed twice");
    ok(allocate(AREA + PAGE, PAGE, READ_WRITE) == ERR_OK, "memory: and is given again");
    ok(holds(bytes + PAGE, PAGE, 0), "memory: zeroed");
    ok(holds(bytes, PAGE, 1) && holds(bytes + 2 * PAGE, 8 * PAGE, 1),
       "memory: its neighbours keep what they hold");
    ok(release(AREA, 10 * PAGE) == ERR_OK, "memory: freed at once, though given in two parts");
}

static void test_errors(void)
{
    ok(allocate(AREA + 1, PAGE, READ_WRITE) == ERR_INVALID_RANGE, "memory: address not of a page");
    ok(allocate(FAR, PAGE + 1, READ_WRITE) == ERR_INVALID_RANGE, "memory: length not of pages");
    ok(allocate(FAR, 0, READ_WRITE) != ERR_OK, "memory: length zero");
    ok(allocate(0ull - PAGE, PAGE, READ_WRITE) != ERR_OK, "memory: the kernel's addresses");
    ok(allocate(FAR, 1ull << 63, READ_WRITE) != ERR_OK, "memory: half of all there is");
    ok(allocate(FAR, PAGE, 8) == ERR_INVALID_ARGUMENT, "memory: an access there is not");
    ok(allocate(FAR, PAGE, 0) == ERR_INVALID_ARGUMENT, "memory: no access");
    ok(allocate(FAR, 2ull << 30, READ_WRITE) == ERR_INVALID_ARGUMENT,
       "memory: more than one call may ask for");
    ok(allocate(FAR, 512ull << 20, READ_WRITE) == ERR_NO_MEMORY, "memory: more than its limit");
    ok(release(0x400000, PAGE) == ERR_INVALID_RANGE, "memory: its program cannot be freed");
    ok(protect(FAR, PAGE, ACCESS_READ) == ERR_INVALID_RANGE, "memory: nothing there to protect");
}

static void write_numbers(void)
{
    for (uint64_t i = 0; i < 3 * LARGE; i += PAGE)
        *(volatile uint64_t *)(LARGE_AREA + i) = i + 1;
}

static bool numbers_stay(uint64_t hole)
{
    for (uint64_t i = 0; i < 3 * LARGE; i += PAGE)
        if (i != hole && *(volatile uint64_t *)(LARGE_AREA + i) != i + 1)
            return false;
    return true;
}

static void test_large(void)
{
    const uint64_t second = LARGE_AREA + LARGE, hole = 2 * LARGE + PAGE;
    uint64_t bytes = 0;

    ok(allocate(LARGE_AREA, 3 * LARGE, READ_WRITE) == ERR_OK, "memory: three large pages");
    ok(access_at(LARGE_AREA, &bytes) == READ_WRITE && bytes == LARGE, "memory: mapped as such");
    write_numbers();
    ok(protect(second + 3 * PAGE, 2 * PAGE, ACCESS_READ) == ERR_OK,
       "memory: part of one is made read-only");
    ok(access_at(second, &bytes) == READ_WRITE && bytes == PAGE, "memory: so it is split");
    ok(access_at(second + 4 * PAGE, &bytes) == ACCESS_READ, "memory: and that part is read-only");
    ok(release(LARGE_AREA + hole, PAGE) == ERR_OK, "memory: a page out of another is freed");
    ok(numbers_stay(hole), "memory: contents survive the splitting");
    ok(protect(LARGE_AREA, PAGE, 0) == ERR_OK, "memory: access taken away");
    ok(protect(LARGE_AREA, PAGE, READ_WRITE) == ERR_OK && *(volatile uint64_t *)LARGE_AREA == 1,
       "memory: given back, with its contents");
    ok(release(LARGE_AREA, 3 * LARGE) == ERR_INVALID_RANGE, "memory: a range with a hole");
    ok(release(LARGE_AREA, hole) == ERR_OK &&
           release(LARGE_AREA + hole + PAGE, LARGE - 2 * PAGE) == ERR_OK,
       "memory: both sides of the hole are freed");
}

static void test_malloc(void)
{
    bool good = true;

    for (int i = 0; i < 200 && good; i++) {
        char *block = malloc(100000);
        good = block != NULL;
        if (good)
            memset(block, i, 100000);
        free(block);
    }
    ok(good, "memory: malloc and free, 200 times");
}

void test_memory(void)
{
    test_small();
    test_errors();
    test_large();
    test_malloc();
}
