// SPDX-License-Identifier: BSD-2-Clause
// The services of the directory (segments.def): those that change it, its objects, and what it says
// itself.
#include "dsm/server/calls.h"

#include "lib/serve.h"

#include <corvus/init_stubs.h>
#include <corvus/segments_dispatch.h>

#include <stdio.h>
#include <string.h>

#define TICK_NS 250000000ull

struct directory *directory;

static struct source local;

// --- Changes -------------------------------------------------------------------------------------

static corvus_error_t ask(void (*go_on)(struct call *call), const struct directory_change *change)
{
    struct call *call = call_begin(go_on);

    if (call == NULL)
        return ERR_NO_MEMORY;
    call->change = *change;
    call->change.time = real_time_ns();
    corvus_error_t error = directory_ask(directory, &call->change, call);
    if (error != ERR_OK)
        call_answer(call, error);
    return SERVE_LATER;
}

static void answer_change(struct call *call)
{
    call_answer(call, ERR_OK);
}

static void answer_create(struct call *call)
{
    call_answer_with(call, ERR_OK, call->words, 1, 0);
}

static bool take_name(struct directory_change *change, const void *name, size_t bytes)
{
    if (bytes > SEGMENT_NAME_MAX)
        return false;
    change->name_bytes = (uint8_t)bytes;
    memcpy(change->name, name, bytes);
    return true;
}

static corvus_error_t create(uint64_t label, uint64_t mode, uint64_t uid, uint64_t gid,
                             const void *name, size_t bytes, uint64_t *segment)
{
    struct directory_change change = {.kind = DIRECTORY_CREATE,
                                      .mode = (uint32_t)mode,
                                      .uid = (uint32_t)uid,
                                      .gid = (uint32_t)gid};

    (void)label;
    (void)segment;
    if (mode > SEGMENT_MODE_MAX || uid > UINT32_MAX || gid > UINT32_MAX ||
        !take_name(&change, name, bytes))
        return ERR_INVALID_ARGUMENT;
    return ask(answer_create, &change);
}

static corvus_error_t link_name(uint64_t label, uint64_t segment, const void *name, size_t bytes)
{
    struct directory_change change = {.kind = DIRECTORY_LINK, .segment = segment};

    (void)label;
    return take_name(&change, name, bytes) ? ask(answer_change, &change) : ERR_INVALID_ARGUMENT;
}

static corvus_error_t unlink_name(uint64_t label, const void *name, size_t bytes)
{
    struct directory_change change = {.kind = DIRECTORY_UNLINK};

    (void)label;
    return take_name(&change, name, bytes) ? ask(answer_change, &change) : ERR_INVALID_ARGUMENT;
}

static corvus_error_t rename_name(uint64_t label, uint64_t flags, const void *names, size_t bytes)
{
    struct directory_change change = {.kind = DIRECTORY_RENAME, .flags = (uint8_t)flags};
    const char *zero = memchr(names, 0, bytes);

    (void)label;
    if (zero == NULL || flags > SEGMENT_EXCHANGE)
        return ERR_INVALID_ARGUMENT;
    size_t first = (size_t)(zero - (const char *)names), second = bytes - first - 1;
    if (second > SEGMENT_NAME_MAX || !take_name(&change, names, first))
        return ERR_INVALID_ARGUMENT;
    change.other_bytes = (uint8_t)second;
    memcpy(change.other, zero + 1, second);
    return ask(answer_change, &change);
}

static corvus_error_t set(uint64_t label, uint64_t segment, uint64_t which, uint64_t mode,
                          uint64_t uid, uint64_t gid, uint64_t size, uint64_t modified)
{
    struct directory_change change = {
        .kind = DIRECTORY_SET, .segment = segment, .which = (uint8_t)which};

    (void)label;
    if (which == 0 || which > SEGMENT_SET_ALL ||
        (which & SEGMENT_SET_MODE && mode > SEGMENT_MODE_MAX))
        return ERR_INVALID_ARGUMENT;
    if (which & SEGMENT_SET_SIZE && size > SEGMENT_SIZE_MAX)
        return ERR_TOO_LARGE;
    change.mode = which & SEGMENT_SET_MODE ? (uint32_t)mode : 0;
    change.uid = (uint32_t)uid;
    change.gid = (uint32_t)gid;
    change.size = which & SEGMENT_SET_SIZE ? size : 0;
    change.modified = modified;
    return ask(answer_change, &change);
}

// --- Memory objects ------------------------------------------------------------------------------

static bool holds(const struct directory_segment *segment)
{
    return directory_has_node(&segment->holders, this_node.number);
}

static void answer_open(struct call *call)
{
    const struct directory_segment *segment = directory_segment(directory, call->change.segment);
    uint64_t number = call->change.segment;
    port_name_t receive;

    corvus_error_t error = segment == NULL ? ERR_NOT_FOUND : pages_object(number, &receive);
    if (error != ERR_OK) {
        call_answer(call, error);
        return;
    }
    utcb_self()->rights[0] = make_send(receive);
    call_answer_with(call, ERR_OK, &segment->size, 1, TAG_RIGHTS(1));
    pages_opened(number);
}

