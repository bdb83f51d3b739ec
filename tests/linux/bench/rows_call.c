// SPDX-License-Identifier: BSD-2-Clause
// System calls that do little, the clock, and files by name. First of all a loop of known length:
// it shows that the counter counts instructions.
#include "bench.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int device;
static struct path file;

// 1,001 instructions.
static void known_loop(void)
{
    uint32_t count = 500;
    __asm__ volatile("1: decl %0\n\tjnz 1b" : "+r"(count));
}

// Without the library: its wrapper would add to the call.
static long plain_call(long number)
{
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number) : "rcx", "r11", "memory");
    return result;
}

static void call_getpid(void)
{
    plain_call(SYS_getpid);
}

static void call_getppid(void)
{
    plain_call(SYS_getppid);
}

static void call_clock_gettime(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
}

static void open_zero(void)
{
    device = MUST(open("/dev/zero", O_RDONLY | O_CLOEXEC));
}

static void open_null(void)
{
    device = MUST(open("/dev/null", O_WRONLY | O_CLOEXEC));
}

static void read_byte(void)
{
    char byte;
    MUST(read(device, &byte, 1));
}

static void write_byte(void)
{
    MUST(write(device, "", 1));
}

static void make_file(void)
{
    file = path_in_folder("bench-file");
    MUST(close(MUST(open(file.text, O_CREAT | O_WRONLY | O_CLOEXEC, 0600))));
}

static void stat_file(void)
{
    struct stat status;
    MUST(stat(file.text, &status));
}

static void open_close_file(void)
{
    MUST(close(MUST(open(file.text, O_RDONLY))));
}

const struct row rows_call[] = {
    {"calibration", "instructions", 100, 1001, NULL, known_loop, 1, NULL},
    {"getpid", "instructions", 100, 1001, NULL, call_getpid, 1, NULL},
    {"getppid", "instructions", 100, 1001, NULL, call_getppid, 1, NULL},
    {"clock_gettime", "instructions", 100, 1001, NULL, call_clock_gettime, 1, NULL},
    {"read_zero", "instructions", 100, 1001, open_zero, read_byte, 1, NULL},
    {"write_null", "instructions", 100, 1001, open_null, write_byte, 1, NULL},
    {"stat", "instructions", 100, 1001, make_file, stat_file, 1, NULL},
    {"open_close", "instructions", 100, 1001, make_file, open_close_file, 1, NULL},
    {0},
};
