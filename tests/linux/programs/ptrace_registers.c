// SPDX-License-Identifier: BSD-2-Clause
// What a tracer reads and writes of a stopped process: general registers by each of the ways there
// are, flags, segment bases, the x87, SSE and AVX state.
#include "harness_ptrace.h"

#include "harness_registers.h"
#include "harness_vector.h"

#include <asm/prctl.h>
#include <cpuid.h>
#include <elf.h>
#include <sys/mman.h>

// The tracee's results, in memory that both see.
static struct shared {
    struct registers before, after;
    struct vector_state vector_before, vector_after;
    uint64_t fs_base, value;
} * shared;

static void open_shared(void)
{
    shared = SUCCEED(
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}

static void trap_once(void *argument)
{
    (void)argument;
    __asm__("mov %%fs:0, %0" : "=r"(shared->fs_base));
    shared->after = shared->before;
    registers_around_int3(&shared->after);
}

// A child that is stopped at int3 with known registers.
static pid_t stopped_at_trap(uint64_t seed)
{
    open_shared();
    registers_make(&shared->before, seed);
    pid_t process = traced_child(trap_once, NULL);
    continue_with(process, PTRACE_CONT, 0);
    STOPS_BY(process, SIGTRAP);
    return process;
}

// Offsets in struct user_regs_struct of the members of struct registers, in their order.
#define AT(name) offsetof(struct user_regs_struct, name)
static const size_t register_at[] = {AT(rax), AT(rbx), AT(rcx), AT(rdx), AT(rsi),
                                     AT(rdi), AT(rbp), AT(r8),  AT(r9),  AT(r10),
                                     AT(r11), AT(r12), AT(r13), AT(r14), AT(r15)};

static uint64_t *member(struct user_regs_struct *registers, unsigned number)
{
    return (uint64_t *)((char *)registers + register_at[number]);
}

TEST(get_registers, "PTRACE_GETREGS: all of them, segments, no system call")
{
    pid_t process = stopped_at_trap(11);
    struct user_regs_struct found = registers_of(process);
    const uint64_t *expected = (const uint64_t *)&shared->before;
    for (unsigned i = 0; i < GENERAL_REGISTERS; i++)
        REQUIRE_EQUAL(*member(&found, i), expected[i]);
    REQUIRE_EQUAL(found.rip, (uint64_t)registers_trap + 1);
    REQUIRE_EQUAL(found.eflags, shared->before.rflags);
    REQUIRE_EQUAL(found.orig_rax, -1);
    REQUIRE_EQUAL(found.cs, 0x33);
    REQUIRE_EQUAL(found.ss, 0x2b);
    REQUIRE_EQUAL(found.ds | found.es | found.fs | found.gs, 0);
    REQUIRE_EQUAL(found.fs_base, shared->fs_base);
    REQUIRE_EQUAL(found.gs_base, 0);
    continue_with(process, PTRACE_CONT, 0);
    EXITS(process, 0);
    REQUIRE(memcmp(&shared->after, &shared->before, sizeof shared->after) == 0);
}

TEST(set_registers, "PTRACE_SETREGS: the process goes on with what was set")
{
    pid_t process = stopped_at_trap(12);
    struct user_regs_struct found = registers_of(process);
    struct registers expected;
    registers_make(&expected, 13);
    expected.rflags ^= 0x95; // clears what was set
    for (unsigned i = 0; i < GENERAL_REGISTERS; i++)
        *member(&found, i) = ((uint64_t *)&expected)[i];
    found.eflags = expected.rflags;
    set_registers(process, &found);
    struct user_regs_struct again = registers_of(process);
    REQUIRE(memcmp(&again, &found, sizeof found) == 0);
    continue_with(process, PTRACE_CONT, 0);
    EXITS(process, 0);
    REQUIRE(memcmp(&shared->after, &expected, sizeof expected) == 0);
}

TEST(user_area, "PTRACE_PEEKUSER and POKEUSER: each register by its offset")
{
    pid_t process = stopped_at_trap(14);
    struct user_regs_struct found = registers_of(process);
    for (size_t at = 0; at < sizeof found; at += 8) {
        errno = 0;
        uint64_t word = (uint64_t)ptrace(PTRACE_PEEKUSER, process, at, 0);
        REQUIRE_EQUAL(errno, 0);
        REQUIRE_EQUAL(word, *(uint64_t *)((char *)&found + at));
    }
    struct registers expected;
    registers_make(&expected, 15);
    expected.rflags = shared->before.rflags & ~0x91ull;
    for (unsigned i = 0; i < GENERAL_REGISTERS; i++)
        SUCCEED(ptrace(PTRACE_POKEUSER, process, register_at[i], ((uint64_t *)&expected)[i]));
    SUCCEED(ptrace(PTRACE_POKEUSER, process, AT(eflags), expected.rflags));
    FAIL_WITH(ptrace(PTRACE_POKEUSER, process, 3, 0), EIO);
    FAIL_WITH(ptrace(PTRACE_POKEUSER, process, 4096, 0), EIO);
    FAIL_WITH(ptrace(PTRACE_PEEKUSER, process, 3, 0), EIO);
    FAIL_WITH(ptrace(PTRACE_PEEKUSER, process, 4096, 0), EIO);
    continue_with(process, PTRACE_CONT, 0);
    EXITS(process, 0);
    REQUIRE(memcmp(&shared->after, &expected, sizeof expected) == 0);
}

TEST(flags_set_and_cleared,
     "each flag that a program may change can be set and cleared by a tracer")
{
    static const uint64_t flags[] = {0x1, 0x4, 0x10, 0x40, 0x80, 0x400, 0x800};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        for (int set = 0; set <= 1; set++) {
            pid_t process = stopped_at_trap(16);
            struct user_regs_struct found = registers_of(process);
            found.eflags = set ? 0x202 | flags[i] : (0x202 | 0xcd5) & ~flags[i];
            uint64_t expected = found.eflags;
            set_registers(process, &found);
            continue_with(process, PTRACE_CONT, 0);
            EXITS(process, 0);
            REQUIRE_EQUAL(shared->after.rflags, expected);
        }
    }
}

