// SPDX-License-Identifier: GPL-2.0-only
// What ARCH=um's own drivers, and code of it that has no purpose here, call of a C library: reading
// and writing the console; for the rest, an honest refusal.
#include "vcpu_page.h"

#include <errno.h>
#include <fcntl.h>
#include <os.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

extern char _end[];

static int error_number;

int *__errno_location(void)
{
    return &error_number;
}

static long result(long value)
{
    if (value >= 0)
        return value;
    errno = (int)-value;
    return -1;
}

// --- Descriptors ---------------------------------------------------------------------------------

ssize_t read(int fd, void *buffer, size_t bytes)
{
    return result(os_read_file(fd, buffer, (int)bytes));
}

ssize_t write(int fd, const void *buffer, size_t bytes)
{
    return result(os_write_file(fd, buffer, (int)bytes));
}

int close(int fd)
{
    os_close_file(fd);
    return 0;
}

int open64(const char *file, int flags, ...)
{
    (void)file;
    (void)flags;
    return (int)result(-ENOENT);
}

int ioctl(int fd, unsigned long request, ...)
{
    (void)fd;
    (void)request;
    return (int)result(-ENOTTY);
}

// Linux does the line's editing itself, so its end at init needs no setting up.
int isatty(int fd)
{
    (void)fd;
    return (int)result(-ENOTTY) + 1;
}

int raw(int fd)
{
    (void)fd;
    return 0;
}

int tcgetattr(int fd, struct termios *termios)
{
    (void)fd;
    (void)termios;
    return (int)result(-ENOTTY);
}

int tcsetattr(int fd, int actions, const struct termios *termios)
{
    (void)fd;
    (void)actions;
    (void)termios;
    return (int)result(-ENOTTY);
}

pid_t tcgetpgrp(int fd)
{
    (void)fd;
    return (pid_t)result(-ENOTTY);
}

int tcsetpgrp(int fd, pid_t group)
{
    (void)fd;
    (void)group;
    return (int)result(-ENOTTY);
}

// --- Memory --------------------------------------------------------------------------------------

// Where Linux may begin to take memory for itself.
void *sbrk(intptr_t increment)
{
    (void)increment;
    return (void *)server_boot.image_end;
}

unsigned long strtoul(const char *text, char **end, int base)
{
    unsigned long value = 0;

    (void)base;
    while (*text >= '0' && *text <= '9')
        value = value * 10 + (unsigned long)(*text++ - '0');
    if (end != NULL)
        *end = (char *)text;
    return value;
}

// --- Signals, helper threads and stub processes: there are none ----------------------------------

int sigemptyset(sigset_t *set)
{
    *set = (sigset_t){0};
    return 0;
}

int sigfillset(sigset_t *set)
{
    *set = (sigset_t){0};
    return 0;
}

int sigaddset(sigset_t *set, int signal)
{
    (void)set;
    (void)signal;
    return 0;
}

int sigdelset(sigset_t *set, int signal)
{
    (void)set;
    (void)signal;
    return 0;
}

int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
    (void)how;
    (void)set;
    (void)old;
    return 0;
}

int sigsuspend(const sigset_t *set)
{
    (void)set;
    return (int)result(-EINTR);
}

__sighandler_t signal(int number, __sighandler_t handler)
{
    (void)number;
    (void)handler;
    return SIG_DFL;
}

pid_t setsid(void)
{
    return (pid_t)result(-EPERM);
}

long ptrace(enum __ptrace_request request, ...)
{
    (void)request;
    return result(-ENOSYS);
}

int run_helper_thread(int (*proc)(void *), void *arg, unsigned int flags, unsigned long *stack_out)
{
    (void)proc;
    (void)arg;
    (void)flags;
    (void)stack_out;
    return -ENOSYS;
}

// modify_ldt. Read: a table with one empty entry, so that Linux sees nothing to clear. To write one
// is not to be had.
#define LDT_ENTRY_BYTES 8
long syscall(long number, ...)
{
    return number == SYS_modify_ldt ? LDT_ENTRY_BYTES : result(-ENOSYS);
}

struct mm_id;

long run_syscall_stub(struct mm_id *mm_idp, int number, unsigned long *args, long expected,
                      void **addr, int done)
{
    (void)mm_idp;
    (void)number;
    (void)args;
    (void)expected;
    (void)addr;
    (void)done;
    return -ENOSYS;
}

long syscall_stub_data(struct mm_id *mm_idp, unsigned long *data, int data_count, void **addr,
                       void **stub_addr)
{
    (void)mm_idp;
    (void)data;
    (void)data_count;
    (void)addr;
    (void)stub_addr;
    return -ENOSYS;
}

int parse_iomem(char *str, int *add);
int parse_iomem(char *str, int *add)
{
    (void)str;
    (void)add;
    os_warn("iomem= is not to be had here\n");
    return 0;
}
