// SPDX-License-Identifier: BSD-2-Clause
// Signals that the program's own instructions raise: what siginfo and the frame say of each fault,
// and what happens when such a signal is blocked or ignored.
#include "harness.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <ucontext.h>

// Where a faulting instruction is: the handler goes on behind it, at the address in r15.
static volatile sig_atomic_t handled;
static volatile siginfo_t info_seen;
static volatile mcontext_t context_seen;

static void go_behind(int number, siginfo_t *info, void *context)
{
    (void)number;
    handled++;
    mcontext_t *machine = &((ucontext_t *)context)->uc_mcontext;
    info_seen = *info;
    context_seen = *machine;
    machine->gregs[REG_RIP] = machine->gregs[REG_R15];
}

static void handle_faults(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    struct sigaction action = {.sa_sigaction = go_behind, .sa_flags = SA_SIGINFO};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        SUCCEED(sigaction(signals[i], &action, NULL));
}

// Executes an instruction that may fault; `instruction_at` becomes its address.
static uint64_t instruction_at;
#define FAULTING(instruction, ...)                                                                 \
    __asm__ volatile("lea 1f(%%rip), %%r15\n\tmov %%r15, %[at]\n\tlea 2f(%%rip), %%r15\n"          \
                     "1: " instruction "\n2:"                                                      \
                     : [at] "=m"(instruction_at)                                                   \
                     : __VA_ARGS__                                                                 \
                     : "r15", "rax", "rcx", "rdx", "memory", "cc")

static void expect_fault(int signal, int code, uint64_t address, int vector)
{
    REQUIRE_EQUAL(handled, 1);
    handled = 0;
    REQUIRE_EQUAL(info_seen.si_signo, signal);
    REQUIRE_EQUAL(info_seen.si_code, code);
    REQUIRE_EQUAL(info_seen.si_addr, address);
    REQUIRE_EQUAL(context_seen.gregs[REG_TRAPNO], vector);
}

// Error code of a page fault.
#define PRESENT 1
#define WRITE   2
#define USER    4
#define FETCH   16

static void expect_page_fault(int code, volatile void *address, unsigned error)
{
    expect_fault(SIGSEGV, code, (uint64_t)address, 14);
    REQUIRE_EQUAL(context_seen.gregs[REG_CR2], (uint64_t)address);
    REQUIRE_EQUAL((unsigned)context_seen.gregs[REG_ERR] & (WRITE | USER | FETCH), error);
}

