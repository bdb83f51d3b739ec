// SPDX-License-Identifier: BSD-2-Clause
// sources: tests/dsm/world.c tests/dsm/cache.c $(DSM_PAGES)
// Distributed shared memory, on a model of caches and a network: what moves, what does not,
// what is left after a death.
#include "dsm_scene.h"

#include <stdio.h>
#include <string.h>

static void test_reading_and_writing(void)
{
    begin(3);
    tap_ok(access_page(1, 5, false) && counters(1).zeroes == 1 && counters(1).data_received == 0,
           "a page never written comes as zeroes, without data");
    tap_ok(access_page(2, 5, true) && access_page(3, 5, false) && cache_of(3)->seen == 1 &&
               counters(3).data_received == 1,
           "what one node writes another reads");
    tap_ok(access_page(3, 5, true) && counters(3).upgrades == 1 && counters(3).data_received == 1,
           "who has the newest copy may write without getting the data again");
    uint64_t messages = world->messages;
    tap_ok(access_page(3, 5, true) && access_page(3, 5, false) && world->messages == messages,
           "what is there needs no message");
    tap_ok(access_page(1, 5, false) && access_page(2, 5, false) && cache_of(2)->seen == 3,
           "readers see what was written last");
    world_end(world);
}

static void test_migration(void)
{
    bool all = true;

    begin(3);
    for (unsigned i = 0; i < 12; i++)
        all = access_page(1 + i % 3, 7, false) && access_page(1 + i % 3, 7, true) && all;
    tap_ok(all && counters(1).migrations + counters(2).migrations + counters(3).migrations >= 5,
           "a page that is read and then written by one node after another goes over at once");
    world_end(world);
}

static void test_deaths(void)
{
    begin(3);
    tap_ok(access_page(3, 1, true) && access_page(3, 2, true) && access_page(2, 2, false),
           "one page is written and another read elsewhere, too");
    uint64_t time = world->now;
    world_kill(world, 3);
    tap_ok(!access_page(1, 1, false) && cache_of(1)->reason == ERR_FAULT,
           "the page whose only copy died is an error");
    tap_ok(world->now - time < 2000 * MILLISECOND, "within two seconds");
    tap_ok(access_page(1, 2, false) && cache_of(1)->seen == 2,
           "a reader's copy is the page when its owner dies");
    tap_ok(access_page(1, 3, false) && cache_of(1)->seen == 0, "what was never written is zero");
    world_kill(world, 2);
    world_run(world, world->now + 1000 * MILLISECOND);
    tap_ok(!access_page(1, 2, false) && cache_of(1)->reason == ERR_PEER_DIED,
           "who is alone of three gets errors, also for what it had");
    world_end(world);
}

// Each page's only copies are, in turn, at each pair of nodes; any one node may die.
static void test_each_death(void)
{
    bool all = true;

    for (uint32_t victim = 1; victim <= 3; victim++) {
        world = world_begin(3, 64, victim);
        all = world_settle(world) && all;
        for (uint32_t page = 0; page < 48; page++)
            all = access_page(1 + page % 3, page, true) && all;
        world_kill(world, victim);
        for (uint32_t page = 0; page < 64; page++) {
            bool dead = page < 48 && 1 + page % 3 == victim;
            uint32_t reader = victim == 1 ? 2 : 1;
            all = access_page(reader, page, false) == !dead && all;
            all = (dead || cache_of(reader)->seen == world->version[page]) && all;
        }
        world_end(world);
    }
    tap_ok(all, "whoever dies, just its own pages are errors, and none is zero that was written");
}

static void restart(uint32_t node)
{
    world_kill(world, node);
    world_run(world, world->now + 1000 * MILLISECOND);
    world_start(world, node);
    world_run(world, world->now + 1000 * MILLISECOND);
}

