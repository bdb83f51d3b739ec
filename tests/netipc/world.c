// SPDX-License-Identifier: BSD-2-Clause
// Life of the world and its nodes; chance; time.
#include "tests/netipc/world_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// --- Random numbers (splitmix64) ----------------------------------------------------------

static uint64_t random64(struct world *world)
{
    uint64_t z = world->random += 0x9e3779b97f4a7c15ull;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

volatile unsigned world_own_memory;

void *world_obtain(size_t bytes)
{
    world_own_memory++;
    void *memory = calloc(1, bytes);
    world_own_memory--;
    if (memory == NULL)
        abort();
    return memory;
}

void *world_enlarge(void *memory, size_t bytes)
{
    world_own_memory++;
    memory = realloc(memory, bytes);
    world_own_memory--;
    if (memory == NULL)
        abort();
    return memory;
}

bool world_fails(struct world *world)
{
    bool fails = world->failures != 0 && world_own_memory == 0 &&
                 world_random(world, 10000) < world->failures;

    world->refusals += fails;
    return fails;
}

uint32_t world_random(struct world *world, uint32_t below)
{
    return (uint32_t)(random64(world) % below);
}

// --- Life ----------------------------------------------------------------------------------------

static void node_start(struct world *world, struct node *node, uint32_t number)
{
    struct core_settings settings = world->settings;

    *node = (struct node){.world = world, .number = number, .incarnation = node->incarnation + 1};
    settings.identity.self.node = number;
    settings.identity.self.incarnation = node->incarnation;
    // Every other one: sanitizers do not see all errors in memory that is kept.
    settings.keeps_memory = number % 2 == 0;
    world_own_memory++;
    node->core = core_create(&settings, &world_operations, node);
    core_tick(node->core, world->now_ns);
    world_own_memory--;
}

struct world *world_begin(uint32_t count, uint64_t seed, uint32_t options)
{
    struct world *world = world_obtain(sizeof *world);

    world->random = seed;
    world->count = count;
    world->now_ns = 1;
    world->settings = (struct core_settings){
        .identity = {.self = {.cluster_size = count, .options = options}, .key = {1, 2, 3}},
        .heartbeat_ns = 100000000,
        .suspect_ns = 500000000,
        .dead_ns = 2000000000,
        .unreached_ns = 2400000000,
    };
    world->nodes = world_obtain((count + 1) * sizeof *world->nodes);
    world->changes_between = world_obtain((count + 1) * (count + 1) * sizeof(uint32_t));
    for (uint32_t i = 1; i <= count; i++)
        node_start(world, &world->nodes[i], i);
    return world;
}

uint64_t world_changes(const struct world *world, uint32_t one, uint32_t other)
{
    uint32_t low = one < other ? one : other, high = one < other ? other : one;

    return world->changes_between[low * (world->count + 1) + high];
}

bool world_step(struct world *world)
{
    uint32_t first = world_random(world, 4);

    world->steps++;
    if (first == 0 && kernel_step(world))
        return true;
    if (first <= 2 && pending_step(world))
        return true;
    return network_step(world) || pending_step(world) || kernel_step(world);
}

uint64_t world_settle(struct world *world)
{
    uint64_t steps = world->steps;

    while (world_step(world))
        ;
    return world->steps - steps;
}

void world_link(struct world *world)
{
    for (uint32_t low = 1; low <= world->count; low++) {
        struct node *node = &world->nodes[low];
        for (uint32_t high = low + 1; high <= world->count; high++) {
            struct node *other = &world->nodes[high];
            if (!node->dead && !other->dead && !node->frozen && !other->frozen &&
                core_wants_link(node->core, high) &&
                (world->cut == NULL ||
                 (!world->cut(world, low, high) && !world->cut(world, high, low))))
                network_open(world, node, other);
        }
    }
}

void world_connect(struct world *world)
{
    world_link(world);
    world_settle(world);
}

void world_tick(struct world *world, uint64_t nanoseconds)
{
    world->now_ns += nanoseconds;
    for (uint32_t i = 1; i <= world->count; i++)
        if (!world->nodes[i].dead && !world->nodes[i].frozen)
            core_tick(world->nodes[i].core, world->now_ns);
}

void world_pass(struct world *world, uint64_t nanoseconds)
{
    world_tick(world, nanoseconds);
    world_settle(world);
}

// Its links are silent from then on; the others notice by time.
void world_kill(struct world *world, uint32_t number)
{
    struct node *node = &world->nodes[number];

    kernel_give_back(node);
    network_silence(node);
    core_destroy(node->core);
    node->core = NULL;
    network_forget(node);
    kernel_end(node);
    node->dead = true;
    node->frozen = false;
}

void world_start(struct world *world, uint32_t number)
{
    node_start(world, &world->nodes[number], number);
}

uint64_t world_end(struct world *world)
{
    uint64_t left = 0;

    for (uint32_t i = 1; i <= world->count; i++)
        world->nodes[i].frozen = false;
    network_end(world);
    world_settle(world);
    for (uint32_t i = 1; i <= world->count; i++) {
        struct node *node = &world->nodes[i];
        if (node->core == NULL)
            continue;
        core_destroy(node->core);
        node->core = NULL;
        while (kernel_step(world))
            ;
        if (node->right_count + node->port_count + node->segment_count != 0)
            printf("# node %u: %lu rights, %lu ports, %lu segments left\n", i,
                   (unsigned long)node->right_count, (unsigned long)node->port_count,
                   (unsigned long)node->segment_count);
        left += node->right_count + node->port_count + node->segment_count;
        kernel_end(node);
    }
    free(world->active);
    free(world->pendings);
    free(world->nodes);
    free(world->changes_between);
    free(world);
    return left;
}
