// SPDX-License-Identifier: BSD-2-Clause
// sources: lib/virtio/console.c lib/virtio/console_control.c lib/virtio/console_port.c
// sources: lib/virtio/device.c lib/virtio/pci.c lib/virtio/pci_legacy.c lib/virtio/virtqueue.c
// sources: tests/unit/virtio/model.c tests/unit/virtio/model_pci.c
// sources: tests/unit/virtio/model_console.c
// The console device against a host with several ports: names, sessions that begin
// and end with all their bytes, back pressure both ways, control messages that make
// no sense, a device that is started again, and random traffic.
//
//   test_virtio_console [SEED [OPERATIONS]]
#include "lib/virtio/console.h"
#include "tap.h"
#include "virtio/model_console.h"

#include <string.h>

#define PORTS      3
#define QUEUE_SIZE 32
#define RINGS      (VIRTIO_F_INDIRECT | VIRTIO_F_EVENT_INDEX)

enum {
    DEVICE_READY,
    PORT_ADD,
    PORT_REMOVE,
    PORT_READY,
    CONSOLE_PORT,
    RESIZE,
    PORT_OPEN,
    PORT_NAME
};

static struct console_model host;
static struct virtio_device device;
static struct virtio_console console;
static struct virtio_memory memory;
static uint8_t text[65536], back[65536];

// A host with two ports: a named one, and a terminal.
static void two_ports(struct console_model *model, uint32_t port, uint16_t event, uint16_t value)
{
    if (event == DEVICE_READY && value == 1) {
        console_model_control(model, 1, PORT_ADD, 1, NULL, 0);
        console_model_control(model, 0, PORT_ADD, 1, NULL, 0);
    }
    if (event == PORT_READY && port == 1 && value == 1)
        console_model_control(model, 1, PORT_NAME, 1, "corvus.agent", 12);
    if (event == PORT_READY && port == 0 && value == 1)
        console_model_control(model, 0, CONSOLE_PORT, 1, NULL, 0);
}

static enum virtio_error open_console(uint16_t ports)
{
    struct virtio_console_sizes sizes = {
        .ports = ports,
        .receive_buffers = 4,
        .receive_bytes = 64,
        .transmit_buffers = 4,
        .transmit_bytes = 32,
    };
    struct virtio_platform platform = model_platform(&host.model);

    MODEL_CHECK(virtio_pci_open(&device, &platform) == VIRTIO_OK);
    return virtio_console_open(&console, &device, &sizes);
}

static enum virtio_error start_console(void)
{
    memory = model_memory(&host.model, virtio_console_shared_bytes(&console),
                          virtio_console_own_bytes(&console));
    return virtio_console_start(&console, &memory);
}

// Until nobody has anything to say any more.
static void settle(void)
{
    for (int i = 0; i < 8; i++)
        virtio_console_poll(&console);
}

static void begin(enum model_kind kind, uint64_t features)
{
    console_model_initialize(&host, kind, features, QUEUE_SIZE);
    host.control = two_ports;
    MODEL_CHECK(open_console(PORTS) == VIRTIO_OK && start_console() == VIRTIO_OK);
    settle();
}

static void end(void)
{
    model_memory_free(&memory);
    console_model_destroy(&host);
}

static void host_opens(uint32_t port, bool open)
{
    console_model_control(&host, port, PORT_OPEN, open, NULL, 0);
    settle();
}

static void begin_session(void)
{
    begin(MODEL_MODERN, CONSOLE_F_PORTS | RINGS);
    virtio_console_attach(&console, 1);
    host_opens(1, true);
}

static size_t read_all(uint32_t port, uint8_t *to, size_t limit, bool *hangup)
{
    return virtio_console_read(&console, port, to, limit, hangup);
}

static size_t write_all(uint32_t port, const void *bytes, size_t count)
{
    size_t done = virtio_console_write(&console, port, bytes, count);

    virtio_console_commit(&console, port);
    return done;
}

// --- Ports -------------------------------------------------------------------------

