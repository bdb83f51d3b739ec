// SPDX-License-Identifier: BSD-2-Clause
// Hostile state at the border to the kernel: flags, bases, stacks and debugging set so that a
// careless kernel would take harm at the next system call, fault or interrupt.
#include "harness_attempt.h"

#include <sys/mman.h>
#include <sys/time.h>

#define CODE(string) string, sizeof(string) - 1
static const uint64_t zeros[4];

// --- Flags --------------------------------------------------------------------------------------

static volatile sig_atomic_t alarms;
static volatile uint64_t flags_in_handler;

static void on_alarm(int number)
{
    (void)number;
    uint64_t flags;
    __asm__ volatile("lea -128(%%rsp), %%rsp\n\tpushf\n\tpop %0\n\tlea 128(%%rsp), %%rsp"
                     : "=r"(flags)
                     :
                     : "memory", "cc");
    flags_in_handler = flags;
    alarms++;
}

// Makes 2,000 system calls and computes in between while these flags are set and a timer
// interrupts.
static uint64_t calls_with_flags(uint64_t set)
{
    struct itimerval often = {{0, 3000}, {0, 3000}}, never = {{0, 0}, {0, 0}};
    uint64_t flags, wrong = 0, self = (uint64_t)getpid();
    signal(SIGALRM, on_alarm);
    SUCCEED(setitimer(ITIMER_REAL, &often, NULL));
    __asm__ volatile("lea -256(%%rsp), %%rsp\n\t"
                     "pushf\n\tor %[set], (%%rsp)\n\tpopf\n\t"
                     "mov $2000, %%r12d\n"
                     "1: mov $39, %%eax\n\tsyscall\n\t" // getpid
                     "mov %%rax, %%r13\n\txor %[self], %%r13\n\tlea (%[wrong],%%r13), %[wrong]\n\t"
                     "mov $2000, %%ecx\n2: loop 2b\n\t"
                     "lea -1(%%r12), %%r12\n\tmov %%r12, %%rcx\n\tjrcxz 3f\n\tjmp 1b\n"
                     "3: pushf\n\tpop %[flags]\n\t"
                     "pushq $0x202\n\tpopf\n\tlea 256(%%rsp), %%rsp"
                     : [flags] "=&r"(flags), [wrong] "+&r"(wrong)
                     : [set] "r"(set), [self] "r"(self)
                     : "rax", "rcx", "r11", "r12", "r13", "memory", "cc");
    SUCCEED(setitimer(ITIMER_REAL, &never, NULL));
    REQUIRE_EQUAL(wrong, 0);
    REQUIRE(alarms > 0);
    return flags;
}

TEST(flags,
     "direction, nested task, alignment check and identification set over calls and interrupts")
{
    struct witness *witness = witness_start();
    static const uint64_t sets[] = {0x400, 0x4000, 0x40000, 0x200000, 0x3000, 0x644c00};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        uint64_t flags = calls_with_flags(sets[i]);
        // DF, AC and ID stay; NT may be taken away; privilege never comes.
        REQUIRE_EQUAL(flags & 0x240400, sets[i] & 0x240400);
        REQUIRE_EQUAL(flags & 0x3000, 0);
        REQUIRE_EQUAL(flags_in_handler & 0x500, 0);
        witness_check(witness);
    }
    witness_end(witness);
}

TEST(flags_and_faults, "the same at faults: the handler runs with the direction flag clear")
{
    struct witness *witness = witness_start();
    // push flags, or in what is to be set, popf, ud2
    static const uint32_t sets[] = {0x400, 0x4000, 0x40000, 0x44400};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        uint8_t code[12] = {0x9c, 0x81, 0x0c, 0x24, 0, 0, 0, 0, 0x9d, 0x0f, 0x0b};
        memcpy(code + 4, &sets[i], 4);
        REQUIRE_EQUAL(attempt(code, 11, zeros).signal, SIGILL);
        uint64_t flags;
        __asm__ volatile("lea -128(%%rsp), %%rsp\n\tpushf\n\tpop %0\n\tlea 128(%%rsp), %%rsp"
                         : "=r"(flags)
                         :
                         : "memory", "cc");
        REQUIRE_EQUAL(flags & 0x400, 0);
    }
    witness_end(witness);
}

static volatile unsigned steps;

static void count_step(int number)
{
    (void)number;
    steps++;
}

