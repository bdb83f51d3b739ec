// SPDX-License-Identifier: BSD-2-Clause
// There is one lock. Nobody holds it who sends, or calls `sent`.
#include "lib/outbox.h"

#include "lib/port.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define STACK_BYTES 32768u

struct job {
    struct job *next;
    struct outbox_message message;
    uint8_t copied[];
};

struct outbox {
    port_name_t to;
    uint64_t limit;
    outbox_broken broken;
    void *argument;
    corvus_error_t error; // why it is broken
    struct job *first, **last;
    bool sending;            // somebody sends, or it is in the list of those that have work
    bool closed;             // freed by whoever is the last to send
    struct outbox *next_due; // in that list
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER;
static struct outbox *first_due, **last_due = &first_due;
static unsigned threads, idle, due; // idle: waiting, or woken and not yet running; due: in the list

// --- One message --------------------------------------------------------------------------

static corvus_error_t transmit(port_name_t to, const struct outbox_message *from, uint64_t deadline)
{
    struct utcb *page = utcb_self();
    struct message message = {.destination = to, .id = from->id};

    message.tag = TAG_SEND | from->word_count | TAG_RIGHTS(from->right_count);
    memcpy(message.words, from->words, sizeof message.words);
    for (unsigned i = MESSAGE_REGISTER_WORDS; i < from->word_count; i++)
        page->words[i] = from->words[i];
    memcpy(page->rights, from->rights, from->right_count * sizeof from->rights[0]);
    if (from->data != NULL) {
        message.tag |= TAG_ITEMS(1);
        page->items[0] = message_copy_item(from->data, from->bytes);
    }
    if (deadline != DEADLINE_NONE) {
        message.tag |= TAG_SEND_DEADLINE;
        page->send_deadline = deadline;
    }
    message_trap(&message);
    return TAG_ERROR(message.tag);
}

// The message is done with, one way or the other.
static void finish(const struct outbox_message *message, corvus_error_t error)
{
    for (unsigned i = 0; error != ERR_OK && i < message->right_count; i++) {
        uint32_t disposition = message->rights[i].disposition;
        if (disposition == MOVE_SEND || disposition == MOVE_SEND_ONCE ||
            disposition == MOVE_RECEIVE)
            (void)port_deallocate(message->rights[i].name);
    }
    if (message->sent != NULL)
        message->sent(message->argument, error);
}

static bool must_wait(corvus_error_t error)
{
    return error == ERR_WOULD_BLOCK || error == ERR_TIMED_OUT || error == ERR_ABORTED;
}

// --- The queue ----------------------------------------------------------------------------

static struct job *make_job(const struct outbox_message *message)
{
    bool copy = message->data != NULL && message->sent == NULL;
    struct job *job = malloc(sizeof *job + (copy ? message->bytes : 0));

    if (job == NULL)
        return NULL;
    job->next = NULL;
    job->message = *message;
    if (copy) {
        memcpy(job->copied, message->data, message->bytes);
        job->message.data = job->copied;
    }
    return job;
}

static struct job *take_job(struct outbox *outbox)
{
    struct job *job = outbox->first;

    if (job == NULL)
        return NULL;
    outbox->first = job->next;
    if (outbox->first == NULL)
        outbox->last = &outbox->first;
    return job;
}

// Called with the lock held: all that is queued.
static struct job *take_jobs(struct outbox *outbox)
{
    struct job *jobs = outbox->first;

    outbox->first = NULL;
    outbox->last = &outbox->first;
    return jobs;
}

// Called without the lock, and without the outbox, which may be gone by then.
static void drop_jobs(struct job *jobs, corvus_error_t error)
{
    while (jobs != NULL) {
        struct job *next = jobs->next;
        finish(&jobs->message, error);
        free(jobs);
        jobs = next;
    }
}

static void destroy(struct outbox *outbox)
{
    (void)port_deallocate(outbox->to);
    free(outbox);
}

// Called with the lock held.
static void break_outbox(struct outbox *outbox, corvus_error_t error)
{
    if (outbox->error != ERR_OK)
        return;
    outbox->error = error;
    if (outbox->broken != NULL && !outbox->closed)
        outbox->broken(outbox->argument, error);
}

// --- Threads ------------------------------------------------------------------------------

static void send_queue(struct outbox *outbox)
{
    struct job *job;

    while (outbox->error == ERR_OK && (job = take_job(outbox)) != NULL) {
        pthread_mutex_unlock(&lock);
        uint64_t deadline = deadline_after(outbox->limit);
        corvus_error_t error;
        do
            error = transmit(outbox->to, &job->message, deadline);
        while (error == ERR_ABORTED);
        finish(&job->message, error);
        free(job);
        pthread_mutex_lock(&lock);
        if (error != ERR_OK)
            break_outbox(outbox, error);
    }
    if (outbox->error != ERR_OK) {
        struct job *jobs = take_jobs(outbox);
        pthread_mutex_unlock(&lock);
        drop_jobs(jobs, outbox->error);
        pthread_mutex_lock(&lock);
    }
    outbox->sending = false;
    if (outbox->closed)
        destroy(outbox);
}

static void *send_for_ever(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&lock);
    for (;;) {
        while (first_due == NULL) {
            idle++;
            pthread_cond_wait(&work, &lock);
            idle--;
        }
        struct outbox *outbox = first_due;
        first_due = outbox->next_due;
        if (first_due == NULL)
            last_due = &first_due;
        due--;
        send_queue(outbox);
    }
    return NULL;
}

