// SPDX-License-Identifier: BSD-2-Clause
// Runs the tests of a program, each in a process of its own, and prints TAP. With arguments, only
// the tests with these names; --list prints the names.
#include "harness.h"

#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

// Exit statuses of a test's process. 1 is left to children that fail for reasons of their own.
#define STATUS_FAILED  97
#define STATUS_SKIPPED 98

static struct test *first_test, **last_link = &first_test;

// The process of the running test: only that one's exit status says skipped. And the file that has
// the reason then.
static pid_t test_process;
static char skip_file[PATH_MAX];

void test_register(struct test *test)
{
    *last_link = test;
    last_link = &test->next;
}

// --- What a test says ---------------------------------------------------------------------------

__attribute__((format(printf, 2, 0))) static void write_line(const char *prefix, const char *format,
                                                             va_list arguments)
{
    char line[1024];
    int length = snprintf(line, sizeof line, "%s", prefix);
    length += vsnprintf(line + length, sizeof line - (size_t)length - 1, format, arguments);
    if (length > (int)sizeof line - 2)
        length = (int)sizeof line - 2;
    // One line of TAP, whatever it tells of.
    for (int i = 0; i < length; i++)
        if (line[i] == '\n')
            line[i] = '|';
    line[length++] = '\n';
    // Nothing can be said about output that does not work but that the plan will not be complete.
    if (write(STDOUT_FILENO, line, (size_t)length) != length)
        _exit(STATUS_FAILED);
}

void remark(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line("# ", format, arguments);
    va_end(arguments);
}

void fail_at(const char *file, int line, const char *format, ...)
{
    char text[768];
    int saved = errno;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    remark("%s:%d: %s (errno %d)", file, line, text, saved);
    _exit(STATUS_FAILED);
}

void skip(const char *reason)
{
    if (getpid() != test_process)
        fail_at(__FILE__, __LINE__, "skipped in a child: %s", reason);
    // The parent reads it back: it belongs on the line of the result.
    write_file(skip_file, reason);
    _exit(STATUS_SKIPPED);
}

void require_equal(uint64_t actual, uint64_t expected, const char *file, int line, const char *text)
{
    if (actual != expected)
        fail_at(file, line, "%s is %#llx (%lld), not %#llx (%lld)", text,
                (unsigned long long)actual, (long long)actual, (unsigned long long)expected,
                (long long)expected);
}

void require_error(int64_t value, int error, const char *file, int line, const char *text)
{
    if (value != -1)
        fail_at(file, line, "%s succeeded with %lld; should be %s", text, (long long)value,
                strerror(error));
    if (errno != error)
        fail_at(file, line, "%s: %s, should be %s", text, strerror(errno), strerror(error));
}

// --- Where it runs ------------------------------------------------------------------------------

bool on_node(void)
{
    const char *place = getenv("CORVUS_TEST_PLACE");
    return place != NULL && strcmp(place, "node") == 0;
}

unsigned slowness(void)
{
    const char *text = getenv("CORVUS_TEST_SLOWNESS");
    unsigned factor = text == NULL ? 1 : (unsigned)strtoul(text, NULL, 10);
    return factor == 0 ? 1 : factor;
}

const char *beside(const char *name)
{
    static char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length < 0)
        FAIL("/proc/self/exe cannot be read");
    path[length] = 0;
    char *slash = strrchr(path, '/');
    // The dynamic variants lie one folder below the rest.
    static const char dynamic[] = "/dynamic";
    size_t folder = (size_t)(slash - path), end = sizeof dynamic - 1;
    if (folder >= end && memcmp(slash - end, dynamic, end) == 0)
        slash -= end;
    snprintf(slash + 1, sizeof path - (size_t)(slash + 1 - path), "%s", name);
    return path;
}

// --- Running the tests --------------------------------------------------------------------------

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    // What cannot be removed (a mount that a test left) stays; the folder's name is unique.
    (void)remove(path);
    return 0;
}

