// SPDX-License-Identifier: BSD-2-Clause
// The vector and x87 state belongs to its thread: kept across system calls, faults, signals and
// switches to others that use it, inherited by fork and new threads, reset by exec; and a handler
// that changes it in its ucontext changes it for good.
#include "harness.h"

#include "harness_vector.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <ucontext.h>

static struct vector_state before, after, expected;
static volatile sig_atomic_t handled;

static void handle_with(int number, void (*handler)(int, siginfo_t *, void *))
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    SUCCEED(sigaction(number, &action, NULL));
}

// --- The frame ----------------------------------------------------------------------------------

// Offsets within the frame's XSAVE area, as Intel's manual (volume 1, 13.4) gives them.
#define XSAVE_SOFTWARE  464 // bytes that Linux uses: struct _fpx_sw_bytes
#define XSAVE_HEADER    512
#define XSAVE_YMM       576 // of the standard format, TCG and hardware alike
#define XSAVE_XMM       160
#define FRAME_MAGIC     0x46505853u // FP_XSTATE_MAGIC1
#define FRAME_END_MAGIC 0x46505845u // FP_XSTATE_MAGIC2
#define HAS_X87_SSE_AVX 7u

static uint8_t *xsave_of(void *context)
{
    return (uint8_t *)((ucontext_t *)context)->uc_mcontext.fpregs;
}

static void check_frame(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    const uint8_t *area = xsave_of(context);
    uint32_t magic, extended_size, end;
    uint64_t features;
    memcpy(&magic, area + XSAVE_SOFTWARE, sizeof magic);
    memcpy(&extended_size, area + XSAVE_SOFTWARE + 4, sizeof extended_size);
    memcpy(&features, area + XSAVE_HEADER, sizeof features);
    REQUIRE_EQUAL(magic, FRAME_MAGIC);
    memcpy(&end, area + extended_size - 4, sizeof end);
    REQUIRE_EQUAL(end, FRAME_END_MAGIC);
    REQUIRE_EQUAL((uint64_t)area % 64, 0);
    REQUIRE_EQUAL(features & HAS_X87_SSE_AVX, HAS_X87_SSE_AVX);
    for (int i = 0; i < 16; i++) {
        REQUIRE(memcmp(area + XSAVE_XMM + 16 * i, before.ymm[i], 16) == 0);
        REQUIRE(memcmp(area + XSAVE_YMM + 16 * i, before.ymm[i] + 16, 16) == 0);
    }
    const struct _libc_fpstate *state = (const void *)area;
    REQUIRE_EQUAL(state->mxcsr, before.mxcsr);
    REQUIRE_EQUAL(state->cwd, before.fcw);
    // Wipes out what is in the registers themselves.
    struct vector_state other;
    vector_make(&other, 99);
    vector_load(&other);
    handled++;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2;
}

TEST(frame_has_vector_state, "a frame holds YMM, MXCSR and x87 state; a handler may use them all")
{
    handle_with(SIGILL, check_frame);
    vector_make(&before, 1);
    vector_around_ud2(&before, &after);
    REQUIRE_EQUAL(handled, 1);
    REQUIRE(vector_same(&after, &before));
}

static void change_frame(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    uint8_t *area = xsave_of(context);
    for (int i = 0; i < 16; i++) {
        memcpy(area + XSAVE_XMM + 16 * i, expected.ymm[i], 16);
        memcpy(area + XSAVE_YMM + 16 * i, expected.ymm[i] + 16, 16);
    }
    struct _libc_fpstate *state = (void *)area;
    state->mxcsr = expected.mxcsr;
    state->cwd = expected.fcw;
    for (int i = 0; i < 4; i++) {
        long double value = (long double)expected.x87[i];
        memcpy(&state->_st[i], &value, 10);
    }
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2;
}

TEST(frame_changes_vector_state,
     "YMM, MXCSR and x87 registers changed in the frame come back changed")
{
    handle_with(SIGILL, change_frame);
    vector_make(&before, 1);
    vector_make(&expected, 2);
    vector_around_ud2(&before, &after);
    REQUIRE(vector_same(&after, &expected));
}

static void change_one_register(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    memset(xsave_of(context) + XSAVE_YMM + 16 * 7, 0xa5, 16);
    handled++;
}

TEST(frame_changes_one_ymm, "one upper half changed by the handler of an asynchronous signal")
{
    handle_with(SIGUSR1, change_one_register);
    vector_make(&before, 3);
    vector_around_call(&before, &after, SYS_kill, getpid(), SIGUSR1, 0, 0);
    REQUIRE_EQUAL(handled, 1);
    expected = before;
    memset(expected.ymm[7] + 16, 0xa5, 16);
    REQUIRE(vector_same(&after, &expected));
}

