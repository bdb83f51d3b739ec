// SPDX-License-Identifier: BSD-2-Clause
// What belongs to no larger subject: getrandom, prctl, personality, seccomp, capabilities, uname,
// system calls that do not exist.
#include "harness.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/utsname.h>

TEST(random, "getrandom and /dev/urandom: different each time, all bits used, long ones complete")
{
    static uint8_t bytes[2][1 << 20];
    SUCCEED(getrandom(bytes[0], 16, GRND_NONBLOCK));
    size_t got = 0;
    while (got < sizeof bytes[0])
        got += (size_t)SUCCEED(getrandom(bytes[0] + got, sizeof bytes[0] - got, 0));
    int file = SUCCEED(open("/dev/urandom", O_RDONLY));
    read_all(file, bytes[1], sizeof bytes[1]);
    for (int b = 0; b < 2; b++) {
        unsigned counts[256] = {0};
        for (size_t i = 0; i < sizeof bytes[0]; i++)
            counts[bytes[b][i]]++;
        for (int i = 0; i < 256; i++) // 4,096 expected, deviation 64
            REQUIRE(counts[i] > 3600 && counts[i] < 4600);
    }
    REQUIRE(memcmp(bytes[0], bytes[1], 64) != 0);
    FAIL_WITH(syscall(SYS_getrandom, 8, 16, 0), EFAULT);
    FAIL_WITH(syscall(SYS_getrandom, bytes, 16, 0x100), EINVAL);
}

