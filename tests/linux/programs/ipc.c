// SPDX-License-Identifier: BSD-2-Clause
// System V shared memory, semaphores and message queues; POSIX message queues and semaphores.
#include "harness.h"

#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <time.h>

// --- Shared memory ------------------------------------------------------------------------------

static void write_pattern(void *argument)
{
    int id = *(int *)argument;
    uint8_t *at = SUCCEED((uint8_t *)shmat(id, NULL, 0));
    fill_pattern(at, 65536, 3);
    SUCCEED(shmdt(at));
}

TEST(shared_memory, "shmget, shmat at two places and read-only, removal while attached")
{
    int id = SUCCEED(shmget(IPC_PRIVATE, 65536, IPC_CREAT | 0600));
    uint8_t *at = SUCCEED((uint8_t *)shmat(id, NULL, 0)),
            *again = SUCCEED((uint8_t *)shmat(id, NULL, SHM_RDONLY));
    in_child(write_pattern, &id);
    REQUIRE(has_pattern(at, 65536, 3));
    at[5] = 0x77;
    REQUIRE_EQUAL(again[5], 0x77);
    FAIL_WITH(mprotect(again, 4096, PROT_READ | PROT_WRITE), EACCES);
    struct shmid_ds status;
    SUCCEED(shmctl(id, IPC_STAT, &status));
    REQUIRE_EQUAL(status.shm_nattch, 2);
    REQUIRE_EQUAL(status.shm_segsz, 65536);
    SUCCEED(shmctl(id, IPC_RMID, NULL));
    at[6] = 0x78; // as long as it is attached
    REQUIRE_EQUAL(again[6], 0x78);
    SUCCEED(shmdt(at));
    SUCCEED(shmdt(again));
    FAIL_WITH(shmat(id, NULL, 0), EINVAL);
    FAIL_WITH(shmdt(at), EINVAL);
}

TEST(keys, "a key finds the same segment; IPC_EXCL, sizes and modes are checked")
{
    key_t key = 0x434f5256 ^ getpid();
    int id = SUCCEED(shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0600));
    REQUIRE_EQUAL(shmget(key, 4096, 0), id);
    FAIL_WITH(shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
    FAIL_WITH(shmget(key, 8192, 0), EINVAL);
    SUCCEED(shmctl(id, IPC_RMID, NULL));
    FAIL_WITH(shmget(key, 4096, 0), ENOENT);
}

// --- Semaphores ---------------------------------------------------------------------------------

static int semaphores;

static int change(unsigned short number, short by, short flags)
{
    struct sembuf operation = {number, by, flags};
    return semop(semaphores, &operation, 1);
}

static void take_and_die(void *argument)
{
    (void)argument;
    SUCCEED(change(0, -1, SEM_UNDO));
    raise(SIGKILL);
}

static void take_both(void *argument)
{
    (void)argument;
    struct sembuf both[2] = {{0, -1, 0}, {1, -1, 0}};
    SUCCEED(semop(semaphores, both, 2));
}

TEST(semaphores, "semop: several at once or none, waiting for zero, undo at the end of a process")
{
    semaphores = SUCCEED(semget(IPC_PRIVATE, 3, IPC_CREAT | 0600));
    SUCCEED(semctl(semaphores, 0, SETVAL, 1));
    KILLED(child(take_and_die, NULL), SIGKILL);
    REQUIRE_EQUAL(semctl(semaphores, 0, GETVAL), 1);
    FAIL_WITH(change(1, -1, IPC_NOWAIT), EAGAIN);
    pid_t process = child(take_both, NULL);
    while (semctl(semaphores, 1, GETNCNT) != 1)
        sleep_ms(1);
    REQUIRE_EQUAL(semctl(semaphores, 0, GETVAL), 1); // it has taken neither
    SUCCEED(change(1, 1, 0));
    EXITS(process, 0);
    REQUIRE_EQUAL(semctl(semaphores, 0, GETVAL), 0);
    SUCCEED(change(0, 0, 0)); // is zero: does not wait
    struct sembuf operation = {2, -1, 0};
    struct timespec time = {0, 20000000};
    FAIL_WITH(semtimedop(semaphores, &operation, 1, &time), EAGAIN);
    FAIL_WITH(change(9, 1, 0), EFBIG);
    SUCCEED(semctl(semaphores, 0, IPC_RMID));
    FAIL_WITH(change(0, 1, 0), EINVAL);
}

// --- Message queues -----------------------------------------------------------------------------

struct message {
    long kind;
    char text[100];
};

