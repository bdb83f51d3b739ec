// SPDX-License-Identifier: BSD-2-Clause
// What the benchmark asks a node's migration driver.
#include "tests/bench/migrate/process.h"

#include <corvus/migrate.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>

static int device(void)
{
    static int open_device = -1;

    if (open_device < 0)
        open_device = open(MIGRATE_DEVICE, O_RDWR | O_CLOEXEC);
    if (open_device < 0)
        give_up(MIGRATE_DEVICE);
    return open_device;
}

static void tell(const char *name, unsigned long long value)
{
    printf("%s %llu\n", name, value);
}

void ask_echo(unsigned node, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct migrate_echo echo = {.node = node};

        if (ioctl(device(), MIGRATE_ECHO, &echo) != 0)
            give_up("a message to the other node");
        tell("echo", echo.nanoseconds);
    }
}

// The steps of the last move of the process, in nanoseconds after the command.
static void tell_steps(int pid)
{
    struct migrate_entry entry = {0}, found = {0};

    for (; ioctl(device(), MIGRATE_LIST, &entry) == 0;
         entry = (struct migrate_entry){.index = entry.index})
        if (entry.pid == pid && entry.away != 0)
            found = entry;
    if (found.pid != pid) {
        errno = ESRCH;
        give_up("the list of moves");
    }
    tell("move", found.move);
    tell("freezing", found.freezing);
    tell("frozen", found.frozen);
    tell("committed", found.committed);
    tell("away", found.away);
}

void ask_move(int pid, unsigned node, bool eager)
{
    struct migrate_move move = {
        .pid = pid, .node = node, .flags = eager ? MIGRATE_EAGER : 0, .reason = ""};
    uint64_t begin = now();

    if (ioctl(device(), MIGRATE_MOVE, &move) != 0)
        give_up(move.reason);
    tell("total", now() - begin);
    tell_steps(pid);
}

void ask_pages(unsigned node, unsigned long move)
{
    struct migrate_pages_status status = {.node = node, .number = move};

    if (ioctl(device(), MIGRATE_PAGES_STATUS, &status) != 0)
        give_up("pages of the move");
    tell("faults", status.faults);
    tell("demanded", status.demanded);
    tell("ahead", status.ahead);
    tell("drained", status.drained);
    tell("came", status.came);
    tell("left", status.pages);
    tell("regions", status.regions);
}
