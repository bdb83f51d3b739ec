// SPDX-License-Identifier: GPL-2.0-only
// corvus migrate, corvus ps: processes that go to other nodes (include/corvus/migrate.h).
#include "corvus.h"
#include "migrate.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int migrate_device(void)
{
    int device = open(MIGRATE_DEVICE, O_RDWR | O_CLOEXEC);

    if (device < 0)
        (void)fail_errno(MIGRATE_DEVICE);
    return device;
}

static bool parse_number(const char *text, unsigned long most, unsigned long *number)
{
    char *end;

    errno = 0;
    *number = strtoul(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == 0 && errno == 0 && *number != 0 &&
           *number <= most;
}

bool migrate_parse_node(const char *text, uint32_t *node)
{
    unsigned long number;

    if (!parse_number(strncmp(text, "node", 4) == 0 ? text + 4 : text, 254, &number))
        return false;
    *node = (uint32_t)number;
    return true;
}

int command_migrate(const struct options *options, int argc, char **argv)
{
    struct migrate_move request = {0};
    unsigned long pid;
    int device, status = STATUS_OK;

    (void)options;
    if (argc > 0 && strcmp(argv[0], "--eager") == 0) {
        request.flags = MIGRATE_EAGER;
        argc--;
        argv++;
    }
    if (argc != 2)
        return wrong_arguments("a process and a node are wanted");
    if (!parse_number(argv[0], 1ul << 22, &pid))
        return wrong_arguments("a process is a number");
    if (!migrate_parse_node(argv[1], &request.node))
        return wrong_arguments("a node is a number, or node1 ...");
    request.pid = (int32_t)pid;
    device = migrate_device();
    if (device < 0)
        return STATUS_FAILED;
    if (ioctl(device, MIGRATE_MOVE, &request) != 0) {
        char what[32];

        (void)snprintf(what, sizeof what, "process %d", request.pid);
        request.reason[sizeof request.reason - 1] = 0;
        status = request.reason[0] != 0 ? fail(what, request.reason) : fail_errno(what);
    }
    (void)close(device);
    return status;
}

// --- Where they are ------------------------------------------------------------------------------

// The steps of a move, which its source knows, in nanoseconds after the command.
static void print_steps(const struct migrate_entry *entry)
{
    printf(", \"freezing_ns\": %" PRIu64 ", \"frozen_ns\": %" PRIu64 ", \"committed_ns\": %" PRIu64
           ", \"away_ns\": %" PRIu64,
           entry->freezing, entry->frozen, entry->committed, entry->away);
}

// How long it stood still, in milliseconds, or a line where that is not known.
static void print_freeze(const struct migrate_entry *entry)
{
    if (entry->away == 0)
        printf("%9s", "-");
    else
        printf("%6.1f ms", (double)(entry->away - entry->freezing) / 1e6);
}

static void print_entry(const struct options *options, const struct migrate_entry *entry,
                        bool first)
{
    unsigned place = entry->here != 0 ? entry->target : entry->here;
    bool at_risk = entry->pages + entry->regions != 0;
    char keeper[16] = "-"; // of the pages that have not followed, which die with it

    if (at_risk)
        (void)snprintf(keeper, sizeof keeper, "node%" PRIu32, entry->source);

    // What is away runs at the target of its last move; what has not gone yet, at its source.
    if (entry->here == 0)
        place = strcmp(entry->state, "away") == 0 ? entry->target : entry->source;
    if (options->json) {
        printf("%s{\"pid\": %" PRId32 ", \"home\": %" PRIu32 ", \"node\": %u, \"from\": %" PRIu32
               ", \"state\": \"%s\", \"pages\": %" PRIu64 ", \"regions\": %" PRIu64
               ", \"at_risk\": %s, \"uid\": %" PRIu32 ", \"command\": ",
               first ? "" : ", ", entry->pid, entry->home, place, entry->source, entry->state,
               entry->pages, entry->regions, at_risk ? "true" : "false", entry->uid);
        print_json_string(entry->comm);
        print_steps(entry);
        putchar('}');
        return;
    }
    printf("%7" PRId32 "  node%-4" PRIu32 "  node%-4u  %-9s  %9" PRIu64 "%s  %-12s  ", entry->pid,
           entry->home, place, entry->state, entry->pages, entry->regions != 0 ? "+" : " ", keeper);
    print_freeze(entry);
    printf("  %s\n", entry->comm);
}

int command_ps(const struct options *options, int argc, char **argv)
{
    struct migrate_entry entry = {0};
    bool first = true;
    int device;

    (void)argv;
    if (argc != 0)
        return wrong_arguments("no arguments are known");
    device = migrate_device();
    if (device < 0)
        return STATUS_FAILED;
    puts(options->json
             ? "["
             : "    pid  home      node      state      remaining   at risk with     frozen"
               "  command");
    while (ioctl(device, MIGRATE_LIST, &entry) == 0) {
        entry.comm[sizeof entry.comm - 1] = 0;
        entry.state[sizeof entry.state - 1] = 0;
        print_entry(options, &entry, first);
        first = false;
        entry = (struct migrate_entry){.index = entry.index};
    }
    if (options->json)
        puts("]");
    return errno == ENOENT ? STATUS_OK : fail_errno(MIGRATE_DEVICE);
}

// --- How long a message takes --------------------------------------------------------------------

int command_migrate_echo(const struct options *options, int argc, char **argv)
{
    struct migrate_echo request = {0};
    unsigned long bytes = 0, times = 1;
    int device, status = STATUS_OK;

    (void)options;
    if (argc < 1 || argc > 3 || !migrate_parse_node(argv[0], &request.node) ||
        (argc > 1 && strcmp(argv[1], "0") != 0 && !parse_number(argv[1], 256ul << 10, &bytes)) ||
        (argc > 2 && !parse_number(argv[2], 1000000, &times)))
        return wrong_arguments("a node, bytes of data, and how often");
    request.bytes = (uint32_t)bytes;
    device = migrate_device();
    if (device < 0)
        return STATUS_FAILED;
    for (unsigned long i = 0; i < times && status == STATUS_OK; i++) {
        if (ioctl(device, MIGRATE_ECHO, &request) != 0)
            status = fail_errno(argv[0]);
        else
            printf("%" PRIu64 " ns\n", request.nanoseconds);
    }
    (void)close(device);
    return status;
}
