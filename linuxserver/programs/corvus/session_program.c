// SPDX-License-Identifier: GPL-2.0-only
// The agent of a node: the file of a program that is to run here. A file with the same contents
// under the same path is used; else what comes by messages is kept in memory, and gone with the
// process.
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_same(int file, uint64_t length, uint64_t sum)
{
    uint8_t *bytes = malloc(RUN_PIECE_MAX);
    struct stat status;
    uint64_t found = RUN_SUM_START;
    bool same = bytes != NULL && fstat(file, &status) == 0 && S_ISREG(status.st_mode) &&
                (uint64_t)status.st_size == length;

    while (same && length > 0) {
        ssize_t got = read(file, bytes, RUN_PIECE_MAX);
        same = got > 0 && (uint64_t)got <= length;
        if (same) {
            found = run_sum(found, bytes, (size_t)got);
            length -= (uint64_t)got;
        }
    }
    free(bytes);
    return same && found == sum;
}

corvus_error_t program_name(struct program *program, uint64_t length, uint64_t sum,
                            const void *path, size_t path_length, uint64_t *there)
{
    int file;

    if (program->path != NULL || length == 0 || length > RUN_PROGRAM_MAX || path_length == 0 ||
        path_length > RUN_PATH_MAX || ((const char *)path)[0] != '/' ||
        memchr(path, 0, path_length) != NULL)
        return ERR_INVALID_ARGUMENT;
    program->path = strndup(path, path_length);
    if (program->path == NULL)
        return ERR_NO_MEMORY;
    program->length = length;
    program->sum = sum;
    program->now = RUN_SUM_START;
    file = open(program->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    *there = file >= 0 && is_same(file, length, sum);
    if (file >= 0)
        close(file);
    if (*there)
        return ERR_OK;
    program->file = memfd_create(strrchr(program->path, '/') + 1, MFD_CLOEXEC);
    return program->file >= 0 ? ERR_OK : ERR_NO_MEMORY;
}

corvus_error_t program_piece(struct program *program, uint64_t offset, const void *bytes,
                             size_t length)
{
    if (program->file < 0)
        return ERR_STATE;
    if (offset != program->arrived || length == 0 || length > program->length - offset)
        return ERR_INVALID_ARGUMENT;
    for (size_t done = 0; done < length;) {
        ssize_t wrote = write(program->file, (const uint8_t *)bytes + done, length - done);
        if (wrote <= 0)
            return ERR_NO_MEMORY;
        done += (size_t)wrote;
    }
    program->arrived += length;
    program->now = run_sum(program->now, bytes, length);
    return ERR_OK;
}

bool program_is_whole(const struct program *program)
{
    return program->path != NULL && (program->file < 0 || (program->arrived == program->length &&
                                                           program->now == program->sum));
}

void program_free(struct program *program)
{
    free(program->path);
    if (program->file >= 0)
        close(program->file);
    *program = (struct program){.file = -1};
}
