// SPDX-License-Identifier: BSD-2-Clause
// Processes that cannot move are told so by name, and go on; packages that say what cannot be are
// refused, and whoever was to become such a process goes on, too.
#include "harness_reborn.h"

#include "linuxserver/migration/package.h"

#include <corvus/linux.h>

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/shm.h>

#define PAGE 4096ul

static struct turns turns;

// --- What cannot move ----------------------------------------------------------------------------

static void stay(void)
{
    child_signals(&turns);
    child_waits(&turns);
}

// The child makes itself one that cannot move, and goes on when it has been refused.
static void refused(void (*make)(void), const char *reason)
{
    skip_without_migration();
    turns_open(&turns);
    pid_t pid = child((void (*)(void *))(void (*)(void))make, NULL);
    parent_waits(&turns);
    const char *said = why_not(pid);
    if (strstr(said, reason) == NULL)
        FAIL("'%s' is not '%s'", said, reason);
    parent_signals(&turns);
    EXITS(pid, 0);
}

#define REFUSED(name, reason)                                                                      \
    static void name##_is(void);                                                                   \
    TEST(name, "refused: " reason)                                                                 \
    {                                                                                              \
        refused(name##_is, reason);                                                                \
    }                                                                                              \
    static void name##_is(void)

static void *map_shared(int file)
{
    void *map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
                     file == -1 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED, file, 0);
    REQUIRE(map != MAP_FAILED);
    return map;
}

REFUSED(shared_anonymous, "it has shared anonymous memory")
{
    (void)map_shared(-1);
    stay();
}

REFUSED(system_v, "it has a System V segment")
{
    int id = SUCCEED(shmget(IPC_PRIVATE, PAGE, 0600));
    REQUIRE(shmat(id, NULL, 0) != (void *)-1);
    SUCCEED(shmctl(id, IPC_RMID, NULL));
    stay();
}

REFUSED(memory_file, "it has a shared mapping of memfd:some")
{
    int file = SUCCEED(memfd_create("some", 0));
    SUCCEED(ftruncate(file, PAGE));
    (void)map_shared(file);
    stay();
}

REFUSED(shared_file, "it has a shared mapping of shared")
{
    int file = SUCCEED(open("shared", O_RDWR | O_CREAT, 0600));
    SUCCEED(ftruncate(file, PAGE));
    (void)map_shared(file);
    stay();
}

REFUSED(asynchronous, "it uses asynchronous I/O (io_setup)")
{
    aio_context_t context = 0;
    SUCCEED(syscall(SYS_io_setup, 4, &context));
    stay();
}

REFUSED(uring, "uses io_uring")
{
    struct io_uring_params parameters = {0};
    SUCCEED(syscall(SYS_io_uring_setup, 4, &parameters));
    stay();
}

REFUSED(ports, "is of ports")
{
    SUCCEED(open(CORVUS_DEVICE, O_RDWR | O_CLOEXEC));
    stay();
}