TEST(messages, "msgsnd and msgrcv by kind, in order, too long, with nothing there, when full")
{
    int queue = SUCCEED(msgget(IPC_PRIVATE, IPC_CREAT | 0600));
    struct message message;
    for (long i = 1; i <= 5; i++) {
        message.kind = i % 3 + 1;
        snprintf(message.text, sizeof message.text, "number %ld", i);
        SUCCEED(msgsnd(queue, &message, 9, 0));
    }
    REQUIRE_EQUAL(msgrcv(queue, &message, 100, 3, 0), 9); // the first of kind 3
    REQUIRE(strcmp(message.text, "number 2") == 0);
    REQUIRE_EQUAL(msgrcv(queue, &message, 100, 0, 0), 9); // the first of all
    REQUIRE(strcmp(message.text, "number 1") == 0);
    REQUIRE_EQUAL(msgrcv(queue, &message, 100, -2, 0), 9); // the lowest kind
    REQUIRE(strcmp(message.text, "number 3") == 0);
    FAIL_WITH(msgrcv(queue, &message, 3, 0, 0), E2BIG);
    REQUIRE_EQUAL(msgrcv(queue, &message, 3, 0, MSG_NOERROR), 3);
    FAIL_WITH(msgrcv(queue, &message, 100, 77, IPC_NOWAIT), ENOMSG);
    int sent = 0;
    message.kind = 5;
    while (sent < 10000 && msgsnd(queue, &message, 100, IPC_NOWAIT) == 0)
        sent++;
    REQUIRE_EQUAL(errno, EAGAIN);
    REQUIRE(sent > 10);
    SUCCEED(msgctl(queue, IPC_RMID, NULL));
    FAIL_WITH(msgsnd(queue, &message, 1, 0), EINVAL);
}

static void receive_removed(void *argument)
{
    struct message message;
    FAIL_WITH(msgrcv(*(int *)argument, &message, 100, 0, 0), EIDRM);
}

TEST(removal_wakes, "removing a queue wakes who waits in it")
{
    int queue = SUCCEED(msgget(IPC_PRIVATE, IPC_CREAT | 0600));
    pid_t process = child(receive_removed, &queue);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/stat", process);
    sleep_ms(20);
    while (strstr(read_file(path), ") S ") == NULL)
        sleep_ms(1);
    SUCCEED(msgctl(queue, IPC_RMID, NULL));
    EXITS(process, 0);
}

// --- POSIX --------------------------------------------------------------------------------------

static volatile sig_atomic_t notified;

static void on_message(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    notified = info->si_code == SI_MESGQ ? info->si_value.sival_int : -1;
}

TEST(posix_queue, "mq_open: by priority, full, empty, time-out, poll, notified by a signal")
{
    char name[64], text[64];
    snprintf(name, sizeof name, "/corvus-%d", getpid());
    struct mq_attr attributes = {.mq_maxmsg = 4, .mq_msgsize = 64};
    mqd_t queue =
        SUCCEED_OR_SKIP(mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK, 0600, &attributes),
                        "this kernel has no POSIX message queues");
    struct sigaction action = {.sa_sigaction = on_message, .sa_flags = SA_SIGINFO};
    SUCCEED(sigaction(SIGUSR1, &action, NULL));
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    event.sigev_value.sival_int = 12;
    SUCCEED(mq_notify(queue, &event));
    SUCCEED(mq_send(queue, "low", 3, 1));
    REQUIRE_EQUAL(notified, 12);
    SUCCEED(mq_send(queue, "high", 4, 9));
    SUCCEED(mq_send(queue, "low too", 7, 1));
    SUCCEED(mq_send(queue, "", 0, 0));
    FAIL_WITH(mq_send(queue, "x", 1, 0), EAGAIN);
    struct pollfd ready = {queue, POLLIN | POLLOUT, 0};
    REQUIRE_EQUAL(poll(&ready, 1, 0), 1);
    REQUIRE_EQUAL(ready.revents, POLLIN);
    unsigned priority;
    REQUIRE_EQUAL(mq_receive(queue, text, sizeof text, &priority), 4);
    REQUIRE_EQUAL(priority, 9);
    REQUIRE_EQUAL(mq_receive(queue, text, sizeof text, &priority), 3);
    REQUIRE_EQUAL(mq_receive(queue, text, sizeof text, &priority), 7);
    REQUIRE_EQUAL(mq_receive(queue, text, sizeof text, &priority), 0);
    FAIL_WITH(mq_receive(queue, text, sizeof text, NULL), EAGAIN);
    FAIL_WITH(mq_receive(queue, text, 10, NULL), EMSGSIZE);
    attributes.mq_flags = 0;
    SUCCEED(mq_setattr(queue, &attributes, NULL));
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    FAIL_WITH(mq_timedreceive(queue, text, sizeof text, NULL, &time), ETIMEDOUT);
    SUCCEED(mq_unlink(name));
    FAIL_WITH(mq_open(name, O_RDWR), ENOENT);
}

static sem_t *semaphore;

static void post_ten(void *argument)
{
    (void)argument;
    for (int i = 0; i < 10; i++)
        SUCCEED(sem_post(semaphore));
}

TEST(posix_semaphore, "a semaphore in shared memory counts between processes")
{
    semaphore =
        SUCCEED(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    SUCCEED(sem_init(semaphore, 1, 0));
    pid_t first = child(post_ten, NULL), second = child(post_ten, NULL);
    for (int i = 0; i < 20; i++)
        SUCCEED(sem_wait(semaphore));
    EXITS(first, 0);
    EXITS(second, 0);
    FAIL_WITH(sem_trywait(semaphore), EAGAIN);
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    FAIL_WITH(sem_timedwait(semaphore, &time), ETIMEDOUT);
}
