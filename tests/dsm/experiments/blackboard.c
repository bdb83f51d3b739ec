// SPDX-License-Identifier: BSD-2-Clause
// A blackboard of cooperating agents, as Agora's (Bisiani and Forin, "Multilanguage parallel
// programming of heterogeneous machines", 1988): agents watch it for entries that they know
// something about, and post what they find. Here three kinds of agents factor numbers: one knows
// small primes, one Pollard's rho, one decides whether a number is prime. No one of them can do it
// alone. A process is an agent of the kind of its rank, or, when there are fewer than three, of
// several. Checked: the factors of each number are prime, by trial division, and their product is
// the number.
#include "experiment.h"

#include <math.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#define LOCK_BOARD  0
#define FACTORS_MAX 64 // entries that one number can become
#define SMALL_BOUND 100

enum kind { SMALL_PRIMES, PRIMALITY, SPLITTING, KINDS };

static const struct experiment_limits limits = {
    .name = "blackboard",
    .size_text = "numbers",
    .size = 60,
    .size_min = 1,
    .size_max = 5000,
    .rounds = 1,
};

// What the next agent to look at an entry must be; `taken` by one meanwhile.
struct entry {
    uint64_t value;
    uint32_t problem; // index of the number that it is a factor of
    uint32_t wanted;  // enum kind; KINDS: a prime, nothing to do
    uint32_t taken;
};

struct board {
    _Atomic uint64_t changes; // watched without the lock
    uint64_t used, open;      // entries; of them not yet prime
    uint64_t posts[KINDS];
    struct entry entries[];
};

static struct experiment *experiment;
static struct board *board;

static uint64_t number(long problem)
{
    return random_at(experiment->seed, (uint64_t)problem) % 1000000000000 + 2;
}

// --- What agents know ----------------------------------------------------------------------------

static uint64_t multiply(uint64_t a, uint64_t b, uint64_t modulus)
{
    return (uint64_t)((unsigned __int128)a * b % modulus);
}

// Miller and Rabin's test, by bases that leave no doubt below 2^64 (Sinclair, 2011).
static bool is_prime(uint64_t n)
{
    static const uint64_t bases[] = {2, 325, 9375, 28178, 450775, 9780504, 1795265022};
    uint64_t odd = n - 1;
    int twos = 0;

    if (n < 4 || (n & 1) == 0)
        return n == 2 || n == 3;
    for (; (odd & 1) == 0; odd >>= 1)
        twos++;
    for (size_t i = 0; i < sizeof bases / sizeof bases[0]; i++) {
        uint64_t base = bases[i] % n, power = 1;
        bool witness = base != 0;
        for (uint64_t exponent = odd; exponent > 0; exponent >>= 1) {
            power = (exponent & 1) != 0 ? multiply(power, base, n) : power;
            base = multiply(base, base, n);
        }
        for (int j = 0; witness && j < twos; j++) {
            witness = power != n - 1 && (j > 0 || power != 1);
            power = multiply(power, power, n);
        }
        if (witness)
            return false;
    }
    return true;
}

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

// A divisor of a number that is not prime, by Pollard's rho (1975).
static uint64_t split(uint64_t n)
{
    for (uint64_t constant = 1;; constant++) {
        uint64_t slow = 2, fast = 2, divisor = 1;
        while (divisor == 1) {
            slow = (multiply(slow, slow, n) + constant) % n;
            fast = (multiply(fast, fast, n) + constant) % n;
            fast = (multiply(fast, fast, n) + constant) % n;
            divisor = common_divisor(slow > fast ? slow - fast : fast - slow, n);
        }
        if (divisor != n)
            return divisor;
    }
}

static uint64_t small_factor(uint64_t n)
{
    for (uint64_t prime = 2; prime < SMALL_BOUND; prime++)
        if (n % prime == 0 && n != prime)
            return prime;
    return 1;
}

// --- The board: under its lock -------------------------------------------------------------------