REFUSED(filtered, "has a seccomp filter")
{
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {.len = 1, .filter = &allow};
    SUCCEED(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    SUCCEED(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
    stay();
}

REFUSED(traced, "is being debugged")
{
    SUCCEED(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
    stay();
}

static void waits_to_be_killed(void *unused)
{
    (void)unused;
    for (;;)
        pause();
}

REFUSED(tracing, "debugs another process")
{
    pid_t pid = child(waits_to_be_killed, NULL);
    SUCCEED(ptrace(PTRACE_SEIZE, pid, NULL, NULL));
    stay();
    SUCCEED(kill(pid, SIGKILL));
}

REFUSED(users, "is in a user namespace of its own")
{
    SUCCEED(unshare(CLONE_NEWUSER));
    stay();
}

REFUSED(missing_pages, "it has memory under userfaultfd")
{
    int file = (int)SUCCEED(syscall(SYS_userfaultfd, UFFD_USER_MODE_ONLY));
    struct uffdio_api api = {.api = UFFD_API};
    SUCCEED(ioctl(file, UFFDIO_API, &api));
    void *map = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct uffdio_register range = {.range = {(uint64_t)map, PAGE},
                                    .mode = UFFDIO_REGISTER_MODE_MISSING};
    SUCCEED(ioctl(file, UFFDIO_REGISTER, &range));
    stay();
}

// A process that shares something with it, until both are killed.
static pid_t clone_sharing(unsigned long flags)
{
    static char stack[16 << 10] __attribute__((aligned(16)));
    pid_t pid = clone((int (*)(void *))(void (*)(void))waits_to_be_killed, stack + sizeof stack,
                      (int)(flags | SIGCHLD), NULL);
    return SUCCEED(pid);
}

REFUSED(sharing_memory, "it shares its memory with process")
{
    pid_t pid = clone_sharing(CLONE_VM);
    stay();
    SUCCEED(kill(pid, SIGKILL));
}

REFUSED(sharing_files, "it shares its open files with process")
{
    pid_t pid = clone_sharing(CLONE_FILES);
    stay();
    SUCCEED(kill(pid, SIGKILL));
}

REFUSED(sharing_folders, "it shares its folders with process")
{
    pid_t pid = clone_sharing(CLONE_FS);
    stay();
    SUCCEED(kill(pid, SIGKILL));
}

TEST(init, "refused: init, kernel threads, processes that there are not")
{
    skip_without_migration();
    REQUIRE(strcmp(why_not(1), "it is init") == 0);
    REQUIRE(strcmp(why_not(2), "it is a kernel thread") == 0);
    struct migrate_dump request = {.pid = 1u << 21};
    FAIL_WITH(ioctl(migration_device(), MIGRATE_DUMP, &request), ESRCH);
    request.pid = (uint32_t)getpid();
    FAIL_WITH(ioctl(migration_device(), MIGRATE_DUMP, &request), EBUSY);
}

static void has_no_right(void *unused)
{
    struct migrate_dump request = {.pid = (uint32_t)getpid()};
    (void)unused;
    int device = migration_device();
    SUCCEED(setuid(1000));
    FAIL_WITH(ioctl(device, MIGRATE_DUMP, &request), EPERM);
    FAIL_WITH(open(MIGRATE_DEVICE, O_RDWR), EACCES);
}

TEST(rights, "refused: who is not root")
{
    skip_without_migration();
    in_child(has_no_right, NULL);
}

// --- Packages ------------------------------------------------------------------------------------

static void seal(struct package_file package)
{
    struct package_header *header = package.bytes;
    header->sum = package_sum(header + 1, package.count - sizeof *header);
}

static struct package_file package_of_child(pid_t *pid)
{
    int status;
    *pid = child(waits_to_be_killed, NULL);
    wait_asleep(*pid);
    SUCCEED(kill(*pid, SIGSTOP));
    SUCCEED(waitpid(*pid, &status, WUNTRACED));
    struct package_file package = dumped(*pid);
    SUCCEED(kill(*pid, SIGKILL));
    KILLED(*pid, SIGKILL);
    return package;
}

static void not_built(pid_t pid, struct package_file package, const char *reason)
{
    EXITS(built(pid, package), REFUSED_STATUS);
    const char *said = refusal();
    if (strstr(said, reason) == NULL)
        FAIL("'%s' is not '%s'", said, reason);
}

TEST(packages,
     "refused: packages that were changed, of another processor, too large, another number")
{
    skip_without_migration();
    pid_t pid;
    struct package_file package = package_of_child(&pid);
    struct migration_package read;
    REQUIRE(package_read(&read, package.bytes, package.count) == NULL);
    struct package_process *process = (struct package_process *)read.process, before = *process;
    ((char *)package.bytes)[package.count / 2] ^= 1;
    not_built(pid, package, "it is with a wrong sum");
    ((char *)package.bytes)[package.count / 2] ^= 1;
    package.count -= 8;
    not_built(pid, package, "it is of another length");
    package.count += 8;
    process->features[4] |= 1; // there is no such feature
    seal(package);
    not_built(pid, package, "it may use what the processor here does not have");
    *process = before;
    process->resident = 1ul << 40;
    seal(package);
    not_built(pid, package, "there is no memory for its");
    *process = before;
    seal(package);
    pid_t other = built(pid + 1000, package);
    EXITS(other, REFUSED_STATUS);
    other = built(pid, package);
    wait_asleep(other);
    SUCCEED(kill(other, SIGTERM));
    KILLED(other, SIGTERM);
}

static uint64_t random_state = 88172645463325252ul;

static uint64_t choose(uint64_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (random_state >> 20) % bound;
}

// Where the pages' contents begin, from which on changes only make wrong programs.
static size_t bytes_of_state(struct package_file package)
{
    struct migration_package read;
    REQUIRE(package_read(&read, package.bytes, package.count) == NULL);
    return (size_t)((const char *)read.pages - (const char *)package.bytes);
}

// What has been built after all goes as it likes for a moment, and can be killed.
static bool is_refused(pid_t made)
{
    int status = 0;
    pid_t ended = 0;
    for (int i = 0; i < 20 && ended == 0; i++) {
        ended = SUCCEED(waitpid(made, &status, WNOHANG));
        sleep_ms(1);
    }
    if (ended == 0) {
        SUCCEED(kill(made, SIGKILL));
        SUCCEED(waitpid(made, &status, 0));
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == REFUSED_STATUS)
        return *refusal() != 0;
    return false;
}

TEST_WITHIN(fuzzed,
            "packages with wrong state and right sums: refused, or a process that can be killed",
            60)
{
    skip_without_migration();
    pid_t pid;
    unsigned refusals = 0;
    struct package_file package = package_of_child(&pid);
    size_t state = bytes_of_state(package);
    char *bytes = package.bytes;
    for (int i = 0; i < 300; i++) {
        size_t at = sizeof(struct package_header) + choose(state - sizeof(struct package_header));
        char old = bytes[at];
        bytes[at] ^= (char)(1 + choose(255));
        seal(package);
        refusals += is_refused(built(pid, package));
        bytes[at] = old;
    }
    remark("%u of 300 were refused", refusals);
    REQUIRE(refusals > 20);
    seal(package);
    pid = built(pid, package);
    wait_asleep(pid);
    SUCCEED(kill(pid, SIGKILL));
    KILLED(pid, SIGKILL);
}