TEST(stepping_into_calls,
     "the trap flag set at a system call: the kernel is not stepped, the call made")
{
    struct witness *witness = witness_start();
    signal(SIGTRAP, count_step);
    for (int i = 0; i < 100; i++) {
        uint64_t result;
        steps = 0;
        __asm__ volatile("lea -256(%%rsp), %%rsp\n\tmov $39, %%eax\n\t"
                         "pushf\n\tpushf\n\torq $0x100, (%%rsp)\n\tpopf\n\t"
                         "syscall\n\tpopf\n\tlea 256(%%rsp), %%rsp"
                         : "=&a"(result)
                         :
                         : "rcx", "r11", "memory", "cc");
        REQUIRE_EQUAL(result, getpid());
        // One trap behind popf's successor, the call, and one behind the last popf; the flag that
        // the call keeps in r11 may give one less or more.
        REQUIRE(steps >= 1 && steps <= 3);
    }
    witness_end(witness);
}

TEST(stack_segment_shadow,
     "loading SS shadows the next instruction: int3, syscall and ud2 in that shadow")
{
    struct witness *witness = witness_start();
    // mov %ss, %ecx; [set TF]; mov %ecx, %ss; then the instruction
    static const struct {
        const char *name, *bytes;
        size_t count;
        int expected[4];
    } codes[] = {
        {"int3", CODE("\x8c\xd1\x8e\xd1\xcc"), {SIGTRAP}},
        {"ud2", CODE("\x8c\xd1\x8e\xd1\x0f\x0b"), {SIGILL}},
        {"int 0x81", CODE("\x8c\xd1\x8e\xd1\xcd\x81"), {SIGSEGV}},
        {"syscall", CODE("\xb8\x27\x00\x00\x00\x8c\xd1\x8e\xd1\x0f\x05"), {0}},
        {"stepped int3",
         CODE("\x8c\xd1\x9c\x81\x0c\x24\x00\x01\x00\x00\x9d\x8e\xd1\xcc"),
         {SIGTRAP}},
        {"stepped syscall",
         CODE("\xb8\x27\x00\x00\x00\x8c\xd1\x9c\x81\x0c\x24\x00\x01\x00\x00\x9d\x8e\xd1\x0f\x05"),
         {SIGTRAP}},
        {"stepped int 0x81",
         CODE("\x8c\xd1\x9c\x81\x0c\x24\x00\x01\x00\x00\x9d\x8e\xd1\xcd\x81"),
         {SIGTRAP, SIGSEGV}}};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        struct outcome outcome = attempt(codes[i].bytes, codes[i].count, zeros);
        if (!is_one_of(outcome.signal, codes[i].expected))
            FAIL("%s: signal %d, should be %d", codes[i].name, outcome.signal,
                 codes[i].expected[0]);
    }
    witness_end(witness);
}

// --- Bases and stacks ---------------------------------------------------------------------------

TEST(hostile_bases,
     "GS bases in the kernel's half over calls and interrupts: kept, and of no effect")
{
    static const uint64_t bases[] = {0xffff800000000000, 0xffffffff80000000, 0xffffff0000000000,
                                     0x7fffffffffff,     0x60000000,         0xfffffffffffffff8};
    struct witness *witness = witness_start();
    if (attempt(CODE("\xf3\x48\x0f\xae\xc8"), zeros).signal != 0) // rdgsbase %rax
        skip("this processor, or kernel, has no FSGSBASE");
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
        uint64_t found, wrong = 0, self = (uint64_t)getpid();
        __asm__ volatile(
            "wrgsbase %[base]\n\t"
            "mov $3000, %%r12d\n"
            "1: mov $39, %%eax\n\tsyscall\n\txor %[self], %%rax\n\tor %%rax, %[wrong]\n\t"
            "mov $24, %%eax\n\tsyscall\n\t" // sched_yield: others run in between
            "dec %%r12d\n\tjnz 1b\n\t"
            "rdgsbase %[found]"
            : [found] "=&r"(found), [wrong] "+&r"(wrong)
            : [base] "r"(bases[i]), [self] "r"(self)
            : "rax", "rcx", "r11", "r12", "memory", "cc");
        REQUIRE_EQUAL(wrong, 0);
        REQUIRE_EQUAL(found, bases[i]);
        // Using it is a fault of the program: mov %gs:0, %rax.
        struct outcome outcome = attempt(CODE("\x65\x48\x8b\x04\x25\x00\x00\x00\x00"), zeros);
        REQUIRE(outcome.signal == SIGSEGV);
    }
    // Non-canonical: a fault of the instruction itself.
    const uint64_t bad[4] = {0x8000000000000000};
    REQUIRE_EQUAL(attempt(CODE("\xf3\x48\x0f\xae\xd8"), bad).signal, SIGSEGV);
    __asm__ volatile("wrgsbase %0" : : "r"(0ul));
    witness_end(witness);
}

