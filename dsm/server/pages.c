// SPDX-License-Identifier: BSD-2-Clause
// The core of dsm/core joined to this node: towards its cache managers it is a pager
// (lib/memory_object), to the cores of other nodes it speaks by peers.c, and it follows the
// directory in what segments there are. All nodes know all segments; a node has a memory object of
// those only that were opened on it.
#include "dsm/server/pages.h"

#include <corvus/pager.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What the core's store may hold back of pages that caches have as well: a node's memory is
// Linux's.
#define SPARE_PAGES 64u
#define TRACE_SIZE  512u
// What pages and what is known of them may take besides what the node lends, of what Linux leaves.
// With other nodes the network server needs its share of that.
#define MIB         (1ull << 20)
#define ALONE_BYTES (4 * MIB)
#define OWN_BYTES   (2 * MIB)
// Links lose nothing while they are up; only a node that is out of memory drops what it is told. On
// a busy machine answers take long, and pages said again make them longer.
#define REPEAT_NS    500000000ull
#define ASK_AGAIN_NS 10000000ull
// A node that leaves a view finds out by itself within this time: both ends of a session end it
// nearly together (netipc/core/core.h, unreached_ns).
#define FENCE_NS 500000000ull

struct dsm *pages_core;
static struct segment *segments;
static bool following;
static bool telling; // caches whether they may keep pages
static bool deaf;    // to cache managers

struct segment *pages_segment(uint64_t number)
{
    struct segment *segment = segments;

    while (segment != NULL && segment->number != number)
        segment = segment->next;
    return segment;
}

// --- Segments ------------------------------------------------------------------------------------

static uint64_t page_count(const struct directory_segment *entry)
{
    return (entry->size + DSM_PAGE_BYTES - 1) / DSM_PAGE_BYTES;
}

static void close_object(struct segment *segment)
{
    struct memory_manager *manager = NULL;

    if (segment->object == NULL)
        return;
    while ((manager = memory_manager_next(segment->object, manager)) != NULL)
        pages_cache_closed(manager);
    memory_object_destroy(segment->object);
    segment->object = NULL;
    segment->idle = false;
}

void pages_idle(struct segment *segment)
{
    if (segment->idle)
        return;
    segment->idle = true;
    following = true;
}

bool pages_is_idle(uint64_t number)
{
    const struct segment *segment = pages_segment(number);

    return segment != NULL && segment->idle;
}

static void forget(struct segment **place)
{
    struct segment *segment = *place;

    close_object(segment);
    if (segment->notices.receive != PORT_NULL)
        source_close(&segment->notices);
    pages_keep_counters(segment->number);
    (void)dsm_segment_close(pages_core, segment->number);
    *place = segment->next;
    free(segment);
}

static void no_senders(struct source *source, struct message *message);

static void make_known(const struct directory_segment *entry)
{
    struct segment *segment = calloc(1, sizeof *segment);
    corvus_error_t error = segment == NULL ? ERR_NO_MEMORY
                                           : dsm_segment_open(pages_core, entry->number,
                                                              page_count(entry), entry->generation);

    if (error != ERR_OK) {
        // Looked at again with the next change; until then it cannot be opened here.
        printf("dsm: segment %llu cannot be used: error %d\n", (unsigned long long)entry->number,
               (int)error);
        free(segment);
        return;
    }
    segment->number = entry->number;
    segment->pages = page_count(entry);
    segment->generation = entry->generation;
    segment->named = entry->links != 0;
    segment->notices.message = no_senders;
    segment->next = segments;
    segments = segment;
}

static void resize(struct segment *segment, const struct directory_segment *entry)
{
    uint64_t pages = page_count(entry);

    if (pages == segment->pages && entry->generation == segment->generation)
        return;
    if (dsm_segment_resize(pages_core, segment->number, pages, entry->generation) != ERR_OK)
        return;
    segment->pages = pages;
    segment->generation = entry->generation;
}

