// SPDX-License-Identifier: BSD-2-Clause
// A test as a process that has moved: its system calls are made by another process, the stub, which
// is the one whose number it has and whom its parent waits for (linuxserver/migration/forward.h).
//
//      the caller ── becomes the stub
//      └─ passes away ─ the shepherd ── tells the driver how its child ends or stops
//                       └─ goes on with the test
#include "harness.h"

#include <corvus/migrate.h>

#include <fcntl.h>
#include <sys/ioctl.h>

static int open_device(void)
{
    int device = open(MIGRATE_DEVICE, O_RDWR | O_CLOEXEC);
    if (device < 0)
        FAIL("%s cannot be opened", MIGRATE_DEVICE);
    return device;
}

// The children of the test's process are its, too.
__attribute__((noreturn)) static void be_shepherd(int device)
{
    struct migrate_status status;
    for (;;) {
        status.pid = waitpid(-1, &status.status, WUNTRACED | WCONTINUED);
        if (status.pid < 0 && errno == EINTR)
            continue;
        if (status.pid < 0 || ioctl(device, MIGRATE_STATUS, &status) != 0)
            _exit(status.pid < 0 && errno == ECHILD ? 0 : 1);
    }
}

void become_forwarded(void)
{
    struct migrate_pid stub = {getpid()};
    int device = open_device();
    pid_t between = fork();
    if (between < 0)
        FAIL("no process");
    if (between != 0) {
        if (waitpid(between, NULL, 0) != between)
            FAIL("no shepherd");
        ioctl(device, MIGRATE_BE_STUB, NULL);
        FAIL("not a stub");
    }
    if (fork() != 0)
        _exit(0);
    // Apart from the test: it is killed with its group, and the end of its output is waited for.
    setsid();
    if (fork() != 0) {
        close(STDIN_FILENO);
        close(STDOUT_FILENO);
        close(STDERR_FILENO);
        be_shepherd(device);
    }
    setpgid(0, 0);
    if (ioctl(device, MIGRATE_FORWARD_TO, &stub) != 0)
        FAIL("not forwarded");
}