static void clear_component(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    uint64_t features;
    memcpy(&features, xsave_of(context) + XSAVE_HEADER, sizeof features);
    features &= ~4ull;
    memcpy(xsave_of(context) + XSAVE_HEADER, &features, sizeof features);
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2;
}

TEST(frame_clears_component, "AVX taken out of the frame's features: the upper halves become zero")
{
    handle_with(SIGILL, clear_component);
    vector_make(&before, 4);
    vector_around_ud2(&before, &after);
    expected = before;
    for (int i = 0; i < 16; i++)
        memset(expected.ymm[i] + 16, 0, 16);
    REQUIRE(vector_same(&after, &expected));
}

static void forge_mxcsr(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    ((struct _libc_fpstate *)xsave_of(context))->mxcsr = 0xffffffff;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2;
}

static void return_with_forged_mxcsr(void *argument)
{
    (void)argument;
    handle_with(SIGILL, forge_mxcsr);
    vector_make(&before, 5);
    vector_around_ud2(&before, &after);
    // Linux refuses the frame or leaves the reserved bits out, and TCG takes them: no harm is what
    // counts.
    _exit(5);
}

TEST(frame_with_bad_mxcsr, "reserved bits of MXCSR in the frame do no harm")
{
    int status;
    pid_t process = child(return_with_forged_mxcsr, NULL);
    SUCCEED(waitpid(process, &status, 0));
    REQUIRE((WIFEXITED(status) && WEXITSTATUS(status) == 5) ||
            (WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV));
}

static int nesting;

static void nest(int number, siginfo_t *info, void *context)
{
    (void)info;
    (void)context;
    struct vector_state mine, found;
    int level = nesting++;
    if (level < 8) {
        vector_make(&mine, 100 + (unsigned)level);
        vector_around_call(&mine, &found, SYS_kill, getpid(), number, 0, 0);
        REQUIRE(vector_same(&found, &mine));
    }
}

TEST(nested_frames, "nested handlers each keep their own state")
{
    struct sigaction action = {.sa_sigaction = nest, .sa_flags = SA_SIGINFO | SA_NODEFER};
    SUCCEED(sigaction(SIGUSR1, &action, NULL));
    vector_make(&before, 6);
    vector_around_call(&before, &after, SYS_kill, getpid(), SIGUSR1, 0, 0);
    REQUIRE_EQUAL(nesting, 9);
    REQUIRE(vector_same(&after, &before));
}

static void fault_handler(int number, siginfo_t *info, void *context)
{
    (void)context;
    (void)number;
    struct vector_state other;
    vector_make(&other, 77);
    vector_load(&other);
    void *page = (void *)((uint64_t)info->si_addr & ~4095ull);
    if (mprotect(page, 4096, PROT_READ | PROT_WRITE) != 0)
        _exit(1);
    handled++;
}

TEST(kept_over_faults, "a write that faults twice, in the kernel's copy and in the program")
{
    handle_with(SIGSEGV, fault_handler);
    uint8_t *page = SUCCEED(mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    // getrandom touches fresh pages from within the kernel, after the first was let in.
    vector_make(&before, 8);
    SUCCEED(mprotect(page, 4096, PROT_READ | PROT_WRITE));
    REQUIRE_EQUAL(vector_around_call(&before, &after, SYS_getrandom, (long)page, 256, 0, 0), 256);
    REQUIRE(vector_same(&after, &before));
    // The store of the state itself is what faults here, and is executed again.
    vector_around_spin(&before, (struct vector_state *)(page + 4096), 1);
    REQUIRE_EQUAL(handled, 1);
    REQUIRE(vector_same((struct vector_state *)(page + 4096), &before));
}

// --- System calls and switches ------------------------------------------------------------------

TEST(kept_over_calls, "system calls leave all of it alone")
{
    vector_make(&before, 9);
    static char buffer[65536];
    int file = SUCCEED(open("file", O_RDWR | O_CREAT, 0600));
    struct {
        long number, first, second, third;
    } calls[] = {{SYS_getpid, 0, 0, 0},
                 {SYS_sched_yield, 0, 0, 0},
                 {SYS_write, file, (long)buffer, sizeof buffer},
                 {SYS_fsync, file, 0, 0},
                 {SYS_lseek, file, 0, 0},
                 {SYS_read, file, (long)buffer, sizeof buffer},
                 {SYS_getrandom, (long)buffer, 4096, 0},
                 {SYS_poll, 0, 0, 20},
                 {-1, 0, 0, 0}};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        vector_around_call(&before, &after, calls[i].number, calls[i].first, calls[i].second,
                           calls[i].third, 0);
        if (!vector_same(&after, &before))
            FAIL("call %ld", calls[i].number);
    }
}

#define PROCESSES 6

