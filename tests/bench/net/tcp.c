// SPDX-License-Identifier: BSD-2-Clause
// The Linux half of tests/bench/net: the same rows by TCP, for Debian's kernel and for a node's
// Linux.
//
//   netbench-tcp serve
//   netbench-tcp drive ADDRESS ROUNDS DIVIDE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/linux/bench/mark.h"

#define PORT         5001
#define STREAM_BYTES 65536u
#define CALLS        400u
#define MESSAGES     128u
#define WARM_UP_PART 10u
#define PAUSE_US     1500000u

// What the driver wants next: `count` messages of `bytes`.
struct request {
    enum { ECHO, SINK, SOURCE } kind;
    uint32_t count, bytes;
};

static uint8_t buffer[STREAM_BYTES];

_Noreturn static void give_up(const char *what)
{
    printf("bench: failed %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

static void write_all(int socket, const void *data, size_t bytes)
{
    const uint8_t *next = data;

    while (bytes > 0) {
        ssize_t part = write(socket, next, bytes);
        if (part <= 0)
            give_up("write");
        next += part;
        bytes -= (size_t)part;
    }
}

// False: the other side has closed before the first byte.
static bool read_all(int socket, void *data, size_t bytes)
{
    uint8_t *next = data;

    for (size_t have = 0; have < bytes;) {
        ssize_t part = read(socket, next + have, bytes - have);
        if (part == 0 && have == 0)
            return false;
        if (part <= 0)
            give_up("read");
        have += (size_t)part;
    }
    return true;
}

static void without_delay(int socket)
{
    int on = 1;

    if (setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)
        give_up("TCP_NODELAY");
}

// --- The side that answers -------------------------------------------------------------------

static void serve_request(int socket, const struct request *request)
{
    for (uint32_t i = 0; i < request->count; i++) {
        if (request->kind != SOURCE && !read_all(socket, buffer, request->bytes))
            give_up("an end in between");
        if (request->kind != SINK)
            write_all(socket, buffer, request->bytes);
    }
    if (request->kind == SINK)
        write_all(socket, buffer, 1);
}

static void serve(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct request request;

    if (listener < 0 || bind(listener, (struct sockaddr *)&any, sizeof any) != 0 ||
        listen(listener, 1) != 0)
        give_up("listen");
    for (;;) {
        int peer = accept(listener, NULL, NULL);
        if (peer < 0)
            give_up("accept");
        without_delay(peer);
        while (read_all(peer, &request, sizeof request))
            serve_request(peer, &request);
        close(peer);
    }
}

// --- The side that measures --------------------------------------------------------------------

static uint64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void row(const char *name, uint64_t value, const char *kind)
{
    printf("bench: %s%s %llu\n", name, kind, (unsigned long long)value);
}

static int compare_times(const void *one, const void *other)
{
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;

    return a < b ? -1 : a > b;
}

static void call(int socket, size_t bytes)
{
    write_all(socket, buffer, bytes);
    if (!read_all(socket, buffer, bytes))
        give_up("the other side");
}

// Two rows, in nanoseconds: the median of so many round trips, and what one in ten is faster than,
// which says more when others want this machine's processors.
static void latency(const char *name, int socket, size_t bytes, unsigned count)
{
    static uint64_t times[CALLS];
    unsigned warm_up = 1 + count / WARM_UP_PART;
    struct request request = {ECHO, count + warm_up, (uint32_t)bytes};

    write_all(socket, &request, sizeof request);
    for (unsigned i = 0; i < warm_up; i++)
        call(socket, bytes);
    mark_begin();
    for (unsigned i = 0; i < count; i++) {
        uint64_t begin = now();
        call(socket, bytes);
        times[i] = now() - begin;
    }
    mark_end();
    qsort(times, count, sizeof times[0], compare_times);
    row(name, times[count / 2], "");
    row(name, times[count / 10], "_tenth");
}

static void stream(int socket, int kind, unsigned count)
{
    struct request request = {kind, count, STREAM_BYTES};

    write_all(socket, &request, sizeof request);
    for (unsigned i = 0; i < count; i++) {
        if (kind == SINK)
            write_all(socket, buffer, STREAM_BYTES);
        else if (!read_all(socket, buffer, STREAM_BYTES))
            give_up("the other side");
    }
    if (kind == SINK && !read_all(socket, buffer, 1))
        give_up("the other side");
}

// Kilobytes (1,000) a second.
static uint64_t bandwidth(int socket, int kind, unsigned count)
{
    stream(socket, kind, 1 + count / WARM_UP_PART);
    mark_begin();
    uint64_t begin = now();
    stream(socket, kind, count);
    uint64_t took = now() - begin;
    mark_end();
    return (uint64_t)count * STREAM_BYTES * 1000000 / took;
}

static int connect_to(const char *address)
{
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(PORT)};

    if (inet_pton(AF_INET, address, &there.sin_addr) != 1)
        give_up("the address");
    for (unsigned tries = 0; tries < 600; tries++) {
        int peer = socket(AF_INET, SOCK_STREAM, 0);
        if (peer < 0)
            give_up("socket");
        if (connect(peer, (struct sockaddr *)&there, sizeof there) == 0)
            return peer;
        close(peer);
        usleep(100000);
    }
    give_up("connect");
}

static void drive(const char *address, unsigned rounds, unsigned divide)
{
    int peer = connect_to(address);

    without_delay(peer);
    printf("bench: ready\n");
    for (unsigned i = 0; i < rounds; i++) {
        usleep(PAUSE_US);
        latency("null", peer, 1, CALLS / divide);
        latency("64", peer, 64, CALLS / divide);
        row("out", bandwidth(peer, SINK, MESSAGES / divide), "");
        row("in", bandwidth(peer, SOURCE, MESSAGES / divide), "");
        printf("bench: end\n");
    }
}

int main(int count, char **words)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (count == 2 && strcmp(words[1], "serve") == 0)
        serve();
    if (count != 5 || strcmp(words[1], "drive") != 0) {
        fprintf(stderr, "usage: netbench-tcp serve | drive ADDRESS ROUNDS DIVIDE\n");
        return 2;
    }
    drive(words[2], (unsigned)atoi(words[3]), (unsigned)atoi(words[4]));
    return EXIT_SUCCESS;
}
