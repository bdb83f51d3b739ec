// SPDX-License-Identifier: GPL-2.0-only
#include "channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

// Milliseconds between attempts to open it.
#define RETRY_MS 200

void channel_init(struct channel *channel, const char *path)
{
    channel->path = path;
    channel->file = -1;
}

static int connect_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address.sun_path, path);
    int file = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (file < 0)
        return -1;
    if (connect(file, (const struct sockaddr *)&address, sizeof address) != 0) {
        int error = errno;
        close(file);
        errno = error;
        return -1;
    }
    fcntl(file, F_SETFL, O_NONBLOCK);
    return file;
}

static int open_device(const char *path)
{
    int file = open(path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct termios settings;
    if (file >= 0 && tcgetattr(file, &settings) == 0) {
        cfmakeraw(&settings);
        tcsetattr(file, TCSANOW, &settings);
    }
    return file;
}

bool channel_open(struct channel *channel, int64_t now)
{
    if (channel->file >= 0)
        return true;
    if (now < channel->retry_time)
        return false;
    struct stat status;
    if (stat(channel->path, &status) == 0)
        channel->file =
            S_ISSOCK(status.st_mode) ? connect_socket(channel->path) : open_device(channel->path);
    if (channel->file < 0) {
        if (!channel->complained)
            fprintf(stderr, "agent: %s: %s; waiting for it\n", channel->path, strerror(errno));
        channel->complained = true;
        channel->retry_time = now + RETRY_MS;
        return false;
    }
    channel->complained = false;
    return true;
}

void channel_close(struct channel *channel, int64_t now)
{
    close(channel->file);
    channel->file = -1;
    channel->retry_time = now + RETRY_MS;
    channel->out_start = 0;
    channel->out_count = 0;
    channel->parser.inside = false;
}

bool channel_has_room(const struct channel *channel, uint32_t payload)
{
    return channel->file >= 0 &&
           channel->out_count + FRAME_WIRE_BYTES(payload) <= sizeof channel->out;
}

void channel_send(struct channel *channel, const struct frame *frame)
{
    if (channel->out_start + channel->out_count + FRAME_WIRE_BYTES(frame->length) >
        sizeof channel->out) {
        memmove(channel->out, channel->out + channel->out_start, channel->out_count);
        channel->out_start = 0;
    }
    channel->out_count +=
        frame_write(channel->out + channel->out_start + channel->out_count, frame);
}

static bool is_temporary(int error)
{
    return error == EAGAIN || error == EINTR;
}

bool channel_flush(struct channel *channel)
{
    while (channel->out_count > 0) {
        ssize_t written =
            write(channel->file, channel->out + channel->out_start, channel->out_count);
        if (written <= 0)
            return written < 0 && is_temporary(errno);
        channel->out_start += (size_t)written;
        channel->out_count -= (size_t)written;
    }
    channel->out_start = 0;
    return true;
}

int channel_read(struct channel *channel, uint8_t *bytes, size_t count)
{
    ssize_t got = read(channel->file, bytes, count);
    if (got > 0)
        return (int)got;
    return got < 0 && is_temporary(errno) ? 0 : -1;
}
