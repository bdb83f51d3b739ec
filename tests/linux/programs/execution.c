// SPDX-License-Identifier: BSD-2-Clause
// Which memory is executed: code that a program makes itself, rights that come and go with the page
// there and before it is, over fork and mremap; and stacks and heaps as the program file wants
// them.
#include "harness.h"

#include <elf.h>
#include <fcntl.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/ucontext.h>

#define PAGE       4096ul
#define READ_WRITE (PROT_READ | PROT_WRITE)
#define PRIVATE    (MAP_PRIVATE | MAP_ANONYMOUS)

static sigjmp_buf back;
static volatile siginfo_t fault;

static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    *(siginfo_t *)&fault = *info;
    siglongjmp(back, 1);
}

#define FORBIDDEN (-1)

// What code without arguments returns; FORBIDDEN when the page may not be executed.
static int call(const void *code)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    SUCCEED(sigaction(SIGSEGV, &action, NULL));
    if (sigsetjmp(back, 1) == 0)
        return ((int (*)(void))(uintptr_t)code)();
    REQUIRE_EQUAL(fault.si_code, SEGV_ACCERR);
    REQUIRE_EQUAL((uint64_t)fault.si_addr, (uint64_t)code);
    return FORBIDDEN;
}

// mov $value, %eax; ret
static void write_code(uint8_t *at, uint32_t value)
{
    at[0] = 0xb8;
    memcpy(at + 1, &value, sizeof value);
    at[5] = 0xc3;
}

static uint8_t *map(size_t size, int access)
{
    return SUCCEED(mmap(NULL, size, access, PRIVATE, -1, 0));
}

TEST(generated_code, "code written, made executable, run, made writable, changed, run again")
{
    uint8_t *code = map(PAGE, READ_WRITE);
    for (uint32_t i = 1; i <= 50; i++) {
        write_code(code, i);
        REQUIRE_EQUAL(call(code), FORBIDDEN);
        SUCCEED(mprotect(code, PAGE, PROT_READ | PROT_EXEC));
        REQUIRE_EQUAL(call(code), i);
        SUCCEED(mprotect(code, PAGE, READ_WRITE));
    }
    // All at once, as others do.
    uint8_t *all = map(4 * PAGE, READ_WRITE | PROT_EXEC);
    for (uint32_t i = 1; i <= 50; i++) {
        write_code(all + i * 64, i);
        REQUIRE_EQUAL(call(all + i * 64), i);
    }
}

TEST(pages_of_a_range, "one page of many: its neighbours' rights stay")
{
    uint8_t *at = map(9 * PAGE, READ_WRITE);
    for (uint32_t i = 0; i < 9; i++)
        write_code(at + i * PAGE, i);
    for (unsigned i = 1; i < 9; i += 2)
        SUCCEED(mprotect(at + i * PAGE, PAGE, PROT_READ | PROT_EXEC));
    for (unsigned i = 0; i < 9; i++)
        REQUIRE_EQUAL(call(at + i * PAGE), i % 2 ? (int)i : FORBIDDEN);
    SUCCEED(mprotect(at, 9 * PAGE, PROT_READ | PROT_EXEC));
    for (unsigned i = 0; i < 9; i++)
        REQUIRE_EQUAL(call(at + i * PAGE), i);
    SUCCEED(mprotect(at, 9 * PAGE, PROT_READ));
    for (unsigned i = 0; i < 9; i++)
        REQUIRE_EQUAL(call(at + i * PAGE), FORBIDDEN);
}

static uint8_t *inherited[2];

static void call_inherited(void *argument)
{
    (void)argument;
    REQUIRE_EQUAL(call(inherited[0]), FORBIDDEN);
    REQUIRE_EQUAL(call(inherited[1]), 5);
    write_code(inherited[0], 6); // its own copy is as little executable
    REQUIRE_EQUAL(call(inherited[0]), FORBIDDEN);
    SUCCEED(mprotect(inherited[0], PAGE, PROT_READ | PROT_EXEC));
    REQUIRE_EQUAL(call(inherited[0]), 6);
}

TEST(after_fork, "a child has its parent's rights, and changes its own")
{
    for (int i = 0; i < 2; i++) {
        inherited[i] = map(PAGE, READ_WRITE);
        write_code(inherited[i], 4 + (uint32_t)i);
    }
    SUCCEED(mprotect(inherited[1], PAGE, PROT_READ | PROT_EXEC));
    in_child(call_inherited, NULL);
    REQUIRE_EQUAL(call(inherited[0]), FORBIDDEN);
    REQUIRE_EQUAL(call(inherited[1]), 5);
}