static uint64_t stack_call(uint64_t stack)
{
    uint64_t result;
    __asm__ volatile("mov %%rsp, %%r12\n\tmov %[stack], %%rsp\n\t"
                     "mov $24, %%eax\n\tsyscall\n\t" // sched_yield: others run in between
                     "mov $39, %%eax\n\tsyscall\n\t"
                     "mov %%r12, %%rsp"
                     : "=&a"(result)
                     : [stack] "r"(stack)
                     : "rcx", "r11", "r12", "memory", "cc");
    return result;
}

TEST(hostile_stacks,
     "system calls with the stack pointer anywhere: they need none of the program's")
{
    static const uint64_t stacks[] = {0,
                                      8,
                                      0x7fffffffffff,
                                      0x800000000000,
                                      0xffff800000000000,
                                      0xffffffff80000000,
                                      0xffffffffffffffff,
                                      0x123456789abcdef1};
    struct witness *witness = witness_start();
    for (size_t i = 0; i < sizeof stacks / sizeof *stacks; i++)
        REQUIRE_EQUAL(stack_call(stacks[i]), getpid());
    // And pushes there are the program's own faults: mov %rax, %rsp; push %rax.
    for (size_t i = 1; i < sizeof stacks / sizeof *stacks; i++) {
        const uint64_t values[4] = {stacks[i]};
        struct outcome outcome = attempt(CODE("\x48\x89\xc4\x50"), values);
        if (outcome.signal != SIGSEGV && outcome.signal != SIGBUS)
            FAIL("push at %#llx: signal %d", (unsigned long long)stacks[i], outcome.signal);
    }
    witness_end(witness);
}

static void signal_on_bad_stack(void *argument)
{
    // The handler's frame cannot be written: SIGSEGV, which kills.
    signal(SIGALRM, on_alarm);
    struct itimerval soon = {{0, 0}, {0, 20000}};
    SUCCEED(setitimer(ITIMER_REAL, &soon, NULL));
    __asm__ volatile("mov %0, %%rsp\n1: jmp 1b" : : "r"(*(uint64_t *)argument) : "memory");
}

TEST(signals_on_bad_stacks, "a signal while the stack pointer is nowhere kills with SIGSEGV")
{
    struct witness *witness = witness_start();
    static uint64_t stacks[] = {0, 0x800000000000, 0xffffffff80000000, 0x100};
    for (size_t i = 0; i < sizeof stacks / sizeof *stacks; i++)
        KILLED(child(signal_on_bad_stack, &stacks[i]), SIGSEGV);
    witness_end(witness);
}

// --- The processor's own state ------------------------------------------------------------------

TEST(time_stamp, "rdtsc, rdtscp, cpuid and rdrand are there for programs, xgetbv tells what is on")
{
    REQUIRE_EQUAL(attempt(CODE("\x0f\x31"), zeros).signal, 0);         // rdtsc
    REQUIRE_EQUAL(attempt(CODE("\x53\x0f\xa2\x5b"), zeros).signal, 0); // cpuid
    struct outcome outcome = attempt(CODE("\x0f\x01\xd0"), zeros);     // xgetbv
    REQUIRE(outcome.signal == 0 && (outcome.rax & 3) == 3);
    const uint64_t bad[4] = {0, 0, 99, 0};
    REQUIRE_EQUAL(attempt(CODE("\x0f\x01\xd0"), bad).signal, SIGSEGV);
}

TEST(ports_cannot_be_had, "iopl and ioperm on a node give nothing")
{
    if (!on_node())
        skip("Linux on a bare processor allows root to use ports");
    FAIL_WITH(syscall(SYS_iopl, 3), ENOSYS);
    FAIL_WITH(syscall(SYS_ioperm, 0, 1024, 1), ENOSYS);
    REQUIRE_EQUAL(attempt("\xec", 1, zeros).signal, SIGSEGV);
}
