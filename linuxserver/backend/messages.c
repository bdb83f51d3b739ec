// SPDX-License-Identifier: GPL-2.0-only
// See messages.h. A worker takes no lock and calls nothing of Linux's: it can come between any two
// instructions of Linux, also where interrupts are masked. What both touch are two lists, by
// compare-and-exchange; only Linux's side takes from them.
#include "messages.h"
#include "vcpu_page.h"

#include "lib/call.h"

#include <corvus/stubs.h>

#include <errno.h>
#include <kern_util.h>
#include <os.h>
#include <string.h>
#include <um_malloc.h>

#define STACK_BYTES 4096

struct worker {
    struct worker *next; // while idle
    struct message_work *work;
    struct worker *made; // of the first one: the worker that it is to make
    port_name_t thread, bell_receive, bell;
    unsigned int number;
    uint8_t priority;
    corvus_error_t error; // of its making
    uint8_t *stack;
};

static struct worker *idle, *first;
static struct message_work *finished;
static unsigned int worker_count, busy_count;
static port_name_t completion; // send right to the port that is the interrupt
static int irq;
static uint32_t arrived;

// --- The message page ----------------------------------------------------------------------------

// Of the words, which are most of a page, as many as the message has. (With more than there can be
// it is refused.)
static void copy_page(struct utcb *to, const struct utcb *from, uint64_t tag)
{
    uint64_t words = tag & TAG_WORDS_MASK;

    if (words <= MESSAGE_WORDS)
        memcpy(to->words, from->words, words * sizeof to->words[0]);
    memcpy(to->rights, from->rights, CORVUS_PAGE_BYTES - offsetof(struct utcb, rights));
}

static void trap(struct message_exchange *exchange)
{
    struct utcb *page = utcb_self();
    struct message message = {
        .tag = exchange->tag,
        .destination = exchange->destination,
        .receive_from = exchange->receive_from,
        .id = exchange->id,
    };

    memcpy(message.words, exchange->words, sizeof message.words);
    copy_page(page, exchange->page, message.tag);
    message_trap(&message);
    copy_page(exchange->page, page, message.tag);
    // Other receivers on this page let nothing arrive.
    memset(page->copy_buffers, 0, sizeof page->copy_buffers);
    exchange->tag = message.tag;
    exchange->destination = message.label;
    exchange->id = (uint32_t)message.id;
    memcpy(exchange->words, message.words, sizeof message.words);
}

void messages_exchange(struct message_exchange *exchange)
{
    uint64_t name = PORT_NULL;
    int receives = (exchange->tag & (TAG_RECEIVE | TAG_RPC)) == TAG_RECEIVE;
    int enabled = um_set_signals(0);

    trap(exchange);
    // The next receive of Linux itself would empty the slot.
    if (receives && (exchange->tag & (TAG_ERROR_MASK | TAG_REPLY)) == TAG_REPLY &&
        thread_save_reply(NAME_THREAD_MAIN, &name) != ERR_OK)
        exchange->tag &= ~TAG_REPLY; // its caller gets NO_REPLY
    exchange->reply = (uint32_t)name;
    um_set_signals(enabled);
}

int messages_service(uint32_t object, uint32_t id, unsigned int count,
                     uint64_t words[MESSAGE_SERVICE_WORDS], const struct message_right *in,
                     struct message_right *out)
{
    struct message message = {
        .tag = TAG_CALL | TAG_FOREIGN | TAG_RIGHTS(in != NULL) | count,
        .destination = object,
        .id = id,
    };
    int enabled = um_set_signals(0);
    corvus_error_t error;

    memcpy(message.words, words, count * sizeof *words);
    if (in != NULL)
        utcb_self()->rights[0] = *in;
    message_trap(&message);
    error = TAG_ERROR(message.tag);
    if (error == ERR_OK)
        error = (corvus_error_t)message.words[0];
    memcpy(words, message.words + 1, (MESSAGE_REGISTER_WORDS - 1) * sizeof *words);
    words[MESSAGE_REGISTER_WORDS - 1] = 0;
    if ((message.tag & TAG_WORDS_MASK) > MESSAGE_REGISTER_WORDS)
        words[MESSAGE_REGISTER_WORDS - 1] = utcb_self()->words[MESSAGE_REGISTER_WORDS];
    if (error == ERR_OK && out != NULL)
        *out = utcb_self()->rights[0];
    um_set_signals(enabled);
    return (int)error;
}

int messages_bind(uint32_t port, unsigned int bin)
{
    return (int)QUIETLY(vcpu_bind(NAME_THREAD_MAIN, port, EVENT_MESSAGES + bin));
}

// --- Workers -------------------------------------------------------------------------------------

static void notify(port_name_t port)
{
    struct message message = {.tag = TAG_SEND | TAG_NOTIFY | 1, .destination = port, .words = {1}};

    message_trap(&message);
}

static void put_idle(struct worker *worker)
{
    worker->next = __atomic_load_n(&idle, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&idle, &worker->next, worker, 0, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED))
        ;
}

static void put_finished(struct message_work *work)
{
    work->next = __atomic_load_n(&finished, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&finished, &work->next, work, 0, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED))
        ;
}

static corvus_error_t make_worker(struct worker *worker);

static void work_for_ever(struct worker *self)
{
    for (;;) {
        struct message message = {.tag = TAG_RECEIVE, .receive_from = self->bell_receive};
        struct message_work *work;
        struct worker *made;

        message_trap(&message);
        work = self->work;
        made = self->made;
        self->work = NULL;
        self->made = NULL;
        if (made != NULL)
            made->error = make_worker(made);
        if (work == NULL)
            continue;
        trap(&work->exchange);
        work->done = 1;
        put_idle(self);
        put_finished(work);
        notify(completion);
    }
}

