// SPDX-License-Identifier: BSD-2-Clause
// Mappings of every kind: private and shared, anonymous and of files, fixed, growing downwards,
// huge and sparse, without access; mremap, munmap, madvise, msync, mincore, mlock.
#include "harness.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define PAGE       4096ul
#define READ_WRITE (PROT_READ | PROT_WRITE)
#define PRIVATE    (MAP_PRIVATE | MAP_ANONYMOUS)

static uint8_t *map(size_t size, int access, int flags)
{
    return SUCCEED(mmap(NULL, size, access, flags, -1, 0));
}

// --- Whether an access is allowed ---------------------------------------------------------------

static sigjmp_buf back;
static volatile int faulted;

static void on_fault(int number)
{
    faulted = number;
    siglongjmp(back, 1);
}

static int fault_of_read(const volatile uint8_t *at)
{
    signal(SIGSEGV, on_fault);
    signal(SIGBUS, on_fault);
    faulted = 0;
    if (sigsetjmp(back, 1) == 0)
        (void)*at;
    return faulted;
}

static int fault_of_write(volatile uint8_t *at)
{
    signal(SIGSEGV, on_fault);
    signal(SIGBUS, on_fault);
    faulted = 0;
    if (sigsetjmp(back, 1) == 0)
        *at = *at;
    return faulted;
}

static int fault_of_call(const void *at)
{
    signal(SIGSEGV, on_fault);
    faulted = 0;
    if (sigsetjmp(back, 1) == 0)
        ((void (*)(void))(uintptr_t)at)();
    return faulted;
}

// --- Anonymous ----------------------------------------------------------------------------------

TEST(private_memory, "private anonymous memory is zero, and its own after fork")
{
    uint8_t *at = map(64 * PAGE, READ_WRITE, PRIVATE);
    for (size_t i = 0; i < 64 * PAGE; i++)
        REQUIRE(at[i] == 0);
    fill_pattern(at, 64 * PAGE, 1);
    REQUIRE(has_pattern(at, 64 * PAGE, 1));
    SUCCEED(munmap(at, 64 * PAGE));
    REQUIRE_EQUAL(fault_of_read(at), SIGSEGV);
}

static void write_to(void *argument)
{
    fill_pattern(argument, 16 * PAGE, 3);
}

TEST(shared_memory, "shared anonymous memory is seen by children, private memory is not")
{
    uint8_t *shared = map(16 * PAGE, READ_WRITE, MAP_SHARED | MAP_ANONYMOUS);
    uint8_t *private = map(16 * PAGE, READ_WRITE, PRIVATE);
    in_child(write_to, shared);
    in_child(write_to, private);
    REQUIRE(has_pattern(shared, 16 * PAGE, 3));
    for (size_t i = 0; i < 16 * PAGE; i++)
        REQUIRE_EQUAL(private[i], 0);
}

TEST(protections, "each combination of rights, before and after mprotect")
{
    static const struct {
        int access, read, write;
    } cases[] = {{PROT_NONE, SIGSEGV, SIGSEGV},
                 {PROT_READ, 0, SIGSEGV},
                 {READ_WRITE, 0, 0},
                 {PROT_READ | PROT_EXEC, 0, SIGSEGV},
                 {READ_WRITE | PROT_EXEC, 0, 0}};
    uint8_t *changing = map(PAGE, READ_WRITE, PRIVATE);
    changing[0] = 0xc3; // ret
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            uint8_t *fresh = map(PAGE, cases[i].access, PRIVATE);
            REQUIRE_EQUAL(fault_of_read(fresh), cases[i].read);
            REQUIRE_EQUAL(fault_of_write(fresh), cases[i].write);
            SUCCEED(munmap(fresh, PAGE));
            SUCCEED(mprotect(changing, PAGE, cases[i].access));
            REQUIRE_EQUAL(fault_of_read(changing), cases[i].read);
            REQUIRE_EQUAL(fault_of_write(changing), cases[i].write);
            REQUIRE_EQUAL(fault_of_call(changing), cases[i].access & PROT_EXEC ? 0 : SIGSEGV);
        }
    }
    FAIL_WITH(mprotect(changing + 1, PAGE, PROT_READ), EINVAL);
    FAIL_WITH(mprotect((void *)0xffff800000000000, PAGE, PROT_READ), ENOMEM);
}