static void post(uint64_t value, uint32_t problem, enum kind wanted)
{
    board->entries[board->used++] = (struct entry){value, problem, wanted, 0};
    board->open += wanted != KINDS;
}

// An entry that waits for such an agent; -1: there is none now.
static long take(enum kind kind)
{
    for (uint64_t i = 0; i < board->used; i++)
        if (board->entries[i].wanted == kind && board->entries[i].taken == 0) {
            board->entries[i].taken = 1;
            return (long)i;
        }
    return -1;
}

// The agent's finding: the entry is now `value` for the next kind, and `other` is posted when it is
// not 1.
static void conclude(long index, enum kind kind, uint64_t value, enum kind next, uint64_t other)
{
    struct entry *entry = &board->entries[index];

    board->posts[kind]++;
    entry->value = value;
    entry->wanted = next;
    entry->taken = 0;
    board->open -= next == KINDS;
    if (other != 1)
        post(other, entry->problem, kind == SMALL_PRIMES ? KINDS : PRIMALITY);
    atomic_fetch_add(&board->changes, 1);
}

// --- Agents --------------------------------------------------------------------------------------

// Does one thing, if there is one for this kind.
static bool act(enum kind kind)
{
    uint64_t value = 0, other = 1;
    enum kind next;
    long index;

    lock(experiment, LOCK_BOARD);
    index = take(kind);
    if (index >= 0)
        value = board->entries[index].value;
    unlock(experiment, LOCK_BOARD);
    if (index < 0)
        return false;
    if (kind == PRIMALITY) {
        next = is_prime(value) ? KINDS : SPLITTING;
    } else {
        other = kind == SMALL_PRIMES ? small_factor(value) : split(value);
        next = kind == SMALL_PRIMES && other != 1 ? SMALL_PRIMES : PRIMALITY;
    }
    lock(experiment, LOCK_BOARD);
    conclude(index, kind, value / other, next, other);
    unlock(experiment, LOCK_BOARD);
    return true;
}

static bool is_solved(void)
{
    bool solved;

    lock(experiment, LOCK_BOARD);
    solved = board->open == 0;
    unlock(experiment, LOCK_BOARD);
    return solved;
}

static void work(void)
{
    unsigned kinds = experiment->count < KINDS ? experiment->count : KINDS;

    while (!is_solved()) {
        uint64_t seen = atomic_load(&board->changes);
        bool did = false;
        for (int kind = 0; kind < KINDS; kind++)
            while ((unsigned)kind % kinds == experiment->rank % kinds && act((enum kind)kind))
                did = true;
        // Nothing for this agent until somebody posts.
        for (int tries = 0; !did && tries < 100 && atomic_load(&board->changes) == seen; tries++)
            sched_yield();
    }
}

static bool is_right(void)
{
    uint64_t product;

    for (uint64_t i = 0; i < board->used; i++)
        for (uint64_t divisor = 2; divisor * divisor <= board->entries[i].value; divisor++)
            if (board->entries[i].value % divisor == 0)
                return false;
    for (long problem = 0; problem < experiment->size; problem++) {
        product = 1;
        for (uint64_t i = 0; i < board->used; i++)
            if (board->entries[i].problem == problem)
                product *= board->entries[i].value;
        if (product != number(problem))
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    char more[96];
    bool right;

    experiment = experiment_begin(argc, argv, &limits);
    board = experiment_memory(experiment, sizeof *board + (size_t)experiment->size * FACTORS_MAX *
                                                              sizeof board->entries[0]);
    if (experiment->rank == 0)
        for (long problem = 0; problem < experiment->size; problem++)
            post(number(problem), (uint32_t)problem, SMALL_PRIMES);
    experiment_start(experiment);
    work();
    experiment_stop(experiment);
    right = experiment->rank != 0 || is_right();
    snprintf(more, sizeof more, "small=%llu tests=%llu splits=%llu",
             (unsigned long long)board->posts[SMALL_PRIMES],
             (unsigned long long)board->posts[PRIMALITY],
             (unsigned long long)board->posts[SPLITTING]);
    experiment_end(experiment, right, more);
}
