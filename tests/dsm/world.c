// SPDX-License-Identifier: BSD-2-Clause
// The world's time, network and nodes.
#include "tests/dsm/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DETECT_NS (200 * MILLISECOND) // until a node knows that it does not reach another
#define FENCE_NS  (100 * MILLISECOND)
// What a node has said before its death arrives so long afterwards at most, at a program.
#define ON_THE_WAY_NS (10 * MILLISECOND)

void world_fail(const struct world *world, const char *text, const char *file, int line)
{
    printf("not ok 1 - seed %lu: %s\n# at %s:%d, time %lu\n1..1\n", (unsigned long)world->seed,
           text, file, line, (unsigned long)world->now);
    fflush(stdout);
    abort();
}

uint32_t world_random(struct world *world, uint32_t below)
{
    world->random += 0x9e3779b97f4a7c15ull;
    return below != 0 ? (uint32_t)(dsm_mix(world->random) % below) : 0;
}

static void *checked(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

// --- Events ---------------------------------------------------------------------------------

static bool is_before(const struct event *left, const struct event *right)
{
    return left->at != right->at ? left->at < right->at : left->order < right->order;
}

struct event *world_event(struct world *world, struct world_node *node, uint64_t at,
                          void (*happen)(struct world *world, struct event *event),
                          const void *data, size_t bytes)
{
    struct event *event = checked(calloc(1, sizeof *event + bytes));

    *event = (struct event){.at = at,
                            .order = world->next_event++,
                            .happen = happen,
                            .node = node,
                            .start = node != NULL ? node->start : 0,
                            .bytes = bytes};
    if (bytes != 0)
        memcpy(event->data, data, bytes);
    if (world->event_count == world->event_room) {
        world->event_room = world->event_room != 0 ? world->event_room * 2 : 256;
        world->events = checked(realloc(world->events, world->event_room * sizeof(struct event *)));
    }
    size_t place = world->event_count++;
    for (; place != 0 && is_before(event, world->events[(place - 1) / 2]); place = (place - 1) / 2)
        world->events[place] = world->events[(place - 1) / 2];
    world->events[place] = event;
    return event;
}

static struct event *take_event(struct world *world)
{
    struct event *first = world->events[0], *last = world->events[--world->event_count];
    size_t place = 0;

    for (;;) {
        size_t child = 2 * place + 1;
        if (child >= world->event_count)
            break;
        if (child + 1 < world->event_count &&
            is_before(world->events[child + 1], world->events[child]))
            child++;
        if (!is_before(world->events[child], last))
            break;
        world->events[place] = world->events[child];
        place = child;
    }
    world->events[place] = last;
    return first;
}

struct event *world_take_next(struct world *world, const struct cache *cache,
                              bool (*is_one)(const struct event *event))
{
    const struct event *next = world->event_count != 0 ? world->events[0] : NULL;

    if (next == NULL || next->cache != cache || next->start != cache->node->start || !is_one(next))
        return NULL;
    return take_event(world);
}

void world_run(struct world *world, uint64_t until)
{
    while (world->event_count != 0 && world->events[0]->at <= until) {
        struct event *event = take_event(world);
        world->now = event->at;
        if (event->node == NULL ||
            (event->node->core != NULL && event->node->start == event->start))
            event->happen(world, event);
        free(event);
    }
    if (until > world->now)
        world->now = until;
}

// --- Nodes ----------------------------------------------------------------------------------

static void tick(struct world *world, struct event *event)
{
    if (event->node->tick_at == event->at)
        event->node->tick_at = 0;
    dsm_tick(event->node->core, world->now);
    world_after(event->node);
}

void world_after(struct world_node *node)
{
    uint64_t next = dsm_next(node->core);

    if (next <= node->world->now)
        next = node->world->now + MILLISECOND / 10;
    if (next != UINT64_MAX && (node->tick_at == 0 || next < node->tick_at)) {
        node->tick_at = next;
        world_event(node->world, node, next, tick, NULL, 0);
    }
}

static bool reaches(const struct world *world, uint32_t from, uint32_t to)
{
    return world->nodes[from].core != NULL && world->nodes[to].core != NULL &&
           world->side[from] == world->side[to];
}

static void arrive(struct world *world, struct event *event)
{
    if (!reaches(world, event->from, event->node->number))
        return;
    world->messages++;
    dsm_tick(event->node->core, world->now);
    dsm_received(event->node->core, event->from, event->data, event->bytes);
    world_after(event->node);
}

static void send(void *context, uint32_t node, const void *data, size_t bytes)
{
    struct world_node *from = context;
    struct world *world = from->world;
    unsigned copies = 1;

    must(world, ((node >= 1 && node <= world->count) || world->lies) && bytes <= DSM_MESSAGE_MAX,
         "a message goes to a node and is not too long");
    if (node > world->count)
        return;
    if (world->overhear != NULL)
        world->overhear(world, from->number, node, data, bytes);
    if (world_random(world, 1000) < world->faults.loss)
        copies = 0;
    else if (world_random(world, 1000) < world->faults.doubles)
        copies = 2;
    while (copies-- != 0) {
        uint64_t delay = 20000 + world_random(world, (uint32_t)world->faults.delay_ns);
        struct event *event =
            world_event(world, &world->nodes[node], world->now + delay, arrive, data, bytes);
        event->from = from->number;
    }
}

static void view_changed(void *context, uint64_t view, bool stable, bool majority)
{
    struct world_node *node = context;

    (void)view;
    (void)stable;
    node->ended = !majority;
}

static void page_lost(void *context, uint64_t segment, uint64_t page)
{
    struct world_node *node = context;

    struct world *world = node->world;

    if (world->lies)
        return;
    must(world, segment == SEGMENT && page < WORLD_PAGES, "a page that there is");
    must(world, !world_has_copy(world, node->core->place.view.number, page) && world->failures != 0,
         "only pages that nobody has are lost");
    world->doomed[page] = true;
    world->lost_pages++;
}

// Telling a node whether it reaches another; it was so when the telling was decided. Both ends of a
// link find out that it is down at nearly the same time, and not by an earlier fault of it: dsm.h,
// fence_ns, and netipc/core/core.c, peer_tick, which sees to it.
static void tell(struct world *world, struct event *event)
{
    uint32_t other = event->from;
    struct world_node *node = event->node;
    bool up = event->numbers[0] != 0;

    dsm_tick(node->core, world->now);
    if (event->numbers[1] != world->apart[node->number][other] || up == node->told_up[other])
        return;
    if (up)
        dsm_node_up(node->core, other);
    else
        dsm_node_down(node->core, other);
    node->told_up[other] = up;
    world_after(node);
}

static void note_apart(struct world *world, uint32_t a, uint32_t b)
{
    uint64_t *apart = &world->apart[a][b];

    if (reaches(world, a, b))
        *apart = 0;
    else if (*apart == 0)
        *apart = world->next_event + 1;
}

void world_connect(struct world *world)
{
    for (uint32_t a = 1; a <= world->count; a++)
        for (uint32_t b = 1; b <= world->count; b++)
            note_apart(world, a, b);
    for (uint32_t a = 1; a <= world->count; a++)
        for (uint32_t b = 1; b <= world->count; b++) {
            bool up = a != b && reaches(world, a, b);
            if (a == b || world->nodes[a].core == NULL || up == world->nodes[a].told_up[b])
                continue;
            uint64_t delay = up ? 0 : DETECT_NS;
            delay += world_random(world, 20 * MILLISECOND);
            struct event *event =
                world_event(world, &world->nodes[a], world->now + delay, tell, NULL, 0);
            event->from = b;
            event->numbers[0] = up;
            event->numbers[1] = world->apart[a][b];
        }
}

void world_start(struct world *world, uint32_t number)
{
    static const struct dsm_operations others = {
        .send = send, .view_changed = view_changed, .page_lost = page_lost};
    static struct dsm_operations operations;
    struct world_node *node = &world->nodes[number];
    struct dsm_settings settings = {.node = number,
                                    .cluster_size = world->count,
                                    .incarnation = (++node->start + 1) * 1000000ull,
                                    .retry_ns = 20 * MILLISECOND,
                                    .fence_ns = FENCE_NS,
                                    .limit_ns = 60000 * MILLISECOND,
                                    .trace_size = 64,
                                    .spare_pages = 1 + world_random(world, 40),
                                    .memory_bytes =
                                        number < world->count ? world->memory_bytes : 0};

    operations = world_operations;
    operations.send = others.send;
    operations.view_changed = others.view_changed;
    operations.page_lost = others.page_lost;
    node->core = checked(dsm_create(&settings, &operations, node));
    node->ended = false;
    node->tick_at = 0;
    memset(node->told_up, 0, sizeof node->told_up);
    dsm_tick(node->core, world->now);
    must(world, dsm_segment_open(node->core, SEGMENT, world->pages, world->generation) == ERR_OK,
         "a segment is opened");
    for (unsigned i = 0; i < WORLD_CACHES; i++)
        cache_open(&node->caches[i]);
    world_after(node);
    // Those who knew it before have to hear that it is another.
    for (uint32_t other = 1; other <= world->count; other++)
        if (world->nodes[other].core != NULL && world->nodes[other].told_up[number]) {
            struct world_node *peer = &world->nodes[other];
            dsm_tick(peer->core, world->now);
            dsm_node_down(peer->core, number);
            peer->told_up[number] = false;
            world_after(peer);
        }
    world_connect(world);
}

static void remember_doubt(struct world *world, const struct dsm *core)
{
    const struct dsm_segment *segment = segment_find(core, SEGMENT);

    if (world->now > world->doubt_until)
        memset(world->doubt, 0, sizeof world->doubt);
    for (uint32_t i = 0; i < DSM_BUCKETS / 64; i++)
        world->doubt[i] |= segment->doubt[i];
    world->doubt_until = world->now + ON_THE_WAY_NS;
}

void world_kill(struct world *world, uint32_t number)
{
    struct world_node *node = &world->nodes[number];

    if (node->core == NULL)
        return;
    remember_doubt(world, node->core);
    dsm_destroy(node->core);
    node->core = NULL;
    for (unsigned i = 0; i < WORLD_CACHES; i++)
        cache_close(&node->caches[i]);
    world->failures++;
    world_connect(world);
}

struct world *world_begin(uint32_t count, uint32_t pages, uint64_t seed)
{
    struct world *world = checked(calloc(1, sizeof *world));

    world->seed = world->random = seed;
    world->count = count;
    world->pages = pages;
    world->now = MILLISECOND;
    world->generation = 1;
    world->faults = (struct world_faults){.delay_ns = 200000, .cache_delay_ns = 20000};
    for (uint32_t i = 1; i <= count; i++) {
        struct world_node *node = &world->nodes[i];
        node->world = world;
        node->number = i;
        for (unsigned c = 0; c < WORLD_CACHES; c++) {
            node->caches[c].node = node;
            node->caches[c].data = checked(calloc(WORLD_PAGES, DSM_PAGE_BYTES));
        }
        world_start(world, i);
    }
    return world;
}

bool world_settle(struct world *world)
{
    for (unsigned i = 0; i < 10000; i++) {
        bool all = true;
        uint64_t view = 0;
        for (uint32_t n = 1; n <= world->count; n++) {
            const struct dsm *core = world->nodes[n].core;
            if (core == NULL)
                continue;
            view = view != 0 ? view : core->place.view.number;
            all = all && core->stable && core->place.view.number == view;
        }
        if (all)
            return true;
        world_run(world, world->now + MILLISECOND);
    }
    return false;
}

void world_end(struct world *world)
{
    for (uint32_t i = 1; i <= world->count; i++) {
        if (world->nodes[i].core != NULL)
            dsm_destroy(world->nodes[i].core);
        for (unsigned c = 0; c < WORLD_CACHES; c++)
            free(world->nodes[i].caches[c].data);
        for (unsigned c = 0; c < WORLD_CACHES; c++)
            world->nodes[i].caches[c].core = NULL;
    }
    while (world->event_count != 0)
        free(take_event(world));
    free(world->events);
    free(world);
}
