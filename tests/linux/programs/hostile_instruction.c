// SPDX-License-Identifier: BSD-2-Clause
// A program that executes what it must not: privileged and undefined instructions, every software
// interrupt, hostile returns and segments. Each gets the signal that it gets under Linux on a bare
// processor, and a process beside it notices nothing.
#include "harness_attempt.h"

#include <sys/mman.h>

static const uint64_t zeros[4];

struct instruction {
    const char *name;
    const char *bytes;
    size_t count;
    int expected[4]; // any of these
    uint64_t rax, rcx, rdx;
};
#define CODE(string) string, sizeof(string) - 1
#define SEGV                                                                                       \
    {                                                                                              \
        SIGSEGV                                                                                    \
    }
#define ILL                                                                                        \
    {                                                                                              \
        SIGILL                                                                                     \
    }
// Where processors differ (or an emulator from them) in which of the two it is.
#define EITHER                                                                                     \
    {                                                                                              \
        SIGSEGV, SIGILL                                                                            \
    }

static void try_all(const struct instruction *list, size_t count)
{
    struct witness *witness = witness_start();
    for (size_t i = 0; i < count; i++) {
        const struct instruction *one = &list[i];
        const uint64_t values[4] = {one->rax, 0, one->rcx, one->rdx};
        struct outcome outcome = attempt(one->bytes, one->count, values);
        if (!is_one_of(outcome.signal, one->expected))
            FAIL("%s: signal %d (vector %d), should be %d", one->name, outcome.signal,
                 (int)outcome.vector, one->expected[0]);
        if (outcome.signal == SIGSEGV && outcome.vector == 13 && outcome.code != SI_KERNEL)
            FAIL("%s: code %d, should be SI_KERNEL", one->name, outcome.code);
    }
    witness_end(witness);
}
#define TRY_ALL(list) try_all(list, sizeof(list) / sizeof(list)[0])

TEST(privileged, "instructions of the kernel: SIGSEGV")
{
    static const struct instruction list[] = {
        {"cli", CODE("\xfa"), SEGV},
        {"sti", CODE("\xfb"), SEGV},
        {"hlt", CODE("\xf4"), SEGV},
        {"clts", CODE("\x0f\x06"), SEGV},
        {"invd", CODE("\x0f\x08"), SEGV},
        {"wbinvd", CODE("\x0f\x09"), SEGV},
        {"mov %cr0, %rax", CODE("\x0f\x20\xc0"), SEGV},
        {"mov %cr2, %rax", CODE("\x0f\x20\xd0"), SEGV},
        {"mov %cr3, %rax", CODE("\x0f\x20\xd8"), SEGV},
        {"mov %cr4, %rax", CODE("\x0f\x20\xe0"), SEGV},
        {"mov %cr8, %rax", CODE("\x44\x0f\x20\xc0"), SEGV},
        {"mov %rax, %cr0", CODE("\x0f\x22\xc0"), SEGV, 0x80000011, 0, 0},
        {"mov %rax, %cr3", CODE("\x0f\x22\xd8"), SEGV},
        {"mov %rax, %cr4", CODE("\x0f\x22\xe0"), SEGV},
        {"mov %rax, %cr8", CODE("\x44\x0f\x22\xc0"), SEGV},
        {"mov %dr0, %rax", CODE("\x0f\x21\xc0"), SEGV},
        {"mov %rax, %dr7", CODE("\x0f\x23\xf8"), SEGV, 0x400, 0, 0},
        {"rdmsr EFER", CODE("\x0f\x32"), SEGV, 0, 0xc0000080, 0},
        {"wrmsr LSTAR", CODE("\x0f\x30"), SEGV, 0, 0xc0000082, 0},
        {"rdmsr unknown", CODE("\x0f\x32"), SEGV, 0, 0x12345678, 0},
        {"rdpmc", CODE("\x0f\x33"), EITHER},
        {"lgdt (%rsp)", CODE("\x0f\x01\x14\x24"), SEGV},
        {"lidt (%rsp)", CODE("\x0f\x01\x1c\x24"), SEGV},
        {"lldt %ax", CODE("\x0f\x00\xd0"), SEGV},
        {"ltr %ax", CODE("\x0f\x00\xd8"), SEGV, 0x40, 0, 0},
        {"lmsw %ax", CODE("\x0f\x01\xf0"), SEGV, 0x11, 0, 0},
        {"invlpg (%rsp)", CODE("\x0f\x01\x3c\x24"), SEGV},
        {"swapgs", CODE("\x0f\x01\xf8"), EITHER},
        {"sysret", CODE("\x0f\x07"), EITHER},
        {"sysretq", CODE("\x48\x0f\x07"), EITHER},
        {"sysexit", CODE("\x0f\x35"), EITHER},
        {"xsetbv", CODE("\x0f\x01\xd1"), EITHER, 7, 0, 0},
        {"stac", CODE("\x0f\x01\xcb"), ILL},
        {"clac", CODE("\x0f\x01\xca"), ILL},
        {"xsaves (%rsp)", CODE("\x0f\xc7\x2c\x24"), EITHER},
        {"xrstors (%rsp)", CODE("\x0f\xc7\x1c\x24"), EITHER},
        {"invpcid (%rsp), %rax", CODE("\x66\x0f\x38\x82\x04\x24"), EITHER}};
    TRY_ALL(list);
}