TEST(privileged_flags, "IOPL, NT, VM and a cleared IF do not reach the processor")
{
    pid_t process = stopped_at_trap(17);
    struct user_regs_struct found = registers_of(process);
    found.eflags = (0x2 | 0x3000 | 0x4000 | 0x20000 | 0x100000) & ~0x200ull;
    // Linux takes some of these bits or none; either way the process must run on as before.
    (void)ptrace(PTRACE_SETREGS, process, 0, &found);
    continue_with(process, PTRACE_CONT, 0);
    EXITS(process, 0);
    REQUIRE_EQUAL(shared->after.rflags & (0x3000 | 0x20000), 0);
    REQUIRE(shared->after.rflags & 0x200);
}

static void refuse_register(pid_t process, size_t at, uint64_t value)
{
    FAIL_WITH(ptrace(PTRACE_POKEUSER, process, at, value), EIO);
}

TEST(bad_registers, "a tracer cannot set the kernel's segments, nor bases in its half")
{
    pid_t process = stopped_at_trap(18);
    refuse_register(process, AT(cs), 0x10);
    refuse_register(process, AT(cs), 0);
    refuse_register(process, AT(ss), 0x18);
    refuse_register(process, AT(fs_base), 0xffff800000000000);
    refuse_register(process, AT(gs_base), 0xffffffff80000000);
    refuse_register(process, AT(fs_base), 1ull << 56);
    continue_with(process, PTRACE_CONT, 0);
    EXITS(process, 0);
}

TEST(hostile_ip, "an instruction pointer outside user space: SIGSEGV for the process, nothing else")
{
    static const uint64_t bad[] = {0xffffffff80000000, 0x800000000000, 0x8000000000000000, 0};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        pid_t process = stopped_at_trap(19);
        if (ptrace(PTRACE_POKEUSER, process, AT(rip), bad[i]) == 0) {
            continue_with(process, PTRACE_CONT, 0);
            STOPS_BY(process, SIGSEGV);
        }
        SUCCEED(kill(process, SIGKILL));
        KILLED(process, SIGKILL);
    }
    // And a stack pointer. A stack fault is SIGBUS; TCG makes a general protection fault of it.
    pid_t process = stopped_at_trap(19);
    SUCCEED(ptrace(PTRACE_POKEUSER, process, AT(rsp), 0xdead000000000000));
    continue_with(process, PTRACE_CONT, 0);
    int status;
    SUCCEED(waitpid(process, &status, 0));
    REQUIRE(WIFSTOPPED(status) && (WSTOPSIG(status) == SIGBUS || WSTOPSIG(status) == SIGSEGV));
    SUCCEED(kill(process, SIGKILL));
    KILLED(process, SIGKILL);
}