TEST(moved_and_filled, "mremap takes the rights along; pages that Linux itself fills have them")
{
    uint8_t *code = map(2 * PAGE, READ_WRITE | PROT_EXEC), *data = map(2 * PAGE, READ_WRITE);
    write_code(code, 1);
    write_code(data, 2);
    uint8_t *place = map(16 * PAGE, PROT_NONE);
    code = SUCCEED(mremap(code, 2 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place));
    data =
        SUCCEED(mremap(data, 2 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place + 8 * PAGE));
    REQUIRE_EQUAL(call(code), 1);
    REQUIRE_EQUAL(call(data), FORBIDDEN);
    // Read from a file into pages that were never touched, after a jump into one of them.
    uint8_t bytes[6];
    write_code(bytes, 3);
    int file = SUCCEED(open("code", O_RDWR | O_CREAT, 0600));
    write_all(file, bytes, sizeof bytes);
    REQUIRE_EQUAL(call(data + 3 * PAGE), FORBIDDEN);
    SUCCEED(pread(file, data + 4 * PAGE, sizeof bytes, 0));
    REQUIRE_EQUAL(call(data + 4 * PAGE), FORBIDDEN);
    SUCCEED(pread(file, code + 4 * PAGE, sizeof bytes, 0));
    REQUIRE_EQUAL(call(code + 4 * PAGE), 3);
    // And the file itself, in both ways.
    const void *readable = SUCCEED(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, file, 0));
    const void *runnable = SUCCEED(mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, file, 0));
    REQUIRE_EQUAL(call(readable), FORBIDDEN);
    REQUIRE_EQUAL(call(runnable), 3);
    const void *only = SUCCEED(mmap(NULL, PAGE, PROT_EXEC, MAP_PRIVATE, file, 0));
    REQUIRE_EQUAL(call(only), 3);
}

TEST(read_implies_execution, "personality READ_IMPLIES_EXEC: what is mapped then can be executed")
{
    uint8_t *before = map(PAGE, READ_WRITE);
    write_code(before, 1);
    SUCCEED(personality(PER_LINUX | READ_IMPLIES_EXEC));
    uint8_t *after = map(PAGE, READ_WRITE);
    write_code(after, 2);
    REQUIRE_EQUAL(call(before), FORBIDDEN);
    REQUIRE_EQUAL(call(after), 2);
}

// --- As the program file says -------------------------------------------------------------------

// A copy of a program whose PT_GNU_STACK is of another type or has other rights.
static void copy_with_stack(const char *to, uint32_t type, uint32_t flags)
{
    static uint8_t bytes[4 << 20];
    int in = SUCCEED(open(beside("pause"), O_RDONLY));
    ssize_t size = SUCCEED(read(in, bytes, sizeof bytes));
    REQUIRE(size > (ssize_t)sizeof(Elf64_Ehdr) && size < (ssize_t)sizeof bytes);
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)bytes;
    Elf64_Phdr *segments = (Elf64_Phdr *)(bytes + header->e_phoff);
    bool found = false;
    for (int i = 0; i < header->e_phnum; i++) {
        if (segments[i].p_type != PT_GNU_STACK)
            continue;
        found = true;
        segments[i].p_type = type;
        segments[i].p_flags = flags;
    }
    REQUIRE(found);
    int out = SUCCEED(open(to, O_WRONLY | O_CREAT, 0755));
    write_all(out, bytes, (size_t)size);
    close(in);
    close(out);
}

static void start_copy(void *argument)
{
    SUCCEED(personality(PER_LINUX | READ_IMPLIES_EXEC)); // which does not outlive this
    execl(argument, argument, NULL);
    _exit(127);
}

// The rights of a mapping of a process that is starting.
static const char *rights_of(pid_t process, const char *name)
{
    static char rights[5];
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/maps", process);
    for (int i = 0; i < 2000; i++) {
        const char *text = read_file(path), *line = strstr(text, name);
        if (line != NULL && strstr(text, "/copy") != NULL) {
            while (line[-1] != '\n')
                line--;
            REQUIRE_EQUAL(sscanf(line, "%*x-%*x %4s", rights), 1);
            return rights;
        }
        sleep_ms(5);
    }
    FAIL("%s has no %s", path, name);
}

TEST(stack_and_heap, "PT_GNU_STACK decides about the stack; none: not executable; heaps never are")
{
    static const struct {
        uint32_t type, flags;
        const char *stack;
    } cases[] = {{PT_GNU_STACK, PF_R | PF_W, "rw-p"},
                 {PT_GNU_STACK, PF_R | PF_W | PF_X, "rwxp"},
                 {PT_NULL, 0, "rw-p"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        copy_with_stack("copy", cases[i].type, cases[i].flags);
        pid_t process = child(start_copy, "./copy");
        const char *heap = rights_of(process, "[heap]");
        REQUIRE(strcmp(heap, "rw-p") == 0);
        const char *stack = rights_of(process, "[stack]");
        if (strcmp(stack, cases[i].stack) != 0)
            FAIL("case %zu: the stack is %s, should be %s", i, stack, cases[i].stack);
        SUCCEED(kill(process, SIGKILL));
        KILLED(process, SIGKILL);
        SUCCEED(unlink("copy"));
    }
}
