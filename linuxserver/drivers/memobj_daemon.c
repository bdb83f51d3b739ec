// SPDX-License-Identifier: GPL-2.0-only
// What pagers send, for all objects, and what follows: the work of one thread (port_daemon.h).
#include "memobj.h"

#include <corvus/pager_services.h>

#include <linux/init.h>

static LIST_HEAD(cared_for);
bool memobj_tending;

void memobj_care(struct memobj_object *object)
{
    if (list_empty(&object->care))
        list_add_tail(&object->care, &cared_for);
    port_daemon_wake(&memobj_daemon);
}

// --- Messages ---------------------------------------------------------------------------

// Words that each message has, and whether data; 0: there is no such message.
static unsigned int words_of(u64 id, bool *has_data)
{
    *has_data = id == MESSAGE_pager_data_provided;
    switch (id) {
    case MESSAGE_pager_data_provided:
    case MESSAGE_pager_data_error:
        return 5;
    case MESSAGE_pager_data_unavailable:
    case MESSAGE_pager_data_lock:
        return 6;
    case MESSAGE_pager_flush_request:
    case MESSAGE_pager_clean_request:
        return 4;
    case MESSAGE_pager_cache:
        return 2;
    default:
        return 0;
    }
}

static bool handle(struct memobj_object *object, const struct message_exchange *exchange,
                   const u8 *data)
{
    const u64 *words = exchange->words;
    const struct message_item *item = &exchange->page->items[0];
    u32 id = (u32)exchange->id;
    bool has_data;
    unsigned int count = words_of(id, &has_data);

    if (count == 0 || (exchange->tag & TAG_WORDS_MASK) != count ||
        (exchange->tag & TAG_ITEMS_MASK) != TAG_ITEMS(has_data) ||
        exchange->tag & TAG_RIGHTS_MASK || exchange->reply != PORT_NULL ||
        (has_data && item->kind != ITEM_COPY))
        return false;
    if (words[0] != object->incarnation || object->terminating) {
        object->counts.late++;
        return true;
    }
    if (id == MESSAGE_pager_cache)
        return memobj_object_cache(object, words[1]);
    if (id == MESSAGE_pager_flush_request || id == MESSAGE_pager_clean_request ||
        (id == MESSAGE_pager_data_lock && words[1] & PAGER_SEQUENCE_OWN))
        return memobj_request_add(object, id, words);
    return memobj_answer(object, id, words, data, has_data ? item->length : 0);
}

static void take(const struct message_exchange *exchange, const u8 *data)
{
    struct memobj_object *object = memobj_object_of_label(exchange->destination);

    if (object != NULL && !handle(object, exchange, data))
        object->counts.nonsense++;
}

static void dead(u32 port)
{
    struct memobj_object *object = memobj_object_of_port(port);

    if (object != NULL)
        memobj_object_fail(object, -EPIPE);
}

// --- What is due -------------------------------------------------------------------------

// When something is due next (ktime, ns; 0: never).
static u64 tend(void)
{
    u64 until = 0;
    LIST_HEAD(now);

    list_splice_init(&cared_for, &now);
    while (!list_empty(&now)) {
        struct memobj_object *object = list_first_entry(&now, struct memobj_object, care);
        u64 again;

        list_del_init(&object->care);
        memobj_tending = true;
        again = memobj_object_tend(object);
        memobj_tending = false;
        if (again == 0)
            continue;
        if (list_empty(&object->care))
            list_add_tail(&object->care, &cared_for);
        if (until == 0 || again < until)
            until = again;
    }
    return until;
}

struct port_daemon memobj_daemon = {
    .name = "corvus-memobj",
    .room = PAGER_DATA_MAX,
    .frees_memory = true,
    .take = take,
    .dead = dead,
    .tend = tend,
};

static int __init begin(void)
{
    int error = port_daemon_begin(&memobj_daemon);

    if (error == 0)
        error = memobj_objects_begin();
    if (error == 0)
        error = memobj_evict_begin();
    if (error == 0)
        error = port_daemon_start(&memobj_daemon);
    if (error != 0)
        pr_err("corvus: no memory objects for processes: error %d\n", -error);
    return error;
}
late_initcall(begin);
