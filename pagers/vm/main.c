// SPDX-License-Identifier: BSD-2-Clause
// The VM server: its memory, its name, and the loop. Arguments: pages N (what it takes for all of
// its clients at most; 1024).
#include "pagers/vm/server.h"

#include "lib/memory_object.h"
#include "lib/serve.h"

#include <corvus/init_stubs.h>
#include <corvus/vm.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGES_DEFAULT 1024u
#define PAGES_MAX     (1u << 20)

struct vm_core core;

static port_name_t set;
static struct source server, notices;
static port_name_t bell; // send right to `notices`

corvus_error_t source_open(struct source *source, enum source_kind kind)
{
    source->kind = kind;
    corvus_error_t error = port_allocate((uintptr_t)source + 1, &source->receive);
    if (error != ERR_OK)
        return error;
    error = port_set_backlog(source->receive, PORT_BACKLOG_MAX / 4);
    if (error == ERR_OK)
        error = port_enable(source->receive, set);
    if (error != ERR_OK)
        source_close(source);
    return error;
}

void source_close(struct source *source)
{
    if (source->receive != PORT_NULL)
        (void)port_deallocate(source->receive);
    source->receive = PORT_NULL;
}

corvus_error_t server_watch(port_name_t right)
{
    return port_request_notification(right, NOTIFY_DEAD_NAME, notices.receive);
}

port_name_t server_set(void)
{
    return set;
}

port_name_t server_notices(void)
{
    return notices.receive;
}

void server_notify(void)
{
    (void)msg_notify(bell, 1);
}

// --- Messages ----------------------------------------------------------------------------------

static void take_notice(const struct message *notice)
{
    port_name_t name = (port_name_t)notice->words[0];
    struct source *source;

    switch (notice->id) {
    case MESSAGE_ID_DEAD_NAME:
        if (!clients_task_died(name))
            (void)objects_died(name);
        break;
    case MESSAGE_ID_NO_SENDERS:
        if (notice->words[0] % 2 == 0) {
            exports_abandoned(notice->words[0]);
            break;
        }
        source = source_of(notice->words[0]);
        clients_abandoned((struct client *)((char *)source - offsetof(struct client, control)));
        break;
    default: // an event: what was noted is looked at behind every message
        break;
    }
}

static void dispatch(const struct message *request, struct message *reply)
{
    struct source *source = source_of(request->label);
    struct client *client;
    bool known = true;

    if (request->label % 2 == 0) {
        if (!memory_object_dispatch(request, reply))
            message_refuse(request, reply);
        return;
    }
    switch (source->kind) {
    case SOURCE_PAGER:
        client = (struct client *)((char *)source - offsetof(struct client, pager));
        known = request->id == MESSAGE_ID_PAGE_FAULT;
        if (known)
            fault_serve(client, request, reply);
        break;
    case SOURCE_REQUEST:
        requests_serve(request, reply);
        break;
    case SOURCE_MAP:
        client = (struct client *)((char *)source - offsetof(struct client, control));
        known = clients_serve_map(client, request, reply);
        break;
    case SOURCE_SERVER:
        known = clients_serve_server(request, reply);
        break;
    case SOURCE_NOTICES:
        take_notice(request);
        break;
    }
    if (!known)
        message_refuse(request, reply);
}

// Answers a fault whose pages the kernel would not map: its quota is used up, say.
static void refuse_fault(corvus_error_t error)
{
    struct message message = {.tag = 1, .words = {error}};

    (void)msg_reply(&message);
}

// Answers, without receiving.
static void give_answer(struct message *message)
{
    bool fault = (message->tag & TAG_ITEMS_MASK) != 0;
    bool saved = runtime_self()->saved_reply != PORT_NULL;
    corvus_error_t error = msg_reply(message);

    if (error != ERR_OK && fault && !saved)
        refuse_fault(error);
}

static corvus_error_t next(struct message *message, bool answer)
{
    uint64_t deadline = vm_next_deadline(&core);
    corvus_error_t error;

    (void)memory_object_open_buffer(); // it is there since the start
    // The thread may have waited for another one meanwhile.
    if (answer && runtime_self()->saved_reply != PORT_NULL) {
        give_answer(message);
    } else if (answer) {
        bool fault = (message->tag & TAG_ITEMS_MASK) != 0;
        message->receive_from = set;
        error = message_exchange(message, TAG_REPLY_RECEIVE, deadline);
        if (error == ERR_OK || (message->tag & TAG_ERROR_RECEIVE) != 0)
            return error;
        if (fault)
            refuse_fault(error);
    }
    *message = (struct message){.receive_from = set};
    return message_exchange(message, TAG_RECEIVE, deadline);
}

static bool unsettled(void)
{
    return objects_unsettled() || clients_unsettled() || vm_next_deadline(&core) <= core.now;
}

// What other threads noted, and time.
static void settle(void)
{
    objects_settle();
    clients_settle();
    if (vm_next_deadline(&core) <= core.now)
        vm_tick(&core, core.now);
}

static void loop(void)
{
    struct message request = {0}, reply = {0};

    for (;;) {
        bool answer = (reply.tag & (TAG_WORDS_MASK | TAG_ITEMS_MASK)) != 0;
        request = reply;
        corvus_error_t error = next(&request, answer);
        reply = (struct message){0};
        core.now = clock_now_ns();
        if (error == ERR_OK) {
            dispatch(&request, &reply);
            if (!message_wants_reply(&request))
                reply.tag = 0;
        } else if (error != ERR_TIMED_OUT && error != ERR_WOULD_BLOCK && error != ERR_ABORTED) {
            printf("vm: receiving fails: error %d\n", error);
            return;
        }
        if (!unsettled())
            continue;
        // The answer first: it is in the message page.
        if (reply.tag != 0)
            give_answer(&reply);
        reply.tag = 0;
        // What is settled may make more: a page evicted now has gone at once, perhaps.
        do
            settle();
        while (unsettled());
    }
}

// --- Start --------------------------------------------------------------------------------------

static corvus_error_t check_in(void)
{
    uint64_t words[4] = {0};

    memcpy(words, VM_NAME, sizeof VM_NAME - 1);
    return bootstrap_check_in(NAME_BOOTSTRAP, words[0], words[1], words[2], words[3],
                              make_send(server.receive));
}

static bool open_server(uint32_t pages)
{
    if (memory_object_set_buffer(PAGE_BYTES) != ERR_OK || memory_object_open_buffer() != ERR_OK ||
        port_set_allocate(&set) != ERR_OK || source_open(&notices, SOURCE_NOTICES) != ERR_OK ||
        port_make_send(notices.receive, &bell) != ERR_OK ||
        source_open(&server, SOURCE_SERVER) != ERR_OK || !objects_open(pages))
        return false;
    core.now = clock_now_ns();
    return check_in() == ERR_OK;
}

int main(int count, char **words)
{
    unsigned long pages = PAGES_DEFAULT;

    for (int i = 1; i + 1 < count; i += 2)
        if (strcmp(words[i], "pages") == 0 && *words[i + 1] != '\0')
            pages = strtoul(words[i + 1], NULL, 10);
    if (pages < 16 || pages > PAGES_MAX) {
        printf("vm: pages %lu is not 16 to %u\n", pages, PAGES_MAX);
        return EXIT_FAILURE;
    }
    if (!open_server((uint32_t)pages)) {
        printf("vm: cannot start: no memory for %lu pages, or its name is taken\n", pages);
        return EXIT_FAILURE;
    }
    loop();
    return EXIT_FAILURE;
}