static void test_ports(enum model_kind kind, uint64_t rings, const char *name)
{
    printf("# %s\n", name);
    begin(kind, CONSOLE_F_PORTS | rings);
    tap_ok(console.ports[0].present && console.ports[0].console && console.ports[1].present &&
               strcmp(console.ports[1].name, "corvus.agent") == 0 && !console.ports[1].console &&
               !console.ports[2].present,
           "ports: those there are, with name and kind");
    tap_ok(host.ports[0].guest_ready && host.ports[1].guest_ready && !host.ports[1].guest_open &&
               host.controls_lost == 0,
           "ports: the host knows that they are ready");
    virtio_console_attach(&console, 1);
    tap_ok(host.ports[1].guest_open && !host.ports[0].guest_open, "ports: attached");
    virtio_console_attach(&console, 1);
    virtio_console_detach(&console, 1);
    tap_ok(!host.ports[1].guest_open, "ports: detached");
    console_model_control(&host, 1, PORT_REMOVE, 1, NULL, 0);
    settle();
    tap_ok(!console.ports[1].present && virtio_console_can_write(&console, 1) == VIRTIO_NO_DEVICE,
           "ports: taken away");
    virtio_console_attach(&console, 1);
    host.ports[1].guest_open = host.ports[1].guest_ready = false;
    console_model_control(&host, 1, PORT_ADD, 1, NULL, 0);
    settle();
    tap_ok(console.ports[1].present && host.ports[1].guest_open,
           "ports: back again, and attached as before");
    console_model_control(&host, 2, PORT_ADD, 1, NULL, 0);
    console_model_control(&host, 2, PORT_NAME, 1, "a\nb\033\xff\0c", 7);
    settle();
    tap_ok(strcmp(console.ports[2].name, "a?b??") == 0, "ports: a name fit to be printed");
    memset(text, 'x', 200);
    console_model_control(&host, 2, PORT_NAME, 1, text, 200);
    settle();
    tap_ok(strlen(console.ports[2].name) == VIRTIO_CONSOLE_NAME_MAX, "ports: a long name is cut");
    end();
}

static void test_control(void)
{
    begin(MODEL_MODERN, CONSOLE_F_PORTS | RINGS);
    console_model_control(&host, 5, PORT_ADD, 1, NULL, 0);
    settle();
    tap_ok(console.counters.bad_controls == 1 && host.ports[5].refused,
           "control: a port beyond the memory is refused");
    console_model_control(&host, UINT32_MAX, PORT_OPEN, 1, NULL, 0);
    console_model_control(&host, 2, PORT_OPEN, 1, NULL, 0);
    console_model_control(&host, 1, PORT_ADD, 1, NULL, 0);
    console_model_control(&host, 1, 77, 1, NULL, 0);
    settle();
    tap_ok(console.counters.bad_controls == 5 && !console.ports[2].host_open,
           "control: senseless messages are counted and have no effect");
    static struct model_chain chain;
    MODEL_CHECK(model_pop(&host.model, 2, &chain));
    model_push(&host.model, 2, chain.head, 3);
    settle();
    tap_ok(console.counters.bad_controls == 6, "control: a message that is too short");
    MODEL_CHECK(model_pop(&host.model, 2, &chain));
    model_push(&host.model, 2, chain.head, 100000);
    settle();
    tap_ok(console.counters.bad_controls == 7 && console.counters.bad_lengths == 1 &&
               !virtio_console_is_broken(&console),
           "control: one that is too long");
    for (int i = 0; i < 10000; i++) {
        console_model_control(&host, 1, RESIZE, 0, NULL, 0);
        virtio_console_poll(&console);
    }
    tap_ok(host.controls_lost == 0 && console.counters.bad_controls == 7,
           "control: ten thousand of them");
    tap_ok(!virtio_console_can_read(&console, 99) &&
               virtio_console_can_write(&console, 99) == VIRTIO_NO_DEVICE &&
               virtio_console_write(&console, 99, text, 1) == 0,
           "control: no port of that number");
    end();
}

// Eight ports at once: the guest's calls must not cost the host's answers.
static void eight_ports(struct console_model *model, uint32_t port, uint16_t event, uint16_t value)
{
    char name[16];

    if (event == DEVICE_READY) {
        for (uint32_t i = 0; i < CONSOLE_PORTS; i++)
            console_model_control(model, i, PORT_ADD, 1, NULL, 0);
    }
    if (event == PORT_READY && value == 1) {
        int length = snprintf(name, sizeof name, "port %u", port);
        console_model_control(model, port, CONSOLE_PORT, 1, NULL, 0);
        console_model_control(model, port, PORT_NAME, 1, name, (size_t)length);
        console_model_control(model, port, PORT_OPEN, 1, NULL, 0);
    }
}

static void test_many(void)
{
    bool good = true;

    console_model_initialize(&host, MODEL_MODERN, CONSOLE_F_PORTS | RINGS, 8);
    host.control = eight_ports;
    MODEL_CHECK(open_console(CONSOLE_PORTS) == VIRTIO_OK && start_console() == VIRTIO_OK);
    for (int i = 0; i < 64; i++)
        virtio_console_poll(&console);
    for (uint32_t i = 0; i < CONSOLE_PORTS; i++) {
        char name[16];
        snprintf(name, sizeof name, "port %u", i);
        good = good && strcmp(console.ports[i].name, name) == 0 && console.ports[i].host_open;
    }
    tap_ok(good && host.controls_lost == 0, "control: no answer is lost, few buffers or not");
    end();
}

