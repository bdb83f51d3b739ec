// SPDX-License-Identifier: BSD-2-Clause
// Mapped files: shared and private, coherent with read and write, truncated below a mapping,
// synchronised, executed; memfd and its seals; and userfaultfd.
#include "harness.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define PAGE       4096ul
#define READ_WRITE (PROT_READ | PROT_WRITE)

static int make_file(const char *path, size_t size, unsigned seed)
{
    int file = SUCCEED(open(path, O_RDWR | O_CREAT | O_TRUNC, 0600));
    uint8_t bytes[PAGE];
    for (size_t at = 0; at < size; at += PAGE) {
        fill_pattern(bytes, PAGE, seed + (unsigned)(at / PAGE));
        write_all(file, bytes, size - at < PAGE ? size - at : PAGE);
    }
    return file;
}

TEST(shared_file, "a shared mapping and read and write see each other at once")
{
    int file = make_file("file", 4 * PAGE, 1);
    uint8_t *at = SUCCEED(mmap(NULL, 4 * PAGE, READ_WRITE, MAP_SHARED, file, 0)), byte;
    for (unsigned i = 0; i < 4; i++)
        REQUIRE(has_pattern(at + i * PAGE, PAGE, 1 + i));
    at[5000] = 0x5a;
    REQUIRE_EQUAL(pread(file, &byte, 1, 5000), 1);
    REQUIRE_EQUAL(byte, 0x5a);
    REQUIRE_EQUAL(pwrite(file, "Z", 1, 9000), 1);
    REQUIRE_EQUAL(at[9000], 'Z');
    close(file); // the mapping stays
    at[1] = 'Y';
    SUCCEED(msync(at, 4 * PAGE, MS_SYNC));
    SUCCEED(munmap(at, 4 * PAGE));
    file = SUCCEED(open("file", O_RDONLY));
    REQUIRE_EQUAL(pread(file, &byte, 1, 1), 1);
    REQUIRE_EQUAL(byte, 'Y');
    FAIL_WITH(msync((void *)0x123000, PAGE, MS_SYNC), ENOMEM);
}

TEST(private_file, "a private mapping keeps its changes to itself")
{
    int file = make_file("file", 2 * PAGE, 1);
    uint8_t *at = SUCCEED(mmap(NULL, 2 * PAGE, READ_WRITE, MAP_PRIVATE, file, 0)), byte;
    at[10] = 0xff;
    REQUIRE_EQUAL(pread(file, &byte, 1, 10), 1);
    uint8_t expected[PAGE];
    fill_pattern(expected, PAGE, 1);
    REQUIRE_EQUAL(byte, expected[10]);
    REQUIRE_EQUAL(pwrite(file, "Q", 1, 20), 1);
    REQUIRE_EQUAL(at[20], expected[20]); // its page is a copy by now
    REQUIRE_EQUAL(pwrite(file, "Q", 1, PAGE + 20), 1);
    REQUIRE_EQUAL(at[PAGE + 20], 'Q'); // this one is not yet
}

static void write_pattern(void *argument)
{
    fill_pattern(argument, 4 * PAGE, 33);
}

TEST(other_process, "two processes and two mappings of a file at different offsets")
{
    int file = make_file("file", 8 * PAGE, 1);
    uint8_t *whole = SUCCEED(mmap(NULL, 8 * PAGE, READ_WRITE, MAP_SHARED, file, 0));
    uint8_t *part = SUCCEED(mmap(NULL, 4 * PAGE, READ_WRITE, MAP_SHARED, file, 4 * PAGE));
    in_child(write_pattern, part);
    REQUIRE(has_pattern(part, 4 * PAGE, 33));
    REQUIRE(has_pattern(whole + 4 * PAGE, 4 * PAGE, 33));
    REQUIRE(has_pattern(whole + 3 * PAGE, PAGE, 4));
}

