// SPDX-License-Identifier: BSD-2-Clause
// Tries machine code out, and watches over the innocent.
#include "harness_attempt.h"

#include "harness_vector.h"

#include <sched.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

// --- Trying -------------------------------------------------------------------------------------

static sigjmp_buf back;
static volatile struct outcome seen;

static void on_signal(int number, siginfo_t *info, void *context)
{
    const greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    seen.signal = number;
    seen.code = info->si_code;
    seen.address = (uint64_t)info->si_addr;
    seen.vector = (uint64_t)registers[REG_TRAPNO];
    siglongjmp(back, 1);
}

__attribute__((noinline)) static uint8_t *prepare(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
    static uint8_t *page;
    if (page != NULL)
        return page;
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        SUCCEED(sigaction(signals[i], &action, NULL));
    stack_t stack = {.ss_size = 65536};
    stack.ss_sp = SUCCEED(
        mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    SUCCEED(sigaltstack(&stack, NULL));
    // Below 4 GiB, so that 32-bit code can be tried, too.
    page = SUCCEED(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0));
    return page;
}

struct outcome attempt(const void *bytes, size_t count, const uint64_t values[4])
{
    uint8_t *page = prepare();
    memset(page, 0xcc, 4096);
    memcpy(page, bytes, count);
    page[count] = 0xc3; // ret
    __builtin___clear_cache((char *)page, (char *)page + count + 1);
    memset((void *)&seen, 0, sizeof seen);
    if (sigsetjmp(back, 1) == 0) {
        uint64_t rax = values[0], rbx = values[1], rcx = values[2], rdx = values[3];
        // Stepping over the red zone.
        __asm__ volatile("lea -256(%%rsp), %%rsp\n\tcall *%[code]\n\tlea 256(%%rsp), %%rsp"
                         : "+a"(rax), "+b"(rbx), "+c"(rcx), "+d"(rdx)
                         : [code] "r"(page)
                         : "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
                           "memory", "cc");
        seen.rax = rax;
    }
    __asm__ volatile("lea -256(%%rsp), %%rsp\n\tpushq $0x202\n\tpopfq\n\tlea 256(%%rsp), %%rsp"
                     :
                     :
                     : "memory", "cc");
    return seen;
}

int attempt_apart(const void *bytes, size_t count, const uint64_t values[4])
{
    int status;
    pid_t process = fork();
    if (process == 0)
        _exit(attempt(bytes, count, values).signal);
    SUCCEED(waitpid(process, &status, 0));
    return WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
}

bool is_one_of(int signal, const int expected[4])
{
    for (int i = 0; i < 4; i++)
        if (expected[i] == signal && (signal != 0 || i == 0))
            return true;
    return false;
}

// --- The witness --------------------------------------------------------------------------------

#define PAGES 32

struct witness {
    pid_t process;
    volatile uint64_t rounds;
    volatile int stop;
    uint64_t seen_rounds;
};

static __thread volatile uint64_t own_word = 0x7769746e657373;

static void bear_witness(void *argument)
{
    struct witness *witness = argument;
    uint8_t *memory = SUCCEED(
        mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    fill_pattern(memory, PAGES * 4096, 17);
    pid_t self = getpid(), parent = getppid();
    bool avx = have_avx();
    struct vector_state vectors, found;
    if (avx)
        vector_make(&vectors, 18);
    while (!witness->stop) {
        REQUIRE(has_pattern(memory, PAGES * 4096, 17));
        if (avx) {
            vector_around_spin(&vectors, &found, 100000);
            REQUIRE(vector_same(&found, &vectors));
        }
        REQUIRE_EQUAL(own_word, 0x7769746e657373);
        REQUIRE_EQUAL(syscall(SYS_getpid), self);
        REQUIRE_EQUAL(syscall(SYS_getppid), parent);
        uint64_t flags;
        __asm__ volatile("lea -128(%%rsp), %%rsp\n\tpushf\n\tpop %0\n\tlea 128(%%rsp), %%rsp"
                         : "=r"(flags)
                         :
                         : "memory", "cc");
        // Nothing of another's: direction, trap, nested task, alignment, privilege.
        REQUIRE_EQUAL(flags & 0x47700, 0x200);
        witness->rounds++;
        sched_yield();
    }
}

struct witness *witness_start(void)
{
    struct witness *witness =
        SUCCEED(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    witness->process = child(bear_witness, witness);
    return witness;
}

void witness_check(struct witness *witness)
{
    witness->seen_rounds = witness->rounds;
    for (int tries = 0; witness->rounds < witness->seen_rounds + 2; tries++) {
        int status;
        if (waitpid(witness->process, &status, WNOHANG) != 0)
            FAIL("the witness has ended with status %#x", status);
        if (tries > 2000)
            FAIL("the witness does not get on");
        sleep_ms(5);
    }
}

void witness_end(struct witness *witness)
{
    witness_check(witness);
    witness->stop = 1;
    EXITS(witness->process, 0);
}