// Five nodes find each other, and some views on the way are known to one node only: as nobody had
// anything yet, nothing is in doubt. Seeds in which it was.
static void test_no_doubt(void)
{
    static const uint64_t seeds[] = {31264671380340, 21715653215823};
    bool all = true;

    for (uint64_t i = 0; i < 100; i++) {
        world = world_begin(5, 64, i < 2 ? seeds[i] : i);
        (void)world_random(world, 1); // twice, as the simulator does
        (void)world_random(world, 1);
        all = world_settle(world) && all;
        for (uint32_t page = 0; page < 64; page += DSM_BLOCK_PAGES)
            all = access_page(1 + (page + (uint32_t)i) % 5, page, false) && all;
        world_end(world);
    }
    tap_ok(all, "where nobody died nothing is in doubt");
}

// Manager and backup of a page die at once. Then all who saw it die, one after the other, so that
// only who is responsible now knows of it, and at last the manager.
static void test_doubt(void)
{
    const struct placement *place;
    uint32_t bucket = place_bucket(SEGMENT, 5), manager, backup, node;

    begin(5);
    place = &world->nodes[1].core->place;
    manager = place->view.members[place->manager[bucket]].node;
    backup = place->view.members[place->backup[bucket]].node;
    tap_ok(access_page(manager, 5, true), "a page is written by its manager");
    world_kill(world, manager);
    world_kill(world, backup);
    for (node = 1; node == manager || node == backup; node++)
        ;
    tap_ok(!access_page(node, 5, false) && cache_of(node)->reason == ERR_FAULT,
           "when all who knew of it die the page is an error");
    world_start(world, manager);
    world_start(world, backup);
    world_run(world, world->now + 1000 * MILLISECOND);
    for (node = 1; node <= 5; node++)
        if (node != manager && node != backup)
            restart(node);
    tap_ok(world_settle(world) && !access_page(manager, 5, false), "who comes later hears of it");
    world_kill(world, manager);
    tap_ok(!access_page(backup, 5, false) && cache_of(backup)->reason == ERR_FAULT,
           "also the backup, which goes on when the manager dies");
    world_end(world);
}

// A greeting from before node 1 was in a view, overtaken by all that came after: node 3 takes node
// 2 for the one to follow, but not for long.
static void test_late_hello(void)
{
    uint8_t bytes[WIRE_HEADER_BYTES + WIRE_RECORD_BYTES];
    struct dsm *core;

    begin(5);
    core = world->nodes[3].core;
    struct wire_header header = {.node = 1, .life = core->peers[1].life};
    struct wire_record record = {.kind = WIRE_HELLO, .version = core->life};
    wire_put_header(bytes, &header);
    wire_put_record(bytes + WIRE_HEADER_BYTES, &record);
    dsm_received(core, 1, bytes, sizeof bytes);
    tap_ok(core->peers[1].view == 0, "a late greeting is believed");
    world_kill(world, 5);
    world_run(world, world->now + 1000 * MILLISECOND);
    tap_ok(world_settle(world) && core->place.view.count == 4, "but the next view is made");
    world_end(world);
}

// The same greeting, when node 2 has promised a view and not yet been told it: it takes itself for
// the one to propose, and promises that instead.
static void test_late_hello_while_proposing(void)
{
    uint8_t bytes[WIRE_HEADER_BYTES + WIRE_RECORD_BYTES];

    begin(5);
    struct dsm *first = world->nodes[1].core, *core = world->nodes[2].core;
    world_kill(world, 5);
    for (unsigned i = 0; i < 1000 && !(first->proposal.active && first->proposal.promised == 15);
         i++)
        world_run(world, world->now + MILLISECOND);
    tap_ok(!first->proposal.sent, "a view is promised by all and waits for its time");
    struct wire_header header = {.node = 1, .life = core->peers[1].life};
    struct wire_record record = {.kind = WIRE_HELLO, .version = core->life};
    wire_put_header(bytes, &header);
    wire_put_record(bytes + WIRE_HEADER_BYTES, &record);
    dsm_received(core, 1, bytes, sizeof bytes);
    tap_ok(core->promised > first->proposal.view.number, "one has promised another meanwhile");
    world_run(world, world->now + 1000 * MILLISECOND);
    tap_ok(world_settle(world) && core->place.view.count == 4, "and a view is made all the same");
    world_end(world);
}

