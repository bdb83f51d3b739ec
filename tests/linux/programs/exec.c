// SPDX-License-Identifier: BSD-2-Clause
// Starting programs: static, static-pie, dynamic and position independent ones, scripts with their
// interpreters; what survives exec and what does not; and what cannot be executed.
#include "harness.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

extern char **environ;

// Runs a program in a child with standard output going to a file, and returns what it said.
struct execution {
    const char *path;
    char **arguments;
    void (*before)(void);
};

static void execute(void *argument)
{
    const struct execution *execution = argument;
    int output = SUCCEED(open("output", O_WRONLY | O_CREAT | O_TRUNC, 0600));
    SUCCEED(dup2(output, 1));
    close(output);
    if (execution->before != NULL)
        execution->before();
    execv(execution->path, execution->arguments);
    _exit(127);
}

static const char *output_of(const char *path, char **arguments, void (*before)(void))
{
    struct execution execution = {path, arguments, before};
    in_child(execute, &execution);
    return read_file("output");
}

static void require_lines(const char *text, const char *expected)
{
    if (strcmp(text, expected) != 0)
        FAIL("the program said:\n%s\nshould be:\n%s", text, expected);
}

// --- Kinds of programs --------------------------------------------------------------------------

static void run_subject(const char *name)
{
    static char path[4096], expected[8192];
    snprintf(path, sizeof path, "%s", beside(name));
    if (access(path, X_OK) != 0)
        FAIL("%s is not there", path);
    char *arguments[] = {path, "second", "", "fourth argument", NULL};
    SUCCEED(setenv("SUBJECT", "word", 1));
    const char *text = output_of(path, arguments, NULL);
    snprintf(expected, sizeof expected,
             "argument 0: %.200s\nargument 1: second\nargument 2: \nargument 3: fourth argument\n"
             "environment: word\n",
             path);
    require_lines(text, expected);
}

TEST(static_program, "a static program")
{
    run_subject("subject-static");
}

TEST(static_pie, "a static position independent program")
{
    run_subject("subject-static-pie");
}

TEST(dynamic_program, "a dynamically linked program")
{
    run_subject("subject-dynamic");
}

TEST(dynamic_pie, "a dynamically linked position independent program")
{
    run_subject("subject-pie");
}

TEST(loader_by_hand, "the dynamic loader called by hand with a program to run")
{
    static char path[4096];
    snprintf(path, sizeof path, "%s", beside("subject-pie"));
    char *arguments[] = {"/lib64/ld-linux-x86-64.so.2", path, "x", NULL};
    const char *text = output_of(arguments[0], arguments, NULL);
    REQUIRE(strstr(text, "argument 1: x\nenvironment") != NULL);
}

// --- Scripts ------------------------------------------------------------------------------------

static void make_script(const char *path, const char *text)
{
    write_file(path, text);
    SUCCEED(chmod(path, 0755));
}

TEST(script, "a script: the interpreter gets its one argument, the script's path, the arguments")
{
    static char text[8192], subject[4096], expected[8192];
    snprintf(subject, sizeof subject, "%s", beside("subject-static"));
    snprintf(text, sizeof text, "#!  %s  one two \nignored\n", subject);
    make_script("script", text);
    char *arguments[] = {"lost", "a", "b", NULL};
    SUCCEED(unsetenv("SUBJECT"));
    snprintf(expected, sizeof expected,
             "argument 0: %.200s\nargument 1: one two\nargument 2: ./script\nargument 3: a\n"
             "argument 4: b\nenvironment: (none)\n",
             subject);
    require_lines(output_of("./script", arguments, NULL), expected);
}

TEST(script_of_script, "an interpreter that is itself a script, but not endlessly")
{
    static char text[8192], subject[4096], expected[8192];
    snprintf(subject, sizeof subject, "%s", beside("subject-static"));
    snprintf(text, sizeof text, "#!%s inner\n", subject);
    make_script("inner", text);
    make_script("outer", "#!./inner outer\n");
    char *arguments[] = {"lost", "a", NULL};
    SUCCEED(unsetenv("SUBJECT"));
    snprintf(expected, sizeof expected,
             "argument 0: %.200s\nargument 1: inner\nargument 2: ./inner\nargument 3: outer\n"
             "argument 4: ./outer\nargument 5: a\nenvironment: (none)\n",
             subject);
    require_lines(output_of("./outer", arguments, NULL), expected);
    make_script("loop", "#!./loop\n");
    FAIL_WITH(execl("./loop", "loop", NULL), ELOOP);
}

