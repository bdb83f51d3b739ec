// SPDX-License-Identifier: BSD-2-Clause
// Standard input and output over the console hooks.
#include "lib/console.h"
#include "lib/hooks.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

// A vector up to this size reaches the console in one piece, so that the lines
// of several tasks do not mix.
#define CONSOLE_GATHER_BYTES 464u

long console_read_file(int file, void *text, size_t bytes)
{
    if (file != STDIN_FILENO)
        return -EBADF;
    if (bytes == 0)
        return 0;
    return runtime_hooks.console_read(text, &bytes) == ERR_OK ? (long)bytes : -EIO;
}

long console_write_file(int file, const void *text, size_t bytes)
{
    if (file != STDOUT_FILENO && file != STDERR_FILENO)
        return -EBADF;
    if (bytes > LONG_MAX)
        return -EINVAL;
    if (bytes == 0)
        return 0;
    return runtime_hooks.console_write(text, bytes) == ERR_OK ? (long)bytes : -EIO;
}

long console_read_vector(int file, const struct iovec *parts, int count)
{
    long total = 0;

    if (count < 0 || count > IOV_MAX)
        return -EINVAL;
    for (int i = 0; i < count; i++) {
        long bytes = console_read_file(file, parts[i].iov_base, parts[i].iov_len);
        if (bytes < 0)
            return total > 0 ? total : bytes;
        total += bytes;
        if ((size_t)bytes < parts[i].iov_len)
            break;
    }
    return total;
}

// Copies all parts into one buffer; false when they are too long for it.
static int gather(const struct iovec *parts, int count, char *buffer, size_t *bytes)
{
    *bytes = 0;
    for (int i = 0; i < count; i++) {
        if (parts[i].iov_len > CONSOLE_GATHER_BYTES - *bytes)
            return 0;
        if (parts[i].iov_len != 0)
            memcpy(buffer + *bytes, parts[i].iov_base, parts[i].iov_len);
        *bytes += parts[i].iov_len;
    }
    return 1;
}

long console_write_vector(int file, const struct iovec *parts, int count)
{
    char buffer[CONSOLE_GATHER_BYTES];
    size_t bytes;
    long total = 0;

    if (count < 0 || count > IOV_MAX)
        return -EINVAL;
    if (gather(parts, count, buffer, &bytes))
        return console_write_file(file, buffer, bytes);
    for (int i = 0; i < count; i++) {
        long written = console_write_file(file, parts[i].iov_base, parts[i].iov_len);
        if (written < 0)
            return total > 0 ? total : written;
        total += written;
    }
    return total;
}

long console_control(int file, long request, void *argument)
{
    if (file < STDIN_FILENO || file > STDERR_FILENO)
        return -EBADF;
    if (request != TIOCGWINSZ)
        return -ENOTTY;
    // A terminal of unknown size. stdio then writes line by line, so that what
    // a program printed before it died is seen.
    memset(argument, 0, sizeof(struct winsize));
    return 0;
}