TEST(ports, "input and output of ports: SIGSEGV")
{
    static const struct instruction list[] = {
        {"in (%dx), %al", CODE("\xec"), SEGV, 0, 0, 0x3f8},
        {"in (%dx), %eax", CODE("\xed"), SEGV, 0, 0, 0xcfc},
        {"in $0x60, %al", CODE("\xe4\x60"), SEGV},
        {"out %al, (%dx)", CODE("\xee"), SEGV, 0x41, 0, 0x3f8},
        {"out %al, (%dx) debug exit", CODE("\xee"), SEGV, 1, 0, 0xf4},
        {"out %eax, (%dx)", CODE("\xef"), SEGV, 0, 0, 0xcf8},
        {"out %al, $0x64 reset", CODE("\xe6\x64"), SEGV, 0xfe, 0, 0},
        {"out %al, (%dx) last port", CODE("\xee"), SEGV, 0, 0, 0xffff},
        {"insb", CODE("\x48\x89\xe7\x6c"), SEGV, 0, 0, 0x3f8},
        {"rep outsl", CODE("\x48\x89\xe6\xf3\x6f"), SEGV, 0, 4, 0xcf8}};
    TRY_ALL(list);
}

TEST(virtual_machines,
     "instructions of virtual machines and enclaves: SIGILL, or what a processor has")
{
    static const struct instruction list[] = {
        // Within a virtual machine these two go to who runs it, and come back.
        {"vmcall", CODE("\x0f\x01\xc1"), {0, SIGSEGV, SIGILL}, 0xffffffff},
        {"vmmcall", CODE("\x0f\x01\xd9"), {0, SIGSEGV, SIGILL}, 0xffffffff},
        {"vmlaunch", CODE("\x0f\x01\xc2"), EITHER},
        {"vmresume", CODE("\x0f\x01\xc3"), EITHER},
        {"vmxoff", CODE("\x0f\x01\xc4"), EITHER},
        {"vmrun", CODE("\x0f\x01\xd8"), EITHER},
        {"vmload", CODE("\x0f\x01\xda"), EITHER},
        {"vmsave", CODE("\x0f\x01\xdb"), EITHER},
        {"stgi", CODE("\x0f\x01\xdc"), EITHER},
        {"clgi", CODE("\x0f\x01\xdd"), EITHER},
        {"skinit", CODE("\x0f\x01\xde"), EITHER},
        {"invlpga", CODE("\x0f\x01\xdf"), EITHER},
        {"getsec", CODE("\x0f\x37"), EITHER},
        {"encls", CODE("\x0f\x01\xcf"), EITHER},
        {"monitor", CODE("\x0f\x01\xc8"), EITHER},
        {"mwait", CODE("\x0f\x01\xc9"), EITHER}};
    TRY_ALL(list);
}

