// SPDX-License-Identifier: BSD-2-Clause
// Outboxes with the host's threads, and ports that take nothing until they are told to.
// sources: lib/outbox.c
#include "tap.h"

#include "lib/outbox.h"
#include "lib/port.h"

#include <pthread.h>
#include <time.h>

#define PATIENCE_NS 5000000000ull
#define PORTS       4

// Who sends to a port that is stuck waits; who does not want to wait is refused by any.
struct target {
    bool stuck;
    corvus_error_t error; // of sends that wait
    unsigned waiting, sent, given_up;
};

_Thread_local struct utcb corvus_page;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct target targets[PORTS];
static bool may_wake = true; // threads of the outboxes that have been woken
static unsigned asleep;

int __real_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *held);
int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *held);

static void set(unsigned *counter, int change)
{
    pthread_mutex_lock(&mutex);
    *counter += (unsigned)change;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

// An outbox's thread: woken, it is as if the processor were another's until it may go on.
int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *held)
{
    set(&asleep, 1);
    int error = __real_pthread_cond_wait(condition, held);
    pthread_mutex_unlock(held);
    pthread_mutex_lock(&mutex);
    while (!may_wake)
        __real_pthread_cond_wait(&changed, &mutex);
    asleep--;
    pthread_mutex_unlock(&mutex);
    pthread_mutex_lock(held);
    return error;
}

void corvus_trap(struct message *message)
{
    struct target *target = &targets[message->destination];
    bool waits = !(message->tag & TAG_SEND_DEADLINE) || corvus_page.send_deadline != 0;
    corvus_error_t error = ERR_WOULD_BLOCK;

    pthread_mutex_lock(&mutex);
    if (waits) {
        target->waiting++;
        pthread_cond_broadcast(&changed);
        while (target->stuck)
            __real_pthread_cond_wait(&changed, &mutex);
        target->waiting--;
        error = target->error;
        target->sent += error == ERR_OK;
        pthread_cond_broadcast(&changed);
    }
    pthread_mutex_unlock(&mutex);
    message->tag = (uint64_t)error << TAG_ERROR_SHIFT;
}

corvus_error_t port_deallocate(port_name_t name)
{
    set(&targets[name].given_up, 1);
    return ERR_OK;
}

static void change(bool *flag, bool value)
{
    pthread_mutex_lock(&mutex);
    *flag = value;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

static bool becomes(const unsigned *counter, unsigned value)
{
    struct timespec until;
    int error = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)(PATIENCE_NS / NANOSECONDS_PER_SECOND);
    pthread_mutex_lock(&mutex);
    while (*counter != value && error == 0)
        error = pthread_cond_timedwait(&changed, &mutex, &until);
    bool reached = *counter == value;
    pthread_mutex_unlock(&mutex);
    return reached;
}

static struct outbox *open_to(port_name_t port)
{
    targets[port] = (struct target){0};
    return outbox_open(port, DEADLINE_NONE, NULL, NULL);
}

static corvus_error_t send_one(struct outbox *outbox)
{
    return outbox_send(outbox, &(struct outbox_message){.id = 1});
}

// Two become due while the only thread has been woken and does not run yet. The first keeps it.
static void stuck_receiver(void)
{
    struct outbox *first = open_to(1), *second = open_to(2);

    (void)send_one(first);
    tap_ok(becomes(&targets[1].sent, 1) && becomes(&asleep, 1), "a thread sends, and waits");
    change(&may_wake, false);
    change(&targets[1].stuck, true);
    (void)send_one(first);
    (void)send_one(second);
    change(&may_wake, true);
    tap_ok(becomes(&targets[1].waiting, 1), "one outbox's receiver is stuck");
    tap_ok(becomes(&targets[2].sent, 1), "the other's gets its message");
    change(&targets[1].stuck, false);
    tap_ok(becomes(&targets[1].sent, 2), "the first goes on");
    outbox_close(first, true);
    outbox_close(second, true);
    tap_ok(becomes(&targets[1].given_up, 1) && becomes(&targets[2].given_up, 1),
           "both give their rights up");
}

static unsigned told, aborted;

// Of a message that is dropped: meanwhile the thread ends its own with an error.
static void dropped(void *argument, corvus_error_t error)
{
    (void)argument;
    told++;
    aborted += error == ERR_ABORTED;
    change(&targets[3].stuck, false);
    (void)becomes(&targets[3].given_up, 1);
}

static void close_while_receiver_dies(void)
{
    struct outbox *outbox = open_to(3);
    struct outbox_message message = {.id = 1, .sent = dropped};

    targets[3].stuck = true;
    targets[3].error = ERR_PEER_DIED;
    (void)send_one(outbox);
    tap_ok(becomes(&targets[3].waiting, 1), "a thread waits for a receiver");
    (void)outbox_send(outbox, &message);
    (void)outbox_send(outbox, &message);
    outbox_close(outbox, false);
    tap_ok(told == 2 && aborted == 2, "what is queued is dropped");
    tap_ok(targets[3].given_up == 1, "the right is given up once, by the thread");
}

int main(void)
{
    stuck_receiver();
    close_while_receiver_dies();
    return tap_end();
}
