// SPDX-License-Identifier: BSD-2-Clause
// What the Linux test programs are written with. A TEST is a function that runs in a process of its
// own, in an empty folder of its own, under a time limit: one that crashes or hangs says so, and
// the next one runs. A program prints one line of TAP for each test. The first REQUIRE that does
// not hold ends its test.
#pragma once

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

struct test {
    const char *name;
    const char *text;
    void (*run)(void);
    unsigned seconds; // before it is killed; CORVUS_TEST_SLOWNESS multiplies it
    struct test *next;
};

void test_register(struct test *test);

// TEST(name, "what it shows") { … }. TEST_WITHIN gives it more or less time.
#define TEST(name, text) TEST_WITHIN(name, text, 20)
#define TEST_WITHIN(name, text, seconds)                                                           \
    static void run_##name(void);                                                                  \
    static struct test test_##name = {#name, text, run_##name, seconds, NULL};                     \
    __attribute__((constructor)) static void register_##name(void)                                 \
    {                                                                                              \
        test_register(&test_##name);                                                               \
    }                                                                                              \
    static void run_##name(void)

// --- What a test says ---------------------------------------------------------------------------

// One line of commentary, written at once, so that lines of several processes do not mix.
__attribute__((format(printf, 1, 2))) void remark(const char *format, ...);

// Ends the calling process: the test has failed, or cannot be made here.
__attribute__((noreturn, format(printf, 3, 4))) void fail_at(const char *file, int line,
                                                             const char *format, ...);
__attribute__((noreturn)) void skip(const char *reason);

#define FAIL(...) fail_at(__FILE__, __LINE__, __VA_ARGS__)

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_at(__FILE__, __LINE__, "not so: %s", #condition);                                 \
    } while (0)

#define REQUIRE_EQUAL(actual, expected)                                                            \
    require_equal((uint64_t)(actual), (uint64_t)(expected), __FILE__, __LINE__, #actual)
void require_equal(uint64_t actual, uint64_t expected, const char *file, int line,
                   const char *text);

// The value of a call that must not return -1.
#define SUCCEED(call)                                                                              \
    ({                                                                                             \
        __auto_type value_ = (call);                                                               \
        if (value_ == (__typeof__(value_))-1)                                                      \
            fail_at(__FILE__, __LINE__, "%s: %s", #call, strerror(errno));                         \
        value_;                                                                                    \
    })

// A call that must return -1 with that errno.
#define FAIL_WITH(call, error)                                                                     \
    do {                                                                                           \
        errno = 0;                                                                                 \
        require_error((int64_t)(call), error, __FILE__, __LINE__, #call);                          \
    } while (0)
void require_error(int64_t value, int error, const char *file, int line, const char *text);

// A pthread_ function, or anything else that returns an errno.
#define ZERO(call)                                                                                 \
    do {                                                                                           \
        int error_ = (call);                                                                       \
        if (error_ != 0)                                                                           \
            fail_at(__FILE__, __LINE__, "%s: %s", #call, strerror(error_));                        \
    } while (0)

// --- Where it runs ------------------------------------------------------------------------------

// A few results differ between a node and a processor with a Linux of its own, and are meant to.
// Such a test names both and why.
bool on_node(void);
#define BY_PLACE(native, node, why) (on_node() ? (node) : (native))

// The factor for times that must pass for something else to get done.
unsigned slowness(void);

// The path of a file that lies beside the program.
const char *beside(const char *name);

// A call that this kernel may have been built without, or that may not be allowed here.
#define SUCCEED_OR_SKIP(call, reason)                                                              \
    ({                                                                                             \
        __auto_type tried_ = (call);                                                               \
        if (tried_ == (__typeof__(tried_))-1) {                                                    \
            if (errno == ENOSYS || errno == EPERM || errno == EACCES)                              \
                skip(reason);                                                                      \
            fail_at(__FILE__, __LINE__, "%s: %s", #call, strerror(errno));                         \
        }                                                                                          \
        tried_;                                                                                    \
    })

// --- Processes ----------------------------------------------------------------------------------

// A child that runs the function and then ends with status 0; it dies with its parent.
pid_t child(void (*run)(void *), void *argument);

// Waits for a child, which must end with this status, or by this signal.
#define EXITS(pid, status) require_exit(pid, status, __FILE__, __LINE__)
void require_exit(pid_t pid, int status, const char *file, int line);
#define KILLED(pid, signal) require_killed(pid, signal, __FILE__, __LINE__)
void require_killed(pid_t pid, int signal, const char *file, int line);

// True when the function, called in a child, ends with status 0.
void in_child(void (*run)(void *), void *argument);

// From here on this process is one that has moved: another one, in its place, makes its system
// calls. A program all of whose tests are to run so has CORVUS_TEST_FORWARDED in its environment.
void become_forwarded(void);

// --- Small things that many tests need ----------------------------------------------------------

uint64_t now_ns(void);
void sleep_ms(unsigned milliseconds);

// Writes or reads all of it, or fails the test.
void write_all(int file, const void *bytes, size_t count);
void read_all(int file, void *bytes, size_t count);
void write_file(const char *path, const char *text);

// What is in a file, as a string in a static buffer of 64 KiB.
const char *read_file(const char *path);

// The number behind "name:" in a file such as /proc/self/status; -1 when it is not there.
long field_of(const char *path, const char *name);

// Bytes that depend on a seed and their position only.
void fill_pattern(void *bytes, size_t count, unsigned seed);
bool has_pattern(const void *bytes, size_t count, unsigned seed);

// Two processes that take turns: a pipe each way.
struct turns {
    int there[2], back[2];
};
void turns_open(struct turns *turns);
void parent_signals(struct turns *turns);
void parent_waits(struct turns *turns);
void child_signals(struct turns *turns);
void child_waits(struct turns *turns);
