// SPDX-License-Identifier: BSD-2-Clause
// Unix domain sockets: streams, datagrams and packets, names in the file system and abstract ones,
// descriptors and credentials sent along, shutdown, limits.
#include "harness.h"

#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static int pair[2];

TEST(pairs, "streams have no bounds, datagrams and packets keep theirs; MSG_PEEK, MSG_TRUNC")
{
    char bytes[32];
    SUCCEED(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    write_all(pair[0], "ab", 2);
    write_all(pair[0], "cd", 2);
    REQUIRE_EQUAL(recv(pair[1], bytes, 3, MSG_PEEK), 3);
    REQUIRE_EQUAL(recv(pair[1], bytes, 4, MSG_WAITALL), 4);
    REQUIRE(memcmp(bytes, "abcd", 4) == 0);
    FAIL_WITH(recv(pair[1], bytes, 1, MSG_DONTWAIT), EAGAIN);
    static const int kinds[] = {SOCK_DGRAM, SOCK_SEQPACKET};
    for (int i = 0; i < 2; i++) {
        SUCCEED(socketpair(AF_UNIX, kinds[i], 0, pair));
        write_all(pair[0], "abc", 3);
        write_all(pair[0], "defgh", 5);
        REQUIRE_EQUAL(recv(pair[1], bytes, sizeof bytes, 0), 3);
        REQUIRE_EQUAL(recv(pair[1], bytes, 2, MSG_TRUNC), 5);
        REQUIRE(memcmp(bytes, "de", 2) == 0);
        FAIL_WITH(recv(pair[1], bytes, 1, MSG_DONTWAIT), EAGAIN);
    }
}

static void serve_one(void *argument)
{
    int server = *(int *)argument, client = SUCCEED(accept4(server, NULL, NULL, SOCK_CLOEXEC));
    char bytes[16];
    ssize_t count;
    while ((count = SUCCEED(read(client, bytes, sizeof bytes))) > 0) {
        for (ssize_t i = 0; i < count; i++)
            bytes[i] ^= 0x20;
        write_all(client, bytes, (size_t)count);
    }
}

static void talk(const struct sockaddr_un *name, socklen_t length)
{
    int server = SUCCEED(socket(AF_UNIX, SOCK_STREAM, 0));
    SUCCEED(bind(server, (const struct sockaddr *)name, length));
    int client = SUCCEED(socket(AF_UNIX, SOCK_STREAM, 0));
    FAIL_WITH(connect(client, (const struct sockaddr *)name, length), ECONNREFUSED);
    SUCCEED(listen(server, 5));
    pid_t process = child(serve_one, &server);
    SUCCEED(connect(client, (const struct sockaddr *)name, length));
    struct sockaddr_un peer;
    socklen_t peer_length = sizeof peer;
    SUCCEED(getpeername(client, (struct sockaddr *)&peer, &peer_length));
    REQUIRE_EQUAL(peer_length, length);
    REQUIRE(memcmp(peer.sun_path, name->sun_path,
                   length - offsetof(struct sockaddr_un, sun_path)) == 0);
    char bytes[6] = "";
    write_all(client, "HELLO", 5);
    read_all(client, bytes, 5);
    REQUIRE(strcmp(bytes, "hello") == 0);
    SUCCEED(shutdown(client, SHUT_WR));
    REQUIRE_EQUAL(read(client, bytes, 1), 0); // the server has seen the end
    EXITS(process, 0);
    int again = SUCCEED(socket(AF_UNIX, SOCK_STREAM, 0));
    FAIL_WITH(bind(again, (const struct sockaddr *)name, length), EADDRINUSE);
    close(server);
    close(again);
}

TEST(names, "a server under a name in the file system, and under an abstract one")
{
    struct sockaddr_un name = {AF_UNIX, "socket"};
    talk(&name, offsetof(struct sockaddr_un, sun_path) + 7);
    struct stat status;
    SUCCEED(stat("socket", &status));
    REQUIRE(S_ISSOCK(status.st_mode));
    memset(name.sun_path, 0, sizeof name.sun_path);
    int length = snprintf(name.sun_path + 1, 64, "corvus test %d", getpid());
    socklen_t size = (socklen_t)offsetof(struct sockaddr_un, sun_path) + 1 + (socklen_t)length;
    talk(&name, size);
    // With its last descriptor an abstract name is gone.
    int client = SUCCEED(socket(AF_UNIX, SOCK_STREAM, 0));
    FAIL_WITH(connect(client, (struct sockaddr *)&name, size), ECONNREFUSED);
}

// --- Sent along ---------------------------------------------------------------------------------

// One byte with ancillary data of one kind.
static ssize_t send_with(int socket, int kind, const void *data, size_t size)
{
    char control[CMSG_SPACE(256 * sizeof(int))] __attribute__((aligned(8))) = {0};
    struct iovec part = {"m", 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = CMSG_SPACE(size)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = kind;
    header->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(header), data, size);
    return sendmsg(socket, &message, 0);
}

static int receive_with(int socket, int kind, void *data, size_t size)
{
    char control[CMSG_SPACE(256 * sizeof(int))] __attribute__((aligned(8))), byte;
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = CMSG_SPACE(size)};
    REQUIRE_EQUAL(recvmsg(socket, &message, 0), 1);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    REQUIRE(header != NULL && header->cmsg_type == kind);
    REQUIRE_EQUAL(header->cmsg_len, CMSG_LEN(size));
    memcpy(data, CMSG_DATA(header), size);
    return message.msg_flags;
}

