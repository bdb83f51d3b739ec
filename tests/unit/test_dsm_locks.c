// SPDX-License-Identifier: BSD-2-Clause
// Locks, semaphores, barriers and reductions: several nodes, whose messages wait in queues, and of
// which some die.
// sources: $(DSM_LOCKS)
#include "dsm/core/locks.h"

#include "tap.h"

#include <stdlib.h>
#include <string.h>

#define NODES 5u
#define QUEUE 8192u

struct letter {
    uint8_t *bytes;
    size_t count;
};

struct call {
    bool done;
    corvus_error_t error;
    uint64_t words[1 + REDUCE_VALUES_MAX];
    size_t count;
    bool gone; // who asked does not take the answer
};

static struct world {
    struct locks *nodes[NODES + 1];
    bool dead[NODES + 1];
    struct letter letters[NODES + 1][NODES + 1][QUEUE];
    unsigned first[NODES + 1][NODES + 1], count[NODES + 1][NODES + 1];
    uint64_t round;
    unsigned home, sent;
} world;

static void send(void *context, unsigned node, const void *bytes, size_t count)
{
    unsigned from = (unsigned)(uintptr_t)context;
    unsigned *first = &world.first[from][node], *waiting = &world.count[from][node];

    if (world.dead[node] || world.nodes[node] == NULL)
        return;
    if (*waiting == QUEUE)
        abort();
    struct letter *letter = &world.letters[from][node][(*first + (*waiting)++) % QUEUE];
    letter->bytes = malloc(count);
    letter->count = count;
    memcpy(letter->bytes, bytes, count);
    world.sent++;
}

static bool answer(void *context, void *token, corvus_error_t error, const uint64_t *words,
                   size_t count)
{
    struct call *call = token;

    (void)context;
    if (call->done)
        abort();
    call->done = true;
    call->error = error;
    call->count = count;
    if (count != 0)
        memcpy(call->words, words, count * sizeof *words);
    return !call->gone;
}

static const struct locks_output output = {send, answer};

static bool deliver(unsigned from, unsigned to)
{
    if (world.count[from][to] == 0)
        return false;
    struct letter letter = world.letters[from][to][world.first[from][to]];
    world.first[from][to] = (world.first[from][to] + 1) % QUEUE;
    world.count[from][to]--;
    if (!world.dead[to] && !world.dead[from] &&
        !locks_receive(world.nodes[to], from, letter.bytes, letter.count))
        abort();
    free(letter.bytes);
    return true;
}

static void deliver_all(void)
{
    bool more = true;

    while (more) {
        more = false;
        for (unsigned from = 1; from <= NODES; from++)
            for (unsigned to = 1; to <= NODES; to++)
                more = deliver(from, to) || more;
    }
}

// The lowest node alive is home.
static void new_round(bool lost)
{
    uint64_t members[4] = {0};

    world.home = 0;
    for (unsigned node = 1; node <= NODES; node++)
        if (world.nodes[node] != NULL && !world.dead[node]) {
            members[0] |= 1ull << (node - 1);
            world.home = world.home == 0 ? node : world.home;
        }
    locks_lead(world.nodes[world.home], ++world.round, members, lost);
}

static void open_world(unsigned nodes)
{
    memset(&world, 0, sizeof world);
    for (unsigned node = 1; node <= nodes; node++)
        world.nodes[node] = locks_create(node, &output, (void *)(uintptr_t)node);
    new_round(false);
    deliver_all();
}

static void close_world(void)
{
    for (unsigned node = 1; node <= NODES; node++)
        world.dead[node] = true;
    deliver_all();
    for (unsigned node = 1; node <= NODES; node++)
        if (world.nodes[node] != NULL)
            locks_destroy(world.nodes[node]);
}

static void die(unsigned node)
{
    world.dead[node] = true;
    for (unsigned other = 1; other <= NODES; other++) {
        while (deliver(node, other))
            ;
        while (deliver(other, node))
            ;
    }
    new_round(true);
}

static void acquire(unsigned node, struct call *call, bool try)
{
    *call = (struct call){0};
    locks_acquire(world.nodes[node], node, 7, 1, try, call);
}

static corvus_error_t release(unsigned node)
{
    return locks_release(world.nodes[node], node, 7, 1);
}

static bool has(const struct call *call, uint64_t died)
{
    return call->done && call->error == ERR_OK && call->count == 1 && call->words[0] == died;
}