TEST(guards, "pages without access between others; mprotect splits and joins mappings")
{
    uint8_t *at = map(9 * PAGE, READ_WRITE, PRIVATE);
    for (unsigned i = 0; i < 9; i++)
        at[i * PAGE] = (uint8_t)i;
    for (unsigned i = 1; i < 9; i += 2)
        SUCCEED(mprotect(at + i * PAGE, PAGE, PROT_NONE));
    for (unsigned i = 0; i < 9; i++)
        REQUIRE_EQUAL(fault_of_write(at + i * PAGE), i % 2 ? SIGSEGV : 0);
    SUCCEED(mprotect(at, 9 * PAGE, PROT_READ));
    for (unsigned i = 0; i < 9; i++)
        REQUIRE_EQUAL(at[i * PAGE], i);
    SUCCEED(munmap(at + 4 * PAGE, PAGE));
    FAIL_WITH(mprotect(at, 9 * PAGE, READ_WRITE), ENOMEM);
    REQUIRE_EQUAL(fault_of_write(at + 3 * PAGE), 0); // what lies before the hole was changed
}

TEST(huge_and_sparse, "256 GiB reserved, a page here and there touched, and given back")
{
    size_t size = 256ul << 30, step = 1ul << 30;
    uint8_t *at = map(size, READ_WRITE, PRIVATE | MAP_NORESERVE);
    for (size_t offset = 0; offset < size; offset += step)
        at[offset + (offset >> 20)] = (uint8_t)(offset >> 30);
    for (size_t offset = 0; offset < size; offset += step) {
        REQUIRE_EQUAL(at[offset + (offset >> 20)], (uint8_t)(offset >> 30));
        REQUIRE_EQUAL(at[offset + PAGE * 100], 0);
    }
    SUCCEED(munmap(at, size));
    REQUIRE_EQUAL(fault_of_read(at), SIGSEGV);
}

TEST(address_limits, "lengths and addresses that cannot be")
{
    FAIL_WITH(mmap(NULL, 0, PROT_READ, PRIVATE, -1, 0), EINVAL);
    FAIL_WITH(mmap(NULL, 1ul << 60, PROT_READ, PRIVATE, -1, 0), ENOMEM);
    FAIL_WITH(mmap(NULL, (size_t)-1, PROT_READ, PRIVATE, -1, 0), ENOMEM);
    FAIL_WITH(mmap((void *)0xffff800000000000, PAGE, PROT_READ, PRIVATE | MAP_FIXED, -1, 0),
              ENOMEM);
    FAIL_WITH(mmap((void *)(1ul << 56), PAGE, PROT_READ, PRIVATE | MAP_FIXED, -1, 0), ENOMEM);
    FAIL_WITH(mmap((void *)0x10001, PAGE, PROT_READ, PRIVATE | MAP_FIXED, -1, 0), EINVAL);
    FAIL_WITH(mmap(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0), EINVAL);
    FAIL_WITH(munmap((void *)1, PAGE), EINVAL);
    FAIL_WITH(munmap((void *)0xffff800000000000, PAGE), EINVAL);
    SUCCEED(munmap((void *)0x123000, PAGE)); // nothing there is no error
    // Where the node's Linux server itself lies in its own space: ordinary memory of the program.
    uint8_t *at = SUCCEED(
        mmap((void *)0x60000000, 64 * PAGE, READ_WRITE, PRIVATE | MAP_FIXED_NOREPLACE, -1, 0));
    fill_pattern(at, 64 * PAGE, 6);
    SUCCEED(syscall(SYS_getrandom, at + PAGE, PAGE, 0));
    REQUIRE(has_pattern(at, PAGE, 6));
    // The highest address differs: a process of a node has 511 GiB.
    uint64_t high =
        BY_PLACE(0x7fffffffd000, 0x7fbffff000, "ARCH=um gives processes 511 GiB of address space");
    SUCCEED(mmap((void *)(high - 16 * PAGE), PAGE, READ_WRITE, PRIVATE | MAP_FIXED, -1, 0));
    if (on_node())
        FAIL_WITH(mmap((void *)0x8000000000, PAGE, READ_WRITE, PRIVATE | MAP_FIXED, -1, 0), ENOMEM);
}

