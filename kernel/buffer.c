// SPDX-License-Identifier: BSD-2-Clause
// Buffered messages and notices: kernel memory that holds a message while no
// thread does, charged to whoever sent it or asked for it.
#include "counters.h"
#include "memory.h"
#include "message.h"

struct message_copy *message_copy_allocate(struct task *charged, unsigned words)
{
    uint32_t bytes = (uint32_t)(sizeof(struct message_copy) + words * sizeof(uint64_t));
    struct message_copy *message = memory_object_allocate(charged, bytes);

    if (!message)
        return NULL;
    message->bytes = bytes;
    message->charged = charged;
    message->entry.message = message;
    list_init(&message->entry.link);
    task_reference(charged);
    return message;
}

void message_copy_destroy(struct message_copy *message)
{
    struct task *charged = message->charged;

    for (unsigned i = 0; i < message->right_count; i++)
        carried_destroy(&message->rights[i]);
    if (message->reply.kind != RIGHT_NONE)
        carried_destroy(&message->reply);
    memory_object_free(charged, message, message->bytes);
    task_release(charged);
}

void message_post(struct port *port, struct message_copy *message)
{
    if (port->dead) {
        message_copy_destroy(message);
        return;
    }
    list_append(&port->queue, &message->entry.link);
    port->queued++;
    port_update_ready(port);
    message_wake_receiver(port->sink);
}

corvus_error_t notice_request(struct task *task, struct port *port, uint32_t kind, uint64_t word,
                              struct port *to)
{
    static const uint32_t ids[] = {
        [NOTIFY_DEAD_NAME] = MESSAGE_ID_DEAD_NAME,
        [NOTIFY_NO_SENDERS] = MESSAGE_ID_NO_SENDERS,
        [NOTIFY_SEND_POSSIBLE] = MESSAGE_ID_SEND_POSSIBLE,
    };
    struct notice *notice = memory_object_allocate(task, sizeof(*notice));

    if (!notice)
        return ERR_NO_MEMORY;
    notice->message = message_copy_allocate(task, 1);
    if (!notice->message) {
        memory_object_free(task, notice, sizeof(*notice));
        return ERR_NO_MEMORY;
    }
    notice->message->id = ids[kind];
    notice->message->tag = 1;
    notice->message->words[0] = word;
    notice->kind = kind;
    notice->of = port;
    notice->to = to;
    notice->charged = task;
    task_reference(task);
    list_init(&notice->link);
    list_append(&task->notices, &notice->owner_link);
    if (kind == NOTIFY_NO_SENDERS)
        port->no_senders_notice = notice;
    else
        list_append(kind == NOTIFY_DEAD_NAME ? &port->death_notices : &port->send_possible_notices,
                    &notice->link);
    return ERR_OK;
}

void notice_destroy(struct notice *notice)
{
    struct task *charged = notice->charged;

    list_remove(&notice->link);
    list_remove(&notice->owner_link);
    if (notice->of && notice->of->no_senders_notice == notice)
        notice->of->no_senders_notice = NULL;
    if (notice->message)
        message_copy_destroy(notice->message);
    port_drop_send_once(notice->to);
    memory_object_free(charged, notice, sizeof(*notice));
    task_release(charged);
}

void notice_send(struct notice *notice)
{
    struct message_copy *message = notice->message;

    notice->message = NULL;
    if (notice->to->dead || notice->to->kind != PORT_PLAIN) {
        counter_add(COUNTER_NOTICES_LOST, 1);
        message_copy_destroy(message);
    } else {
        message_post(notice->to, message);
    }
    notice_destroy(notice);
}
