// SPDX-License-Identifier: BSD-2-Clause
// Tracing: events of fork, clone, exec and exit, signals held back and changed, memory of the
// tracee by every way to it.
#include "harness_ptrace.h"

#include <fcntl.h>
#include <sys/mman.h>

// --- Events -------------------------------------------------------------------------------------

static void fork_and_exec(void *argument)
{
    (void)argument;
    pid_t process = fork();
    if (process == 0)
        _exit(3);
    EXITS(process, 3);
    process = vfork();
    if (process == 0)
        _exit(4);
    EXITS(process, 4);
    execl("/proc/self/exe", "self", "--list", NULL);
    _exit(127);
}

static uint64_t event_message(pid_t process)
{
    unsigned long message = 0;
    SUCCEED(ptrace(PTRACE_GETEVENTMSG, process, 0, &message));
    return message;
}

static void follow_child(pid_t process, int event, int status)
{
    continue_with(process, PTRACE_CONT, 0);
    STOPS_AT(process, event);
    pid_t forked = (pid_t)event_message(process);
    STOPS_BY(forked, SIGSTOP); // traced from the start
    continue_with(process, PTRACE_CONT, 0);
    if (event == PTRACE_EVENT_VFORK) {
        continue_with(forked, PTRACE_CONT, 0);
        STOPS_AT(forked, PTRACE_EVENT_EXIT);
        REQUIRE_EQUAL(event_message(forked), (unsigned)status << 8);
        continue_with(forked, PTRACE_CONT, 0);
        STOPS_AT(process, PTRACE_EVENT_VFORK_DONE);
        REQUIRE_EQUAL(event_message(process), forked);
        EXITS(forked, status);
        continue_with(process, PTRACE_CONT, 0);
    } else {
        continue_with(forked, PTRACE_CONT, 0);
        STOPS_AT(forked, PTRACE_EVENT_EXIT);
        REQUIRE_EQUAL(event_message(forked), (unsigned)status << 8);
        continue_with(forked, PTRACE_CONT, 0);
        EXITS(forked, status);
    }
    // Once more as the parent's SIGCHLD.
    STOPS_BY(process, SIGCHLD);
}

