// SPDX-License-Identifier: GPL-2.0-only
// Files of the kernel, and what is said when they are not there.
#include "corvus.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// No counters and no trace ring are larger.
#define FILE_MAX ((size_t)64 << 20)

int fail(const char *what, const char *why)
{
    fprintf(stderr, "corvus: %s: %s\n", what, why);
    return STATUS_FAILED;
}

int fail_errno(const char *what)
{
    return fail(what, strerror(errno));
}

static int open_file(const struct options *options, const char *name, int flags)
{
    char path[512];
    int length = snprintf(path, sizeof path, "%s/%s", options->folder, name);
    if (length < 0 || (size_t)length >= sizeof path) {
        fail(options->folder, "the name is too long");
        return -1;
    }
    int file = open(path, flags | O_CLOEXEC);
    if (file < 0)
        fail(path, errno == ENOENT ? "is not there; is this the Linux of a Corvus node?"
                                   : strerror(errno));
    return file;
}

// True when all was read.
static bool read_all(int file, char **bytes, size_t *size)
{
    size_t room = 16384;
    *bytes = malloc(room + 1);
    *size = 0;
    while (*bytes != NULL) {
        ssize_t got = read(file, *bytes + *size, room - *size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return false;
        if (got == 0) {
            (*bytes)[*size] = 0;
            return true;
        }
        *size += (size_t)got;
        if (*size < room)
            continue;
        if (room >= FILE_MAX) {
            errno = EFBIG;
            return false;
        }
        room *= 2;
        char *larger = realloc(*bytes, room + 1);
        if (larger == NULL)
            break;
        *bytes = larger;
    }
    errno = ENOMEM;
    return false;
}

char *read_file(const struct options *options, const char *name, size_t *size)
{
    char *bytes = NULL;
    int file = open_file(options, name, O_RDONLY);
    if (file < 0)
        return NULL;
    if (!read_all(file, &bytes, size)) {
        fail_errno(name);
        free(bytes);
        bytes = NULL;
    }
    close(file);
    return bytes;
}

int write_file(const struct options *options, const char *name, const char *text)
{
    int file = open_file(options, name, O_WRONLY);
    if (file < 0)
        return STATUS_FAILED;
    int status = STATUS_OK;
    if (write(file, text, strlen(text)) != (ssize_t)strlen(text))
        status = fail_errno(name);
    close(file);
    return status;
}

void print_json_string(const char *text)
{
    putchar('"');
    for (; *text != 0; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\')
            printf("\\%c", byte);
        else if (byte < ' ')
            printf("\\u%04x", byte);
        else
            putchar(byte);
    }
    putchar('"');
}
