// SPDX-License-Identifier: GPL-2.0-only
#include "sessions.h"

#include "channel.h"
#include "session.h"
#include "spawn.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// Milliseconds after which a poll looks anyway whether the channel can be opened.
#define TICK_MS 200

static struct {
    struct channel channel;
    uint64_t epoch;      // ours, drawn at start
    uint64_t host_epoch; // 0: no host has said hello
    bool hello_due, report_due;
    uint32_t report_session;
    struct session sessions[AGENT_SESSIONS_MAX];
    unsigned first; // the session that is served first; goes round
    uint64_t opened, stray_frames, mistakes;
    int child_events; // readable when a process has ended
} agent;

static int64_t now_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

// --- Processes that end -------------------------------------------------------

static void reap_children(void)
{
    struct signalfd_siginfo event;
    while (read(agent.child_events, &event, sizeof event) > 0)
        ;
    int status;
    pid_t process;
    while ((process = waitpid(-1, &status, WNOHANG)) > 0)
        for (unsigned i = 0; i < AGENT_SESSIONS_MAX; i++)
            if (agent.sessions[i].used && agent.sessions[i].process == process)
                session_process_ended(&agent.sessions[i], status);
}

// --- Frames from the host -----------------------------------------------------

static void drop_all(void)
{
    for (unsigned i = 0; i < AGENT_SESSIONS_MAX; i++)
        if (agent.sessions[i].used)
            session_drop(&agent.sessions[i]);
    agent.report_due = false;
}

static void take_hello(const struct frame *frame)
{
    if (frame->length != AGENT_HELLO_BYTES || agent_get64(frame->payload + 8) == 0) {
        agent.mistakes++;
        return;
    }
    uint64_t epoch = agent_get64(frame->payload + 8);
    if (epoch != agent.host_epoch)
        drop_all();
    // A host of another version learns ours from the answer, and is not served.
    agent.host_epoch = agent_get32(frame->payload) == AGENT_VERSION ? epoch : 0;
    agent.hello_due = true;
}

static struct session *find_session(uint32_t id)
{
    for (unsigned i = 0; i < AGENT_SESSIONS_MAX; i++)
        if (agent.sessions[i].used && agent.sessions[i].id == id)
            return &agent.sessions[i];
    return NULL;
}

static struct session *unused_session(void)
{
    for (unsigned i = 0; i < AGENT_SESSIONS_MAX; i++)
        if (!agent.sessions[i].used)
            return &agent.sessions[i];
    return NULL;
}

// A session that only exists to say why it does not.
static void refuse_unopened(struct session *session, uint32_t id, const char *why)
{
    *session = (struct session){.used = true, .id = id, .input = -1};
    for (int i = 0; i < AGENT_STREAMS; i++)
        session->outputs[i].file = -1;
    session_refuse(session, why, 0);
}

static unsigned count_sessions(void)
{
    unsigned count = 0;
    for (unsigned i = 0; i < AGENT_SESSIONS_MAX; i++)
        count += agent.sessions[i].used;
    return count;
}

static void take_open(const struct frame *frame)
{
    static struct open_request request;
    const char *wrong = open_request_read(&request, frame->payload, frame->length);
    struct session *session = unused_session();
    if (session == NULL) {
        agent.mistakes++; // the host knows AGENT_SESSIONS_MAX
    } else if (wrong != NULL) {
        agent.mistakes++;
        refuse_unopened(session, frame->session, wrong);
    } else {
        session_open(session, frame->session, &request);
        agent.opened++;
    }
}

static void take_frame(const struct frame *frame)
{
    if (frame->type == AGENT_HELLO) {
        take_hello(frame);
        return;
    }
    struct session *session = find_session(frame->session);
    if (agent.host_epoch == 0) {
        agent.stray_frames++; // meant for the agent that was here before
    } else if (frame->type == AGENT_QUERY) {
        agent.report_due = true;
        agent.report_session = frame->session;
    } else if (frame->type == AGENT_OPEN && session == NULL) {
        take_open(frame);
    } else if (session == NULL) {
        agent.stray_frames++;
    } else if (frame->type == AGENT_CLOSE) {
        session_drop(session);
    } else {
        bool was_refused = session->end == AGENT_REFUSED;
        session_take(session, frame);
        if (!was_refused && session->end == AGENT_REFUSED)
            agent.mistakes++;
    }
}

// False when the channel is broken.
static bool read_channel(void)
{
    static uint8_t bytes[AGENT_PIECE_BYTES];
    int got = channel_read(&agent.channel, bytes, sizeof bytes);
    if (got < 0)
        return false;
    size_t used = 0;
    while (used < (size_t)got) {
        struct frame frame;
        bool complete;
        used +=
            frame_parse(&agent.channel.parser, bytes + used, (size_t)got - used, &frame, &complete);
        if (complete)
            take_frame(&frame);
    }
    return true;
}