// --- Sessions ------------------------------------------------------------------------

static void test_sessions(void)
{
    bool hangup;

    begin_session();
    tap_ok(console.ports[1].host_open && virtio_console_can_write(&console, 1) == VIRTIO_OK,
           "session: begun");
    tap_ok(read_all(1, back, 100, &hangup) == 0 && !hangup, "session: nothing to read yet");
    console_model_send(&host, 1, "hello", 5, 0);
    settle();
    tap_ok(virtio_console_can_read(&console, 1) && read_all(1, back, 3, &hangup) == 3 &&
               read_all(1, back + 3, 100, &hangup) == 2 && memcmp(back, "hello", 5) == 0,
           "session: bytes in");
    tap_ok(write_all(1, "answer", 6) == 6, "session: bytes out");
    console_model_receive(&host, 1);
    tap_ok(host.ports[1].from_guest_count == 6 &&
               memcmp(host.ports[1].from_guest, "answer", 6) == 0,
           "session: they arrive");
    console_model_send(&host, 1, "last", 4, 0);
    host_opens(1, false);
    tap_ok(virtio_console_can_write(&console, 1) == VIRTIO_HANGUP &&
               virtio_console_write(&console, 1, "x", 1) == 0,
           "session: nothing can be written when the host has gone");
    host_opens(1, true);
    console_model_send(&host, 1, "second", 6, 0);
    settle();
    tap_ok(virtio_console_can_write(&console, 1) == VIRTIO_HANGUP,
           "session: nor to the next before the end was read");
    tap_ok(read_all(1, back, 100, &hangup) == 4 && memcmp(back, "last", 4) == 0 && !hangup,
           "session: a read stops at the end of a session");
    tap_ok(read_all(1, back, 100, &hangup) == 0 && hangup, "session: the end, once");
    tap_ok(read_all(1, back, 100, &hangup) == 6 && memcmp(back, "second", 6) == 0 && !hangup &&
               virtio_console_can_write(&console, 1) == VIRTIO_OK,
           "session: then the next one");
    host_opens(1, false);
    host_opens(1, true);
    host_opens(1, false);
    tap_ok(read_all(1, back, 100, &hangup) == 0 && hangup && read_all(1, back, 100, &hangup) == 0 &&
               !hangup,
           "session: empty ones end like one");
    tap_ok(virtio_console_can_write(&console, 1) == VIRTIO_FULL && write_all(1, "x", 1) == 0,
           "session: a writer waits for the next");
    end();
}

static void test_attach(void)
{
    bool hangup;

    begin(MODEL_MODERN, CONSOLE_F_PORTS | RINGS);
    host_opens(1, true);
    console_model_send(&host, 1, "nobody is there", 15, 0);
    settle();
    tap_ok(!virtio_console_can_read(&console, 1) && console.ports[1].refused_bytes == 15,
           "attach: what came before is dropped");
    virtio_console_attach(&console, 1);
    console_model_send(&host, 1, text, 4 * 64, 0);
    settle();
    tap_ok(console_model_send(&host, 1, "x", 1, 0) == 0, "attach: a slow reader");
    virtio_console_detach(&console, 1);
    host_opens(1, false);
    tap_ok(!virtio_console_can_read(&console, 1), "attach: what was not read is dropped");
    tap_ok(console_model_send(&host, 1, text, 4 * 64, 0) == 4 * 64, "attach: and its room is free");
    virtio_console_attach(&console, 1);
    host_opens(1, true);
    console_model_send(&host, 1, "new", 3, 0);
    settle();
    tap_ok(read_all(1, back, 100, &hangup) == 3 && memcmp(back, "new", 3) == 0,
           "attach: the next session is heard from its start");
    end();
}