static void locks_are_handed_over(void)
{
    struct call one, two, three;

    open_world(3);
    acquire(2, &one, false);
    deliver_all();
    tap_ok(has(&one, 0), "a lock that nobody had");
    tap_ok(release(3) == ERR_STATE && release(2) == ERR_OK && release(2) == ERR_STATE,
           "only its owner gives it back, once");
    world.sent = 0;
    acquire(2, &one, false);
    tap_ok(has(&one, 0) && release(2) == ERR_OK && world.sent == 0, "cached: nothing on the wire");
    acquire(3, &two, false);
    deliver_all();
    tap_ok(has(&two, 0) && world.sent == 3, "handed over by three messages");
    acquire(1, &three, false);
    acquire(2, &one, false);
    deliver_all();
    tap_ok(!one.done && !three.done, "held: others wait");
    world.sent = 0;
    (void)release(3);
    deliver_all();
    tap_ok(has(&three, 0) && !one.done, "in order");
    (void)release(1);
    deliver_all();
    tap_ok(has(&one, 0) && world.sent == 2, "one message each");
    acquire(3, &three, true);
    deliver_all();
    tap_ok(three.done && three.error == ERR_IN_USE, "a try of one that is held");
    (void)release(2);
    acquire(3, &three, true);
    deliver_all();
    tap_ok(has(&three, 0), "a try of one that is free elsewhere");
    (void)release(3);
    two = (struct call){.gone = true};
    locks_acquire(world.nodes[1], 1, 7, 1, false, &two);
    acquire(2, &one, false);
    deliver_all();
    tap_ok(two.done && has(&one, 0), "one who has gone does not keep it");
    close_world();
}

static void owners_die(void)
{
    struct call one, two;

    open_world(3);
    acquire(2, &one, false);
    acquire(3, &two, false);
    deliver_all();
    locks_owner_died(world.nodes[2], 2);
    deliver_all();
    tap_ok(has(&two, 1), "a program's death passes its lock on, marked");
    (void)release(3);
    acquire(3, &two, false);
    tap_ok(has(&two, 0), "the mark is told once");
    acquire(2, &one, false);
    deliver_all();
    die(3);
    deliver_all();
    tap_ok(has(&one, 1), "a node's death, too");
    (void)release(2);
    acquire(2, &one, false);
    tap_ok(has(&one, 0), "once");
    die(1);
    deliver_all();
    tap_ok(release(2) == ERR_OK, "the home's death: who has a lock keeps it");
    close_world();
}

static void minorities_lose(void)
{
    struct call one, two;

    open_world(3);
    acquire(3, &one, false);
    deliver_all();
    acquire(2, &two, false);
    deliver_all();
    locks_lose(world.nodes[2]);
    locks_lose(world.nodes[3]);
    tap_ok(two.done && two.error == ERR_PEER_DIED && release(3) == ERR_STATE,
           "a minority waits for nothing and has nothing");
    close_world();
}

static void semaphores_count(void)
{
    struct call calls[3] = {0};

    open_world(3);
    for (unsigned i = 0; i < 3; i++)
        locks_wait(world.nodes[i + 1], 1, 7, 1, 2, false, &calls[i]);
    deliver_all();
    tap_ok(calls[0].done + calls[1].done + calls[2].done == 2, "two of three at a semaphore of 2");
    (void)locks_post(world.nodes[2], 7, 1, 2, 1);
    deliver_all();
    tap_ok(calls[0].done && calls[1].done && calls[2].done, "one more, one goes");
    calls[0] = (struct call){0};
    locks_wait(world.nodes[3], 1, 7, 1, 2, true, &calls[0]);
    deliver_all();
    tap_ok(calls[0].done && calls[0].error == ERR_IN_USE, "a try at zero");
    (void)locks_post(world.nodes[3], 7, 1, 2, 3);
    deliver_all();
    die(1);
    deliver_all();
    // 2 to begin with, +1 -1 of node 2, +3 -1 of node 3; node 1's -1 is undone.
    unsigned got = 0;
    for (unsigned i = 0; i < 6; i++) {
        calls[0] = (struct call){0};
        locks_wait(world.nodes[2], 1, 7, 1, 2, true, &calls[0]);
        deliver_all();
        got += calls[0].error == ERR_OK;
    }
    tap_ok(got == 4, "its value outlives the home; what a dead node did is undone");
    close_world();
}

static uint64_t word_of(double value)
{
    uint64_t word;

    memcpy(&word, &value, sizeof word);
    return word;
}

