// SPDX-License-Identifier: BSD-2-Clause
// Ports of other nodes: their proxies, what was sent to them and not yet accepted,
// and whose references they are.
#include "netipc/core/internal.h"

#include <stdlib.h>

struct core_import *import_find(struct peer *home, uint32_t number, uint32_t generation)
{
    struct table_link *link = table_find(&home->imports, (uint64_t)generation << 32 | number);

    return link != NULL ? table_element(link, struct core_import, by_number) : NULL;
}

static void drained(struct stream *stream)
{
    import_settle(table_element(stream, struct core_import, stream));
}

struct core_import *import_make(struct peer *home, uint32_t number, uint32_t generation)
{
    struct core *core = home->core;
    struct core_import *import = calloc(1, sizeof *import);

    if (import == NULL) {
        core->counters.no_memory++;
        return NULL;
    }
    import->home = home;
    import->number = number;
    import->generation = generation;
    import->serial = ++core->serials; // from 1 on: 0 is none
    import->stream.drained = drained;
    if (!OPERATION(core, open_import, import, &import->port)) {
        core->counters.no_memory++;
        free(import);
        return NULL;
    }
    table_insert(&core->imports_by_port, &import->by_port, import->port);
    table_insert(&home->imports, &import->by_number, (uint64_t)generation << 32 | number);
    import->next = home->import_list;
    import->self = &home->import_list;
    if (import->next != NULL)
        import->next->self = &import->next;
    home->import_list = import;
    home->import_count++;
    return import;
}

void **core_import_owner(struct core_import *import)
{
    return &import->owner;
}

uint32_t core_import_node(const struct core_import *import)
{
    return import->home != NULL ? import->home->node : CORE_NODE_NONE;
}

// --- Ends ----------------------------------------------------------------------------------

static void free_when_over(struct core_import *import)
{
    if (import->home == NULL && import->calls == 0 && !import->stream.queued)
        free(import);
}

static void pin_free(struct pin *pin)
{
    *pin->self = pin->next;
    if (pin->next != NULL)
        pin->next->self = pin->self;
    *pin->peer_self = pin->peer_next;
    if (pin->peer_next != NULL)
        pin->peer_next->peer_self = pin->peer_self;
    free(pin);
}

// Takes it out of the tables; the owner's proxy goes.
static void detach(struct core_import *import)
{
    struct peer *home = import->home;
    struct core *core = home->core;

    OPERATION(core, close_import, import);
    table_remove(&core->imports_by_port, &import->by_port);
    table_remove(&home->imports, &import->by_number);
    *import->self = import->next;
    if (import->next != NULL)
        import->next->self = import->self;
    home->import_count--;
    home->unaccepted_bytes -= import->window_bytes;
    import->home = NULL;
    while (import->pins != NULL)
        pin_free(import->pins);
}

static void unpin_all(struct core *core, struct core_import *import)
{
    while (import->unpins != NULL) {
        struct unpin *unpin = import->unpins;
        struct peer *from = core_peer(core, unpin->node);

        import->unpins = unpin->next;
        if (from != NULL && from->sessions == unpin->session)
            peer_control(from, &(struct control){.kind = CONTROL_UNPIN,
                                                 .number = import->number,
                                                 .generation = import->generation,
                                                 .home = import->home->node,
                                                 .serial = unpin->serial});
        free(unpin);
    }
}

void import_settle(struct core_import *import)
{
    struct peer *home = import->home;

    if (home == NULL) {
        free_when_over(import);
        return;
    }
    if (!import->unused || import->well_known || import->claiming || import->pins != NULL ||
        import->stream.queued)
        return;
    struct control release = {.kind = CONTROL_RELEASE,
                              .number = import->number,
                              .generation = import->generation,
                              .value = (uint32_t)import->credits};
    detach(import);
    free_when_over(import);
    peer_control(home, &release);
}

void core_import_unused(struct core_import *import)
{
    struct core *core;

    if (import->home == NULL)
        return;
    core = import->home->core;
    import->unused = true;
    import_settle(import);
    core_flush(core);
}

// --- Death of a port ------------------------------------------------------------------------

// What tells of a death can overtake rights to that port, which are in messages: it is
// remembered until the port's home has all credits back.

static uint64_t key_of(uint32_t number, uint32_t generation)
{
    return (uint64_t)generation << 32 | number;
}

bool import_is_dead(const struct peer *home, uint32_t number, uint32_t generation)
{
    return table_find(&home->dead, key_of(number, generation)) != NULL;
}

