// SPDX-License-Identifier: BSD-2-Clause
// New processes by fork, vfork, clone and clone3: what is copied, what is shared, and that a great
// many of them come and go.
#include "harness.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

static volatile int word = 1;
static int *shared;

static int *shared_page(void)
{
    return SUCCEED(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}

static void change_word(void *argument)
{
    REQUIRE_EQUAL(word, 1);
    word = 2;
    *(int *)argument = 3;
}

TEST(copies, "a fork has its parent's memory, and each writes its own from then on")
{
    shared = shared_page();
    uint8_t *heap = malloc(1 << 20);
    REQUIRE(heap != NULL);
    fill_pattern(heap, 1 << 20, 1);
    pid_t process = child(change_word, shared);
    fill_pattern(heap, 1 << 19, 2); // while the child runs
    EXITS(process, 0);
    REQUIRE_EQUAL(word, 1);
    REQUIRE_EQUAL(*shared, 3);
    REQUIRE(has_pattern(heap, 1 << 19, 2));
    free(heap);
}

#define GENERATIONS 12

static void descend(void *argument)
{
    uint8_t *memory = argument;
    unsigned generation = memory[0];
    REQUIRE(has_pattern(memory + 4096 * generation + 1, 4095, 7));
    memset(memory + 4096 * generation, 0xee, 4096);
    if (generation + 1 < GENERATIONS) {
        memory[0] = (uint8_t)(generation + 1);
        in_child(descend, memory);
    }
    // What the descendants wrote is theirs.
    for (unsigned page = generation + 1; page < GENERATIONS; page++)
        REQUIRE(has_pattern(memory + 4096 * page + 1, 4095, 7));
}

TEST(generations, "copies of copies: twelve generations write the pages of their own only")
{
    uint8_t *memory = SUCCEED(
        mmap(NULL, 4096 * GENERATIONS, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    for (unsigned page = 0; page < GENERATIONS; page++)
        fill_pattern(memory + 4096 * page + 1, 4095, 7);
    in_child(descend, memory);
    REQUIRE(has_pattern(memory + 1, 4095, 7));
}

static void check_inheritance(void *argument)
{
    const int *file = argument;
    char byte;
    REQUIRE_EQUAL(lseek(*file, 0, SEEK_CUR), 2);
    read_all(*file, &byte, 1); // the offset is shared
    REQUIRE_EQUAL(byte, 'c');
    sigset_t set;
    SUCCEED(sigprocmask(SIG_BLOCK, NULL, &set));
    REQUIRE(sigismember(&set, SIGUSR2));
    SUCCEED(sigpending(&set));
    REQUIRE(!sigismember(&set, SIGUSR2)); // not what is pending
    struct sigaction action;
    SUCCEED(sigaction(SIGUSR1, NULL, &action));
    REQUIRE(action.sa_handler == SIG_IGN);
    char folder[4096];
    REQUIRE(getcwd(folder, sizeof folder) != NULL);
    mode_t mask = umask(0);
    REQUIRE_EQUAL(mask, 027);
    REQUIRE_EQUAL(alarm(0), 0); // nor alarms
    struct rusage usage;
    SUCCEED(getrusage(RUSAGE_CHILDREN, &usage));
    REQUIRE_EQUAL(usage.ru_utime.tv_sec, 0);
}

TEST(inherits,
     "descriptors with their offset, mask, dispositions, umask; not alarms, nor what pends")
{
    write_file("file", "abcdef");
    int file = SUCCEED(open("file", O_RDONLY));
    SUCCEED(lseek(file, 2, SEEK_SET));
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    SUCCEED(sigprocmask(SIG_BLOCK, &set, NULL));
    raise(SIGUSR2);
    SUCCEED(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = SIG_IGN}, NULL));
    umask(027);
    alarm(1000);
    in_child(check_inheritance, &file);
    REQUIRE_EQUAL(lseek(file, 0, SEEK_CUR), 3);
}

// --- vfork and clone ----------------------------------------------------------------------------

TEST(vfork_shares, "vfork: the parent waits, and sees what the child wrote")
{
    volatile int local = 1;
    pid_t process = vfork();
    if (process == 0) {
        local = 2;
        word = 5;
        struct timespec time = {0, 50000000};
        syscall(SYS_nanosleep, &time, NULL);
        local = 3;
        _exit(9);
    }
    REQUIRE_EQUAL(local, 3);
    REQUIRE_EQUAL(word, 5);
    EXITS(process, 9);
}

TEST(vfork_exec, "vfork then exec: the parent goes on when the new program starts")
{
    pid_t process = vfork();
    if (process == 0) {
        execl(beside("fresh-state"), "fresh-state", NULL);
        _exit(127);
    }
    EXITS(process, 0);
}

static int change_and_end(void *argument)
{
    word = 7;
    *(volatile int *)argument = (int)syscall(SYS_getpid);
    close(0);
    return 11;
}

static char clone_stack[65536] __attribute__((aligned(16)));

static int clone_and_wait(int flags)
{
    volatile int seen = 0;
    pid_t process = SUCCEED(
        clone(change_and_end, clone_stack + sizeof clone_stack, flags | SIGCHLD, (void *)&seen));
    EXITS(process, 11);
    return seen == process;
}

TEST(clone_flags, "clone shares memory with CLONE_VM and descriptors with CLONE_FILES, or not")
{
    SUCCEED(dup2(1, 0));
    clone_and_wait(0);
    REQUIRE_EQUAL(word, 1);
    SUCCEED(fcntl(0, F_GETFD));
    REQUIRE(clone_and_wait(CLONE_VM));
    REQUIRE_EQUAL(word, 7);
    SUCCEED(fcntl(0, F_GETFD));
    clone_and_wait(CLONE_FILES);
    FAIL_WITH(fcntl(0, F_GETFD), EBADF);
    FAIL_WITH(clone(change_and_end, clone_stack + sizeof clone_stack, CLONE_SIGHAND, NULL), EINVAL);
    FAIL_WITH(clone(change_and_end, clone_stack + sizeof clone_stack, CLONE_THREAD, NULL), EINVAL);
}

static int use_own_descriptors(void *argument)
{
    (void)argument;
    if (unshare(CLONE_FILES) != 0)
        return 1;
    close(0);
    if (chdir("/") != 0)
        return 2;
    return 0;
}

TEST(clone_fs_and_unshare, "CLONE_FS shares the working folder; unshare ends the sharing of files")
{
    SUCCEED(dup2(1, 0));
    int flags = CLONE_VM | CLONE_FILES | CLONE_FS | SIGCHLD;
    pid_t process =
        SUCCEED(clone(use_own_descriptors, clone_stack + sizeof clone_stack, flags, NULL));
    EXITS(process, 0);
    SUCCEED(fcntl(0, F_GETFD));
    char folder[256];
    REQUIRE(getcwd(folder, sizeof folder) != NULL);
    REQUIRE(strcmp(folder, "/") == 0);
}

TEST(clone_ids, "CLONE_PARENT_SETTID, CHILD_SETTID, CHILD_CLEARTID and PIDFD")
{
    volatile int *ids = shared_page();
    int pidfd = -1;
    struct clone_args arguments = {.flags = CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_PIDFD,
                                   .pidfd = (uint64_t)&pidfd,
                                   .child_tid = (uint64_t)&ids[0],
                                   .parent_tid = (uint64_t)&ids[1],
                                   .exit_signal = SIGCHLD};
    pid_t process = (pid_t)SUCCEED(syscall(SYS_clone3, &arguments, sizeof arguments));
    if (process == 0) {
        // Written before the first instruction.
        _exit(ids[0] == (int)syscall(SYS_getpid) ? 0 : 1);
    }
    REQUIRE_EQUAL(ids[1], process);
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    REQUIRE_EQUAL(poll(&ended, 1, 10000), 1);
    siginfo_t info;
    SUCCEED(waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED));
    REQUIRE_EQUAL(info.si_pid, process);
    REQUIRE_EQUAL(info.si_status, 0);
    REQUIRE_EQUAL(ids[0], process);
}

