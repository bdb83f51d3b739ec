// SPDX-License-Identifier: GPL-2.0-only
// corvus top: load and memory of every node, again and again.
#include "corvus.h"
#include "migrate.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define NODES_MAX 254
#define MIB       (1024.0 * 1024.0)

struct settings {
    double seconds;
    unsigned long times; // 0: until interrupted
};

static struct migrate_node before[NODES_MAX + 1];

// Busy since the last look, or since the node's start; in percent.
static double busy_share(const struct migrate_node *now)
{
    const struct migrate_node *last = &before[now->node];
    bool same = last->uptime != 0 && last->uptime < now->uptime && last->busy <= now->busy;
    uint64_t time = now->uptime - (same ? last->uptime : 0);
    double share =
        time != 0 ? 100.0 * (double)(now->busy - (same ? last->busy : 0)) / (double)time : 0;

    return share > 100 ? 100 : share;
}

static void print_node(const struct options *options, const struct migrate_node *now, bool first)
{
    double busy = busy_share(now);

    if (options->json)
        printf("%s{\"node\": %" PRIu32 ", \"busy\": %.1f, \"load\": [%.2f, %.2f, %.2f], "
               "\"total\": %" PRIu64 ", \"available\": %" PRIu64 ", \"threads\": %" PRIu32
               ", \"running\": %" PRIu32 ", \"guests\": %" PRIu32 ", \"away\": %" PRIu32
               ", \"uptime\": %.1f}",
               first ? "" : ", ", now->node, busy, now->load[0] / 100.0, now->load[1] / 100.0,
               now->load[2] / 100.0, now->total, now->available, now->threads, now->running,
               now->guests, now->away, (double)now->uptime / 1e9);
    else
        printf("node%-4" PRIu32 " %5.1f  %6.2f %6.2f %6.2f  %8.1f %8.1f  %7" PRIu32 " %7" PRIu32
               "  %6" PRIu32 " %4" PRIu32 "\n",
               now->node, busy, now->load[0] / 100.0, now->load[1] / 100.0, now->load[2] / 100.0,
               (double)now->total / MIB, (double)now->available / MIB, now->threads, now->running,
               now->guests, now->away);
}

static int look(const struct options *options, int device)
{
    struct migrate_node self = {0};

    if (ioctl(device, MIGRATE_NODE, &self) != 0)
        return fail_errno(MIGRATE_DEVICE);
    if (options->json)
        putchar('[');
    else
        puts("node     busy%    load 1, 5, 15 min    MiB of mem     free  threads running  guests "
             "away");
    bool first = true;
    for (uint32_t number = 1; number <= self.nodes || number == 1; number++) {
        struct migrate_node now = {.node = self.node != 0 ? number : 0};
        if (ioctl(device, MIGRATE_NODE, &now) != 0) {
            if (!options->json)
                printf("node%-4" PRIu32 " does not answer\n", number);
            continue;
        }
        print_node(options, &now, first);
        first = false;
        if (now.node <= NODES_MAX)
            before[now.node] = now;
    }
    if (options->json)
        puts("]");
    return fflush(stdout) == 0 ? STATUS_OK : fail_errno("standard output");
}

static bool parse(int argc, char **argv, struct settings *settings)
{
    for (int i = 0; i + 1 < argc; i += 2) {
        char *end;
        if (strcmp(argv[i], "-i") == 0)
            settings->seconds = strtod(argv[i + 1], &end);
        else if (strcmp(argv[i], "-n") == 0)
            settings->times = strtoul(argv[i + 1], &end, 10);
        else
            return false;
        if (end == argv[i + 1] || *end != 0)
            return false;
    }
    return argc % 2 == 0 && settings->seconds > 0 && settings->seconds <= 86400;
}

int command_top(const struct options *options, int argc, char **argv)
{
    struct settings settings = {.seconds = 2};
    bool live = isatty(STDOUT_FILENO) && !options->json;
    int device, status = STATUS_OK;

    if (!parse(argc, argv, &settings))
        return wrong_arguments("-i SECONDS, more than 0 and at most a day; -n COUNT");
    device = migrate_device();
    if (device < 0)
        return STATUS_FAILED;
    for (unsigned long i = 0; status == STATUS_OK && (settings.times == 0 || i < settings.times);
         i++) {
        struct timespec pause = {.tv_sec = (time_t)settings.seconds};
        pause.tv_nsec = (long)((settings.seconds - (double)pause.tv_sec) * 1e9);
        if (i > 0)
            (void)nanosleep(&pause, NULL);
        if (live)
            fputs("\033[H\033[J", stdout);
        status = look(options, device);
    }
    (void)close(device);
    return status;
}
