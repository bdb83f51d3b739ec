// SPDX-License-Identifier: BSD-2-Clause
// A console device with two ports. At the other end of `corvus.echo` is
// tests/kernel/virtio_echo.py: it sends back what it gets, and is slow, goes and
// comes when it reads a line that asks for it. Nobody is at the other.
#include "virtio_test.h"

#include "lib/virtio/console.h"

#include <stdio.h>
#include <string.h>

#define PORTS      4
#define BYTES_MANY (3u << 20)
#define PIECE      5000u
#define GO_AWAY    "go away\n"
#define BE_SLOW    "be slow\n"
#define COME_AGAIN "here again\n"
#define NO_PORT    PORTS

static struct driven driven;
static struct virtio_console console;
static struct virtio_memory memory;
static const char about[] = "console";

// Until a condition on the console holds.
#define WAIT_UNTIL(condition)                                                                      \
    ({                                                                                             \
        bool in_time = true;                                                                       \
        for (virtio_console_poll(&console); !(condition) && in_time;                               \
             virtio_console_poll(&console))                                                        \
            in_time = wait_for_queues(&driven);                                                    \
        in_time;                                                                                   \
    })

static uint32_t port_named(const char *name)
{
    for (uint32_t i = 0; i < console.sizes.ports; i++) {
        if (console.ports[i].present && strcmp(console.ports[i].name, name) == 0)
            return i;
    }
    return NO_PORT;
}

static bool start(void)
{
    struct virtio_console_sizes sizes = {
        .ports = PORTS,
        .receive_buffers = 16,
        .receive_bytes = 4096,
        .transmit_buffers = 8,
        .transmit_bytes = 8192,
    };
    enum virtio_error error = virtio_console_open(&console, &driven.native.device, &sizes);

    if (error == VIRTIO_OK &&
        virtio_native_allocate(virtio_console_shared_bytes(&console),
                               virtio_console_own_bytes(&console), &memory) != ERR_OK)
        error = VIRTIO_NO_MEMORY;
    if (error == VIRTIO_OK)
        error = virtio_console_start(&console, &memory);
    printf("# console: %s, %u ports, %lu bytes shared\n", virtio_error_text(error),
           console.sizes.ports, memory.shared_bytes);
    ok(error == VIRTIO_OK, about, "works");
    return error == VIRTIO_OK;
}

static bool write_all(uint32_t port, const void *bytes, size_t count)
{
    size_t done = 0;

    while (done < count) {
        if (!WAIT_UNTIL(virtio_console_can_write(&console, port) != VIRTIO_FULL) ||
            virtio_console_can_write(&console, port) != VIRTIO_OK)
            return false;
        done += virtio_console_write(&console, port, (const char *)bytes + done, count - done);
        virtio_console_commit(&console, port);
    }
    return true;
}

static bool read_text(uint32_t port, const char *expected)
{
    char text[64] = "";
    size_t count = 0;
    bool hangup = false;

    while (count < strlen(expected) && !hangup) {
        if (!WAIT_UNTIL(virtio_console_can_read(&console, port)))
            return false;
        count +=
            virtio_console_read(&console, port, text + count, sizeof text - 1 - count, &hangup);
    }
    return strcmp(text, expected) == 0;
}

static void test_ports(uint32_t echo)
{
    uint32_t quiet = port_named("corvus.quiet");

    ok(quiet != NO_PORT && !console.ports[quiet].host_open, about, "a port with nobody there");
    virtio_console_attach(&console, quiet);
    virtio_console_attach(&console, echo);
    ok(virtio_console_can_write(&console, quiet) == VIRTIO_FULL, about, "a writer waits there");
    ok(WAIT_UNTIL(console.ports[echo].host_open), about, "a session begins");
    ok(write_all(echo, "hello\n", 6) && read_text(echo, "hello\n"), about, "an echo");
}

