// SPDX-License-Identifier: BSD-2-Clause
// A witness of shared memory while nodes die: on each node one of them, by its rank, writes and
// reads the pages of /dsm/witness at random, until it is told to end (SIGTERM). In each page each
// rank has a word: a version and a sum over it. A rank must find in its own word what it wrote
// last, in others' a sum that is right and a version that it has not seen surpassed; or else an
// error (SIGBUS), after which it leaves the page alone. It also sees when its server has lost a
// node, how long accesses take then, and how long the whole node stood still meanwhile.
#include "tests/cluster/dsm/dsm.h"

#include <corvus/segments_stubs.h>

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGES_MAX 2048u
#define RANKS     8u

struct page {
    _Alignas(CACHE_PAGE_BYTES) _Atomic uint64_t word[RANKS];
};

static struct page *memory;
static unsigned rank, pages;
static uint32_t seen[PAGES_MAX][RANKS]; // versions
static bool lost[PAGES_MAX];
static uint64_t accesses, writes, wrong, lost_count;
// The longest access that a death can have held up, for it was under way or began soon after: its
// page, and when it began and ended, from the death on.
#define SOON_NS 2000000000ull
static struct {
    uint64_t ns, from_ns, to_ns;
    unsigned page;
} longest;
static _Atomic uint64_t died_ns;  // when the server lost a node last; 0: it has not
static _Atomic uint64_t pause_ns; // the longest that nothing ran on this node after that
static volatile sig_atomic_t ended;
static sigjmp_buf bus;

static uint64_t now_ns(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static uint64_t word_of(unsigned page, unsigned writer, uint32_t version)
{
    uint64_t sum = (version + 1ull) * 0x9e3779b97f4a7c15ull ^ (page * RANKS + writer);

    return version == 0 ? 0 : (uint64_t)version << 32 | (uint32_t)(sum >> 32 ^ sum);
}

static void on_bus(int signal)
{
    (void)signal;
    siglongjmp(bus, 1);
}

static void on_end(int signal)
{
    (void)signal;
    ended = 1;
}

static void complain(unsigned page, unsigned writer, uint64_t word)
{
    wrong++;
    printf("witness: page %u, word of rank %u: %#llx, after version %u\n", page, writer,
           (unsigned long long)word, seen[page][writer]);
}

static void read_page(unsigned page)
{
    for (unsigned writer = 0; writer < RANKS; writer++) {
        uint64_t word = atomic_load(&memory[page].word[writer]);
        uint32_t version = (uint32_t)(word >> 32);
        if (word != word_of(page, writer, version) || version < seen[page][writer] ||
            (writer == rank && version != seen[page][writer]))
            complain(page, writer, word);
        seen[page][writer] = version;
    }
}

static void write_page(unsigned page)
{
    uint32_t version = seen[page][rank] + 1;

    atomic_store(&memory[page].word[rank], word_of(page, rank, version));
    seen[page][rank] = version;
    writes++;
}

// An access: what was waited for before the death does not count.
static void note_time(unsigned page, uint64_t start, uint64_t end)
{
    uint64_t died = atomic_load(&died_ns);

    if (start < died)
        start = died;
    if (died == 0 || end < start || start - died > SOON_NS || end - start <= longest.ns)
        return;
    longest.ns = end - start;
    longest.from_ns = start - died;
    longest.to_ns = end - died;
    longest.page = page;
}

static void touch(unsigned page, bool write)
{
    uint64_t start = now_ns();

    if (sigsetjmp(bus, 1) == 0) {
        read_page(page);
        if (write)
            write_page(page);
    } else {
        lost[page] = true;
        lost_count++;
    }
    note_time(page, start, now_ns());
    accesses++;
}

// Sleeps, and sees how much longer than that it took until it was awake.
static void rest(void)
{
    uint64_t start = now_ns(), late;

    usleep(10000);
    late = now_ns() - start - 10000000;
    if (atomic_load(&died_ns) != 0 && late > atomic_load(&pause_ns))
        atomic_store(&pause_ns, late);
}

// A server that does not answer is asked again.
static void *watch(void *argument)
{
    uint64_t node, members, majority, coordinator, epoch, sequence, before = 0;

    (void)argument;
    for (;; rest()) {
        if (segment_cluster(server, &node, &members, &majority, &coordinator, &epoch, &sequence) !=
            ERR_OK)
            continue;
        if ((before & ~members) != 0) {
            atomic_store(&died_ns, now_ns());
            printf("witness: nodes %#llx are gone\n", (unsigned long long)(before & ~members));
            fflush(stdout);
        }
        before = members;
    }
    return NULL;
}

static bool begin(void)
{
    struct sigaction action = {.sa_handler = on_bus};
    pthread_t thread;
    int file = open("/dsm/witness", O_RDWR | O_CREAT, 0600);

    if (file < 0 || ftruncate(file, (off_t)(pages * sizeof *memory)) != 0)
        return false;
    memory = mmap(NULL, pages * sizeof *memory, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    sigaction(SIGBUS, &action, NULL);
    action.sa_handler = on_end;
    sigaction(SIGTERM, &action, NULL);
    return memory != MAP_FAILED && pthread_create(&thread, NULL, watch, NULL) == 0;
}

int command_witness(char **words)
{
    rank = (unsigned)number(words[0]);
    pages = (unsigned)number(words[1]);
    uint64_t random = rank * 77777 + 12345;

    if (rank >= RANKS || pages == 0 || pages > PAGES_MAX || !begin()) {
        printf("witness: cannot begin\n");
        return 2;
    }
    printf("witness: begins\n");
    fflush(stdout);
    while (!ended && lost_count < pages) {
        random = random * 6364136223846793005ull + 1442695040888963407ull;
        unsigned page = (unsigned)(random >> 33) % pages;
        if (!lost[page])
            touch(page, (random >> 60) % 2 == 0);
        if (accesses == 200)
            printf("witness: works\n"), fflush(stdout);
    }
    printf("witness: the longest was of page %u, from %llu to %llu ms after the death; the node "
           "stood still for %llu ms\n",
           longest.page, (unsigned long long)(longest.from_ns / 1000000),
           (unsigned long long)(longest.to_ns / 1000000),
           (unsigned long long)(atomic_load(&pause_ns) / 1000000));
    printf("witness: %llu accesses, %llu writes, %llu pages lost, longest after a death %llu ms, "
           "%llu wrong\n",
           (unsigned long long)accesses, (unsigned long long)writes, (unsigned long long)lost_count,
           (unsigned long long)(longest.ns / 1000000), (unsigned long long)wrong);
    return wrong == 0 ? 0 : 1;
}

// WHAT: the server of this node stops at a record of that kind, received (0) or to be sent (1).
int command_stop(char **words)
{
    return tell(segment_stop(server, number(words[0]), number(words[1])), "will stop");
}
