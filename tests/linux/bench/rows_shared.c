// SPDX-License-Identifier: BSD-2-Clause
// A segment of /dsm on a single node: what Linux, the DSM server and the microkernel do for a page
// before anything goes to another node.
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE_SIZE 4096u
// One page of each block that has one manager, so that nothing is read ahead.
#define STRIDE 16u
#define PAGES  512u // more than there are rounds

static volatile char *segment;
static unsigned next;

static volatile char *next_page(void)
{
    return segment + (size_t)next++ * STRIDE * PAGE_SIZE;
}

// As a node's /init does, which is not what started this.
static void map_segment(void)
{
    size_t bytes = (size_t)PAGES * STRIDE * PAGE_SIZE;

    if (mkdir("/dsm", 0755) != 0 && errno != EEXIST)
        failed("mkdir");
    MUST(mount("dsm", "/dsm", "memobj", 0, "server=dsm"));
    int file = MUST(open("/dsm/bench", O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    MUST(ftruncate(file, (off_t)bytes));
    segment = MUST(mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
}

static void map_and_read(void)
{
    map_segment();
    while (next < PAGES)
        (void)*next_page();
    next = 0;
}

static void read_page(void)
{
    (void)*next_page();
}

static void write_page(void)
{
    *next_page() = 1;
}

const struct row rows_shared[] = {
    {"segment_fault", "instructions", 20, 201, map_segment, read_page, 1, NULL},
    {"segment_upgrade", "instructions", 20, 201, map_and_read, write_page, 1, NULL},
    {0},
};