TEST(fixed, "MAP_FIXED replaces what was there, MAP_FIXED_NOREPLACE does not")
{
    uint8_t *at = map(3 * PAGE, READ_WRITE, PRIVATE);
    fill_pattern(at, 3 * PAGE, 4);
    REQUIRE(mmap(at + PAGE, PAGE, READ_WRITE, PRIVATE | MAP_FIXED, -1, 0) == at + PAGE);
    REQUIRE_EQUAL(at[PAGE] | at[2 * PAGE - 1], 0);
    REQUIRE(has_pattern(at, PAGE, 4));
    FAIL_WITH(mmap(at + PAGE, PAGE, READ_WRITE, PRIVATE | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
    SUCCEED(munmap(at + PAGE, PAGE));
    REQUIRE(mmap(at + PAGE, PAGE, READ_WRITE, PRIVATE | MAP_FIXED_NOREPLACE, -1, 0) == at + PAGE);
    // A hint only.
    REQUIRE(mmap(at, PAGE, READ_WRITE, PRIVATE, -1, 0) != at);
}

TEST(grows_down, "MAP_GROWSDOWN grows by a fault just below it; the stack grows to its limit")
{
    uint8_t *at = map(400 * PAGE, PROT_NONE, PRIVATE);
    SUCCEED(munmap(at, 400 * PAGE));
    uint8_t *low = SUCCEED(
        mmap(at + 398 * PAGE, 2 * PAGE, READ_WRITE, PRIVATE | MAP_FIXED | MAP_GROWSDOWN, -1, 0));
    for (int i = 1; i < 20; i++)
        low[-i * (long)PAGE] = (uint8_t)i;
    for (int i = 1; i < 20; i++)
        REQUIRE_EQUAL(low[-i * (long)PAGE], i);
    // 4 MiB of stack in one go.
    volatile uint8_t *stack = __builtin_alloca(4 << 20);
    for (size_t i = 4 << 20; i >= PAGE; i -= PAGE)
        stack[i - PAGE] = (uint8_t)(i >> 12);
    for (size_t i = 4 << 20; i >= PAGE; i -= PAGE)
        REQUIRE_EQUAL(stack[i - PAGE], (uint8_t)(i >> 12));
}

// --- mremap -------------------------------------------------------------------------------------

TEST(remap, "mremap: shrink, grow in place, move, to a fixed place, as a second view")
{
    uint8_t *at = map(9 * PAGE, READ_WRITE, PRIVATE); // the last is in the way later
    fill_pattern(at, 8 * PAGE, 5);
    REQUIRE(mremap(at, 8 * PAGE, 4 * PAGE, 0) == at);
    REQUIRE_EQUAL(fault_of_read(at + 4 * PAGE), SIGSEGV);
    REQUIRE(mremap(at, 4 * PAGE, 8 * PAGE, 0) == at); // the room is still free
    REQUIRE(has_pattern(at, 4 * PAGE, 5));
    REQUIRE_EQUAL(at[4 * PAGE], 0);
    FAIL_WITH(mremap(at, 8 * PAGE, 16 * PAGE, 0), ENOMEM);
    uint8_t *moved = SUCCEED(mremap(at, 8 * PAGE, 2000 * PAGE, MREMAP_MAYMOVE));
    REQUIRE(moved != at && has_pattern(moved, 4 * PAGE, 5));
    REQUIRE_EQUAL(fault_of_read(at), SIGSEGV);
    uint8_t *place = map(4 * PAGE, READ_WRITE, PRIVATE);
    place[0] = 1;
    REQUIRE(mremap(moved, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place) == place);
    REQUIRE(has_pattern(place, 4 * PAGE, 5));
    uint8_t *kept =
        SUCCEED(mremap(place, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL));
    REQUIRE(has_pattern(kept, 4 * PAGE, 5));
    REQUIRE_EQUAL(place[0], 0); // still mapped, empty

    uint8_t *shared = map(2 * PAGE, READ_WRITE, MAP_SHARED | MAP_ANONYMOUS);
    uint8_t *view = SUCCEED(mremap(shared, 0, 2 * PAGE, MREMAP_MAYMOVE));
    shared[PAGE] = 42;
    REQUIRE_EQUAL(view[PAGE], 42);
    FAIL_WITH(mremap((void *)0x123000, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EFAULT);
}

// --- Advice and residence -----------------------------------------------------------------------

TEST(dont_need, "MADV_DONTNEED: zero again; shared memory stays; MADV_REMOVE takes that, too")
{
    uint8_t *at = map(8 * PAGE, READ_WRITE, PRIVATE);
    fill_pattern(at, 8 * PAGE, 6);
    SUCCEED(madvise(at + 2 * PAGE, 3 * PAGE, MADV_DONTNEED));
    REQUIRE(has_pattern(at, 2 * PAGE, 6));
    for (size_t i = 2 * PAGE; i < 5 * PAGE; i++)
        REQUIRE(at[i] == 0);
    REQUIRE(at[5 * PAGE] != 0 || at[5 * PAGE + 1] != 0);
    uint8_t *shared = map(2 * PAGE, READ_WRITE, MAP_SHARED | MAP_ANONYMOUS);
    shared[0] = shared[PAGE] = 7;
    SUCCEED(madvise(shared, 2 * PAGE, MADV_DONTNEED));
    REQUIRE_EQUAL(shared[0], 7);
    SUCCEED(madvise(shared, PAGE, MADV_REMOVE));
    REQUIRE_EQUAL(shared[0], 0);
    REQUIRE_EQUAL(shared[PAGE], 7);
    SUCCEED(madvise(at, 8 * PAGE, MADV_WILLNEED));
    SUCCEED(madvise(at, 8 * PAGE, MADV_SEQUENTIAL));
    FAIL_WITH(madvise(at, PAGE, 9999), EINVAL);
}

static void require_zeros_in_second(void *argument)
{
    uint8_t *at = argument;
    REQUIRE_EQUAL(at[0], 1);
    REQUIRE_EQUAL(at[PAGE], 0);
    REQUIRE_EQUAL(fault_of_read(at + 2 * PAGE), SIGSEGV);
}

TEST(fork_advice, "MADV_WIPEONFORK and MADV_DONTFORK")
{
    uint8_t *at = map(3 * PAGE, READ_WRITE, PRIVATE);
    at[0] = at[PAGE] = at[2 * PAGE] = 1;
    SUCCEED(madvise(at + PAGE, PAGE, MADV_WIPEONFORK));
    SUCCEED(madvise(at + 2 * PAGE, PAGE, MADV_DONTFORK));
    in_child(require_zeros_in_second, at);
    REQUIRE_EQUAL(at[0] & at[PAGE] & at[2 * PAGE], 1);
}

TEST(residence, "mincore tells what is there; MAP_POPULATE and MADV_POPULATE_WRITE bring it in")
{
    unsigned char resident[16];
    uint8_t *at = map(16 * PAGE, READ_WRITE, PRIVATE);
    at[3 * PAGE] = at[9 * PAGE] = 1;
    SUCCEED(mincore(at, 16 * PAGE, resident));
    for (unsigned i = 0; i < 16; i++)
        REQUIRE_EQUAL(resident[i] & 1, i == 3 || i == 9);
    uint8_t *populated = map(16 * PAGE, READ_WRITE, PRIVATE | MAP_POPULATE);
    SUCCEED(mincore(populated, 16 * PAGE, resident));
    for (unsigned i = 0; i < 16; i++)
        REQUIRE_EQUAL(resident[i] & 1, 1);
    SUCCEED(madvise(at, 16 * PAGE, 23)); // MADV_POPULATE_WRITE
    SUCCEED(mincore(at, 16 * PAGE, resident));
    for (unsigned i = 0; i < 16; i++)
        REQUIRE_EQUAL(resident[i] & 1, 1);
    FAIL_WITH(mincore((void *)0x123000, PAGE, resident), ENOMEM);
}

TEST(locking, "mlock, mlockall, mlock2 and VmLck")
{
    uint8_t *at = map(16 * PAGE, READ_WRITE, PRIVATE);
    unsigned char resident[16];
    SUCCEED(mlock(at, 8 * PAGE));
    SUCCEED(mincore(at, 16 * PAGE, resident));
    REQUIRE((resident[7] & 1) && !(resident[8] & 1));
    REQUIRE_EQUAL(field_of("/proc/self/status", "VmLck"), 32);
    SUCCEED(mlock2(at + 8 * PAGE, 8 * PAGE, MLOCK_ONFAULT));
    REQUIRE_EQUAL(field_of("/proc/self/status", "VmLck"), 64);
    SUCCEED(munlock(at, 16 * PAGE));
    SUCCEED(mlockall(MCL_CURRENT));
    REQUIRE(field_of("/proc/self/status", "VmLck") > 100);
    SUCCEED(munlockall());
    REQUIRE_EQUAL(field_of("/proc/self/status", "VmLck"), 0);
    FAIL_WITH(mlock((void *)0x123000, PAGE), ENOMEM);
}

TEST(break_moves, "brk grows and shrinks, and gives zeros each time")
{
    uint8_t *start = sbrk(0);
    REQUIRE(sbrk(1 << 20) == start);
    REQUIRE_EQUAL(start[(1 << 20) - 1], 0);
    memset(start, 1, 1 << 20);
    REQUIRE(sbrk(-(1 << 20)) == start + (1 << 20));
    REQUIRE_EQUAL(fault_of_read((uint8_t *)(((uintptr_t)start + PAGE - 1) & ~(PAGE - 1))), SIGSEGV);
    REQUIRE(sbrk(1 << 20) == start);
    REQUIRE_EQUAL(start[(1 << 20) - 1], 0);
    REQUIRE(sbrk(1l << 46) == (void *)-1);
}

TEST(limits, "RLIMIT_AS and RLIMIT_DATA: ENOMEM")
{
    struct rlimit limit = {300 << 20, 300 << 20};
    SUCCEED(setrlimit(RLIMIT_AS, &limit));
    FAIL_WITH(mmap(NULL, 400 << 20, READ_WRITE, PRIVATE, -1, 0), ENOMEM);
    uint8_t *at = map(100 << 20, READ_WRITE, PRIVATE);
    FAIL_WITH(mremap(at, 100 << 20, 400 << 20, MREMAP_MAYMOVE), ENOMEM);
    SUCCEED(munmap(at, 100 << 20));
    limit.rlim_cur = limit.rlim_max = 20 << 20;
    SUCCEED(setrlimit(RLIMIT_DATA, &limit));
    FAIL_WITH(mmap(NULL, 50 << 20, READ_WRITE, PRIVATE, -1, 0), ENOMEM);
    (void)map(50 << 20, PROT_READ, PRIVATE);
}

TEST_WITHIN(churn, "mapping, touching and unmapping 3,000 times, in changing places and sizes", 60)
{
    uint8_t *held[16] = {NULL};
    size_t sizes[16] = {0};
    uint32_t state = 12345;
    for (int i = 0; i < 3000; i++) {
        state = state * 1103515245 + 12345;
        unsigned slot = state >> 20 & 15;
        if (held[slot] != NULL) {
            REQUIRE(has_pattern(held[slot], 64, slot));
            REQUIRE(has_pattern(held[slot] + sizes[slot] - 64, 64, slot + 100));
            SUCCEED(munmap(held[slot], sizes[slot]));
        }
        sizes[slot] = PAGE * (1 + (state >> 8 & 63));
        held[slot] = map(sizes[slot], READ_WRITE, PRIVATE);
        REQUIRE_EQUAL(held[slot][sizes[slot] / 2], 0);
        fill_pattern(held[slot], 64, slot);
        fill_pattern(held[slot] + sizes[slot] - 64, 64, slot + 100);
    }
}