// Node 1 of four comes again, and may be made a member before it reaches 3 and 4: with node 2 it
// would be half of the cluster, and the half that has node 1 goes on. In which order links come is
// the seed's.
static void test_late_links(void)
{
    bool all = true;

    for (uint64_t seed = 1; seed <= 60 && all; seed++) {
        world = world_begin(4, 64, seed);
        all = world_settle(world) && access_page(3, 1, true) && access_page(4, 2, true);
        world_kill(world, 1);
        world_run(world, world->now + 500 * MILLISECOND);
        world_start(world, 1);
        world_run(world, world->now + 500 * MILLISECOND);
        all = all && world_settle(world);
        for (uint32_t node = 3; node <= 4; node++)
            all = all && access_page(node - 2, node - 2, false) && cache_of(node - 2)->seen != 0;
        world_end(world);
    }
    tap_ok(all, "who comes again does not drive out those whom it has yet to meet");
}

// A reader has lost its link to a writer, and nobody else has, when that one wants to write: it
// does not give up its copy for what may be a death, and then the link is there again.
static void test_short_cut(void)
{
    begin(5);
    uint32_t manager = place_manager(world->nodes[1].core, SEGMENT, 0);
    uint32_t reader = manager == 5 ? 4 : 5, writer = manager == 3 ? 2 : 3;
    struct dsm *core = world->nodes[reader].core;
    tap_ok(access_page(manager, 0, true) && access_page(reader, 0, false),
           "a page is written and read");
    dsm_node_down(core, writer);
    cache_access(cache_of(writer), 0, true);
    world_run(world, world->now + 100 * MILLISECOND);
    tap_ok(cache_of(writer)->waits && access_page(reader, 0, false) && cache_of(reader)->seen == 1,
           "the writer waits for a reader that takes it for dead");
    dsm_node_up(core, writer);
    world_run(world, world->now + 100 * MILLISECOND);
    tap_ok(!cache_of(writer)->waits && access_page(reader, 0, false) && cache_of(reader)->seen == 2,
           "no longer than that; then the reader sees what was written");
    world_end(world);
}

// A page whose manager is on the side of nodes 3 and 4, and its backup on the other.
static uint32_t page_between(void)
{
    const struct dsm *core = world->nodes[3].core;
    uint32_t page = 0;

    while (place_manager(core, SEGMENT, page) != 4 ||
           core->place.view.members[place_backup(core, SEGMENT, page)].node > 2)
        page++;
    return page;
}

// Writer and manager go together, just when the page is written for the first time.
static void test_first_writer_cut(void)
{
    begin(4);
    uint32_t page = page_between();
    world->side[3] = world->side[4] = 1;
    world->failures = 4;
    world_connect(world);
    cache_access(cache_of(3), page, true);
    world_run(world, world->now + 50 * MILLISECOND);
    uint64_t written = world->version[page];
    world_run(world, world->now + 1000 * MILLISECOND);
    tap_ok(!cache_of(3)->waits && !access_page(4, page, false) && !access_page(3, page, true),
           "two of four that are cut off get errors");
    bool reads = access_page(1, page, false);
    tap_ok(reads ? cache_of(1)->seen == written : written != 0,
           "the others read what they had written, or know that it is lost");
    world_end(world);
}