TEST(clone3_checks, "clone3 refuses what it does not know, and clone may send another signal")
{
    struct clone_args arguments = {.exit_signal = 100};
    FAIL_WITH(syscall(SYS_clone3, &arguments, sizeof arguments), EINVAL);
    FAIL_WITH(syscall(SYS_clone3, &arguments, 8), EINVAL);
    FAIL_WITH(syscall(SYS_clone3, (void *)8, sizeof arguments), EFAULT);
    uint8_t large[256] = {[200] = 1};
    FAIL_WITH(syscall(SYS_clone3, large, sizeof large), E2BIG);

    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    SUCCEED(sigprocmask(SIG_BLOCK, &set, NULL));
    pid_t process = (pid_t)syscall(SYS_clone, SIGUSR1, 0, 0, 0, 0);
    if (process == 0)
        _exit(0);
    siginfo_t info;
    REQUIRE_EQUAL(sigwaitinfo(&set, &info), SIGUSR1);
    REQUIRE_EQUAL(info.si_pid, process);
    int status;
    FAIL_WITH(waitpid(process, &status, 0), ECHILD); // such a child is only waited for with __WALL
    REQUIRE_EQUAL(waitpid(process, &status, __WALL), process);
}

TEST(pidfd, "pidfd_open and pidfd_send_signal")
{
    shared = shared_page();
    pid_t process = fork();
    if (process == 0)
        for (;;)
            pause();
    int file = (int)SUCCEED(syscall(SYS_pidfd_open, process, 0));
    SUCCEED(syscall(SYS_pidfd_send_signal, file, 0, NULL, 0));
    SUCCEED(syscall(SYS_pidfd_send_signal, file, SIGTERM, NULL, 0));
    struct pollfd ended = {.fd = file, .events = POLLIN};
    REQUIRE_EQUAL(poll(&ended, 1, 10000), 1);
    KILLED(process, SIGTERM);
    FAIL_WITH(syscall(SYS_pidfd_send_signal, file, SIGTERM, NULL, 0), ESRCH);
}

