// SPDX-License-Identifier: BSD-2-Clause
// A program that makes the microkernel's system calls: to Linux they are numbers that it does not
// know. Each returns ENOSYS with all registers kept, and a process beside it notices nothing.
#include "harness_attempt.h"

#include <corvus/message.h>
#include <sys/mman.h>

// All registers that a message is made of, and what Linux keeps of them.
struct call {
    uint64_t rax, rdi, rsi, rdx, r8, r9, r10, r12, r13, r14, r15, rbx, rbp;
};

void raw_call(struct call *call);
__asm__(
    ".text\n.globl raw_call\nraw_call:\n\t"
    "push %rbx\n\tpush %rbp\n\tpush %r12\n\tpush %r13\n\tpush %r14\n\tpush %r15\n\tpush %rdi\n\t"
    "mov 0(%rdi), %rax\n\tmov 16(%rdi), %rsi\n\tmov 24(%rdi), %rdx\n\tmov 32(%rdi), %r8\n\t"
    "mov 40(%rdi), %r9\n\tmov 48(%rdi), %r10\n\tmov 56(%rdi), %r12\n\tmov 64(%rdi), %r13\n\t"
    "mov 72(%rdi), %r14\n\tmov 80(%rdi), %r15\n\tmov 88(%rdi), %rbx\n\tmov 96(%rdi), %rbp\n\t"
    "mov 8(%rdi), %rdi\n\t"
    "syscall\n\t"
    "xchg %rdi, (%rsp)\n\t"
    "mov %rax, 0(%rdi)\n\tmov %rsi, 16(%rdi)\n\tmov %rdx, 24(%rdi)\n\tmov %r8, 32(%rdi)\n\t"
    "mov %r9, 40(%rdi)\n\tmov %r10, 48(%rdi)\n\tmov %r12, 56(%rdi)\n\tmov %r13, 64(%rdi)\n\t"
    "mov %r14, 72(%rdi)\n\tmov %r15, 80(%rdi)\n\tmov %rbx, 88(%rdi)\n\tmov %rbp, 96(%rdi)\n\t"
    "pop %rax\n\tmov %rax, 8(%rdi)\n\t"
    "pop %r15\n\tpop %r14\n\tpop %r13\n\tpop %r12\n\tpop %rbp\n\tpop %rbx\n\tret\n");

static uint64_t random_state = 1;

static uint64_t random_word(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

// Something that a right's name, an address, a length or nonsense may look like.
static uint64_t random_argument(void *page)
{
    switch (random_word() % 8) {
    case 0:
        return random_word() % 64;
    case 1:
        return (random_word() % 1024) << 15 | random_word() % 8;
    case 2:
        return (uint64_t)page + random_word() % 4096;
    case 3:
        return 0xffff800000000000 + random_word() % (1ull << 40);
    case 4:
        return 0xffffffff80000000 + random_word() % (1ull << 30);
    case 5:
        return 0x60000000 + random_word() % (1ull << 28);
    case 6:
        return 0xffffffff;
    default:
        return random_word();
    }
}

static void make_call(uint64_t tag, void *page)
{
    struct call call, before;
    for (size_t i = 0; i < sizeof call / 8; i++)
        ((uint64_t *)&call)[i] = random_argument(page);
    call.rax = tag;
    before = call;
    raw_call(&call);
    if (call.rax != (uint64_t)-ENOSYS)
        FAIL("tag %#llx: %#llx", (unsigned long long)tag, (unsigned long long)call.rax);
    before.rax = call.rax;
    if (memcmp(&call, &before, sizeof call) != 0)
        FAIL("tag %#llx has changed a register", (unsigned long long)tag);
}

TEST(each_option, "each option of a message alone and with others, with every count of words")
{
    struct witness *witness = witness_start();
    void *page =
        SUCCEED(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    static const uint64_t options[] = {TAG_SEND,
                                       TAG_RECEIVE,
                                       TAG_CALL,
                                       TAG_REPLY_RECEIVE,
                                       TAG_SEND | TAG_RECEIVE,
                                       TAG_SEND | TAG_SEND_DEADLINE,
                                       TAG_RECEIVE | TAG_RECEIVE_DEADLINE,
                                       TAG_CALL | TAG_REPLY_RIGHT,
                                       TAG_NOTIFY,
                                       TAG_NOTIFY | TAG_SEND,
                                       TAG_VCPU_RUN,
                                       TAG_VCPU_RUN | TAG_CALL,
                                       0x1ff0000};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        for (uint64_t words = 0; words < 128; words += 3)
            make_call(options[i] | words, page);
        for (uint64_t rights = 0; rights < 16; rights++)
            make_call(options[i] | TAG_RIGHTS(rights) | TAG_ITEMS(rights % 8) | 6, page);
    }
    witness_end(witness);
}

TEST_WITHIN(random_calls, "20,000 random ones", 60)
{
    struct witness *witness = witness_start();
    void *page =
        SUCCEED(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    for (int i = 0; i < 20000; i++) {
        // Some option is set, so that it is never the number of a call of Linux; bits above 31 do
        // not count, as on a bare processor.
        uint64_t tag = (random_word() & 0x1ffffff) | 1ull << (16 + random_word() % 9);
        make_call(tag, page);
    }
    witness_end(witness);
}

TEST(upper_half, "the upper half of the number does not count: as with Linux on a bare processor")
{
    REQUIRE_EQUAL(syscall(0x100000000 | SYS_getpid), getpid());
    REQUIRE_EQUAL(syscall((long)(0xdeadbeef00000000 | SYS_getpid)), getpid());
    FAIL_WITH(syscall(0x1234567800010000), ENOSYS);
}

static void be_hostile(void *argument)
{
    void *page = argument;
    random_state = (uint64_t)getpid() * 0x9e3779b97f4a7c15;
    for (int i = 0; i < 3000; i++) {
        uint64_t tag = (random_word() & 0x1ffffff) | 1ull << (16 + random_word() % 9);
        make_call(tag, page);
    }
}

TEST_WITHIN(many_at_once,
            "eight processes at once, and threads' registers of a neighbour stay right", 60)
{
    struct witness *witness = witness_start();
    void *page =
        SUCCEED(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    pid_t processes[8];
    for (int i = 0; i < 8; i++)
        processes[i] = child(be_hostile, page);
    for (int i = 0; i < 8; i++)
        EXITS(processes[i], 0);
    witness_end(witness);
}

TEST(ldt,
     "modify_ldt: a local descriptor table is refused on a node, and the call's reading is empty")
{
    struct {
        unsigned entry, base, limit, flags;
    } description = {0, 0, 0xfffff, 0x51};
    long result = syscall(SYS_modify_ldt, 1, &description, sizeof description);
    if (on_node())
        REQUIRE(result == -1 || (int)result == -ENOSYS);
    else if (result != 0)
        skip("this kernel has no modify_ldt");
    uint64_t table[16];
    REQUIRE(syscall(SYS_modify_ldt, 0, table, sizeof table) <= (long)sizeof table);
}
