// SPDX-License-Identifier: BSD-2-Clause
// Namespaces and control groups: process ids, host names, users, networks and IPC of one's own; a
// control group whose limits hold.
#include "harness.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>

static void need(int flags)
{
    if (geteuid() != 0)
        skip("needs root");
    SUCCEED_OR_SKIP(unshare(flags), "this kernel has no such namespaces");
}

TEST(host_names, "a host name of one's own")
{
    char before[256], name[256];
    SUCCEED(gethostname(before, sizeof before));
    pid_t process = fork();
    if (process == 0) {
        if (unshare(CLONE_NEWUTS) != 0)
            _exit(errno == EPERM || errno == EINVAL ? 77 : 1);
        SUCCEED(sethostname("other", 5));
        SUCCEED(gethostname(name, sizeof name));
        _exit(strcmp(name, "other") == 0 ? 0 : 1);
    }
    int status;
    SUCCEED(waitpid(process, &status, 0));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip("this kernel has no such namespaces");
    REQUIRE_EQUAL(status, 0);
    SUCCEED(gethostname(name, sizeof name));
    REQUIRE(strcmp(name, before) == 0);
}

TEST(process_ids, "a new process id namespace: its first is 1, and its end ends all in it")
{
    need(CLONE_NEWPID);
    int ends[2];
    char byte;
    SUCCEED(pipe(ends));
    pid_t process = fork();
    if (process == 0) {
        REQUIRE_EQUAL(getpid(), 1);
        REQUIRE_EQUAL(getppid(), 0);
        if (fork() == 0) {
            REQUIRE_EQUAL(getpid(), 2);
            for (;;)
                pause();
        }
        FAIL_WITH(kill(3, 0), ESRCH);
        SUCCEED(kill(2, 0));
        // Its own first process is safe from signals that it does not handle.
        raise(SIGTERM);
        raise(SIGKILL);
        _exit(5);
    }
    REQUIRE(process > 1);
    EXITS(process, 5);
    close(ends[1]);
    REQUIRE_EQUAL(read(ends[0], &byte, 1), 0); // held by number 2, too, which is gone
}

