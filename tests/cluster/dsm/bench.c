// SPDX-License-Identifier: BSD-2-Clause
// What shared memory and locks cost between nodes, in units of a null RPC between them, for `make
// bench-dsm` (tests/bench/dsm). One node measures, the others keep pages (`partner`) or come to
// barriers. Pages are a file of /dsm that is mapped, as programs have them.
#include "tests/cluster/dsm/dsm.h"

#include "dsm/lib/dsm.h"

#include <corvus/segments_stubs.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 201u
#define BATCH  10u
// One page of each block that has one manager (dsm/core/dsm.h), so that nothing is read ahead.
#define STRIDE 16u
#define PAGES  (CACHE_PAGES / STRIDE)

#define SAMPLES 4096u
#define FILLED  'p' // a page's first byte

static uint64_t samples[SAMPLES], rpcs[SAMPLES];

static uint64_t now_ns(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static int compare(const void *one, const void *other)
{
    const uint64_t *a = one, *b = other;

    return *a < *b ? -1 : *a > *b;
}

// Both medians, in microseconds: of what was measured, and of the null RPCs that were made in turn
// with it, so that the machine's other work slows both.
static void report(const char *name, unsigned count)
{
    if (count == 0)
        return;
    qsort(samples, count, sizeof samples[0], compare);
    qsort(rpcs, count, sizeof rpcs[0], compare);
    printf("%s %lu %lu %u\n", name, samples[count / 2] / 1000, rpcs[count / 2] / 1000, count);
    fflush(stdout);
}

static void need(corvus_error_t error, const char *what)
{
    if (error == ERR_OK)
        return;
    printf("%s: error %d\n", what, (int)error);
    exit(1);
}

// How long a null RPC takes, now.
static uint64_t null_rpc(port_name_t other)
{
    uint64_t node, members, majority, coordinator, epoch, sequence, start = now_ns();

    need(segment_cluster(other, &node, &members, &majority, &coordinator, &epoch, &sequence),
         "null RPC");
    return now_ns() - start;
}

enum { SENT = 20, RECEIVED = 21 }; // of SEGMENT_COUNTERS

static uint64_t counter(port_name_t at, unsigned index)
{
    uint64_t value = 0;
    size_t count = 1;

    need(segment_statistics(at, 0, index, &value, &count), "statistics");
    return value;
}

// The file's pages, PAGES times STRIDE.
static volatile char *map_file(const char *name)
{
    char path[300];
    size_t bytes = (size_t)CACHE_PAGES * CACHE_PAGE_BYTES;

    (void)snprintf(path, sizeof path, "/dsm/%s", name);
    int file = open(path, O_RDWR | O_CLOEXEC);
    void *map =
        file < 0 ? MAP_FAILED : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (map == MAP_FAILED) {
        perror(path);
        exit(1);
    }
    (void)close(file);
    return map;
}

static volatile char *page_of(volatile char *map, unsigned i)
{
    return map + (size_t)i * STRIDE * CACHE_PAGE_BYTES;
}

// `idle`: nodes that have no pages, and hear only of those whose manager they are.
static void read_misses(volatile char *map, port_name_t other, const port_name_t idle[2])
{
    static const char *const names[2] = {"read_two_hops", "read_three_hops"};
    static uint64_t times[2][PAGES], beside[2][PAGES];
    unsigned counts[2] = {0};

    for (unsigned i = 0; i < PAGES; i++) {
        uint64_t heard = counter(idle[0], RECEIVED) + counter(idle[1], RECEIVED);
        uint64_t rpc = null_rpc(other), start = now_ns();
        char first = *page_of(map, i);
        uint64_t time = now_ns() - start;
        if (first != FILLED)
            need(ERR_PROTOCOL, "contents of a page");
        bool by_third = counter(idle[0], RECEIVED) + counter(idle[1], RECEIVED) != heard;
        times[by_third][counts[by_third]] = time;
        beside[by_third][counts[by_third]++] = rpc;
    }
    for (unsigned i = 0; i < 2; i++) {
        memcpy(samples, times[i], counts[i] * sizeof samples[0]);
        memcpy(rpcs, beside[i], counts[i] * sizeof rpcs[0]);
        report(names[i], counts[i]);
    }
}

static void upgrades(volatile char *map, port_name_t other)
{
    for (unsigned i = 0; i < PAGES; i++) {
        rpcs[i] = null_rpc(other);
        uint64_t start = now_ns();
        *page_of(map, i) = FILLED;
        samples[i] = now_ns() - start;
    }
    report("upgrade", PAGES);
    uint64_t before = counter(server, SENT);
    for (unsigned i = 0; i < PAGES; i++)
        *page_of(map, i) = FILLED;
    printf("page_hit_messages %lu\n", counter(server, SENT) - before);
}

static void hand_overs(port_name_t other)
{
    uint64_t group = dsm_group_of("bench"), died, before, values[9];
    size_t count = 9;
    port_name_t there;

    need(dsm_open(group), "dsm_open");
    need(segment_locks(other, &there), "locks of the other node");
    for (unsigned i = 0; i < ROUNDS; i++) {
        need(sync_lock(there, group, 1, 0, &died), "lock there");
        need(sync_unlock(there, group, 1), "unlock there");
        rpcs[i] = null_rpc(other);
        uint64_t start = now_ns();
        need(dsm_lock(1, NULL), "lock");
        samples[i] = now_ns() - start;
        need(dsm_unlock(1), "unlock");
    }
    report("lock_hand_over", ROUNDS);
    need(dsm_statistics(values, &count), "statistics");
    before = values[7]; // messages_sent of LOCK_COUNTERS
    for (unsigned i = 0; i < ROUNDS; i++) {
        rpcs[i] = null_rpc(other);
        uint64_t start = now_ns();
        need(dsm_lock(1, NULL), "lock");
        need(dsm_unlock(1), "unlock");
        samples[i] = now_ns() - start;
    }
    report("lock_cached", ROUNDS);
    count = 9;
    need(dsm_statistics(values, &count), "statistics");
    printf("lock_cached_messages %lu\n", values[7] - before);
}

static port_name_t server_of(const char *word)
{
    port_name_t port;

    need(corvus_look_up("dsm", number(word), true, &port), "another node's server");
    return port;
}

int command_bench(char **words)
{
    port_name_t other = server_of(words[1]);
    const port_name_t idle[2] = {server_of(words[2]), server_of(words[3])};

    volatile char *map = map_file(words[0]);
    read_misses(map, other, idle);
    upgrades(map, other);
    hand_overs(other);
    return 0;
}

int command_partner(char **words)
{
    volatile char *map = map_file(words[0]);

    for (unsigned i = 0; i < PAGES; i++)
        *page_of(map, i) = FILLED;
    printf("ready\n");
    fflush(stdout);
    for (;;)
        (void)pause();
}

// Batches of barriers in turn with null RPCs. The first of each batch waits for those who come
// from theirs, and does not count.
int command_barrier(char **words)
{
    unsigned count = (unsigned)number(words[0]), batches = (unsigned)number(words[1]), taken = 0;
    port_name_t other = server_of(words[2]);

    need(dsm_open(dsm_group_of("bench")), "dsm_open");
    for (unsigned batch = 0; batch < batches && taken + BATCH <= SAMPLES; batch++) {
        for (unsigned i = 0; i < BATCH; i++)
            rpcs[taken + i] = null_rpc(other);
        need(dsm_barrier(1, count, NULL), "barrier");
        for (unsigned i = 0; i < BATCH; i++) {
            uint64_t start = now_ns();
            need(dsm_barrier(1, count, NULL), "barrier");
            samples[taken++] = now_ns() - start;
        }
    }
    report("barrier", taken);
    return 0;
}
