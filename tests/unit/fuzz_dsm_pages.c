// SPDX-License-Identifier: BSD-2-Clause
// sources: tests/dsm/world.c tests/dsm/cache.c tests/dsm/check.c $(DSM_PAGES)
// The core of shared pages, and what may come from outside: three nodes whose programs use pages,
// and among their messages others. Either all nodes are honest, and what they have said comes
// again, late, cut, under a wrong name, or from a life or a view that is over: then it must make no
// difference to any program. Or node 3 lies: then the cores must stay whole, keep to what
// caches rely on, and when node 3 is gone every access must end.
// Input: a byte, who lies; then acts, a byte each and what they need.
#include "tests/dsm/world.h"

#include <stdlib.h>
#include <string.h>

#define NODES 3u
#define LIAR  3u
#define PAGES 24u
#define HEARD 64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct heard {
    uint32_t from, to;
    size_t bytes;
    uint8_t data[2 * DSM_PAGE_BYTES];
} heard[HEARD];

static unsigned heard_count;

struct input {
    const uint8_t *at;
    size_t left;
};

static uint8_t take(struct input *input)
{
    if (input->left == 0)
        return 0;
    input->left--;
    return *input->at++;
}

static uint32_t take_below(struct input *input, uint32_t limit)
{
    return (uint32_t)(take(input) | take(input) << 8) % limit;
}

static void overhear(struct world *world, uint32_t from, uint32_t to, const void *data,
                     size_t bytes)
{
    struct heard *one = &heard[heard_count % HEARD];

    (void)world;
    if (bytes > sizeof one->data)
        return;
    one->from = from;
    one->to = to;
    one->bytes = bytes;
    memcpy(one->data, data, bytes);
    heard_count++;
}

// As the server does it: from a node that is there, and not from bytes that stay.
static void deliver(struct world *world, uint32_t from, uint32_t to, const uint8_t *data,
                    size_t bytes)
{
    struct world_node *node = &world->nodes[to];

    if (node->core == NULL || from == to || (from <= NODES && !node->told_up[from]))
        return;
    uint8_t *copy = malloc(bytes != 0 ? bytes : 1);
    if (copy == NULL)
        abort();
    memcpy(copy, data, bytes);
    dsm_tick(node->core, world->now);
    dsm_received(node->core, from, copy, bytes);
    free(copy);
    world_after(node);
}

// --- Acts of honest nodes, and of the network ---------------------------------------------------

static void come_again(struct world *world, struct input *input)
{
    const struct heard *one;

    if (heard_count == 0)
        return;
    one = &heard[take(input) % (heard_count < HEARD ? heard_count : HEARD)];
    size_t bytes = one->bytes;
    if (take(input) % 2 != 0)
        bytes = take_below(input, (uint32_t)bytes + 1);
    deliver(world, one->from, one->to, one->data, bytes);
}

// Any message under the name of another, who may not be one of the cluster at all.
static void wrong_name(struct world *world, struct input *input)
{
    const struct heard *one;
    uint32_t from = 1 + take(input), to = 1 + take(input) % NODES;
    struct dsm_totals before, after;

    if (heard_count == 0 || world->nodes[to].core == NULL || from > DSM_NODE_MAX || from == to)
        return;
    one = &heard[take(input) % (heard_count < HEARD ? heard_count : HEARD)];
    if (one->from == from || (from <= NODES && !world->nodes[to].told_up[from]))
        return;
    dsm_totals(world->nodes[to].core, &before);
    deliver(world, from, to, one->data, one->bytes);
    dsm_totals(world->nodes[to].core, &after);
    must(world, after.malformed > before.malformed, "who speaks for another is not heard");
}