// In the new process: what a test may rely on, whatever the tests before it and the caller did.
static void enter_test(const struct test *test, const char *folder)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getenv("CORVUS_TEST_FORWARDED") != NULL)
        become_forwarded();
    test_process = getpid();
    struct rlimit no_core = {0, RLIM_INFINITY};
    getrlimit(RLIMIT_CORE, &no_core);
    no_core.rlim_cur = 0;
    setrlimit(RLIMIT_CORE, &no_core);
    syscall(SYS_close_range, 3, ~0u, 0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (chdir(folder) != 0)
        FAIL("cannot enter %s", folder);
    test->run();
    fflush(NULL);
    _exit(0);
}

// Waits for the test's process; false when the time is over.
static bool await(pid_t process, unsigned seconds, int *status)
{
    struct timespec start, now, step = {0, 5000000};
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (;;) {
        pid_t ended = waitpid(process, status, WNOHANG);
        if (ended == process)
            return true;
        if (ended < 0)
            FAIL("waitpid: %s", strerror(errno));
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec - start.tv_sec > (time_t)seconds)
            return false;
        nanosleep(&step, NULL);
        if (step.tv_nsec < 40000000)
            step.tv_nsec += step.tv_nsec / 4;
    }
}

static bool run_test(const struct test *test, unsigned number)
{
    const char *base = getenv("CORVUS_TEST_FOLDER");
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/linux-test.XXXXXX", base == NULL ? "/tmp" : base);
    if (mkdtemp(path) == NULL || chmod(path, 0755) != 0) {
        printf("Bail out! no folder %s: %s\n", path, strerror(errno));
        exit(1);
    }
    snprintf(skip_file, sizeof skip_file, "%.4000s/.skipped", path);
    fflush(stdout);
    pid_t process = fork();
    if (process == 0)
        enter_test(test, path);
    int status = 0;
    bool in_time = process > 0 && await(process, test->seconds * slowness(), &status);
    if (process > 0) {
        // Whatever it has left behind, too.
        kill(-process, SIGKILL);
        if (!in_time)
            waitpid(process, &status, 0);
        while (waitpid(-1, NULL, WNOHANG) > 0)
            continue;
    }

    bool passed = in_time && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    bool skips = in_time && WIFEXITED(status) && WEXITSTATUS(status) == STATUS_SKIPPED;
    if (process < 0)
        remark("cannot fork: %s", strerror(errno));
    else if (!in_time)
        remark("not done within %u seconds", test->seconds * slowness());
    else if (WIFSIGNALED(status))
        remark("killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else if (!passed && !skips && WEXITSTATUS(status) != STATUS_FAILED)
        remark("ended with status %d", WEXITSTATUS(status));
    printf("%sok %u - %s: %s", passed || skips ? "" : "not ", number, test->name, test->text);
    if (skips) {
        printf(" # SKIP %s", read_file(skip_file));
    }
    printf("\n");
    fflush(stdout);
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    return passed || skips;
}

// Whether CORVUS_TEST_FORWARDED names the test among those that are left out.
static bool is_left_out(const struct test *test)
{
    const char *names = getenv("CORVUS_TEST_FORWARDED");
    size_t length = strlen(test->name);
    for (; names != NULL; names = strchr(names, ',') == NULL ? NULL : strchr(names, ',') + 1)
        if (strncmp(names, test->name, length) == 0 && (names[length] == ',' || names[length] == 0))
            return true;
    return false;
}

static bool is_wanted(const struct test *test, int count, char **names)
{
    for (int i = 1; i < count; i++)
        if (strcmp(names[i], test->name) == 0)
            return true;
    return count < 2 && !is_left_out(test);
}

int main(int count, char **arguments)
{
    unsigned planned = 0, number = 0, failures = 0;
    // Leftovers of a test come to us, not to init.
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    for (struct test *test = first_test; test != NULL; test = test->next) {
        if (count == 2 && strcmp(arguments[1], "--list") == 0)
            printf("%s\n", test->name);
        planned += is_wanted(test, count, arguments);
    }
    if (count == 2 && strcmp(arguments[1], "--list") == 0)
        return 0;
    if (planned == 0) {
        fprintf(stderr, "%s: no test is called so; --list shows them\n", arguments[0]);
        return 2;
    }
    printf("1..%u\n", planned);
    for (struct test *test = first_test; test != NULL; test = test->next)
        if (is_wanted(test, count, arguments))
            failures += !run_test(test, ++number);
    return failures == 0 ? 0 : 1;
}
