// SPDX-License-Identifier: BSD-2-Clause
// Terminals, sessions, process groups and job control, on a pseudo terminal: what a shell relies
// on.
#include "harness.h"

#include <fcntl.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <termios.h>

static int master, slave;

static void open_terminal(void)
{
    if (openpty(&master, &slave, NULL, NULL, NULL) != 0)
        skip("there are no pseudo terminals here (devpts)");
}

// In a child: a session of its own with the terminal.
static void take_terminal(void)
{
    SUCCEED(setsid());
    SUCCEED(ioctl(slave, TIOCSCTTY, 0));
    SUCCEED(dup2(slave, 0));
}

static void expect_text(int file, const char *expected)
{
    char text[256];
    size_t length = strlen(expected);
    REQUIRE(length < sizeof text);
    read_all(file, text, length);
    text[length] = 0;
    if (memcmp(text, expected, length) != 0)
        FAIL("'%s' came, should be '%s'", text, expected);
}

// --- The line discipline ------------------------------------------------------------------------

TEST(lines, "lines are edited and echoed; raw mode gives bytes as they come")
{
    char text[64];
    open_terminal();
    write_all(master, "abx\177c\n", 6);
    expect_text(master, "abx\b \bc\r\n");
    REQUIRE_EQUAL(read(slave, text, sizeof text), 4);
    REQUIRE(memcmp(text, "abc\n", 4) == 0);
    write_all(master, "gone\025kept\nsecond\n", 17);
    REQUIRE_EQUAL(read(slave, text, sizeof text), 5); // one line a read
    REQUIRE_EQUAL(read(slave, text, sizeof text), 7);
    write_all(master, "\004", 1);
    REQUIRE_EQUAL(read(slave, text, sizeof text), 0);

    struct termios settings;
    SUCCEED(tcgetattr(slave, &settings));
    REQUIRE(settings.c_lflag & ICANON);
    cfmakeraw(&settings);
    settings.c_cc[VMIN] = 3;
    settings.c_cc[VTIME] = 0;
    SUCCEED(tcsetattr(slave, TCSAFLUSH, &settings));
    write_all(master, "a\003\004", 3);
    REQUIRE_EQUAL(read(slave, text, sizeof text), 3);
    REQUIRE(memcmp(text, "a\003\004", 3) == 0);
    settings.c_cc[VMIN] = 0;
    settings.c_cc[VTIME] = 1;
    SUCCEED(tcsetattr(slave, TCSANOW, &settings));
    REQUIRE_EQUAL(read(slave, text, sizeof text), 0); // after a tenth of a second
    write_all(slave, "out\n", 4);
}

TEST(window_size, "the window's size is kept, and a change is SIGWINCH to the foreground")
{
    struct winsize size = {.ws_row = 24, .ws_col = 80}, told;
    open_terminal();
    SUCCEED(ioctl(master, TIOCSWINSZ, &size));
    SUCCEED(ioctl(slave, TIOCGWINSZ, &told));
    REQUIRE(told.ws_row == 24 && told.ws_col == 80);
    pid_t process = fork();
    if (process == 0) {
        sigset_t set;
        siginfo_t info;
        sigemptyset(&set);
        sigaddset(&set, SIGWINCH);
        SUCCEED(sigprocmask(SIG_BLOCK, &set, NULL));
        take_terminal();
        write_all(slave, "r", 1);
        REQUIRE_EQUAL(sigwaitinfo(&set, &info), SIGWINCH);
        _exit(0);
    }
    expect_text(master, "r");
    size.ws_col = 100;
    SUCCEED(ioctl(master, TIOCSWINSZ, &size));
    EXITS(process, 0);
    REQUIRE(isatty(slave) && !isatty(SUCCEED(open("/dev/null", O_RDONLY))));
}

// --- Signals of the terminal --------------------------------------------------------------------

static void wait_on_terminal(void *argument)
{
    (void)argument;
    close(master); // or there is no hangup when the parent closes its own
    take_terminal();
    write_all(slave, "r", 1);
    for (;;)
        pause();
}

TEST(keys, "Ctrl-C, Ctrl-\\ and Ctrl-Z are SIGINT, SIGQUIT and SIGTSTP for the foreground")
{
    static const struct {
        const char *key;
        int signal;
    } keys[] = {{"\003", SIGINT}, {"\034", SIGQUIT}};
    for (int i = 0; i < 2; i++) {
        open_terminal();
        pid_t process = child(wait_on_terminal, NULL);
        expect_text(master, "r");
        write_all(master, keys[i].key, 1);
        KILLED(process, keys[i].signal);
    }
    open_terminal();
    pid_t shell = fork(); // whose group is not orphaned, or SIGTSTP would be ignored
    if (shell == 0) {
        take_terminal();
        pid_t job = fork();
        if (job == 0) {
            SUCCEED(setpgid(0, 0));
            for (;;)
                pause();
        }
        setpgid(job, job);
        signal(SIGTTOU, SIG_IGN);
        SUCCEED(tcsetpgrp(0, job));
        write_all(slave, "r", 1);
        int status;
        REQUIRE_EQUAL(waitpid(job, &status, WUNTRACED), job);
        REQUIRE(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTSTP);
        SUCCEED(tcsetpgrp(0, getpgrp()));
        SUCCEED(kill(-job, SIGCONT));
        SUCCEED(kill(-job, SIGKILL));
        _exit(0);
    }
    expect_text(master, "r");
    write_all(master, "\032", 1);
    EXITS(shell, 0);
}