static void send_descriptors(void *argument)
{
    (void)argument;
    int files[2], ends[2];
    SUCCEED(pipe(ends));
    files[0] = SUCCEED(open("sent", O_RDWR | O_CREAT, 0600));
    write_all(files[0], "contents", 8);
    files[1] = ends[0];
    SUCCEED(send_with(pair[0], SCM_RIGHTS, files, sizeof files));
    close(files[0]);
    close(files[1]);
    write_all(ends[1], "late", 4);
}

TEST(descriptors, "SCM_RIGHTS: open files of another process, which live on after it")
{
    SUCCEED(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    pid_t process = child(send_descriptors, NULL);
    int files[2];
    (void)receive_with(pair[1], SCM_RIGHTS, files, sizeof files);
    EXITS(process, 0);
    char text[9] = "";
    REQUIRE_EQUAL(pread(files[0], text, 8, 0), 8);
    REQUIRE(strcmp(text, "contents") == 0);
    REQUIRE_EQUAL(lseek(files[0], 0, SEEK_CUR), 8); // the offset came along
    memset(text, 0, sizeof text);
    read_all(files[1], text, 4);
    REQUIRE(strcmp(text, "late") == 0);
    REQUIRE_EQUAL(read(files[1], text, 1), 0);
    int bad = 999;
    FAIL_WITH(send_with(pair[0], SCM_RIGHTS, &bad, sizeof bad), EBADF);
}

TEST(descriptor_cycle,
     "sockets sent through each other and closed are collected, and what else they hold")
{
    int ends[2];
    SUCCEED(pipe(ends));
    for (int i = 0; i < 100; i++) {
        SUCCEED(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
        int files[3] = {pair[0], pair[1], ends[1]};
        SUCCEED(send_with(pair[0], SCM_RIGHTS, files, sizeof files));
        SUCCEED(send_with(pair[1], SCM_RIGHTS, files, sizeof files));
        close(pair[0]);
        close(pair[1]);
    }
    // Once the cycles are gone nobody holds the writing end any more. Linux looks for them when the
    // next socket goes.
    close(ends[1]);
    SUCCEED(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    close(pair[0]);
    close(pair[1]);
    struct pollfd ended = {ends[0], POLLIN, 0};
    REQUIRE_EQUAL(poll(&ended, 1, 10000), 1);
    REQUIRE_EQUAL(ended.revents, POLLHUP);
}

static void send_credentials(void *argument)
{
    struct ucred own = {getpid(), getuid(), getgid()};
    SUCCEED(send_with(pair[0], SCM_CREDENTIALS, &own, sizeof own));
    own.pid = 1;
    if (geteuid() != 0)
        FAIL_WITH(send_with(pair[0], SCM_CREDENTIALS, &own, sizeof own), EPERM);
    (void)argument;
}

TEST(credentials, "SCM_CREDENTIALS and SO_PEERCRED name the sender")
{
    SUCCEED(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    int on = 1;
    SUCCEED(setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
    pid_t process = child(send_credentials, NULL);
    struct ucred sender;
    (void)receive_with(pair[1], SCM_CREDENTIALS, &sender, sizeof sender);
    REQUIRE_EQUAL(sender.pid, process);
    REQUIRE_EQUAL(sender.uid, getuid());
    EXITS(process, 0);
    socklen_t size = sizeof sender;
    SUCCEED(getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &sender, &size));
    REQUIRE_EQUAL(sender.pid, getpid());
}

// --- Large and many -----------------------------------------------------------------------------

#define MEGABYTE (1u << 20)
static uint8_t bytes[4 * MEGABYTE];

static void echo_all(void *argument)
{
    (void)argument;
    static uint8_t part[30000];
    ssize_t count;
    close(pair[0]);
    while ((count = SUCCEED(read(pair[1], part, sizeof part))) > 0)
        write_all(pair[1], part, (size_t)count);
}

TEST_WITHIN(large, "four megabytes there and back, both ways at once", 60)
{
    SUCCEED(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    pid_t process = child(echo_all, NULL);
    close(pair[1]);
    static uint8_t got[sizeof bytes];
    fill_pattern(bytes, sizeof bytes, 2);
    SUCCEED(fcntl(pair[0], F_SETFL, O_NONBLOCK));
    size_t sent = 0, received = 0;
    while (received < sizeof bytes) {
        struct pollfd ready = {pair[0], (short)(POLLIN | (sent < sizeof bytes ? POLLOUT : 0)), 0};
        REQUIRE_EQUAL(poll(&ready, 1, 10000), 1);
        ssize_t count;
        if ((ready.revents & POLLOUT) &&
            (count = write(pair[0], bytes + sent, sizeof bytes - sent)) > 0)
            sent += (size_t)count;
        if ((ready.revents & POLLIN) &&
            (count = read(pair[0], got + received, sizeof got - received)) > 0)
            received += (size_t)count;
    }
    REQUIRE(has_pattern(got, sizeof got, 2));
    SUCCEED(shutdown(pair[0], SHUT_WR));
    EXITS(process, 0);
}

TEST(many_messages, "sendmmsg and recvmmsg; a full datagram queue makes the sender wait or EAGAIN")
{
    SUCCEED(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair));
    struct mmsghdr messages[10];
    struct iovec parts[10];
    uint8_t data[10][100];
    memset(messages, 0, sizeof messages);
    for (unsigned i = 0; i < 10; i++) {
        fill_pattern(data[i], 10 * i + 1, i);
        parts[i] = (struct iovec){data[i], 10 * i + 1};
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    REQUIRE_EQUAL(sendmmsg(pair[0], messages, 10, 0), 10);
    for (unsigned i = 0; i < 10; i++)
        parts[i].iov_len = 100;
    REQUIRE_EQUAL(recvmmsg(pair[1], messages, 10, 0, NULL), 10);
    for (unsigned i = 0; i < 10; i++) {
        REQUIRE_EQUAL(messages[i].msg_len, 10 * i + 1);
        REQUIRE(has_pattern(data[i], 10 * i + 1, i));
    }
    int queued = 0;
    while (queued < 100000 && send(pair[0], "x", 1, 0) == 1)
        queued++;
    REQUIRE_EQUAL(errno, EAGAIN);
    REQUIRE(queued > 0);
    REQUIRE_EQUAL(recv(pair[1], data, 1, 0), 1);
}

TEST(ends, "reading from a closed peer is an end of file, writing is EPIPE or ECONNRESET")
{
    signal(SIGPIPE, SIG_IGN);
    char byte;
    SUCCEED(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    close(pair[1]);
    FAIL_WITH(write(pair[0], "x", 1), EPIPE);
    REQUIRE_EQUAL(read(pair[0], &byte, 1), 0);
    SUCCEED(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    write_all(pair[0], "unread", 6);
    close(pair[1]);
    FAIL_WITH(read(pair[0], &byte, 1), ECONNRESET);
    SUCCEED(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    close(pair[1]);
    FAIL_WITH(write(pair[0], "x", 1), ECONNREFUSED);
}