static void follow_directory(void)
{
    struct segment **place = &segments;

    while (*place != NULL)
        if (directory_segment(directory, (*place)->number) == NULL)
            forget(place);
        else
            place = &(*place)->next;
    for (const struct directory_segment *entry = directory_first_segment(directory); entry != NULL;
         entry = entry->next) {
        struct segment *segment = pages_segment(entry->number);
        if (segment == NULL) {
            make_known(entry);
        } else {
            resize(segment, entry);
            segment->named = entry->links != 0;
        }
        // A node that was away is held to have closed all; and what is said in a minority is lost.
        if (segment != NULL && segment->object != NULL &&
            segment->idle == directory_has_node(&entry->holders, this_node.number))
            following = true;
    }
    telling = true;
}

// A segment without a name is to go with the last who has it open.
static void tell_caches(void)
{
    telling = false;
    for (const struct segment *segment = segments; segment != NULL; segment = segment->next)
        if (segment->object != NULL && !pages_caches_follow(segment))
            telling = true;
}

void pages_follow_directory(void)
{
    follow_directory();
}

// --- Objects -------------------------------------------------------------------------------------

static void hear_managers(const struct segment *segment)
{
    port_name_t port = memory_object_port(segment->object);

    if (deaf)
        (void)port_disable(port);
    else
        (void)port_enable(port, loop_set());
}

corvus_error_t pages_object(uint64_t number, port_name_t *receive)
{
    struct segment *segment = pages_segment(number);
    corvus_error_t error;

    if (segment == NULL)
        return ERR_NO_MEMORY; // make_known has said so
    error = loop_open_large_buffer();
    if (error != ERR_OK)
        return error;
    if (segment->notices.receive == PORT_NULL) {
        error = source_open(&segment->notices);
        if (error != ERR_OK)
            return error;
    }
    if (segment->object == NULL) {
        segment->object = memory_object_create(&pages_functions, segment, PORT_NULL);
        if (segment->object == NULL)
            return ERR_NO_MEMORY;
        hear_managers(segment);
    }
    *receive = memory_object_port(segment->object);
    return ERR_OK;
}

void pages_opened(uint64_t number)
{
    struct segment *segment = pages_segment(number);

    // In use: it has been asked for before.
    if (segment != NULL && segment->object != NULL)
        (void)port_request_notification(memory_object_port(segment->object), NOTIFY_NO_SENDERS,
                                        segment->notices.receive);
}

static void no_senders(struct source *source, struct message *message)
{
    struct segment *segment = segments;
    struct port_status status = {0};

    while (segment != NULL && &segment->notices != source)
        segment = segment->next;
    if (message->id != MESSAGE_ID_NO_SENDERS || segment == NULL || segment->object == NULL) {
        message_drop_rights(message->tag);
        return;
    }
    // Opened again meanwhile.
    if (port_status(memory_object_port(segment->object), &status) == ERR_OK &&
        status.send_rights != 0) {
        pages_opened(segment->number);
        return;
    }
    bool idle = segment->idle; // then it has been told
    close_object(segment);
    if (!idle)
        names_closed(segment->number);
}

// --- Other nodes ---------------------------------------------------------------------------------

static void send(void *context, uint32_t node, const void *data, size_t bytes)
{
    (void)context;
    stop_here(data, bytes, true);
    peer_send(node, PEER_PAGES, data, bytes);
}

static void node_up(unsigned node)
{
    dsm_tick(pages_core, clock_now_ns());
    dsm_node_up(pages_core, node);
}

static void node_down(unsigned node)
{
    dsm_tick(pages_core, clock_now_ns());
    dsm_node_down(pages_core, node);
}

static bool received(unsigned node, const void *bytes, size_t count)
{
    stop_here(bytes, count, false);
    dsm_tick(pages_core, clock_now_ns());
    dsm_received(pages_core, node, bytes, count);
    return true; // the core counts what is wrong
}