TEST(register_sets, "PTRACE_GETREGSET and SETREGSET: NT_PRSTATUS, whole and in part")
{
    pid_t process = stopped_at_trap(20);
    struct user_regs_struct found = registers_of(process), set;
    struct iovec part = {&set, sizeof set + 64};
    SUCCEED(ptrace(PTRACE_GETREGSET, process, NT_PRSTATUS, &part));
    REQUIRE_EQUAL(part.iov_len, sizeof set);
    REQUIRE(memcmp(&set, &found, sizeof set) == 0);

    memset(&set, 0, sizeof set);
    part.iov_len = 16;
    SUCCEED(ptrace(PTRACE_GETREGSET, process, NT_PRSTATUS, &part));
    REQUIRE_EQUAL(part.iov_len, 16);
    REQUIRE(memcmp(&set, &found, 16) == 0);
    REQUIRE_EQUAL(set.r13, 0);

    set = found;
    set.r15 = 0x1515151515151515;
    set.r12 = 0x1212121212121212;
    part.iov_len = 16; // r15 and r14 only
    SUCCEED(ptrace(PTRACE_SETREGSET, process, NT_PRSTATUS, &part));
    set.r12 = found.r12;
    found = registers_of(process);
    REQUIRE(memcmp(&set, &found, sizeof set) == 0);
    FAIL_WITH(ptrace(PTRACE_GETREGSET, process, 0x7777, &part), EINVAL);
    continue_with(process, PTRACE_CONT, 0);
    EXITS(process, 0);
    REQUIRE_EQUAL(shared->after.r15, 0x1515151515151515);
}

// --- Vector state -------------------------------------------------------------------------------

static void stop_with_vectors(void *argument)
{
    (void)argument;
    // raise: a stop by tgkill. The state is in the registers when the process stops.
    vector_around_call(&shared->vector_before, &shared->vector_after, SYS_kill, getpid(), SIGSTOP,
                       0, 0);
}

static pid_t stopped_with_vectors(unsigned seed)
{
    open_shared();
    vector_make(&shared->vector_before, seed);
    pid_t process = traced_child(stop_with_vectors, NULL);
    continue_with(process, PTRACE_CONT, 0);
    STOPS_BY(process, SIGSTOP);
    return process;
}

static void require_vectors(pid_t process, const struct vector_state *expected)
{
    continue_with(process, PTRACE_CONT, 0);
    EXITS(process, 0);
    REQUIRE(vector_same(&shared->vector_after, expected));
}

TEST(fp_registers, "PTRACE_GETFPREGS and SETFPREGS: XMM, x87 registers, control words")
{
    pid_t process = stopped_with_vectors(21);
    struct user_fpregs_struct found;
    SUCCEED(ptrace(PTRACE_GETFPREGS, process, 0, &found));
    const struct vector_state *before = &shared->vector_before;
    REQUIRE_EQUAL(found.mxcsr, before->mxcsr);
    REQUIRE_EQUAL(found.cwd, before->fcw);
    for (int i = 0; i < 16; i++)
        REQUIRE(memcmp((char *)found.xmm_space + 16 * i, before->ymm[i], 16) == 0);
    for (int i = 0; i < 4; i++) {
        long double value;
        memcpy(&value, (char *)found.st_space + 16 * i, 10);
        REQUIRE((double)value == before->x87[i]);
    }

    struct vector_state expected, other;
    vector_make(&other, 22);
    expected = *before;
    for (int i = 0; i < 16; i++) {
        memcpy((char *)found.xmm_space + 16 * i, other.ymm[i], 16);
        memcpy(expected.ymm[i], other.ymm[i], 16);
    }
    found.mxcsr = expected.mxcsr = other.mxcsr;
    found.cwd = expected.fcw = other.fcw;
    SUCCEED(ptrace(PTRACE_SETFPREGS, process, 0, &found));
    require_vectors(process, &expected);
}

TEST(fp_register_set, "NT_PRFPREG says the same as PTRACE_GETFPREGS")
{
    pid_t process = stopped_with_vectors(23);
    struct user_fpregs_struct found, set;
    struct iovec part = {&set, sizeof set};
    SUCCEED(ptrace(PTRACE_GETFPREGS, process, 0, &found));
    SUCCEED(ptrace(PTRACE_GETREGSET, process, NT_PRFPREG, &part));
    REQUIRE_EQUAL(part.iov_len, sizeof set);
    REQUIRE(memcmp(&found, &set, sizeof set) == 0);
    SUCCEED(ptrace(PTRACE_SETREGSET, process, NT_PRFPREG, &part));
    require_vectors(process, &shared->vector_before);
}

// Where the upper halves lie in the area, as CPUID leaf 13 tells.
static unsigned avx_offset(void)
{
    unsigned size, offset, ecx, edx;
    __cpuid_count(13, 2, size, offset, ecx, edx);
    REQUIRE_EQUAL(size, 256);
    return offset;
}

