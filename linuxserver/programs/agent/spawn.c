// SPDX-License-Identifier: GPL-2.0-only
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define STATUS_NOT_FOUND      127
#define STATUS_NOT_EXECUTABLE 126

static struct rlimit file_limit;
static char old_oom_score[16];

// One number out of /proc, if there is a /proc.
static void write_oom_score(const char *text)
{
    int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return;
    // Root in a container may not; that is no node then.
    if (write(file, text, strlen(text)) < 0 && errno != EACCES && errno != EPERM)
        fprintf(stderr, "agent: oom_score_adj: %s\n", strerror(errno));
    close(file);
}

void spawn_init(void)
{
    getrlimit(RLIMIT_NOFILE, &file_limit);
    // Three files a session, and some.
    struct rlimit wanted = file_limit;
    wanted.rlim_cur = 4 * AGENT_SESSIONS_MAX;
    if (wanted.rlim_cur > wanted.rlim_max)
        wanted.rlim_cur = wanted.rlim_max;
    if (wanted.rlim_cur > file_limit.rlim_cur)
        setrlimit(RLIMIT_NOFILE, &wanted);

    // The way into a node that is out of memory; root's to ask for.
    int file = open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC);
    if (file >= 0 && read(file, old_oom_score, sizeof old_oom_score - 1) > 0 && geteuid() == 0)
        write_oom_score("-1000");
    if (file >= 0)
        close(file);
}

// --- In the child -------------------------------------------------------------

static _Noreturn void child_fail(const char *what)
{
    int error = errno;
    fprintf(stderr, "agent: %s: %s\n", what, strerror(error));
    _exit(error == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE);
}

static void restore_defaults(pid_t agent)
{
    sigset_t none;
    sigemptyset(&none);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL); // some cannot be set, and need not be
    sigprocmask(SIG_SETMASK, &none, NULL);
    setrlimit(RLIMIT_NOFILE, &file_limit);
    if (old_oom_score[0] != 0)
        write_oom_score(old_oom_score);
    umask(022);
    // The agent may die; nobody could reach the process then.
    prctl(PR_SET_PDEATHSIG, SIGHUP);
    if (getppid() != agent)
        _exit(128 + SIGHUP);
}

static void enter_folder(const char *folder)
{
    if (folder[0] != 0) {
        if (chdir(folder) != 0)
            child_fail(folder);
        return;
    }
    const char *home = getenv("HOME");
    if ((home == NULL || chdir(home) != 0) && chdir("/") != 0)
        child_fail("/");
}

static _Noreturn void child_main(const struct open_request *request, const int files[AGENT_STREAMS],
                                 pid_t agent)
{
    setsid();
    // Copied upwards first: 0 to 2 may be among them.
    int copies[AGENT_STREAMS];
    for (int i = 0; i < AGENT_STREAMS; i++) {
        copies[i] = fcntl(files[i], F_DUPFD_CLOEXEC, AGENT_STREAMS);
        if (copies[i] < 0)
            _exit(STATUS_NOT_EXECUTABLE);
    }
    for (int i = 0; i < AGENT_STREAMS; i++)
        if (dup2(copies[i], i) < 0)
            _exit(STATUS_NOT_EXECUTABLE);
    if ((request->flags & AGENT_OPEN_PTY) != 0 && ioctl(0, TIOCSCTTY, 0) != 0)
        child_fail("controlling terminal");
    restore_defaults(agent);
    // Added to the agent's own; strings stay where they are until exec.
    for (char **variable = request->environment; *variable != NULL; variable++)
        if (putenv(*variable) != 0)
            child_fail(*variable);
    enter_folder(request->folder);
    if ((request->flags & AGENT_OPEN_SELF) != 0)
        execv("/proc/self/exe", request->arguments);
    else
        execvp(request->arguments[0], request->arguments);
    child_fail(request->arguments[0]);
}

// --- In the agent -------------------------------------------------------------

static void close_all(int *files, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (files[i] >= 0)
            close(files[i]);
        files[i] = -1;
    }
}

// Three pipes: ours[i] and theirs[i] are the two ends of stream i.
static bool make_pipes(int ours[AGENT_STREAMS], int theirs[AGENT_STREAMS])
{
    for (int i = 0; i < AGENT_STREAMS; i++) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) != 0)
            return false;
        bool inwards = i == AGENT_STDIN;
        ours[i] = ends[inwards ? 1 : 0];
        theirs[i] = ends[inwards ? 0 : 1];
        fcntl(ours[i], F_SETFL, O_NONBLOCK);
    }
    return true;
}

// A terminal: its master is our stdin and stdout, its slave all three of theirs.
static bool make_terminal(const struct open_request *request, int ours[AGENT_STREAMS],
                          int theirs[AGENT_STREAMS])
{
    struct winsize size = {.ws_row = (unsigned short)request->rows,
                           .ws_col = (unsigned short)request->columns};
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    ours[AGENT_STDOUT] = master;
    if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0 ||
        ioctl(master, TIOCSWINSZ, &size) != 0)
        return false;
    ours[AGENT_STDIN] = fcntl(master, F_DUPFD_CLOEXEC, AGENT_STREAMS);
    const char *name = ptsname(master);
    if (ours[AGENT_STDIN] < 0 || name == NULL)
        return false;
    for (int i = 0; i < AGENT_STREAMS; i++) {
        theirs[i] = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (theirs[i] < 0)
            return false;
    }
    return true;
}

const char *spawn(const struct open_request *request, struct spawned *spawned)
{
    int ours[AGENT_STREAMS] = {-1, -1, -1}, theirs[AGENT_STREAMS] = {-1, -1, -1};
    bool terminal = (request->flags & AGENT_OPEN_PTY) != 0;
    const char *failure = NULL;
    pid_t agent = getpid(), process = -1;
    if (terminal ? !make_terminal(request, ours, theirs) : !make_pipes(ours, theirs)) {
        failure = terminal ? "terminal" : "pipe";
    } else {
        process = fork();
        if (process < 0)
            failure = "fork";
    }
    if (process == 0)
        child_main(request, theirs, agent);

    int error = errno;
    close_all(theirs, AGENT_STREAMS);
    if (failure != NULL)
        close_all(ours, AGENT_STREAMS);
    spawned->process = process;
    memcpy(spawned->files, ours, sizeof ours);
    errno = error;
    return failure;
}