static corvus_error_t hold(void (*go_on)(struct call *call), uint64_t number)
{
    struct directory_change change = {
        .kind = DIRECTORY_HOLD, .segment = number, .node = (uint8_t)this_node.number};

    return ask(go_on, &change);
}

static corvus_error_t open_segment(uint64_t label, uint64_t number, uint64_t flags,
                                   struct message_right *object, uint64_t *size)
{
    const struct directory_segment *segment = directory_segment(directory, number);
    struct call *call;

    (void)label;
    (void)object;
    (void)size;
    if (flags != 0)
        return ERR_INVALID_ARGUMENT;
    if (pages_is_idle(number))
        return ERR_NOT_FOUND;
    if (segment == NULL || !holds(segment) || !directory_serves(directory))
        return hold(answer_open, number);
    call = call_begin(answer_open);
    if (call == NULL)
        return ERR_NO_MEMORY;
    call->change.segment = number;
    answer_open(call);
    return SERVE_LATER;
}

bool names_closed(uint64_t number)
{
    struct directory_change change = {
        .kind = DIRECTORY_DROP, .segment = number, .node = (uint8_t)this_node.number};

    // In a minority the others find out that this node is gone.
    return directory_ask(directory, &change, NULL) == ERR_OK;
}

bool names_hold(uint64_t number)
{
    struct directory_change change = {
        .kind = DIRECTORY_HOLD, .segment = number, .node = (uint8_t)this_node.number};

    return directory_ask(directory, &change, NULL) == ERR_OK;
}

// --- The rest ------------------------------------------------------------------------------------

static port_name_t new_owner;

static corvus_error_t owner_of_locks(uint64_t label, struct message_right *locks)
{
    corvus_error_t error = locks_owner(&new_owner);

    (void)label;
    if (error == ERR_OK)
        *locks = make_send(new_owner);
    else
        new_owner = PORT_NULL;
    return error;
}

static corvus_error_t stop(uint64_t label, uint64_t kind, uint64_t sending)
{
    (void)label;
    return stop_set(kind, sending != 0) ? ERR_OK : ERR_NOT_SUPPORTED;
}

static const struct segments_operations operations = {
    .segment_look_up = question_look_up,
    .segment_create = create,
    .segment_link = link_name,
    .segment_unlink = unlink_name,
    .segment_rename = rename_name,
    .segment_list = question_list,
    .segment_get = question_get,
    .segment_set = set,
    .segment_open = open_segment,
    .segment_statistics = question_statistics,
    .segment_trace = question_trace,
    .segment_cluster = question_cluster,
    .segment_locks = owner_of_locks,
    .segment_stop = stop,
};

static void serve_message(struct source *source, struct message *request)
{
    struct message reply;

    (void)source;
    if (!message_wants_reply(request)) {
        message_drop_rights(request->tag);
        return;
    }
    if (!segments_serve(request, &reply, &operations))
        message_refuse(request, &reply);
    if (reply.tag != 0)
        (void)msg_reply(&reply);
    if (new_owner != PORT_NULL)
        locks_owner_given(new_owner);
    new_owner = PORT_NULL;
}

// --- What the directory says ---------------------------------------------------------------------

static void send(void *context, unsigned node, const void *bytes, size_t count)
{
    (void)context;
    peer_send(node, PEER_DIRECTORY, bytes, count);
}

static void done(void *context, void *token, corvus_error_t error, uint64_t segment)
{
    struct call *call = token;

    (void)context;
    if (call == NULL) { // names_closed, names_hold
        pages_told(segment);
        return;
    }
    call->words[0] = segment;
    if (error == ERR_OK)
        call->go_on(call);
    else
        call_answer(call, error);
}

static void changed(void *context, uint64_t segment)
{
    (void)context;
    (void)segment;
    pages_follow_directory();
}

static const struct directory_output output = {send, done, changed, calls_go_on};

static void node_up(unsigned node)
{
    (void)node;
}

static bool received(unsigned node, const void *bytes, size_t count)
{
    return directory_receive(directory, node, bytes, count);
}

const struct subject directory_subject = {node_up, node_up, received};

void names_view(const struct directory_nodes *members)
{
    directory_view(directory, members, is_majority(members));
}

static uint64_t tick(uint64_t now)
{
    static uint64_t next;

    if (now < next)
        return next;
    next = now + TICK_NS;
    directory_tick(directory);
    return next;
}

corvus_error_t names_right(port_name_t *right)
{
    return port_make_send(local.receive, right);
}

corvus_error_t names_start(void)
{
    static struct step step = {.step = tick};
    static const char name[32] = "dsm";
    uint64_t words[4];
    port_name_t right;
    corvus_error_t error;

    directory = directory_create(this_node.number, this_node.life, &output, NULL);
    if (directory == NULL)
        return ERR_NO_MEMORY;
    local.message = serve_message;
    error = source_open(&local);
    if (error == ERR_OK)
        error = names_right(&right);
    memcpy(words, name, sizeof words);
    if (error == ERR_OK)
        error = bootstrap_check_in(NAME_BOOTSTRAP, words[0], words[1], words[2], words[3],
                                   move_send(right));
    loop_add_step(&step);
    return error;
}
