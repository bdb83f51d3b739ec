// SPDX-License-Identifier: BSD-2-Clause
// Names of the cluster, as Mach's network name service had them. Each node keeps its
// own names; it serves them to its tasks, and to the name servers of the others
// by a port that all know (export NAMES_EXPORT). A look-up of another node's name is
// passed on with the right to answer it, and so costs this server nothing; one of any
// node's goes to all, and the first who knows answers.
#include "netipc/names.h"
#include "netipc/exchange.h"
#include "netipc/report.h"
#include "netipc/transport.h"

#include "lib/serve.h"

#include <corvus/init_stubs.h>
#include <corvus/netname_dispatch.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX   4096u
#define WAITERS_MAX 4096u
#define RETRY_NS    200000000ull
#define ANY_NODE    0u

struct name {
    uint64_t words[4];
};

struct entry {
    struct entry *next;
    struct name name;
    uint64_t key;
    port_name_t port;
};

// A look-up that has not been answered. While others are asked, `source` is a port whose
// send-once rights they have: when the last of these is gone, all have answered or died.
struct look_up {
    struct event_source source;
    struct look_up *next;
    struct name name;
    uint64_t host;
    bool wait, asking;
    port_name_t reply;
};

static struct event_source local, remote, notices;
static struct event_timer retrier;
static const struct node_identity *node;
static struct entry *entries;
static unsigned entry_count, look_up_count;

void names_count(uint64_t *names, uint64_t *waited_for)
{
    *names = entry_count;
    *waited_for = look_up_count;
}

static struct look_up *look_ups;

// --- The names of this node ----------------------------------------------------------------

static bool same(const struct name *one, const struct name *other)
{
    return memcmp(one, other, sizeof *one) == 0;
}

static struct entry **find(const struct name *name)
{
    struct entry **place = &entries;

    while (*place != NULL && !same(&(*place)->name, name))
        place = &(*place)->next;
    return place;
}

static void remove_entry(struct entry **place)
{
    struct entry *entry = *place;

    *place = entry->next;
    entry_count--;
    (void)port_deallocate(entry->port);
    free(entry);
}

// The right that came stays with the entry.
static corvus_error_t add_entry(const struct name *name, uint64_t key, port_name_t port)
{
    struct entry *entry = entry_count < NAMES_MAX ? calloc(1, sizeof *entry) : NULL;

    if (entry == NULL)
        return ERR_NO_MEMORY;
    *entry = (struct entry){.next = entries, .name = *name, .key = key, .port = port};
    if (task_request_notification(NAME_TASK_SELF, port, NOTIFY_DEAD_NAME,
                                  make_send_once(notices.receive)) != ERR_OK) {
        free(entry);
        return ERR_NO_MEMORY;
    }
    entries = entry;
    entry_count++;
    return ERR_OK;
}

// --- Look-ups --------------------------------------------------------------------------------

static void end_asking(struct look_up *look_up)
{
    if (look_up->asking)
        server_remove_source(&look_up->source);
    look_up->asking = false;
}

static void end_look_up(struct look_up *look_up)
{
    struct look_up **place = &look_ups;

    end_asking(look_up);
    while (*place != look_up)
        place = &(*place)->next;
    *place = look_up->next;
    look_up_count--;
    free(look_up);
}

// Answers and ends it: with a right, which is moved, or an error.
static void answer(struct look_up *look_up, corvus_error_t error, struct message_right right)
{
    struct message message = {.tag = TAG_SEND | 1, .destination = look_up->reply};

    message.words[0] = error;
    if (error == ERR_OK) {
        message.tag |= TAG_RIGHTS(1);
        utcb_self()->rights[0] = right;
    }
    message_trap(&message);
    if (TAG_ERROR(message.tag) != ERR_OK) { // the caller has given up
        if (error == ERR_OK && right.disposition == MOVE_SEND)
            (void)port_deallocate(right.name);
        (void)port_deallocate(look_up->reply);
    }
    end_look_up(look_up);
}

