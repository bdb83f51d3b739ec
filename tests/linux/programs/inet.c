// SPDX-License-Identifier: BSD-2-Clause
// Internet sockets over the loopback interface, IPv4 and IPv6: TCP and UDP, large transfers, half
// closed connections, errors, options, many connections at once.
#include "harness.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define MEGABYTE (1u << 20)

union address {
    struct sockaddr any;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
};
static union address server_address;
static socklen_t address_length;

// The loopback interface must be up; a test that may, brings it up.
static void need_loopback(int family)
{
    int file = socket(family, SOCK_DGRAM, 0);
    if (file < 0 && errno == EAFNOSUPPORT)
        skip("this kernel has no such address family");
    SUCCEED(file);
    struct ifreq request = {.ifr_name = "lo"};
    int four = SUCCEED(socket(AF_INET, SOCK_DGRAM, 0));
    SUCCEED(ioctl(four, SIOCGIFFLAGS, &request));
    if (!(request.ifr_flags & IFF_UP)) {
        request.ifr_flags |= IFF_UP;
        SUCCEED(ioctl(four, SIOCSIFFLAGS, &request));
    }
    close(four);
    close(file);
}

// A socket bound to a free port of the loopback address.
static int bound_socket(int family, int kind)
{
    need_loopback(family);
    int file = SUCCEED(socket(family, kind, 0));
    memset(&server_address, 0, sizeof server_address);
    server_address.any.sa_family = (sa_family_t)family;
    if (family == AF_INET) {
        server_address.four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address_length = sizeof server_address.four;
    } else {
        server_address.six.sin6_addr = in6addr_loopback;
        address_length = sizeof server_address.six;
    }
    if (bind(file, &server_address.any, address_length) != 0) {
        if (errno == EADDRNOTAVAIL)
            skip("the loopback interface has no address of this family");
        FAIL("bind: %s", strerror(errno));
    }
    SUCCEED(getsockname(file, &server_address.any, &address_length));
    return file;
}

static int connected_socket(int kind)
{
    int file = SUCCEED(socket(server_address.any.sa_family, kind, 0));
    SUCCEED(connect(file, &server_address.any, address_length));
    return file;
}

// --- TCP ----------------------------------------------------------------------------------------

static uint64_t checksum(uint64_t sum, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        sum = (sum ^ bytes[i]) * 0x100000001b3ull;
    return sum;
}

static uint8_t block[65536];

static void send_blocks(void *argument)
{
    int file = connected_socket(SOCK_STREAM);
    unsigned blocks = (unsigned)(uintptr_t)argument;
    for (unsigned i = 0; i < blocks; i++) {
        fill_pattern(block, sizeof block, i);
        write_all(file, block, sizeof block);
    }
    SUCCEED(shutdown(file, SHUT_WR));
    // The other side tells its checksum over the half that is still open.
    uint64_t theirs, sum = 0;
    read_all(file, &theirs, sizeof theirs);
    for (unsigned i = 0; i < blocks; i++) {
        fill_pattern(block, sizeof block, i);
        sum = checksum(sum, block, sizeof block);
    }
    REQUIRE_EQUAL(theirs, sum);
}

static void transfer(int family, unsigned blocks)
{
    int server = bound_socket(family, SOCK_STREAM);
    SUCCEED(listen(server, 5));
    pid_t process = child(send_blocks, (void *)(uintptr_t)blocks);
    int file = SUCCEED(accept(server, NULL, NULL));
    uint64_t sum = 0, total = 0;
    ssize_t count;
    while ((count = SUCCEED(read(file, block, sizeof block))) > 0) {
        sum = checksum(sum, block, (size_t)count);
        total += (uint64_t)count;
    }
    REQUIRE_EQUAL(total, (uint64_t)blocks * sizeof block);
    write_all(file, &sum, sizeof sum);
    EXITS(process, 0);
}

TEST_WITHIN(tcp_four,
            "16 MiB over TCP and IPv4 arrive as sent, and the answer over the half-open rest", 60)
{
    transfer(AF_INET, 256);
}

TEST_WITHIN(tcp_six, "4 MiB over TCP and IPv6", 60)
{
    transfer(AF_INET6, 64);
}

static void echo_clients(void *argument)
{
    int server = *(int *)argument, set = SUCCEED(epoll_create1(0)), open_clients = 0, served = 0;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = server};
    SUCCEED(epoll_ctl(set, EPOLL_CTL_ADD, server, &event));
    while (served < 50 || open_clients > 0) {
        SUCCEED(epoll_wait(set, &event, 1, -1));
        int file = event.data.fd;
        if (file == server) {
            file = SUCCEED(accept4(server, NULL, NULL, SOCK_NONBLOCK));
            event = (struct epoll_event){.events = EPOLLIN, .data.fd = file};
            SUCCEED(epoll_ctl(set, EPOLL_CTL_ADD, file, &event));
            open_clients++;
            served++;
            continue;
        }
        char bytes[1000];
        ssize_t count = SUCCEED(read(file, bytes, sizeof bytes));
        if (count == 0) {
            close(file);
            open_clients--;
        } else {
            write_all(file, bytes, (size_t)count);
        }
    }
}

