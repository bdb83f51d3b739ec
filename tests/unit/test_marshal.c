// SPDX-License-Identifier: BSD-2-Clause
// sources: linuxserver/migration/calls.c linuxserver/migration/marshal.c
// sources: linuxserver/migration/marshal_special.c
// System calls whose arguments go into a block and back, made by this very machine: what they do
// and what they leave in memory must be what they do without. And blocks of nonsense.
#define _GNU_SOURCE
#include "linuxserver/migration/marshal.h"
#include "tap.h"

#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

// --- The process's memory is ours; what is not mapped is a fault ---------------------------------

static int transfer(void *here, __u64 there, __u64 bytes, bool out)
{
    struct iovec local = {here, bytes}, remote = {(void *)there, bytes};
    ssize_t moved = out ? process_vm_writev(getpid(), &local, 1, &remote, 1, 0)
                        : process_vm_readv(getpid(), &local, 1, &remote, 1, 0);

    return moved == (ssize_t)bytes ? 0 : -EFAULT;
}

int marshal_get(void *to, __u64 from, __u64 bytes)
{
    return transfer(to, from, bytes, false);
}

int marshal_put(__u64 to, const void *from, __u64 bytes)
{
    return transfer((void *)from, to, bytes, true);
}

int marshal_string(__u64 from, __u64 bytes)
{
    char one;

    for (int i = 0; (__u64)i < bytes; i++) {
        if (marshal_get(&one, from + (__u64)i, 1) != 0)
            return -EFAULT;
        if (one == 0)
            return i + 1;
    }
    return -ENAMETOOLONG;
}

void *marshal_allocate(__u64 bytes)
{
    return malloc(bytes);
}

void marshal_free(void *memory)
{
    free(memory);
}

// --- A call by way of a block --------------------------------------------------------------------

static bool clipped;

static long call(unsigned nr, unsigned long a, unsigned long b, unsigned long c, unsigned long d,
                 unsigned long e, unsigned long f)
{
    const __u64 arguments[CALL_ARGUMENTS] = {a, b, c, d, e, f};
    struct marshal m;
    struct marshal_head head;
    long result = marshal_describe(&m, nr, arguments);
    __u8 *sent, *block, *back;

    if (result != 0) {
        marshal_release(&m);
        return result;
    }
    clipped = m.clipped;
    sent = malloc(m.head.in_bytes + 1);
    block = malloc(m.head.total + 1);
    result = marshal_collect(&m, sent);
    if (result == 0) {
        // All that home has is the head and what was sent.
        head = m.head;
        if (!marshal_is_sound(&head, m.head.in_bytes))
            abort();
        memset(block, 0xee, head.total);
        memcpy(block, sent, head.in_bytes);
        marshal_relocate(&head, block, (__u64)block);
        result = syscall(nr, head.arguments[0], head.arguments[1], head.arguments[2],
                         head.arguments[3], head.arguments[4], head.arguments[5]);
        if (result < 0)
            result = -errno;
        __u32 bytes = marshal_back(&head, result);
        back = malloc(bytes + 1);
        memcpy(back, block + head.out_from, bytes);
        int error = marshal_spread(&m, result, back, bytes);
        if (error != 0)
            result = error;
        free(back);
    }
    free(sent);
    free(block);
    marshal_release(&m);
    return result;
}

#define CALL(name, a, b, c, d, e, f)                                                               \
    call(__NR_##name, (unsigned long)(a), (unsigned long)(b), (unsigned long)(c),                  \
         (unsigned long)(d), (unsigned long)(e), (unsigned long)(f))

static bool only(const char *bytes, size_t from, size_t to, char value)
{
    for (size_t i = from; i < to; i++)
        if (bytes[i] != value)
            return false;
    return true;
}

// --- Tests ---------------------------------------------------------------------------------------

static void test_table(void)
{
    unsigned named = 0, home = 0;

    for (unsigned i = 0; i < CALLS; i++) {
        const struct call_description *d = call_description(i);

        named += d != NULL;
        home += d != NULL && d->where == CALL_HOME;
    }
    tap_ok(named == 346 && home > 150, "every call of Linux 6.1 is in the table");
    tap_ok(call_description(CALLS) == NULL && call_description(335) == NULL &&
               CALL(afs_syscall, 0, 0, 0, 0, 0, 0) == -ENOSYS,
           "no other is");
}