static void test_cutting(void)
{
    begin(2);
    tap_ok(access_page(1, 9, true) && access_page(2, 10, true), "two pages are written");
    for (uint32_t n = 1; n <= 2; n++) {
        struct dsm *core = world->nodes[n].core;
        (void)dsm_segment_resize(core, SEGMENT, 10, 2);
        world_after(&world->nodes[n]);
    }
    world_run(world, world->now + 10 * MILLISECOND);
    cache_of(1)->sequence++;
    tap_ok(access_page(2, 9, false) && cache_of(2)->seen == 1, "what is left is as it was");
    tap_ok(dsm_segment_resize(world->nodes[1].core, SEGMENT, 64, 1) == ERR_INVALID_ARGUMENT &&
               dsm_segment_resize(world->nodes[1].core, 99, 64, 1) == ERR_NOT_FOUND,
           "an older length, or another segment, is refused");
    for (uint32_t n = 1; n <= 2; n++)
        (void)dsm_segment_resize(world->nodes[n].core, SEGMENT, 64, 2);
    world->version[10] = 0;
    tap_ok(access_page(1, 10, false) && cache_of(1)->seen == 0, "what was cut off is zero");
    world_end(world);
}

// Each kind of message with wrong contents, from a member and from a stranger: nothing happens.
// --- Two caches of one node ----------------------------------------------------------------------

// Of all caches of all nodes, two a node.
static void count_accesses(uint64_t *fewest, uint64_t *most)
{
    *fewest = UINT64_MAX;
    *most = 0;
    for (uint32_t node = 1; node <= world->count; node++)
        for (unsigned c = 0; c < WORLD_CACHES; c++) {
            uint64_t count = world->nodes[node].caches[c].accesses;
            *fewest = count < *fewest ? count : *fewest;
            *most = count > *most ? count : *most;
        }
}

static void test_fight(void)
{
    uint64_t fewest, most;

    world = world_begin(3, 1, 1);
    tap_ok(world_settle(world), "the nodes agree on a view");
    world->automatic = true;
    world->writes_percent = 100;
    for (uint32_t node = 1; node <= world->count; node++)
        for (unsigned c = 0; c < WORLD_CACHES; c++)
            cache_access(&world->nodes[node].caches[c], 0, true);
    world_run(world, world->now + 200 * MILLISECOND);
    count_accesses(&fewest, &most);
    printf("# %llu to %llu accesses\n", (unsigned long long)fewest, (unsigned long long)most);
    tap_ok(fewest > 100 && fewest > most / 4,
           "when all caches of all nodes write one page, two a node, each gets its turns");
    world_end(world);
}

static void test_silent_cache(void)
{
    struct cache *other;

    begin(2);
    other = &world->nodes[1].caches[1];
    cache_of(1)->silent = true;
    tap_ok(access_page(1, 9, true), "a cache writes that will not return what it may keep");
    cache_access(other, 9, false);
    world_run(world, world->now + 100 * MILLISECOND);
    tap_ok(!other->waits && other->seen == cache_of(1)->wrote,
           "the node's other one reads what it wrote: it was to give the page up");
    tap_ok(access_page(1, 9, true) && access_page(2, 9, false) &&
               cache_of(2)->seen == cache_of(1)->wrote,
           "and so does another node");
    struct dsm_totals totals;
    dsm_totals(world->nodes[1].core, &totals);
    tap_ok(totals.malformed == 2, "that it did so was counted");
    world_end(world);
}

