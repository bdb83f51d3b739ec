// SPDX-License-Identifier: BSD-2-Clause
// A program that touches every kind of address that is not its own, in every way: the right signal,
// the right address in it, and nothing else happens.
#include "harness_attempt.h"

#include <sys/mman.h>
#include <sys/uio.h>

#define CODE(string) string, sizeof(string) - 1
static const uint64_t zeros[4];

static const uint64_t unmapped[] = {
    0, 1, 0xfff, 0x1000, 0xffff,
    // Where the Linux server of a node has its own memory.
    0x60000000, 0x60001000, 0x61000000, 0x68000000, 0x6ffff000,
    // Above what ARCH=um gives a process; natively nothing is there either.
    0x7fc0000000, 0x8000000000, 0x8000001000, 0x10000000000, 0x100000000000, 0x200000000000,
    0x400000000000,
    // The kernels' half.
    0xffff800000000000, 0xffff800000100000, 0xffff888000000000, 0xffffc90000000000,
    0xffffff0000000000, 0xffffff0000001000, 0xffffffff80000000, 0xffffffff80100000,
    0xffffffff81000000, 0xffffffffff5fe000, 0xffffffffffffe000, 0xfffffffffffffff8};
#define UNMAPPED (sizeof unmapped / sizeof *unmapped)

// Each way reaches the address in rax.
static const struct {
    const char *name, *bytes;
    size_t count;
} ways[] = {{"read", CODE("\x8a\x08")},                    // mov (%rax), %cl
            {"write", CODE("\x88\x08")},                   // mov %cl, (%rax)
            {"add", CODE("\xf0\x00\x08")},                 // lock add %cl, (%rax)
            {"exchange", CODE("\x86\x08")},                // xchg %cl, (%rax)
            {"compare", CODE("\xf0\x0f\xb0\x08")},         // lock cmpxchg %cl, (%rax)
            {"read vector", CODE("\x0f\x10\x00")},         // movups (%rax), %xmm0
            {"write vector", CODE("\x0f\x11\x00")},        // movups %xmm0, (%rax)
            {"string store", CODE("\x48\x89\xc7\xaa")},    // mov %rax, %rdi; stosb
            {"string load", CODE("\x48\x89\xc6\xac")},     // mov %rax, %rsi; lodsb
            {"call", CODE("\xff\x10")},                    // call *(%rax)
            {"fxsave", CODE("\x0f\xae\x00")},              // fxsave (%rax)
            {"save state", CODE("\x31\xd2\x0f\xae\x20")}}; // xor %edx, %edx; xsave (%rax)

TEST_WITHIN(every_way,
            "each kind of address by each kind of access: SIGSEGV that tells the address", 60)
{
    struct witness *witness = witness_start();
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
        for (size_t i = 0; i < UNMAPPED; i++) {
            const uint64_t values[4] = {unmapped[i]};
            // What a saved state needs is alignment, before anything else.
            bool aligned = w < 10 || unmapped[i] % 64 == 0;
            struct outcome outcome = attempt(ways[w].bytes, ways[w].count, values);
            if (outcome.signal != SIGSEGV)
                FAIL("%s at %#llx: signal %d", ways[w].name, (unsigned long long)unmapped[i],
                     outcome.signal);
            bool wraps = unmapped[i] >= 0xfffffffffffff000;
            if (aligned && !wraps && w < 10 &&
                (outcome.code != SEGV_MAPERR || outcome.address < unmapped[i] ||
                 outcome.address > unmapped[i] + 16))
                FAIL("%s at %#llx: code %d, address %#llx", ways[w].name,
                     (unsigned long long)unmapped[i], outcome.code,
                     (unsigned long long)outcome.address);
        }
        witness_check(witness);
    }
    witness_end(witness);
}

TEST(execution, "jumps there: SIGSEGV with that address")
{
    struct witness *witness = witness_start();
    for (size_t i = 0; i < UNMAPPED; i++) {
        const uint64_t values[4] = {unmapped[i]};
        struct outcome outcome = attempt(CODE("\xff\xe0"), values); // jmp *%rax
        if (outcome.signal != SIGSEGV || outcome.address != unmapped[i])
            FAIL("jump to %#llx: signal %d at %#llx", (unsigned long long)unmapped[i],
                 outcome.signal, (unsigned long long)outcome.address);
    }
    // The page of ancient system calls: xonly natively, and not there on a node.
    const uint64_t ancient[4] = {0xffffffffff600000};
    struct outcome outcome = attempt(CODE("\x8a\x08"), ancient);
    REQUIRE_EQUAL(outcome.signal, SIGSEGV);
    witness_end(witness);
}

