// SPDX-License-Identifier: BSD-2-Clause
// Sockets between two processes of one machine, AF_UNIX and TCP: a byte there and back, and a MiB,
// whose receiver answers with a byte.
#include "bench.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#define TRANSFER (1u << 20)
#define PIECE    (64u << 10)

// One end is the row's, the other its partner's.
static int ends[2];
static char buffer[PIECE];

static void open_unix(void)
{
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
}

static void open_tcp(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = MUST(socket(AF_INET, SOCK_STREAM, 0));
    int yes = 1;

    MUST(bind(listener, (struct sockaddr *)&address, length));
    MUST(getsockname(listener, (struct sockaddr *)&address, &length));
    MUST(listen(listener, 1));
    ends[0] = MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(connect(ends[0], (struct sockaddr *)&address, length));
    ends[1] = MUST(accept(listener, NULL, NULL));
    for (int i = 0; i < 2; i++)
        MUST(setsockopt(ends[i], IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes));
    MUST(close(listener));
}

static void echo(void)
{
    char byte;
    for (;;) {
        read_all(ends[1], &byte, 1);
        write_all(ends[1], &byte, 1);
    }
}

static void drain(void)
{
    for (;;) {
        size_t left = TRANSFER;
        while (left > 0) {
            size_t got = (size_t)MUST(read(ends[1], buffer, left < PIECE ? left : PIECE));
            if (got == 0)
                return;
            left -= got;
        }
        write_all(ends[1], buffer, 1);
    }
}

static void unix_echo(void)
{
    open_unix();
    partner(echo);
}

static void tcp_echo(void)
{
    open_tcp();
    partner(echo);
}

static void unix_drain(void)
{
    open_unix();
    partner(drain);
}

static void tcp_drain(void)
{
    open_tcp();
    partner(drain);
}

static void byte_there_and_back(void)
{
    write_all(ends[0], buffer, 1);
    read_all(ends[0], buffer, 1);
}

static void send_transfer(void)
{
    for (unsigned done = 0; done < TRANSFER; done += PIECE)
        write_all(ends[0], buffer, PIECE);
    read_all(ends[0], buffer, 1);
}

const struct row rows_socket[] = {
    {"unix_latency", "instructions", 50, 501, unix_echo, byte_there_and_back, 1, NULL},
    {"unix_bandwidth", "instructions/MiB", 4, 21, unix_drain, send_transfer, 1, NULL},
    {"tcp_latency", "instructions", 50, 501, tcp_echo, byte_there_and_back, 1, NULL},
    {"tcp_bandwidth", "instructions/MiB", 8, 41, tcp_drain, send_transfer, 1, NULL},
    {0},
};
