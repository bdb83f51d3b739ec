// SPDX-License-Identifier: BSD-2-Clause
#include "harness_reborn.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

int migration_device(void)
{
    static int device = -1;
    if (device == -1)
        device = open(MIGRATE_DEVICE, O_RDWR | O_CLOEXEC);
    return device;
}

void skip_without_migration(void)
{
    if (migration_device() == -1)
        skip("there is no migration driver");
}

const char *why_not(pid_t pid)
{
    static struct migrate_dump request;
    request = (struct migrate_dump){.pid = (uint32_t)pid};
    if (ioctl(migration_device(), MIGRATE_DUMP, &request) == -1 &&
        (errno == ENOSPC || errno == EBUSY))
        return "";
    if (errno != EOPNOTSUPP || request.reason[0] == 0)
        FAIL("MIGRATE_DUMP of %d: %s, reason '%s'", pid, strerror(errno), request.reason);
    return request.reason;
}

struct package_file dumped(pid_t pid)
{
    struct migrate_dump request = {.pid = (uint32_t)pid, .flags = MIGRATE_DUMP_PAGES};
    if (ioctl(migration_device(), MIGRATE_DUMP, &request) != -1 || errno != ENOSPC)
        FAIL("MIGRATE_DUMP of %d: %s, reason '%s'", pid, strerror(errno), request.reason);
    // Signals, of timers for instance, go on coming.
    request.room = request.count + (64 << 10);
    void *bytes =
        mmap(NULL, request.room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(bytes != MAP_FAILED);
    request.bytes = (uint64_t)bytes;
    SUCCEED(ioctl(migration_device(), MIGRATE_DUMP, &request));
    return (struct package_file){.bytes = bytes, .count = request.count, .room = request.room};
}

static pid_t fork_as(pid_t pid)
{
    struct clone_args arguments = {
        .exit_signal = SIGCHLD, .set_tid = (uint64_t)&pid, .set_tid_size = 1};
    return (pid_t)SUCCEED(syscall(SYS_clone3, &arguments, sizeof arguments));
}

// Does not block: a process that has been built has it open, and says nothing.
static int told[2] = {-1, -1};

pid_t built(pid_t pid, struct package_file package)
{
    if (told[0] == -1)
        SUCCEED(pipe2(told, O_CLOEXEC | O_NONBLOCK));
    pid_t made = fork_as(pid);
    if (made == 0) {
        struct migrate_build request = {.bytes = (uint64_t)package.bytes, .count = package.count};
        (void)ioctl(migration_device(), MIGRATE_BUILD, &request);
        if (write(told[1], request.reason, sizeof request.reason) < 0)
            _exit(REFUSED_STATUS + 1);
        _exit(REFUSED_STATUS);
    }
    return made;
}

const char *refusal(void)
{
    static char reason[MIGRATE_REASON];
    REQUIRE_EQUAL(read(told[0], reason, sizeof reason), sizeof reason);
    return reason;
}

void reborn(pid_t pid)
{
    int status;
    SUCCEED(kill(pid, SIGSTOP));
    SUCCEED(waitpid(pid, &status, WUNTRACED));
    if (!WIFSTOPPED(status))
        FAIL("process %d has ended before it was written down: status %x", pid, status);
    struct package_file package = dumped(pid);
    SUCCEED(kill(pid, SIGKILL));
    SUCCEED(waitpid(pid, &status, 0));
    REQUIRE(WIFSIGNALED(status));
    (void)built(pid, package);
    SUCCEED(munmap(package.bytes, package.room));
}

static char state_of(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    const char *behind_name = strrchr(read_file(path), ')');
    REQUIRE(behind_name != NULL);
    return behind_name[2];
}

void wait_asleep(pid_t pid)
{
    for (unsigned asleep = 0, i = 0; asleep < 5; i++) {
        asleep = state_of(pid) == 'S' ? asleep + 1 : 0;
        sleep_ms(4);
        if (i > 1000 * slowness())
            FAIL("process %d does not sleep", pid);
    }
}