static void test_pressure(void)
{
    bool hangup;

    begin_session();
    for (unsigned i = 0; i < sizeof text; i++)
        text[i] = (uint8_t)(i * 7 + i / 256);
    tap_ok(console_model_send(&host, 1, text, 1000, 0) == 256, "pressure: four buffers in");
    settle();
    tap_ok(console_model_send(&host, 1, text, 1, 0) == 0, "pressure: no more until they are read");
    tap_ok(read_all(1, back, 65, &hangup) == 65 && memcmp(back, text, 65) == 0 &&
               console_model_send(&host, 1, text, 1000, 0) == 64,
           "pressure: a buffer goes back when it was read");
    host.ports[1].window = 0;
    tap_ok(write_all(1, text, 1000) == 4 * 32, "pressure: four buffers out");
    tap_ok(virtio_console_can_write(&console, 1) == VIRTIO_FULL && write_all(1, text, 1) == 0,
           "pressure: no more until the host takes some");
    unsigned interrupts = host.model.interrupts;
    host.ports[1].window = 2;
    console_model_receive(&host, 1);
    tap_ok(host.model.interrupts == interrupts + 1, "pressure: an interrupt when it does");
    settle();
    tap_ok(virtio_console_can_write(&console, 1) == VIRTIO_OK && write_all(1, text + 128, 64) == 64,
           "pressure: then as much again");
    host.ports[1].window = CONSOLE_NO_WINDOW;
    console_model_receive(&host, 1);
    tap_ok(host.ports[1].from_guest_count == 192 &&
               memcmp(host.ports[1].from_guest, text, 192) == 0,
           "pressure: all in order");
    settle();
    interrupts = host.model.interrupts;
    write_all(1, text, 3);
    console_model_receive(&host, 1);
    tap_ok(host.model.interrupts == interrupts, "pressure: no interrupt when nobody waits");
    end();
}

static void test_lengths(void)
{
    static struct model_chain chain;

    begin_session();
    MODEL_CHECK(model_pop(&host.model, console_receive_queue(1), &chain));
    model_push(&host.model, console_receive_queue(1), chain.head, 65);
    MODEL_CHECK(model_pop(&host.model, console_receive_queue(1), &chain));
    model_push(&host.model, console_receive_queue(1), chain.head, 0);
    settle();
    tap_ok(console.counters.bad_lengths == 1 && !virtio_console_can_read(&console, 1) &&
               !virtio_console_is_broken(&console),
           "lengths: impossible ones are dropped and counted");
    tap_ok(console_model_send(&host, 1, text, 1000, 0) == 256, "lengths: and their buffers stay");
    end();
}

// --- A single port -------------------------------------------------------------------

static void test_single(enum model_kind kind)
{
    bool hangup;

    console_model_initialize(&host, kind, RINGS, QUEUE_SIZE);
    MODEL_CHECK(open_console(PORTS) == VIRTIO_OK && start_console() == VIRTIO_OK);
    virtio_console_attach(&console, 0);
    console_model_send(&host, 0, "in", 2, 0);
    settle();
    tap_ok(console.sizes.ports == 1 && read_all(0, back, 10, &hangup) == 2 &&
               write_all(0, "out", 3) == 3,
           "single: a device without control messages has one port");
    console_model_receive(&host, 0);
    tap_ok(host.ports[0].from_guest_count == 3, "single: always open");
    tap_ok(virtio_console_restart(&console) == VIRTIO_OK && read_all(0, back, 10, &hangup) == 0 &&
               hangup && write_all(0, "out", 3) == 3,
           "single: started again");
    end();
}

static void test_open(void)
{
    console_model_initialize(&host, MODEL_MODERN, CONSOLE_F_PORTS, QUEUE_SIZE);
    tap_ok(open_console(0) == VIRTIO_INVALID && open_console(65) == VIRTIO_INVALID,
           "open: sizes that make no sense");
    tap_ok(open_console(64) == VIRTIO_OK && console.sizes.ports == CONSOLE_PORTS,
           "open: as many ports as the device has");
    memset(host.model.config + 4, 0, 4);
    tap_ok(open_console(4) == VIRTIO_BAD_CONFIGURATION, "open: a device with no ports");
    host.model.queues[3].size_max = 0;
    host.model.config[4] = 8;
    tap_ok(open_console(4) == VIRTIO_NO_QUEUE, "open: a queue is missing");
    host.model.queues[3].size_max = 1;
    host.model.queues[2].size_max = 1;
    tap_ok(open_console(4) == VIRTIO_OK, "open: the smallest queues");
    memory = model_memory(&host.model, virtio_console_shared_bytes(&console) - 1,
                          virtio_console_own_bytes(&console));
    tap_ok(virtio_console_start(&console, &memory) == VIRTIO_NO_MEMORY, "open: too little memory");
    end();
}

// --- A device that lies ----------------------------------------------------------------