static void remember_dead(struct peer *home, uint32_t number, uint32_t generation)
{
    struct table_link *link;

    if (import_is_dead(home, number, generation))
        return;
    link = malloc(sizeof *link);
    if (link != NULL) {
        table_insert(&home->dead, link, key_of(number, generation));
    } else {
        home->core->counters.no_memory++;
        peer_lose(home, "no memory to remember a dead port");
    }
}

void import_died(struct peer *home, uint32_t number, uint32_t generation)
{
    struct core_import *import = import_find(home, number, generation);

    remember_dead(home, number, generation);
    if (import == NULL)
        return;
    struct control release = {.kind = CONTROL_RELEASE,
                              .number = number,
                              .generation = generation,
                              .value = (uint32_t)import->credits};
    // What is still queued goes out: calls in it are answered by the port's home.
    unpin_all(home->core, import);
    detach(import);
    free_when_over(import);
    if (release.value != 0)
        peer_control(home, &release);
}

void import_forget_dead(struct peer *home, uint32_t number, uint32_t generation)
{
    struct table_link *link = table_find(&home->dead, key_of(number, generation));

    if (link == NULL)
        return;
    table_remove(&home->dead, link);
    free(link);
}

static void forget_all_dead(struct peer *home)
{
    for (uint32_t i = 0; i < 1u << home->dead.bits; i++)
        while (home->dead.buckets[i] != NULL) {
            struct table_link *link = home->dead.buckets[i];
            table_remove(&home->dead, link);
            free(link);
        }
}

void import_forget_peer(struct peer *peer)
{
    forget_all_dead(peer);
    while (peer->import_list != NULL) {
        struct core_import *import = peer->import_list;

        unpin_all(peer->core, import);
        detach(import);
        free_when_over(import);
    }
}

// --- The window -------------------------------------------------------------------------------

// Whether another message may be sent before some have been accepted. One always may
// be when none is unaccepted, so that no import starves.
static bool has_room(const struct core_import *import)
{
    return import->window_count == 0 ||
           (import->window_count < WINDOW_MESSAGES && import->window_bytes < WINDOW_BYTES &&
            import->home->unaccepted_bytes < SESSION_BYTES);
}

static void window_add(struct core_import *import, uint32_t bytes)
{
    import->window[(import->window_first + import->window_count) % WINDOW_MESSAGES] = bytes;
    import->window_count++;
    import->window_bytes += bytes;
    import->home->unaccepted_bytes += bytes;
}

void import_accepted(struct core_import *import, uint32_t messages)
{
    if (messages > import->window_count) {
        peer_protocol_error(import->home, "it accepted more messages than were sent");
        return;
    }
    for (; messages != 0; messages--) {
        uint32_t bytes = import->window[import->window_first];

        import->window_first = (import->window_first + 1) % WINDOW_MESSAGES;
        import->window_count--;
        import->window_bytes -= bytes;
        import->home->unaccepted_bytes -= bytes;
    }
    if (import->paused && has_room(import)) {
        import->paused = false;
        OPERATION(import->home->core, pause_import, import, false);
    }
}

// --- Sending ------------------------------------------------------------------------------------

static corvus_error_t check(const struct core_message *message)
{
    size_t bytes = 0;

    if (message->word_count > MESSAGE_WORDS || message->right_count > MESSAGE_RIGHTS ||
        message->item_count > MESSAGE_ITEMS)
        return ERR_INVALID_ARGUMENT;
    for (unsigned i = 0; i < message->item_count; i++) {
        if (message->items[i].bytes > CORE_COPY_MAX - bytes)
            return ERR_TOO_LARGE;
        bytes += message->items[i].bytes;
    }
    return ERR_OK;
}

static void begin_head(struct wire_head *head, const struct core_message *message)
{
    head->id = message->id;
    head->words = (uint8_t)message->word_count;
    head->rights = (uint8_t)message->right_count;
    head->items = (uint8_t)message->item_count;
}

static corvus_error_t send_request(struct core_import *import, struct wire_head *head,
                                   const struct core_message *message)
{
    struct peer *peer = import->home;
    struct wire_right rights[MESSAGE_RIGHTS];
    struct builder builder;

    begin_head(head, message);
    head->generation = import->generation;
    head->serial = import->serial;
    size_t bytes = wire_bytes(SEGMENT_REQUEST, head, message->items);
    window_add(import, (uint32_t)bytes);
    bool last = !has_room(import);
    head->flags = last ? WIRE_ACCEPT_NOW : 0;
    // Last, for it cannot be undone.
    if (!builder_begin(peer->core, &builder, SEGMENT_REQUEST, import->number, bytes)) {
        rights_drop(peer->core, message);
    } else if (!rights_leave(peer, message, rights)) {
        segment_list_free(peer->core, &builder.segments);
        builder.segments.first = NULL;
    }
    if (builder.segments.first == NULL) {
        import->window_count--;
        import->window_bytes -= (uint32_t)bytes;
        peer->unaccepted_bytes -= (uint32_t)bytes;
        return ERR_NO_MEMORY;
    }
    wire_write(&builder, SEGMENT_REQUEST, head, message->words, rights, message->items);
    peer_stream(peer, &import->stream, &builder.segments);
    if (last && !import->paused) {
        import->paused = true;
        peer->core->counters.pauses++;
        OPERATION(peer->core, pause_import, import, true);
    }
    return ERR_OK;
}