TEST(own_proc, "/proc mounted within shows the processes of the namespace only")
{
    need(CLONE_NEWPID | CLONE_NEWNS);
    SUCCEED(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
    pid_t process = fork();
    if (process == 0) {
        SUCCEED(mount("proc", "/proc", "proc", 0, NULL));
        REQUIRE_EQUAL(field_of("/proc/1/status", "Pid"), 1);
        REQUIRE_EQUAL(field_of("/proc/self/status", "PPid"), 0);
        FAIL_WITH(access("/proc/2", F_OK), ENOENT);
        _exit(0);
    }
    EXITS(process, 0);
}

TEST(network, "a network of one's own has a loopback interface that is down, and nothing else")
{
    need(CLONE_NEWNET);
    int file = SUCCEED(socket(AF_INET, SOCK_DGRAM, 0));
    struct ifreq request = {.ifr_name = "lo"};
    SUCCEED(ioctl(file, SIOCGIFFLAGS, &request));
    REQUIRE(!(request.ifr_flags & IFF_UP));
    struct if_nameindex *list = if_nameindex();
    REQUIRE(list != NULL && list[0].if_index == 1);
    if_freenameindex(list);
}

TEST(ipc, "System V objects of one's own")
{
    key_t key = 0x4e53 + getpid();
    int id = SUCCEED(shmget(key, 4096, IPC_CREAT | 0600));
    pid_t process = fork();
    if (process == 0) {
        if (unshare(CLONE_NEWIPC) != 0)
            _exit(77);
        FAIL_WITH(shmget(key, 4096, 0), ENOENT);
        SUCCEED(shmget(key, 8192, IPC_CREAT | 0600));
        _exit(0);
    }
    int status;
    SUCCEED(waitpid(process, &status, 0));
    SUCCEED(shmctl(id, IPC_RMID, NULL));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip("this kernel has no such namespaces");
    REQUIRE_EQUAL(status, 0);
}

TEST(users, "a user namespace: root within, somebody else without")
{
    pid_t process = fork();
    if (process == 0) {
        uid_t outside = geteuid();
        if (unshare(CLONE_NEWUSER) != 0)
            _exit(errno == EPERM || errno == EINVAL || errno == ENOSYS ? 77 : 1);
        REQUIRE_EQUAL(geteuid(), 65534);
        char map[64];
        snprintf(map, sizeof map, "0 %d 1\n", outside);
        write_file("/proc/self/uid_map", map);
        REQUIRE_EQUAL(geteuid(), 0);
        SUCCEED(unshare(CLONE_NEWUTS));
        SUCCEED(sethostname("inner", 5));
        _exit(0);
    }
    int status;
    SUCCEED(waitpid(process, &status, 0));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip("this kernel has no user namespaces, or does not allow them");
    REQUIRE_EQUAL(status, 0);
}

TEST(joining, "setns enters the namespaces of another process")
{
    pid_t process = fork();
    if (process == 0) {
        need(CLONE_NEWUTS);
        SUCCEED(sethostname("joined", 6));
        raise(SIGSTOP);
        _exit(0);
    }
    int status;
    SUCCEED(waitpid(process, &status, WUNTRACED));
    if (!WIFSTOPPED(status))
        skip("this kernel has no such namespaces");
    char path[64], name[256];
    snprintf(path, sizeof path, "/proc/%d/ns/uts", process);
    int file = SUCCEED(open(path, O_RDONLY));
    SUCCEED(setns(file, CLONE_NEWUTS));
    SUCCEED(gethostname(name, sizeof name));
    REQUIRE(strcmp(name, "joined") == 0);
    SUCCEED(kill(process, SIGCONT));
    EXITS(process, 0);
}

// --- Control groups -----------------------------------------------------------------------------

// The second version's hierarchy: where it is mounted, or mounted here.
static void enter_hierarchy(void)
{
    if (geteuid() != 0)
        skip("needs root");
    if (access("/sys/fs/cgroup/cgroup.procs", F_OK) == 0) {
        SUCCEED(chdir("/sys/fs/cgroup"));
        return;
    }
    SUCCEED_OR_SKIP(unshare(CLONE_NEWNS), "mount namespaces are not allowed here");
    SUCCEED(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
    SUCCEED(mkdir("groups", 0755));
    if (mount("none", "groups", "cgroup2", 0, NULL) != 0)
        skip("this kernel has no control groups of version 2");
    SUCCEED(chdir("groups"));
}

static void make_group(char name[64])
{
    snprintf(name, 64, "corvus-%d", getpid());
    SUCCEED(mkdir(name, 0755));
    SUCCEED(chdir(name));
}

static void remove_group(const char *name)
{
    SUCCEED(chdir(".."));
    for (int i = 0; i < 500 && rmdir(name) != 0; i++)
        sleep_ms(10);
    FAIL_WITH(access(name, F_OK), ENOENT);
}

TEST(membership, "processes join a group, their children are in it, and it says when it is empty")
{
    char name[64], text[64];
    enter_hierarchy();
    make_group(name);
    REQUIRE(strstr(read_file("cgroup.events"), "populated 0") != NULL);
    pid_t process = fork();
    if (process == 0)
        for (;;)
            pause();
    snprintf(text, sizeof text, "%d\n", process);
    write_file("cgroup.procs", text);
    REQUIRE(strcmp(read_file("cgroup.procs"), text) == 0);
    REQUIRE(strstr(read_file("cgroup.events"), "populated 1") != NULL);
    snprintf(text, sizeof text, "/proc/%d/cgroup", process);
    REQUIRE(strstr(read_file(text), name) != NULL);
    SUCCEED(kill(process, SIGKILL));
    KILLED(process, SIGKILL);
    REQUIRE(strstr(read_file("cgroup.events"), "populated 0") != NULL);
    remove_group(name);
}

TEST(freezer, "a frozen group stands still, and goes on when it is thawed")
{
    char name[64], text[64];
    volatile uint64_t *count =
        SUCCEED(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    enter_hierarchy();
    make_group(name);
    pid_t process = fork();
    if (process == 0)
        for (;;)
            ++*count;
    snprintf(text, sizeof text, "%d\n", process);
    write_file("cgroup.procs", text);
    write_file("cgroup.freeze", "1\n");
    for (int i = 0; strstr(read_file("cgroup.events"), "frozen 1") == NULL; i++) {
        REQUIRE(i < 1000);
        sleep_ms(5);
    }
    uint64_t before = *count;
    sleep_ms(100);
    REQUIRE_EQUAL(*count, before);
    write_file("cgroup.freeze", "0\n");
    for (int i = 0; *count == before; i++) {
        REQUIRE(i < 1000);
        sleep_ms(5);
    }
    SUCCEED(kill(process, SIGKILL));
    KILLED(process, SIGKILL);
    remove_group(name);
}

TEST(process_limit, "the pids controller: no more processes than pids.max")
{
    char name[64];
    enter_hierarchy();
    if (strstr(read_file("cgroup.controllers"), "pids") == NULL)
        skip("this kernel has no pids controller");
    write_file("cgroup.subtree_control", "+pids\n");
    make_group(name);
    write_file("pids.max", "5\n");
    pid_t process = fork();
    if (process == 0) {
        write_file("cgroup.procs", "0\n");
        int made = 0;
        while (made < 20) {
            pid_t other = fork();
            if (other == 0) {
                sleep_ms(3000);
                _exit(0);
            }
            if (other < 0)
                break;
            made++;
        }
        REQUIRE_EQUAL(errno, EAGAIN);
        REQUIRE_EQUAL(made, 4);
        write_file("cgroup.kill", "1\n"); // all of the group, this one too
        pause();
    }
    KILLED(process, SIGKILL);
    remove_group(name);
}

static void eat_memory(void *argument)
{
    (void)argument;
    write_file("cgroup.procs", "0\n");
    for (;;)
        memset(SUCCEED(
                   mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)),
               1, 1 << 20);
}

TEST_WITHIN(memory_limit, "the memory controller: who takes more than memory.max is killed", 60)
{
    char name[64];
    enter_hierarchy();
    if (strstr(read_file("cgroup.controllers"), "memory") == NULL)
        skip("this kernel has no memory controller");
    write_file("cgroup.subtree_control", "+memory\n");
    make_group(name);
    write_file("memory.max", "16M\n");
    if (access("memory.swap.max", F_OK) == 0)
        write_file("memory.swap.max", "0\n");
    KILLED(child(eat_memory, NULL), SIGKILL);
    REQUIRE(strstr(read_file("memory.events"), "oom_kill 1") != NULL);
    remove_group(name);
}
