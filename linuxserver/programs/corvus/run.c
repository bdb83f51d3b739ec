// SPDX-License-Identifier: GPL-2.0-only
// corvus run: one program on several nodes, a process each. Its arguments; the rest is in
// run_start.c, before the program runs, and run_serve.c.
#include "run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *rank_name(const struct run *run, size_t rank)
{
    static char name[64];

    snprintf(name, sizeof name, "rank %zu on node%llu", rank,
             (unsigned long long)run->ranks[rank].node);
    return name;
}

// "node2" or "2", up to the next comma; NULL: it is neither.
static const char *parse_node(const char *text, uint64_t *node)
{
    char *end;

    if (strncmp(text, "node", 4) == 0)
        text += 4;
    if (*text < '1' || *text > '9')
        return NULL;
    *node = strtoull(text, &end, 10);
    return *end == 0 || *end == ',' ? end : NULL;
}

// What is wrong with the list; NULL: nothing.
static const char *parse_nodes(struct run *run, const char *text)
{
    for (;;) {
        if (run->count == RUN_RANKS_MAX)
            return "--on: at most 64 processes";
        text = parse_node(text, &run->ranks[run->count].node);
        if (text == NULL)
            return "--on: a node is a number, or node1 ...";
        run->count++;
        if (*text == 0)
            return NULL;
        text++;
    }
}

// Likewise of the arguments.
static const char *parse(struct run *run, int argc, char **argv)
{
    int next = 0;

    for (; next < argc && argv[next][0] == '-'; next++) {
        const char *wrong = NULL;
        if (strcmp(argv[next], "--") == 0) {
            next++;
            break;
        }
        if (strcmp(argv[next], "--local") == 0)
            run->shared = false;
        else if (strcmp(argv[next], "--on") == 0 && next + 1 == argc)
            wrong = "--on: which nodes?";
        else if (strcmp(argv[next], "--on") == 0 && run->count > 0)
            wrong = "--on: once only";
        else if (strcmp(argv[next], "--on") == 0)
            wrong = parse_nodes(run, argv[++next]);
        else
            wrong = "an option that there is not";
        if (wrong != NULL)
            return wrong;
    }
    if (run->count == 0)
        return "--on: which nodes?";
    if (next == argc)
        return "which program?";
    run->command = argv + next;
    run->words = (size_t)(argc - next);
    return NULL;
}

int command_run(const struct options *options, int argc, char **argv)
{
    static struct run run = {.shared = true, .input = true};
    const char *wrong = parse(&run, argc, argv);
    int status;

    (void)options;
    if (wrong != NULL)
        return wrong_arguments(wrong);
    // A reader of the output that goes is told to the process that writes, which may not mind.
    (void)signal(SIGPIPE, SIG_IGN);
    status = run_prepare(&run);
    if (status == STATUS_OK)
        status = run_start(&run);
    if (status == STATUS_OK)
        status = run_serve_all(&run);
    return status;
}