static uint8_t pattern(uint32_t position)
{
    return (uint8_t)(position * 167 + (position >> 8) * 13 + (position >> 16));
}

// Reads what is there and compares.
static bool read_some(uint32_t port, uint32_t *received)
{
    uint8_t bytes[PIECE];
    bool hangup = false;
    size_t count = virtio_console_read(&console, port, bytes, sizeof bytes, &hangup);

    for (size_t i = 0; i < count; i++) {
        if (bytes[i] != pattern(*received + (uint32_t)i))
            return false;
    }
    *received += (uint32_t)count;
    return !hangup;
}

static bool can_go_on(uint32_t port, uint32_t sent)
{
    return virtio_console_can_read(&console, port) ||
           (sent < BYTES_MANY && virtio_console_can_write(&console, port) == VIRTIO_OK);
}

// Both ways at once. The host does not read for a while, so that the writer has to
// wait.
static void test_many(uint32_t port)
{
    uint32_t sent = 0, received = 0;
    bool good = write_all(port, BE_SLOW, strlen(BE_SLOW)) && read_text(port, BE_SLOW);
    bool waited = false;

    while (good && received < BYTES_MANY) {
        uint8_t bytes[PIECE];
        uint32_t count = BYTES_MANY - sent < PIECE ? BYTES_MANY - sent : PIECE;
        for (uint32_t i = 0; i < count; i++)
            bytes[i] = pattern(sent + i);
        uint32_t written = (uint32_t)virtio_console_write(&console, port, bytes, count);
        virtio_console_commit(&console, port);
        waited = waited || written < count;
        sent += written;
        good = read_some(port, &received) &&
               WAIT_UNTIL(can_go_on(port, sent) || received == BYTES_MANY);
    }
    printf("# console: %u bytes out, %u back, %u waits\n", sent, received, driven.waits);
    ok(good && sent == BYTES_MANY && received == BYTES_MANY, about,
       "three million bytes there and back");
    ok(waited, about, "a writer had to wait");
}

static void test_sessions(uint32_t port)
{
    char byte;
    bool hangup = false;

    ok(write_all(port, GO_AWAY, strlen(GO_AWAY)) && read_text(port, GO_AWAY), about,
       "the host is asked to go");
    ok(WAIT_UNTIL(virtio_console_can_read(&console, port)) &&
           virtio_console_can_write(&console, port) == VIRTIO_HANGUP &&
           virtio_console_read(&console, port, &byte, 1, &hangup) == 0 && hangup,
       about, "the session ends");
    ok(WAIT_UNTIL(console.ports[port].host_open) && read_text(port, COME_AGAIN), about,
       "another begins");
    ok(write_all(port, "again\n", 6) && read_text(port, "again\n"), about, "an echo in it");
}

static void test_restart(uint32_t port)
{
    char byte;
    bool hangup = false;

    ok(virtio_console_restart(&console) == VIRTIO_OK &&
           virtio_console_read(&console, port, &byte, 1, &hangup) == 0 && hangup,
       about, "started again, which ends the session");
    ok(WAIT_UNTIL(console.ports[port].host_open) && write_all(port, "once more\n", 10) &&
           read_text(port, "once more\n"),
       about, "the port comes back, and its echo");
}

void test_console(void)
{
    uint64_t number = 0;

    if (!drive(&driven, VIRTIO_TYPE_CONSOLE, &number, about) || !start())
        return;
    bool named = WAIT_UNTIL(port_named("corvus.echo") != NO_PORT);
    ok(named, about, "a port has its name");
    if (!named)
        return;
    uint32_t echo = port_named("corvus.echo");
    test_ports(echo);
    test_many(echo);
    test_sessions(echo);
    test_restart(echo);
    ok(console.counters.bad_controls == 0 && console.counters.bad_lengths == 0 &&
           !virtio_console_is_broken(&console),
       about, "without an error");
    virtio_native_release(&driven.native);
    virtio_native_free(&memory);
}
