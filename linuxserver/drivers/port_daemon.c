// SPDX-License-Identifier: GPL-2.0-only
#include "port_daemon.h"

#include "memobj.h"
#include "send_queue.h"

#include <corvus/services.h>

#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#define BATCH 64 // messages before others may run

void port_daemon_wake(struct port_daemon *daemon)
{
    daemon->awake = true;
    if (daemon->arrivals != NULL)
        wake_up(&daemon->arrivals->wait);
}

static void drop_rights(const struct message_exchange *exchange)
{
    unsigned int rights = (exchange->tag & TAG_RIGHTS_MASK) >> TAG_RIGHTS_SHIFT;

    for (unsigned int i = 0; i < rights; i++)
        memobj_deallocate(exchange->page->rights[i].name);
    memobj_deallocate(exchange->reply);
}

// False: nothing has arrived.
static bool receive_one(struct port_daemon *daemon)
{
    struct utcb *page = (struct utcb *)daemon->page_bytes;
    struct message_exchange exchange = {
        .tag = TAG_RECEIVE | TAG_RECEIVE_DEADLINE,
        .receive_from = daemon->port_set,
        .page = page,
    };

    memset(daemon->page_bytes, 0, sizeof daemon->page_bytes);
    page->copy_buffers[0] = (struct message_buffer){(u64)daemon->buffer, daemon->room};
    messages_exchange(&exchange);
    if (TAG_ERROR(exchange.tag) != ERR_OK)
        return TAG_ERROR(exchange.tag) != ERR_WOULD_BLOCK &&
               TAG_ERROR(exchange.tag) != ERR_TIMED_OUT;
    if (exchange.destination != PORT_DAEMON_NOTICES)
        daemon->take(&exchange, daemon->buffer);
    else if (exchange.id == MESSAGE_ID_DEAD_NAME)
        daemon->dead((u32)exchange.words[0]);
    drop_rights(&exchange);
    return true;
}

static void sleep_until(struct port_daemon *daemon, u64 until)
{
    ktime_t deadline = ns_to_ktime(until);
    DEFINE_WAIT(entry);

    prepare_to_wait(&daemon->arrivals->wait, &entry, TASK_IDLE);
    if (!daemon->awake && !corvus_port_ready(daemon->arrivals)) {
        if (until == 0)
            schedule();
        else
            (void)schedule_hrtimeout(&deadline, HRTIMER_MODE_ABS);
    }
    finish_wait(&daemon->arrivals->wait, &entry);
}

static bool do_one(struct port_daemon *daemon)
{
    return receive_one(daemon) || (daemon->work != NULL && daemon->work()) ||
           send_queue_finished(daemon);
}

static int run(void *context)
{
    struct port_daemon *daemon = context;
    unsigned int flags = daemon->frees_memory ? memalloc_noreclaim_save() : 0;

    while (!kthread_should_stop()) {
        unsigned int count = 0;
        u64 until;

        daemon->awake = false;
        while (count < BATCH && do_one(daemon))
            count++;
        until = daemon->tend();
        if (count < BATCH)
            sleep_until(daemon, until);
        cond_resched();
    }
    if (daemon->frees_memory)
        memalloc_noreclaim_restore(flags);
    return 0;
}

int port_daemon_make_port(struct port_daemon *daemon, u32 label, u32 backlog, u32 *name,
                          struct corvus_port **arrivals)
{
    u64 made, none;

    if (memobj_service(SERVICE_task_allocate_port, label, 0, 0, &made) != ERR_OK)
        return -ENOMEM;
    *name = (u32)made;
    // It is bound to the interrupt before it is in the set.
    *arrivals = corvus_port_make(*name, false);
    corvus_port_set(*arrivals, daemon->arrivals);
    if ((backlog != 0 &&
         memobj_service(SERVICE_task_set_port, made, label, backlog, &none) != ERR_OK) ||
        memobj_service(SERVICE_task_enable_port, made, daemon->port_set, 0, &none) != ERR_OK)
        return -ENOMEM;
    return 0;
}

int port_daemon_watch(const struct port_daemon *daemon, u32 port)
{
    struct message_right notify = {daemon->notices, MAKE_SEND_ONCE};
    u64 words[MESSAGE_SERVICE_WORDS] = {port, NOTIFY_DEAD_NAME};

    return messages_service(NAME_TASK_SELF, SERVICE_task_request_notification, 2, words, &notify,
                            NULL);
}

int port_daemon_begin(struct port_daemon *daemon)
{
    struct corvus_port *notices;
    u64 name;

    spin_lock_init(&daemon->finished_lock);
    // Not vmalloc's: the kernel finds all of it at once.
    daemon->buffer = kmalloc(daemon->room, GFP_KERNEL);
    if (daemon->buffer == NULL ||
        memobj_service(SERVICE_task_allocate_port_set, 0, 0, 0, &name) != ERR_OK)
        return -ENOMEM;
    daemon->port_set = (u32)name;
    daemon->arrivals = corvus_port_make(daemon->port_set, true);
    return port_daemon_make_port(daemon, PORT_DAEMON_NOTICES, 0, &daemon->notices, &notices);
}

int port_daemon_start(struct port_daemon *daemon)
{
    return PTR_ERR_OR_ZERO(kthread_run(run, daemon, "%s", daemon->name));
}