TEST(bad_programs, "what cannot be executed, and why")
{
    make_script("missing", "#!/no/such/interpreter\n");
    FAIL_WITH(execl("./missing", "x", NULL), ENOENT);
    FAIL_WITH(execl("./nothing", "x", NULL), ENOENT);
    make_script("text", "no program at all\n");
    FAIL_WITH(execl("./text", "x", NULL), ENOEXEC);
    make_script("empty", "");
    FAIL_WITH(execl("./empty", "x", NULL), ENOEXEC);
    write_file("plain", "#!/bin/sh\n");
    FAIL_WITH(execl("./plain", "x", NULL), EACCES);
    FAIL_WITH(execl("/", "x", NULL), EACCES);
    FAIL_WITH(execl("./plain/x", "x", NULL), ENOTDIR);
    FAIL_WITH(syscall(SYS_execve, (void *)8, NULL, NULL), EFAULT);
    char *arguments[] = {"x", NULL};
    FAIL_WITH(syscall(SYS_execve, "./text", (void *)8, environ), EFAULT);
    // Headers that say more than the file has.
    make_script("magic", "\177ELF");
    REQUIRE_EQUAL(execv("./magic", arguments), -1);
    uint8_t header[64] = {0x7f,      'E',       'L',       'F',       2,
                          1,         1,         [16] = 2,  [18] = 62, [20] = 1,
                          [32] = 64, [52] = 64, [54] = 56, [56] = 200};
    int file = SUCCEED(open("truncated", O_WRONLY | O_CREAT, 0755));
    write_all(file, header, sizeof header);
    close(file);
    REQUIRE_EQUAL(execv("./truncated", arguments), -1);
}

static void copy_program(const char *from, const char *to)
{
    int in = SUCCEED(open(from, O_RDONLY)), out = SUCCEED(open(to, O_WRONLY | O_CREAT, 0755));
    char bytes[65536];
    ssize_t count;
    while ((count = SUCCEED(read(in, bytes, sizeof bytes))) > 0)
        write_all(out, bytes, (size_t)count);
    close(in);
    close(out);
}

static void sleep_in_copy(void *argument)
{
    (void)argument;
    // Stays: opening a fifo that nobody writes.
    char *arguments[] = {"./copy", NULL};
    execv("./copy", arguments);
    _exit(127);
}

TEST(busy_text, "a running program cannot be written, a file being written not executed")
{
    copy_program(beside("pause"), "copy");
    int file = SUCCEED(open("copy", O_WRONLY));
    FAIL_WITH(execl("./copy", "copy", NULL), ETXTBSY);
    close(file);
    pid_t process = child(sleep_in_copy, NULL);
    for (int i = 0; i < 1000; i++) {
        file = open("copy", O_WRONLY);
        if (file < 0)
            break;
        close(file);
        sleep_ms(5);
    }
    REQUIRE(file < 0 && errno == ETXTBSY);
    SUCCEED(unlink("copy")); // but removed it can be
    SUCCEED(kill(process, SIGKILL));
    KILLED(process, SIGKILL);
}

TEST(hostile_program,
     "an ELF file that asks for the kernel's addresses or the server's: killed or refused")
{
    static const uint64_t addresses[] = {0, 0x1000, 0x7ffffffff000, 0xffff800000000000,
                                         0xffffffff80000000};
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        struct {
            uint8_t ident[16];
            uint16_t type, machine;
            uint32_t version;
            uint64_t entry, segments, sections;
            uint32_t flags;
            uint16_t size, segment_size, segment_count, rest[3];
            uint32_t kind, access;
            uint64_t offset, address, physical, file_size, memory_size, align;
        } program = {{0x7f, 'E', 'L', 'F', 2, 1, 1},
                     2,
                     62,
                     1,
                     addresses[i] + 0x100,
                     64,
                     0,
                     0,
                     64,
                     56,
                     1,
                     {0},
                     1,
                     5,
                     0,
                     addresses[i],
                     0,
                     120,
                     0x10000,
                     0x1000};
        _Static_assert(sizeof program == 120, "header and one segment");
        SUCCEED(unlink("hostile") == 0 || errno == ENOENT ? 0 : -1);
        int file = SUCCEED(open("hostile", O_WRONLY | O_CREAT, 0755));
        write_all(file, &program, sizeof program);
        close(file);
        pid_t process = fork();
        if (process == 0) {
            execl("./hostile", "hostile", NULL);
            _exit(126);
        }
        int status;
        SUCCEED(waitpid(process, &status, 0));
        // There is nothing but zeros to execute in it: `add %al, (%rax)` with rax 0.
        if (addresses[i] >= 0x7ffffffff000)
            REQUIRE(WIFSIGNALED(status) || WEXITSTATUS(status) == 126);
        else
            REQUIRE((WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV) ||
                    (WIFEXITED(status) && WEXITSTATUS(status) == 126));
    }
}

// --- What survives exec -------------------------------------------------------------------------

static void end_handler(int number)
{
    _exit(number);
}

static void set_up_process(void)
{
    SUCCEED(fcntl(SUCCEED(open("/dev/null", O_RDONLY)), F_DUPFD, 10));
    SUCCEED(fcntl(0, F_DUPFD_CLOEXEC, 12));
    SUCCEED(close(3));
    struct sigaction action = {.sa_handler = SIG_IGN};
    SUCCEED(sigaction(SIGUSR1, &action, NULL));
    action.sa_handler = end_handler;
    SUCCEED(sigaction(SIGUSR2, &action, NULL));
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    SUCCEED(sigprocmask(SIG_BLOCK, &set, NULL));
}

