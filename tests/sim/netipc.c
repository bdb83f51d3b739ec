// SPDX-License-Identifier: BSD-2-Clause
// The simulator of the network server's protocol: seeded runs of programs and faults.
//
//   sim-netipc [--seed N] [--runs N] [--nodes N] [--actions N] [--messages N] [--seconds N]
//
// Runs seeds from N on until all were run or the time is over. Each goes on until so many
// actions were done and so many messages received. TAP; a run that fails
// names its seed and settings, with which it fails again.
#include "tests/netipc/world_private.h"
#include "tests/sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// Rest comes so often that what is under way stays bounded, however long a run is.
#define PHASE_ACTIONS 10000u
#define PHASES_MIN    4u

struct sim sim;

static struct {
    uint64_t seed, runs, nodes, actions, messages, seconds, verbose;
} settings = {.seed = 1, .runs = 20, .actions = 20000};

static uint8_t side[WORLD_NODES_MAX + 1]; // of the cut
static uint32_t neighbours;               // 0: all are connected

void sim_fail(const char *text, const char *file, int line)
{
    printf("not ok 1 - seed %lu: %s\n# at %s:%d\n# again: --seed %lu --runs 1 --nodes %u "
           "--actions %lu --messages %lu\n1..1\n",
           (unsigned long)sim.seed, text, file, line, (unsigned long)sim.seed, sim.world->count,
           (unsigned long)settings.actions, (unsigned long)settings.messages);
    fflush(stdout);
    abort();
}

uint32_t sim_random(uint32_t below)
{
    return below != 0 ? world_random(sim.world, below) : 0;
}

// --- Faults -----------------------------------------------------------------------------

// Of a large cluster each node knows some neighbours on a ring.
static bool is_cut(struct world *world, uint32_t from, uint32_t to)
{
    uint32_t distance = from < to ? to - from : from - to;

    if (neighbours != 0 && distance > neighbours && world->count - distance > neighbours)
        return true;
    return side[from] != side[to];
}

static uint32_t count_up(void)
{
    uint32_t count = 0;

    for (uint32_t i = 1; i <= sim.world->count; i++)
        count += !sim.world->nodes[i].dead && !sim.world->nodes[i].frozen;
    return count;
}

static void kill_node(uint32_t number)
{
    if (sim.world->nodes[number].dead || sim.world->nodes[number].frozen || count_up() < 3)
        return;
    program_end(&sim.programs[number]);
    world_kill(sim.world, number);
    program_forget_calls(&sim.programs[number]);
}

static void start_node(uint32_t number)
{
    world_start(sim.world, number);
    program_begin(&sim.world->nodes[number]);
}

static void make_cut(void)
{
    for (uint32_t i = 1; i <= sim.world->count; i++)
        side[i] = (uint8_t)sim_random(2);
}

static void fault(void)
{
    uint32_t number = 1 + sim_random(sim.world->count), what = sim_random(16);
    struct node *node = &sim.world->nodes[number];

    if (what < 5)
        world_break(sim.world, number, 1 + sim_random(sim.world->count));
    else if (what < 7)
        kill_node(number);
    else if (what < 9 && node->dead)
        start_node(number);
    else if (what < 10)
        node->frozen = !node->dead && count_up() > 2;
    else if (what < 12)
        node->frozen = false;
    else if (what == 12)
        make_cut();
    else if (what == 13)
        memset(side, 0, sizeof side);
    else if (what == 14)
        sim.world->failures = sim_random(2) != 0 ? 1 + sim_random(300) : 0;
    else
        world_tick(sim.world, 1000000ull * sim_random(1500));
}

// --- Phases -------------------------------------------------------------------------------

static void act(uint32_t items_max)
{
    uint32_t number = 1 + sim_random(sim.world->count);
    const struct node *node = &sim.world->nodes[number];

    if (!node->dead && !node->frozen)
        program_act(&sim.programs[number], items_max);
    for (uint32_t steps = sim_random(4); steps != 0; steps--)
        (void)world_step(sim.world);
}

static void phase(uint64_t actions, bool faults)
{
    uint32_t items_max = sim_random(3) == 0 ? 200000 : sim_random(2) * 20000;
    uint32_t pace = 20 + sim_random(300);

    sim.faulty = faults || neighbours != 0;
    for (uint64_t i = 0; i < actions; i++) {
        act(items_max);
        if (faults && sim_random(pace) == 0)
            fault();
        if (sim_random(200) == 0) {
            world_tick(sim.world, 1000000ull * sim_random(100));
            // In a large cluster so few steps are nobody's turn: each would seem dead.
            if (sim.world->count > 32)
                world_settle(sim.world);
            if (sim.world->count < 100 || sim_random(50) == 0)
                world_link(sim.world);
        }
        if (i % (sim.world->count > 32 ? 4096 : 64) == 0)
            check_always(sim.world);
    }
}

static void drain(void)
{
    bool some;

    do {
        some = false;
        world_settle(sim.world);
        for (uint32_t i = 1; i <= sim.world->count; i++)
            if (!sim.world->nodes[i].dead && program_drain(&sim.programs[i]))
                some = true;
    } while (some);
}

// All faults are over; every node that is there finds every other.
static void rest(void)
{
    sim.world->failures = 0;
    memset(side, 0, sizeof side);
    for (uint32_t i = 1; i <= sim.world->count; i++)
        sim.world->nodes[i].frozen = false;
    drain();
    for (uint32_t i = 0; i < 30; i++) {
        world_tick(sim.world, 100000000);
        if (i % 6 == 0)
            world_link(sim.world);
        drain();
    }
    check_rest(sim.world);
    flows_check();
    sim.rests++;
    sim.faulty = neighbours != 0; // not all reach all
}

