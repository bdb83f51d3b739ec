// SPDX-License-Identifier: BSD-2-Clause
// /proc: what it says of this process and of others is what they are.
#include "harness.h"

#include <cpuid.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

// The line of /proc/self/maps that an address lies in: its rights, as in the file, and its name.
static bool find_mapping(const void *address, char rights[5], char *name, size_t size)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    REQUIRE(maps != NULL);
    char line[4400];
    bool found = false;
    unsigned long start, end, last_end = 0;
    while (fgets(line, sizeof line, maps) != NULL) {
        char access[5];
        int at = 0;
        REQUIRE_EQUAL(sscanf(line, "%lx-%lx %4s %*x %*x:%*x %*u %n", &start, &end, access, &at), 3);
        REQUIRE(start >= last_end && end > start); // in order, without overlap
        last_end = end;
        if ((uintptr_t)address >= start && (uintptr_t)address < end) {
            found = true;
            memcpy(rights, access, 5);
            line[strcspn(line, "\n")] = 0;
            snprintf(name, size, "%s", line + at);
        }
    }
    fclose(maps);
    return found;
}

static char rights[5], name[4400];

TEST(maps, "self/maps: program, heap, stack, vDSO and a mapping with each kind of rights")
{
    int local = 0;
    static int data = 1;
    REQUIRE(find_mapping((void *)find_mapping, rights, name, sizeof name));
    REQUIRE(strcmp(rights, "r-xp") == 0 && strcmp(name, beside("proc")) == 0);
    REQUIRE(find_mapping(&data, rights, name, sizeof name) && strcmp(rights, "rw-p") == 0);
    REQUIRE(find_mapping(&local, rights, name, sizeof name) && strcmp(name, "[stack]") == 0);
    REQUIRE(find_mapping(sbrk(0) - 1, rights, name, sizeof name) && strcmp(name, "[heap]") == 0);
    REQUIRE(strstr(read_file("/proc/self/maps"), "[vdso]") != NULL);
    static const struct {
        int access, flags;
        const char *rights;
    } kinds[] = {{PROT_NONE, MAP_PRIVATE, "---p"},
                 {PROT_READ, MAP_PRIVATE, "r--p"},
                 {PROT_READ | PROT_WRITE, MAP_PRIVATE, "rw-p"},
                 {PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE, "rwxp"},
                 {PROT_READ | PROT_WRITE, MAP_SHARED, "rw-s"}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        void *at =
            SUCCEED(mmap(NULL, 4096, kinds[i].access, kinds[i].flags | MAP_ANONYMOUS, -1, 0));
        REQUIRE(find_mapping(at, rights, name, sizeof name));
        REQUIRE(strcmp(rights, kinds[i].rights) == 0);
        SUCCEED(munmap(at, 4096));
        REQUIRE(!find_mapping(at, rights, name, sizeof name));
    }
}

// Field number of /proc/PID/stat as proc(5) counts them; the name may hold spaces.
static long stat_field(pid_t process, int number)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/stat", process);
    const char *at = strrchr(read_file(path), ')');
    REQUIRE(at != NULL);
    for (int i = 2; i < number; i++)
        at = strchr(at + 1, ' ');
    return at[1] >= 'A' ? at[1] : strtol(at, NULL, 10);
}

static void sleep_long(void *argument)
{
    (void)argument;
    sleep_ms(100000);
}

static void spin_long(void *argument)
{
    (void)argument;
    for (;;)
        continue;
}

static void await_state(pid_t process, int state)
{
    for (int i = 0; i < 2000; i++) {
        if (stat_field(process, 3) == state)
            return;
        sleep_ms(2);
    }
    FAIL("state is %c, not %c", (int)stat_field(process, 3), state);
}

TEST(stat, "PID/stat: state, parent, group, session, threads, sizes, times")
{
    pid_t process = child(sleep_long, NULL);
    await_state(process, 'S');
    REQUIRE_EQUAL(stat_field(process, 4), getpid());
    REQUIRE_EQUAL(stat_field(process, 5), getpgid(0));
    REQUIRE_EQUAL(stat_field(process, 6), getsid(0));
    REQUIRE_EQUAL(stat_field(process, 20), 1);
    REQUIRE(stat_field(process, 23) > 100000); // virtual size in bytes
    REQUIRE(stat_field(process, 24) > 10);     // resident pages
    SUCCEED(kill(process, SIGSTOP));
    await_state(process, 'T');
    SUCCEED(kill(process, SIGKILL));
    KILLED(process, SIGKILL);
    process = child(spin_long, NULL);
    await_state(process, 'R');
    for (int i = 0; stat_field(process, 14) + stat_field(process, 15) < 10; i++) {
        REQUIRE(i < 4000);
        sleep_ms(5); // until it has used a tenth of a second
    }
    SUCCEED(kill(process, SIGKILL));
    await_state(process, 'Z');
    KILLED(process, SIGKILL);
    FAIL_WITH(open("/proc/99999999/stat", O_RDONLY), ENOENT);
}