static void test_bytes(void)
{
    int ends[2];
    char text[64], *large = malloc(1 << 20);

    memset(text, 'x', sizeof text);
    tap_ok(CALL(pipe2, ends, O_NONBLOCK, 0, 0, 0, 0) == 0 && fcntl(ends[1], F_GETFD) == 0,
           "two descriptors come back");
    tap_ok(CALL(write, ends[1], "hello", 5, 0, 0, 0) == 5, "bytes go there");
    tap_ok(CALL(read, ends[0], text, 64, 0, 0, 0) == 5 && memcmp(text, "hello", 5) == 0 &&
               only(text, 5, sizeof text, 'x'),
           "as many come back as there were, and nothing behind them is touched");
    tap_ok(CALL(write, ends[1], 8, 5, 0, 0, 0) == -EFAULT, "memory that is not there is a fault");
    CALL(write, ends[1], "z", 1, 0, 0, 0);
    tap_ok(CALL(read, ends[0], 8, 5, 0, 0, 0) == -EFAULT, "the other way, too");
    tap_ok(CALL(read, ends[0], NULL, 5, 0, 0, 0) == -EAGAIN ||
               CALL(write, ends[1], NULL, 5, 0, 0, 0) == -EFAULT,
           "no memory is none at home");
    tap_ok(CALL(write, ends[1], text, 1ul << 63, 0, 0, 0) == -EFAULT ||
               CALL(write, ends[1], text, 1ul << 63, 0, 0, 0) == -EINVAL,
           "a negative size is home's to refuse");
    memset(large, 'l', 1 << 20);
    int file = open("/tmp", O_TMPFILE | O_RDWR, 0600);
    tap_ok(CALL(write, file, large, 1 << 20, 0, 0, 0) == MARSHAL_BYTES && clipped,
           "what is too much at once is short");
    tap_ok(CALL(pread64, file, large, 1 << 20, 0, 0, 0) == MARSHAL_BYTES && clipped,
           "the other way, too");
    close(file);
    close(ends[0]);
    close(ends[1]);
    free(large);
}

static void test_vectors(void)
{
    char first[4] = "abc", second[8] = "defghij", a[5], b[20];
    struct iovec out[3] = {{first, 3}, {NULL, 0}, {second, 7}}, in[2] = {{a, 5}, {b, 20}};
    int ends[2];

    memset(a, '-', sizeof a);
    memset(b, '-', sizeof b);
    if (pipe(ends) != 0)
        abort();
    tap_ok(CALL(writev, ends[1], out, 3, 0, 0, 0) == 10, "memory in pieces goes as one");
    tap_ok(CALL(readv, ends[0], in, 2, 0, 0, 0) == 10 && memcmp(a, "abcde", 5) == 0 &&
               memcmp(b, "fghij", 5) == 0 && only(b, 5, 20, '-'),
           "and comes into pieces");
    tap_ok(CALL(readv, ends[0], in, 1025, 0, 0, 0) == -EINVAL, "too many pieces");
    out[1] = (struct iovec){(void *)8, 1};
    tap_ok(CALL(writev, ends[1], out, 3, 0, 0, 0) == -EFAULT, "a piece that is not there");
    close(ends[0]);
    close(ends[1]);
}

static void test_paths(void)
{
    struct stat there, here;
    char name[] = "/tmp/marshal.XXXXXX", target[32], folder[4096], large[5000];
    int file = mkstemp(name);

    memset(&there, 7, sizeof there);
    tap_ok(CALL(stat, name, &there, 0, 0, 0, 0) == 0 && stat(name, &here) == 0 &&
               there.st_ino == here.st_ino,
           "a path, and a structure that comes back");
    tap_ok(CALL(stat, "/nowhere", &there, 0, 0, 0, 0) == -ENOENT, "the error is home's");
    tap_ok(CALL(newfstatat, AT_FDCWD, "/tmp", &there, 0, 0, 0) == 0, "a path in the second place");
    memset(large, '/', sizeof large);
    large[4999] = 0;
    tap_ok(CALL(stat, large, &there, 0, 0, 0, 0) == -ENAMETOOLONG, "a path that is too long");
    tap_ok(CALL(stat, 16, &there, 0, 0, 0, 0) == -EFAULT, "a path that is not there");
    memset(target, '.', sizeof target);
    unlink(name);
    tap_ok(CALL(symlink, "goal", name, 0, 0, 0, 0) == 0 &&
               CALL(readlink, name, target, 32, 0, 0, 0) == 4 && memcmp(target, "goal", 4) == 0 &&
               only(target, 4, 32, '.'),
           "two paths; and a link's goal");
    tap_ok(CALL(getcwd, folder, 4096, 0, 0, 0, 0) > 1 && folder[0] == '/', "the folder");
    unlink(name);
    close(file);
}