TEST(survives, "mask, ignored signals and open files survive exec; handlers and close-on-exec not")
{
    static char path[4096], expected[8192];
    snprintf(path, sizeof path, "%s", beside("subject-static"));
    char *arguments[] = {path, NULL};
    SUCCEED(unsetenv("SUBJECT"));
    const char *text = output_of(path, arguments, set_up_process);
    snprintf(expected, sizeof expected,
             "argument 0: %.200s\nenvironment: (none)\nfile 10\nignored 10\nblocked 15\n", path);
    require_lines(text, expected);
}

static void *exec_from_thread(void *argument)
{
    execl(argument, argument, NULL);
    _exit(127);
}

static void *spin(void *argument)
{
    for (;;)
        __asm__ volatile("pause");
    return argument;
}

static void exec_beside_threads(void *argument)
{
    pthread_t thread;
    for (int i = 0; i < 3; i++)
        ZERO(pthread_create(&thread, NULL, spin, NULL));
    int output = SUCCEED(open("output", O_WRONLY | O_CREAT | O_TRUNC, 0600));
    SUCCEED(dup2(output, 1));
    ZERO(pthread_create(&thread, NULL, exec_from_thread, argument));
    for (;;)
        pause();
}

TEST(exec_in_thread, "exec by a thread ends the others and takes over the process id")
{
    static char path[4096];
    snprintf(path, sizeof path, "%s", beside("subject-static"));
    in_child(exec_beside_threads, path);
    REQUIRE(strncmp(read_file("output"), "argument 0", 10) == 0);
}

TEST(by_descriptor, "fexecve, execveat, and a program in a memfd")
{
    static char path[4096];
    snprintf(path, sizeof path, "%s", beside("subject-static"));
    char *arguments[] = {path, "x", NULL};
    int program = SUCCEED(open(path, O_RDONLY | O_CLOEXEC));
    pid_t process = fork();
    if (process == 0) {
        SUCCEED(dup2(SUCCEED(open("/dev/null", O_WRONLY)), 1));
        syscall(SYS_execveat, program, "", arguments, environ, AT_EMPTY_PATH);
        _exit(127);
    }
    EXITS(process, 0);

    int memory = SUCCEED(memfd_create("program", MFD_CLOEXEC));
    char bytes[65536];
    ssize_t count;
    while ((count = SUCCEED(read(program, bytes, sizeof bytes))) > 0)
        write_all(memory, bytes, (size_t)count);
    process = fork();
    if (process == 0) {
        SUCCEED(dup2(SUCCEED(open("/dev/null", O_WRONLY)), 1));
        fexecve(memory, arguments, environ);
        _exit(127);
    }
    EXITS(process, 0);
}

// --- Arguments ----------------------------------------------------------------------------------

TEST(long_arguments, "arguments of a megabyte arrive; one string above 128 KiB is E2BIG")
{
    static char path[4096], word[128 * 1024 + 1];
    snprintf(path, sizeof path, "%s", beside("subject-static"));
    memset(word, 'w', sizeof word - 1);
    char *arguments[20] = {path};
    word[131072 - 1] = 0; // with its end exactly 128 KiB
    for (int i = 1; i < 10; i++)
        arguments[i] = word;
    const char *text = output_of(path, arguments, NULL);
    REQUIRE(strstr(text, "argument 9: wwww") != NULL);
    word[131072 - 1] = 'w';
    arguments[2] = NULL;
    FAIL_WITH(execv(path, arguments), E2BIG);
    // A quarter of the stack's limit for all of them.
    char **many = calloc(100000, sizeof *many);
    REQUIRE(many != NULL);
    word[1000] = 0;
    for (int i = 0; i < 99999; i++)
        many[i] = word;
    FAIL_WITH(execv(path, many), E2BIG);
    free(many);
}

TEST(names, "the process's name is the file's, and /proc tells program and arguments")
{
    char *arguments[] = {"other", "one", NULL};
    pid_t process = fork();
    if (process == 0) {
        execv(beside("pause"), arguments);
        _exit(127);
    }
    char path[64], link[4096];
    snprintf(path, sizeof path, "/proc/%d/comm", process);
    while (strcmp(read_file(path), "pause\n") != 0)
        sleep_ms(2);
    snprintf(path, sizeof path, "/proc/%d/cmdline", process);
    while (read_file(path)[0] == '\0')
        sleep_ms(2); // the name is there before the arguments are
    REQUIRE(memcmp(read_file(path), "other\0one", 10) == 0);
    snprintf(path, sizeof path, "/proc/%d/exe", process);
    ssize_t length = SUCCEED(readlink(path, link, sizeof link - 1));
    link[length] = 0;
    REQUIRE(strcmp(link, beside("pause")) == 0);
    SUCCEED(kill(process, SIGKILL));
    KILLED(process, SIGKILL);
}
