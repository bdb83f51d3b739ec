// SPDX-License-Identifier: BSD-2-Clause
// Pipes and fifos: order, atomic writes, capacity, ends; splice, tee and vmsplice; sendfile and
// copy_file_range.
#include "harness.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define MEGABYTE (1u << 20)

static int ends[2];
static uint8_t bytes[4 * MEGABYTE];

static void write_pattern(void *argument)
{
    size_t step = (size_t)(uintptr_t)argument;
    fill_pattern(bytes, sizeof bytes, 9);
    for (size_t at = 0; at < sizeof bytes; at += step)
        write_all(ends[1], bytes + at, sizeof bytes - at < step ? sizeof bytes - at : step);
}

TEST_WITHIN(stream, "four megabytes through a pipe, in writes of several sizes", 60)
{
    static const size_t steps[] = {100, 4095, 4096, 65536, MEGABYTE};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        SUCCEED(pipe(ends));
        pid_t process = child(write_pattern, (void *)steps[i]);
        close(ends[1]);
        memset(bytes, 0, sizeof bytes);
        read_all(ends[0], bytes, sizeof bytes);
        REQUIRE(has_pattern(bytes, sizeof bytes, 9));
        char byte;
        REQUIRE_EQUAL(read(ends[0], &byte, 1), 0);
        EXITS(process, 0);
        close(ends[0]);
    }
}

#define RECORD 500

static void write_records(void *argument)
{
    uint8_t record[RECORD];
    memset(record, (int)(uintptr_t)argument, RECORD);
    for (int i = 0; i < 300; i++)
        REQUIRE_EQUAL(write(ends[1], record, RECORD), RECORD);
}

TEST(atomic_writes, "writes of less than PIPE_BUF by five processes do not mix")
{
    pid_t processes[5];
    SUCCEED(pipe(ends));
    for (uintptr_t i = 0; i < 5; i++)
        processes[i] = child(write_records, (void *)(i + 1));
    close(ends[1]);
    unsigned counts[6] = {0};
    for (int i = 0; i < 1500; i++) {
        uint8_t record[RECORD];
        read_all(ends[0], record, RECORD);
        for (int j = 1; j < RECORD; j++)
            REQUIRE_EQUAL(record[j], record[0]);
        REQUIRE(record[0] >= 1 && record[0] <= 5);
        counts[record[0]]++;
    }
    for (int i = 0; i < 5; i++) {
        REQUIRE_EQUAL(counts[i + 1], 300);
        EXITS(processes[i], 0);
    }
}

TEST(capacity, "a pipe holds 64 KiB, which can be changed, and tells what is in it")
{
    SUCCEED(pipe2(ends, O_NONBLOCK));
    REQUIRE_EQUAL(fcntl(ends[1], F_GETPIPE_SZ), 65536);
    size_t written = 0;
    ssize_t count;
    while ((count = write(ends[1], bytes, 4096)) > 0)
        written += (size_t)count;
    REQUIRE_EQUAL(errno, EAGAIN);
    REQUIRE_EQUAL(written, 65536);
    int waiting;
    SUCCEED(ioctl(ends[0], FIONREAD, &waiting));
    REQUIRE_EQUAL(waiting, 65536);
    FAIL_WITH(fcntl(ends[1], F_SETPIPE_SZ, 4096), EBUSY);
    REQUIRE_EQUAL(fcntl(ends[1], F_SETPIPE_SZ, 131072), 131072);
    SUCCEED(write(ends[1], bytes, 4096));
}

TEST(ends, "no writer: end of file; no reader: SIGPIPE and EPIPE; packets with O_DIRECT")
{
    char byte;
    SUCCEED(pipe(ends));
    close(ends[1]);
    REQUIRE_EQUAL(read(ends[0], &byte, 1), 0);
    SUCCEED(pipe(ends));
    close(ends[0]);
    pid_t process = fork();
    if (process == 0) {
        SUCCEED(write(ends[1], "x", 1));
        _exit(0);
    }
    KILLED(process, SIGPIPE);
    signal(SIGPIPE, SIG_IGN);
    FAIL_WITH(write(ends[1], "x", 1), EPIPE);
    char packet[10];
    SUCCEED(pipe2(ends, O_DIRECT));
    write_all(ends[1], "abc", 3);
    write_all(ends[1], "defg", 4);
    REQUIRE_EQUAL(read(ends[0], packet, 10), 3);
    REQUIRE_EQUAL(read(ends[0], packet, 2), 2);
    FAIL_WITH(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0 ? read(ends[0], packet, 10) : -1, EAGAIN);
}

static void write_to_fifo(void *argument)
{
    (void)argument;
    int file = SUCCEED(open("fifo", O_WRONLY));
    write_all(file, "through", 7);
}

TEST(fifo, "a fifo: opening waits for the other end, or fails with O_NONBLOCK")
{
    char text[8] = "";
    SUCCEED(mkfifo("fifo", 0600));
    FAIL_WITH(open("fifo", O_WRONLY | O_NONBLOCK), ENXIO);
    pid_t process = child(write_to_fifo, NULL);
    int file = SUCCEED(open("fifo", O_RDONLY));
    read_all(file, text, 7);
    REQUIRE(strcmp(text, "through") == 0);
    EXITS(process, 0);
    REQUIRE_EQUAL(read(file, text, 1), 0);
}