static void test_restart(void)
{
    bool hangup;

    begin_session();
    console_model_send(&host, 1, "unread", 6, 0);
    settle();
    write_all(1, text, 100);
    model_push_raw(&host.model, console_transmit_queue(1), 31, 0, 1);
    settle();
    tap_ok(virtio_console_is_broken(&console), "restart: broken");
    tap_ok(virtio_console_restart(&console) == VIRTIO_OK && !virtio_console_is_broken(&console),
           "restart: started again");
    settle();
    tap_ok(console.ports[1].present && host.ports[1].guest_open,
           "restart: the port is back and attached");
    tap_ok(read_all(1, back, 100, &hangup) == 0 && hangup && !console.ports[1].host_open,
           "restart: the session has ended");
    host_opens(1, true);
    console_model_send(&host, 1, "again", 5, 0);
    settle();
    tap_ok(read_all(1, back, 100, &hangup) == 5 && write_all(1, text, 128) == 128,
           "restart: bytes in and out");
    console_model_control(&host, 1, PORT_REMOVE, 1, NULL, 0);
    settle();
    tap_ok(read_all(1, back, 100, &hangup) == 0 && hangup, "restart: a port taken away hangs up");
    host.model.config[4] = 1;
    tap_ok(virtio_console_restart(&console) == VIRTIO_NO_FEATURE,
           "restart: not with a device that has become another");
    end();
}

// --- Random traffic ----------------------------------------------------------------------

// Both directions of one port, and sessions that come and go. Bytes of each
// direction count up; the reader checks that none is missing or doubled.
struct traffic {
    struct model_random random;
    uint8_t host_next, guest_next;       // to be sent
    uint8_t host_expects, guest_expects; // to be received
    size_t host_taken;
    uint64_t moved;
    unsigned sessions, ends;
};

static void fill(uint8_t *bytes, size_t count, uint8_t first)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)(first + i);
}

static bool host_works(struct traffic *traffic)
{
    size_t count = model_below(&traffic->random, 400);
    struct console_model_port *port = &host.ports[1];

    if (console.ports[1].host_open) {
        fill(text, count, traffic->host_next);
        traffic->host_next += (uint8_t)console_model_send(&host, 1, text, count,
                                                          1 + model_below(&traffic->random, 64));
    }
    port->window = model_below(&traffic->random, 3);
    console_model_receive(&host, 1);
    for (; traffic->host_taken < port->from_guest_count; traffic->host_taken++) {
        if (port->from_guest[traffic->host_taken] != traffic->host_expects++)
            return false;
    }
    if (port->from_guest_count > CONSOLE_SENT_MAX / 2)
        port->from_guest_count = traffic->host_taken = 0;
    return true;
}

static bool guest_works(struct traffic *traffic)
{
    bool hangup = false;
    size_t count = model_below(&traffic->random, 300);

    virtio_console_poll(&console);
    count = read_all(1, back, count, &hangup);
    traffic->ends += hangup;
    traffic->moved += count;
    for (size_t i = 0; i < count; i++) {
        if (back[i] != traffic->guest_expects++)
            return false;
    }
    count = model_below(&traffic->random, 200);
    fill(text, count, traffic->guest_next);
    traffic->guest_next += (uint8_t)write_all(1, text, count);
    return true;
}

static bool run_at_random(uint64_t seed, unsigned operations)
{
    struct traffic traffic = {.random.state = seed};
    bool good = true, hangup;

    begin_session();
    for (unsigned i = 0; i < operations && good; i++) {
        good = host_works(&traffic) && guest_works(&traffic);
        if (model_below(&traffic.random, 20) == 0) {
            traffic.sessions += console.ports[1].host_open;
            host_opens(1, !console.ports[1].host_open);
        }
    }
    host_opens(1, false);
    for (unsigned i = 0; i < 100; i++)
        good = (!virtio_console_can_read(&console, 1) || guest_works(&traffic)) && good;
    (void)read_all(1, back, 1, &hangup);
    good = good && traffic.guest_expects == traffic.host_next && traffic.moved > operations &&
           traffic.sessions > operations / 100 && traffic.ends > operations / 100;
    end();
    return good;
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    unsigned operations = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 0) : 4000;

    test_ports(MODEL_MODERN, RINGS, "modern");
    test_ports(MODEL_LEGACY, 0, "legacy");
    test_control();
    test_many();
    test_sessions();
    test_attach();
    test_pressure();
    test_lengths();
    test_single(MODEL_MODERN);
    test_single(MODEL_LEGACY);
    test_open();
    test_restart();
    for (uint64_t i = seed; i < seed + 8; i++) {
        char name[64];
        snprintf(name, sizeof name, "random traffic, seed %lu", (unsigned long)i);
        tap_ok(run_at_random(i, operations), name);
    }
    return tap_end();
}