static void barriers_meet(void)
{
    struct call calls[3] = {0};
    uint64_t values[2];

    open_world(3);
    for (unsigned round = 0; round < 3; round++) {
        memset(calls, 0, sizeof calls);
        for (unsigned i = 0; i < 3; i++) {
            tap_ok(i == 0 || !calls[0].done, "nobody passes alone");
            locks_barrier(world.nodes[i + 1], 1, 7, 1, 3, LOCKS_BARRIER, NULL, 0, &calls[i]);
            deliver_all();
        }
        tap_ok(calls[0].done && calls[1].done && calls[2].done &&
                   calls[0].words[0] + calls[1].words[0] + calls[2].words[0] == 1,
               "all pass, one is the last");
    }
    memset(calls, 0, sizeof calls);
    for (unsigned i = 0; i < 3; i++) {
        values[0] = word_of(i + 0.5);
        values[1] = word_of(-1.0 * i);
        locks_barrier(world.nodes[i + 1], 1, 7, 2, 3, REDUCE_SUM_DOUBLE, values, 2, &calls[i]);
    }
    deliver_all();
    tap_ok(calls[1].count == 3 && calls[1].words[1] == word_of(4.5) &&
               calls[1].words[2] == word_of(-3.0),
           "sums of doubles");
    memset(calls, 0, sizeof calls);
    locks_barrier(world.nodes[1], 1, 7, 3, 2, LOCKS_BARRIER, NULL, 0, &calls[0]);
    deliver_all();
    locks_barrier(world.nodes[2], 1, 7, 3, 3, LOCKS_BARRIER, NULL, 0, &calls[1]);
    deliver_all();
    tap_ok(!calls[0].done && calls[1].error == ERR_STATE, "another count is refused");
    // The last one's arrival makes the home tell; it dies when only node 2 has heard.
    locks_barrier(world.nodes[3], 1, 7, 3, 2, LOCKS_BARRIER, NULL, 0, &calls[2]);
    deliver_all();
    memset(calls, 0, sizeof calls);
    locks_barrier(world.nodes[2], 1, 7, 3, 2, LOCKS_BARRIER, NULL, 0, &calls[1]);
    locks_barrier(world.nodes[3], 1, 7, 3, 2, LOCKS_BARRIER, NULL, 0, &calls[2]);
    (void)deliver(2, 1);
    (void)deliver(3, 1);
    (void)deliver(1, 2);
    tap_ok(calls[1].done && !calls[2].done, "one has passed, the other's message is on its way");
    world.dead[1] = true;
    new_round(true);
    deliver_all();
    tap_ok(calls[2].done && calls[2].error == ERR_OK, "and passes though the home is dead");
    close_world();
}

// Whoever holds the lock is alone, whatever happens, and nobody waits for ever.
static bool one_life(unsigned seed)
{
    struct call calls[NODES + 1];
    bool waits[NODES + 1] = {0}, good = true;
    unsigned deaths = 0, got = 0;

    srand(seed);
    open_world(2 + seed % (NODES - 1));
    for (unsigned i = 0; i < 3000 && good; i++) {
        unsigned node = 1 + (unsigned)rand() % NODES, holders = 0;
        if (world.nodes[node] == NULL || world.dead[node])
            continue;
        unsigned dice = (unsigned)rand() % 100;
        if (dice < 10 && !waits[node]) {
            acquire(node, &calls[node], false);
            waits[node] = true;
        } else if (dice < 30 && waits[node] && calls[node].done) {
            good = release(node) == ERR_OK;
            waits[node] = false;
            got++;
        } else if (dice == 30 && deaths < 1 && i > 500) {
            deaths++;
            die(node);
        } else if (dice == 31) {
            new_round(false);
        } else {
            (void)deliver(1 + (unsigned)rand() % NODES, node);
        }
        for (unsigned other = 1; other <= NODES; other++)
            holders += waits[other] && !world.dead[other] && calls[other].done;
        good = good && holders <= 1;
    }
    for (unsigned i = 0; i < 2 * NODES && good; i++) {
        deliver_all();
        for (unsigned node = 1; node <= NODES; node++)
            if (waits[node] && !world.dead[node] && calls[node].done) {
                good = good && release(node) == ERR_OK;
                waits[node] = false;
            }
    }
    for (unsigned node = 1; node <= NODES; node++)
        good = good && (!waits[node] || world.dead[node]);
    if (!good || got == 0)
        printf("# seed %u, %u times held, waits %d %d %d done %d %d %d\n", seed, got, waits[1],
               waits[2], waits[3], calls[1].done, calls[2].done, calls[3].done);
    close_world();
    return good && got != 0;
}

static void wrong_messages_are_refused(void)
{
    uint8_t bytes[600];
    unsigned valid = 0;

    open_world(2);
    srand(3);
    for (unsigned i = 0; i < 20000; i++) {
        size_t count = i % 3 == 0 ? 64 : (unsigned)rand() % sizeof bytes;
        for (size_t j = 0; j < count; j++)
            bytes[j] = (uint8_t)rand();
        bytes[0] %= 16;
        bytes[1] %= 4;
        bytes[5] %= 2;
        if (count > 24)
            memcpy(bytes + 16, &world.round, sizeof world.round);
        valid += locks_receive(world.nodes[1 + i % 2], 2 - i % 2, bytes, count);
        deliver_all();
    }
    tap_ok(valid > 0 && valid < 10000, "messages of no meaning");
    close_world();
}

int main(void)
{
    bool good = true;

    locks_are_handed_over();
    owners_die();
    minorities_lose();
    semaphores_count();
    barriers_meet();
    for (unsigned seed = 1; seed <= 300 && good; seed++)
        good = one_life(seed);
    tap_ok(good, "300 lives of 2 to 5 nodes: one owner at a time, nobody waits for ever");
    wrong_messages_are_refused();
    return tap_end();
}
