// SPDX-License-Identifier: BSD-2-Clause
// Ports that stand for those of other nodes. Whoever holds a send right to one
// cannot tell it from the port itself; the message comes here and goes to the core.
// A send-once right of another node is a port for one message ("slot").
//
// A proxy is given back when nobody holds a right to it (no-senders) and nothing
// waits in it. The notice can be old when it is looked at: what counts is what the
// port's status says then.
#include "netipc/exchange.h"

#include "netipc/core/table.h"

#include <stdlib.h>

struct proxy {
    struct event_source source;
    struct core_import *import; // of one of the two
    struct core_slot *slot;
    struct table_link by_address; // in `proxies`, so that old notices are known
    bool asked;                   // for a no-senders notice
    bool abandoned;               // it came, but messages waited
};

static struct table proxies;
static struct event_source notices;
static uint8_t *copies; // where COPY items arrive

// All of them could have a megabyte; memory for three that hardly ever do would be missed by Linux.
#define FIRST_COPY_BYTES MESSAGE_COPY_MAX
#define OTHER_COPY_BYTES (256u << 10)
#define COPIES_BYTES     (FIRST_COPY_BYTES + (MESSAGE_ITEMS - 1) * OTHER_COPY_BYTES)

uint64_t port_identity(port_name_t name)
{
    uint64_t kind, id;

    if (task_right_info(NAME_TASK_SELF, name, &kind, &id, NULL) != ERR_OK)
        return 0;
    return id;
}

// --- Messages to proxies ------------------------------------------------------------------

static bool take_right(struct message_right arrived, struct core_right *out)
{
    *out = (struct core_right){.kind = CORE_DEAD, .handle = arrived.name};
    if (arrived.disposition == RIGHT_SEND) {
        out->port = port_identity(arrived.name);
        if (out->port != 0)
            out->kind = CORE_SEND;
    } else if (arrived.disposition == RIGHT_SEND_ONCE) {
        out->kind = CORE_SEND_ONCE;
    }
    return arrived.disposition != RIGHT_RECEIVE;
}

bool message_of_received(const struct message *message, uint64_t words[MESSAGE_WORDS],
                         struct core_message *out)
{
    const struct utcb *page = utcb_self();
    bool can_travel = true;

    *out = (struct core_message){
        .id = (uint32_t)message->id,
        .word_count = (unsigned)(message->tag & TAG_WORDS_MASK),
        .right_count = (unsigned)((message->tag & TAG_RIGHTS_MASK) >> TAG_RIGHTS_SHIFT),
        .item_count = (unsigned)((message->tag & TAG_ITEMS_MASK) >> TAG_ITEMS_SHIFT),
        .words = words,
    };
    for (unsigned i = 0; i < out->word_count; i++)
        words[i] = i < MESSAGE_REGISTER_WORDS ? message->words[i] : page->words[i];
    for (unsigned i = 0; i < out->item_count; i++)
        out->items[i] = (struct core_bytes){(const void *)(uintptr_t)page->items[i].address,
                                            page->items[i].length};
    struct message_right rights[MESSAGE_RIGHTS]; // the page is used by what follows
    for (unsigned i = 0; i < out->right_count; i++)
        rights[i] = page->rights[i];
    for (unsigned i = 0; i < out->right_count; i++)
        can_travel = take_right(rights[i], &out->rights[i]) && can_travel;
    if (!can_travel)
        for (unsigned i = 0; i < out->right_count; i++)
            (void)port_deallocate((port_name_t)out->rights[i].handle);
    return can_travel;
}

static void forward_call(struct proxy *proxy, const struct core_message *message,
                         corvus_error_t error, const uint64_t room[MESSAGE_ITEMS])
{
    uint32_t room32[MESSAGE_ITEMS];
    port_name_t name;
    uint64_t reply;

    if (message_save_reply(&name) != ERR_OK)
        return; // the caller gets NO_REPLY by the next receive
    reply = name;
    for (unsigned i = 0; i < MESSAGE_ITEMS; i++)
        room32[i] = room[i] < CORE_COPY_MAX ? (uint32_t)room[i] : CORE_COPY_MAX;
    if (error == ERR_OK && proxy->slot != NULL) {
        (void)core_slot_send(proxy->slot, message);
        error = ERR_NOT_SUPPORTED; // an answer to an answer does not travel
    } else if (error == ERR_OK) {
        error = core_send(proxy->import, message, &reply, room32);
    }
    if (error != ERR_OK)
        (void)task_fail_reply(NAME_TASK_SELF, reply, error);
}

static void take_message(struct proxy *proxy, const struct message *received)
{
    uint64_t words[MESSAGE_WORDS], room[MESSAGE_ITEMS] = {0};
    struct core_message message;
    bool is_call = received->tag & TAG_REPLY;
    corvus_error_t error = ERR_OK;

    if (received->id == MESSAGE_ID_EVENT) // somebody's notify: bits do not travel
        return;
    if (!message_of_received(received, words, &message))
        error = ERR_NOT_SUPPORTED;
    if (is_call) {
        (void)thread_reply_room(thread_self(), &room[0], &room[1], &room[2], &room[3]);
        forward_call(proxy, &message, error, room);
    } else if (error == ERR_OK && proxy->slot != NULL) {
        (void)core_slot_send(proxy->slot, &message);
    } else if (error == ERR_OK) {
        (void)core_send(proxy->import, &message, NULL, NULL);
    }
}

