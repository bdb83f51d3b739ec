// SPDX-License-Identifier: BSD-2-Clause
// Tracing as debuggers and strace do it: attach and seize, system call stops, single steps,
// breakpoints, signals held back or changed, events of fork and exec, reading and writing memory.
#include "harness_ptrace.h"

#include <fcntl.h>
#include <linux/ptrace.h>
#include <sys/mman.h>

static volatile uint64_t *shared;

static void open_shared(void)
{
    shared = SUCCEED(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}

// --- System calls -------------------------------------------------------------------------------

static void make_calls(void *argument)
{
    (void)argument;
    shared[0] = (uint64_t)syscall(SYS_getppid);
    shared[1] = (uint64_t)syscall(SYS_getpid);
    shared[2] = (uint64_t)syscall(SYS_dup, -1) == (uint64_t)-1 ? (uint64_t)errno : 0;
}

#define CALL_STOP (SIGTRAP | 0x80)

static void next_call_stop(pid_t process)
{
    continue_with(process, PTRACE_SYSCALL, 0);
    STOPS_BY(process, CALL_STOP);
}

TEST(call_stops, "PTRACE_SYSCALL stops at entry and exit, with number, arguments and result")
{
    open_shared();
    pid_t process = traced_child(make_calls, NULL);
    next_call_stop(process); // the first stop after raise() may be its exit
    if (registers_of(process).orig_rax != SYS_getppid)
        next_call_stop(process);
    struct user_regs_struct registers = registers_of(process);
    while (registers.orig_rax != SYS_getppid) {
        next_call_stop(process);
        registers = registers_of(process);
    }
    REQUIRE_EQUAL(registers.rax, -ENOSYS);
    next_call_stop(process);
    REQUIRE_EQUAL(registers_of(process).orig_rax, SYS_getppid);
    REQUIRE_EQUAL(registers_of(process).rax, getpid());
    next_call_stop(process);
    REQUIRE_EQUAL(registers_of(process).orig_rax, SYS_getpid);
    next_call_stop(process);
    REQUIRE_EQUAL(registers_of(process).rax, process);
    next_call_stop(process);
    registers = registers_of(process);
    REQUIRE_EQUAL(registers.orig_rax, SYS_dup);
    REQUIRE_EQUAL((int)registers.rdi, -1);
    next_call_stop(process);
    REQUIRE_EQUAL(registers_of(process).rax, -EBADF);
    continue_with(process, PTRACE_CONT, 0);
    EXITS(process, 0);
    REQUIRE_EQUAL(shared[0], getpid());
    REQUIRE_EQUAL(shared[2], EBADF);
}

// Goes on until the process is about to make that system call.
static void until_call(pid_t process, uint64_t number)
{
    struct user_regs_struct registers;
    do {
        next_call_stop(process);
        registers = registers_of(process);
    } while (registers.orig_rax != number || registers.rax != (uint64_t)-ENOSYS);
}

TEST(call_changed,
     "a tracer changes the number, the arguments and the result of a call, or drops it")
{
    open_shared();
    pid_t process = traced_child(make_calls, NULL);
    until_call(process, SYS_getppid);
    struct user_regs_struct registers = registers_of(process);
    registers.orig_rax = SYS_getpid;
    set_registers(process, &registers);
    until_call(process, SYS_getpid);
    REQUIRE_EQUAL(shared[0], process);
    registers = registers_of(process);
    registers.orig_rax = (uint64_t)-1; // no call at all
    set_registers(process, &registers);
    next_call_stop(process);
    registers = registers_of(process);
    REQUIRE_EQUAL(registers.rax, -ENOSYS);
    registers.rax = 4711;
    set_registers(process, &registers);
    until_call(process, SYS_dup);
    REQUIRE_EQUAL(shared[1], 4711);
    registers = registers_of(process);
    registers.rdi = 1;
    set_registers(process, &registers);
    continue_with(process, PTRACE_CONT, 0);
    EXITS(process, 0);
    REQUIRE_EQUAL(shared[2], 0);
}

TEST(call_information, "PTRACE_GET_SYSCALL_INFO tells entry from exit")
{
    open_shared();
    pid_t process = traced_child(make_calls, NULL);
    until_call(process, SYS_dup);
    struct __ptrace_syscall_info information;
    memset(&information, 0xff, sizeof information);
    SUCCEED(ptrace((enum __ptrace_request)PTRACE_GET_SYSCALL_INFO, process, sizeof information,
                   &information));
    REQUIRE_EQUAL(information.op, PTRACE_SYSCALL_INFO_ENTRY);
    REQUIRE_EQUAL(information.entry.nr, SYS_dup);
    REQUIRE_EQUAL((int)information.entry.args[0], -1);
    REQUIRE_EQUAL(information.instruction_pointer, registers_of(process).rip);
    REQUIRE_EQUAL(information.stack_pointer, registers_of(process).rsp);
    next_call_stop(process);
    SUCCEED(ptrace((enum __ptrace_request)PTRACE_GET_SYSCALL_INFO, process, sizeof information,
                   &information));
    REQUIRE_EQUAL(information.op, PTRACE_SYSCALL_INFO_EXIT);
    REQUIRE_EQUAL(information.exit.rval, -EBADF);
    REQUIRE(information.exit.is_error);
    continue_with(process, PTRACE_CONT, 0);
    EXITS(process, 0);
}

TEST(emulated_calls, "PTRACE_SYSEMU: stops at entry, and the call is not made")
{
    open_shared();
    pid_t process = traced_child(make_calls, NULL);
    continue_with(process, PTRACE_SYSEMU, 0);
    STOPS_BY(process, CALL_STOP);
    struct user_regs_struct registers = registers_of(process);
    while (registers.orig_rax != SYS_getppid) {
        // What raise() does around its call is let through.
        continue_with(process, PTRACE_SYSEMU, 0);
        STOPS_BY(process, CALL_STOP);
        registers = registers_of(process);
    }
    registers.rax = 99;
    set_registers(process, &registers);
    continue_with(process, PTRACE_CONT, 0);
    EXITS(process, 0);
    REQUIRE_EQUAL(shared[0], 99);
    REQUIRE_EQUAL(shared[1], process);
}

// --- Single steps and breakpoints ---------------------------------------------------------------

void stepped_code(void);
extern const char stepped_begin[], stepped_call[], stepped_end[];
__asm__(".text\n.globl stepped_code, stepped_begin, stepped_call, stepped_end\n"
        "stepped_code:\n\tint3\n"
        "stepped_begin: nop\n\tnop\n\tmov $39, %eax\n"
        "stepped_call: syscall\n\tnop\n\tpush %rax\n\tpop %rcx\n\tjmp 1f\n\tud2\n"
        "1: xor %ecx, %ecx\n"
        "stepped_end: nop\n\tret\n");

static void run_stepped_code(void *argument)
{
    (void)argument;
    stepped_code();
}

static pid_t stopped_before_code(void)
{
    pid_t process = traced_child(run_stepped_code, NULL);
    continue_with(process, PTRACE_CONT, 0);
    STOPS_BY(process, SIGTRAP);
    REQUIRE_EQUAL(registers_of(process).rip, (uint64_t)stepped_begin);
    return process;
}

TEST(single_step, "PTRACE_SINGLESTEP: one instruction each, over a system call, too")
{
    // Lengths of the instructions above: nop nop mov syscall nop push pop jmp xor.
    static const unsigned lengths[] = {1, 1, 5, 2, 1, 1, 1, 4, 2};
    pid_t process = stopped_before_code();
    uint64_t at = (uint64_t)stepped_begin;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        continue_with(process, PTRACE_SINGLESTEP, 0);
        STOPS_BY(process, SIGTRAP);
        at += lengths[i];
        REQUIRE_EQUAL(registers_of(process).rip, at);
        if (at == (uint64_t)stepped_call + 2)
            REQUIRE_EQUAL(registers_of(process).rax, process);
        siginfo_t info;
        SUCCEED(ptrace(PTRACE_GETSIGINFO, process, 0, &info));
        REQUIRE_EQUAL(info.si_signo, SIGTRAP);
        // The trap flag is the tracer's affair and not to be seen.
        REQUIRE_EQUAL(registers_of(process).eflags & 0x100, 0);
    }
    REQUIRE_EQUAL(at, (uint64_t)stepped_end);
    continue_with(process, PTRACE_CONT, 0);
    EXITS(process, 0);
}

