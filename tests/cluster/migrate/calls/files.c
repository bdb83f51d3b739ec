// SPDX-License-Identifier: BSD-2-Clause
// Calls that wait for descriptors, locks and messages, which another process at home ends.
#include "calls.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pty.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

// Two descriptors: the subject's and its partner's.
static int mine, partners;

static void put_byte(pid_t subject, int round)
{
    char byte = (char)('a' + round);

    (void)subject;
    NEED(write(partners, &byte, 1) == 1);
}

static void need_byte(int from, int round)
{
    char byte = 0;

    NEED(read(from, &byte, 1) == 1);
    NEED(byte == 'a' + round);
}

static void make_pipe(void)
{
    int ends[2];

    DO(pipe(ends));
    mine = ends[0];
    partners = ends[1];
}

static void make_pipe_back(void)
{
    int ends[2];

    DO(pipe(ends));
    mine = ends[1];
    partners = ends[0];
}

static void read_mine(int round)
{
    need_byte(mine, round);
}

// --- A full pipe -------------------------------------------------------------------------

#define WHOLE 300000

static unsigned char pattern(size_t i, int round)
{
    return (unsigned char)(i * 7 + (i >> 8) + (size_t)round);
}

static void write_much(int round)
{
    static unsigned char block[WHOLE];
    size_t done = 0;

    for (size_t i = 0; i < WHOLE; i++)
        block[i] = pattern(i, round);
    while (done < WHOLE) {
        ssize_t count = write(mine, block + done, WHOLE - done);

        NEED(count > 0);
        done += (size_t)count;
    }
}

static void read_much(pid_t subject, int round)
{
    static unsigned char block[WHOLE];
    size_t done = 0;

    (void)subject;
    while (done < WHOLE) {
        ssize_t count = read(partners, block + done, WHOLE - done);

        NEED(count > 0);
        done += (size_t)count;
    }
    for (size_t i = 0; i < WHOLE; i++)
        NEED(block[i] == pattern(i, round));
}

// --- A terminal --------------------------------------------------------------------------

static void make_terminal(void)
{
    DO(openpty(&partners, &mine, NULL, NULL, NULL));
}

static void put_line(pid_t subject, int round)
{
    char line[] = "one line\n";

    (void)subject;
    line[0] = (char)('a' + round);
    NEED(write(partners, line, sizeof line - 1) == sizeof line - 1);
}

static void read_line(int round)
{
    char line[64] = "";

    NEED(read(mine, line, sizeof line) == 9);
    NEED(line[0] == 'a' + round && strcmp(line + 1, "ne line\n") == 0);
}

// --- Sockets -----------------------------------------------------------------------------

