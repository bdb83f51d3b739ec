// SPDX-License-Identifier: BSD-2-Clause
// The loop of the hub: frames from the nodes into the wire, what is due out of it to the nodes, and
// the commands of people in between. It never waits for a node: one that takes nothing costs memory
// up to a bound, then its own frames.
#include "deploy/wire/hub.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "deploy/wire/commands.h"
#include "deploy/wire/report.h"

#define SECOND UINT64_C(1000000000)

// What an event of epoll is about: one of these in the upper half, a number in the lower.
enum source {
    SOURCE_PORT_IN,
    SOURCE_PORT_OUT,
    SOURCE_LISTENER,
    SOURCE_CLIENT,
    SOURCE_TIMER,
    SOURCE_SIGNAL,
};

enum {
    EVENTS_MAX = 32,
};

struct hub {
    unsigned count; // of ports
    int epoll;
    int timer;
    int signals;
    uint64_t now;      // monotonic, of this turn of the loop
    uint64_t timer_at; // what the timer is set to
    bool ended;
    uint32_t watched; // ports whose nodes' sockets are full
    struct frame_pool pool;
    struct wire wire;
    struct port ports[WIRE_PORTS_MAX];
    struct commands commands;
    struct capture capture;
    const char *folder;
};

static struct hub hub = {.epoll = -1, .timer = -1, .signals = -1, .pool = {.limit = FRAMES_MAX}};

static uint64_t clock_now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * SECOND + (uint64_t)time.tv_nsec;
}

static bool complain(const char *what)
{
    fprintf(stderr, "wire: %s: %s\n", what, strerror(errno));
    return false;
}

static bool watch(int file, enum source source, unsigned number, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u64 = (uint64_t)source << 32 | number};
    return epoll_ctl(hub.epoll, operation, file, &event) == 0 || complain("epoll");
}

// --- Frames -------------------------------------------------------------------------------------

static void serve_port(unsigned number)
{
    struct frame *frames[PORT_BATCH];
    unsigned count = port_receive(&hub.ports[number], &hub.pool, frames);
    uint64_t time = hub.capture.file != NULL ? clock_now(CLOCK_REALTIME) : 0;
    for (unsigned i = 0; i < count; i++) {
        capture_frame(&hub.capture, time, number, CAPTURE_INBOUND, frames[i]);
        wire_input(&hub.wire, hub.now, number, frames[i]);
    }
}

// Hands what is due to the ports; returns which of them got some.
static uint32_t deliver(void)
{
    struct delivery delivery;
    uint32_t touched = 0;
    uint64_t time = hub.capture.file != NULL ? clock_now(CLOCK_REALTIME) : 0;
    while (wire_take(&hub.wire, hub.now, &delivery)) {
        capture_frame(&hub.capture, time, delivery.to, CAPTURE_OUTBOUND, delivery.frame);
        port_append(&hub.ports[delivery.to], hub.now, &hub.pool, delivery.frame);
        touched |= UINT32_C(1) << delivery.to;
    }
    return touched;
}

// Sends to a node, and waits for room in its socket when that is full.
static void flush_port(unsigned number)
{
    struct port *port = &hub.ports[number];
    uint32_t bit = UINT32_C(1) << number;
    bool full = port_flush(port, hub.now, &hub.pool);
    if (full && (hub.watched & bit) == 0)
        watch(port->out, SOURCE_PORT_OUT, number, EPOLL_CTL_ADD, EPOLLOUT);
    else if (!full && (hub.watched & bit) != 0)
        watch(port->out, SOURCE_PORT_OUT, number, EPOLL_CTL_DEL, 0);
    hub.watched = full ? hub.watched | bit : hub.watched & ~bit;
}

// --- Commands -----------------------------------------------------------------------------------

static size_t run_report(bool json, char *answer)
{
    // Who is there shows when something is sent, which may have been long ago.
    for (unsigned i = 0; i < hub.count; i++) {
        port_look(&hub.ports[i], hub.now, &hub.pool);
        flush_port(i);
    }
    struct report report = {&hub.wire, hub.ports, &hub.capture};
    size_t length = (size_t)sprintf(answer, "ok\n");
    answer += length;
    return length + (json ? report_json(&report, answer) : report_text(&report, answer));
}

static size_t run_capture(const struct control_request *request, char *answer, size_t room)
{
    bool good =
        request->kind == CONTROL_CAPTURE_OFF
            ? capture_stop(&hub.capture)
            : capture_start(&hub.capture, request->file, hub.count, request->rotate, request->keep);
    int length =
        good ? snprintf(answer, room, "ok\n")
             : snprintf(answer, room, "error: pcap: %s: %s\n", hub.capture.name, strerror(errno));
    return (size_t)length < room ? (size_t)length : room - 1;
}