TEST(last_page, "behind the end of a file its last page is zero, and not written")
{
    int file = make_file("file", PAGE + 100, 1);
    uint8_t *at = SUCCEED(mmap(NULL, 2 * PAGE, READ_WRITE, MAP_SHARED, file, 0));
    for (size_t i = 100; i < PAGE; i++)
        REQUIRE_EQUAL(at[PAGE + i], 0);
    at[PAGE + 200] = 1;
    SUCCEED(munmap(at, 2 * PAGE));
    struct stat status;
    SUCCEED(fstat(file, &status));
    REQUIRE_EQUAL(status.st_size, PAGE + 100);
    SUCCEED(ftruncate(file, PAGE));
    SUCCEED(ftruncate(file, 3 * PAGE));
    uint8_t byte = 9;
    REQUIRE_EQUAL(pread(file, &byte, 1, PAGE + 50), 1);
    REQUIRE_EQUAL(byte, 0);
}

TEST(access_modes, "a mapping cannot have more than its descriptor allows")
{
    write_file("file", "text");
    int reader = SUCCEED(open("file", O_RDONLY)), writer = SUCCEED(open("file", O_WRONLY));
    FAIL_WITH(mmap(NULL, PAGE, READ_WRITE, MAP_SHARED, reader, 0), EACCES);
    FAIL_WITH(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, writer, 0), EACCES);
    uint8_t *at = SUCCEED(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, reader, 0));
    FAIL_WITH(mprotect(at, PAGE, READ_WRITE), EACCES);
    SUCCEED(mmap(NULL, PAGE, READ_WRITE, MAP_PRIVATE, reader, 0));
    FAIL_WITH(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, 99, 0), EBADF);
    FAIL_WITH(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, reader, 100), EINVAL);
    int ends[2];
    SUCCEED(pipe(ends));
    FAIL_WITH(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, ends[0], 0), ENODEV);
}

TEST(code, "machine code written to a file, mapped and executed; changed through another view")
{
    // mov $imm32, %eax; ret
    uint8_t bytes[6] = {0xb8, 11, 0, 0, 0, 0xc3};
    int file = SUCCEED(open("code", O_RDWR | O_CREAT, 0700));
    write_all(file, bytes, sizeof bytes);
    SUCCEED(ftruncate(file, PAGE));
    int (*function)(void) =
        (int (*)(void))SUCCEED(mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, file, 0));
    uint8_t *view = SUCCEED(mmap(NULL, PAGE, READ_WRITE, MAP_SHARED, file, 0));
    for (int i = 0; i < 100; i++) {
        view[1] = (uint8_t)i;
        __builtin___clear_cache((char *)view, (char *)view + 6);
        REQUIRE_EQUAL(function(), i);
    }
    SUCCEED(mprotect(view, PAGE, READ_WRITE | PROT_EXEC));
    view[1] = 77; // modifies itself
    REQUIRE_EQUAL(((int (*)(void))view)(), 77);
}

TEST(memory_file, "memfd: grows, is shared by /proc/self/fd, and its seals hold")
{
    int memory = SUCCEED(memfd_create("test", MFD_ALLOW_SEALING | MFD_CLOEXEC));
    SUCCEED(ftruncate(memory, 4 * PAGE));
    uint8_t *at = SUCCEED(mmap(NULL, 4 * PAGE, READ_WRITE, MAP_SHARED, memory, 0));
    fill_pattern(at, 4 * PAGE, 8);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", memory);
    int other = SUCCEED(open(path, O_RDWR));
    uint8_t *view = SUCCEED(mmap(NULL, 4 * PAGE, READ_WRITE, MAP_SHARED, other, 0));
    REQUIRE(has_pattern(view, 4 * PAGE, 8));
    FAIL_WITH(fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
    SUCCEED(munmap(at, 4 * PAGE));
    SUCCEED(munmap(view, 4 * PAGE));
    SUCCEED(fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW));
    FAIL_WITH(write(memory, "x", 1), EPERM);
    FAIL_WITH(ftruncate(memory, PAGE), EPERM);
    FAIL_WITH(ftruncate(memory, 8 * PAGE), EPERM);
    FAIL_WITH(mmap(NULL, PAGE, READ_WRITE, MAP_SHARED, memory, 0), EPERM);
    REQUIRE_EQUAL(fcntl(memory, F_GET_SEALS), F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW);
    at = SUCCEED(mmap(NULL, 4 * PAGE, PROT_READ, MAP_SHARED, memory, 0));
    REQUIRE(has_pattern(at, 4 * PAGE, 8));
}