// Fields with values that mean something, as far as there are some.
static void make_record(struct world *world, struct input *input, uint32_t to,
                        struct wire_record *record)
{
    const struct dsm *core = world->nodes[to].core;
    uint64_t page = take(input) % (PAGES + 2);
    const struct dsm_segment *segment = segment_find(core, SEGMENT);
    const struct page *copy = segment != NULL ? page_find(segment, page) : NULL;
    const struct entry *entry = segment != NULL ? entry_find(segment, page) : NULL;
    const uint64_t numbers[] = {0,
                                1,
                                core->place.view.number,
                                core->promised,
                                core->promised + 256 * take(input),
                                core->life,
                                core->peers[LIAR].life,
                                core->joined,
                                core->last_txn,
                                core->last_serial,
                                copy != NULL ? copy->txn : 7,
                                copy != NULL ? copy->txn + 1 : 8,
                                copy != NULL ? copy->version : 9,
                                copy != NULL ? copy->serial : 10,
                                entry != NULL ? entry->txn : 11,
                                entry != NULL ? entry->request.serial : 12,
                                entry != NULL ? entry->version : 13,
                                UINT64_MAX,
                                UINT64_MAX - take(input),
                                take(input)};
    const size_t count = sizeof numbers / sizeof numbers[0];

    *record = (struct wire_record){
        .kind = (uint8_t)(1 + take(input) % (WIRE_KINDS - 1)),
        .flags = take(input),
        .node = (uint16_t)(take(input) % 8),
        .segment = take(input) % 8 != 0 ? SEGMENT : take(input),
        .generation = take(input) % 8 != 0 ? world->generation : numbers[take(input) % count],
        .page = page,
        .txn = numbers[take(input) % count],
        .version = numbers[take(input) % count],
        .serial = numbers[take(input) % count]};
    if (take(input) % 16 == 0)
        record->page = numbers[take(input) % count];
    if (take(input) % 16 == 0)
        record->node = (uint16_t)take_below(input, 65536);
}

static void put_extra(const struct world *world, struct input *input, uint32_t to,
                      struct wire_record *record, uint8_t *extra)
{
    const struct view *view = &world->nodes[to].core->place.view;

    if (record->kind == WIRE_DATA && (record->flags & (WIRE_ZERO | WIRE_HAVE)) == 0) {
        record->extra = DSM_PAGE_BYTES;
        memset(extra, take(input), DSM_PAGE_BYTES);
    } else if (record->kind == WIRE_VIEW || record->kind == WIRE_PROMISE) {
        uint32_t count = take(input) % (NODES + 2);
        record->extra = count * WIRE_MEMBER_BYTES;
        memset(extra, 0, record->extra);
        for (uint32_t i = 0; i < count; i++) {
            uint8_t fields = take(input);
            extra[i * WIRE_MEMBER_BYTES] = (uint8_t)(i + 1 + (fields & 1));
            if (i < view->count) {
                uint64_t life = view->members[i].life,
                         joined = view->members[i].joined + (fields >> 1);
                memcpy(extra + i * WIRE_MEMBER_BYTES + 8, &life, 8);
                memcpy(extra + i * WIRE_MEMBER_BYTES + 16, &joined, 8);
            }
        }
    } else if (record->kind == WIRE_HELD) {
        uint32_t count = take(input) % 8;
        record->extra = count * WIRE_HELD_BYTES;
        record->page = take(input) % 3;
        record->version = 1 + take(input) % 3;
        for (uint32_t i = 0; i < count; i++) {
            struct wire_held held = {.flags = take(input),
                                     .node = take(input),
                                     .segment = SEGMENT,
                                     .page = take(input) % PAGES,
                                     .version = take(input) % 8,
                                     .generation = world->generation + take(input) % 2,
                                     .granted = take(input) % 4};
            wire_put_held(extra + i * WIRE_HELD_BYTES, &held);
        }
    }
}

// A message of one record as from node 3. Its life and view are right, or (`late`) one is not.
static void say(struct world *world, struct input *input, bool late)
{
    uint8_t bytes[WIRE_HEADER_BYTES + WIRE_RECORD_BYTES + DSM_PAGE_BYTES];
    uint32_t to = 1 + take(input) % 2;
    const struct dsm *core = world->nodes[to].core;
    struct wire_record record;
    struct dsm_totals before, after;

    if (core == NULL)
        return;
    struct wire_header header = {
        .node = LIAR, .life = core->peers[LIAR].life, .view = core->place.view.number};
    make_record(world, input, to, &record);
    put_extra(world, input, to, &record, bytes + WIRE_HEADER_BYTES + WIRE_RECORD_BYTES);
    if (late) {
        header.life -= take(input) % 2;
        header.view -= header.life == core->peers[LIAR].life ? 256 : 0;
        // What is said of views goes by numbers of its own.
        if (record.kind < WIRE_REQUEST)
            record.kind = WIRE_REQUEST;
        record.extra = 0;
    }
    wire_put_header(bytes, &header);
    wire_put_record(bytes + WIRE_HEADER_BYTES, &record);
    dsm_totals(core, &before);
    deliver(world, LIAR, to, bytes, WIRE_HEADER_BYTES + WIRE_RECORD_BYTES + record.extra);
    dsm_totals(core, &after);
    must(world, !late || !world->nodes[to].told_up[LIAR] || after.stale > before.stale,
         "what is late is not heard");
}