static uint8_t *map(int access)
{
    return SUCCEED(mmap(NULL, 8192, access, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

TEST(unmapped, "no mapping: SEGV_MAPERR, with address and kind of access")
{
    handle_faults();
    volatile uint8_t *page = map(PROT_READ | PROT_WRITE);
    SUCCEED(munmap((void *)page, 8192));
    FAULTING("movb (%1), %%al", "r"(page + 123));
    expect_page_fault(SEGV_MAPERR, page + 123, USER);
    REQUIRE_EQUAL(context_seen.gregs[REG_RIP], instruction_at);
    FAULTING("movb %%al, (%1)", "r"(page + 4097));
    expect_page_fault(SEGV_MAPERR, page + 4097, USER | WRITE);
    FAULTING("movb (%1), %%al", "r"(8ul));
    expect_page_fault(SEGV_MAPERR, (void *)8, USER);
    FAULTING("jmp *%1", "r"(page + 5));
    expect_page_fault(SEGV_MAPERR, page + 5, USER | FETCH);
}

TEST(forbidden, "access that a mapping forbids: SEGV_ACCERR")
{
    handle_faults();
    uint8_t *none = map(PROT_NONE), *readable = map(PROT_READ), *data = map(PROT_READ | PROT_WRITE);
    FAULTING("movb (%1), %%al", "r"(none));
    expect_page_fault(SEGV_ACCERR, none, USER);
    FAULTING("movb %%al, (%1)", "r"(readable + 77));
    expect_page_fault(SEGV_ACCERR, readable + 77, USER | WRITE);
    // Once with the page there, and once before it is.
    REQUIRE_EQUAL(*(volatile uint8_t *)readable, 0);
    FAULTING("movb %%al, (%1)", "r"(readable));
    expect_page_fault(SEGV_ACCERR, readable, USER | WRITE);
    memset(data, 0xc3, 16);
    FAULTING("jmp *%1", "r"(data));
    expect_page_fault(SEGV_ACCERR, data, USER | FETCH);
    FAULTING("movb %%al, (%1)", "r"(expect_page_fault));
    expect_page_fault(SEGV_ACCERR, (void *)expect_page_fault, USER | WRITE);
}

TEST(across_pages, "an access across two pages reports the byte that is not there")
{
    handle_faults();
    uint8_t *page = map(PROT_READ | PROT_WRITE);
    SUCCEED(munmap(page + 4096, 4096));
    FAULTING("movq %%rax, (%1)", "r"(page + 4092));
    expect_page_fault(SEGV_MAPERR, page + 4096, USER | WRITE);
    REQUIRE_EQUAL(*(uint32_t *)(page + 4092), 0);
}

TEST(beyond_file, "a mapped file shorter than its mapping: SIGBUS, BUS_ADRERR")
{
    handle_faults();
    int file = SUCCEED(open("file", O_RDWR | O_CREAT, 0600));
    SUCCEED(ftruncate(file, 4096));
    uint8_t *at = SUCCEED(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
    at[4095] = 1;
    FAULTING("movb (%1), %%al", "r"(at + 4096));
    expect_fault(SIGBUS, BUS_ADRERR, (uint64_t)at + 4096, 14);
    SUCCEED(ftruncate(file, 0));
    FAULTING("movb %%al, (%1)", "r"(at + 10));
    expect_fault(SIGBUS, BUS_ADRERR, (uint64_t)at + 10, 14);
    SUCCEED(ftruncate(file, 8192));
    REQUIRE_EQUAL(at[4096], 0);
}

TEST(not_canonical, "a non-canonical address: general protection, SI_KERNEL without an address")
{
    handle_faults();
    // With page tables of four levels and of five.
    FAULTING("movb (%1), %%al", "r"(0x8000000000000000ul));
    expect_fault(SIGSEGV, SI_KERNEL, 0, 13);
    FAULTING("movb %%al, (%1)", "r"(0x1234567812345678ul));
    expect_fault(SIGSEGV, SI_KERNEL, 0, 13);
}

TEST(division, "division by zero and its overflow: FPE_INTDIV at the instruction")
{
    handle_faults();
    FAULTING("xor %%edx, %%edx\n\tmov $5, %%eax\n\tdivl %1", "r"(0));
    REQUIRE(handled == 1 && context_seen.gregs[REG_RIP] > (greg_t)instruction_at);
    expect_fault(SIGFPE, FPE_INTDIV, (uint64_t)context_seen.gregs[REG_RIP], 0);
    FAULTING("mov $0x80000000, %%eax\n\tcltd\n\tidivl %1", "r"(-1));
    expect_fault(SIGFPE, FPE_INTDIV, (uint64_t)context_seen.gregs[REG_RIP], 0);
}

TEST(vector_exceptions, "unmasked exceptions of SSE: FPE_FLTDIV, FPE_FLTINV, FPE_FLTOVF")
{
    handle_faults();
    static const uint32_t all = 0, masked = 0x1f80;
    static const double zero = 0, one = 1, huge = 1e308;
    FAULTING("ldmxcsr %1\n\tmovsd %2, %%xmm0\n\tdivsd %3, %%xmm0", "m"(all), "m"(one), "m"(zero));
    if (handled == 0)
        skip("this processor raises no exceptions of SSE (TCG does not)");
    expect_fault(SIGFPE, FPE_FLTDIV, (uint64_t)context_seen.gregs[REG_RIP], 19);
    FAULTING("ldmxcsr %1\n\tmovsd %2, %%xmm0\n\tdivsd %2, %%xmm0", "m"(all), "m"(zero));
    expect_fault(SIGFPE, FPE_FLTINV, (uint64_t)context_seen.gregs[REG_RIP], 19);
    FAULTING("ldmxcsr %1\n\tmovsd %2, %%xmm0\n\taddsd %%xmm0, %%xmm0", "m"(all), "m"(huge));
    expect_fault(SIGFPE, FPE_FLTOVF, (uint64_t)context_seen.gregs[REG_RIP], 19);
    __asm__ volatile("ldmxcsr %0" : : "m"(masked));
}

TEST(x87_exceptions, "an unmasked exception of the x87 unit: FPE_FLTDIV")
{
    handle_faults();
    // x87 reports at the next instruction that waits.
    static const uint16_t all_x87 = 0x340;
    FAULTING("fninit\n\tfldcw %1\n\tfld1\n\tfldz\n\tfdivrp\n\tfwait", "m"(all_x87));
    expect_fault(SIGFPE, FPE_FLTDIV, (uint64_t)context_seen.gregs[REG_RIP], 16);
    __asm__ volatile("fninit");
}

TEST(undefined_instruction, "an undefined instruction: ILL_ILLOPN at its address")
{
    handle_faults();
    FAULTING("ud2", "r"(0));
    expect_fault(SIGILL, ILL_ILLOPN, instruction_at, 6);
}

TEST(breakpoint, "int3: SIGTRAP with the instruction pointer behind it")
{
    handle_faults();
    FAULTING("int3", "r"(0));
    REQUIRE_EQUAL(context_seen.gregs[REG_RIP], instruction_at + 1);
    expect_fault(SIGTRAP, SI_KERNEL, 0, 3);
}

static volatile unsigned steps;
static volatile uint64_t stepped[64];

static void count_step(int number, siginfo_t *info, void *context)
{
    (void)number;
    const mcontext_t *machine = &((ucontext_t *)context)->uc_mcontext;
    info_seen = *info;
    if (steps < 64)
        stepped[steps++] = (uint64_t)machine->gregs[REG_RIP];
}

TEST(trap_flag, "a program that sets its own trap flag gets TRAP_TRACE after each instruction")
{
    struct sigaction action = {.sa_sigaction = count_step, .sa_flags = SA_SIGINFO};
    SUCCEED(sigaction(SIGTRAP, &action, NULL));
    uint64_t first, behind;
    // popf sets TF; the trap comes after the instruction that follows. The last popf clears it, and
    // is itself the last that traps.
    __asm__ volatile("lea -128(%%rsp), %%rsp\n\tpushf\n\tpushf\n\torq $0x100, (%%rsp)\n\tpopf\n"
                     "1: nop\n\tnop\n\tnop\n\tpopf\n2: nop\n\t"
                     "lea 1b(%%rip), %0\n\tlea 2b(%%rip), %1\n\tlea 128(%%rsp), %%rsp"
                     : "=&r"(first), "=&r"(behind)
                     :
                     : "memory", "cc");
    REQUIRE_EQUAL(steps, 4);
    for (unsigned i = 0; i < 4; i++)
        REQUIRE_EQUAL(stepped[i], first + i + 1);
    REQUIRE_EQUAL(behind, first + 4);
    REQUIRE_EQUAL(info_seen.si_code, TRAP_TRACE);
}

TEST(alignment_check, "AC set: a misaligned access is SIGBUS, BUS_ADRALN")
{
    handle_faults();
    static uint8_t bytes[16] __attribute__((aligned(16)));
    FAULTING("lea -128(%%rsp), %%rsp\n\tpushf\n\torq $0x40000, (%%rsp)\n\tpopf\n\t"
             "movl 1(%1), %%eax\n\t",
             "r"(bytes));
    uint64_t fault = (uint64_t)context_seen.gregs[REG_EFL];
    // The handler went behind it all: flags and stack are put right here.
    __asm__ volatile("pushf\n\tandq $~0x40000, (%%rsp)\n\tpopf\n\tlea 128(%%rsp), %%rsp"
                     :
                     :
                     : "memory", "cc");
    // TCG does not check alignment, nor is it said to: without the exception nothing was handled.
    if (handled == 0)
        skip("this processor does not check alignment");
    REQUIRE(fault & 0x40000);
    REQUIRE_EQUAL(info_seen.si_signo, SIGBUS);
    REQUIRE_EQUAL(info_seen.si_code, BUS_ADRALN);
    REQUIRE_EQUAL(context_seen.gregs[REG_TRAPNO], 17);
}

// --- Signals that cannot be had -----------------------------------------------------------------

static int *volatile nowhere = (int *)16;

static void fault_blocked(void *argument)
{
    (void)argument;
    sigset_t all;
    sigfillset(&all);
    SUCCEED(sigprocmask(SIG_BLOCK, &all, NULL));
    *nowhere = 1;
}

static void fault_ignored(void *argument)
{
    (void)argument;
    SUCCEED(sigaction(SIGSEGV, &(struct sigaction){.sa_handler = SIG_IGN}, NULL));
    *nowhere = 1;
}

static void fault_again(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    (void)context;
    *nowhere = 1;
}

static void fault_in_handler(void *argument)
{
    (void)argument;
    struct sigaction action = {.sa_sigaction = fault_again, .sa_flags = SA_SIGINFO};
    SUCCEED(sigaction(SIGSEGV, &action, NULL));
    *nowhere = 1;
}

TEST(forced, "a fault kills when its signal is blocked, ignored, or raised by its own handler")
{
    KILLED(child(fault_blocked, NULL), SIGSEGV);
    KILLED(child(fault_ignored, NULL), SIGSEGV);
    KILLED(child(fault_in_handler, NULL), SIGSEGV);
}

TEST(bad_pointers, "system calls with bad pointers fail with EFAULT and raise nothing")
{
    handle_faults();
    static const uint64_t bad[] = {8,
                                   0x6fff00000000,
                                   0x7fffffffffff,
                                   0x800000000000,
                                   0xffff800000000000,
                                   0xffffffff80000000,
                                   0xfffffffffffff000};
    int file = SUCCEED(open("/dev/zero", O_RDWR));
    int ends[2];
    SUCCEED(pipe(ends));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        void *at = (void *)bad[i];
        FAIL_WITH(read(file, at, 100), EFAULT);
        FAIL_WITH(write(ends[1], at, 100), EFAULT);
        FAIL_WITH(syscall(SYS_openat, AT_FDCWD, at, O_RDONLY), EFAULT);
        FAIL_WITH(syscall(SYS_pipe, at), EFAULT);
        struct iovec part = {at, 100};
        FAIL_WITH(readv(file, &part, 1), EFAULT);
        FAIL_WITH(readv(file, at, 1), EFAULT);
        FAIL_WITH(syscall(SYS_rt_sigaction, SIGUSR1, at, NULL, 8), EFAULT);
    }
    // A buffer whose second page is missing: what fits is transferred.
    uint8_t *page = map(PROT_READ | PROT_WRITE);
    SUCCEED(munmap(page + 4096, 4096));
    REQUIRE_EQUAL(read(file, page + 4000, 200), 96);
    memset(page, 'x', 4096);
    file = SUCCEED(open("file", O_RDWR | O_CREAT, 0600));
    REQUIRE_EQUAL(write(file, page + 4000, 200), 96);
    REQUIRE_EQUAL(handled, 0);
}