// --- Frames to the host -------------------------------------------------------

static void send_hello(void)
{
    uint8_t payload[AGENT_HELLO_BYTES];
    agent_put32(payload, AGENT_VERSION);
    agent_put32(payload + 4, AGENT_WINDOW);
    agent_put64(payload + 8, agent.epoch);
    agent_put64(payload + 16, agent.host_epoch);
    struct frame frame = {.type = AGENT_HELLO, .length = sizeof payload, .payload = payload};
    channel_send(&agent.channel, &frame);
}

static void send_report(void)
{
    const struct frame_parser *parser = &agent.channel.parser;
    char text[512];
    int length =
        snprintf(text, sizeof text,
                 "sessions %u\nopened %" PRIu64 "\nframes %" PRIu64 "\nbad_frames %" PRIu64
                 "\nskipped_bytes %" PRIu64 "\nstray_frames %" PRIu64 "\nmistakes %" PRIu64 "\n",
                 count_sessions(), agent.opened, parser->frames, parser->bad_frames,
                 parser->skipped, agent.stray_frames, agent.mistakes);
    struct frame frame = {.type = AGENT_REPORT,
                          .session = agent.report_session,
                          .length = (uint32_t)length,
                          .payload = (const uint8_t *)text};
    channel_send(&agent.channel, &frame);
}

// Says what is due, a piece for each session in turn. False when nothing was.
static bool send_all(void)
{
    bool done = false;
    if (agent.hello_due && channel_has_room(&agent.channel, AGENT_PIECE_BYTES)) {
        send_hello();
        agent.hello_due = false;
    }
    if (agent.host_epoch == 0)
        return false;
    if (agent.report_due && channel_has_room(&agent.channel, AGENT_PIECE_BYTES)) {
        send_report();
        agent.report_due = false;
    }
    for (unsigned i = 0; i < AGENT_SESSIONS_MAX; i++) {
        struct session *session = &agent.sessions[(agent.first + i) % AGENT_SESSIONS_MAX];
        if (session->used)
            done |= session_send(session, &agent.channel);
    }
    agent.first = (agent.first + 1) % AGENT_SESSIONS_MAX;
    return done;
}

// --- The loop -----------------------------------------------------------------

static void channel_lost(void)
{
    // Whoever comes next says hello. The sessions end then, if it is another.
    channel_close(&agent.channel, now_ms());
    agent.hello_due = true;
}

static void wait_and_serve(bool busy)
{
    static struct pollfd entries[2 + AGENT_SESSIONS_MAX * AGENT_STREAMS];
    static unsigned owners[2 + AGENT_SESSIONS_MAX * AGENT_STREAMS];
    unsigned count = 0;
    const struct channel *channel = &agent.channel;
    entries[count++] = (struct pollfd){.fd = agent.child_events, .events = POLLIN};
    entries[count++] = (struct pollfd){
        .fd = channel->file, .events = channel->out_count > 0 ? POLLIN | POLLOUT : POLLIN};
    bool room = agent.host_epoch != 0 && channel_has_room(channel, AGENT_PIECE_BYTES);
    for (unsigned i = 0; i < AGENT_SESSIONS_MAX; i++) {
        if (!agent.sessions[i].used)
            continue;
        unsigned added = session_poll(&agent.sessions[i], entries + count, room);
        while (added-- > 0)
            owners[count++] = i;
    }
    int timeout = channel->file < 0 ? TICK_MS : -1;
    if (poll(entries, count, busy ? 0 : timeout) < 0)
        return;

    if (entries[0].revents != 0)
        reap_children();
    for (unsigned i = 2; i < count; i++)
        session_ready(&agent.sessions[owners[i]], &entries[i]);
    bool hung_up = (entries[1].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0;
    if ((entries[1].revents & POLLIN) != 0) {
        if (!read_channel())
            channel_lost();
    } else if (hung_up) {
        channel_lost();
    }
}

static bool start(const char *path)
{
    channel_init(&agent.channel, path);
    while (agent.epoch == 0)
        if (getrandom(&agent.epoch, sizeof agent.epoch, GRND_INSECURE) < 0 && errno != EINTR)
            return false;
    // Children unblock it again.
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    agent.child_events = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    if (agent.child_events < 0)
        return false;
    spawn_init();
    agent.hello_due = true;
    return true;
}

int serve_channel(const char *path)
{
    if (!start(path)) {
        fprintf(stderr, "agent: cannot start: %s\n", strerror(errno));
        return 1;
    }
    for (;;) {
        bool busy = false;
        if (channel_open(&agent.channel, now_ms())) {
            busy = send_all();
            if (!channel_flush(&agent.channel))
                channel_lost();
        }
        wait_and_serve(busy);
    }
}