TEST(process_control, "prctl: name, dumpable, timer slack, no-new-privileges, subreaper, TSC")
{
    char name[17] = "";
    SUCCEED(prctl(PR_SET_NAME, "a name of more than fifteen bytes", 0, 0, 0));
    SUCCEED(prctl(PR_GET_NAME, name, 0, 0, 0));
    REQUIRE(strcmp(name, "a name of more ") == 0);
    REQUIRE_EQUAL(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 1);
    SUCCEED(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
    REQUIRE_EQUAL(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
    SUCCEED(prctl(PR_SET_TIMERSLACK, 12345, 0, 0, 0));
    REQUIRE_EQUAL(prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0), 12345);
    REQUIRE_EQUAL(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
    SUCCEED(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    REQUIRE_EQUAL(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
    FAIL_WITH(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL);
    int on = -1;
    SUCCEED(prctl(PR_GET_CHILD_SUBREAPER, &on, 0, 0, 0));
    REQUIRE_EQUAL(on, 0);
    FAIL_WITH(prctl(99999, 0, 0, 0, 0), EINVAL);
}

TEST(personalities,
     "personality: kept, inherited by exec, ADDR_NO_RANDOMIZE gives the same addresses")
{
    REQUIRE_EQUAL(personality(0xffffffff), 0);
    SUCCEED(personality(ADDR_NO_RANDOMIZE));
    REQUIRE_EQUAL(personality(0xffffffff), ADDR_NO_RANDOMIZE);
    char maps[2][8192];
    for (int i = 0; i < 2; i++) {
        int ends[2];
        SUCCEED(pipe(ends));
        pid_t process = fork();
        if (process == 0) {
            SUCCEED(dup2(ends[1], 1));
            execlp("cat", "cat", "/proc/self/maps", NULL);
            _exit(127);
        }
        close(ends[1]);
        ssize_t length = 0, count;
        while ((count = read(ends[0], maps[i] + length, sizeof maps[i] - 1 - (size_t)length)) > 0)
            length += count;
        maps[i][length] = 0;
        EXITS(process, 0);
        REQUIRE(strstr(maps[i], "[stack]") != NULL);
    }
    REQUIRE(strcmp(maps[0], maps[1]) == 0);
}

TEST(randomised, "without it the stack and mappings lie elsewhere each time")
{
    unsigned differences = 0;
    char last[64] = "";
    if (strcmp(read_file("/proc/sys/kernel/randomize_va_space"), "0\n") == 0)
        skip("address space randomisation is off on this machine");
    for (int i = 0; i < 5; i++) {
        int ends[2];
        char line[64] = "";
        SUCCEED(pipe(ends));
        pid_t process = fork();
        if (process == 0) {
            SUCCEED(dup2(ends[1], 1));
            execlp("sh", "sh", "-c", "grep stack /proc/self/maps", NULL);
            _exit(127);
        }
        SUCCEED(read(ends[0], line, 60));
        EXITS(process, 0);
        differences += strncmp(line, last, 12) != 0;
        memcpy(last, line, sizeof last);
    }
    REQUIRE(differences >= 3);
}

// --- seccomp ------------------------------------------------------------------------------------

static volatile siginfo_t filtered;

static void on_filtered(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    filtered = *info;
}

static void install(uint32_t call, uint32_t action)
{
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1), BPF_STMT(BPF_RET | BPF_K, action),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog filter = {sizeof program / sizeof *program, program};
    SUCCEED(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    SUCCEED(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter));
}

static void use_filters(void *argument)
{
    (void)argument;
    struct sigaction action = {.sa_sigaction = on_filtered, .sa_flags = SA_SIGINFO};
    SUCCEED(sigaction(SIGSYS, &action, NULL));
    install(SYS_getppid, SECCOMP_RET_ERRNO | 77);
    FAIL_WITH(syscall(SYS_getppid), 77);
    install(SYS_getuid, SECCOMP_RET_TRAP | 5);
    (void)syscall(SYS_getuid);
    REQUIRE_EQUAL(filtered.si_signo, SIGSYS);
    REQUIRE_EQUAL(filtered.si_code, 1 /* SYS_SECCOMP */);
    REQUIRE_EQUAL(filtered.si_syscall, SYS_getuid);
    REQUIRE_EQUAL(filtered.si_errno, 5);
    install(SYS_getgid, SECCOMP_RET_KILL_PROCESS);
    syscall(SYS_getgid);
}

static void strict(void *argument)
{
    (void)argument;
    SUCCEED(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
    SUCCEED(syscall(SYS_write, STDOUT_FILENO, "", 0));
    syscall(SYS_getppid);
}

TEST(filters, "seccomp: a filter's errno, trap and kill; strict mode")
{
    if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == -1)
        skip("this kernel has no seccomp");
    KILLED(child(use_filters, NULL), SIGSYS);
    KILLED(child(strict, NULL), SIGKILL);
}

// --- The rest -----------------------------------------------------------------------------------

static void drop_capabilities(void *argument)
{
    (void)argument;
    SUCCEED(prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN, 0, 0, 0));
    REQUIRE_EQUAL(prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0), 0);
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    SUCCEED(syscall(SYS_capget, &header, data));
    data[0].effective &= ~(1u << CAP_SYS_ADMIN | 1u << CAP_KILL);
    data[0].permitted &= ~(1u << CAP_SYS_ADMIN);
    SUCCEED(syscall(SYS_capset, &header, data));
    FAIL_WITH(sethostname("x", 1), EPERM);
    data[0].permitted |= 1u << CAP_SYS_ADMIN;
    FAIL_WITH(syscall(SYS_capset, &header, data), EPERM);
}

TEST(capabilities, "capabilities: dropped ones are gone for good")
{
    if (geteuid() != 0)
        skip("needs root");
    in_child(drop_capabilities, NULL);
}

TEST(unknown_calls, "system calls that do not exist are ENOSYS, each of them")
{
    static const long numbers[] = {-1, 400, 500, 512, 1000, 4096, 0x7fffffff, 0xffffffff, -1000};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        FAIL_WITH(syscall(numbers[i], 1, 2, 3, 4, 5, 6), ENOSYS);
}

TEST(names, "uname: Linux 6.1 on x86_64")
{
    struct utsname names;
    SUCCEED(uname(&names));
    REQUIRE(strcmp(names.sysname, "Linux") == 0);
    REQUIRE(strcmp(names.machine, "x86_64") == 0);
    if (on_node())
        REQUIRE(strncmp(names.release, "6.1.", 4) == 0);
}
