// SPDX-License-Identifier: BSD-2-Clause
// File locks between processes and descriptors: flock, record locks of fcntl, open file description
// locks, leases; and asynchronous I/O by io_submit.
#include "harness.h"

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>

static int file;

static struct flock record(short kind, off_t start, off_t length)
{
    return (struct flock){.l_type = kind, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
}

static int try_lock(int descriptor, int command, short kind, off_t start, off_t length)
{
    struct flock lock = record(kind, start, length);
    return fcntl(descriptor, command, &lock);
}

static void open_file(void)
{
    file = SUCCEED(open("file", O_RDWR | O_CREAT, 0600));
}

static void try_flock(void *argument)
{
    int other = SUCCEED(open("file", O_RDWR));
    if ((uintptr_t)argument == LOCK_SH)
        SUCCEED(flock(other, LOCK_SH | LOCK_NB));
    else
        FAIL_WITH(flock(other, (int)(uintptr_t)argument | LOCK_NB), EWOULDBLOCK);
}

static void hold_inherited(void *argument)
{
    (void)argument;
    SUCCEED(flock(file, LOCK_EX | LOCK_NB)); // the same open file: it has the lock already
}

TEST(whole_file, "flock: exclusive, shared, inherited by fork, gone with the last descriptor")
{
    open_file();
    SUCCEED(flock(file, LOCK_EX));
    in_child(try_flock, (void *)LOCK_EX);
    in_child(hold_inherited, NULL);
    in_child(try_flock, (void *)LOCK_EX); // the child's end did not unlock it
    SUCCEED(flock(file, LOCK_SH));
    in_child(try_flock, (void *)LOCK_SH);
    in_child(try_flock, (void *)LOCK_EX);
    int same = SUCCEED(dup(file));
    close(file);
    in_child(try_flock, (void *)LOCK_EX);
    close(same);
    int other = SUCCEED(open("file", O_RDWR));
    SUCCEED(flock(other, LOCK_EX | LOCK_NB));
}

static void try_records(void *argument)
{
    (void)argument;
    int other = SUCCEED(open("file", O_RDWR));
    struct flock lock = record(F_WRLCK, 0, 1000);
    SUCCEED(fcntl(other, F_GETLK, &lock));
    REQUIRE_EQUAL(lock.l_type, F_WRLCK);
    REQUIRE_EQUAL(lock.l_start, 100);
    REQUIRE_EQUAL(lock.l_len, 50);
    REQUIRE_EQUAL(lock.l_pid, getppid());
    FAIL_WITH(try_lock(other, F_SETLK, F_RDLCK, 120, 1), EAGAIN);
    SUCCEED(try_lock(other, F_SETLK, F_WRLCK, 0, 100));
    SUCCEED(try_lock(other, F_SETLK, F_WRLCK, 150, 0)); // to the end, however far
    FAIL_WITH(try_lock(other, F_SETLK, F_WRLCK, 0, 101), EAGAIN);
}

static void hold_nothing(void *argument)
{
    FAIL_WITH(try_lock(file, F_SETLK, F_WRLCK, 100, 1), EAGAIN); // record locks are not inherited
    (void)argument;
}

TEST(records, "fcntl locks: ranges, who holds them, split, upgraded, gone at any close")
{
    open_file();
    SUCCEED(try_lock(file, F_SETLK, F_WRLCK, 100, 50));
    in_child(try_records, NULL);
    in_child(hold_nothing, NULL);
    SUCCEED(try_lock(file, F_SETLK, F_UNLCK, 110, 10));
    SUCCEED(try_lock(file, F_SETLK, F_RDLCK, 130, 5));
    pid_t process = fork();
    if (process == 0) {
        SUCCEED(try_lock(file, F_SETLK, F_WRLCK, 110, 10));
        SUCCEED(try_lock(file, F_SETLK, F_RDLCK, 130, 5));
        FAIL_WITH(try_lock(file, F_SETLK, F_WRLCK, 130, 5), EAGAIN);
        FAIL_WITH(try_lock(file, F_SETLK, F_RDLCK, 120, 20), EAGAIN);
        _exit(0);
    }
    EXITS(process, 0);
    close(SUCCEED(open("file", O_RDONLY))); // POSIX: this drops all of them
    process = fork();
    if (process == 0) {
        SUCCEED(try_lock(file, F_SETLK, F_WRLCK, 0, 0));
        _exit(0);
    }
    EXITS(process, 0);
}

static struct turns turns;

static void lock_crosswise(void *argument)
{
    (void)argument;
    SUCCEED(try_lock(file, F_SETLKW, F_WRLCK, 1, 1));
    child_signals(&turns);
    child_waits(&turns);
    SUCCEED(try_lock(file, F_SETLKW, F_WRLCK, 0, 1)); // waits for the parent
}

TEST(waiting, "F_SETLKW waits, and a cycle of waiters is EDEADLK")
{
    open_file();
    turns_open(&turns);
    SUCCEED(try_lock(file, F_SETLK, F_WRLCK, 0, 1));
    pid_t process = child(lock_crosswise, NULL);
    parent_waits(&turns);
    parent_signals(&turns);
    // Until the child waits, the lock is merely taken.
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/stat", process);
    while (strstr(read_file(path), ") S ") == NULL)
        sleep_ms(1);
    sleep_ms(50);
    FAIL_WITH(try_lock(file, F_SETLKW, F_WRLCK, 1, 1), EDEADLK);
    SUCCEED(try_lock(file, F_SETLK, F_UNLCK, 0, 1));
    EXITS(process, 0);
}

TEST(open_files, "open file description locks belong to the open file, not to the process")
{
    open_file();
    int other = SUCCEED(open("file", O_RDWR));
    SUCCEED(try_lock(file, F_OFD_SETLK, F_WRLCK, 0, 10));
    FAIL_WITH(try_lock(other, F_OFD_SETLK, F_WRLCK, 5, 10), EAGAIN);
    struct flock lock = record(F_WRLCK, 0, 0);
    SUCCEED(fcntl(other, F_OFD_GETLK, &lock));
    REQUIRE_EQUAL(lock.l_pid, -1);
    close(SUCCEED(open("file", O_RDONLY))); // drops none
    FAIL_WITH(try_lock(other, F_OFD_SETLK, F_WRLCK, 5, 10), EAGAIN);
    close(file);
    SUCCEED(try_lock(other, F_OFD_SETLK, F_WRLCK, 5, 10));
}

static void *shared;

static void count_under_lock(void *argument)
{
    int own = SUCCEED(open("file", O_RDWR));
    volatile uint32_t *counter = shared;
    for (int i = 0; i < 300; i++) {
        if ((uintptr_t)argument % 2)
            SUCCEED(try_lock(own, F_OFD_SETLKW, F_WRLCK, 0, 1));
        else
            SUCCEED(try_lock(own, F_SETLKW, F_WRLCK, 0, 1));
        uint32_t value = *counter;
        if (i % 10 == 0)
            sched_yield();
        *counter = value + 1;
        if ((uintptr_t)argument % 2)
            SUCCEED(try_lock(own, F_OFD_SETLK, F_UNLCK, 0, 1));
        else
            SUCCEED(try_lock(own, F_SETLK, F_UNLCK, 0, 1));
    }
}

TEST_WITHIN(contention, "six processes count under locks of both kinds and lose nothing", 60)
{
    open_file();
    shared = SUCCEED(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    pid_t processes[6];
    for (uintptr_t i = 0; i < 6; i++)
        processes[i] = child(count_under_lock, (void *)i);
    for (int i = 0; i < 6; i++)
        EXITS(processes[i], 0);
    REQUIRE_EQUAL(*(volatile uint32_t *)shared, 1800);
}

// --- Asynchronous I/O ---------------------------------------------------------------------------

#define REQUESTS 16

TEST(asynchronous, "io_submit: writes, then reads, with results and data; io_getevents in time")
{
    static uint8_t bytes[REQUESTS][4096];
    struct iocb requests[REQUESTS], *list[REQUESTS];
    struct io_event events[REQUESTS];
    aio_context_t context = 0;
    open_file();
    SUCCEED_OR_SKIP(syscall(SYS_io_setup, REQUESTS, &context), "this kernel has no AIO");
    for (int round = 0; round < 2; round++) {
        memset(requests, 0, sizeof requests);
        for (unsigned i = 0; i < REQUESTS; i++) {
            if (round == 0)
                fill_pattern(bytes[i], 4096, i);
            requests[i].aio_fildes = (uint32_t)file;
            requests[i].aio_lio_opcode = round == 0 ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
            requests[i].aio_buf = (uint64_t)bytes[i];
            requests[i].aio_nbytes = 4096;
            requests[i].aio_offset = i * 4096;
            requests[i].aio_data = i + 100;
            list[i] = &requests[i];
        }
        REQUIRE_EQUAL(syscall(SYS_io_submit, context, REQUESTS, list), REQUESTS);
        REQUIRE_EQUAL(syscall(SYS_io_getevents, context, REQUESTS, REQUESTS, events, NULL),
                      REQUESTS);
        for (unsigned i = 0; i < REQUESTS; i++) {
            REQUIRE(events[i].data >= 100 && events[i].data < 100 + REQUESTS);
            REQUIRE_EQUAL(events[i].res, 4096);
        }
        for (unsigned i = 0; i < REQUESTS; i++)
            REQUIRE(has_pattern(bytes[i], 4096, i));
        memset(bytes, 0, round == 0 ? sizeof bytes : 0);
    }
    struct timespec time = {0, 10000000};
    REQUIRE_EQUAL(syscall(SYS_io_getevents, context, 1, 1, events, &time), 0);
    requests[0].aio_fildes = 999;
    FAIL_WITH(syscall(SYS_io_submit, context, 1, list), EBADF);
    SUCCEED(syscall(SYS_io_destroy, context));
    FAIL_WITH(syscall(SYS_io_submit, context, 1, list), EINVAL);
}
