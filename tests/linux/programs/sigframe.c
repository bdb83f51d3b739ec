// SPDX-License-Identifier: BSD-2-Clause
// The signal frame of x86-64: every register in it is the interrupted one, what the handler changes
// there is what the program goes on with, the vector state included; where the frame lies.
#include "harness.h"

#include "harness_registers.h"

#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

static volatile sig_atomic_t handled;
// Volatile, since the C library promises the compiler that raise and kill call nothing of ours.
static volatile ucontext_t seen;
static volatile siginfo_t seen_info;
static volatile uint64_t handler_stack;

static void handle_with(int number, void (*handler)(int, siginfo_t *, void *), int flags)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = flags | SA_SIGINFO};
    SUCCEED(sigaction(number, &action, NULL));
}

// --- General registers --------------------------------------------------------------------------

static struct registers values;

static void look(int number, siginfo_t *info, void *context)
{
    (void)number;
    handled++;
    seen = *(ucontext_t *)context;
    seen_info = *info;
}

static void skip_ud2(int number, siginfo_t *info, void *context)
{
    look(number, info, context);
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2;
}

// REG_* of each member of struct registers, in its order.
static const int register_names[] = {REG_RAX, REG_RBX, REG_RCX, REG_RDX, REG_RSI,
                                     REG_RDI, REG_RBP, REG_R8,  REG_R9,  REG_R10,
                                     REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

TEST(frame_has_registers, "each general register is in the frame, and survives the handler")
{
    handle_with(SIGTRAP, look, 0);
    struct registers expected;
    registers_make(&expected, 1);
    values = expected;
    registers_around_int3(&values);
    REQUIRE_EQUAL(handled, 1);
    REQUIRE(memcmp(&values, &expected, sizeof values) == 0);
    const uint64_t *value = (const uint64_t *)&expected;
    for (uint64_t i = 0; i < GENERAL_REGISTERS; i++)
        REQUIRE_EQUAL(seen.uc_mcontext.gregs[register_names[i]], value[i]);
    REQUIRE_EQUAL(seen.uc_mcontext.gregs[REG_EFL], expected.rflags);
    REQUIRE_EQUAL(seen.uc_mcontext.gregs[REG_RIP], (uint64_t)registers_trap + 1);
    REQUIRE_EQUAL(seen.uc_mcontext.gregs[REG_TRAPNO], 3);
    // Code segment of 64-bit programs under Linux; debuggers rely on it.
    REQUIRE_EQUAL((uint64_t)seen.uc_mcontext.gregs[REG_CSGSFS] & 0xffff, 0x33);
}

static void change_registers(int number, siginfo_t *info, void *context)
{
    look(number, info, context);
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    for (unsigned i = 0; i < GENERAL_REGISTERS; i++)
        registers[register_names[i]] ^= (greg_t)(0x5555555555555555ull + i);
    registers[REG_EFL] ^= 0x85;
}

TEST(sigreturn_sets_registers, "the program goes on with the registers that the handler changed")
{
    handle_with(SIGTRAP, change_registers, 0);
    struct registers before;
    registers_make(&before, 2);
    values = before;
    registers_around_int3(&values);
    const uint64_t *old = (const uint64_t *)&before, *value = (const uint64_t *)&values;
    for (uint64_t i = 0; i < GENERAL_REGISTERS; i++)
        REQUIRE_EQUAL(value[i], old[i] ^ (0x5555555555555555ull + i));
    REQUIRE_EQUAL(values.rflags, before.rflags ^ 0x85);
}

static void change_flags(int number, siginfo_t *info, void *context)
{
    skip_ud2(number, info, context);
    // Flips what a program may change; the rest (interrupts, privilege, nested task) it may not.
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] ^= 0x8d5 | 0x400;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] |= 0x3000 | 0x4000;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~0x200;
}