static void count_to_3000(void *argument)
{
    (void)argument;
    uint64_t count = 3000;
    __asm__ volatile("int3\n1: dec %0\n\tjnz 1b\n\tint3" : "+r"(count));
}

TEST_WITHIN(many_steps, "six thousand single steps end where the program would", 60)
{
    pid_t process = traced_child(count_to_3000, NULL);
    continue_with(process, PTRACE_CONT, 0);
    STOPS_BY(process, SIGTRAP);
    uint64_t first = registers_of(process).rip, at = first;
    unsigned steps = 0;
    // Until behind the int3, which is itself a SIGTRAP and not a step.
    do {
        continue_with(process, PTRACE_SINGLESTEP, 0);
        STOPS_BY(process, SIGTRAP);
        steps++;
        at = registers_of(process).rip;
    } while (at >= first && at < first + 6 && steps < 10000);
    REQUIRE_EQUAL(steps, 6001);
    continue_with(process, PTRACE_CONT, 0);
    EXITS(process, 0);
}

TEST(breakpoint, "an int3 put into the text of one process stops that one only")
{
    pid_t process = stopped_before_code();
    uint64_t saved = peek(process, stepped_call);
    poke(process, stepped_call, (saved & ~0xffull) | 0xcc);
    REQUIRE_EQUAL(peek(process, stepped_call), (saved & ~0xffull) | 0xcc);
    // Ours, of which it is a copy, and the next child's are as they were.
    REQUIRE_EQUAL(*(const uint64_t *)stepped_call, saved);
    pid_t other = stopped_before_code();
    continue_with(other, PTRACE_CONT, 0);
    EXITS(other, 0);

    continue_with(process, PTRACE_CONT, 0);
    STOPS_BY(process, SIGTRAP);
    struct user_regs_struct registers = registers_of(process);
    REQUIRE_EQUAL(registers.rip, (uint64_t)stepped_call + 1);
    poke(process, stepped_call, saved);
    registers.rip--;
    set_registers(process, &registers);
    continue_with(process, PTRACE_SINGLESTEP, 0);
    STOPS_BY(process, SIGTRAP);
    REQUIRE_EQUAL(registers_of(process).rax, process);
    continue_with(process, PTRACE_CONT, 0);
    EXITS(process, 0);
}