// The answer of another node's name server.
static void answer_came(struct event_source *source, struct message *message)
{
    struct look_up *look_up = (struct look_up *)source;
    struct message_right right = utcb_self()->rights[0];
    bool found = (message->tag & (TAG_RIGHTS_MASK | TAG_ITEMS_MASK)) == TAG_RIGHTS(1) &&
                 right.disposition == RIGHT_SEND && message->words[0] == ERR_OK;

    if (found)
        answer(look_up, ERR_OK, move_send(right.name));
    else
        message_drop_rights(message->tag);
}

// Asks the name server of a node. True: it will answer, or die.
static bool ask(struct look_up *look_up, uint32_t other)
{
    struct core_import *import = core_import_well_known(exchange_core, other, NAMES_EXPORT);
    const uint32_t room[MESSAGE_ITEMS] = {0};
    uint64_t words[6], once;
    struct core_message question = {.id = SERVICE_netname_look_up, .word_count = 6, .words = words};

    memcpy(words, look_up->name.words, sizeof look_up->name);
    words[4] = other;
    words[5] = 0;
    if (import == NULL ||
        task_insert_right(NAME_TASK_SELF, make_send_once(look_up->source.receive), &once) != ERR_OK)
        return false;
    if (core_send(import, &question, &once, room) == ERR_OK)
        return true;
    (void)port_deallocate((port_name_t)once);
    return false;
}

// True: somebody was asked.
static bool ask_others(struct look_up *look_up)
{
    bool asked = false;

    look_up->source.message = answer_came;
    if (exchange_core == NULL || server_add_source(&look_up->source) != ERR_OK)
        return false;
    look_up->asking = true;
    for (uint32_t other = 1; other <= node->nodes; other++)
        if (other != node->number && (look_up->host == ANY_NODE || look_up->host == other))
            asked = ask(look_up, other) || asked;
    asked = asked &&
            task_request_notification(NAME_TASK_SELF, look_up->source.receive, NOTIFY_NO_SENDERS,
                                      make_send_once(notices.receive)) == ERR_OK;
    if (!asked)
        end_asking(look_up);
    return asked;
}

static void nobody_knows(struct look_up *look_up)
{
    end_asking(look_up);
    if (!look_up->wait)
        answer(look_up, ERR_NOT_FOUND, (struct message_right){0});
}

// A name of this node has been checked in.
static void tell_waiters(const struct entry *entry)
{
    struct look_up *next;

    for (struct look_up *look_up = look_ups; look_up != NULL; look_up = next) {
        next = look_up->next;
        if (same(&look_up->name, &entry->name) &&
            (look_up->host == ANY_NODE || look_up->host == node->number))
            answer(look_up, ERR_OK, copy_send(entry->port));
    }
}

// Those that wait ask again; those that nobody waits for any more go.
static void retry(struct event_timer *timer)
{
    struct look_up *next;

    for (struct look_up *look_up = look_ups; look_up != NULL; look_up = next) {
        uint64_t kind = RIGHT_DEAD;

        next = look_up->next;
        (void)task_right_info(NAME_TASK_SELF, look_up->reply, &kind, NULL, NULL);
        if (kind == RIGHT_DEAD) {
            (void)port_deallocate(look_up->reply);
            end_look_up(look_up);
        } else if (!look_up->asking && look_up->host != node->number) {
            (void)ask_others(look_up);
        }
    }
    server_arm_timer(timer, clock_now_ns() + RETRY_NS);
}

static corvus_error_t begin_look_up(const struct name *name, uint64_t host, bool wait)
{
    struct look_up *look_up = look_up_count < WAITERS_MAX ? calloc(1, sizeof *look_up) : NULL;

    if (look_up == NULL || message_save_reply(&look_up->reply) != ERR_OK) {
        free(look_up);
        return ERR_NO_MEMORY;
    }
    look_up->name = *name;
    look_up->host = host;
    look_up->wait = wait;
    look_up->next = look_ups;
    look_ups = look_up;
    look_up_count++;
    if (host != node->number && !ask_others(look_up) && !wait)
        answer(look_up, ERR_NOT_FOUND, (struct message_right){0});
    return SERVE_LATER;
}

