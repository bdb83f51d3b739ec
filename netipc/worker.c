// SPDX-License-Identifier: BSD-2-Clause
// Threads for deliveries that wait. Each makes one RPC, or one send, at a time for
// somebody on another node; the server's own thread never does. An RPC is marked
// FOREIGN, so that the kernel lends no memory of this task.
//
// There are as many as were ever needed at once. A job for which there is no thread
// waits until one is free.
#include "netipc/exchange.h"

#include "netipc/core/pool.h"

#include "lib/event.h"
#include "lib/thread.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define WORKERS_MAX 1024u
#define STACK_BYTES 24576u

struct job {
    struct job *next;
    struct core_delivery *delivery; // NULL: an answer
    struct handoff handoff;
    void *memory; // of an answer: what it points to
    bool is_call;
};

struct worker {
    struct worker *next;      // of all
    struct worker *next_idle; // of those that wait
    port_name_t thread;
    uint32_t wake; // its event (lib/event.h)
    struct job *job;
    bool running;   // in the kernel, or about to be
    bool abandoned; // is to be ended there
};

static struct worker *workers, *idle;
static struct job *first_job, **last_job = &first_job;
static struct worker_counters counters;
static struct pool pool = {.keeps = true}; // jobs and what belongs to them

const struct worker_counters *worker_counters(void)
{
    return &counters;
}

// --- RPCs ---------------------------------------------------------------------------------

static void *room_allocate(const uint32_t room[MESSAGE_ITEMS])
{
    struct utcb *page = utcb_self();
    size_t bytes = 0;
    uint8_t *memory;

    for (unsigned i = 0; i < MESSAGE_ITEMS; i++)
        bytes += room[i];
    memory = bytes != 0 ? pool_take(&pool, bytes) : NULL;
    bytes = 0;
    for (unsigned i = 0; i < MESSAGE_ITEMS; i++) {
        page->copy_buffers[i] = message_buffer(memory + bytes, memory != NULL ? room[i] : 0);
        bytes += room[i];
    }
    return memory;
}

static void room_free(void *memory)
{
    for (unsigned i = 0; i < MESSAGE_ITEMS; i++)
        utcb_self()->copy_buffers[i].length = 0;
    pool_give(&pool, memory);
}

// Called, and returns, with the lock held, which is not while the RPC lasts.
static void do_call(struct worker *worker, struct job *job)
{
    struct core_delivery *delivery = job->delivery;
    uint64_t words[MESSAGE_WORDS];
    struct core_message answer;
    struct message message;

    core_delivered(exchange_core, delivery);
    void *room = room_allocate(delivery->room);
    worker->running = !worker->abandoned;
    server_unlock();
    corvus_error_t error = ERR_PEER_DIED;
    if (worker->running)
        error = handoff_send(&job->handoff, TAG_CALL | TAG_FOREIGN, &message);
    bool sent = worker->running && (error == ERR_OK || message.tag & TAG_ERROR_RECEIVE);
    if (!sent)
        handoff_undo(&job->handoff);
    if (error == ERR_OK && !message_of_received(&message, words, &answer))
        error = ERR_NOT_SUPPORTED;
    server_lock();
    worker->running = false;
    core_answer(exchange_core, delivery, error == ERR_OK ? &answer : NULL, error);
    room_free(room);
}

static void do_send(struct job *job)
{
    struct message message;

    server_unlock();
    if (handoff_send(&job->handoff, TAG_SEND, &message) != ERR_OK) {
        handoff_undo(&job->handoff);
        if (job->delivery == NULL)
            (void)port_deallocate(job->handoff.to);
    }
    server_lock();
    if (job->delivery != NULL)
        core_delivered(exchange_core, job->delivery);
    pool_give(&pool, job->memory);
}

// --- Threads --------------------------------------------------------------------------------

static struct job *take_job(void)
{
    struct job *job = first_job;

    if (job == NULL)
        return NULL;
    first_job = job->next;
    if (first_job == NULL)
        last_job = &first_job;
    counters.waiting--;
    return job;
}

// By an event of its own and not by a condition, which takes more system calls, and vector
// registers besides. An event may also be a late one, of a wait for the lock.
static void wait_for_job(struct worker *worker)
{
    worker->next_idle = idle;
    idle = worker;
    counters.busy--;
    while (worker->job == NULL) {
        server_unlock();
        (void)event_wait(DEADLINE_NONE);
        server_lock();
    }
}