TEST(undefined, "undefined encodings: SIGILL")
{
    static const struct instruction list[] = {
        {"ud0", CODE("\x0f\xff\xc0"), ILL},
        {"ud1", CODE("\x0f\xb9\xc0"), ILL},
        {"ud2", CODE("\x0f\x0b"), ILL},
        {"rsm", CODE("\x0f\xaa"), ILL},
        {"push %es", CODE("\x06"), ILL},
        {"pop %ss", CODE("\x17"), ILL},
        {"daa", CODE("\x27"), ILL},
        {"aam", CODE("\xd4\x0a"), ILL},
        {"into", CODE("\xce"), ILL},
        {"bound", CODE("\x62\x04\x24"), EITHER},
        {"pusha", CODE("\x60"), ILL},
        {"salc", CODE("\xd6"), ILL},
        {"far call, direct", CODE("\x9a\x00\x00\x00\x00\x33\x00"), ILL},
        {"lock nop", CODE("\xf0\x90"), ILL},
        {"mov to %cs", CODE("\x8e\xc8"), ILL},
        {"mov to %cr1", CODE("\x0f\x22\xc8"), EITHER}};
    TRY_ALL(list);
    // Longer than 15 bytes: a general protection fault. TCG calls it undefined.
    static const char prefixes[] =
        "\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x90";
    static const int either[4] = EITHER;
    REQUIRE(is_one_of(attempt(CODE(prefixes), zeros).signal, either));
}

TEST(interrupts, "int 0 to 255: SIGSEGV, but for the breakpoint and Linux' own of 32-bit programs")
{
    struct witness *witness = witness_start();
    for (unsigned number = 0; number < 256; number++) {
        uint8_t code[2] = {0xcd, (uint8_t)number};
        const uint64_t values[4] = {0xfffff, 1, 2, 3}; // no system call's number
        struct outcome outcome = attempt(code, 2, values);
        int expected = SIGSEGV;
        if (number == 3)
            expected = SIGTRAP;
        if (number == 0x80)
            expected = BY_PLACE(0, SIGSEGV, "a node runs no 32-bit programs: docs/ABI.md");
        if (outcome.signal != expected)
            FAIL("int %#x: signal %d, should be %d", number, outcome.signal, expected);
        if (number == 0x80 && !on_node())
            REQUIRE_EQUAL((int)outcome.rax, -ENOSYS);
    }
    // Shortcuts of some.
    REQUIRE_EQUAL(attempt("\xcc", 1, zeros).signal, SIGTRAP); // int3
    static const int traps[4] = {SIGTRAP, SIGILL};            // TCG does not know int1
    REQUIRE(is_one_of(attempt("\xf1", 1, zeros).signal, traps));
    witness_end(witness);
}