TEST(shared_names, "shm_open: another process maps it by name")
{
    if (access("/dev/shm", W_OK) != 0)
        skip("there is no /dev/shm");
    char name[64];
    snprintf(name, sizeof name, "/corvus-test-%d", getpid());
    int memory = SUCCEED(shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600));
    SUCCEED(ftruncate(memory, 4 * PAGE));
    uint8_t *at = SUCCEED(mmap(NULL, 4 * PAGE, READ_WRITE, MAP_SHARED, memory, 0));
    pid_t process = fork();
    if (process == 0) {
        int other = SUCCEED(shm_open(name, O_RDWR, 0));
        write_pattern(SUCCEED(mmap(NULL, 4 * PAGE, READ_WRITE, MAP_SHARED, other, 0)));
        _exit(0);
    }
    EXITS(process, 0);
    REQUIRE(has_pattern(at, 4 * PAGE, 33));
    SUCCEED(shm_unlink(name));
    FAIL_WITH(shm_open(name, O_RDWR, 0), ENOENT);
}

// --- userfaultfd --------------------------------------------------------------------------------

static int faults;

static void *answer_faults(void *argument)
{
    static uint8_t page[PAGE] __attribute__((aligned(PAGE)));
    for (int i = 0; i < 8; i++) {
        struct uffd_msg message;
        struct pollfd ready = {.fd = faults, .events = POLLIN};
        REQUIRE_EQUAL(poll(&ready, 1, 10000), 1);
        REQUIRE_EQUAL(read(faults, &message, sizeof message), sizeof message);
        REQUIRE_EQUAL(message.event, UFFD_EVENT_PAGEFAULT);
        uint64_t address = message.arg.pagefault.address & ~(PAGE - 1);
        fill_pattern(page, PAGE, (unsigned)((address - (uint64_t)argument) / PAGE));
        struct uffdio_copy copy = {.dst = address, .src = (uint64_t)page, .len = PAGE};
        SUCCEED(ioctl(faults, UFFDIO_COPY, &copy));
    }
    return argument;
}

TEST(user_faults, "userfaultfd: a thread fills in the pages that another touches, the kernel too")
{
    faults = (int)SUCCEED_OR_SKIP(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK),
                                  "this kernel has no userfaultfd");
    struct uffdio_api api = {.api = UFFD_API};
    SUCCEED(ioctl(faults, UFFDIO_API, &api));
    uint8_t *at = SUCCEED(mmap(NULL, 8 * PAGE, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    struct uffdio_register range = {.range = {(uint64_t)at, 8 * PAGE},
                                    .mode = UFFDIO_REGISTER_MODE_MISSING};
    SUCCEED(ioctl(faults, UFFDIO_REGISTER, &range));
    pthread_t thread;
    ZERO(pthread_create(&thread, NULL, answer_faults, at));
    for (unsigned i = 8; i-- > 1;)
        REQUIRE(has_pattern(at + i * PAGE, PAGE, i));
    // The last by the kernel's own copy.
    int ends[2];
    uint8_t bytes[PAGE];
    SUCCEED(pipe(ends));
    REQUIRE_EQUAL(write(ends[1], at, PAGE), PAGE);
    read_all(ends[0], bytes, PAGE);
    REQUIRE(has_pattern(bytes, PAGE, 0));
    ZERO(pthread_join(thread, NULL));
}
