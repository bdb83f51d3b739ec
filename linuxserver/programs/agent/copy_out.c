// SPDX-License-Identifier: GPL-2.0-only
#include "copy.h"

#include "tar.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// Files up to this size are read before their size is told, because files of
// /proc and /sys say 0 or a page; others are sent as they are read.
#define WHOLE_MAX   65536u
#define WHOLE_LIMIT (16u << 20) // what a file that says 0 may have

static int pack(int folder, const char *path, const char *name, int flags);

static int fail(const char *path, const char *why)
{
    fprintf(stderr, "cp: %s: %s\n", path, why);
    return 1;
}

static int fail_errno(const char *path)
{
    return fail(path, strerror(errno));
}

// Without a reader nothing more can be done; why there is none, the other end has
// said.
static void send_all(const void *data, size_t count)
{
    const uint8_t *bytes = data;
    while (count > 0) {
        ssize_t written = write(STDOUT_FILENO, bytes, count);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            exit(errno == EPIPE ? 1 : fail_errno("standard output"));
        bytes += written;
        count -= (size_t)written;
    }
}

static void send_zeros(uint64_t count)
{
    static const uint8_t zeros[TAR_BLOCK_BYTES];
    for (; count > sizeof zeros; count -= sizeof zeros)
        send_all(zeros, sizeof zeros);
    send_all(zeros, (size_t)count);
}

static void send_header(const struct tar_entry *entry)
{
    static uint8_t blocks[TAR_HEADER_BLOCKS_MAX * TAR_BLOCK_BYTES];
    send_all(blocks, tar_write(blocks, entry));
}

static ssize_t read_some(int file, uint8_t *bytes, size_t count)
{
    ssize_t got;
    do
        got = read(file, bytes, count);
    while (got < 0 && errno == EINTR);
    return got;
}

// --- One entry ----------------------------------------------------------------

static struct tar_entry *new_entry(enum tar_type type, const struct stat *status, const char *name)
{
    static struct tar_entry entry;
    memset(&entry, 0, sizeof entry);
    entry.type = type;
    entry.mode = status->st_mode & 07777;
    entry.time = status->st_mtime;
    snprintf(entry.name, sizeof entry.name, "%s", name);
    return &entry;
}

// Reads a file to its end, into memory that grows; false with errno.
static bool read_whole(int file, uint8_t **bytes, size_t *count)
{
    size_t room = WHOLE_MAX + 1;
    *bytes = malloc(room);
    *count = 0;
    while (*bytes != NULL) {
        ssize_t got = read_some(file, *bytes + *count, room - *count);
        if (got < 0)
            return false;
        *count += (size_t)got;
        if (got == 0)
            return true;
        if (*count < room)
            continue;
        if (room > WHOLE_LIMIT) {
            errno = EFBIG;
            return false;
        }
        room *= 2;
        uint8_t *larger = realloc(*bytes, room);
        if (larger == NULL)
            break;
        *bytes = larger;
    }
    errno = ENOMEM;
    return false;
}

static int pack_whole(int file, const char *path, const struct stat *status, const char *name)
{
    uint8_t *bytes;
    size_t count;
    int result = 0;
    if (read_whole(file, &bytes, &count)) {
        struct tar_entry *entry = new_entry(TAR_FILE, status, name);
        entry->size = count;
        send_header(entry);
        send_all(bytes, count);
        send_zeros(tar_padding(count));
    } else {
        result = fail_errno(path);
    }
    free(bytes);
    return result;
}

// A file that shrinks meanwhile is filled up with zeros, since its size is told.
static int pack_stream(int file, const char *path, const struct stat *status, const char *name)
{
    static uint8_t piece[65536];
    struct tar_entry *entry = new_entry(TAR_FILE, status, name);
    entry->size = (uint64_t)status->st_size;
    send_header(entry);
    uint64_t left = entry->size;
    int result = 0;
    while (left > 0) {
        ssize_t got = read_some(file, piece, left < sizeof piece ? (size_t)left : sizeof piece);
        if (got <= 0) {
            result = got < 0 ? fail_errno(path) : fail(path, "shrank while it was copied");
            send_zeros(left);
            break;
        }
        send_all(piece, (size_t)got);
        left -= (uint64_t)got;
    }
    send_zeros(tar_padding(entry->size));
    return result;
}

static int pack_file(int file, const char *path, const struct stat *status, const char *name)
{
    int result = status->st_size <= WHOLE_MAX ? pack_whole(file, path, status, name)
                                              : pack_stream(file, path, status, name);
    close(file);
    return result;
}

static int pack_folder(int file, const char *path, const struct stat *status, const char *name)
{
    send_header(new_entry(TAR_FOLDER, status, name));
    DIR *folder = fdopendir(file);
    if (folder == NULL) {
        close(file);
        return fail_errno(path);
    }
    int result = 0;
    const struct dirent *item;
    while ((item = readdir(folder)) != NULL) {
        if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0)
            continue;
        char inner[TAR_NAME_MAX];
        int length = snprintf(inner, sizeof inner, "%s/%s", name, item->d_name);
        if ((size_t)length >= sizeof inner)
            result = fail(name, strerror(ENAMETOOLONG));
        else
            result |= pack(file, item->d_name, inner, O_NOFOLLOW);
    }
    closedir(folder);
    return result;
}

static int pack_link(int folder, const char *path, const struct stat *status, const char *name)
{
    struct tar_entry *entry = new_entry(TAR_LINK, status, name);
    ssize_t length = readlinkat(folder, path, entry->target, sizeof entry->target);
    if (length < 0 || (size_t)length == sizeof entry->target)
        return fail_errno(name);
    entry->target[length] = 0;
    send_header(entry);
    return 0;
}

// What lies at a path in a folder, and all below it. With O_NOFOLLOW a link is
// packed as a link.
static int pack(int folder, const char *path, const char *name, int flags)
{
    struct stat status;
    if (fstatat(folder, path, &status, flags != 0 ? AT_SYMLINK_NOFOLLOW : 0) != 0)
        return fail_errno(name);
    if (S_ISLNK(status.st_mode))
        return pack_link(folder, path, &status, name);
    if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode))
        return fail(name, "is neither a file, a folder nor a link");
    int file = openat(folder, path, O_RDONLY | O_CLOEXEC | flags);
    if (file < 0)
        return fail_errno(name);
    return S_ISREG(status.st_mode) ? pack_file(file, name, &status, name)
                                   : pack_folder(file, name, &status, name);
}

// --- All of them --------------------------------------------------------------

// The last part of a path, without slashes behind it; empty when there is none.
static const char *last_part(char *path)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        path[--length] = 0;
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ? "" : name;
}

int copy_out(char **paths)
{
    int result = 0;
    for (; *paths != NULL; paths++) {
        const char *name = last_part(*paths);
        if (name[0] == 0)
            result = fail(*paths, "has no name of its own to be copied under");
        else
            result |= pack(AT_FDCWD, *paths, name, 0);
    }
    send_zeros((uint64_t)2 * TAR_BLOCK_BYTES);
    return result;
}