TEST(sigreturn_sets_flags, "arithmetic flags and DF can be changed; IOPL, NT and IF cannot")
{
    handle_with(SIGILL, change_flags, 0);
    uint64_t before, after;
    // The handler itself must be entered with DF clear, as its C code relies on.
    __asm__ volatile(
        "lea -128(%%rsp), %%rsp\n\tstd\n\txor %%eax, %%eax\n\tpushf\n\tpop %0\n\tud2\n\t"
        "pushf\n\tpop %1\n\tcld\n\tlea 128(%%rsp), %%rsp"
        : "=&r"(before), "=&r"(after)
        :
        : "rax", "memory", "cc");
    // Bit 16 (RF) may be in the frame of a fault.
    REQUIRE_EQUAL((uint64_t)seen.uc_mcontext.gregs[REG_EFL] & ~0x10000ull, before);
    REQUIRE_EQUAL(after, before ^ (0x8d5 | 0x400));
    REQUIRE(before & 0x200);
}

// --- Where the frame lies -----------------------------------------------------------------------

static void look_at_stack(int number, siginfo_t *info, void *context)
{
    skip_ud2(number, info, context);
    handler_stack = (uint64_t)__builtin_frame_address(0);
}

TEST(red_zone, "the 128 bytes below the stack pointer are left alone, the frame is aligned")
{
    handle_with(SIGILL, look_at_stack, 0);
    static uint8_t after[128];
    uint64_t stack;
    __asm__ volatile("mov %%rsp, %[stack]\n\t"
                     "lea -128(%%rsp), %%rdi\n\t"
                     "mov $128, %%ecx\n"
                     "1: mov %%cl, -1(%%rdi,%%rcx)\n\tloop 1b\n\t"
                     "ud2\n\t"
                     "lea -128(%%rsp), %%rsi\n\t"
                     "mov %[after], %%rdi\n\t"
                     "mov $128, %%ecx\n\tcld\n\trep movsb"
                     : [stack] "=&r"(stack)
                     : [after] "r"(after)
                     : "rcx", "rdi", "rsi", "memory", "cc");
    for (unsigned i = 0; i < 128; i++)
        REQUIRE_EQUAL(after[i], i + 1);
    REQUIRE_EQUAL(seen.uc_mcontext.gregs[REG_RSP], stack);
    REQUIRE(handler_stack < stack - 128);
    // As after a call: return address at rsp, so that rbp, pushed next, is a multiple of 16.
    REQUIRE_EQUAL(handler_stack % 16, 0);
}

static volatile stack_t inside;

static void on_stack(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    (void)context;
    handled++;
    handler_stack = (uint64_t)__builtin_frame_address(0);
    sigaltstack(NULL, (stack_t *)&inside);
}

static stack_t alternate(size_t size)
{
    stack_t stack = {.ss_size = size};
    stack.ss_sp =
        SUCCEED(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    return stack;
}

TEST(alternate_stack, "SA_ONSTACK runs on the alternate stack, others do not")
{
    stack_t stack = alternate(65536), now;
    SUCCEED(sigaltstack(&stack, NULL));
    handle_with(SIGUSR1, on_stack, SA_ONSTACK);
    handle_with(SIGUSR2, on_stack, 0);
    raise(SIGUSR1);
    uint64_t base = (uint64_t)stack.ss_sp;
    REQUIRE(handler_stack > base && handler_stack < base + 65536);
    REQUIRE(inside.ss_flags & SS_ONSTACK);
    raise(SIGUSR2);
    REQUIRE(handler_stack < base || handler_stack > base + 65536);
    SUCCEED(sigaltstack(NULL, &now));
    REQUIRE_EQUAL(now.ss_flags, 0);
    REQUIRE_EQUAL(now.ss_size, 65536);
    FAIL_WITH(sigaltstack(&(stack_t){.ss_sp = stack.ss_sp, .ss_size = 100}, NULL), ENOMEM);
}

static void nest(int number, siginfo_t *info, void *context)
{
    on_stack(number, info, context);
    if (number == SIGUSR1) {
        uint64_t mine = handler_stack;
        errno = 0;
        // In use: it cannot be changed.
        if (sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL) != -1 || errno != EPERM)
            _exit(1);
        raise(SIGUSR2);
        // The second frame lies below the first on the same stack.
        if (handler_stack >= mine || mine - handler_stack > 32768)
            _exit(2);
    }
}

