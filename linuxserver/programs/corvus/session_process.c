// SPDX-License-Identifier: GPL-2.0-only
// The agent of a node: starts a process. The agent has other threads, so its child does nothing
// before it becomes the program but system calls.
#include "session.h"
#include "shared.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// What the child needs, made before it is.
struct start {
    const struct program *program;
    const char *folder;
    char **arguments, **environment;
    bool shared;
    int files[3]; // its standard input, output and error
    int report;   // what was not possible is written there
};

struct report {
    uint64_t step, reason;
};

static _Noreturn void give_up(const struct start *start, enum run_step step)
{
    struct report report = {step, (uint64_t)errno};

    // A pipe takes so little at once; without a reader there is nobody to tell.
    if (write(start->report, &report, sizeof report) != sizeof report)
        _exit(126);
    _exit(127);
}

// A script's interpreter opens it by its descriptor, which must then stay open.
static void keep_script(int file)
{
    char head[2];

    if (pread(file, head, sizeof head, 0) == sizeof head && head[0] == '#' && head[1] == '!')
        fcntl(file, F_SETFD, 0);
}

static _Noreturn void child_main(const struct start *start)
{
    sigset_t none;

    setsid();
    // Nobody could reach it without its agent, whose thread this is.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigemptyset(&none);
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    // All files of the agent are above 2.
    for (int i = 0; i < 3; i++)
        if (dup2(start->files[i], i) < 0)
            give_up(start, RUN_STEP_PROCESS);
    if (start->shared && !enter_shared())
        give_up(start, RUN_STEP_SHARED);
    if (chdir(start->folder) != 0)
        give_up(start, RUN_STEP_FOLDER);
    if (start->program->file >= 0) {
        keep_script(start->program->file);
        fexecve(start->program->file, start->arguments, start->environment);
    } else {
        execve(start->program->path, start->arguments, start->environment);
    }
    give_up(start, RUN_STEP_PROGRAM);
}

// Where the strings of `text` begin: NULL-terminated arguments, then NULL-terminated environment.
// NULL: there are not so many, or no memory.
static char **split(char *text, size_t length, uint64_t arguments, uint64_t strings)
{
    char **list, *next = text + strnlen(text, length) + 1; // behind the folder
    size_t at = 0;

    if (length == 0 || text[length - 1] != 0 || arguments == 0 || arguments > strings ||
        strings > RUN_STRINGS_MAX)
        return NULL;
    list = calloc(strings + 2, sizeof *list);
    for (uint64_t i = 0; list != NULL && i < strings; i++) {
        if (next >= text + length) {
            free(list);
            return NULL;
        }
        at += i == arguments;
        list[at++] = next;
        next += strlen(next) + 1;
    }
    return list;
}

static void close_file(int *file)
{
    if (*file >= 0)
        close(*file);
    *file = -1;
}

// Pipes and /dev/null: the process's ends in `start`, ours in `process`.
static bool open_files(struct process *process, struct start *start, bool input)
{
    int ends[2];

    if (input) {
        if (pipe2(ends, O_CLOEXEC) != 0)
            return false;
        start->files[0] = ends[0];
        process->input = ends[1];
        fcntl(process->input, F_SETFL, O_NONBLOCK);
    } else {
        start->files[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    for (int i = 0; i < 2; i++) {
        if (pipe2(ends, O_CLOEXEC) != 0)
            return false;
        process->output[i] = ends[0];
        start->files[i + 1] = ends[1];
        fcntl(process->output[i], F_SETFL, O_NONBLOCK);
    }
    return start->files[0] >= 0;
}

// Forks, and waits until the child is the program or has said why not.
static void launch(struct process *process, struct start *start, struct report *report)
{
    int ends[2];
    ssize_t got = 0;

    *report = (struct report){RUN_STEP_PROCESS, 0};
    if (pipe2(ends, O_CLOEXEC) != 0) {
        report->reason = (uint64_t)errno;
        return;
    }
    start->report = ends[1];
    process->number = fork();
    if (process->number == 0)
        child_main(start);
    report->reason = (uint64_t)errno;
    close(ends[1]);
    if (process->number > 0) {
        do
            got = read(ends[0], report, sizeof *report);
        while (got < 0 && errno == EINTR);
        if (got == 0)
            *report = (struct report){RUN_STEP_NONE, 0};
    }
    close(ends[0]);
}

corvus_error_t process_begin(struct process *process, const struct program *program, uint64_t flags,
                             uint64_t arguments, uint64_t strings, char *text, size_t length,
                             uint64_t *step, uint64_t *reason)
{
    struct start start = {
        .program = program,
        .folder = text,
        .arguments = split(text, length, arguments, strings),
        .shared = (flags & RUN_SHARED) != 0,
        .files = {-1, -1, -1},
    };
    struct report report = {RUN_STEP_PROCESS, 0};

    if (start.arguments == NULL)
        return ERR_INVALID_ARGUMENT;
    start.environment = start.arguments + arguments + 1;
    if (open_files(process, &start, (flags & RUN_INPUT) != 0))
        launch(process, &start, &report);
    else
        report.reason = (uint64_t)errno;
    for (int i = 0; i < 3; i++)
        close_file(&start.files[i]);
    free(start.arguments);
    if (report.step == RUN_STEP_NONE) {
        process->ended = (int)syscall(SYS_pidfd_open, process->number, 0);
        if (process->ended < 0) {
            report = (struct report){RUN_STEP_PROCESS, (uint64_t)errno};
            kill(-process->number, SIGKILL);
        }
    }
    if (report.step != RUN_STEP_NONE) {
        if (process->number > 0)
            waitpid(process->number, NULL, 0);
        process->number = 0;
        close_file(&process->output[0]);
        close_file(&process->output[1]);
        close_file(&process->input);
    }
    *step = report.step;
    *reason = report.reason;
    return ERR_OK;
}
