// SPDX-License-Identifier: BSD-2-Clause
// Waiting for children: which, how, and what is told of them; orphans and zombies.
#include "harness.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static void end_with(void *argument)
{
    _exit((int)(uintptr_t)argument);
}

static void sleep_long(void *argument)
{
    (void)argument;
    sleep_ms(100000);
}

TEST(statuses, "exit status, signal, and what wait4 tells of the time used")
{
    int status;
    struct rusage usage;
    pid_t process = child(end_with, (void *)(uintptr_t)300);
    REQUIRE_EQUAL(wait4(process, &status, 0, &usage), process);
    REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 300 % 256);
    process = child(sleep_long, NULL);
    SUCCEED(kill(process, SIGINT));
    REQUIRE_EQUAL(wait4(process, &status, 0, &usage), process);
    REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
    FAIL_WITH(wait4(process, &status, 0, NULL), ECHILD);
    FAIL_WITH(wait4(-1, &status, 0, NULL), ECHILD);
    FAIL_WITH(wait4(-1, &status, 0x100, NULL), EINVAL);
}

static void spin_200_ms(void *argument)
{
    (void)argument;
    struct rusage usage;
    do
        SUCCEED(getrusage(RUSAGE_SELF, &usage));
    while (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec < 200000 &&
           usage.ru_utime.tv_sec + usage.ru_stime.tv_sec == 0);
}

TEST(usage, "processor time of a child is told, and added to that of all children")
{
    struct rusage usage, all;
    int status;
    pid_t process = child(spin_200_ms, NULL);
    REQUIRE_EQUAL(wait4(process, &status, 0, &usage), process);
    REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    long used = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec +
                usage.ru_stime.tv_usec;
    REQUIRE(used >= 190000 && used < 5000000);
    SUCCEED(getrusage(RUSAGE_CHILDREN, &all));
    REQUIRE((all.ru_utime.tv_sec + all.ru_stime.tv_sec) * 1000000 + all.ru_utime.tv_usec +
                all.ru_stime.tv_usec >=
            used);
    REQUIRE(usage.ru_maxrss > 0 && usage.ru_minflt > 0);
}

TEST(no_hang, "WNOHANG returns at once; WNOWAIT leaves the child to be waited for again")
{
    int status;
    pid_t process = child(sleep_long, NULL);
    REQUIRE_EQUAL(waitpid(process, &status, WNOHANG), 0);
    siginfo_t info = {.si_pid = 1};
    SUCCEED(waitid(P_PID, (id_t)process, &info, WEXITED | WNOHANG));
    REQUIRE_EQUAL(info.si_pid, 0);
    SUCCEED(kill(process, SIGKILL));
    for (int i = 0; i < 2; i++) {
        SUCCEED(waitid(P_PID, (id_t)process, &info, WEXITED | WNOWAIT));
        REQUIRE_EQUAL(info.si_pid, process);
        REQUIRE_EQUAL(info.si_code, CLD_KILLED);
        REQUIRE_EQUAL(info.si_status, SIGKILL);
        REQUIRE_EQUAL(info.si_signo, SIGCHLD);
    }
    KILLED(process, SIGKILL);
}

TEST(stops, "WUNTRACED and WCONTINUED, and waitid's WSTOPPED")
{
    int status;
    pid_t process = child(sleep_long, NULL);
    SUCCEED(kill(process, SIGTSTP));
    REQUIRE_EQUAL(waitpid(process, &status, WUNTRACED), process);
    REQUIRE(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTSTP);
    REQUIRE_EQUAL(waitpid(process, &status, WUNTRACED | WNOHANG), 0); // told once
    SUCCEED(kill(process, SIGCONT));
    REQUIRE_EQUAL(waitpid(process, &status, WCONTINUED), process);
    REQUIRE(WIFCONTINUED(status));
    SUCCEED(kill(process, SIGSTOP));
    siginfo_t info;
    SUCCEED(waitid(P_PID, (id_t)process, &info, WSTOPPED));
    REQUIRE_EQUAL(info.si_code, CLD_STOPPED);
    SUCCEED(kill(process, SIGKILL)); // reaches a stopped process
    KILLED(process, SIGKILL);
}