corvus_error_t core_send(struct core_import *import, const struct core_message *message,
                         const uint64_t *reply, const uint32_t room[MESSAGE_ITEMS])
{
    struct peer *peer = import->home;
    struct core *core = peer->core;
    corvus_error_t error = check(message);
    struct wire_head head = {0};
    struct call *call = NULL;

    import->unused = false;
    if (error == ERR_OK && import->window_count == WINDOW_MESSAGES)
        error = ERR_WOULD_BLOCK; // the owner was told to pause
    if (error == ERR_OK && reply != NULL) {
        call = call_make(peer, *reply, import);
        error = call == NULL ? ERR_NO_MEMORY : ERR_OK;
    }
    if (error != ERR_OK) {
        rights_drop(core, message);
        return error;
    }
    if (call != NULL) {
        head.call = call->number + 1;
        head.call_generation = call->generation;
        for (unsigned i = 0; i < MESSAGE_ITEMS; i++)
            head.room[i] = room[i];
    }
    error = send_request(import, &head, message);
    if (error != ERR_OK) {
        if (call != NULL)
            (void)call_end(call);
        core_flush(core);
        return error;
    }
    core->counters.messages_sent++;
    core->counters.calls += call != NULL;
    core->counters.rights_sent += message->right_count;
    core_flush(core);
    return ERR_OK;
}

struct core_import *core_import_well_known(struct core *core, uint32_t node, uint32_t number)
{
    struct peer *peer = core_peer(core, node);

    if (peer == NULL || number >= CORE_WELL_KNOWN)
        return NULL;
    struct core_import *import = import_find(peer, number, 0);
    if (import == NULL)
        import = import_make(peer, number, 0);
    if (import != NULL)
        import->well_known = true;
    return import;
}

// --- From third nodes ----------------------------------------------------------------------------

void import_claim(struct core_import *import, struct unpin *unpin)
{
    unpin->next = import->unpins;
    import->unpins = unpin;
    if (import->credits != 0 || import->well_known) {
        unpin_all(import->home->core, import);
    } else if (!import->claiming) {
        import->claiming = true;
        peer_control(import->home, &(struct control){.kind = CONTROL_CLAIM,
                                                     .number = import->number,
                                                     .generation = import->generation});
    }
}

void import_granted(struct core_import *import, uint32_t credits)
{
    import->credits += credits;
    import->claiming = false;
    unpin_all(import->home->core, import);
    import_settle(import);
}

// --- Given on to third nodes ---------------------------------------------------------------------

bool pin_add(struct core_import *import, struct peer *to)
{
    struct pin *pin = import->pins;

    while (pin != NULL && pin->to != to)
        pin = pin->next;
    if (pin == NULL) {
        pin = malloc(sizeof *pin);
        if (pin == NULL) {
            to->core->counters.no_memory++;
            return false;
        }
        *pin = (struct pin){.next = import->pins,
                            .self = &import->pins,
                            .peer_next = to->pins,
                            .peer_self = &to->pins,
                            .import = import,
                            .to = to};
        if (pin->next != NULL)
            pin->next->self = &pin->next;
        if (pin->peer_next != NULL)
            pin->peer_next->peer_self = &pin->peer_next;
        import->pins = to->pins = pin;
    }
    pin->count++;
    return true;
}

void pin_remove(struct peer *to, uint32_t home, uint32_t number, uint32_t generation,
                uint32_t serial)
{
    struct peer *peer = core_peer(to->core, home);
    struct core_import *import = peer != NULL ? import_find(peer, number, generation) : NULL;
    struct pin *pin = import != NULL && import->serial == serial ? import->pins : NULL;

    while (pin != NULL && pin->to != to)
        pin = pin->next;
    if (pin == NULL || --pin->count != 0)
        return; // NULL: the session with the port's home has ended since, and the pin with it
    pin_free(pin);
    import_settle(import);
}

void pin_forget_peer(struct peer *peer)
{
    while (peer->pins != NULL) {
        struct core_import *import = peer->pins->import;

        pin_free(peer->pins);
        import_settle(import);
    }
}
