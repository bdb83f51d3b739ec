// SPDX-License-Identifier: BSD-2-Clause
// Fresh memory: mapped, touched, unmapped. And a file in memory, read again.
#include "bench.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE_SIZE 4096u
#define PAGES     64u
#define FILE_SIZE (1u << 20)
#define READ_SIZE (64u << 10)

static int file;
static char buffer[READ_SIZE];

static void map_touch_unmap(void)
{
    volatile char *memory = MUST(
        mmap(NULL, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    for (unsigned page = 0; page < PAGES; page++)
        memory[page * PAGE_SIZE] = 1;
    MUST(munmap((void *)memory, PAGES * PAGE_SIZE));
}

static void write_file(void)
{
    file = MUST(
        open(path_in_folder("bench-large").text, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600));
    for (unsigned done = 0; done < FILE_SIZE; done += READ_SIZE)
        write_all(file, buffer, READ_SIZE);
}

static void read_again(void)
{
    MUST(lseek(file, 0, SEEK_SET));
    for (unsigned done = 0; done < FILE_SIZE; done += READ_SIZE)
        read_all(file, buffer, READ_SIZE);
}

const struct row rows_memory[] = {
    {"mmap_touch_munmap", "instructions", 20, 201, NULL, map_touch_unmap, 1, NULL},
    {"file_reread", "instructions/MiB", 4, 21, write_file, read_again, 1, NULL},
    {0},
};