static void no_senders(struct proxy *proxy);

static void proxy_message(struct event_source *source, struct message *received)
{
    struct proxy *proxy = (struct proxy *)source;

    take_message(proxy, received);
    // Which may have ended it.
    if (table_find(&proxies, (uintptr_t)proxy) != NULL && proxy->abandoned)
        no_senders(proxy);
}

// --- Life -----------------------------------------------------------------------------------

static struct proxy *make(void)
{
    struct proxy *proxy = calloc(1, sizeof *proxy);

    if (proxy == NULL)
        return NULL;
    proxy->source.message = proxy_message;
    if (server_add_source(&proxy->source) != ERR_OK) {
        free(proxy);
        return NULL;
    }
    table_insert(&proxies, &proxy->by_address, (uintptr_t)proxy);
    return proxy;
}

static void destroy(struct proxy *proxy)
{
    table_remove(&proxies, &proxy->by_address);
    server_remove_source(&proxy->source);
    free(proxy);
}

bool proxy_open(void *context, struct core_import *import, uint64_t *port)
{
    struct proxy *proxy = make();

    (void)context;
    if (proxy == NULL)
        return false;
    proxy->import = import;
    *core_import_owner(import) = proxy;
    *port = port_identity(proxy->source.receive);
    return true;
}

void proxy_close(void *context, struct core_import *import)
{
    (void)context;
    destroy(*core_import_owner(import));
}

bool slot_open(void *context, struct core_slot *slot)
{
    struct proxy *proxy = make();

    (void)context;
    if (proxy == NULL)
        return false;
    proxy->slot = slot;
    *core_slot_owner(slot) = proxy;
    return true;
}

void slot_close(void *context, struct core_slot *slot)
{
    (void)context;
    destroy(*core_slot_owner(slot));
}

// Out of the loop's set, its queue fills up, and who sends more has to wait.
void proxy_pause(void *context, struct core_import *import, bool paused)
{
    struct proxy *proxy = *core_import_owner(import);

    (void)context;
    if (paused)
        (void)port_disable(proxy->source.receive);
    else
        (void)server_adopt_source(&proxy->source, proxy->source.receive);
}

// --- Rights to them ---------------------------------------------------------------------------

static void ask(struct proxy *proxy)
{
    corvus_error_t error;

    if (proxy->asked)
        return;
    error = task_request_notification(NAME_TASK_SELF, proxy->source.receive, NOTIFY_NO_SENDERS,
                                      make_send_once(notices.receive));
    proxy->asked = error == ERR_OK || error == ERR_IN_USE;
}

static struct message_right right_of(struct proxy *proxy, bool once)
{
    struct message_right made =
        once ? make_send_once(proxy->source.receive) : make_send(proxy->source.receive);
    uint64_t name = PORT_NULL;

    (void)task_insert_right(NAME_TASK_SELF, made, &name);
    ask(proxy);
    return once ? move_send_once((port_name_t)name) : move_send((port_name_t)name);
}

struct message_right proxy_right(struct core_import *import)
{
    return right_of(*core_import_owner(import), false);
}

struct message_right slot_right(struct core_slot *slot)
{
    return right_of(*core_slot_owner(slot), true);
}

static void no_senders(struct proxy *proxy)
{
    struct port_status status;

    proxy->asked = false;
    proxy->abandoned = false;
    if (port_status(proxy->source.receive, &status) != ERR_OK)
        return;
    if (status.send_rights != 0 || status.send_once_rights != 0) {
        ask(proxy); // a right was made since
    } else if (status.queued != 0) {
        proxy->abandoned = true; // looked at again behind the messages
    } else if (proxy->slot != NULL) {
        core_slot_fail(proxy->slot, ERR_NO_REPLY);
    } else {
        core_import_unused(proxy->import);
    }
}

static void notice(struct event_source *source, struct message *message)
{
    struct table_link *link;

    (void)source;
    if (message->id != MESSAGE_ID_NO_SENDERS)
        return;
    link = table_find(&proxies, message->words[0]);
    if (link != NULL)
        no_senders(table_element(link, struct proxy, by_address));
}

bool proxy_start(void)
{
    notices.message = notice;
    if (!table_create(&proxies) || server_add_source(&notices) != ERR_OK)
        return false;
    copies = malloc(COPIES_BYTES);
    if (copies == NULL)
        return false;
    server_set_copy_buffer(0, copies, FIRST_COPY_BYTES);
    for (unsigned i = 1; i < MESSAGE_ITEMS; i++)
        server_set_copy_buffer(i, copies + FIRST_COPY_BYTES + (i - 1) * OTHER_COPY_BYTES,
                               OTHER_COPY_BYTES);
    return true;
}
