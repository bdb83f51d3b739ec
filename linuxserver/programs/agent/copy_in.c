// SPDX-License-Identifier: GPL-2.0-only
#include "copy.h"

#include "tar.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(const char *path, const char *why)
{
    fprintf(stderr, "cp: %s: %s\n", path, why);
    return 1;
}

static int fail_errno(const char *path)
{
    return fail(path, strerror(errno));
}

// All count bytes; false at the end of input.
static bool read_all(uint8_t *bytes, size_t count)
{
    while (count > 0) {
        ssize_t got = read(STDIN_FILENO, bytes, count);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        bytes += got;
        count -= (size_t)got;
    }
    return true;
}

// Contents that are a name: of the entry after this one.
static bool read_long(char name[TAR_NAME_MAX], uint64_t size)
{
    uint8_t padding[TAR_BLOCK_BYTES];
    if (size == 0 || size > TAR_NAME_MAX || !read_all((uint8_t *)name, (size_t)size) ||
        !read_all(padding, tar_padding(size)))
        return false;
    name[size - 1] = 0;
    return true;
}

// The next entry with its whole name and target.
static enum tar_result read_entry(struct tar_entry *entry)
{
    static char name[TAR_NAME_MAX], target[TAR_NAME_MAX];
    bool long_name = false, long_target = false;
    uint8_t block[TAR_BLOCK_BYTES];
    for (;;) {
        if (!read_all(block, sizeof block))
            return TAR_WRONG;
        enum tar_result result = tar_read(entry, block);
        if (result == TAR_ENTRY && entry->type == TAR_LONG_NAME) {
            long_name = read_long(name, entry->size);
            if (!long_name)
                return TAR_WRONG;
        } else if (result == TAR_ENTRY && entry->type == TAR_LONG_TARGET) {
            long_target = read_long(target, entry->size);
            if (!long_target)
                return TAR_WRONG;
        } else {
            if (long_name)
                strcpy(entry->name, name);
            if (long_target)
                strcpy(entry->target, target);
            return result;
        }
    }
}

// --- One entry ----------------------------------------------------------------

static bool write_all(int file, const uint8_t *bytes, size_t count)
{
    while (count > 0) {
        ssize_t written = write(file, bytes, count);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return false;
        bytes += written;
        count -= (size_t)written;
    }
    return true;
}

// A file that is there is written over and keeps its links; one that runs as a
// program is replaced.
static int create_file(const char *path)
{
    int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
    int file = open(path, flags, 0600);
    if (file < 0 && errno == ETXTBSY && unlink(path) == 0)
        file = open(path, flags, 0600);
    return file;
}

static int unpack_file(const char *path, const struct tar_entry *entry)
{
    static uint8_t piece[65536];
    int file = create_file(path);
    if (file < 0)
        return fail_errno(path);
    // Whole blocks, so that the padding comes along.
    uint64_t left = entry->size;
    while (left > 0) {
        size_t count = left < sizeof piece ? (size_t)left : sizeof piece;
        if (!read_all(piece, count + tar_padding(count))) {
            close(file);
            return fail(path, "the copy was broken off");
        }
        if (!write_all(file, piece, count)) {
            fail_errno(path);
            close(file);
            return 1;
        }
        left -= count;
    }
    struct timespec times[2] = {{.tv_sec = entry->time}, {.tv_sec = entry->time}};
    struct stat status;
    int result = 0;
    // Contents may go to a device, whose mode is nobody's business.
    if (fstat(file, &status) == 0 && S_ISREG(status.st_mode) &&
        (fchmod(file, entry->mode) != 0 || futimens(file, times) != 0))
        result = fail_errno(path);
    if (close(file) != 0 && result == 0)
        result = fail_errno(path);
    return result;
}

// A folder that is there keeps its mode.
static int unpack_folder(const char *path, const struct tar_entry *entry)
{
    struct stat status;
    if (mkdir(path, 0700) == 0)
        return chmod(path, entry->mode) != 0 ? fail_errno(path) : 0;
    if (errno == EEXIST && stat(path, &status) == 0 && S_ISDIR(status.st_mode))
        return 0;
    return fail_errno(path);
}

static int unpack_link(const char *path, const struct tar_entry *entry)
{
    if (symlink(entry->target, path) == 0)
        return 0;
    if (errno != EEXIST || unlink(path) != 0 || symlink(entry->target, path) != 0)
        return fail_errno(path);
    return 0;
}

static int unpack_entry(const char *path, const struct tar_entry *entry)
{
    switch (entry->type) {
    case TAR_FILE:
        return unpack_file(path, entry);
    case TAR_FOLDER:
        return unpack_folder(path, entry);
    default:
        return unpack_link(path, entry);
    }
}

// --- All of them --------------------------------------------------------------

// Where an entry goes: below the path, or, when the path is the top entry's new
// name, with its first part left out.
static bool target_path(char target[TAR_NAME_MAX], const char *path, const char *name, bool rename)
{
    if (rename) {
        name += strcspn(name, "/");
        name += strspn(name, "/");
    }
    const char *separator = name[0] != 0 ? "/" : "";
    int length = snprintf(target, TAR_NAME_MAX, "%s%s%s", path, separator, name);
    return length > 0 && (size_t)length < TAR_NAME_MAX;
}

int copy_in(const char *path, bool into_folder)
{
    static struct tar_entry entry;
    static char target[TAR_NAME_MAX];
    struct stat status;
    bool is_folder = stat(path, &status) == 0 && S_ISDIR(status.st_mode);
    if (into_folder && !is_folder)
        return fail(path, "is not a folder");
    for (;;) {
        switch (read_entry(&entry)) {
        case TAR_END:
            return 0;
        case TAR_ENTRY:
            break;
        default:
            return fail(path, "what came is no archive, or broken off");
        }
        if (!tar_name_stays_below(entry.name) || !target_path(target, path, entry.name, !is_folder))
            return fail(entry.name, "is not a name that can be unpacked");
        if (unpack_entry(target, &entry) != 0)
            return 1;
    }
}