static void notice(struct event_source *source, struct message *message)
{
    struct entry **place = &entries;
    struct look_up *look_up = look_ups;

    (void)source;
    if (message->id == MESSAGE_ID_DEAD_NAME) {
        while (*place != NULL && (*place)->port != message->words[0])
            place = &(*place)->next;
        if (*place != NULL)
            remove_entry(place);
    } else if (message->id == MESSAGE_ID_NO_SENDERS) {
        while (look_up != NULL && (uintptr_t)&look_up->source != message->words[0])
            look_up = look_up->next;
        if (look_up != NULL && look_up->asking)
            nobody_knows(look_up);
    }
}

// --- Services -----------------------------------------------------------------------------------

static corvus_error_t check_in(uint64_t label, uint64_t name0, uint64_t name1, uint64_t name2,
                               uint64_t name3, uint64_t key, struct message_right port)
{
    struct name name = {{name0, name1, name2, name3}};
    struct entry **place = find(&name);
    corvus_error_t error = ERR_OK;

    (void)label;
    if (port.disposition != RIGHT_SEND || name0 == 0)
        error = ERR_INVALID_ARGUMENT;
    else if (*place != NULL && ((*place)->key == 0 || (*place)->key != key))
        error = ERR_IN_USE;
    if (error == ERR_OK) {
        if (*place != NULL)
            remove_entry(place);
        error = add_entry(&name, key, port.name);
    }
    if (error != ERR_OK)
        (void)port_deallocate(port.name);
    else
        tell_waiters(entries);
    return error;
}

static corvus_error_t check_out(uint64_t label, uint64_t name0, uint64_t name1, uint64_t name2,
                                uint64_t name3, uint64_t key)
{
    struct name name = {{name0, name1, name2, name3}};
    struct entry **place = find(&name);

    (void)label;
    if (*place == NULL)
        return ERR_NOT_FOUND;
    if ((*place)->key == 0 || (*place)->key != key)
        return ERR_ACCESS_DENIED;
    remove_entry(place);
    return ERR_OK;
}

static corvus_error_t look_up_here(uint64_t label, uint64_t name0, uint64_t name1, uint64_t name2,
                                   uint64_t name3, uint64_t host, uint64_t wait,
                                   struct message_right *port)
{
    struct name name = {{name0, name1, name2, name3}};
    struct entry **place = find(&name);

    (void)label;
    (void)host;
    (void)wait;
    if (*place == NULL)
        return ERR_NOT_FOUND;
    *port = copy_send((*place)->port);
    return ERR_OK;
}

static bool is_there(uint64_t other)
{
    struct core_peer_info info = {.state = CORE_PEER_ABSENT};

    if (exchange_core != NULL)
        core_peer_info(exchange_core, (uint32_t)other, &info);
    return info.state == CORE_PEER_LIVE || info.state == CORE_PEER_SUSPECT;
}

static corvus_error_t look_up(uint64_t label, uint64_t name0, uint64_t name1, uint64_t name2,
                              uint64_t name3, uint64_t host, uint64_t wait,
                              struct message_right *port)
{
    struct name name = {{name0, name1, name2, name3}};

    if (host > node->nodes || wait > 1)
        return ERR_INVALID_ARGUMENT;
    if (host == ANY_NODE || host == node->number) {
        corvus_error_t error = look_up_here(label, name0, name1, name2, name3, host, wait, port);
        if (error == ERR_OK || (host == node->number && wait == 0))
            return error;
    } else if (wait == 0) {
        if (!is_there(host))
            return ERR_PEER_DIED;
    }
    return begin_look_up(&name, host, wait == 1);
}