static void make_pair(void)
{
    int ends[2];

    DO(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    mine = ends[0];
    partners = ends[1];
}

static struct sockaddr_in address;

static void make_listener(void)
{
    socklen_t length = sizeof address;

    address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    DO(mine = socket(AF_INET, SOCK_STREAM, 0));
    DO(bind(mine, (struct sockaddr *)&address, sizeof address));
    DO(listen(mine, 5));
    DO(getsockname(mine, (struct sockaddr *)&address, &length));
}

static void make_connection(void)
{
    int listener;

    make_listener();
    listener = mine;
    DO(partners = socket(AF_INET, SOCK_STREAM, 0));
    DO(connect(partners, (struct sockaddr *)&address, sizeof address));
    DO(mine = accept(listener, NULL, NULL));
    DO(close(listener));
}

static void accept_one(int round)
{
    struct sockaddr_in from = {};
    socklen_t length = sizeof from;
    int connection;

    DO(connection = accept(mine, (struct sockaddr *)&from, &length));
    NEED(length == sizeof from && from.sin_addr.s_addr == htonl(INADDR_LOOPBACK));
    need_byte(connection, round);
    NEED(write(connection, "!", 1) == 1);
    DO(close(connection));
}

static void connect_to(pid_t subject, int round)
{
    char byte = (char)('a' + round);
    int connection;

    (void)subject;
    DO(connection = socket(AF_INET, SOCK_STREAM, 0));
    DO(connect(connection, (struct sockaddr *)&address, sizeof address));
    NEED(write(connection, &byte, 1) == 1);
    NEED(read(connection, &byte, 1) == 1 && byte == '!');
    DO(close(connection));
}

static void receive(int round)
{
    char byte = 0;
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    NEED(recvmsg(mine, &message, 0) == 1);
    NEED(byte == 'a' + round);
}

// With a limit: a signal would end it with EINTR, and does not come.
static void receive_with_limit(int round)
{
    struct timeval limit = {600, 0};
    char byte = 0;

    DO(setsockopt(mine, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
    NEED(recv(mine, &byte, 1, 0) == 1);
    NEED(byte == 'a' + round);
}

// --- Waiting for descriptors -------------------------------------------------------------

static void poll_mine(int round)
{
    struct pollfd file = {.fd = mine, .events = POLLIN};

    NEED(poll(&file, 1, -1) == 1 && file.revents == POLLIN);
    need_byte(mine, round);
}

static void poll_with_limit(int round)
{
    struct pollfd file = {.fd = mine, .events = POLLIN};

    NEED(poll(&file, 1, 600000) == 1 && file.revents == POLLIN);
    need_byte(mine, round);
}

static void ppoll_mine(int round)
{
    struct pollfd file = {.fd = mine, .events = POLLIN};
    struct timespec limit = {600, 0};
    sigset_t none;

    sigemptyset(&none);
    NEED(ppoll(&file, 1, &limit, &none) == 1 && file.revents == POLLIN);
    need_byte(mine, round);
}

static void select_mine(int round)
{
    struct timeval limit = {600, 0};
    fd_set files;

    FD_ZERO(&files);
    FD_SET(mine, &files);
    NEED(select(mine + 1, &files, NULL, NULL, &limit) == 1 && FD_ISSET(mine, &files));
    need_byte(mine, round);
}

static void wait_by_epoll(int round, int limit)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 0x123456789abcdefull};
    int set;

    DO(set = epoll_create1(0));
    DO(epoll_ctl(set, EPOLL_CTL_ADD, mine, &event));
    event.data.u64 = 0;
    NEED(epoll_wait(set, &event, 1, limit) == 1);
    NEED(event.events == EPOLLIN && event.data.u64 == 0x123456789abcdefull);
    need_byte(mine, round);
    DO(close(set));
}

static void epoll_mine(int round)
{
    wait_by_epoll(round, -1);
}

static void epoll_with_limit(int round)
{
    wait_by_epoll(round, 600000);
}

static void epoll_masked(int round)
{
    struct epoll_event event = {.events = EPOLLIN};
    sigset_t all, now;
    int set;

    sigfillset(&all);
    DO(set = epoll_create1(0));
    DO(epoll_ctl(set, EPOLL_CTL_ADD, mine, &event));
    NEED(epoll_pwait(set, &event, 1, 600000, &all) == 1);
    DO(sigprocmask(SIG_BLOCK, NULL, &now));
    NEED(!sigismember(&now, SIGUSR1)); // the mask was for the call only
    need_byte(mine, round);
    DO(close(set));
}

static void make_event(void)
{
    DO(mine = partners = eventfd(0, 0));
}

static void put_event(pid_t subject, int round)
{
    uint64_t value = 5 + (uint64_t)round;

    (void)subject;
    NEED(write(partners, &value, sizeof value) == sizeof value);
}

static void read_event(int round)
{
    uint64_t value = 0;

    NEED(read(mine, &value, sizeof value) == sizeof value && value == 5 + (uint64_t)round);
}

// --- Locks -------------------------------------------------------------------------------

static char lock_name[64];

static void make_lock_file(void)
{
    (void)snprintf(lock_name, sizeof lock_name, "/tmp/calls-lock-%d", getpid());
    DO(partners = open(lock_name, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
}

static void hold_flock(void)
{
    make_lock_file();
    DO(flock(partners, LOCK_EX));
}

// The subject's is another opening than its partner's, which each round locks anew.
static void lock_file(int round)
{
    (void)round;
    DO(mine = open(lock_name, O_RDWR | O_CLOEXEC));
    DO(flock(mine, LOCK_EX));
    DO(close(mine));
}

static void unlock_file(pid_t subject, int round)
{
    (void)subject;
    DO(flock(partners, LOCK_UN));
    if (round == 0) {
        DO(usleep(1000000));
        DO(flock(partners, LOCK_EX));
    } else {
        DO(unlink(lock_name));
    }
}

static int set_lock(int file, short kind, bool wait)
{
    struct flock lock = {.l_type = kind, .l_whence = SEEK_SET, .l_start = 10, .l_len = 20};

    return fcntl(file, wait ? F_SETLKW : F_SETLK, &lock);
}

static void hold_record(void)
{
    make_lock_file();
    DO(set_lock(partners, F_WRLCK, false));
}

static void lock_record(int round)
{
    (void)round;
    DO(mine = open(lock_name, O_RDWR | O_CLOEXEC));
    DO(set_lock(mine, F_WRLCK, true));
    DO(close(mine));
}

static void unlock_record(pid_t subject, int round)
{
    (void)subject;
    DO(set_lock(partners, F_UNLCK, false));
    if (round == 0) {
        DO(usleep(1000000));
        DO(set_lock(partners, F_WRLCK, true));
    } else {
        DO(unlink(lock_name));
    }
}

// --- Messages and semaphores -------------------------------------------------------------

static void make_queue(void)
{
    DO(mine = msgget(IPC_PRIVATE, 0600));
}

struct letter {
    long type;
    char text[32];
};

static void get_letter(int round)
{
    struct letter letter = {};

    NEED(msgrcv(mine, &letter, sizeof letter.text, 7, 0) == 6);
    NEED(letter.type == 7 && letter.text[0] == 'a' + round && strcmp(letter.text + 1, "hoy!") == 0);
}

static void send_letter(pid_t subject, int round)
{
    struct letter other = {.type = 3, .text = "other"}, letter = {.type = 7, .text = "ahoy!"};

    (void)subject;
    letter.text[0] = (char)('a' + round);
    DO(msgsnd(mine, &other, 6, 0));
    DO(msgsnd(mine, &letter, 6, 0));
    if (round == 1) {
        DO(usleep(3000000));
        DO(msgctl(mine, IPC_RMID, NULL));
    }
}

static void make_semaphore(void)
{
    DO(mine = semget(IPC_PRIVATE, 2, 0600));
}

static void take_semaphore(int round)
{
    struct sembuf take = {.sem_num = 1, .sem_op = -1};

    (void)round;
    DO(semop(mine, &take, 1));
}

static void take_with_limit(int round)
{
    struct sembuf take = {.sem_num = 1, .sem_op = -1};
    struct timespec limit = {600, 0};

    (void)round;
    DO(semtimedop(mine, &take, 1, &limit));
}

static void give_semaphore(pid_t subject, int round)
{
    struct sembuf give = {.sem_num = 1, .sem_op = 1};

    (void)subject;
    DO(semop(mine, &give, 1));
    if (round == 1) {
        DO(usleep(3000000));
        DO(semctl(mine, 0, IPC_RMID));
    }
}

const struct scene file_scenes[] = {
    {"read-pipe", "read of a pipe", make_pipe, NULL, read_mine, put_byte},
    {"write-pipe", "write to a full pipe", make_pipe_back, NULL, write_much, read_much},
    {"terminal", "read of a terminal", make_terminal, NULL, read_line, put_line},
    {"unix-socket", "read of a Unix socket", make_pair, NULL, read_mine, put_byte},
    {"unix-write", "write to a full Unix socket", make_pair, NULL, write_much, read_much},
    {"tcp-receive", "recvmsg of a TCP socket", make_connection, NULL, receive, put_byte},
    {"tcp-limit", "recv with SO_RCVTIMEO", make_connection, NULL, receive_with_limit, put_byte},
    {"accept", "accept at a listening socket", make_listener, NULL, accept_one, connect_to},
    {"poll", "poll", make_pipe, NULL, poll_mine, put_byte},
    {"poll-limit", "poll with a limit", make_pipe, NULL, poll_with_limit, put_byte},
    {"ppoll", "ppoll", make_pair, NULL, ppoll_mine, put_byte},
    {"select", "select", make_pipe, NULL, select_mine, put_byte},
    {"epoll", "epoll_wait", make_pipe, NULL, epoll_mine, put_byte},
    {"epoll-limit", "epoll_wait with a limit", make_pipe, NULL, epoll_with_limit, put_byte},
    {"epoll-mask", "epoll_pwait with a mask", make_pipe, NULL, epoll_masked, put_byte},
    {"eventfd", "read of an eventfd", make_event, NULL, read_event, put_event},
    {"flock", "flock", hold_flock, NULL, lock_file, unlock_file},
    {"fcntl", "fcntl, F_SETLKW", hold_record, NULL, lock_record, unlock_record},
    {"msgrcv", "msgrcv", make_queue, NULL, get_letter, send_letter},
    {"semop", "semop", make_semaphore, NULL, take_semaphore, give_semaphore},
    {"semtimedop", "semtimedop with a limit", make_semaphore, NULL, take_with_limit,
     give_semaphore},
    {},
};