// --- Many ---------------------------------------------------------------------------------------

TEST_WITHIN(one_after_other, "a thousand forks, one after the other", 60)
{
    shared = shared_page();
    for (int i = 0; i < 1000; i++) {
        pid_t process = fork();
        if (process == 0) {
            (*shared)++;
            _exit(i & 127);
        }
        REQUIRE(process > 0);
        EXITS(process, i & 127);
    }
    REQUIRE_EQUAL(*shared, 1000);
}

static void *fork_in_thread(void *argument)
{
    for (int i = 0; i < 50; i++) {
        pid_t process = fork();
        if (process == 0) {
            // Only this thread is in the child, with the memory of all.
            if (gettid() != getpid())
                _exit(1);
            _exit(0);
        }
        EXITS(process, 0);
    }
    return argument;
}

TEST_WITHIN(fork_of_threads, "four threads fork at the same time", 60)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        ZERO(pthread_create(&threads[i], NULL, fork_in_thread, NULL));
    for (int i = 0; i < 4; i++)
        ZERO(pthread_join(threads[i], NULL));
}

static void fork_tree(void *argument)
{
    uintptr_t depth = (uintptr_t)argument;
    if (depth == 0)
        return;
    pid_t left = child(fork_tree, (void *)(depth - 1)),
          right = child(fork_tree, (void *)(depth - 1));
    EXITS(left, 0);
    EXITS(right, 0);
}

TEST_WITHIN(tree, "a tree of 255 processes alive at once", 60)
{
    in_child(fork_tree, (void *)7);
}

TEST(process_limit, "RLIMIT_NPROC, as a user who is not root: EAGAIN")
{
    if (geteuid() != 0)
        skip("needs root to become another user");
    pid_t process = fork();
    if (process == 0) {
        struct rlimit limit = {5, 5};
        SUCCEED(setrlimit(RLIMIT_NPROC, &limit));
        SUCCEED(setresuid(54321, 54321, 54321));
        int made = 0;
        while (made < 20) {
            pid_t other = fork();
            if (other == 0) {
                sleep_ms(5000);
                _exit(0);
            }
            if (other < 0)
                break;
            made++;
        }
        REQUIRE_EQUAL(errno, EAGAIN);
        REQUIRE_EQUAL(made, 4);
        kill(-1, SIGKILL); // all of that user, oneself excepted
        _exit(0);
    }
    EXITS(process, 0);
}
