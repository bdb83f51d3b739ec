// SPDX-License-Identifier: BSD-2-Clause
// The small things that many tests need: children, files, times, patterns, taking turns.
#include "harness.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <time.h>

// --- Processes ----------------------------------------------------------------------------------

pid_t child(void (*run)(void *), void *argument)
{
    pid_t parent = getpid();
    fflush(NULL);
    pid_t process = fork();
    if (process < 0)
        FAIL("fork: %s", strerror(errno));
    if (process != 0)
        return process;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    run(argument);
    _exit(0);
}

static int wait_for(pid_t process, const char *file, int line)
{
    int status;
    pid_t ended;
    do
        ended = waitpid(process, &status, 0);
    while (ended < 0 && errno == EINTR);
    if (ended != process)
        fail_at(file, line, "waitpid: %s", strerror(errno));
    return status;
}

void require_exit(pid_t process, int expected, const char *file, int line)
{
    int status = wait_for(process, file, line);
    if (WIFSIGNALED(status))
        fail_at(file, line, "the child was killed by signal %d (%s), should end with status %d",
                WTERMSIG(status), strsignal(WTERMSIG(status)), expected);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != expected)
        fail_at(file, line, "the child ended with status %d, should be %d", WEXITSTATUS(status),
                expected);
}

void require_killed(pid_t process, int expected, const char *file, int line)
{
    int status = wait_for(process, file, line);
    if (!WIFSIGNALED(status))
        fail_at(file, line, "the child ended with status %#x, should be killed by %s", status,
                strsignal(expected));
    if (WTERMSIG(status) != expected)
        fail_at(file, line, "the child was killed by %s, should be %s", strsignal(WTERMSIG(status)),
                strsignal(expected));
}

void in_child(void (*run)(void *), void *argument)
{
    EXITS(child(run, argument), 0);
}

// --- Time ---------------------------------------------------------------------------------------

uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void sleep_ms(unsigned milliseconds)
{
    struct timespec left = {milliseconds / 1000, (long)(milliseconds % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
}

// --- Files --------------------------------------------------------------------------------------

void write_all(int file, const void *bytes, size_t count)
{
    const char *next = bytes;
    while (count > 0) {
        ssize_t written = write(file, next, count);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            FAIL("write: %s", strerror(errno));
        next += written;
        count -= (size_t)written;
    }
}

void read_all(int file, void *bytes, size_t count)
{
    char *next = bytes;
    while (count > 0) {
        ssize_t got = read(file, next, count);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            FAIL("read: %s", got == 0 ? "end of file" : strerror(errno));
        next += got;
        count -= (size_t)got;
    }
}

void write_file(const char *path, const char *text)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0)
        FAIL("%s: %s", path, strerror(errno));
    write_all(file, text, strlen(text));
    close(file);
}

const char *read_file(const char *path)
{
    static char text[65536];
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        FAIL("%s: %s", path, strerror(errno));
    size_t length = 0;
    ssize_t got;
    while ((got = read(file, text + length, sizeof text - 1 - length)) > 0)
        length += (size_t)got;
    if (got < 0)
        FAIL("%s: %s", path, strerror(errno));
    text[length] = 0;
    close(file);
    return text;
}

long field_of(const char *path, const char *name)
{
    size_t length = strlen(name);
    const char *line = read_file(path);
    while (line != NULL) {
        if (strncmp(line, name, length) == 0 && line[length] == ':')
            return strtol(line + length + 1, NULL, 10);
        line = strchr(line, '\n');
        if (line != NULL)
            line++;
    }
    return -1;
}

// --- Patterns -----------------------------------------------------------------------------------

// One step of a multiplicative generator: neighbours and seeds look unlike each other.
static uint8_t pattern_byte(size_t position, unsigned seed)
{
    uint64_t mixed =
        (position + 1) * 0x9e3779b97f4a7c15ull ^ (uint64_t)seed * 0xbf58476d1ce4e5b9ull;
    mixed ^= mixed >> 31;
    return (uint8_t)(mixed * 0x94d049bb133111ebull >> 56);
}

void fill_pattern(void *bytes, size_t count, unsigned seed)
{
    uint8_t *at = bytes;
    for (size_t i = 0; i < count; i++)
        at[i] = pattern_byte(i, seed);
}

bool has_pattern(const void *bytes, size_t count, unsigned seed)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < count; i++) {
        if (at[i] != pattern_byte(i, seed)) {
            remark("byte %zu is %#x, not %#x", i, at[i], pattern_byte(i, seed));
            return false;
        }
    }
    return true;
}

// --- Taking turns -------------------------------------------------------------------------------

void turns_open(struct turns *turns)
{
    SUCCEED(pipe2(turns->there, O_CLOEXEC));
    SUCCEED(pipe2(turns->back, O_CLOEXEC));
}

static void send_turn(int file)
{
    write_all(file, "t", 1);
}

static void take_turn(int file)
{
    char turn;
    read_all(file, &turn, 1);
}

void parent_signals(struct turns *turns)
{
    send_turn(turns->there[1]);
}

void parent_waits(struct turns *turns)
{
    take_turn(turns->back[0]);
}

void child_signals(struct turns *turns)
{
    send_turn(turns->back[1]);
}

void child_waits(struct turns *turns)
{
    take_turn(turns->there[0]);
}