// Does what a line says; returns the length of the answer.
static size_t run_command(const char *line, char *answer, size_t room)
{
    static struct control_request request;
    char message[SPEC_MESSAGE_BYTES];
    if (!control_parse(line, hub.count, &request, message))
        return (size_t)snprintf(answer, room, "error: %s\n", message);
    switch (request.kind) {
    case CONTROL_WIRE:
        wire_impair(&hub.wire, hub.now, &request.spec);
        break;
    case CONTROL_CUT_GROUP:
        wire_cut_group(&hub.wire, request.group);
        break;
    case CONTROL_CUT_LINK:
        wire_cut_link(&hub.wire, request.from, request.to);
        break;
    case CONTROL_HEAL:
        wire_heal(&hub.wire);
        break;
    case CONTROL_STATS:
        return run_report(request.json, answer);
    case CONTROL_CAPTURE:
    case CONTROL_CAPTURE_OFF:
        return run_capture(&request, answer, room);
    }
    return (size_t)snprintf(answer, room, "ok\n");
}

static void serve_client(unsigned place)
{
    static char answer[REPORT_BYTES + 8];
    const char *line = commands_read(&hub.commands, place);
    if (line != NULL)
        commands_answer(&hub.commands, place, answer, run_command(line, answer, sizeof answer));
}

static void serve_listener(void)
{
    int place = commands_accept(&hub.commands);
    if (place >= 0)
        watch(hub.commands.clients[place].socket, SOURCE_CLIENT, (unsigned)place, EPOLL_CTL_ADD,
              EPOLLIN);
}

static void set_timer(void)
{
    uint64_t next = wire_next_time(&hub.wire);
    struct itimerspec time = {0};
    if (next == hub.timer_at)
        return;
    hub.timer_at = next;
    if (next != WIRE_NEVER) {
        time.it_value.tv_sec = (time_t)(next / SECOND);
        time.it_value.tv_nsec = (long)(next % SECOND);
    }
    timerfd_settime(hub.timer, TFD_TIMER_ABSTIME, &time, NULL);
}

// --- The loop -----------------------------------------------------------------------------------

static void serve_event(uint64_t about)
{
    unsigned number = (unsigned)about;
    uint64_t expirations;
    switch ((enum source)(about >> 32)) {
    case SOURCE_PORT_IN:
        serve_port(number);
        break;
    case SOURCE_PORT_OUT:
        flush_port(number);
        break;
    case SOURCE_LISTENER:
        serve_listener();
        break;
    case SOURCE_CLIENT:
        // It may have made place for another one in this very turn.
        if (hub.commands.clients[number].socket >= 0)
            serve_client(number);
        break;
    case SOURCE_TIMER:
        // Only to end the event; what is due is looked for in every turn.
        (void)!read(hub.timer, &expirations, sizeof expirations);
        hub.timer_at = WIRE_NEVER;
        break;
    case SOURCE_SIGNAL:
        hub.ended = true;
        break;
    }
}

static void run(void)
{
    struct epoll_event events[EVENTS_MAX];
    while (!hub.ended) {
        set_timer();
        int count = epoll_wait(hub.epoll, events, EVENTS_MAX, -1);
        hub.now = clock_now(CLOCK_MONOTONIC);
        for (int i = 0; i < count; i++)
            serve_event(events[i].data.u64);
        uint32_t touched = deliver();
        // Before nodes get them: what has arrived is in the file.
        capture_flush(&hub.capture);
        for (; touched != 0; touched &= touched - 1)
            flush_port((unsigned)__builtin_ctz(touched));
    }
}

static bool open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    // A capture may go into a pipe.
    signal(SIGPIPE, SIG_IGN);
    hub.signals = signalfd(-1, &set, SFD_CLOEXEC);
    return hub.signals >= 0 || complain("signalfd");
}

static bool open_all(void)
{
    hub.epoll = epoll_create1(EPOLL_CLOEXEC);
    hub.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    hub.timer_at = WIRE_NEVER;
    if (hub.epoll < 0 || hub.timer < 0)
        return complain("epoll");
    if (!open_signals() || !commands_open(&hub.commands, hub.folder))
        return false;
    while (hub.count < hub.wire.ports) {
        unsigned number = hub.count++;
        if (!port_open(&hub.ports[number], hub.folder, number + 1, &hub.pool) ||
            !watch(hub.ports[number].in, SOURCE_PORT_IN, number, EPOLL_CTL_ADD, EPOLLIN))
            return false;
    }
    return watch(hub.commands.listener, SOURCE_LISTENER, 0, EPOLL_CTL_ADD, EPOLLIN) &&
           watch(hub.timer, SOURCE_TIMER, 0, EPOLL_CTL_ADD, EPOLLIN) &&
           watch(hub.signals, SOURCE_SIGNAL, 0, EPOLL_CTL_ADD, EPOLLIN);
}

static void close_all(void)
{
    capture_stop(&hub.capture);
    wire_end(&hub.wire);
    for (unsigned i = 0; i < hub.count; i++)
        port_close(&hub.ports[i], hub.folder, i + 1, &hub.pool);
    commands_close(&hub.commands, hub.folder);
    // A frame that is missing here was lost without being counted.
    if (!frame_pool_end(&hub.pool))
        fprintf(stderr, "wire: %u frames were not given back\n", hub.pool.made);
}

int hub_serve(const char *folder, unsigned ports, const struct wire_spec *spec)
{
    hub.folder = folder;
    wire_initialize(&hub.wire, ports, &hub.pool);
    wire_impair(&hub.wire, 0, spec);
    bool opened = open_all();
    if (opened)
        run();
    close_all();
    return opened ? 0 : 1;
}