TEST(not_canonical, "addresses that no page table can have: SIGSEGV without an address")
{
    static const uint64_t addresses[] = {0x100000000000000,  0x1234567812345678,
                                         0x7fffffffffffffff, 0x8000000000000000,
                                         0xdeadbeefdeadbeef, 0xfeffffffffffffff};
    struct witness *witness = witness_start();
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        const uint64_t values[4] = {addresses[i]};
        for (size_t w = 0; w < 10; w++) {
            struct outcome outcome = attempt(ways[w].bytes, ways[w].count, values);
            REQUIRE_EQUAL(outcome.signal, SIGSEGV);
            REQUIRE_EQUAL(outcome.code, SI_KERNEL);
        }
        REQUIRE_EQUAL(attempt(CODE("\xff\xe0"), values).signal, SIGSEGV);
    }
    // Around the hole that four levels of page tables leave: which code depends on the levels.
    static const uint64_t edges[] = {0x7ffffffffff8, 0x7ffffffffffc, 0x800000000000,
                                     0x1000000000000, 0xffff7ffffffffff8};
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
        const uint64_t values[4] = {edges[i]};
        REQUIRE_EQUAL(attempt(CODE("\x48\x8b\x08"), values).signal, SIGSEGV);
        REQUIRE_EQUAL(attempt(CODE("\xff\xe0"), values).signal, SIGSEGV);
    }
    witness_end(witness);
}

// What the microkernel puts into a task of its own accord (message pages, the clock page) must not
// be in a Linux process: nothing there is to be seen but what /proc/self/maps lists.
static bool is_listed(uint64_t address)
{
    static char *list;
    if (list == NULL)
        list = strdup(read_file("/proc/self/maps"));
    for (const char *line = list; line != NULL; line = strchr(line, '\n')) {
        unsigned long start, end;
        if (*line == '\n')
            line++;
        if (sscanf(line, "%lx-%lx", &start, &end) == 2 && address >= start && address < end)
            return true;
    }
    return false;
}

TEST_WITHIN(nothing_unlisted, "nothing is mapped that /proc/self/maps does not list", 120)
{
    uint64_t tried = 0;
    (void)attempt("\x90", 1, zeros); // what it needs itself is there before the list is read
    // The top of the lower half page by page, the rest in ever larger steps.
    for (uint64_t at = 0x7fffffe00000; at < 0x7ffffffff000; at += 4096) {
        const uint64_t values[4] = {at};
        if (!is_listed(at) && attempt("\x8a\x08", 2, values).signal != SIGSEGV)
            FAIL("%#llx is there", (unsigned long long)at);
        tried++;
    }
    for (unsigned shift = 12; shift < 47; shift++) {
        for (uint64_t i = 1; i < 64; i++) {
            const uint64_t values[4] = {i << shift};
            if (values[0] < 0x7fffffe00000 && !is_listed(values[0]) &&
                attempt("\x8a\x08", 2, values).signal != SIGSEGV)
                FAIL("%#llx is there", (unsigned long long)values[0]);
            tried++;
        }
    }
    remark("%llu places", (unsigned long long)tried);
}

TEST(execution_of_data, "data, heap and stack are not executed; text is not written")
{
    static uint8_t data[16] = {0xc3};
    uint8_t stack[16] = {0xc3}, *heap = malloc(16);
    REQUIRE(heap != NULL);
    heap[0] = 0xc3;
    const uint64_t places[] = {(uint64_t)data, (uint64_t)stack, (uint64_t)heap};
    for (int i = 0; i < 3; i++) {
        const uint64_t values[4] = {places[i]};
        struct outcome outcome = attempt(CODE("\xff\xe0"), values);
        REQUIRE_EQUAL(outcome.signal, SIGSEGV);
        REQUIRE_EQUAL(outcome.code, SEGV_ACCERR);
        REQUIRE_EQUAL(outcome.address, places[i]);
    }
    const uint64_t text[4] = {(uint64_t)is_one_of};
    struct outcome outcome = attempt(CODE("\x88\x08"), text);
    REQUIRE_EQUAL(outcome.signal, SIGSEGV);
    REQUIRE_EQUAL(outcome.code, SEGV_ACCERR);
    free(heap);
}

TEST_WITHIN(fault_storm, "ten thousand faults in a row, while a neighbour computes", 60)
{
    struct witness *witness = witness_start();
    for (unsigned i = 0; i < 10000; i++) {
        const uint64_t values[4] = {unmapped[i % UNMAPPED]};
        REQUIRE_EQUAL(attempt("\x8a\x08", 2, values).signal, SIGSEGV);
    }
    witness_end(witness);
}
