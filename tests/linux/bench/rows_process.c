// SPDX-License-Identifier: BSD-2-Clause
// Processes: made and ended, made into another program, and a whole compilation.
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

static struct path object;

static void wait_for(pid_t process)
{
    int status;
    MUST(waitpid(process, &status, 0));
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        errno = ECHILD;
        failed("the process ended otherwise than with status 0");
    }
}

static void fork_exit(void)
{
    pid_t process = MUST(fork());
    if (process == 0)
        _exit(0);
    wait_for(process);
}

static void run(char *const *arguments)
{
    pid_t process = MUST(fork());
    if (process == 0) {
        execv(arguments[0], arguments);
        failed(arguments[0]);
    }
    wait_for(process);
}

static void fork_exec(void)
{
    char *arguments[] = {settings.self, "--exit", NULL};
    run(arguments);
}

static void prepare_compile(void)
{
    object = path_in_folder("bench.o");
    MUST(access(settings.compiler, X_OK));
    MUST(access(settings.source, R_OK));
}

static void compile(void)
{
    char *arguments[] = {
        (char *)settings.compiler, "-c", (char *)settings.source, "-o", object.text, NULL};
    run(arguments);
}

const struct row rows_process[] = {
    {"fork_exit", "instructions", 10, 101, NULL, fork_exit, 1, NULL},
    {"fork_exec", "instructions", 10, 51, NULL, fork_exec, 1, NULL},
    {"compile", "instructions", 1, 5, prepare_compile, compile, 1, NULL},
    {0},
};