TEST(fork_events, "fork, vfork, exec and exit are announced, children are traced from the start")
{
    pid_t process = traced_child(fork_and_exec, NULL);
    SUCCEED(ptrace(PTRACE_SETOPTIONS, process, 0,
                   PTRACE_O_EXITKILL | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                       PTRACE_O_TRACEVFORKDONE | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT));
    follow_child(process, PTRACE_EVENT_FORK, 3);
    follow_child(process, PTRACE_EVENT_VFORK, 4);
    continue_with(process, PTRACE_CONT, 0);
    STOPS_AT(process, PTRACE_EVENT_EXEC);
    REQUIRE_EQUAL(event_message(process), process);
    SUCCEED(kill(process, SIGKILL));
    int status;
    // Killed, it still passes its exit event, or ends at once.
    SUCCEED(waitpid(process, &status, 0));
    if (WIFSTOPPED(status)) {
        REQUIRE_EQUAL(status >> 16, PTRACE_EVENT_EXIT);
        continue_with(process, PTRACE_CONT, 0);
        SUCCEED(waitpid(process, &status, 0));
    }
    REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void exec_only(void *argument)
{
    (void)argument;
    execl("/proc/self/exe", "self", "no such test", NULL);
    _exit(127);
}

TEST(exec_trap, "without options exec is a SIGTRAP, at the first instruction of the new program")
{
    pid_t process = traced_child(exec_only, NULL);
    SUCCEED(ptrace(PTRACE_SETOPTIONS, process, 0, PTRACE_O_EXITKILL));
    continue_with(process, PTRACE_CONT, 0);
    STOPS_BY(process, SIGTRAP);
    struct user_regs_struct registers = registers_of(process);
    REQUIRE_EQUAL(registers.rbx | registers.rbp | registers.r12 | registers.r13, 0);
    REQUIRE_EQUAL(peek(process, (void *)registers.rsp), 2); // argc
    REQUIRE_EQUAL(registers.fs_base, 0);
    SUCCEED(kill(process, SIGKILL));
    KILLED(process, SIGKILL);
}

// --- Signals ------------------------------------------------------------------------------------

static volatile sig_atomic_t usr1, usr2, value;

static void count(int number, siginfo_t *info, void *context)
{
    (void)context;
    usr1 += number == SIGUSR1;
    usr2 += number == SIGUSR2;
    value = info->si_value.sival_int;
}

static void receive_signals(void *argument)
{
    (void)argument;
    struct sigaction action = {.sa_sigaction = count, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
    for (int i = 0; i < 4; i++)
        raise(SIGUSR1);
    _exit(usr1 * 16 + usr2 * 64 + (value == 77));
}

TEST(signal_injection,
     "a tracer suppresses, passes and exchanges signals, and changes their siginfo")
{
    pid_t process = traced_child(receive_signals, NULL);
    continue_with(process, PTRACE_CONT, 0);
    STOPS_BY(process, SIGUSR1);
    siginfo_t info;
    SUCCEED(ptrace(PTRACE_GETSIGINFO, process, 0, &info));
    REQUIRE_EQUAL(info.si_signo, SIGUSR1);
    REQUIRE_EQUAL(info.si_code, SI_TKILL);
    REQUIRE_EQUAL(info.si_pid, process);
    continue_with(process, PTRACE_CONT, 0); // suppressed
    STOPS_BY(process, SIGUSR1);
    continue_with(process, PTRACE_CONT, SIGUSR1); // passed
    STOPS_BY(process, SIGUSR1);
    continue_with(process, PTRACE_CONT, SIGUSR2); // exchanged
    STOPS_BY(process, SIGUSR1);
    SUCCEED(ptrace(PTRACE_GETSIGINFO, process, 0, &info));
    info.si_code = SI_QUEUE;
    info.si_value.sival_int = 77;
    SUCCEED(ptrace(PTRACE_SETSIGINFO, process, 0, &info));
    continue_with(process, PTRACE_CONT, SIGUSR1);
    EXITS(process, 2 * 16 + 64 + 1);
}

TEST(signal_mask, "PTRACE_GETSIGMASK and SETSIGMASK")
{
    pid_t process = traced_child(receive_signals, NULL);
    uint64_t mask = ~0ull;
    SUCCEED(ptrace((enum __ptrace_request)0x420a, process, sizeof mask, &mask));
    REQUIRE_EQUAL(mask, 0);
    mask = 1ull << (SIGUSR1 - 1);
    SUCCEED(ptrace((enum __ptrace_request)0x420b, process, sizeof mask, &mask));
    continue_with(process, PTRACE_CONT, 0);
    EXITS(process, 0); // it never got any
}

static void die_by_fault(void *argument)
{
    *(volatile int *)argument = 1;
}

TEST(fault_seen_first, "a fault stops the tracee before it kills it, and can be mended")
{
    pid_t process = traced_child(die_by_fault, (void *)0x1000);
    continue_with(process, PTRACE_CONT, 0);
    STOPS_BY(process, SIGSEGV);
    siginfo_t info;
    SUCCEED(ptrace(PTRACE_GETSIGINFO, process, 0, &info));
    REQUIRE_EQUAL(info.si_addr, 0x1000);
    REQUIRE_EQUAL(info.si_code, SEGV_MAPERR);
    continue_with(process, PTRACE_CONT, SIGSEGV);
    KILLED(process, SIGSEGV);
}

// --- Memory -------------------------------------------------------------------------------------

static uint64_t data_word = 0x1122334455667788;
static const uint64_t constant_word = 0x99aabbccddeeff00;
static uint8_t *region;

static void check_memory(void *argument)
{
    (void)argument;
    raise(SIGSTOP);
    if (data_word != 0xfeedfacecafebeef || *(volatile const uint64_t *)&constant_word != 42)
        _exit(1);
    if (!has_pattern(region, 3 * 4096, 5))
        _exit(2);
    _exit(0);
}

// A child stopped with three pages of pattern 4, which it expects to find as pattern 5, and two
// changed words.
static pid_t stopped_with_memory(void)
{
    region =
        SUCCEED(mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    SUCCEED(mprotect(region + 3 * 4096, 4096, PROT_NONE));
    fill_pattern(region, 3 * 4096, 4);
    pid_t process = traced_child(check_memory, NULL);
    continue_with(process, PTRACE_CONT, 0);
    STOPS_BY(process, SIGSTOP);
    return process;
}

static void end_with_memory(pid_t process)
{
    poke(process, &data_word, 0xfeedfacecafebeef);
    poke(process, &constant_word, 42); // in memory that the process itself cannot write
    // Ours, of which it was a copy, are untouched.
    REQUIRE_EQUAL(data_word, 0x1122334455667788);
    REQUIRE_EQUAL(constant_word, 0x99aabbccddeeff00);
    REQUIRE(has_pattern(region, 3 * 4096, 4));
    continue_with(process, PTRACE_CONT, 0);
    EXITS(process, 0);
}

TEST(peek_and_poke, "PTRACE_PEEKDATA and POKEDATA, over page bounds and into read-only memory")
{
    pid_t process = stopped_with_memory();
    static uint8_t expected[3 * 4096];
    fill_pattern(expected, sizeof expected, 5);
    REQUIRE_EQUAL(peek(process, &data_word), 0x1122334455667788);
    uint64_t word;
    memcpy(&word, region + 4093, sizeof word);
    REQUIRE_EQUAL(peek(process, region + 4093), word);
    // Backwards and overlapping: each byte must be written by its own.
    for (size_t at = 0; at + 8 <= sizeof expected; at += 8) {
        memcpy(&word, expected + at, sizeof word);
        poke(process, region + at, word);
    }
    // Access that the process has not itself does not matter; a missing mapping does.
    poke(process, region + 3 * 4096, 1);
    errno = 0;
    FAIL_WITH(ptrace(PTRACE_PEEKDATA, process, 8, 0), EIO);
    FAIL_WITH(ptrace(PTRACE_PEEKDATA, process, 0xffff800000000000, 0), EIO);
    FAIL_WITH(ptrace(PTRACE_POKEDATA, process, 0xffffffff80000000, 0), EIO);
    end_with_memory(process);
}

TEST(proc_mem, "/proc/PID/mem of a traced process, read and written")
{
    pid_t process = stopped_with_memory();
    static uint8_t bytes[3 * 4096];
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", process);
    int file = SUCCEED(open(path, O_RDWR));
    REQUIRE_EQUAL(pread(file, bytes, sizeof bytes, (off_t)region), sizeof bytes);
    REQUIRE(has_pattern(bytes, sizeof bytes, 4));
    fill_pattern(bytes, sizeof bytes, 5);
    REQUIRE_EQUAL(pwrite(file, bytes, sizeof bytes, (off_t)region), sizeof bytes);
    FAIL_WITH(pread(file, bytes, 8, 8), EIO);
    end_with_memory(process);
}

TEST(cross_memory, "process_vm_readv and process_vm_writev")
{
    pid_t process = stopped_with_memory();
    static uint8_t bytes[3 * 4096];
    struct iovec local[2] = {{bytes, 100}, {bytes + 100, sizeof bytes - 100}};
    struct iovec remote[2] = {{region, 5000}, {region + 5000, sizeof bytes - 5000}};
    ssize_t got = SUCCEED_OR_SKIP(process_vm_readv(process, local, 2, remote, 2, 0),
                                  "this kernel has no CROSS_MEMORY_ATTACH");
    REQUIRE_EQUAL(got, sizeof bytes);
    REQUIRE(has_pattern(bytes, sizeof bytes, 4));
    fill_pattern(bytes, sizeof bytes, 5);
    REQUIRE_EQUAL(process_vm_writev(process, local, 2, remote, 2, 0), sizeof bytes);
    struct iovec nowhere = {(void *)8, 8};
    FAIL_WITH(process_vm_readv(process, local, 1, &nowhere, 1, 0), EFAULT);
    end_with_memory(process);
}
