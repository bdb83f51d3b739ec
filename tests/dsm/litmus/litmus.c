// SPDX-License-Identifier: BSD-2-Clause
// Runs the litmus tests on simulated nodes with dsm/core: each thread on a node of its own, each
// variable a page. An outcome that no interleaving has fails; so does a test of which an allowed
// outcome was never seen. TAP, a test each.
//
//   litmus [--seed N] [--rounds N] [--stale N]
//
// Under each condition there are N rounds at least, and up to ROUNDS_MAX until all has been seen.
// With --stale one of N reads tells what that node saw before: the tests must find that.
#include "tests/dsm/litmus/litmus.h"
#include "tests/dsm/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES           5u
#define ROUNDS_OF_WORLD 40u
#define ROUNDS_MAX      20000u
#define START_NS        1500000u // threads begin within
#define THINK_NS        2000000u // between steps, at most: some rounds are slow
#define ROUND_LIMIT_NS  (20000 * MILLISECOND)

enum condition { QUIET, LOSS, DOUBLES, DELAYS, CRASH, CONDITIONS };

static const char *const condition_names[] = {"quiet", "loss", "doubles", "delays", "crash"};

static uint64_t seed = 1, rounds_min = 60, stale;

struct thread {
    struct cache *cache;
    unsigned length, done;
    bool failed;
};

static struct round {
    struct world *world;
    const struct litmus *test;
    struct thread threads[LITMUS_THREADS];
    unsigned running;
    uint32_t think_ns;
    uint32_t pages[LITMUS_VARIABLES];
    uint64_t versions[LITMUS_VARIABLES][4];             // of each value
    uint64_t seen[LITMUS_REGISTERS];                    // versions
    uint64_t before[WORLD_NODES + 1][LITMUS_VARIABLES]; // what a node saw last
} now;

static const struct litmus_step *step_of(const struct thread *thread)
{
    return &now.test->threads[thread - now.threads][thread->done];
}

static void go_on(struct world *world, struct event *event)
{
    struct thread *thread = &now.threads[event->numbers[0]];
    const struct litmus_step *step = step_of(thread);

    (void)world;
    cache_access(thread->cache, now.pages[step->variable - 1], step->value != 0);
}

static void continue_within(struct thread *thread, uint32_t limit_ns)
{
    struct world *world = now.world;
    struct event *event = world_event(
        world, thread->cache->node, world->now + 1 + world_random(world, limit_ns), go_on, NULL, 0);

    event->numbers[0] = (uint64_t)(thread - now.threads);
}

static uint64_t read_value(const struct cache *cache, unsigned variable)
{
    uint64_t *before = &now.before[cache->node->number][variable], seen = cache->seen;

    if (stale != 0 && world_random(now.world, (uint32_t)stale) == 0)
        return *before;
    *before = seen;
    return seen;
}

static void finished(struct cache *cache)
{
    struct thread *thread = now.threads;

    while (thread != now.threads + LITMUS_THREADS && thread->cache != cache)
        thread++;
    if (thread == now.threads + LITMUS_THREADS || thread->done == thread->length)
        return;
    const struct litmus_step *step = step_of(thread);
    unsigned number = (unsigned)(thread - now.threads);
    if (cache->failed) {
        thread->failed = true;
        thread->done = thread->length - 1;
    } else if (step->value != 0) {
        now.versions[step->variable - 1][step->value] = cache->wrote;
    } else {
        now.seen[litmus_register(now.test, number, thread->done)] =
            read_value(cache, step->variable - 1u);
    }
    if (++thread->done != thread->length)
        continue_within(thread, now.think_ns);
    else
        now.running--;
}

// --- One round -----------------------------------------------------------------------------------

// Reads a page, or writes it, on some node but for one. False: it cannot be had.
static bool access_somewhere(uint32_t page, uint32_t victim, bool write, uint64_t *seen)
{
    struct world *world = now.world;
    uint32_t node = 1 + world_random(world, NODES);
    uint64_t until = world->now + ROUND_LIMIT_NS;

    if (node == victim)
        node = node % NODES + 1;
    struct cache *cache = &world->nodes[node].caches[0];
    cache_access(cache, page, write);
    while (cache->waits && world->now < until)
        world_run(world, world->now + MILLISECOND / 10);
    must(world, !cache->waits, "every access ends");
    if (cache->failed)
        return false;
    *seen = write ? cache->wrote : cache->seen;
    for (unsigned v = 0; v < LITMUS_VARIABLES; v++)
        if (now.pages[v] == page)
            now.before[node][v] = *seen;
    return true;
}