static void *work(void *argument)
{
    struct worker *worker = argument;

    server_lock();
    worker->thread = thread_self();
    if (!event_prepare(&worker->wake)) // never: a new thread has its event
        handoff_no_memory();
    for (;;) {
        if (worker->job == NULL && (worker->job = take_job()) == NULL)
            wait_for_job(worker);
        if (worker->job->is_call)
            do_call(worker, worker->job);
        else
            do_send(worker->job);
        pool_give(&pool, worker->job);
        worker->job = NULL;
        worker->abandoned = false;
        handoff_step(); // what came behind it may have been delivered since
        carrier_flush();
    }
    return NULL;
}

static bool start_worker(struct job *job)
{
    struct worker *worker;
    pthread_attr_t attributes;
    pthread_t thread;

    if (counters.workers == WORKERS_MAX || (worker = calloc(1, sizeof *worker)) == NULL)
        return false;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    worker->job = job;
    int error = pthread_create(&thread, &attributes, work, worker);
    pthread_attr_destroy(&attributes);
    if (error != 0) {
        counters.no_thread++;
        free(worker);
        return false;
    }
    worker->next = workers;
    workers = worker;
    counters.workers++;
    counters.busy++;
    return true;
}

// --- Jobs -------------------------------------------------------------------------------------

static struct job *job_make(struct core_delivery *delivery, const struct handoff *handoff)
{
    struct job *job = pool_take(&pool, sizeof *job);

    if (job == NULL)
        handoff_no_memory();
    *job = (struct job){0};
    job->delivery = delivery;
    job->handoff = *handoff;
    return job;
}

static void give(struct job *job)
{
    struct worker *worker = idle;

    counters.jobs++;
    if (worker != NULL) {
        idle = worker->next_idle;
        worker->job = job;
        counters.busy++;
        event_signal(worker->wake);
    } else if (!start_worker(job)) {
        job->next = NULL;
        *last_job = job;
        last_job = &job->next;
        counters.waiting++;
    }
}

void worker_call(struct core_delivery *delivery, const struct handoff *handoff)
{
    struct job *job = job_make(delivery, handoff);

    job->is_call = true;
    delivery->owner = job;
    give(job);
}

void worker_deliver(struct core_delivery *delivery, const struct handoff *handoff)
{
    struct job *job = job_make(delivery, handoff);

    delivery->owner = job;
    give(job);
}

static void copy_contents(struct job *job)
{
    struct handoff *handoff = &job->handoff;
    size_t bytes = 8u * handoff->word_count;

    for (unsigned i = 0; i < handoff->item_count; i++)
        bytes += handoff->items[i].bytes;
    uint8_t *memory = pool_take(&pool, bytes + 1);
    if (memory == NULL)
        handoff_no_memory();
    job->memory = memory;
    memcpy(memory, handoff->words, 8u * handoff->word_count);
    handoff->words = (const uint64_t *)(const void *)memory;
    memory += 8u * handoff->word_count;
    for (unsigned i = 0; i < handoff->item_count; i++) {
        memcpy(memory, handoff->items[i].data, handoff->items[i].bytes);
        handoff->items[i].data = memory;
        memory += handoff->items[i].bytes;
    }
}

void worker_answer(const struct handoff *handoff)
{
    struct job *job = job_make(NULL, handoff);

    copy_contents(job);
    give(job);
}

// --- Ends ----------------------------------------------------------------------------------------

static struct worker *worker_of(const struct job *job)
{
    struct worker *worker = workers;

    while (worker != NULL && worker->job != job)
        worker = worker->next;
    return worker;
}

void worker_abandon(struct core_delivery *delivery)
{
    struct worker *worker = worker_of(delivery->owner);

    counters.abandoned++;
    if (worker == NULL)
        return; // it waits for a thread; the answer will be given to nobody
    worker->abandoned = true;
    if (worker->running)
        (void)thread_abort(worker->thread);
}

void worker_tick(void)
{
    for (struct worker *worker = workers; worker != NULL; worker = worker->next)
        if (worker->abandoned && worker->running)
            (void)thread_abort(worker->thread);
}