// True: there is, or will be, a thread that does the work. Each that is due may keep one busy for
// long: those that wait are for the ones that became due before.
static bool wake_thread(void)
{
    pthread_attr_t attributes;
    pthread_t thread;

    if (idle > due) {
        pthread_cond_signal(&work);
        return true;
    }
    if (threads == OUTBOX_THREADS)
        return true;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    bool made = pthread_create(&thread, &attributes, send_for_ever, NULL) == 0;
    pthread_attr_destroy(&attributes);
    threads += made;
    return threads != 0;
}

// --- Outboxes -------------------------------------------------------------------------------

struct outbox *outbox_open(port_name_t to, uint64_t limit, outbox_broken broken, void *argument)
{
    struct outbox *outbox = calloc(1, sizeof *outbox);

    if (outbox == NULL)
        return NULL;
    outbox->to = to;
    outbox->limit = limit;
    outbox->broken = broken;
    outbox->argument = argument;
    outbox->last = &outbox->first;
    return outbox;
}

// Called with the lock held. False: no memory, or no thread.
static bool put(struct outbox *outbox, const struct outbox_message *message)
{
    struct job *job = make_job(message);

    if (job == NULL)
        return false;
    if (!outbox->sending) {
        if (!wake_thread()) {
            free(job);
            return false;
        }
        outbox->sending = true;
        due++;
        outbox->next_due = NULL;
        *last_due = outbox;
        last_due = &outbox->next_due;
    }
    *outbox->last = job;
    outbox->last = &job->next;
    return true;
}

// Called with the lock held, while nobody else sends: whether it could be sent at once.
static corvus_error_t try_now(struct outbox *outbox, const struct outbox_message *message)
{
    outbox->sending = true;
    pthread_mutex_unlock(&lock);
    corvus_error_t error = transmit(outbox->to, message, 0);
    pthread_mutex_lock(&lock);
    outbox->sending = false;
    return error;
}

corvus_error_t outbox_send(struct outbox *outbox, const struct outbox_message *message)
{
    pthread_mutex_lock(&lock);
    corvus_error_t error = outbox->error;
    bool queued = false;
    if (error == ERR_OK) {
        error = outbox->sending ? ERR_WOULD_BLOCK : try_now(outbox, message);
        if (must_wait(error)) {
            queued = put(outbox, message);
            error = queued ? ERR_OK : ERR_NO_MEMORY;
        } else if (error != ERR_OK) {
            break_outbox(outbox, error);
        }
    }
    pthread_mutex_unlock(&lock);
    if (!queued)
        finish(message, error);
    return error;
}

void outbox_close(struct outbox *outbox, bool drain)
{
    struct job *jobs = NULL;

    pthread_mutex_lock(&lock);
    outbox->closed = true;
    if (!drain)
        jobs = take_jobs(outbox);
    if (!outbox->sending)
        destroy(outbox);
    pthread_mutex_unlock(&lock);
    drop_jobs(jobs, ERR_ABORTED);
}

bool outbox_busy(struct outbox *outbox)
{
    pthread_mutex_lock(&lock);
    bool busy = outbox->first != NULL || outbox->sending;
    pthread_mutex_unlock(&lock);
    return busy;
}

bool outbox_hand_over(struct outbox *outbox, outbox_broken broken, void *argument)
{
    pthread_mutex_lock(&lock);
    bool good = outbox->error == ERR_OK;
    outbox->broken = broken;
    outbox->argument = argument;
    pthread_mutex_unlock(&lock);
    return good;
}
