// SPDX-License-Identifier: BSD-2-Clause
// Tracing another process.
#include "harness_ptrace.h"

struct start {
    void (*run)(void *);
    void *argument;
};

static void begin_traced(void *argument)
{
    struct start *start = argument;
    SUCCEED(ptrace(PTRACE_TRACEME, 0, 0, 0));
    raise(SIGSTOP);
    start->run(start->argument);
}

pid_t traced_child(void (*run)(void *), void *argument)
{
    struct start start = {run, argument};
    pid_t process = child(begin_traced, &start);
    STOPS_BY(process, SIGSTOP);
    SUCCEED(ptrace(PTRACE_SETOPTIONS, process, 0, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD));
    return process;
}

void continue_with(pid_t process, int request, int signal)
{
    SUCCEED(ptrace((enum __ptrace_request)request, process, 0, signal));
}

void require_stop(pid_t process, int expected, const char *file, int line)
{
    int status;
    pid_t stopped = waitpid(process, &status, __WALL);
    if (stopped != process)
        fail_at(file, line, "waitpid(%d): %s", process, strerror(errno));
    if (!WIFSTOPPED(status))
        fail_at(file, line, "%d has ended with status %#x, should be stopped by %#x", process,
                status, expected);
    if (status >> 8 != expected)
        fail_at(file, line, "%d is stopped by %#x, should be %#x", process, status >> 8, expected);
}

struct user_regs_struct registers_of(pid_t process)
{
    struct user_regs_struct registers;
    SUCCEED(ptrace(PTRACE_GETREGS, process, 0, &registers));
    return registers;
}

void set_registers(pid_t process, const struct user_regs_struct *registers)
{
    SUCCEED(ptrace(PTRACE_SETREGS, process, 0, registers));
}

uint64_t peek(pid_t process, const volatile void *address)
{
    errno = 0;
    long word = ptrace(PTRACE_PEEKDATA, process, address, 0);
    if (errno != 0)
        FAIL("peek at %p: %s", address, strerror(errno));
    return (uint64_t)word;
}

void poke(pid_t process, const volatile void *address, uint64_t word)
{
    SUCCEED(ptrace(PTRACE_POKEDATA, process, address, word));
}