// --- Without copying ----------------------------------------------------------------------------

TEST(splice, "splice: file to pipe to file, with offsets")
{
    fill_pattern(bytes, MEGABYTE, 3);
    int in = SUCCEED(open("in", O_RDWR | O_CREAT, 0600)),
        out = SUCCEED(open("out", O_RDWR | O_CREAT, 0600));
    write_all(in, bytes, MEGABYTE);
    SUCCEED(pipe(ends));
    loff_t from = 0, to = 0;
    while (from < MEGABYTE) {
        ssize_t moved = SUCCEED(splice(in, &from, ends[1], NULL, 65536, SPLICE_F_MOVE));
        REQUIRE(moved > 0);
        while (moved > 0) {
            ssize_t written =
                SUCCEED(splice(ends[0], NULL, out, &to, (size_t)moved, SPLICE_F_MOVE));
            REQUIRE(written > 0);
            moved -= written;
        }
    }
    REQUIRE_EQUAL(to, MEGABYTE);
    memset(bytes, 0, MEGABYTE);
    REQUIRE_EQUAL(pread(out, bytes, MEGABYTE, 0), MEGABYTE);
    REQUIRE(has_pattern(bytes, MEGABYTE, 3));
    FAIL_WITH(splice(in, NULL, out, NULL, 10, 0), EINVAL);
}

TEST(tee_and_vmsplice, "vmsplice puts memory into a pipe, tee doubles it")
{
    int other[2];
    uint8_t *page =
        SUCCEED(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    fill_pattern(page, 8192, 4);
    SUCCEED(pipe(ends));
    SUCCEED(pipe(other));
    struct iovec parts[2] = {{page, 5000}, {page + 5000, 3192}};
    REQUIRE_EQUAL(vmsplice(ends[1], parts, 2, 0), 8192);
    REQUIRE_EQUAL(tee(ends[0], other[1], 8192, 0), 8192);
    read_all(ends[0], bytes, 8192);
    REQUIRE(has_pattern(bytes, 8192, 4));
    memset(bytes, 0, 8192);
    read_all(other[0], bytes, 8192);
    REQUIRE(has_pattern(bytes, 8192, 4));
    parts[0].iov_base = (void *)8;
    FAIL_WITH(vmsplice(ends[1], parts, 1, 0), EFAULT);
}

TEST(send_file, "sendfile: file to file, file to socket, with and without an offset")
{
    fill_pattern(bytes, MEGABYTE, 5);
    int in = SUCCEED(open("in", O_RDWR | O_CREAT, 0600)),
        out = SUCCEED(open("out", O_RDWR | O_CREAT, 0600));
    write_all(in, bytes, MEGABYTE);
    SUCCEED(lseek(in, 0, SEEK_SET));
    size_t sent = 0;
    while (sent < MEGABYTE) {
        ssize_t count = SUCCEED(sendfile(out, in, NULL, MEGABYTE - sent));
        REQUIRE(count > 0);
        sent += (size_t)count;
    }
    REQUIRE_EQUAL(lseek(in, 0, SEEK_CUR), MEGABYTE);
    memset(bytes, 0, MEGABYTE);
    REQUIRE_EQUAL(pread(out, bytes, MEGABYTE, 0), MEGABYTE);
    REQUIRE(has_pattern(bytes, MEGABYTE, 5));
    int pair[2];
    SUCCEED(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    off_t offset = 4096;
    REQUIRE_EQUAL(sendfile(pair[0], in, &offset, 10000), 10000);
    REQUIRE_EQUAL(offset, 14096);
    uint8_t received[10000];
    read_all(pair[1], received, sizeof received);
    REQUIRE(memcmp(received, bytes + 4096, sizeof received) == 0);
}

TEST(copy_range, "copy_file_range: within and between files, past the end")
{
    fill_pattern(bytes, MEGABYTE, 6);
    int in = SUCCEED(open("in", O_RDWR | O_CREAT, 0600)),
        out = SUCCEED(open("out", O_RDWR | O_CREAT, 0600));
    write_all(in, bytes, MEGABYTE);
    loff_t from = 1000, to = 2000;
    size_t left = 500000;
    while (left > 0) {
        ssize_t count = SUCCEED(copy_file_range(in, &from, out, &to, left, 0));
        REQUIRE(count > 0);
        left -= (size_t)count;
    }
    static uint8_t copied[500000];
    REQUIRE_EQUAL(pread(out, copied, sizeof copied, 2000), sizeof copied);
    REQUIRE(memcmp(copied, bytes + 1000, sizeof copied) == 0);
    from = MEGABYTE;
    REQUIRE_EQUAL(copy_file_range(in, &from, out, &to, 100, 0), 0);
    from = 0, to = 10;
    FAIL_WITH(copy_file_range(in, &from, in, &to, 100, 0), EINVAL); // overlapping
}
