// SPDX-License-Identifier: BSD-2-Clause
// Core dumps of processes with several threads: each thread's general and vector registers and its
// FS base are that thread's, the memory is all there, and limits hold.
#include "harness_core.h"

#include "harness_registers.h"
#include "harness_vector.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/procfs.h>
#include <sys/resource.h>
#include <sys/user.h>

#define THREADS 4 // besides the leader

static struct shared {
    struct thread_data {
        volatile pid_t id;
        volatile uint64_t fs_base, stack_word;
    } threads[THREADS + 1]; // the last one is the leader
} * shared;

static struct registers known[THREADS + 1];
static struct vector_state vectors[THREADS + 1];

// In memory of each kind.
static char data_text[] = "in the data segment";
static char *heap_text;
static uint8_t *mapped;

static void allow_core(rlim_t size)
{
    struct rlimit limit = {size, RLIM_INFINITY};
    SUCCEED(setrlimit(RLIMIT_CORE, &limit));
}

// The kernel must write "core…" into the current folder.
static void need_core_pattern(void)
{
    static char pattern[256];
    snprintf(pattern, sizeof pattern, "%s", read_file("/proc/sys/kernel/core_pattern"));
    if (strncmp(pattern, "core", 4) != 0)
        skip("core dumps go elsewhere on this machine (core_pattern)");
}

// All threads' registers differ from each other in each bit pattern.
static void enter(unsigned number)
{
    volatile uint64_t on_stack = 0xabcdef0000000000 + number;
    uint64_t base;
    __asm__("mov %%fs:0, %0" : "=r"(base));
    shared->threads[number].fs_base = base;
    shared->threads[number].stack_word = (uint64_t)&on_stack;
    vector_load(&vectors[number]);
    shared->threads[number].id = (pid_t)syscall(SYS_gettid);
    if (number == THREADS)
        registers_around_int3(&known[number]);
    else
        registers_spin(&known[number]);
}

static void *spin(void *argument)
{
    enter((unsigned)(uintptr_t)argument);
    return argument;
}