TEST(groups, "waiting for a process group, and for any child")
{
    pid_t first = child(sleep_long, NULL), second = child(sleep_long, NULL);
    SUCCEED(setpgid(first, first));
    SUCCEED(kill(second, SIGKILL));
    int status;
    REQUIRE_EQUAL(waitpid(0, &status, 0), second); // our own group
    FAIL_WITH(waitpid(0, &status, WNOHANG), ECHILD);
    REQUIRE_EQUAL(waitpid(-first, &status, WNOHANG), 0);
    SUCCEED(kill(-first, SIGTERM));
    siginfo_t info;
    SUCCEED(waitid(P_PGID, (id_t)first, &info, WEXITED));
    REQUIRE_EQUAL(info.si_pid, first);
    pid_t process = child(end_with, (void *)5);
    REQUIRE_EQUAL(wait(&status), process);
}

TEST(zombies, "a child that nobody waits for is a zombie; SIGCHLD ignored, there is none")
{
    char path[64];
    pid_t process = child(end_with, (void *)0);
    siginfo_t info;
    SUCCEED(waitid(P_PID, (id_t)process, &info, WEXITED | WNOWAIT));
    snprintf(path, sizeof path, "/proc/%d/status", process);
    REQUIRE(strstr(read_file(path), "State:\tZ") != NULL);
    SUCCEED(kill(process, 0));
    EXITS(process, 0);
    FAIL_WITH(kill(process, 0), ESRCH);

    SUCCEED(sigaction(SIGCHLD, &(struct sigaction){.sa_handler = SIG_IGN}, NULL));
    process = child(end_with, (void *)0);
    int status;
    FAIL_WITH(waitpid(process, &status, 0), ECHILD); // once it has ended
    SUCCEED(sigaction(SIGCHLD, &(struct sigaction){.sa_flags = SA_NOCLDWAIT}, NULL));
    process = child(end_with, (void *)0);
    FAIL_WITH(waitpid(process, &status, 0), ECHILD);
}

static int *ids;

static void grandchild(void *argument)
{
    (void)argument;
    ids[0] = getpid();
    while (ids[1] == 0 || getppid() == ids[1])
        sleep_ms(2);
    ids[2] = getppid();
    _exit(42);
}

static void child_with_child(void *argument)
{
    (void)argument;
    pid_t process = fork(); // not child(): it must outlive its parent
    if (process == 0)
        grandchild(NULL);
    while (ids[0] == 0)
        sleep_ms(2);
    ids[1] = getpid();
}

TEST(orphans, "an orphan goes to the next subreaper, which can wait for it")
{
    ids = SUCCEED(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    SUCCEED(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
    in_child(child_with_child, NULL);
    EXITS(ids[0], 42);
    REQUIRE_EQUAL(ids[2], getpid());
}

static void wait_for_parent_death(void *argument)
{
    int *file = argument;
    SUCCEED(prctl(PR_SET_PDEATHSIG, SIGUSR1, 0, 0, 0));
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    SUCCEED(sigprocmask(SIG_BLOCK, &set, NULL));
    write_all(*file, "r", 1);
    siginfo_t info;
    if (sigwaitinfo(&set, &info) == SIGUSR1)
        write_all(*file, "d", 1);
}

static void parent_that_ends(void *argument)
{
    int *ends = argument;
    if (fork() == 0) {
        wait_for_parent_death(&ends[1]);
        _exit(0);
    }
    char ready;
    read_all(ends[0], &ready, 1);
}

TEST(parent_death_signal, "PR_SET_PDEATHSIG comes when the parent ends")
{
    int ends[2];
    char byte;
    SUCCEED(pipe(ends));
    in_child(parent_that_ends, ends);
    read_all(ends[0], &byte, 1);
    REQUIRE_EQUAL(byte, 'd');
}

TEST_WITHIN(many_zombies, "300 children, waited for in the order in which they end", 60)
{
    int status, seen[256] = {0};
    for (uintptr_t i = 0; i < 300; i++)
        (void)child(end_with, (void *)(i % 200));
    for (int i = 0; i < 300; i++) {
        SUCCEED(wait(&status));
        REQUIRE(WIFEXITED(status));
        seen[WEXITSTATUS(status)]++;
    }
    for (int i = 0; i < 200; i++)
        REQUIRE_EQUAL(seen[i], i < 100 ? 2 : 1);
}