// --- Attaching ----------------------------------------------------------------------------------

static void count_for_ever(void *argument)
{
    (void)argument;
    for (;;)
        (*shared)++;
}

static void require_progress(void)
{
    uint64_t before = *shared;
    for (int i = 0; i < 1000 && *shared == before; i++)
        sleep_ms(5);
    REQUIRE(*shared != before);
}

TEST(attach_and_detach, "PTRACE_ATTACH stops a busy process, DETACH lets it go on untraced")
{
    open_shared();
    pid_t process = child(count_for_ever, NULL);
    require_progress();
    SUCCEED(ptrace(PTRACE_ATTACH, process, 0, 0));
    STOPS_BY(process, SIGSTOP);
    uint64_t before = *shared;
    sleep_ms(100);
    REQUIRE_EQUAL(*shared, before);
    REQUIRE_EQUAL(field_of("/proc/self/status", "TracerPid"), 0);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/status", process);
    REQUIRE_EQUAL(field_of(path, "TracerPid"), getpid());
    FAIL_WITH(ptrace(PTRACE_ATTACH, process, 0, 0), EPERM);
    SUCCEED(ptrace(PTRACE_DETACH, process, 0, 0));
    require_progress();
    REQUIRE_EQUAL(field_of(path, "TracerPid"), 0);
    FAIL_WITH(ptrace(PTRACE_CONT, process, 0, 0), ESRCH);
    SUCCEED(kill(process, SIGKILL));
    KILLED(process, SIGKILL);
}

TEST(seize_and_interrupt, "PTRACE_SEIZE does not stop, INTERRUPT does, without a signal")
{
    open_shared();
    pid_t process = child(count_for_ever, NULL);
    SUCCEED(ptrace(PTRACE_SEIZE, process, 0, PTRACE_O_EXITKILL));
    require_progress();
    SUCCEED(ptrace(PTRACE_INTERRUPT, process, 0, 0));
    STOPS_AT(process, PTRACE_EVENT_STOP);
    continue_with(process, PTRACE_CONT, 0);
    require_progress();
    // A group stop is told as such, and LISTEN keeps it stopped until SIGCONT.
    SUCCEED(kill(process, SIGSTOP));
    STOPS_BY(process, SIGSTOP);
    continue_with(process, PTRACE_CONT, SIGSTOP);
    STOPS_BY(process, SIGSTOP | PTRACE_EVENT_STOP << 8);
    SUCCEED(ptrace(PTRACE_LISTEN, process, 0, 0));
    uint64_t before = *shared;
    sleep_ms(50);
    REQUIRE_EQUAL(*shared, before);
    SUCCEED(kill(process, SIGCONT));
    STOPS_AT(process, PTRACE_EVENT_STOP);
    continue_with(process, PTRACE_CONT, 0);
    STOPS_BY(process, SIGCONT);
    continue_with(process, PTRACE_CONT, 0);
    require_progress();
    SUCCEED(kill(process, SIGKILL));
    KILLED(process, SIGKILL);
}

struct tracer {
    pid_t process;
    unsigned options;
};

static void trace_then_end(void *argument)
{
    const struct tracer *tracer = argument;
    SUCCEED(ptrace(PTRACE_SEIZE, tracer->process, 0, tracer->options));
    SUCCEED(ptrace(PTRACE_INTERRUPT, tracer->process, 0, 0));
    STOPS_AT(tracer->process, PTRACE_EVENT_STOP);
}

TEST(tracer_ends, "a tracer that ends leaves its tracee running; with EXITKILL it takes it along")
{
    open_shared();
    struct tracer tracer = {child(count_for_ever, NULL), 0};
    in_child(trace_then_end, &tracer);
    require_progress();
    tracer.options = PTRACE_O_EXITKILL;
    in_child(trace_then_end, &tracer);
    KILLED(tracer.process, SIGKILL);
}