// Of a calling thread that is at least as urgent as the new one.
static corvus_error_t make_worker(struct worker *worker)
{
    uint64_t name, bell, id;
    corvus_error_t error = task_allocate_port(NAME_TASK_SELF, 0, &name);

    if (error != ERR_OK)
        return error;
    worker->bell_receive = (port_name_t)name;
    error = task_insert_right(NAME_TASK_SELF, make_send(worker->bell_receive), &bell);
    if (error == ERR_OK) {
        worker->bell = (port_name_t)bell;
        error =
            task_create_thread(NAME_TASK_SELF, SERVER_WORKERS_BASE + worker->number * PAGE_BYTES,
                               worker->priority, &worker->thread, &id);
    }
    // Its stack pointer is as behind a call.
    if (error == ERR_OK)
        error = thread_start(worker->thread, (uint64_t)work_for_ever,
                             (uint64_t)(worker->stack + STACK_BYTES - 8), (uint64_t)worker, 0);
    if (error != ERR_OK) {
        if (worker->thread != PORT_NULL) {
            (void)thread_terminate(worker->thread);
            (void)task_deallocate_right(NAME_TASK_SELF, worker->thread);
        }
        if (worker->bell != PORT_NULL)
            (void)task_deallocate_right(NAME_TASK_SELF, worker->bell);
        (void)task_deallocate_right(NAME_TASK_SELF, worker->bell_receive);
    }
    return error;
}

static struct worker *allocate_worker(uint8_t priority)
{
    struct worker *worker = uml_kmalloc(sizeof *worker, UM_GFP_KERNEL);

    if (worker == NULL)
        return NULL;
    *worker = (struct worker){.number = worker_count, .priority = priority};
    worker->stack = uml_kmalloc(STACK_BYTES, UM_GFP_KERNEL);
    if (worker->stack != NULL)
        return worker;
    kfree(worker);
    return NULL;
}

static void ring(struct worker *worker)
{
    int enabled = um_set_signals(0);

    notify(worker->bell); // and it runs
    um_set_signals(enabled);
}

// Another worker, made by the first one, which is urgent enough for that.
static struct worker *another_worker(void)
{
    struct worker *worker =
        worker_count < MESSAGE_WORKERS_MAX ? allocate_worker(first->priority) : NULL;

    if (worker == NULL)
        return NULL;
    worker->error = ERR_NO_MEMORY;
    first->made = worker;
    ring(first);
    if (worker->error == ERR_OK) {
        worker_count++;
        return worker;
    }
    kfree(worker->stack);
    kfree(worker);
    return NULL;
}

static struct worker *take_idle(void)
{
    struct worker *worker = __atomic_load_n(&idle, __ATOMIC_RELAXED);

    while (worker != NULL && !__atomic_compare_exchange_n(&idle, &worker, worker->next, 0,
                                                          __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
    return worker;
}

int messages_start(struct message_work *work)
{
    struct worker *worker = take_idle();

    if (worker == NULL)
        worker = another_worker();
    if (worker == NULL)
        return worker_count == MESSAGE_WORKERS_MAX ? -EAGAIN : -ENOMEM;
    busy_count++;
    work->worker = worker;
    worker->work = work;
    ring(worker);
    return 0;
}

void messages_abort(struct message_work *work)
{
    const struct worker *worker = work->worker;

    // If it becomes done just now, its thread's wait for the bell ends, which may be.
    if (!work->done)
        (void)QUIETLY(thread_abort(worker->thread));
}

struct message_work *messages_finished(void)
{
    struct message_work *list = __atomic_exchange_n(&finished, NULL, __ATOMIC_RELAXED);

    for (const struct message_work *work = list; work != NULL; work = work->next)
        busy_count--;
    return list;
}

void messages_workers(unsigned int *there, unsigned int *busy)
{
    *there = worker_count - 1;
    *busy = busy_count;
}

// --- Interrupts ----------------------------------------------------------------------------------

void messages_event(unsigned long bins, struct uml_pt_regs *regs)
{
    arrived |= (uint32_t)bins;
    if (irq > 0)
        do_IRQ(irq, regs);
}

uint32_t messages_arrived(void)
{
    return __atomic_exchange_n(&arrived, 0, __ATOMIC_RELAXED);
}

// The first worker is as urgent as the server's thread was, which becomes a little less so.
int messages_begin(void)
{
    uint64_t priority = 0, send = 0;
    port_name_t receive;
    corvus_error_t error;
    int number = machine_make_interrupt_port(&receive);

    if (number < 0)
        return number;
    error = QUIETLY(thread_info(NAME_THREAD_MAIN, NULL, NULL, &priority, NULL, NULL, NULL));
    if (error == ERR_OK && priority == 0)
        error = ERR_NOT_SUPPORTED;
    if (error == ERR_OK)
        error = QUIETLY(task_insert_right(NAME_TASK_SELF, make_send(receive), &send));
    if (error != ERR_OK)
        return machine_errno(error);
    completion = (port_name_t)send;
    first = allocate_worker((uint8_t)priority);
    if (first == NULL)
        return -ENOMEM;
    error = QUIETLY(make_worker(first));
    if (error == ERR_OK)
        error = QUIETLY(thread_set_priority(NAME_THREAD_MAIN, priority - 1));
    if (error != ERR_OK)
        return machine_errno(error);
    worker_count = 1; // it does nothing but make the others
    irq = number;
    return irq;
}