static void finish(void)
{
    for (uint32_t i = 1; i <= sim.world->count; i++)
        if (!sim.world->nodes[i].dead)
            program_drop_rights(&sim.programs[i]);
    drain();
    for (uint32_t i = 1; i <= sim.world->count; i++)
        if (!sim.world->nodes[i].dead)
            program_drop_rights(&sim.programs[i]);
    world_settle(sim.world);
    check_rest(sim.world);
    check_empty(sim.world);
}

static void end(void)
{
    for (uint32_t i = 1; i <= sim.world->count; i++) {
        struct program *program = &sim.programs[i];
        if (sim.world->nodes[i].dead)
            continue;
        program_end(program);
        while (program->port_count != 0)
            port_kill(program->ports[--program->port_count]);
    }
    failing_world = NULL;
    uint64_t left = world_end(sim.world);
    sim.world = NULL;
    if (left != 0) {
        printf("not ok 1 - seed %lu: something is left in the end\n1..1\n",
               (unsigned long)sim.seed);
        exit(1);
    }
    flows_free();
    free(sim.programs);
    free(sim.seen);
    free(sim.dead);
}

static void count_more(struct sim *sum)
{
    sum->sent += sim.sent;
    sum->received += sim.received;
    sum->calls += sim.calls;
    sum->rights += sim.rights;
    sum->blocked += sim.blocked;
    sum->dead_rights += sim.dead_rights;
    sum->rests += sim.rests;
    sum->changes += sim.world->changes;
    sum->excused += sim.excused;
}

static void run(uint64_t seed, struct sim *sum)
{
    sim = (struct sim){.seed = seed};
    // Chance decides the size of the cluster, too.
    uint32_t nodes = (uint32_t)settings.nodes;
    if (nodes == 0)
        nodes = 2 + (uint32_t)(seed * 2654435761u >> 8) % 6;
    neighbours = nodes > 32 ? 4 : 0;
    memset(side, 0, sizeof side);
    sim.world = world_begin(nodes, seed, seed % 4 == 0 ? 0 : SECURE_ENCRYPT);
    sim.world->cut = is_cut;
    sim.world->tell_changes = settings.verbose != 0;
    sim.world->link_room = sim_random(3) == 0 ? 0 : 1 + sim_random(12);
    sim.programs = world_obtain((nodes + 1) * sizeof *sim.programs);
    failing_world = sim.world;
    for (uint32_t i = 1; i <= nodes; i++)
        program_begin(&sim.world->nodes[i]);
    world_connect(sim.world);
    uint64_t phases = settings.actions / PHASE_ACTIONS;
    if (phases < PHASES_MIN)
        phases = PHASES_MIN;
    for (uint64_t i = 0; i < phases || sim.received < settings.messages; i++) {
        phase(settings.actions / phases, i % 2 != 0);
        rest();
    }
    finish();
    count_more(sum);
    end();
}

// --- The program --------------------------------------------------------------------------------

static void parse(int count, char **arguments)
{
    static const struct {
        const char *name;
        uint64_t *value;
    } options[] = {{"--seed", &settings.seed},         {"--runs", &settings.runs},
                   {"--nodes", &settings.nodes},       {"--actions", &settings.actions},
                   {"--messages", &settings.messages}, {"--seconds", &settings.seconds},
                   {"--verbose", &settings.verbose}};
    const unsigned known = sizeof options / sizeof options[0];

    for (int i = 1; i < count; i++) {
        unsigned at = 0;
        while (at < known && strcmp(arguments[i], options[at].name) != 0)
            at++;
        if (at == known || i + 1 == count) {
            fprintf(stderr, "usage: sim-netipc [--seed N] [--runs N] [--nodes N] [--actions N] "
                            "[--messages N] [--seconds N] [--verbose 1]\n");
            exit(2);
        }
        *options[at].value = strtoull(arguments[++i], NULL, 10);
    }
    if (settings.nodes == 1 || settings.nodes > WORLD_NODES_MAX) {
        fprintf(stderr, "sim-netipc: 2 to %u nodes\n", WORLD_NODES_MAX);
        exit(2);
    }
}

int main(int count, char **arguments)
{
    struct sim sum = {0};
    time_t begin = time(NULL);
    uint64_t runs = 0;

    parse(count, arguments);
    while (runs < settings.runs &&
           (settings.seconds == 0 || time(NULL) - begin < (time_t)settings.seconds))
        run(settings.seed + runs++, &sum);
    printf("ok 1 - %lu runs from seed %lu\n", (unsigned long)runs, (unsigned long)settings.seed);
    printf("# %lu messages sent, %lu received, %lu calls, %lu rights (%lu dead), %lu waits, "
           "%lu beginnings and ends of sessions, %lu rests, %lu losses excused, %ld s\n1..1\n",
           (unsigned long)sum.sent, (unsigned long)sum.received, (unsigned long)sum.calls,
           (unsigned long)sum.rights, (unsigned long)sum.dead_rights, (unsigned long)sum.blocked,
           (unsigned long)sum.changes, (unsigned long)sum.rests, (unsigned long)sum.excused,
           (long)(time(NULL) - begin));
    return 0;
}