// Different pages, next to each other or not, with copies somewhere.
static bool choose_pages(uint32_t victim)
{
    struct world *world = now.world;
    uint32_t apart = 1 + world_random(world, 2) * (1 + world_random(world, 20));

    now.pages[0] = world_random(world, WORLD_PAGES);
    for (unsigned v = 1; v < LITMUS_VARIABLES; v++)
        now.pages[v] = (now.pages[v - 1] + apart) % WORLD_PAGES;
    for (unsigned v = 0; v < LITMUS_VARIABLES; v++) {
        uint64_t *first = &now.versions[v][0];
        if (!access_somewhere(now.pages[v], victim, world_random(world, 2) != 0, first))
            return false;
        for (unsigned i = world_random(world, 4); i != 0; i--)
            if (!access_somewhere(now.pages[v], victim, false, first))
                return false;
        for (unsigned node = 1; node <= NODES; node++)
            now.before[node][v] = *first;
    }
    return true;
}

static void start_threads(uint32_t victim)
{
    struct world *world = now.world;
    uint32_t node = world_random(world, NODES);

    memset(now.threads, 0, sizeof now.threads);
    now.running = 0;
    now.think_ns = 1 + world_random(world, THINK_NS >> world_random(world, 8));
    for (unsigned t = 0; t < LITMUS_THREADS; t++) {
        struct thread *thread = &now.threads[t];
        thread->length = litmus_length(now.test, t);
        if (thread->length == 0)
            continue;
        do {
            node = node % NODES + 1;
        } while (node == victim);
        thread->cache = &world->nodes[node].caches[world_random(world, WORLD_CACHES)];
        now.running++;
    }
    for (unsigned t = 0; t < LITMUS_THREADS; t++)
        if (now.threads[t].length != 0)
            continue_within(&now.threads[t], START_NS);
}

static uint8_t value_of(unsigned variable, uint64_t version)
{
    for (uint8_t value = 0; value < 4; value++)
        if (now.versions[variable][value] == version)
            return value;
    return 3; // which nobody writes
}

static uint32_t outcome(const uint64_t last[LITMUS_VARIABLES])
{
    uint8_t registers[LITMUS_REGISTERS] = {0}, variables[LITMUS_VARIABLES];

    for (unsigned t = 0; t < LITMUS_THREADS; t++)
        for (unsigned s = 0; s < now.threads[t].length; s++) {
            const struct litmus_step *step = &now.test->threads[t][s];
            unsigned number = litmus_register(now.test, t, s);
            if (step->value == 0)
                registers[number] = value_of(step->variable - 1u, now.seen[number]);
        }
    for (unsigned v = 0; v < LITMUS_VARIABLES; v++)
        variables[v] = value_of(v, last[v]);
    return litmus_outcome(registers, variables);
}

// False: something could not be had, as may be when a node dies.
static bool play(enum condition condition, uint32_t *result)
{
    struct world *world = now.world;
    uint32_t victim = condition == CRASH ? 1 + world_random(world, NODES) : 0;
    uint64_t until, last[LITMUS_VARIABLES];
    bool failed = false;

    for (unsigned v = 0; v < LITMUS_VARIABLES; v++)
        for (unsigned value = 0; value < 4; value++)
            now.versions[v][value] = UINT64_MAX;
    if (!choose_pages(victim))
        return false;
    start_threads(victim);
    until = world->now + ROUND_LIMIT_NS;
    if (victim != 0) {
        world_run(world, world->now + world_random(world, START_NS));
        world_kill(world, victim);
    }
    while (now.running != 0 && world->now < until)
        world_run(world, world->now + MILLISECOND / 10);
    must(world, now.running == 0, "every thread ends");
    for (unsigned t = 0; t < LITMUS_THREADS; t++)
        failed = failed || now.threads[t].failed;
    for (unsigned v = 0; v < LITMUS_VARIABLES && !failed; v++)
        failed = !access_somewhere(now.pages[v], victim, false, &last[v]);
    if (victim != 0) {
        world_start(world, victim);
        must(world, world_settle(world), "who comes again is taken in");
    }
    if (!failed)
        *result = outcome(last);
    return !failed;
}