TEST(xsave_set, "NT_X86_XSTATE: all of YMM read and written")
{
    static uint8_t area[16384] __attribute__((aligned(64)));
    pid_t process = stopped_with_vectors(24);
    struct iovec part = {area, sizeof area};
    SUCCEED(ptrace(PTRACE_GETREGSET, process, NT_X86_XSTATE, &part));
    unsigned upper = avx_offset();
    REQUIRE(part.iov_len >= upper + 256);
    // What the kernel has enabled: x87, SSE and AVX at least. gdb reads it here.
    uint64_t enabled, present;
    memcpy(&enabled, area + 464, sizeof enabled);
    memcpy(&present, area + 512, sizeof present);
    REQUIRE_EQUAL(enabled & 7, 7);
    REQUIRE_EQUAL(present & 7, 7);
    struct vector_state expected;
    vector_make(&expected, 24);
    for (int i = 0; i < 16; i++) {
        REQUIRE(memcmp(area + 160 + 16 * i, expected.ymm[i], 16) == 0);
        REQUIRE(memcmp(area + upper + 16 * i, expected.ymm[i] + 16, 16) == 0);
        memset(area + 160 + 16 * i, 0x10 + i, 16);
        memset(expected.ymm[i], 0x10 + i, 16);
        memset(area + upper + 16 * i, 0x80 + i, 16);
        memset(expected.ymm[i] + 16, 0x80 + i, 16);
    }
    SUCCEED(ptrace(PTRACE_SETREGSET, process, NT_X86_XSTATE, &part));
    require_vectors(process, &expected);
}

TEST(xsave_set_refused, "NT_X86_XSTATE: features that are not there and reserved bits are refused")
{
    static uint8_t area[16384] __attribute__((aligned(64)));
    pid_t process = stopped_with_vectors(25);
    struct iovec part = {area, sizeof area};
    SUCCEED(ptrace(PTRACE_GETREGSET, process, NT_X86_XSTATE, &part));
    uint64_t features;
    memcpy(&features, area + 512, sizeof features);
    uint64_t unknown = features | 1ull << 62;
    memcpy(area + 512, &unknown, sizeof unknown);
    REQUIRE_EQUAL(ptrace(PTRACE_SETREGSET, process, NT_X86_XSTATE, &part), -1);
    memcpy(area + 512, &features, sizeof features);
    uint32_t mxcsr = 0xffffffff;
    memcpy(area + 24, &mxcsr, sizeof mxcsr);
    REQUIRE_EQUAL(ptrace(PTRACE_SETREGSET, process, NT_X86_XSTATE, &part), -1);
    SUCCEED(kill(process, SIGKILL));
    KILLED(process, SIGKILL);
}

// --- Bases --------------------------------------------------------------------------------------

static void read_through_gs(void *argument)
{
    (void)argument;
    static uint64_t words[2] = {0x6773, 0x6773626173650000};
    shared->value = (uint64_t)words;
    raise(SIGSTOP);
    __asm__ volatile("mov %%gs:8, %0" : "=r"(shared->value));
    __asm__ volatile("mov %%fs:0, %0" : "=r"(shared->fs_base));
}

TEST(arch_prctl, "PTRACE_ARCH_PRCTL and the user area: FS and GS base of the tracee")
{
    open_shared();
    pid_t process = traced_child(read_through_gs, NULL);
    continue_with(process, PTRACE_CONT, 0);
    STOPS_BY(process, SIGSTOP);
    uint64_t base = 1, own;
    SUCCEED(ptrace(PTRACE_ARCH_PRCTL_, process, &base, ARCH_GET_FS));
    REQUIRE_EQUAL(base, registers_of(process).fs_base);
    __asm__("mov %%fs:0, %0" : "=r"(own));
    REQUIRE_EQUAL(base, own); // a copy of ours
    SUCCEED(ptrace(PTRACE_ARCH_PRCTL_, process, &base, ARCH_GET_GS));
    REQUIRE_EQUAL(base, 0);
    SUCCEED(ptrace(PTRACE_ARCH_PRCTL_, process, shared->value, ARCH_SET_GS));
    SUCCEED(ptrace(PTRACE_ARCH_PRCTL_, process, &base, ARCH_GET_GS));
    REQUIRE_EQUAL(base, shared->value);
    REQUIRE_EQUAL(registers_of(process).gs_base, shared->value);
    FAIL_WITH(ptrace(PTRACE_ARCH_PRCTL_, process, 0xffff800000000000, ARCH_SET_GS), EPERM);
    continue_with(process, PTRACE_CONT, 0);
    EXITS(process, 0);
    REQUIRE_EQUAL(shared->value, 0x6773626173650000);
    REQUIRE_EQUAL(shared->fs_base, own);
}
