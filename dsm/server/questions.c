// SPDX-License-Identifier: BSD-2-Clause
// The services of the directory (segments.def) that change nothing.
#include "dsm/server/calls.h"

#include "lib/serve.h"

#include <string.h>

#define LIST_BYTES 16384u

// An answer's COPY item, until it is sent.
static union {
    uint8_t entries[LIST_BYTES];
    struct segment_trace_record records[LIST_BYTES / sizeof(struct segment_trace_record)];
} scratch;

static corvus_error_t question(void (*go_on)(struct call *call), uint64_t word, const void *name,
                               size_t bytes)
{
    struct call *call;

    if (bytes > SEGMENT_NAME_MAX)
        return ERR_INVALID_ARGUMENT;
    uint64_t room0 = 0;
    (void)thread_reply_room(thread_self(), &room0, NULL, NULL, NULL);
    call = call_begin(go_on);
    if (call == NULL)
        return ERR_NO_MEMORY;
    call->words[0] = word;
    call->room = room0;
    call->change.name_bytes = (uint8_t)bytes;
    memcpy(call->change.name, name, bytes);
    call_go_on_or_wait(call);
    return SERVE_LATER;
}

static void answer_look_up(struct call *call)
{
    const struct directory_name *name =
        directory_find(directory, call->change.name, call->change.name_bytes);

    if (name == NULL)
        call_answer(call, ERR_NOT_FOUND);
    else
        call_answer_with(call, ERR_OK, &name->segment->number, 1, 0);
}

static void answer_get(struct call *call)
{
    const struct directory_segment *segment = directory_segment(directory, call->words[0]);

    if (segment == NULL) {
        call_answer(call, ERR_NOT_FOUND);
        return;
    }
    const uint64_t words[] = {segment->size,    segment->mode,   segment->uid,
                              segment->gid,     segment->links,  segment->modified,
                              segment->changed, segment->version};
    call_answer_with(call, ERR_OK, words, 8, 0);
}

static void answer_list(struct call *call)
{
    uint8_t *entries = scratch.entries;
    size_t bytes = 0, room = call->room < LIST_BYTES ? call->room : LIST_BYTES;
    uint64_t cookie = call->words[0];
    const struct directory_name *name = directory_next(directory, cookie);

    for (; name != NULL; name = directory_next(directory, cookie)) {
        const struct directory_segment *segment = name->segment;
        size_t entry_bytes = segment_entry_bytes(name->bytes);
        struct segment_entry entry = {.segment = segment->number,
                                      .size = segment->size,
                                      .mode = segment->mode,
                                      .uid = segment->uid,
                                      .gid = segment->gid,
                                      .name_bytes = name->bytes};
        if (entry_bytes > room - bytes)
            break;
        memset(entries + bytes, 0, entry_bytes);
        memcpy(entries + bytes, &entry, sizeof entry);
        memcpy(entries + bytes + sizeof entry, name->text, name->bytes);
        bytes += entry_bytes;
        cookie = name->cookie;
    }
    if (bytes == 0 && name != NULL) {
        call_answer(call, ERR_TOO_LARGE);
        return;
    }
    utcb_self()->items[0] = message_copy_item(entries, bytes);
    call_answer_with(call, ERR_OK, &cookie, 1, TAG_ITEMS(1));
}

corvus_error_t question_look_up(uint64_t label, const void *name, size_t bytes, uint64_t *segment)
{
    (void)label;
    (void)segment;
    return question(answer_look_up, 0, name, bytes);
}

corvus_error_t question_get(uint64_t label, uint64_t segment, uint64_t *size, uint64_t *mode,
                            uint64_t *uid, uint64_t *gid, uint64_t *links, uint64_t *modified,
                            uint64_t *changed, uint64_t *version)
{
    (void)label;
    *size = *mode = *uid = *gid = *links = *modified = *changed = *version = 0;
    return question(answer_get, segment, NULL, 0);
}

corvus_error_t question_list(uint64_t label, uint64_t cookie, uint64_t *next, const void **entries,
                             size_t *bytes)
{
    (void)label;
    (void)next;
    (void)entries;
    (void)bytes;
    return question(answer_list, cookie, NULL, 0);
}

// --- What this node knows -----------------------------------------------------------------------

corvus_error_t question_statistics(uint64_t label, uint64_t segment, uint64_t first,
                                   uint64_t *values, size_t *count)
{
    uint64_t all[58];
    size_t there = sizeof all / sizeof all[0], room = *count;

    (void)label;
    if (!pages_counters(segment, all, &there))
        return ERR_NOT_FOUND;
    *count = first < there ? there - first : 0;
    if (*count > room)
        *count = room;
    for (size_t i = 0; i < *count; i++)
        values[i] = all[first + i];
    return ERR_OK;
}

corvus_error_t question_trace(uint64_t label, uint64_t sequence, uint64_t *first,
                              const void **records, size_t *bytes)
{
    struct segment_trace_record *some = scratch.records;
    uint64_t room = 0;

    (void)label;
    (void)thread_reply_room(thread_self(), &room, NULL, NULL, NULL);
    if (room > LIST_BYTES)
        room = LIST_BYTES;
    *records = some;
    *bytes = pages_trace(sequence, some, room / sizeof some[0], first) * sizeof some[0];
    return ERR_OK;
}

corvus_error_t question_cluster(uint64_t label, uint64_t *node, uint64_t *members,
                                uint64_t *majority, uint64_t *coordinator, uint64_t *epoch,
                                uint64_t *sequence)
{
    struct directory_status status;

    (void)label;
    directory_status(directory, &status);
    *node = this_node.number;
    *members = status.members.bits[0];
    *majority = status.majority;
    *coordinator = status.coordinator;
    *epoch = status.epoch;
    *sequence = status.sequence;
    return ERR_OK;
}