static corvus_error_t list(uint64_t label, uint64_t index, uint64_t *name0, uint64_t *name1,
                           uint64_t *name2, uint64_t *name3)
{
    const struct entry *entry = entries;

    (void)label;
    while (entry != NULL && index-- != 0)
        entry = entry->next;
    if (entry == NULL)
        return ERR_NOT_FOUND;
    *name0 = entry->name.words[0];
    *name1 = entry->name.words[1];
    *name2 = entry->name.words[2];
    *name3 = entry->name.words[3];
    return ERR_OK;
}

static corvus_error_t find_server(uint64_t label, uint64_t other, struct message_right *server)
{
    struct core_import *import;

    (void)label;
    if (other == 0 || other > node->nodes)
        return ERR_NOT_FOUND;
    *server = make_send(remote.receive);
    if (other == node->number)
        return ERR_OK;
    if (exchange_core == NULL)
        return ERR_PEER_DIED;
    import = core_import_well_known(exchange_core, (uint32_t)other, NAMES_EXPORT);
    if (import == NULL)
        return ERR_PEER_DIED;
    *server = proxy_right(import);
    return ERR_OK;
}

// --- Messages -----------------------------------------------------------------------------------

static const struct netname_operations for_tasks = {
    .netname_check_in = check_in,
    .netname_check_out = check_out,
    .netname_look_up = look_up,
    .netname_list = list,
    .netname_cluster = report_cluster,
    .netname_node = report_node,
    .netname_counters = report_counters,
    .netname_server = find_server,
};

static const struct netname_operations for_nodes = {
    .netname_look_up = look_up_here,
    .netname_list = list,
};

static void serve_one(const struct message *request, const struct netname_operations *operations)
{
    struct message reply;

    if (request->id == MESSAGE_ID_EVENT)
        return;
    if (!netname_serve(request, &reply, operations))
        message_refuse(request, &reply);
    if (reply.tag != 0 && message_wants_reply(request))
        (void)msg_reply(&reply);
}

static void local_message(struct event_source *source, struct message *message)
{
    (void)source;
    serve_one(message, &for_tasks);
}

static void remote_message(struct event_source *source, struct message *message)
{
    (void)source;
    serve_one(message, &for_nodes);
}

// A service of init's under the same name for all nodes. Init has it from the beginning, or
// never.
static void publish(const char *text)
{
    char padded[32] = {0};
    struct name name;
    port_name_t port;

    strncpy(padded, text, sizeof padded - 1);
    memcpy(&name, padded, sizeof name);
    if (bootstrap_look_up(NAME_BOOTSTRAP, name.words[0], name.words[1], name.words[2],
                          name.words[3], 0, &port) != ERR_OK)
        return;
    if (add_entry(&name, 0, port) != ERR_OK)
        printf("net: no memory for the name `%s`\n", text);
}

bool names_start(const struct server_context *context)
{
    port_name_t known, named;

    node = context->node;
    local.message = local_message;
    remote.message = remote_message;
    notices.message = notice;
    if (server_add_source(&local) != ERR_OK || server_add_source(&remote) != ERR_OK ||
        server_add_source(&notices) != ERR_OK || port_make_send(remote.receive, &known) != ERR_OK ||
        port_make_send(local.receive, &named) != ERR_OK) {
        printf("net: no memory for the name service\n");
        return false;
    }
    if (exchange_core != NULL)
        (void)core_export_well_known(exchange_core, NAMES_EXPORT, port_identity(known), known);
    publish("allocator");
    retrier.expired = retry;
    retry(&retrier);
    static const char text[32] = "netname";
    uint64_t words[4];
    memcpy(words, text, sizeof words);
    corvus_error_t error = bootstrap_check_in(NAME_BOOTSTRAP, words[0], words[1], words[2],
                                              words[3], move_send(named));
    if (error != ERR_OK)
        printf("net: the name `netname` cannot be checked in: error %d\n", error);
    return error == ERR_OK;
}
