// SPDX-License-Identifier: BSD-2-Clause
// System calls that a tracer emulates (PTRACE_SYSEMU): which are made and which are not, over
// single steps, forks and the tracer's end; and what PTRACE_GET_SYSCALL_INFO says at other stops.
#include "harness_ptrace.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/ptrace.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#define CALL_STOP (SIGTRAP | 0x80)

static volatile int64_t *shared;

static void open_shared(void)
{
    shared = SUCCEED(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}

// --- Emulation ----------------------------------------------------------------------------------

void emulated_code(void);
extern const char emulated_begin[], emulated_call[], emulated_end[];
__asm__(".text\n.globl emulated_code, emulated_begin, emulated_call, emulated_end\n"
        "emulated_code:\n\tint3\n"
        "emulated_begin: nop\n\tmov $39, %eax\n"
        "emulated_call: syscall\n\tnop\n\tmov %rax, %rcx\n"
        "emulated_end: nop\n\tret\n");

static void run_emulated_code(void *argument)
{
    (void)argument;
    emulated_code();
}

static void step_to(pid_t process, const char *expected, int signal)
{
    continue_with(process, PTRACE_SYSEMU_SINGLESTEP, 0);
    STOPS_BY(process, signal);
    REQUIRE_EQUAL(registers_of(process).rip, (uint64_t)expected);
}

TEST(emulated_steps, "PTRACE_SYSEMU_SINGLESTEP: each instruction, and a call's entry instead of it")
{
    pid_t process = traced_child(run_emulated_code, NULL);
    continue_with(process, PTRACE_CONT, 0);
    STOPS_BY(process, SIGTRAP);
    step_to(process, emulated_begin + 1, SIGTRAP);
    step_to(process, emulated_call, SIGTRAP);
    step_to(process, emulated_call + 2, CALL_STOP);
    struct user_regs_struct registers = registers_of(process);
    REQUIRE_EQUAL(registers.orig_rax, SYS_getpid);
    REQUIRE_EQUAL(registers.rax, -ENOSYS);
    registers.rax = 4711;
    set_registers(process, &registers);
    // The step over the call has been told of: the next one is the instruction behind it.
    step_to(process, emulated_call + 3, SIGTRAP);
    REQUIRE_EQUAL(registers_of(process).rax, 4711);
    step_to(process, emulated_end, SIGTRAP);
    REQUIRE_EQUAL(registers_of(process).rcx, 4711);
    continue_with(process, PTRACE_CONT, 0);
    EXITS(process, 0);
}

static void three_calls(void *argument)
{
    (void)argument;
    shared[0] = syscall(SYS_getppid);
    shared[1] = syscall(SYS_getpid);
    shared[2] = syscall(SYS_gettid);
}

static void emulate_until(pid_t process, uint64_t number)
{
    do {
        continue_with(process, PTRACE_SYSEMU, 0);
        STOPS_BY(process, CALL_STOP);
    } while (registers_of(process).orig_rax != number);
}

static void answer(pid_t process, uint64_t value)
{
    struct user_regs_struct registers = registers_of(process);
    registers.rax = value;
    set_registers(process, &registers);
}

TEST(emulated_and_made,
     "emulated calls have no exit stop; each request says what becomes of the next")
{
    open_shared();
    pid_t process = traced_child(three_calls, NULL);
    emulate_until(process, SYS_getppid);
    answer(process, 11);
    continue_with(process, PTRACE_SYSEMU, 0);
    STOPS_BY(process, CALL_STOP);
    REQUIRE_EQUAL(registers_of(process).orig_rax, SYS_getpid); // not getppid's exit
    answer(process, 12);
    continue_with(process, PTRACE_SYSCALL, 0);
    STOPS_BY(process, CALL_STOP); // this is, of the call that was not made
    REQUIRE_EQUAL(registers_of(process).rax, 12);
    continue_with(process, PTRACE_CONT, 0);
    EXITS(process, 0);
    REQUIRE_EQUAL(shared[0], 11);
    REQUIRE_EQUAL(shared[1], 12);
    REQUIRE_EQUAL(shared[2], process);
}

TEST(bad_emulation, "PTRACE_SYSEMU with no signal there is: EIO, and the calls are made")
{
    open_shared();
    pid_t process = traced_child(three_calls, NULL);
    FAIL_WITH(ptrace((enum __ptrace_request)PTRACE_SYSEMU, process, 0, 1000), EIO);
    continue_with(process, PTRACE_CONT, 0);
    EXITS(process, 0);
    REQUIRE_EQUAL(shared[1], process);
}

TEST(emulation_detached, "a process that is detached from makes its calls again")
{
    open_shared();
    pid_t process = traced_child(three_calls, NULL);
    emulate_until(process, SYS_getppid);
    answer(process, 11);
    SUCCEED(ptrace(PTRACE_DETACH, process, 0, 0));
    EXITS(process, 0);
    REQUIRE_EQUAL(shared[0], 11);
    REQUIRE_EQUAL(shared[1], process);
}

static void spin_then_call(void *argument)
{
    (void)argument;
    while (shared[3] == 0)
        ;
    three_calls(NULL);
}

// Lets it run with its calls emulated, and ends.
static void emulate_and_end(void *argument)
{
    pid_t process = *(pid_t *)argument;
    SUCCEED(ptrace(PTRACE_SEIZE, process, 0, PTRACE_O_TRACESYSGOOD));
    SUCCEED(ptrace(PTRACE_INTERRUPT, process, 0, 0));
    STOPS_AT(process, PTRACE_EVENT_STOP);
    continue_with(process, PTRACE_SYSEMU, 0);
}

TEST(emulation_without_tracer,
     "after its tracer has ended a process makes its calls, a new tracer or not")
{
    open_shared();
    pid_t process = child(spin_then_call, NULL);
    in_child(emulate_and_end, &process);
    SUCCEED(ptrace(PTRACE_SEIZE, process, 0, PTRACE_O_TRACESYSGOOD));
    shared[3] = 1;
    EXITS(process, 0);
    REQUIRE_EQUAL(shared[0], getpid());
    REQUIRE_EQUAL(shared[1], process);
}

static void fork_and_call(void *argument)
{
    (void)argument;
    // Without the library, which makes other calls around it, and without SIGCHLD at its end.
    pid_t inner = (pid_t)syscall(SYS_clone, 0, NULL, NULL, NULL, NULL);
    if (inner == 0) {
        shared[4] = syscall(SYS_getpid);
        _exit(0);
    }
    shared[5] = inner;
    while (shared[4] == 0)
        ;
}

TEST(emulation_not_inherited, "a child that is forked meanwhile makes its own calls")
{
    open_shared();
    pid_t process = traced_child(fork_and_call, NULL);
    do {
        continue_with(process, PTRACE_SYSCALL, 0);
        STOPS_BY(process, CALL_STOP);
    } while (registers_of(process).orig_rax != SYS_clone);
    continue_with(process, PTRACE_SYSEMU, 0); // the clone itself has been let through
    STOPS_BY(process, CALL_STOP);             // its next call, after it has seen the child's
    REQUIRE(shared[4] != 0);
    REQUIRE_EQUAL(shared[4], shared[5]);
    SUCCEED(kill(process, SIGKILL));
    KILLED(process, SIGKILL);
}

// --- Information at other stops -----------------------------------------------------------------

static long information_of(pid_t process, struct __ptrace_syscall_info *information, size_t room)
{
    memset(information, 0xff, sizeof *information);
    return ptrace((enum __ptrace_request)PTRACE_GET_SYSCALL_INFO, process, room, information);
}

static void raise_once(void *argument)
{
    (void)argument;
    raise(SIGUSR1);
}

TEST(information_elsewhere,
     "a stop by a signal is none of a call; no more is written than there is room")
{
    struct __ptrace_syscall_info information;
    pid_t process = traced_child(raise_once, NULL);
    continue_with(process, PTRACE_CONT, 0);
    STOPS_BY(process, SIGUSR1);
    size_t bytes = offsetof(struct __ptrace_syscall_info, entry);
    REQUIRE_EQUAL(information_of(process, &information, sizeof information), bytes);
    REQUIRE_EQUAL(information.op, PTRACE_SYSCALL_INFO_NONE);
    REQUIRE_EQUAL(information.arch, AUDIT_ARCH_X86_64);
    REQUIRE_EQUAL(information.instruction_pointer, registers_of(process).rip);
    REQUIRE_EQUAL(information.stack_pointer, registers_of(process).rsp);
    REQUIRE_EQUAL(information.entry.nr, -1);
    REQUIRE_EQUAL(information_of(process, &information, 1), bytes);
    REQUIRE_EQUAL(information.op, PTRACE_SYSCALL_INFO_NONE);
    REQUIRE_EQUAL(information.arch, 0xffffffff);
    FAIL_WITH(ptrace((enum __ptrace_request)PTRACE_GET_SYSCALL_INFO, process, 8, 16), EFAULT);
    continue_with(process, PTRACE_CONT, 0);
    EXITS(process, 0);
}

static void call_filtered(void *argument)
{
    (void)argument;
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE | 77),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof rules / sizeof *rules, rules};
    SUCCEED(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    SUCCEED(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0));
    syscall(SYS_getppid, 5, 6);
}

TEST(information_of_filter, "a stop by a seccomp filter: the call, and the filter's number")
{
    struct __ptrace_syscall_info information;
    pid_t process = traced_child(call_filtered, NULL);
    SUCCEED(ptrace(PTRACE_SETOPTIONS, process, 0, PTRACE_O_EXITKILL | PTRACE_O_TRACESECCOMP));
    continue_with(process, PTRACE_CONT, 0);
    STOPS_AT(process, PTRACE_EVENT_SECCOMP);
    SUCCEED(information_of(process, &information, sizeof information));
    REQUIRE_EQUAL(information.op, PTRACE_SYSCALL_INFO_SECCOMP);
    REQUIRE_EQUAL(information.seccomp.nr, SYS_getppid);
    REQUIRE_EQUAL(information.seccomp.args[0], 5);
    REQUIRE_EQUAL(information.seccomp.args[1], 6);
    REQUIRE_EQUAL(information.seccomp.ret_data, 77);
    continue_with(process, PTRACE_CONT, 0);
    EXITS(process, 0);
}
