// SPDX-License-Identifier: BSD-2-Clause
// Reading and writing all of something, and the names of files.
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

void read_all(int file, void *bytes, size_t count)
{
    for (char *to = bytes; count > 0;) {
        ssize_t got = MUST(read(file, to, count));
        if (got == 0) {
            errno = EPIPE;
            failed("read: the other side is gone");
        }
        to += got;
        count -= (size_t)got;
    }
}

void write_all(int file, const void *bytes, size_t count)
{
    for (const char *from = bytes; count > 0;) {
        ssize_t put = MUST(write(file, from, count));
        from += put;
        count -= (size_t)put;
    }
}

struct path path_in_folder(const char *name)
{
    struct path path;
    int length = snprintf(path.text, sizeof path.text, "%s/%s", settings.folder, name);
    if (length < 0 || (size_t)length >= sizeof path.text) {
        errno = ENAMETOOLONG;
        failed(settings.folder);
    }
    return path;
}