// Something that was said, with bits that are others, as from node 3.
static void say_altered(struct world *world, struct input *input)
{
    struct heard one;

    if (heard_count == 0)
        return;
    one = heard[take(input) % (heard_count < HEARD ? heard_count : HEARD)];
    one.data[4] = LIAR;
    for (unsigned i = take(input) % 4; i != 0; i--) {
        uint32_t place = take_below(input, (uint32_t)(one.bytes < 256 ? one.bytes : 256) * 8);
        one.data[place / 8] ^= (uint8_t)(1u << place % 8);
    }
    deliver(world, LIAR, 1 + take(input) % 2, one.data, one.bytes);
}

static void access_page(struct world *world, struct input *input)
{
    struct cache *cache = &world->nodes[1 + take(input) % NODES].caches[take(input) % WORLD_CACHES];
    uint32_t page = take(input) % PAGES;

    if (cache->core != NULL && !cache->waits)
        cache_access(cache, page, take(input) % 2 != 0);
}

static void stop_or_start(struct world *world)
{
    if (world->nodes[LIAR].core != NULL)
        world_kill(world, LIAR);
    else
        world_start(world, LIAR);
}

static void act(struct world *world, struct input *input)
{
    uint8_t what = take(input);

    switch (what % 16) {
    case 0:
    case 1:
    case 2:
        world_run(world, world->now + take(input) * (what < 16 ? MILLISECOND : 20000));
        break;
    case 3:
    case 4:
    case 5:
    case 6:
        access_page(world, input);
        break;
    case 7:
    case 8:
        come_again(world, input);
        break;
    case 9:
        wrong_name(world, input);
        break;
    case 10:
        if (what < 32)
            stop_or_start(world);
        break;
    default:
        if (!world->lies)
            say(world, input, true);
        else if (what % 16 == 11)
            say_altered(world, input);
        else
            say(world, input, false);
    }
}

static bool anybody_waits(const struct world *world)
{
    for (uint32_t n = 1; n <= NODES; n++)
        for (unsigned c = 0; c < WORLD_CACHES; c++)
            if (world->nodes[n].caches[c].waits)
                return true;
    return false;
}

// Until all who wait are answered, if only by an error for want of an answer.
static void end_accesses(struct world *world, uint64_t limit_ns)
{
    uint64_t until = world->now + limit_ns;

    while (anybody_waits(world) && world->now < until)
        world_run(world, world->now + MILLISECOND);
    must(world, !anybody_waits(world), "every access ends");
}

// Node 3 is gone for good, or there for good: whoever waits is answered, and all goes on.
static void rest(struct world *world)
{
    if (world->lies)
        world_kill(world, LIAR);
    else if (world->nodes[LIAR].core == NULL)
        world_start(world, LIAR);
    world_run(world, world->now + 500 * MILLISECOND);
    must(world, world_settle(world), "the others agree on a view");
    end_accesses(world, 70000 * MILLISECOND);
    for (uint32_t page = 0; page < PAGES; page++)
        for (uint32_t n = 1; n <= NODES; n++) {
            struct cache *cache = &world->nodes[n].caches[page % WORLD_CACHES];
            if (cache->core != NULL)
                cache_access(cache, page, page % 2 == n % 2);
            end_accesses(world, 2000 * MILLISECOND);
        }
    world_check(world);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct world *world = world_begin(NODES, PAGES, 1);

    heard_count = 0;
    world->overhear = overhear;
    must(world, world_settle(world), "the nodes agree on their first view");
    world->lies = take(&input) % 2 != 0;
    while (input.left != 0) {
        act(world, &input);
        world_check(world);
    }
    rest(world);
    world_end(world);
    return 0;
}
