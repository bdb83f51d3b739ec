// SPDX-License-Identifier: GPL-2.0-only
// Messages to pagers. Those of an object go in the order in which they were queued (send_queue.h).
#include "memobj.h"

#include <os.h>

#include <linux/mm.h>

static bool prepare(const struct send_queue *queue, const struct list_head *first, bool waits,
                    struct message_exchange *exchange)
{
    const struct memobj_object *object = container_of(queue, struct memobj_object, queue);
    const struct memobj_message *message = container_of(first, struct memobj_message, link);
    struct utcb *page = exchange->page;

    if (object->error != 0)
        return false;
    *exchange = (struct message_exchange){
        .tag = TAG_SEND | TAG_SEND_DEADLINE | message->words | TAG_RIGHTS(message->rights) |
               TAG_ITEMS(message->data != NULL),
        .destination = object->port,
        .id = message->id,
        .page = page,
    };
    memcpy(exchange->words, message->word, sizeof exchange->words);
    page->send_deadline = waits ? os_nsecs() + PAGER_REQUEST_LIMIT : 0;
    memcpy(page->rights, message->right, sizeof message->right);
    if (message->data != NULL)
        page->items[0] = (struct message_item){
            .kind = ITEM_COPY,
            .address = (u64)message->data,
            .length = message->bytes,
        };
    return true;
}

static void end(struct send_queue *queue, struct list_head *first, int error)
{
    struct memobj_object *object = container_of(queue, struct memobj_object, queue);
    struct memobj_message *message = container_of(first, struct memobj_message, link);
    struct folio *folio = message->folio;

    message->folio = NULL;
    message->data = NULL;
    if (error != ERR_OK)
        object->counts.lost++;
    message->sent(object, message, error);
    if (folio != NULL)
        folio_put(folio);
    if (error == ERR_PEER_DIED || error == ERR_INVALID_RIGHT)
        memobj_object_fail(object, -EPIPE);
}

static void rested(struct send_queue *queue)
{
    struct memobj_object *object = container_of(queue, struct memobj_object, queue);

    if (list_empty(&queue->messages))
        wake_up_all(&object->wait);
    if (list_empty(&queue->messages) || (queue->stuck && !memobj_tending))
        memobj_care(object);
}

const struct send_queue_kind memobj_send_kind = {&memobj_daemon, prepare, end, rested};

void memobj_send(struct memobj_object *object, struct memobj_message *message)
{
    memobj_run_end(object);
    send_queue_add(&object->queue, &message->link);
}
