// SPDX-License-Identifier: BSD-2-Clause
// Writes pcapng. Blocks are 32-bit words in the byte order of this machine, and say their length at
// both ends.
#include "deploy/wire/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    BLOCK_SECTION = 0x0a0d0d0a,
    BLOCK_INTERFACE = 1,
    BLOCK_PACKET = 6,
    BYTE_ORDER_MAGIC = 0x1a2b3c4d,
    LINK_ETHERNET = 1,
    OPTION_END = 0,
    OPTION_NAME = 2,         // if_name
    OPTION_RESOLUTION = 9,   // if_tsresol
    OPTION_PACKET_FLAGS = 2, // epb_flags
    NANOSECONDS = 9,         // a power of ten
    NAME_BYTES = 8,
    BUFFER_BYTES = 1 << 18,
};

struct option {
    uint16_t code;
    uint16_t length;
};

struct section_block {
    uint32_t type, length, magic;
    uint16_t major, minor;
    uint64_t section_length; // all ones: not known
    uint32_t length_again;
} __attribute__((packed));

struct interface_block {
    uint32_t type, length;
    uint16_t link_type, reserved;
    uint32_t longest_frame;
    struct option name;
    char name_text[NAME_BYTES];
    struct option resolution;
    uint8_t resolution_value[4];
    struct option end;
    uint32_t length_again;
} __attribute__((packed));

struct packet_block {
    uint32_t type, length, interface, time_high, time_low, captured, original;
} __attribute__((packed));

struct packet_end {
    struct option flags;
    uint32_t flags_value;
    struct option end;
    uint32_t length_again;
} __attribute__((packed));

// Ends it by itself: the hub goes on, and `reason` tells.
static void fail(struct capture *capture)
{
    int error = errno;
    free(capture->reason);
    if (asprintf(&capture->reason, "%s: %s", capture->name, strerror(error)) < 0)
        capture->reason = NULL;
    fclose(capture->file);
    capture->file = NULL;
}

static void put(struct capture *capture, const void *bytes, size_t length)
{
    if (capture->file == NULL)
        return;
    capture->bytes += length;
    capture->unwritten = true;
    if (fwrite(bytes, 1, length, capture->file) != length)
        fail(capture);
}

static void put_heads(struct capture *capture)
{
    struct section_block section = {BLOCK_SECTION, sizeof section, BYTE_ORDER_MAGIC, 1, 0,
                                    UINT64_MAX,    sizeof section};
    put(capture, &section, sizeof section);
    for (unsigned port = 0; port < capture->ports; port++) {
        struct interface_block interface = {
            .type = BLOCK_INTERFACE,
            .length = sizeof interface,
            .link_type = LINK_ETHERNET,
            .longest_frame = FRAME_BYTES_MAX,
            .name = {OPTION_NAME, 0},
            .resolution = {OPTION_RESOLUTION, 1},
            .resolution_value = {NANOSECONDS},
            .end = {OPTION_END, 0},
            .length_again = sizeof interface,
        };
        // 5 or 6 letters; the value is filled up to whole words.
        interface.name.length =
            (uint16_t)snprintf(interface.name_text, NAME_BYTES, "node%u", port + 1);
        put(capture, &interface, sizeof interface);
    }
}

static bool open_file(struct capture *capture)
{
    capture->bytes = 0;
    // Without waiting: a pipe without a reader would stop the hub.
    int file = open(capture->name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0644);
    if (file < 0)
        return false;
    capture->file = fdopen(file, "w");
    if (capture->file == NULL) {
        close(file);
        return false;
    }
    setvbuf(capture->file, NULL, _IOFBF, BUFFER_BYTES);
    put_heads(capture);
    return true;
}

bool capture_start(struct capture *capture, const char *name, unsigned ports, uint64_t rotate,
                   unsigned keep)
{
    capture_stop(capture);
    free(capture->name);
    free(capture->reason);
    *capture = (struct capture){.ports = ports, .rotate = rotate, .keep = keep};
    capture->name = strdup(name);
    return capture->name != NULL && open_file(capture);
}

bool capture_stop(struct capture *capture)
{
    if (capture->file == NULL)
        return true;
    int result = fclose(capture->file);
    capture->file = NULL;
    return result == 0;
}

static bool numbered(const struct capture *capture, unsigned number, char **name)
{
    return (number == 0 ? asprintf(name, "%s", capture->name)
                        : asprintf(name, "%s.%u", capture->name, number)) >= 0;
}

// NAME.1 becomes NAME.2 and so on, NAME becomes NAME.1; the last of them is gone.
static bool rename_files(const struct capture *capture)
{
    for (unsigned number = capture->keep; number > 0; number--) {
        char *old, *new;
        if (!numbered(capture, number - 1, &old))
            return false;
        if (!numbered(capture, number, &new)) {
            free(old);
            return false;
        }
        bool renamed = rename(old, new) == 0 || errno == ENOENT;
        free(old);
        free(new);
        if (!renamed)
            return false;
    }
    return true;
}

static void rotate(struct capture *capture)
{
    if (fflush(capture->file) != 0 || !rename_files(capture)) {
        fail(capture);
        return;
    }
    fclose(capture->file);
    if (!open_file(capture) &&
        asprintf(&capture->reason, "%s: %s", capture->name, strerror(errno)) < 0)
        capture->reason = NULL;
}

void capture_frame(struct capture *capture, uint64_t time, unsigned port,
                   enum capture_direction direction, const struct frame *frame)
{
    static const uint8_t padding[4];
    uint32_t padded = (frame->length + 3) & ~UINT32_C(3);
    uint32_t length = (uint32_t)sizeof(struct packet_block) + padded + sizeof(struct packet_end);
    struct packet_block head = {BLOCK_PACKET,   length,        port,         (uint32_t)(time >> 32),
                                (uint32_t)time, frame->length, frame->length};
    struct packet_end end = {{OPTION_PACKET_FLAGS, 4}, direction, {OPTION_END, 0}, length};
    if (capture->file == NULL)
        return;
    if (capture->rotate > 0 && capture->bytes + length > capture->rotate)
        rotate(capture);
    put(capture, &head, sizeof head);
    put(capture, frame->bytes, frame->length);
    put(capture, padding, padded - frame->length);
    put(capture, &end, sizeof end);
    capture->frames += capture->file != NULL;
}

void capture_flush(struct capture *capture)
{
    if (capture->file == NULL || !capture->unwritten)
        return;
    capture->unwritten = false;
    if (fflush(capture->file) != 0)
        fail(capture);
}
