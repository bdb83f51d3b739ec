// SPDX-License-Identifier: BSD-2-Clause
// Locks and barriers: by libdsm under `corvus run`, else on words of the memory, by plain loads,
// stores and one addition, which is right wherever memory is sequentially consistent. Who waits for
// a word reads one word that changes once, then sleeps for longer and longer, so that it costs
// neither its processor nor, between machines, the page's owner much.
#include "sync.h"

#include "dsm/lib/dsm.h"

#include <sched.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define SPINS        32
#define PAUSE_NS     20000
#define PAUSE_MAX_NS 1000000

unsigned sync_seconds = 300;

static struct sync_area *area;
static bool by_library;
static uint64_t barriers, locks, waited;

void sync_begin(struct sync_area *memory, const char *group)
{
    area = memory;
    by_library = group != NULL;
    if (by_library && dsm_open(dsm_group_of(group)) != ERR_OK)
        experiment_fail("no locks and barriers: there is no DSM server");
}

static uint64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

// Until the word is `value` or beyond.
static void wait_until(const _Atomic uint64_t *word, uint64_t value, const char *what)
{
    struct timespec pause = {.tv_nsec = PAUSE_NS};
    uint64_t begun = now();

    for (unsigned tries = 0; atomic_load(word) < value; tries++) {
        if (tries < SPINS) {
            sched_yield();
            continue;
        }
        if (now() - begun > sync_seconds * 1000000000ull)
            experiment_fail(what);
        nanosleep(&pause, NULL);
        if (pause.tv_nsec < PAUSE_MAX_NS)
            pause.tv_nsec *= 2;
    }
    waited += now() - begun;
}

void barrier(struct experiment *experiment)
{
    uint64_t begun = now();

    barriers++;
    if (by_library) {
        // Whom nobody comes to ends by SIGALRM.
        alarm(sync_seconds);
        if (dsm_barrier(0, experiment->count, NULL) != ERR_OK)
            experiment_fail("a barrier failed");
        alarm(0);
        waited += now() - begun;
        return;
    }
    atomic_store(&area->ranks[experiment->rank].arrived, barriers);
    if (experiment->rank != 0) {
        wait_until(&area->released, barriers, "nobody opens the barrier");
        return;
    }
    for (unsigned rank = 1; rank < experiment->count; rank++)
        wait_until(&area->ranks[rank].arrived, barriers, "somebody does not come to the barrier");
    atomic_store(&area->released, barriers);
}

void lock(struct experiment *experiment, unsigned number)
{
    uint64_t begun = now(), ticket;

    (void)experiment;
    locks++;
    if (by_library) {
        alarm(sync_seconds);
        if (dsm_lock(number, NULL) != ERR_OK)
            experiment_fail("a lock failed");
        alarm(0);
        waited += now() - begun;
        return;
    }
    ticket = atomic_fetch_add(&area->locks[number].next, 1);
    wait_until(&area->locks[number].serving, ticket, "nobody gives the lock back");
}

void unlock(struct experiment *experiment, unsigned number)
{
    (void)experiment;
    if (by_library) {
        if (dsm_unlock(number) != ERR_OK)
            experiment_fail("a lock could not be given back");
        return;
    }
    atomic_store(&area->locks[number].serving, atomic_load(&area->locks[number].serving) + 1);
}

void sync_totals(struct experiment *experiment, struct sync_totals *totals)
{
    struct sync_rank *mine = &area->ranks[experiment->rank];
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    mine->barriers = barriers;
    mine->locks = locks;
    mine->faults = (uint64_t)(usage.ru_minflt + usage.ru_majflt);
    mine->nanoseconds = waited;
    barrier(experiment);
    *totals = (struct sync_totals){.barriers = barriers};
    for (unsigned rank = 0; rank < experiment->count; rank++) {
        totals->locks += area->ranks[rank].locks;
        totals->faults += area->ranks[rank].faults;
        totals->nanoseconds += area->ranks[rank].nanoseconds;
    }
    // Nobody goes, and takes pages along, before all have read.
    barrier(experiment);
}