const struct subject pages_subject = {node_up, node_down, received};

// --- Life ----------------------------------------------------------------------------------------

// Pages that were lost together, of which one line tells.
static struct {
    uint64_t segment, first, count;
} loss;

static void tell_loss(void)
{
    if (loss.count != 0)
        printf("dsm: %llu pages of segment %llu were lost with their node, page %llu first\n",
               (unsigned long long)loss.count, (unsigned long long)loss.segment,
               (unsigned long long)loss.first);
    loss.count = 0;
}

static void page_lost(void *context, uint64_t segment, uint64_t page)
{
    (void)context;
    if (loss.segment != segment)
        tell_loss();
    if (loss.count++ == 0) {
        loss.segment = segment;
        loss.first = page;
    }
}

// Cache managers that return pages faster than other nodes take them wait: what they say stays with
// them, as do the pages. What other nodes say is heard.
static void mind_memory(void)
{
    if (deaf == dsm_is_crowded(pages_core))
        return;
    deaf = !deaf;
    for (const struct segment *segment = segments; segment != NULL; segment = segment->next)
        if (segment->object != NULL)
            hear_managers(segment);
}

// A segment of which the directory does not know what this node does with it, and that it is not
// being told, nor has been in this round.
static struct segment *next_to_tell(unsigned round)
{
    struct segment *segment = segments;

    for (; segment != NULL; segment = segment->next) {
        const struct directory_segment *entry = directory_segment(directory, segment->number);
        if (segment->object != NULL && entry != NULL && !segment->telling &&
            segment->told != round &&
            segment->idle == directory_has_node(&entry->holders, this_node.number))
            return segment;
    }
    return NULL;
}

// When it is told, segments may go at once.
static void tell_directory(void)
{
    static unsigned round;
    struct segment *segment;

    following = false;
    round++;
    while ((segment = next_to_tell(round)) != NULL) {
        uint64_t number = segment->number;
        segment->told = round;
        segment->telling = true;
        if (!(segment->idle ? names_closed : names_hold)(number))
            pages_told(number); // as soon as there is a majority again
    }
}

void pages_told(uint64_t number)
{
    for (struct segment *segment = segments; segment != NULL; segment = segment->next)
        if (number == 0 || segment->number == number)
            segment->telling = false;
}

static uint64_t step(uint64_t now)
{
    uint64_t again = pages_ask_managers() ? UINT64_MAX : now + ASK_AGAIN_NS;

    if (following)
        tell_directory();
    if (telling)
        tell_caches();
    if (dsm_next(pages_core) <= now)
        dsm_tick(pages_core, now);
    mind_memory();
    tell_loss();
    pages_take_events();
    return dsm_next(pages_core) < again ? dsm_next(pages_core) : again;
}

corvus_error_t pages_start(void)
{
    static struct step pages_step = {.step = step};
    static struct dsm_operations operations;
    const struct dsm_settings settings = {
        .node = this_node.number,
        .cluster_size = this_node.nodes,
        .incarnation = this_node.life,
        .fence_ns = FENCE_NS,
        .repeat_ns = REPEAT_NS,
        .trace_size = TRACE_SIZE,
        .spare_pages = SPARE_PAGES,
        .memory_bytes = (this_node.nodes > 1 ? OWN_BYTES : ALONE_BYTES) + this_node.lend * MIB};

    _Static_assert(DSM_MESSAGE_MAX <= LOOP_BUFFER_SMALL, "there is room for what nodes say");
    operations = pages_answers;
    operations.send = send;
    operations.page_lost = page_lost;
    pages_core = dsm_create(&settings, &operations, NULL);
    if (pages_core == NULL)
        return ERR_NO_MEMORY;
    dsm_tick(pages_core, clock_now_ns());
    loop_add_step(&pages_step);
    return ERR_OK;
}
