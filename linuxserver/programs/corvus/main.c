// SPDX-License-Identifier: GPL-2.0-only
// corvus: looks at the node from inside its Linux.
#include "corvus.h"

#include <stdio.h>
#include <string.h>

static const struct command {
    const char *name;
    int (*run)(const struct options *options, int argc, char **argv);
    const char *usage;
    const char *text;
    bool verbatim; // its arguments are a program's, too
} commands[] = {
    {"nodes", command_nodes, "", "the nodes of the cluster as this one sees them", false},
    {"names", command_names, "[NODE]",
     "what is checked in with the network server of this node, or of another", false},
    {"stats", command_stats, "[-i SECONDS]",
     "the counters of microkernel, Linux server and network server; with -i, what is added in that "
     "time",
     false},
    {"trace", command_trace, "[on | off | [-n COUNT] [-k KIND]...]",
     "its trace ring: switch it, or show the last records", false},
    {"run", command_run, "--on NODE,NODE... [--local] [--] PROGRAM [ARGUMENT]...",
     "starts a program on each of these nodes, with the cluster's shared memory; --local: with "
     "each "
     "node's own",
     true},
    {"shared", command_shared, "[--] PROGRAM [ARGUMENT]...",
     "runs a program of this node with the cluster's shared memory", true},
    {"dsm", command_dsm, "ls | stat [-a | -n NODE] [SEGMENT] | trace [-a | -n NODE] [SEGMENT]",
     "the cluster's segments; what a node's DSM server has counted, and what happened to pages; "
     "-a: "
     "on all nodes",
     false},
    {"migrate", command_migrate, "[--eager] PID NODE",
     "moves a process of this node to another; --eager: returns when its memory is there, too",
     false},
    {"ps", command_ps, "",
     "the processes that have moved from or to this node: home, where they run, pages that have "
     "not followed yet",
     false},
    {"top", command_top, "[-i SECONDS] [-n COUNT]",
     "load and memory of every node, again and again", false},
    {"migrate-echo", command_migrate_echo, "NODE [BYTES [TIMES]]",
     "how long a message to a node's migration driver and back takes", false},
    {"shepherd", command_shepherd, "NODE MOVE", "the parent of a process that has come here",
     false},
    {"agentd", command_agentd, "", "what starts programs here for `corvus run` of other nodes",
     false},
};
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static const struct command *current;

static void print_usage(FILE *file)
{
    fputs("usage: corvus [--json] [--from FOLDER] COMMAND ...\n", file);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(file, "  %s %s\n      %s\n", commands[i].name, commands[i].usage, commands[i].text);
    fputs("  help\n      this\n--from: another folder than " CORVUS_FOLDER "\n", file);
}

int wrong_arguments(const char *what)
{
    if (current == NULL) {
        fprintf(stderr, "corvus: %s\n", what);
        print_usage(stderr);
    } else {
        fprintf(stderr, "corvus %s: %s\nusage: corvus [--json] %s %s\n", current->name, what,
                current->name, current->usage);
    }
    return STATUS_USAGE;
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

int main(int argc, char **argv)
{
    struct options options = {.folder = CORVUS_FOLDER};
    int next = 1;
    for (; next < argc && argv[next][0] == '-'; next++) {
        if (strcmp(argv[next], "--json") == 0) {
            options.json = true;
        } else if (strcmp(argv[next], "--from") == 0 && next + 1 < argc) {
            options.folder = argv[++next];
        } else if (strcmp(argv[next], "-h") == 0 || strcmp(argv[next], "--help") == 0) {
            print_usage(stdout);
            return STATUS_OK;
        } else {
            return wrong_arguments("an option that there is not");
        }
    }
    if (next == argc)
        return wrong_arguments("which command?");
    if (strcmp(argv[next], "help") == 0) {
        print_usage(stdout);
        return STATUS_OK;
    }
    current = find_command(argv[next]);
    if (current == NULL)
        return wrong_arguments("no such command");
    // --json is as welcome behind the command.
    int kept = next + 1;
    for (int i = next + 1; i < argc; i++) {
        if (!current->verbatim && strcmp(argv[i], "--json") == 0)
            options.json = true;
        else
            argv[kept++] = argv[i];
    }
    argv[kept] = NULL;
    int status = current->run(&options, kept - next - 1, argv + next + 1);
    // An earlier write may have failed, so there is no errno that says why.
    if ((fflush(stdout) != 0 || ferror(stdout) != 0) && status == STATUS_OK)
        status = fail("standard output", "cannot be written");
    return status;
}
