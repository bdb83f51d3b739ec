// SPDX-License-Identifier: BSD-2-Clause
// How many frames the hub of the virtual LAN forwards, with processes of the host in place of
// nodes. Cores are shared and slow or quick as they like: "a second of the hub" counts only the
// processor time that the hub itself used, and is the figure to compare.
//
//     bench HUB FOLDER SECONDS      HUB is the program, FOLDER an empty one for the sockets
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    NODES_MAX = 8,
    BATCH = 16,
    FRAME_BYTES_MAX = 9014,
};

struct row {
    const char *name;
    const char *spec;
    unsigned nodes;
    unsigned senders; // the first so many nodes; each sends to the next, or to all
    bool broadcast;
    uint32_t bytes;
};

static const struct row rows[] = {
    {"64 bytes, one to one", "none", 2, 1, false, 64},
    {"64 bytes, both ways", "none", 2, 2, false, 64},
    {"64 bytes, one of 4 to all", "none", 4, 1, true, 64},
    {"1,514 bytes, one to one", "none", 2, 1, false, 1514},
    {"9,014 bytes, one to one", "none", 2, 1, false, 9014},
    {"64 bytes, all impairments", "loss=1%,delay=1ms,jitter=1ms,dup=1%,reorder=1%,biterror=1e-6", 2,
     1, false, 64},
};

static const char *hub_program, *folder;
// Shared by all processes: frames that each node has received.
static _Atomic uint64_t *received;

static void __attribute__((noreturn)) fail(const char *what)
{
    fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
    exit(1);
}

static struct sockaddr_un path_of(const char *format, unsigned node)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char name[32];
    snprintf(name, sizeof name, format, node + 1);
    snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", folder, name);
    return address;
}

static void write_frame(uint8_t *frame, unsigned from, unsigned to)
{
    static const uint8_t prefix[5] = {0x52, 0x54, 0x00, 0xc0, 0x00};
    memcpy(frame, prefix, sizeof prefix);
    memcpy(frame + 6, prefix, sizeof prefix);
    frame[5] = (uint8_t)(to + 1);
    frame[11] = (uint8_t)(from + 1);
    if (to == NODES_MAX)
        memset(frame, 0xff, 6);
}

static void __attribute__((noreturn)) send_for_ever(int node, uint8_t *frame, uint32_t bytes)
{
    // Not before all nodes are known.
    sleep(1);
    struct iovec piece = {frame, bytes};
    struct mmsghdr messages[BATCH];
    memset(messages, 0, sizeof messages);
    for (unsigned i = 0; i < BATCH; i++) {
        messages[i].msg_hdr.msg_iov = &piece;
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    while (sendmmsg(node, messages, BATCH, 0) > 0)
        continue;
    // The hub has ended, and so has the row.
    exit(0);
}

static void __attribute__((noreturn)) receive_for_ever(int node, uint8_t *frame, uint32_t number)
{
    (void)frame;
    static uint8_t frames[BATCH][FRAME_BYTES_MAX];
    struct mmsghdr messages[BATCH];
    struct iovec pieces[BATCH];
    memset(messages, 0, sizeof messages);
    for (unsigned i = 0; i < BATCH; i++) {
        pieces[i] = (struct iovec){frames[i], FRAME_BYTES_MAX};
        messages[i].msg_hdr.msg_iov = &pieces[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    for (;;) {
        int count = recvmmsg(node, messages, BATCH, MSG_WAITFORONE, NULL);
        if (count < 0)
            fail("recvmmsg");
        atomic_fetch_add(&received[number], (uint64_t)count);
    }
}

typedef void process_function(int socket, uint8_t *frame, uint32_t number);

static void start_process(process_function *function, int socket, uint8_t *frame, uint32_t number)
{
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        function(socket, frame, number);
    }
}

// A node: makes itself known, then receives, and sends if it is to. Ends with the benchmark.
static void start_node(const struct row *row, unsigned number)
{
    static uint8_t frame[FRAME_BYTES_MAX];
    struct sockaddr_un own = path_of("node%u.nic", number), hub = path_of("wire%u", number);
    unlink(own.sun_path);
    int node = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (node < 0 || bind(node, (struct sockaddr *)&own, sizeof own) != 0)
        fail(own.sun_path);
    // Another one: a connected socket takes datagrams from its peer's name only, and the hub sends
    // from a socket without one.
    int out = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (connect(out, (struct sockaddr *)&hub, sizeof hub) != 0)
        fail(hub.sun_path);
    write_frame(frame, number, NODES_MAX);
    if (send(out, frame, 64, 0) != 64)
        fail("send");
    write_frame(frame, number, row->broadcast ? NODES_MAX : (number + 1) % row->nodes);
    start_process(receive_for_ever, node, frame, number);
    if (number < row->senders)
        start_process(send_for_ever, out, frame, row->bytes);
}

static pid_t start_hub(const struct row *row)
{
    char nodes[16];
    snprintf(nodes, sizeof nodes, "%u", row->nodes);
    pid_t hub = fork();
    if (hub == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl(hub_program, "wire", "serve", folder, nodes, row->spec, (char *)NULL);
        fail(hub_program);
    }
    struct sockaddr_un last = path_of("wire%u", row->nodes - 1);
    for (unsigned tries = 0; access(last.sun_path, F_OK) != 0; tries++) {
        if (tries == 1000)
            fail("the hub");
        usleep(10000);
    }
    return hub;
}

static double processor_seconds(pid_t process)
{
    clockid_t clock;
    struct timespec time;
    if (clock_getcpuclockid(process, &clock) != 0 || clock_gettime(clock, &time) != 0)
        fail("clock");
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static uint64_t all_received(void)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < NODES_MAX; i++)
        sum += atomic_load(&received[i]);
    return sum;
}

// One row, in a process of its own, whose end ends all nodes.
static void measure(const struct row *row, unsigned seconds)
{
    pid_t hub = start_hub(row);
    for (unsigned i = 0; i < row->nodes; i++)
        start_node(row, i);
    sleep(2);
    uint64_t frames = all_received();
    double used = processor_seconds(hub);
    sleep(seconds);
    frames = all_received() - frames;
    used = processor_seconds(hub) - used;
    printf("%-28s %9.0f a second  %9.0f a second of the hub\n", row->name, (double)frames / seconds,
           (double)frames / used);
    fflush(stdout);
    kill(hub, SIGTERM);
    waitpid(hub, NULL, 0);
    exit(frames > 0 ? 0 : 1);
}

int main(int count, char **words)
{
    int result = 0;
    if (count != 4 || atoi(words[3]) < 1) {
        fprintf(stderr, "usage: bench HUB FOLDER SECONDS\n");
        return 2;
    }
    hub_program = words[1];
    folder = words[2];
    received = mmap(NULL, sizeof *received * NODES_MAX, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (received == MAP_FAILED)
        fail("memory");
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int status;
        pid_t child = fork();
        if (child == 0)
            measure(&rows[i], (unsigned)atoi(words[3]));
        waitpid(child, &status, 0);
        result |= status;
    }
    return result != 0;
}