static void use_terminal_from_background(void *argument)
{
    bool writes = argument != NULL;
    SUCCEED(setpgid(0, 0));
    struct termios settings;
    SUCCEED(tcgetattr(0, &settings));
    settings.c_lflag |= TOSTOP;
    char byte;
    if (writes)
        SUCCEED(tcsetattr(0, TCSANOW, &settings)); // SIGTTOU
    else
        SUCCEED(read(0, &byte, 1)); // SIGTTIN
}

TEST(background, "a background job is stopped by SIGTTIN when it reads, by SIGTTOU when it changes")
{
    open_terminal();
    pid_t shell = fork();
    if (shell == 0) {
        take_terminal();
        for (uintptr_t writes = 0; writes <= 1; writes++) {
            int status;
            pid_t job = child(use_terminal_from_background, (void *)writes);
            REQUIRE_EQUAL(waitpid(job, &status, WUNTRACED), job);
            REQUIRE(WIFSTOPPED(status));
            REQUIRE_EQUAL(WSTOPSIG(status), writes ? SIGTTOU : SIGTTIN);
            // Into the foreground, where it may.
            SUCCEED(tcsetpgrp(0, job));
            REQUIRE_EQUAL(tcgetpgrp(0), job);
            SUCCEED(kill(-job, SIGCONT));
            if (!writes)
                write_all(slave, "r", 1); // now its line is typed
            EXITS(job, 0);
            signal(SIGTTOU, SIG_IGN);
            SUCCEED(tcsetpgrp(0, getpgrp()));
            signal(SIGTTOU, SIG_DFL);
        }
        _exit(0);
    }
    expect_text(master, "r");
    write_all(master, "x\n", 2);
    EXITS(shell, 0);
}

TEST(hangup, "closing the terminal is SIGHUP to its session; a session leader's end to its group")
{
    open_terminal();
    pid_t process = child(wait_on_terminal, NULL);
    close(slave);
    expect_text(master, "r");
    close(master);
    KILLED(process, SIGHUP);

    int ends[2];
    char byte;
    SUCCEED(pipe(ends));
    open_terminal();
    process = fork();
    if (process == 0) {
        take_terminal();
        if (fork() == 0) {
            signal(SIGHUP, SIG_DFL);
            close(ends[0]);
            for (;;)
                pause();
        }
        _exit(0);
    }
    EXITS(process, 0);
    close(ends[1]);
    REQUIRE_EQUAL(read(ends[0], &byte, 1), 0); // it has been hung up
}

// --- Groups and sessions ------------------------------------------------------------------------

static void check_groups(void *argument)
{
    (void)argument;
    pid_t self = getpid();
    REQUIRE(getpgrp() != self);
    SUCCEED(setpgid(0, 0));
    REQUIRE_EQUAL(getpgrp(), self);
    FAIL_WITH(setsid(), EPERM); // leads a group
    FAIL_WITH(setpgid(0, 99999), EPERM);
    FAIL_WITH(setpgid(99999, 0), ESRCH);
    pid_t process = fork();
    if (process == 0) {
        REQUIRE_EQUAL(setsid(), getpid());
        REQUIRE_EQUAL(getsid(0), getpid());
        REQUIRE_EQUAL(getpgrp(), getpid());
        FAIL_WITH(setpgid(0, 0), EPERM); // leads a session
        FAIL_WITH(open("/dev/tty", O_RDWR), ENXIO);
        _exit(0);
    }
    EXITS(process, 0);
}

TEST(groups_and_sessions, "setpgid, setsid, getsid and what they refuse")
{
    in_child(check_groups, NULL);
}

static volatile sig_atomic_t continued;

static void on_continue(int number)
{
    continued = number;
}

TEST(orphaned_group, "a stopped group that is orphaned gets SIGHUP and SIGCONT")
{
    int ends[2];
    char byte = 0;
    SUCCEED(pipe(ends));
    pid_t leader = fork();
    if (leader == 0) {
        SUCCEED(setsid());
        pid_t process = fork();
        if (process == 0) {
            SUCCEED(setpgid(0, 0));
            signal(SIGCONT, on_continue);
            signal(SIGHUP, SIG_IGN);
            raise(SIGSTOP);
            write_all(ends[1], continued ? "c" : "?", 1);
            _exit(0);
        }
        int status;
        REQUIRE_EQUAL(waitpid(process, &status, WUNTRACED), process);
        _exit(0); // leaves it orphaned
    }
    EXITS(leader, 0);
    read_all(ends[0], &byte, 1);
    REQUIRE_EQUAL(byte, 'c');
}