// --- A test --------------------------------------------------------------------------------------

static struct {
    bool allowed[LITMUS_OUTCOMES];
    unsigned seen[LITMUS_OUTCOMES];
    unsigned rounds, discarded;
} tally;

static struct world *begin_world(enum condition condition, uint64_t world_seed)
{
    struct world *world = world_begin(NODES, WORLD_PAGES, world_seed);

    // The values are the judge.
    world->lies = true;
    must(world, world_settle(world), "the nodes agree on their first view");
    world->finished = finished;
    world->faults.loss = condition == LOSS ? 60 : 0;
    world->faults.doubles = condition == DOUBLES ? 300 : 0;
    if (condition == DELAYS)
        world->faults.delay_ns = 2000000;
    return world;
}

// Plays until all that is allowed has been seen, or long enough. False: what is not allowed was.
static bool play_rounds(enum condition condition, unsigned count)
{
    uint32_t result;

    for (unsigned i = 0; i < count; i++) {
        if (i % ROUNDS_OF_WORLD == 0) {
            if (now.world != NULL)
                world_end(now.world);
            now.world = begin_world(condition, seed * 1000003 + tally.rounds);
        }
        tally.rounds++;
        if (!play(condition, &result)) {
            tally.discarded++;
            continue;
        }
        tally.seen[result]++;
        if (!tally.allowed[result]) {
            printf("# %s, %s, round %u: outcome %#x%s\n", now.test->name,
                   condition_names[condition], tally.rounds, result,
                   litmus_is_weak(now.test, result) ? ", the weak one" : "");
            return false;
        }
    }
    return true;
}

static unsigned unseen(void)
{
    unsigned count = 0;

    for (uint32_t i = 0; i < LITMUS_OUTCOMES; i++)
        count += tally.allowed[i] && tally.seen[i] == 0;
    return count;
}

static unsigned count_allowed(void)
{
    unsigned count = 0;

    for (uint32_t i = 0; i < LITMUS_OUTCOMES; i++)
        count += tally.allowed[i];
    return count;
}

static bool weak_is_forbidden(const struct litmus *test)
{
    for (uint32_t i = 0; i < LITMUS_OUTCOMES; i++)
        if (tally.allowed[i] && litmus_is_weak(test, i))
            return false;
    return true;
}

static bool run(const struct litmus *test)
{
    bool good;

    memset(&tally, 0, sizeof tally);
    litmus_allowed(test, tally.allowed);
    good = weak_is_forbidden(test);
    now.test = test;
    for (unsigned c = 0; c < CONDITIONS && good; c++)
        good = play_rounds((enum condition)c, (unsigned)rounds_min);
    for (unsigned c = 0; good && unseen() != 0 && tally.rounds < ROUNDS_MAX; c++)
        good = play_rounds((enum condition)(c % CONDITIONS), ROUNDS_OF_WORLD);
    world_end(now.world);
    now.world = NULL;
    printf("# %s: %u rounds, %u without a result, %u outcomes allowed, %u of them not seen\n",
           test->name, tally.rounds, tally.discarded, count_allowed(), unseen());
    return good && unseen() == 0;
}

static bool option(const char *name, const char *value)
{
    static const struct {
        const char *name;
        uint64_t *value;
    } options[] = {{"--seed", &seed}, {"--rounds", &rounds_min}, {"--stale", &stale}};

    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (strcmp(name, options[i].name) == 0 && value != NULL) {
            *options[i].value = strtoull(value, NULL, 10);
            return true;
        }
    return false;
}

int main(int count, char **arguments)
{
    unsigned failures = 0;

    for (int i = 1; i < count; i += 2)
        if (!option(arguments[i], arguments[i + 1])) {
            fprintf(stderr, "litmus: '%s' is no option with a number\n", arguments[i]);
            return 2;
        }
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    printf("1..%u\n", litmus_count);
    for (unsigned i = 0; i < litmus_count; i++) {
        bool good = run(&litmus_tests[i]);
        printf("%sok %u - %s\n", good ? "" : "not ", i + 1, litmus_tests[i].name);
        failures += !good;
    }
    return failures == 0 ? 0 : 1;
}
