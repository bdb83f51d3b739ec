// SPDX-License-Identifier: GPL-2.0-only
// Ports as places to wait. The microkernel tells of arrivals by a bit of the vCPU, which
// ports share: whoever waits at one of that bin looks again.
#include "message.h"

#include <corvus/services.h>

#include <linux/interrupt.h>
#include <linux/slab.h>

static struct list_head bins[MESSAGE_BINS];
static DEFINE_SPINLOCK(bins_lock);
static unsigned int next_bin;

struct corvus_port *corvus_port_make(u32 name, bool is_set)
{
    struct corvus_port *port = kmalloc(sizeof *port, GFP_KERNEL | __GFP_NOFAIL);
    unsigned long flags;

    kref_init(&port->users);
    port->name = name;
    port->set = NULL;
    INIT_LIST_HEAD(&port->in_bin);
    init_waitqueue_head(&port->wait);
    if (is_set)
        return port;
    spin_lock_irqsave(&bins_lock, flags);
    port->bin = next_bin++ % MESSAGE_BINS;
    list_add_tail(&port->in_bin, &bins[port->bin]);
    spin_unlock_irqrestore(&bins_lock, flags);
    // It tells at once if there is something.
    WARN_ON_ONCE(messages_bind(name, port->bin) != ERR_OK);
    return port;
}

void corvus_port_get(struct corvus_port *port)
{
    kref_get(&port->users);
}

static void destroy(struct kref *users)
{
    struct corvus_port *port = container_of(users, struct corvus_port, users);

    if (port->set != NULL)
        corvus_port_put(port->set);
    kfree(port);
}

void corvus_port_put(struct corvus_port *port)
{
    kref_put(&port->users, destroy);
}

void corvus_port_end(struct corvus_port *port)
{
    unsigned long flags;

    spin_lock_irqsave(&bins_lock, flags);
    port->name = PORT_NULL;
    list_del_init(&port->in_bin);
    spin_unlock_irqrestore(&bins_lock, flags);
    wake_up_all(&port->wait);
}

void corvus_port_set(struct corvus_port *port, struct corvus_port *set)
{
    struct corvus_port *before;
    unsigned long flags;

    if (set != NULL)
        corvus_port_get(set);
    spin_lock_irqsave(&bins_lock, flags);
    before = port->set;
    port->set = set;
    spin_unlock_irqrestore(&bins_lock, flags);
    if (before != NULL)
        corvus_port_put(before);
    wake_up_all(&port->wait);
    if (set != NULL)
        wake_up_all(&set->wait);
}

bool corvus_port_ready(const struct corvus_port *port)
{
    u64 words[MESSAGE_SERVICE_WORDS] = {port->name};

    // queued, backlog, send rights, send-once rights, events
    return port->name != PORT_NULL &&
           messages_service(NAME_TASK_SELF, SERVICE_task_port_status, 1, words, NULL, NULL) ==
               ERR_OK &&
           (words[0] != 0 || words[4] != 0);
}

void corvus_reap(void)
{
    struct message_work *work = messages_finished(), *next;

    for (; work != NULL; work = next) {
        next = work->next;
        work->finished(work);
    }
}

static void tell(struct corvus_port *port)
{
    wake_up(&port->wait);
    if (port->set != NULL)
        wake_up(&port->set->wait);
}

static irqreturn_t interrupt(int irq, void *context)
{
    unsigned long arrived;
    struct corvus_port *port = NULL;
    unsigned int bin;

    corvus_reap();
    arrived = messages_arrived();
    spin_lock(&bins_lock);
    for_each_set_bit(bin, &arrived, MESSAGE_BINS)
    {
        list_for_each_entry(port, &bins[bin], in_bin)
        {
            tell(port);
        }
    }
    spin_unlock(&bins_lock);
    return IRQ_HANDLED;
}

int corvus_ports_begin(void)
{
    int irq;

    for (unsigned int i = 0; i < MESSAGE_BINS; i++)
        INIT_LIST_HEAD(&bins[i]);
    irq = messages_begin();
    return irq < 0 ? irq : request_irq(irq, interrupt, 0, "corvus", bins);
}