TEST_WITHIN(many_connections, "50 connections at once to an epoll server, 20 round trips each", 60)
{
    int server = bound_socket(AF_INET, SOCK_STREAM), clients[50];
    SUCCEED(listen(server, 64));
    pid_t process = child(echo_clients, &server);
    for (int i = 0; i < 50; i++) {
        clients[i] = connected_socket(SOCK_STREAM);
        int on = 1;
        SUCCEED(setsockopt(clients[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
    }
    for (unsigned round = 0; round < 20; round++) {
        uint8_t bytes[100];
        for (unsigned i = 0; i < 50; i++) {
            fill_pattern(bytes, sizeof bytes, round * 50 + i);
            write_all(clients[i], bytes, sizeof bytes);
        }
        for (unsigned i = 0; i < 50; i++) {
            read_all(clients[i], bytes, sizeof bytes);
            REQUIRE(has_pattern(bytes, sizeof bytes, round * 50 + i));
        }
    }
    for (int i = 0; i < 50; i++)
        close(clients[i]);
    EXITS(process, 0);
}

TEST(tcp_errors, "refused, not connected, in use, reset, and a connection that does not block")
{
    signal(SIGPIPE, SIG_IGN);
    int server = bound_socket(AF_INET, SOCK_STREAM);
    int client = SUCCEED(socket(AF_INET, SOCK_STREAM, 0));
    FAIL_WITH(connect(client, &server_address.any, address_length), ECONNREFUSED);
    FAIL_WITH(send(client, "x", 1, 0), EPIPE);
    FAIL_WITH(bind(SUCCEED(socket(AF_INET, SOCK_STREAM, 0)), &server_address.any, address_length),
              EADDRINUSE);
    SUCCEED(listen(server, 1));
    int waiting = SUCCEED(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    if (connect(waiting, &server_address.any, address_length) != 0)
        REQUIRE_EQUAL(errno, EINPROGRESS);
    struct pollfd ready = {waiting, POLLOUT, 0};
    REQUIRE_EQUAL(poll(&ready, 1, 10000), 1);
    int error = -1;
    socklen_t size = sizeof error;
    SUCCEED(getsockopt(waiting, SOL_SOCKET, SO_ERROR, &error, &size));
    REQUIRE_EQUAL(error, 0);
    int accepted = SUCCEED(accept(server, NULL, NULL));
    // Closed with unread data, or with linger 0: a reset.
    write_all(waiting, "unread", 6);
    ready = (struct pollfd){accepted, POLLIN, 0};
    REQUIRE_EQUAL(poll(&ready, 1, 10000), 1);
    struct linger now = {1, 0};
    SUCCEED(setsockopt(accepted, SOL_SOCKET, SO_LINGER, &now, sizeof now));
    close(accepted);
    ready = (struct pollfd){waiting, POLLIN, 0};
    REQUIRE_EQUAL(poll(&ready, 1, 10000), 1);
    char byte;
    FAIL_WITH(recv(waiting, &byte, 1, 0), ECONNRESET);
    struct sockaddr_in nowhere = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
    nowhere.sin_family = AF_UNIX;
    FAIL_WITH(connect(SUCCEED(socket(AF_INET, SOCK_DGRAM, 0)), (struct sockaddr *)&nowhere,
                      sizeof nowhere),
              EAFNOSUPPORT);
}

static void shut_down_later(void *argument)
{
    int file = connected_socket(SOCK_STREAM);
    char bytes[6];
    read_all(file, bytes, 5);
    SUCCEED(shutdown(file, SHUT_RDWR));
    (void)argument;
}

TEST(urgent_and_shutdown, "urgent data is seen apart from the stream; shutdown wakes a reader")
{
    int server = bound_socket(AF_INET, SOCK_STREAM);
    SUCCEED(listen(server, 1));
    pid_t process = child(shut_down_later, NULL);
    int file = SUCCEED(accept(server, NULL, NULL));
    write_all(file, "12345", 5);
    char byte;
    REQUIRE_EQUAL(read(file, &byte, 1), 0);
    EXITS(process, 0);
    int client = connected_socket(SOCK_STREAM);
    file = SUCCEED(accept(server, NULL, NULL));
    write_all(client, "ab", 2);
    REQUIRE_EQUAL(send(client, "U", 1, MSG_OOB), 1);
    struct pollfd ready = {file, POLLPRI, 0};
    REQUIRE_EQUAL(poll(&ready, 1, 10000), 1);
    REQUIRE(ready.revents & POLLPRI);
    REQUIRE_EQUAL(recv(file, &byte, 1, MSG_OOB), 1);
    REQUIRE_EQUAL(byte, 'U');
}

TEST(tcp_options, "buffer sizes, keepalive, reuse and TCP_INFO are kept and told")
{
    int server = bound_socket(AF_INET, SOCK_STREAM), value = 20000;
    socklen_t size = sizeof value;
    SUCCEED(setsockopt(server, SOL_SOCKET, SO_RCVBUF, &value, sizeof value));
    SUCCEED(getsockopt(server, SOL_SOCKET, SO_RCVBUF, &value, &size));
    REQUIRE_EQUAL(value, 40000); // Linux doubles it
    SUCCEED(listen(server, 1));
    SUCCEED(getsockopt(server, SOL_SOCKET, SO_ACCEPTCONN, &value, &size));
    REQUIRE_EQUAL(value, 1);
    int client = connected_socket(SOCK_STREAM);
    struct tcp_info info;
    size = sizeof info;
    SUCCEED(getsockopt(client, IPPROTO_TCP, TCP_INFO, &info, &size));
    REQUIRE_EQUAL(info.tcpi_state, TCP_ESTABLISHED);
    REQUIRE(info.tcpi_snd_mss > 1000);
    FAIL_WITH(setsockopt(client, IPPROTO_TCP, 9999, &value, sizeof value), ENOPROTOOPT);
}

// --- UDP ----------------------------------------------------------------------------------------

static void datagrams(int family)
{
    int server = bound_socket(family, SOCK_DGRAM);
    int client = connected_socket(SOCK_DGRAM);
    static const size_t sizes[] = {0, 1, 1472, 1473, 9000, 60000};
    static uint8_t received[65536];
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        fill_pattern(block, sizes[i], i);
        REQUIRE_EQUAL(send(client, block, sizes[i], 0), sizes[i]);
        union address from;
        socklen_t length = sizeof from;
        REQUIRE_EQUAL(recvfrom(server, received, sizeof received, 0, &from.any, &length), sizes[i]);
        REQUIRE(has_pattern(received, sizes[i], i));
        REQUIRE_EQUAL(sendto(server, "answer", 6, 0, &from.any, length), 6);
        REQUIRE_EQUAL(recv(client, received, sizeof received, 0), 6);
    }
    FAIL_WITH(send(client, block, sizeof block, 0), EMSGSIZE);
    FAIL_WITH(recv(client, received, 1, MSG_DONTWAIT), EAGAIN);
    close(server);
    // An error message of the port that is closed now comes back.
    SUCCEED(send(client, "x", 1, 0));
    struct pollfd ready = {client, POLLIN, 0};
    REQUIRE_EQUAL(poll(&ready, 1, 10000), 1);
    FAIL_WITH(recv(client, received, 1, 0), ECONNREFUSED);
}

TEST(udp_four, "datagrams over IPv4 up to 60,000 bytes, fragmented; a closed port is told")
{
    datagrams(AF_INET);
}

TEST(udp_six, "datagrams over IPv6")
{
    datagrams(AF_INET6);
}

TEST(dual_stack, "an IPv6 server takes IPv4 clients, unless IPV6_V6ONLY")
{
    need_loopback(AF_INET6);
    int server = SUCCEED(socket(AF_INET6, SOCK_STREAM, 0)), off = 0;
    SUCCEED(setsockopt(server, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off));
    struct sockaddr_in6 any = {.sin6_family = AF_INET6}, peer;
    SUCCEED(bind(server, (struct sockaddr *)&any, sizeof any));
    SUCCEED(listen(server, 1));
    socklen_t size = sizeof any;
    SUCCEED(getsockname(server, (struct sockaddr *)&any, &size));
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = any.sin6_port};
    four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int client = SUCCEED(socket(AF_INET, SOCK_STREAM, 0));
    SUCCEED(connect(client, (struct sockaddr *)&four, sizeof four));
    size = sizeof peer;
    SUCCEED(accept(server, (struct sockaddr *)&peer, &size));
    REQUIRE(IN6_IS_ADDR_V4MAPPED(&peer.sin6_addr));
}

TEST(interfaces, "the loopback interface is listed, up, with its address and in /proc/net/dev")
{
    need_loopback(AF_INET);
    int file = SUCCEED(socket(AF_INET, SOCK_DGRAM, 0));
    struct ifreq request = {.ifr_name = "lo"};
    SUCCEED(ioctl(file, SIOCGIFADDR, &request));
    REQUIRE_EQUAL(((struct sockaddr_in *)&request.ifr_addr)->sin_addr.s_addr,
                  htonl(INADDR_LOOPBACK));
    REQUIRE(if_nametoindex("lo") != 0);
    REQUIRE(strstr(read_file("/proc/net/dev"), "lo:") != NULL);
    strcpy(request.ifr_name, "none0");
    FAIL_WITH(ioctl(file, SIOCGIFFLAGS, &request), ENODEV);
}