// Yields and spins with its own state in the registers, and looks after each round.
static void hold_state(unsigned seed, unsigned rounds)
{
    struct vector_state mine, found;
    vector_make(&mine, seed);
    for (unsigned i = 0; i < rounds; i++) {
        if (i % 2 == 0)
            vector_around_call(&mine, &found, SYS_sched_yield, 0, 0, 0, 0);
        else
            vector_around_spin(&mine, &found, 200000);
        if (!vector_same(&found, &mine))
            FAIL("state %u was lost in round %u", seed, i);
    }
}

static void hold_in_process(void *argument)
{
    hold_state((unsigned)(uintptr_t)argument, 200);
}

static void *hold_in_thread(void *argument)
{
    hold_state((unsigned)(uintptr_t)argument, 200);
    return argument;
}

TEST_WITHIN(kept_over_switches, "six processes and six threads, each with its own state", 60)
{
    if (!have_avx())
        skip("this processor has no AVX");
    pid_t processes[PROCESSES];
    pthread_t threads[PROCESSES];
    for (uintptr_t i = 0; i < PROCESSES; i++)
        processes[i] = child(hold_in_process, (void *)(20 + i));
    for (uintptr_t i = 0; i < PROCESSES; i++)
        ZERO(pthread_create(&threads[i], NULL, hold_in_thread, (void *)(40 + i)));
    for (int i = 0; i < PROCESSES; i++) {
        ZERO(pthread_join(threads[i], NULL));
        EXITS(processes[i], 0);
    }
}

static void *use_nothing(void *argument)
{
    for (volatile int i = 0; i < 1000000; i++)
        continue;
    return argument;
}

TEST(kept_over_blocking, "the state of a thread that sleeps while others run")
{
    vector_make(&before, 10);
    pthread_t threads[4];
    for (uintptr_t i = 0; i < 4; i++)
        ZERO(pthread_create(&threads[i], NULL, i % 2 ? hold_in_thread : use_nothing,
                            (void *)(60 + i)));
    struct timespec time = {0, 30000000};
    for (int i = 0; i < 10; i++) {
        vector_around_call(&before, &after, SYS_nanosleep, (long)&time, 0, 0, 0);
        REQUIRE(vector_same(&after, &before));
    }
    for (int i = 0; i < 4; i++)
        ZERO(pthread_join(threads[i], NULL));
}

// --- New processes and threads ------------------------------------------------------------------

TEST(fork_inherits, "the child of a fork has its parent's state, and both go their own ways")
{
    vector_make(&before, 11);
    pid_t process = (pid_t)vector_around_call(&before, &after, SYS_fork, 0, 0, 0, 0);
    REQUIRE(process >= 0);
    REQUIRE(vector_same(&after, &before));
    if (process == 0) {
        hold_state(12, 20);
        _exit(0);
    }
    hold_state(13, 20);
    EXITS(process, 0);
}

struct vector_state found_in_thread;
static volatile int thread_id_word;

// A bare thread (what pthread_create shares, and a word that is cleared when it ends): its first
// instructions after the system call store what it has inherited.
long bare_thread(const struct vector_state *in, void *stack, volatile int *id);
__asm__(".globl bare_thread\nbare_thread:\n\t"
        "call vector_load\n\t"
        "mov %rdx, %r10\n\t"
        "mov $0x210f00, %edi\n\t" // CLONE_VM, FS, FILES, SIGHAND, THREAD, CHILD_CLEARTID
        "xor %edx, %edx\n\txor %r8d, %r8d\n\t"
        "mov $56, %eax\n\tsyscall\n\t"
        "test %rax, %rax\n\tjz 1f\n\tret\n"
        "1: lea found_in_thread(%rip), %rdi\n\tcall vector_store\n\t"
        "mov $60, %eax\n\txor %edi, %edi\n\tsyscall\n\thlt");

TEST(clone_inherits, "a new thread begins with its creator's state")
{
    if (!have_avx())
        skip("this processor has no AVX");
    uint8_t *stack =
        SUCCEED(mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    vector_make(&before, 14);
    thread_id_word = 1;
    long id = bare_thread(&before, stack + 65536, &thread_id_word);
    vector_store(&after);
    REQUIRE(id > 0);
    while (thread_id_word != 0)
        sched_yield();
    REQUIRE(vector_same(&found_in_thread, &before));
}

TEST(exec_resets, "a program begins with all registers zero and the default control words")
{
    vector_make(&before, 15);
    pid_t process = fork();
    if (process == 0) {
        char *arguments[] = {(char *)beside("fresh-state"), NULL}, *environment[] = {NULL};
        vector_around_call(&before, &after, SYS_execve, (long)arguments[0], (long)arguments,
                           (long)environment, 0);
        _exit(127);
    }
    EXITS(process, 0);
}