TEST(status, "self/status: ids, mask, pending and ignored signals, sizes that follow mappings")
{
    REQUIRE_EQUAL(field_of("/proc/self/status", "Pid"), getpid());
    REQUIRE_EQUAL(field_of("/proc/self/status", "PPid"), getppid());
    REQUIRE_EQUAL(field_of("/proc/self/status", "Tgid"), getpid());
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    SUCCEED(sigprocmask(SIG_BLOCK, &set, NULL));
    signal(SIGUSR2, SIG_IGN);
    raise(SIGUSR1);
    const char *text = read_file("/proc/self/status");
    REQUIRE(strstr(text, "SigPnd:\t0000000000000200") != NULL);
    REQUIRE(strstr(text, "SigBlk:\t0000000000000200") != NULL);
    REQUIRE(strstr(text, "SigIgn:\t0000000000000800") != NULL);
    long size = field_of("/proc/self/status", "VmSize"),
         resident = field_of("/proc/self/status", "VmRSS");
    uint8_t *at =
        SUCCEED(mmap(NULL, 8 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    memset(at, 1, 4 << 20);
    REQUIRE_EQUAL(field_of("/proc/self/status", "VmSize"), size + 8192);
    long grown = field_of("/proc/self/status", "VmRSS") - resident;
    REQUIRE(grown >= 4096 - 512 && grown <= 4096 + 512);
    // Names of things may be changed.
    SUCCEED(prctl(PR_SET_NAME, "a name) (", 0, 0, 0));
    REQUIRE(strstr(read_file("/proc/self/stat"), "(a name) ()") != NULL);
}

TEST(environment, "self/environ, cmdline, cwd, root, exe, auxv, limits, io")
{
    SUCCEED(setenv("LATER", "not seen", 1)); // the file tells what exec gave
    REQUIRE(memmem(read_file("/proc/self/environ"), 60000, "LATER=", 6) == NULL);
    char path[4096], folder[4096];
    ssize_t length = SUCCEED(readlink("/proc/self/cwd", path, sizeof path - 1));
    path[length] = 0;
    REQUIRE(getcwd(folder, sizeof folder) != NULL && strcmp(path, folder) == 0);
    length = SUCCEED(readlink("/proc/self/root", path, sizeof path - 1));
    REQUIRE(length == 1 && path[0] == '/');
    REQUIRE(strstr(read_file("/proc/self/limits"), "Max open files") != NULL);
    int file = SUCCEED(open("/proc/self/auxv", O_RDONLY));
    uint64_t pairs[100];
    length = SUCCEED(read(file, pairs, sizeof pairs));
    REQUIRE(length > 100 && length % 16 == 0);
    REQUIRE_EQUAL(pairs[length / 8 - 2], 0);
}

TEST(descriptors, "self/fd: links to files, pipes, what was removed; opening them; fdinfo")
{
    char target[256];
    int ends[2], file = SUCCEED(open("file", O_RDWR | O_CREAT, 0600));
    SUCCEED(pipe(ends));
    write_all(file, "abcdef", 6);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", ends[0]);
    ssize_t length = SUCCEED(readlink(path, target, sizeof target - 1));
    target[length] = 0;
    REQUIRE(strncmp(target, "pipe:[", 6) == 0);
    SUCCEED(unlink("file"));
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    length = SUCCEED(readlink(path, target, sizeof target - 1));
    target[length] = 0;
    REQUIRE(strcmp(target + length - 15, "/file (deleted)") == 0);
    int again = SUCCEED(open(path, O_RDONLY));
    char text[7] = "";
    read_all(again, text, 6);
    REQUIRE(strcmp(text, "abcdef") == 0);
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", file);
    REQUIRE_EQUAL(field_of(path, "pos"), 6);
}

TEST(memory, "self/mem reads and writes, also what the process itself cannot write")
{
    static const uint64_t constant = 0x1111;
    uint64_t word = 7, found;
    int file = SUCCEED(open("/proc/self/mem", O_RDWR));
    REQUIRE_EQUAL(pread(file, &found, 8, (off_t)&word), 8);
    REQUIRE_EQUAL(found, 7);
    found = 0x2222;
    REQUIRE_EQUAL(pwrite(file, &found, 8, (off_t)&constant), 8);
    REQUIRE_EQUAL(*(const volatile uint64_t *)&constant, 0x2222);
    FAIL_WITH(pread(file, &found, 8, 8), EIO);
    FAIL_WITH(pread(file, &found, 8, (off_t)0x7ffffffff000), EIO);
}

TEST(pagemap_and_smaps, "self/smaps adds up, self/statm is resident memory in pages")
{
    uint8_t *at =
        SUCCEED(mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    memset(at, 1, 300000);
    FILE *smaps = fopen("/proc/self/smaps", "re");
    if (smaps == NULL && errno == ENOENT)
        skip("this kernel has no PROC_PAGE_MONITOR");
    REQUIRE(smaps != NULL);
    char line[4400];
    unsigned long start = 0, end = 0, value, resident = 0;
    while (fgets(line, sizeof line, smaps) != NULL) {
        if (sscanf(line, "%lx-%lx", &start, &end) == 2)
            continue;
        if ((uintptr_t)at >= start && (uintptr_t)at < end &&
            sscanf(line, "Rss: %lu kB", &value) == 1)
            resident = value;
    }
    fclose(smaps);
    REQUIRE(resident >= 296 && resident < 2048);
}

TEST(system, "uptime, loadavg, meminfo, cpuinfo, version, filesystems, mounts, interrupts")
{
    struct sysinfo info;
    struct utsname names;
    SUCCEED(sysinfo(&info));
    SUCCEED(uname(&names));
    long up = strtol(read_file("/proc/uptime"), NULL, 10);
    REQUIRE(up - info.uptime <= 1 && info.uptime - up <= 1);
    long total = field_of("/proc/meminfo", "MemTotal"),
         available = field_of("/proc/meminfo", "MemAvailable");
    REQUIRE(total > 30000 && available > 0 && available < total);
    REQUIRE_EQUAL(info.totalram * info.mem_unit / 1024, total);
    REQUIRE(strstr(read_file("/proc/version"), names.release) != NULL);
    REQUIRE(strcmp(names.sysname, "Linux") == 0 && strcmp(names.machine, "x86_64") == 0);
    const char *cpu = read_file("/proc/cpuinfo");
    REQUIRE(strncmp(cpu, "processor\t: 0\n", 14) == 0);
    REQUIRE(strstr(cpu, "\nflags\t\t: ") != NULL && strstr(cpu, " sse2 ") != NULL);
    REQUIRE(strstr(cpu, "\ncpu MHz\t\t: ") != NULL);
    REQUIRE(strstr(read_file("/proc/filesystems"), "\tproc\n") != NULL);
    REQUIRE(strstr(read_file("/proc/self/mounts"), " /proc proc ") != NULL);
    REQUIRE(strstr(read_file("/proc/stat"), "\nbtime ") != NULL);
    REQUIRE(strlen(read_file("/proc/loadavg")) > 10);
    REQUIRE(strlen(read_file("/proc/interrupts")) > 10);
}

TEST(processor, "/proc/cpuinfo: the fields of x86 in their order, and what CPUID says")
{
    static const char *const fields[] = {
        "processor\t: ",    "vendor_id\t: ",       "cpu family\t: ",   "model\t\t: ",
        "model name\t: ",   "stepping\t: ",        "cpu MHz\t\t: ",    "physical id\t: ",
        "siblings\t: ",     "core id\t\t: ",       "cpu cores\t: ",    "apicid\t\t: ",
        "fpu\t\t: ",        "cpuid level\t: ",     "flags\t\t: ",      "bogomips\t: ",
        "clflush size\t: ", "cache_alignment\t: ", "address sizes\t: "};
    char *text = strdup(read_file("/proc/cpuinfo"));
    const char *at = text;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        at = strstr(at, fields[i]);
        if (at == NULL)
            FAIL("no `%s`, or not in its place", fields[i]);
        REQUIRE(at == text || at[-1] == '\n');
    }
    REQUIRE(strstr(at, "\n\n") != NULL); // libproc2 reads up to an empty line
    unsigned signature, cache, others[2], vendor[4] = {0}, size = 0;
    __cpuid(1, signature, cache, others[0], others[1]);
    __cpuid(0, others[0], vendor[0], vendor[2], vendor[1]);
    REQUIRE(strncmp(strstr(text, "vendor_id\t: ") + 12, (char *)vendor, 12) == 0);
    REQUIRE_EQUAL(field_of("/proc/cpuinfo", "stepping\t"), signature & 0xf);
    REQUIRE_EQUAL(sscanf(strstr(text, "clflush size\t: "), "clflush size\t: %u", &size), 1);
    REQUIRE_EQUAL(size, (cache >> 8 & 0xff) * 8);
    // Names that are parts of others' names, which no x86-64 processor has.
    REQUIRE(strstr(text, " pn ") == NULL);
    free(text);
}

TEST(listing, "/proc lists each process once, and a thread only under its process")
{
    pid_t processes[20];
    bool seen[20] = {false};
    for (int i = 0; i < 20; i++)
        processes[i] = child(sleep_long, NULL);
    DIR *folder = opendir("/proc");
    REQUIRE(folder != NULL);
    struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        pid_t process = (pid_t)strtol(entry->d_name, NULL, 10);
        for (int i = 0; i < 20; i++) {
            if (process == processes[i]) {
                REQUIRE(!seen[i]);
                seen[i] = true;
            }
        }
    }
    closedir(folder);
    for (int i = 0; i < 20; i++) {
        REQUIRE(seen[i]);
        SUCCEED(kill(processes[i], SIGKILL));
        KILLED(processes[i], SIGKILL);
    }
}