TEST(descriptor_tables, "sgdt, sidt, sldt, str and smsw tell nothing of the kernel")
{
    static const struct instruction list[] = {{"sgdt", CODE("\x0f\x01\x44\x24\xc0"), SEGV},
                                              {"sidt", CODE("\x0f\x01\x4c\x24\xc0"), SEGV}};
    for (int i = 0; i < 2; i++) {
        // Reads back what was stored, below the stack pointer: mov -62(%rsp), %rax.
        uint8_t code[16];
        memcpy(code, list[i].bytes, 5);
        memcpy(code + 5, "\x48\x8b\x44\x24\xc2", 5);
        struct outcome outcome = attempt(code, 10, zeros);
        // With UMIP Linux answers something made up; the node's microkernel lets it be a fault.
        // Without UMIP the instruction works, on any system.
        if (outcome.signal != 0)
            REQUIRE_EQUAL(outcome.signal, SIGSEGV);
        else
            remark("%s: %#llx", list[i].name, (unsigned long long)outcome.rax);
        if (strstr(read_file("/proc/cpuinfo"), " umip ") != NULL && outcome.signal == 0)
            REQUIRE(outcome.rax == 0xfffffffffffe0000 || outcome.rax == 0xffffffffffff0000);
    }
    struct outcome outcome = attempt(CODE("\x0f\x01\xe0"), zeros); // smsw %eax
    REQUIRE(outcome.signal == 0 || outcome.signal == SIGSEGV);
    outcome = attempt(CODE("\x0f\x00\xc8"), zeros); // str %eax
    REQUIRE(outcome.signal == 0 || outcome.signal == SIGSEGV);
}

// --- Segments and returns -----------------------------------------------------------------------

TEST(segments, "segment registers take no selector of the kernel's or beyond the table")
{
    static const uint64_t selectors[] = {0x08, 0x10, 0x18, 0x20, 0x38,  0x40,   0x50, 0x58, 0x60,
                                         0x68, 0x70, 0x78, 0x80, 0x100, 0xfff8, 0x0c, 0x14, 0xfffc};
    static const char *const loads[] = {"\x8e\xd8", "\x8e\xc0", "\x8e\xe0", "\x8e\xe8", "\x8e\xd0"};
    struct witness *witness = witness_start();
    static const int refused[4] = {SIGSEGV, SIGBUS};
    for (size_t s = 0; s < sizeof selectors / sizeof *selectors; s++) {
        for (size_t l = 0; l < sizeof loads / sizeof *loads; l++) {
            // FS is left alone: loading it changes its base.
            if (l == 2)
                continue;
            const uint64_t values[4] = {selectors[s], 0, 0, 0};
            struct outcome outcome = attempt(loads[l], 2, values);
            // Data segments that anybody may load are no harm.
            if (outcome.signal == 0) {
                REQUIRE(l != 4);
                (void)attempt(loads[l], 2, zeros);
                uint64_t rights;
                bool readable;
                __asm__("lar %2, %1\n\tsetz %b0"
                        : "=r"(readable), "=r"(rights)
                        : "r"(selectors[s] | 3));
                REQUIRE(readable);
            } else if (!is_one_of(outcome.signal, refused)) {
                FAIL("selector %#llx: signal %d", (unsigned long long)selectors[s], outcome.signal);
            }
        }
    }
    // A null selector in GS is fine, and its base then what it was or zero.
    REQUIRE_EQUAL(attempt("\x8e\xe8", 2, zeros).signal, 0);
    witness_end(witness);
}

// QEMU 7.2 reads the stack of far returns with the kernel's rights, so that SMAP forbids it; Linux
// on such a machine takes the fault for its own and kills the process. The microkernel must not.
static bool is_allowed(int signal, const int expected[4])
{
    return is_one_of(signal, expected) || (signal == SIGKILL && !on_node());
}

// iretq to a frame that the code pushes itself: ss, rsp, flags, cs, ip.
static int return_to(uint64_t ip, uint64_t cs, uint64_t flags, uint64_t sp, uint64_t ss)
{
    // mov $imm64, %rax; push %rax, five times; iretq
    uint8_t code[64];
    size_t at = 0;
    const uint64_t words[5] = {ss, sp, flags, cs, ip};
    for (int i = 0; i < 5; i++) {
        code[at++] = 0x48;
        code[at++] = 0xb8;
        memcpy(code + at, &words[i], 8);
        at += 8;
        code[at++] = 0x50;
    }
    code[at++] = 0x48;
    code[at++] = 0xcf;
    return attempt_apart(code, at, zeros);
}

