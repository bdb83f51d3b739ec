// SPDX-License-Identifier: GPL-2.0-only
// corvus shepherd SOURCE MOVE: the parent, on its new node, of a process that has come. The driver
// starts it; its child becomes the process, under the pid that it had. What becomes of that child
// and of those that it has (which are the shepherd's, too) the driver is told, which tells home: so
// their true parents there hear of it.
#include "corvus.h"
#include "migrate.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// Linux's struct clone_args; musl has none.
struct clone_with_pid {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
        set_tid_size, cgroup;
};

static pid_t fork_as(pid_t pid)
{
    struct clone_with_pid how = {
        .exit_signal = SIGCHLD, .set_tid = (uint64_t)(uintptr_t)&pid, .set_tid_size = 1};

    return (pid_t)syscall(SYS_clone3, &how, sizeof how);
}

// What waitid is to be asked for to take that which it has told.
static int event_of(int code)
{
    return code == CLD_STOPPED ? WSTOPPED : code == CLD_CONTINUED ? WCONTINUED : WEXITED;
}

// Reports what has become of children until there are none.
static int tend(int device)
{
    for (;;) {
        siginfo_t info = {0};
        struct migrate_child child;

        // Until the driver has been told nobody else gets the child's number.
        if (waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WCONTINUED | WNOWAIT) != 0) {
            if (errno == EINTR)
                continue;
            return errno == ECHILD ? STATUS_OK : fail_errno("waitid");
        }
        child = (struct migrate_child){
            .pid = info.si_pid, .code = info.si_code, .status = info.si_status};
        // One whose move came to nothing concerns nobody.
        (void)ioctl(device, MIGRATE_CHILD, &child);
        (void)waitid(P_PID, (id_t)info.si_pid, &info, event_of(info.si_code) | WNOHANG);
    }
}

int command_shepherd(const struct options *options, int argc, char **argv)
{
    struct migrate_shepherd request = {0};
    pid_t child;
    int device;

    (void)options;
    if (argc != 2 || !migrate_parse_node(argv[0], &request.source))
        return wrong_arguments("the driver starts it, with a node and the number of a move");
    request.move = strtoull(argv[1], NULL, 10);
    (void)chdir("/");
    (void)setsid();
    device = migrate_device();
    if (device < 0 || ioctl(device, MIGRATE_SHEPHERD, &request) != 0)
        return STATUS_FAILED;
    child = fork_as(request.tgid);
    if (child == 0) {
        // Ctrl-Z stops nothing in the group of the shepherd itself, which nobody of its session
        // looks after.
        (void)setpgid(0, 0);
        // It does not come back from this, unless it cannot become the process.
        (void)ioctl(device, MIGRATE_BECOME, &request);
        _exit(STATUS_FAILED);
    }
    if (child < 0) {
        struct migrate_child none = {.pid = request.tgid, .status = errno};

        (void)ioctl(device, MIGRATE_CHILD, &none);
        return STATUS_FAILED;
    }
    return tend(device);
}