static void crash_with_threads(void *argument)
{
    (void)argument;
    allow_core(RLIM_INFINITY);
    heap_text = strdup("on the heap");
    mapped =
        SUCCEED(mmap(NULL, 5 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    fill_pattern(mapped, 2 * 4096, 9);
    SUCCEED(mprotect(mapped, 4096, PROT_NONE)); // what cannot be read is dumped all the same
    shared->threads[0].stack_word = (uint64_t)mapped;
    for (uintptr_t i = 0; i < THREADS; i++) {
        pthread_t thread;
        ZERO(pthread_create(&thread, NULL, spin, (void *)i));
    }
    for (int i = 0; i < THREADS; i++)
        while (shared->threads[i].id == 0)
            sleep_ms(1);
    // From its flag to its loop a thread has some twenty instructions left.
    sleep_ms(100 * slowness());
    data_text[0] = 'I';
    enter(THREADS);
}

// Opens the core of such a crash.
static struct core crash(void)
{
    need_core_pattern();
    shared = SUCCEED(
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    for (unsigned i = 0; i <= THREADS; i++) {
        registers_make(&known[i], 60 + i);
        vector_make(&vectors[i], 60 + i);
    }
    pid_t process = child(crash_with_threads, NULL);
    int status;
    SUCCEED(waitpid(process, &status, 0));
    REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGTRAP);
    REQUIRE(WCOREDUMP(status));
    return core_open();
}

// Which of our threads a note is about.
static unsigned thread_number(pid_t id)
{
    for (unsigned i = 0; i <= THREADS; i++)
        if (shared->threads[i].id == id)
            return i;
    FAIL("no thread has id %d", id);
}

static const struct elf_prstatus *status_of(const struct core *core, unsigned index)
{
    size_t size;
    const struct elf_prstatus *status = core_note(core, NT_PRSTATUS, index, &size);
    if (status != NULL)
        REQUIRE_EQUAL(size, sizeof *status);
    return status;
}

TEST(registers, "general registers and FS base of each thread, the one that crashed first")
{
    struct core core = crash();
    unsigned seen = 0;
    for (unsigned index = 0; index <= THREADS; index++) {
        const struct elf_prstatus *status = status_of(&core, index);
        REQUIRE(status != NULL);
        unsigned number = thread_number(status->pr_pid);
        seen |= 1u << number;
        REQUIRE(index != 0 || number == THREADS);
        const struct user_regs_struct *found = (const void *)&status->pr_reg;
        const struct registers *expected = &known[number];
        const uint64_t pairs[][2] = {
            {found->rax, expected->rax}, {found->rbx, expected->rbx}, {found->rcx, expected->rcx},
            {found->rdx, expected->rdx}, {found->rsi, expected->rsi}, {found->rdi, expected->rdi},
            {found->rbp, expected->rbp}, {found->r8, expected->r8},   {found->r9, expected->r9},
            {found->r10, expected->r10}, {found->r11, expected->r11}, {found->r12, expected->r12},
            {found->r13, expected->r13}, {found->r14, expected->r14}, {found->r15, expected->r15}};
        for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
            REQUIRE_EQUAL(pairs[i][0], pairs[i][1]);
        REQUIRE_EQUAL(found->fs_base, shared->threads[number].fs_base);
        REQUIRE_EQUAL(found->eflags & ~0x10000ull, expected->rflags);
        REQUIRE_EQUAL(found->cs, 0x33);
        if (number == THREADS)
            REQUIRE_EQUAL(found->rip, (uint64_t)registers_trap + 1);
        else
            REQUIRE(found->rip >= (uint64_t)registers_loop &&
                    found->rip < (uint64_t)registers_loop_end);
    }
    REQUIRE_EQUAL(seen, (1u << (THREADS + 1)) - 1);
    REQUIRE(status_of(&core, THREADS + 1) == NULL);
}

TEST(fp_registers, "x87 and SSE state of each thread")
{
    struct core core = crash();
    for (unsigned index = 0; index <= THREADS; index++) {
        size_t size;
        const struct user_fpregs_struct *found = core_note(&core, NT_FPREGSET, index, &size);
        REQUIRE(found != NULL);
        REQUIRE_EQUAL(size, sizeof *found);
        // Notes of a thread follow its status: the same index is the same thread.
        const struct vector_state *expected =
            &vectors[thread_number(status_of(&core, index)->pr_pid)];
        for (int i = 0; i < 16; i++)
            REQUIRE(memcmp((const char *)found->xmm_space + 16 * i, expected->ymm[i], 16) == 0);
        REQUIRE_EQUAL(found->mxcsr, expected->mxcsr);
        REQUIRE_EQUAL(found->cwd, expected->fcw);
        long double value;
        memcpy(&value, (const char *)found->st_space + 16, 10);
        REQUIRE((double)value == expected->x87[1]);
    }
}

TEST(avx_registers, "YMM registers of each thread (NT_X86_XSTATE)")
{
    struct core core = crash();
    size_t size;
    for (unsigned index = 0; index <= THREADS; index++) {
        const uint8_t *area = core_note(&core, NT_X86_XSTATE, index, &size);
        REQUIRE(area != NULL && size >= 576 + 256);
        REQUIRE_EQUAL(*(const uint64_t *)(area + 464) & 7, 7); // the features that are in it
        REQUIRE_EQUAL(*(const uint64_t *)(area + 512) & 7, 7); // and of them those in use
        const struct vector_state *expected =
            &vectors[thread_number(status_of(&core, index)->pr_pid)];
        for (int i = 0; i < 16; i++)
            REQUIRE(memcmp(area + 576 + 16 * i, expected->ymm[i] + 16, 16) == 0);
    }
}

TEST(memory, "data, heap, stacks of all threads, mappings, and what was not accessible")
{
    struct core core = crash();
    const char *text = core_memory(&core, (uint64_t)data_text, sizeof data_text);
    REQUIRE(text != NULL && strcmp(text, "In the data segment") == 0);
    const uint64_t *pointer = core_memory(&core, (uint64_t)&heap_text, sizeof *pointer);
    REQUIRE(pointer != NULL);
    text = core_memory(&core, *pointer, 12);
    REQUIRE(text != NULL && strcmp(text, "on the heap") == 0);
    for (unsigned i = 0; i <= THREADS; i++) {
        const uint64_t *word = core_memory(&core, shared->threads[i].stack_word, sizeof *word);
        REQUIRE(word != NULL);
        REQUIRE_EQUAL(*word, 0xabcdef0000000000 + i);
    }
    pointer = core_memory(&core, (uint64_t)&mapped, sizeof *pointer);
    const uint8_t *bytes = core_memory(&core, *pointer + 4096, 4096);
    uint8_t expected[2 * 4096];
    fill_pattern(expected, sizeof expected, 9);
    REQUIRE(bytes != NULL && memcmp(bytes, expected + 4096, 4096) == 0);
    bytes = core_memory(&core, *pointer, 4096);
    REQUIRE(bytes != NULL && memcmp(bytes, expected, 4096) == 0);
}

TEST(notes, "who it was and why: NT_PRPSINFO, NT_SIGINFO, NT_AUXV, NT_FILE")
{
    struct core core = crash();
    size_t size;
    REQUIRE_EQUAL(status_of(&core, 0)->pr_cursig, SIGTRAP);
    const struct elf_prpsinfo *process = core_note(&core, NT_PRPSINFO, 0, &size);
    REQUIRE(process != NULL && strcmp(process->pr_fname, "core") == 0);
    REQUIRE_EQUAL(process->pr_pid, shared->threads[THREADS].id);
    const siginfo_t *info = core_note(&core, NT_SIGINFO, 0, &size);
    REQUIRE(info != NULL);
    REQUIRE_EQUAL(info->si_signo, SIGTRAP);
    const Elf64_auxv_t *vector = core_note(&core, NT_AUXV, 0, &size);
    bool page_size = false;
    for (size_t i = 0; vector != NULL && i < size / sizeof *vector; i++)
        page_size |= vector[i].a_type == AT_PAGESZ && vector[i].a_un.a_val == 4096;
    REQUIRE(page_size);
    const uint64_t *files = core_note(&core, NT_FILE, 0, &size);
    REQUIRE(files != NULL && files[0] >= 2);
    REQUIRE(memmem(files, size, "/core", sizeof "/core") != NULL);
}

// --- Limits -------------------------------------------------------------------------------------

static void crash_with_limit(void *argument)
{
    allow_core(*(rlim_t *)argument);
    abort();
}

TEST(limit, "RLIMIT_CORE: none, and no more than allowed")
{
    need_core_pattern();
    int status;
    rlim_t none = 0, small = 8192;
    SUCCEED(waitpid(child(crash_with_limit, &none), &status, 0));
    REQUIRE(WIFSIGNALED(status) && !WCOREDUMP(status));
    REQUIRE(!core_exists());
    SUCCEED(waitpid(child(crash_with_limit, &small), &status, 0));
    if (core_exists())
        REQUIRE(core_open().size <= small);
}

static void end_undumpable(void *argument)
{
    allow_core(RLIM_INFINITY);
    SUCCEED(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
    raise(*(int *)argument);
}

static void end_dumpable(void *argument)
{
    allow_core(RLIM_INFINITY);
    raise(*(int *)argument);
}

TEST(no_core, "no core of a process that is not dumpable, nor for signals that only end")
{
    need_core_pattern();
    int status, fault = SIGSEGV, ending = SIGTERM;
    SUCCEED(waitpid(child(end_undumpable, &fault), &status, 0));
    REQUIRE(WIFSIGNALED(status) && !WCOREDUMP(status));
    SUCCEED(waitpid(child(end_dumpable, &ending), &status, 0));
    REQUIRE(WIFSIGNALED(status) && !WCOREDUMP(status));
    REQUIRE(!core_exists());
    static const int dump[] = {SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGFPE, SIGBUS, SIGSEGV};
    for (size_t i = 0; i < sizeof dump / sizeof *dump; i++) {
        SUCCEED(waitpid(child(end_dumpable, (void *)&dump[i]), &status, 0));
        REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == dump[i] && WCOREDUMP(status));
    }
}