TEST(alternate_stack_nested, "a nested handler goes on below on the same alternate stack")
{
    stack_t stack = alternate(131072);
    SUCCEED(sigaltstack(&stack, NULL));
    handle_with(SIGUSR1, nest, SA_ONSTACK);
    handle_with(SIGUSR2, nest, SA_ONSTACK);
    raise(SIGUSR1);
    REQUIRE_EQUAL(handled, 2);
}

TEST(alternate_stack_autodisarm, "SS_AUTODISARM: off within the handler, back after it")
{
    stack_t stack = alternate(65536), now;
    stack.ss_flags = (int)(1u << 31);
    SUCCEED(sigaltstack(&stack, NULL));
    handle_with(SIGUSR1, on_stack, SA_ONSTACK);
    raise(SIGUSR1);
    REQUIRE(inside.ss_flags & SS_DISABLE);
    SUCCEED(sigaltstack(NULL, &now));
    REQUIRE_EQUAL((unsigned)now.ss_flags, 1u << 31);
    REQUIRE(now.ss_sp == stack.ss_sp);
}

static volatile bool deep_enough;

static void overflow(const volatile char *above)
{
    volatile char room[4096];
    room[0] = *above;
    if (!deep_enough)
        overflow(room);
    room[1] = room[0];
}

static sigjmp_buf back;

static void escape(int number, siginfo_t *info, void *context)
{
    on_stack(number, info, context);
    seen_info = *info;
    siglongjmp(back, 1);
}

TEST(stack_overflow, "a stack overflow is handled on the alternate stack, twice")
{
    stack_t stack = alternate(65536);
    SUCCEED(sigaltstack(&stack, NULL));
    handle_with(SIGSEGV, escape, SA_ONSTACK);
    for (int i = 1; i <= 2; i++) {
        if (sigsetjmp(back, 1) == 0)
            overflow("x");
        REQUIRE_EQUAL(handled, i);
        REQUIRE_EQUAL(seen_info.si_signo, SIGSEGV);
    }
}

static void overflow_without_stack(void *argument)
{
    handle_with(SIGSEGV, escape, 0);
    overflow(argument);
}

TEST(no_room_for_frame, "where no frame can be written the program is killed by SIGSEGV")
{
    KILLED(child(overflow_without_stack, "x"), SIGSEGV);
}

static void forge_frame(void *argument)
{
    // A frame full of what no processor takes: sigreturn must refuse or fault, not more.
    ucontext_t *context = argument;
    __asm__ volatile("mov %0, %%rsp\n\tmov $15, %%eax\n\tsyscall" : : "r"(context) : "memory");
    _exit(3);
}

TEST(forged_frame, "sigreturn with a forged frame: SIGSEGV, or a program that faults by itself")
{
    static union {
        ucontext_t context;
        uint8_t bytes[4096];
    } __attribute__((aligned(64))) frame;
    // All ones: a non-canonical ip, a stack pointer and state pointer nowhere.
    memset(&frame, 0xff, sizeof frame);
    KILLED(child(forge_frame, &frame), SIGSEGV);
    // All zero: goes on at address 0 with no vector state.
    memset(&frame, 0, sizeof frame);
    KILLED(child(forge_frame, &frame), SIGSEGV);
    // A sound frame but for the segments of the kernel and an ip in its half.
    memset(&frame, 0, sizeof frame);
    frame.context.uc_mcontext.gregs[REG_RIP] = (greg_t)0xffffffff80000000ull;
    frame.context.uc_mcontext.gregs[REG_CSGSFS] = 0x10;
    frame.context.uc_mcontext.gregs[REG_EFL] = 0x3202;
    KILLED(child(forge_frame, &frame), SIGSEGV);
    // A non-canonical stack pointer and ip, each alone.
    frame.context.uc_mcontext.gregs[REG_CSGSFS] = 0x33;
    frame.context.uc_mcontext.gregs[REG_RIP] = (greg_t)0x0000800000000000ull;
    KILLED(child(forge_frame, &frame), SIGSEGV);
}