static void test_wrong_messages(void)
{
    uint8_t bytes[WIRE_HEADER_BYTES + WIRE_RECORD_BYTES + 64];
    struct dsm *core;
    struct dsm_totals before, after;

    begin(2);
    tap_ok(access_page(1, 1, true) && access_page(2, 2, true), "two pages are written");
    core = world->nodes[1].core;
    dsm_totals(core, &before);
    for (unsigned kind = 0; kind <= WIRE_KINDS; kind++)
        for (unsigned variant = 0; variant < 256; variant++) {
            struct wire_header header = {.node = 2,
                                         .life = core->peers[2].life + (variant & 1),
                                         .view = core->place.view.number - (variant >> 1 & 1)};
            struct wire_record record = {.kind = (uint8_t)kind,
                                         .flags = (uint8_t)(variant >> 2),
                                         .node = (uint16_t)(variant & 64 ? 9999 : 2),
                                         .segment = variant & 32 ? 77 : SEGMENT,
                                         .generation = 1,
                                         .page = variant & 16 ? ~0ull : 40,
                                         .extra = variant & 128 ? 64 : 0,
                                         .txn = variant & 8 ? 0 : 1};
            memset(bytes, (int)variant, sizeof bytes);
            wire_put_header(bytes, &header);
            wire_put_record(bytes + WIRE_HEADER_BYTES, &record);
            dsm_received(core, 2, bytes, sizeof bytes - (variant & 1 ? 64 : 0));
        }
    dsm_totals(core, &after);
    tap_ok(after.malformed + after.stale > before.malformed + before.stale + 1000,
           "wrong and late messages are counted");
    world_run(world, world->now + 3000 * MILLISECOND);
    tap_ok(access_page(1, 1, false) && access_page(2, 2, false) && access_page(2, 1, false),
           "and the pages are as they were");
    world_end(world);
}

// Writes all pages on node 1, which has room for none of them, gives each back, and reads all on
// node 2. Whether each was there.
static bool write_and_give_back(void)
{
    bool all = true;

    for (uint32_t page = 0; page < 64; page++) {
        all = access_page(1, page, true) && all;
        cache_evict(cache_of(1), page);
        world_run(world, world->now + 10 * MILLISECOND);
    }
    return all;
}

static void bound(uint32_t node, uint64_t bytes)
{
    world->memory_bytes = bytes;
    world->nodes[node].core->settings.memory_bytes = bytes;
}

static void test_short_of_memory(void)
{
    struct dsm_totals totals;
    bool all;

    begin(3);
    bound(1, 32768);
    bound(2, 180000);
    tap_ok(write_and_give_back(), "a node that has no room writes more than it may keep");
    world_run(world, world->now + 500 * MILLISECOND);
    dsm_totals(world->nodes[1].core, &totals);
    tap_ok(totals.stored <= 4 && counters(2).taken_over >= 10 && counters(3).taken_over >= 30,
           "others have taken the pages over, each what it has room for");
    all = true;
    for (uint32_t page = 0; page < 64; page++)
        all = access_page(2, page, false) && cache_of(2)->seen == page + 1 && all;
    tap_ok(all && counters(1).lost + counters(2).lost + counters(3).lost == 0, "none is lost");
    world_end(world);
}

static void test_no_memory_anywhere(void)
{
    bool all = true;

    begin(2);
    bound(1, 32768);
    bound(2, 32768);
    tap_ok(!write_and_give_back() && cache_of(1)->reason == ERR_NO_MEMORY,
           "when no node has room a new page is an error");
    uint64_t time = world->now;
    tap_ok(!access_page(1, 63, true) && world->now - time < 100 * MILLISECOND, "at once");
    for (uint32_t page = 0; page < 64; page++)
        if (world->version[page] != 0)
            all = access_page(2, page, false) && cache_of(2)->seen == world->version[page] && all;
    bound(2, 0);
    world_run(world, world->now + 2000 * MILLISECOND);
    for (uint32_t page = 0; page < 64; page++)
        if (world->version[page] != 0)
            all = access_page(2, page, false) && cache_of(2)->seen == world->version[page] && all;
    tap_ok(access_page(1, 63, true), "and can be had when there is room again");
    tap_ok(all, "what was written is there all the time");
    world_end(world);
}

int main(void)
{
    test_reading_and_writing();
    test_short_of_memory();
    test_no_memory_anywhere();
    test_migration();
    test_deaths();
    test_each_death();
    test_no_doubt();
    test_doubt();
    test_late_hello();
    test_late_hello_while_proposing();
    test_late_links();
    test_short_cut();
    test_first_writer_cut();
    test_cutting();
    test_wrong_messages();
    test_fight();
    test_silent_cache();
    return tap_end();
}
