// SPDX-License-Identifier: BSD-2-Clause
// Sends UDP packets to a host that sends them back, and counts what returns:
//
//   flood ADDRESS PORT BYTES COUNT WINDOW    WINDOW: packets under way at most; 0: no limit
//
// Prints packets sent, returned, spoiled (and so not counted as returned), and ticks of
// the time stamp counter per packet: instructions where the machine counts those.
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <x86intrin.h>

#define BYTES_MAX   8972
#define PATIENCE_MS 2000

static int connection;
static unsigned bytes, sent, returned, spoiled;
static unsigned char packet[BYTES_MAX], answer[BYTES_MAX + 1];

static void fill(unsigned number)
{
    for (unsigned i = 0; i < bytes; i++)
        packet[i] = (unsigned char)(number * 31 + i);
    memcpy(packet, &number, sizeof number);
}

static void send_one(void)
{
    fill(sent);
    if (send(connection, packet, bytes, 0) == (ssize_t)bytes)
        sent++;
}

// Waits up to so long for the first.
static int take_answers(int milliseconds)
{
    struct pollfd ready = {.fd = connection, .events = POLLIN};
    int taken = 0;
    ssize_t length;

    if (milliseconds != 0 && poll(&ready, 1, milliseconds) <= 0)
        return 0;
    while ((length = recv(connection, answer, sizeof answer, MSG_DONTWAIT)) >= 0) {
        unsigned number;
        memcpy(&number, answer, sizeof number);
        fill(number);
        if (length == (ssize_t)bytes && memcmp(packet, answer, bytes) == 0)
            returned++;
        else
            spoiled++;
        taken++;
    }
    return taken;
}

static int open_connection(const char *address, int port)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    struct sockaddr_in other = own;
    int room = 4 << 20;

    connection = socket(AF_INET, SOCK_DGRAM, 0);
    (void)setsockopt(connection, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    (void)setsockopt(connection, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
    return inet_pton(AF_INET, address, &other.sin_addr) == 1 &&
           bind(connection, (struct sockaddr *)&own, sizeof own) == 0 &&
           connect(connection, (struct sockaddr *)&other, sizeof other) == 0;
}

int main(int argc, char **argv)
{
    if (argc != 6 || !open_connection(argv[1], atoi(argv[2]))) {
        fprintf(stderr, "usage: flood ADDRESS PORT BYTES COUNT WINDOW\n");
        return 2;
    }
    bytes = (unsigned)atoi(argv[3]);
    unsigned count = (unsigned)atoi(argv[4]), window = (unsigned)atoi(argv[5]), failures = 0;
    if (bytes < sizeof count || bytes > BYTES_MAX)
        return 2;
    unsigned long long begin = __rdtsc();
    while (sent < count && failures < 1000000) {
        unsigned before = sent;
        send_one();
        failures += sent == before;
        if (take_answers(0) == 0 && window != 0 && sent - returned - spoiled >= window &&
            take_answers(PATIENCE_MS) == 0)
            break;
    }
    while (returned + spoiled < sent && take_answers(PATIENCE_MS) > 0)
        ;
    unsigned long long ticks = __rdtsc() - begin;
    printf("sent %u returned %u spoiled %u ticks %llu\n", sent, returned, spoiled,
           sent != 0 ? ticks / sent : 0);
    close(connection);
    return 0;
}