TEST(returns,
     "iretq with the kernel's selectors, bad addresses or flags: a signal, never more rights")
{
    static const struct {
        uint64_t ip, cs, flags, sp, ss;
    } frames[] = {{0x1000, 0x33, 0x202, 0x1000, 0x2b},
                  {0x1000, 0x08, 0x202, 0x1000, 0x10},
                  {0x1000, 0x10, 0x202, 0x1000, 0x18},
                  {0x1000, 0x33, 0x202, 0x1000, 0x10},
                  {0x1000, 0x33, 0x202, 0x1000, 0},
                  {0x1000, 0, 0x202, 0x1000, 0x2b},
                  {0x1000, 0x2b, 0x202, 0x1000, 0x2b},
                  {0x1000, 0xfff8, 0x202, 0x1000, 0x2b},
                  {0x800000000000, 0x33, 0x202, 0x1000, 0x2b},
                  {0xffffffff80000000, 0x33, 0x202, 0x1000, 0x2b},
                  {0x1000, 0x33, 0x202, 0x800000000000, 0x2b},
                  {0x1000, 0x33, 0x27302, 0x1000, 0x2b},
                  {0x1000, 0x33, 0xffffffffffffffff, 0x1000, 0x2b}};
    struct witness *witness = witness_start();
    static const int expected[4] = {SIGSEGV, SIGBUS, SIGTRAP};
    for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
        int signal =
            return_to(frames[i].ip, frames[i].cs, frames[i].flags, frames[i].sp, frames[i].ss);
        if (!is_allowed(signal, expected))
            FAIL("frame %zu: signal %d", i, signal);
    }
    // A far return into 32-bit mode (selector 0x23) at address 0: push 0x23; push 0; lretq.
    REQUIRE(is_allowed(attempt_apart(CODE("\x6a\x23\x6a\x00\x48\xcb"), zeros), expected));
    witness_end(witness);
}

TEST(compatibility_mode, "system calls of 32-bit mode: what a 32-bit program gets, or a signal")
{
    // A page below 4 GiB with the 32-bit code at its end: push 0x23; push address; lretq.
    uint8_t *low = SUCCEED(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0));
    static const struct {
        const char *name, *bytes;
        int count, native[4];
    } codes[] = {{"ud2", "\x0f\x0b", 2, {SIGILL}},
                 {"syscall", "\x0f\x05\x0f\x0b", 4, {SIGILL, SIGSEGV}},
                 {"sysenter", "\x0f\x34\x0f\x0b", 4, {SIGILL, SIGSEGV}},
                 {"int 0x80", "\xb8\xff\xff\x0f\x00\xcd\x80\x0f\x0b", 9, {SIGILL}},
                 {"into", "\xb0\x7f\x04\x7f\xce\x0f\x0b", 7, {SIGSEGV}},
                 {"hlt", "\xf4", 1, {SIGSEGV}}};
    static const int on_a_node[4] = {SIGSEGV, SIGILL, SIGBUS};
    struct witness *witness = witness_start();
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        memset(low, 0xf4, 4096);
        memcpy(low, codes[i].bytes, (size_t)codes[i].count);
        uint8_t code[16] = {0x6a, 0x23, 0x68, 0, 0, 0, 0, 0x48, 0xcb};
        uint32_t address = (uint32_t)(uintptr_t)low;
        memcpy(code + 3, &address, 4);
        // The stack lies too high to be used in this mode; none of them does.
        int signal = attempt_apart(code, 9, zeros);
        if (!is_allowed(signal, BY_PLACE(codes[i].native, on_a_node, "no 32-bit mode on a node")))
            FAIL("%s: %d", codes[i].name, signal);
    }
    witness_end(witness);
}

TEST(sysenter, "sysenter in 64-bit mode: a signal")
{
    struct witness *witness = witness_start();
    static const int expected[4] = EITHER;
    REQUIRE(is_one_of(attempt_apart(CODE("\x0f\x34"), zeros), expected));
    witness_end(witness);
}
