// SPDX-License-Identifier: BSD-2-Clause
// Many segments at once, mapped by every rank of a run: each counts in a word of each of them,
// which all share, and writes a page of its own in each; then all is as all wrote it.
#include "tests/cluster/dsm/dsm.h"

#include "dsm/lib/dsm.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SEGMENTS_MAX 128u
#define RANKS_MAX    8u
#define WORDS        (CACHE_PAGE_BYTES / sizeof(uint64_t))

struct shared {
    _Alignas(CACHE_PAGE_BYTES) _Atomic uint64_t sum;
    _Alignas(CACHE_PAGE_BYTES) uint64_t own[RANKS_MAX][WORDS];
};

static struct shared *segments[SEGMENTS_MAX];

static void path_of(char path[32], unsigned i)
{
    snprintf(path, 32, "/dsm/many-%u", i);
}

static const char *map_all(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char path[32];
        path_of(path, i);
        int file = open(path, O_RDWR | O_CREAT, 0600);
        if (file < 0 || ftruncate(file, sizeof(struct shared)) != 0)
            return "a segment cannot be made";
        segments[i] =
            mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (segments[i] == MAP_FAILED)
            return "a segment cannot be mapped";
        close(file);
    }
    return NULL;
}

static bool is_right(unsigned i, unsigned ranks)
{
    bool right = segments[i]->sum == ranks * (i + 1);

    for (unsigned rank = 0; rank < ranks; rank++)
        for (unsigned word = 0; word < WORDS; word++)
            right = right && segments[i]->own[rank][word] == (uint64_t)i * 1000 + rank + word;
    return right;
}

static void write_all(unsigned count, unsigned rank)
{
    for (unsigned n = 0; n < count; n++) {
        unsigned i = (n + rank * 7) % count;
        atomic_fetch_add(&segments[i]->sum, i + 1);
        for (unsigned word = 0; word < WORDS; word++)
            segments[i]->own[rank][word] = (uint64_t)i * 1000 + rank + word;
    }
}

static const char *meet(unsigned ranks)
{
    return dsm_barrier(1, ranks, NULL) == ERR_OK ? NULL : "a barrier fails";
}

static const char *work(unsigned count, unsigned rank, unsigned ranks)
{
    const char *wrong = map_all(count);

    if (wrong == NULL)
        wrong = meet(ranks);
    if (wrong != NULL)
        return wrong;
    write_all(count, rank);
    wrong = meet(ranks);
    for (unsigned i = 0; i < count && wrong == NULL; i++)
        if (!is_right(i, ranks))
            wrong = "a segment is not what was written";
    if (wrong == NULL)
        wrong = meet(ranks);
    for (unsigned i = 0; i < count && rank == 0; i++) {
        char path[32];
        path_of(path, i);
        if (unlink(path) != 0)
            wrong = "a segment cannot be unlinked";
    }
    return wrong;
}

int command_many(char **words)
{
    const char *rank = getenv("CORVUS_RANK"), *ranks = getenv("CORVUS_NODES"), *wrong;
    unsigned count = (unsigned)number(words[0]);

    if (rank == NULL || ranks == NULL || count > SEGMENTS_MAX || number(ranks) > RANKS_MAX ||
        dsm_open(dsm_group_of("many")) != ERR_OK) {
        printf("many: not as it should be started\n");
        return 2;
    }
    wrong = work(count, (unsigned)number(rank), (unsigned)number(ranks));
    printf("many: rank %s: %s\n", rank, wrong != NULL ? wrong : "all as written");
    return wrong == NULL ? 0 : 1;
}