static void test_sockets(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET}, peer;
    union {
        struct sockaddr_in in;
        char bytes[64];
    } named;
    socklen_t length = 64;
    int one = 1, size = sizeof one, listener = socket(AF_INET, SOCK_STREAM, 0);

    memset(&named, 9, sizeof named);
    tap_ok(CALL(bind, listener, &any, 0xffffffff00000000ul | sizeof any, 0, 0, 0) == 0 &&
               CALL(listen, listener, 1, 0, 0, 0, 0) == 0,
           "an address, whose size is an int");
    tap_ok(CALL(getsockname, listener, &named, &length, 0, 0, 0) == 0 && length == sizeof any &&
               named.in.sin_port != 0 && only(named.bytes, sizeof any, 64, 9),
           "an address that comes back, and its size, and nothing behind it");
    int client = socket(AF_INET, SOCK_STREAM, 0);
    tap_ok(CALL(connect, client, &named, length, 0, 0, 0) == 0, "connect");
    length = sizeof peer;
    int server = (int)CALL(accept4, listener, &peer, &length, SOCK_CLOEXEC, 0, 0);
    tap_ok(server > 0 && length == sizeof peer && peer.sin_family == AF_INET, "accept");
    tap_ok(CALL(setsockopt, server, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one, 0) == 0,
           "an option");
    one = 0;
    tap_ok(CALL(getsockopt, server, SOL_SOCKET, SO_KEEPALIVE, &one, &size, 0) == 0 && one == 1 &&
               size == sizeof one,
           "and back");
    tap_ok(CALL(sendto, client, "abc", 3, 0, NULL, 0) == 3, "sent without an address");
    char text[8] = "xxxxxxx";
    length = 3;
    tap_ok(CALL(recvfrom, server, text, 8, 0, NULL, NULL) == 3 && memcmp(text, "abcxxxx", 7) == 0,
           "received");
    one = 77;
    tap_ok(CALL(ioctl, server, FIONREAD, &one, 0, 0, 0) == 0 && one == 0, "an ioctl that tells");
    tap_ok(CALL(ioctl, server, 0xdead, text, 0, 0, 0) == -ENOTTY, "an ioctl that is not known");
    close(server);
    close(client);
    close(listener);
}

// A descriptor goes with a message, which has a name and is in pieces.
static void test_messages(void)
{
    int pair[2], passed = -1;
    char data[12] = "0123456789a", got[3][6], name[sizeof(struct sockaddr_un)];
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int)) + 32];
    } control, back;
    struct iovec out[2] = {{data, 4}, {data + 4, 6}};
    struct iovec in[3] = {{got[0], 3}, {got[1], 6}, {got[2], 6}};
    struct msghdr sent = {.msg_iov = out,
                          .msg_iovlen = 2,
                          .msg_control = &control,
                          .msg_controllen = CMSG_SPACE(sizeof(int))};
    struct msghdr received = {.msg_name = name,
                              .msg_namelen = sizeof name,
                              .msg_iov = in,
                              .msg_iovlen = 3,
                              .msg_control = &back,
                              .msg_controllen = sizeof back};

    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) != 0)
        abort();
    memset(&control, 0, sizeof control);
    memset(&back, '-', sizeof back);
    memset(got, '-', sizeof got);
    control.header = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(&control.header), &pair[0], sizeof(int));
    tap_ok(CALL(sendmsg, pair[0], &sent, 0, 0, 0, 0) == 10, "a message with a descriptor");
    tap_ok(CALL(recvmsg, pair[1], &received, 0, 0, 0, 0) == 10 && memcmp(got[0], "012", 3) == 0 &&
               memcmp(got[1], "345678", 6) == 0 && memcmp(got[2], "9-----", 6) == 0,
           "into pieces");
    memcpy(&passed, CMSG_DATA(&back.header), sizeof passed);
    tap_ok(received.msg_controllen == CMSG_LEN(sizeof(int)) + 4 && fcntl(passed, F_GETFD) >= 0 &&
               only(back.bytes, CMSG_SPACE(sizeof(int)), sizeof back, '-'),
           "the descriptor, and nothing behind it");
    tap_ok(received.msg_name == name && received.msg_iov == in && received.msg_iovlen == 3 &&
               received.msg_control == &back && received.msg_namelen == 0,
           "the process's pointers stay its own");
    sent.msg_iovlen = 2000;
    tap_ok(CALL(sendmsg, pair[0], &sent, 0, 0, 0, 0) == -EMSGSIZE, "too many pieces");
    close(passed);
    close(pair[0]);
    close(pair[1]);
}

static void test_waiting(void)
{
    int ends[2];
    struct timeval time = {.tv_usec = 1000};
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 77}, events[4];
    fd_set reads;

    if (pipe(ends) != 0)
        abort();
    struct pollfd poll[2] = {{ends[0], POLLIN, 99}, {ends[1], POLLOUT, 99}};
    tap_ok(CALL(poll, poll, 2, 0, 0, 0, 0) == 1 && poll[0].revents == 0 &&
               poll[1].revents == POLLOUT,
           "poll");
    struct timespec limit = {.tv_nsec = 1000000};
    poll[1].revents = 99;
    tap_ok(CALL(ppoll, poll, 2, NULL, NULL, 0, 0) == 1 && poll[1].revents == POLLOUT &&
               CALL(ppoll, poll, 1, &limit, NULL, 0, 0) == 0 && limit.tv_nsec == 0,
           "ppoll, without a time and with one that runs out");
    FD_ZERO(&reads);
    FD_SET(ends[0], &reads);
    tap_ok(CALL(select, ends[0] + 1, &reads, NULL, NULL, &time, 0) == 0 &&
               !FD_ISSET(ends[0], &reads) && time.tv_usec == 0,
           "select, whose time runs out");
    int set = epoll_create1(0);
    tap_ok(CALL(epoll_ctl, set, EPOLL_CTL_ADD, ends[0], &event, 0, 0) == 0, "epoll_ctl");
    memset(events, 5, sizeof events);
    tap_ok(CALL(epoll_wait, set, events, 4, 0, 0, 0) == 0 && events[0].events == 0x05050505,
           "nothing comes of nothing");
    if (write(ends[1], "x", 1) != 1)
        abort();
    tap_ok(CALL(epoll_wait, set, events, 4, 0, 0, 0) == 1 && events[0].data.u64 == 77 &&
               events[1].events == 0x05050505,
           "one event comes");
    tap_ok(CALL(poll, poll, 1ul << 40, 0, 0, 0, 0) == -EINVAL ||
               CALL(poll, poll, 1 << 20, 0, 0, 0, 0) == -EINVAL,
           "too many to wait for");
    struct flock lock = {.l_type = F_WRLCK};
    int file = open("/tmp", O_TMPFILE | O_RDWR, 0600);
    tap_ok(CALL(fcntl, file, F_GETLK, &lock, 0, 0, 0) == 0 && lock.l_type == F_UNLCK, "fcntl");
    tap_ok(CALL(fcntl, file, F_SETFD, FD_CLOEXEC, 0, 0, 0) == 0 &&
               fcntl(file, F_GETFD) == FD_CLOEXEC,
           "fcntl with a value");
    close(file);
    close(set);
    close(ends[0]);
    close(ends[1]);
}

// Heads that a broken node could send: refused, or nothing outside the block is touched.
static void test_nonsense(void)
{
    static __u8 block[MARSHAL_TOTAL];
    unsigned sound = 0;

    srand(1);
    for (unsigned round = 0; round < 200000; round++) {
        struct marshal_head head;
        __u8 *bytes = (__u8 *)&head;

        for (size_t i = 0; i < sizeof head; i++)
            bytes[i] = (__u8)(rand() % 4 == 0 ? rand() : 0);
        if (rand() % 2 == 0) {
            head.total = (__u32)rand() % 4096;
            head.result_from = (__u32)rand() % (head.total + 1);
            head.in_bytes = (__u32)rand() % (head.result_from + 1);
            head.out_from = (__u32)rand() % (head.in_bytes + 1);
            head.words = (__u8)(rand() % 6);
            for (unsigned i = 0; i < MARSHAL_WORDS; i++)
                head.word[i] = (__u32)rand() % 4096;
        }
        if (!marshal_is_sound(&head, head.in_bytes))
            continue;
        sound++;
        __u8 *exact = malloc(head.in_bytes + 1);
        memcpy(exact, block, head.in_bytes);
        marshal_relocate(&head, exact, 1 << 20);
        long results[] = {0, 1, 100, -1, INT64_MAX, INT64_MIN};
        for (unsigned i = 0; i < sizeof results / sizeof *results; i++)
            if (marshal_back(&head, results[i]) > head.total - head.out_from)
                abort();
        free(exact);
    }
    tap_ok(sound > 100, "nonsense is refused, or stays within its block");
}

int main(void)
{
    test_table();
    test_bytes();
    test_vectors();
    test_paths();
    test_sockets();
    test_messages();
    test_waiting();
    test_nonsense();
    return tap_end();
}
