// SPDX-License-Identifier: BSD-2-Clause
// The table of sub-commands, and what all of them use.
#include "ports.h"

#include <corvus/netname_stubs.h>
#include <corvus/supervisor_stubs.h>

#include <corvus/netname.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *words;
    int count;
    int (*run)(char **words);
} commands[] = {
    {"state", "", 0, command_state},
    {"end", "SERVER", 1, command_end},
    {"serve", "NAME", 1, command_serve},
    {"call", "NAME HOST SECONDS", 3, command_call},
    {"hold", "NAME HOST SECONDS", 3, command_hold},
    {"wait", "NAME HOST CALLERS SECONDS", 4, command_wait},
    {"load", "NODES MESSAGES SECONDS SET", 4, command_load},
};
#define COMMANDS (sizeof commands / sizeof commands[0])

void say(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
}

void fail(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fputs("ports: ", stdout);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    exit(EXIT_FAILURE);
}

void need(corvus_error_t error, const char *what)
{
    if (error != ERR_OK)
        fail("%s: error %d", what, error);
}

uint64_t port_number(port_name_t name)
{
    uint64_t kind = RIGHT_DEAD, number = 0;

    need(task_right_info(NAME_TASK_SELF, name, &kind, &number, NULL), "asking what a right is");
    return kind == RIGHT_DEAD ? 0 : number;
}

// --- state -----------------------------------------------------------------------------

static void say_counters(port_name_t netname)
{
#define COUNTER_NAME(name, text) #name,
    static const char *const names[] = {CORE_COUNTERS(COUNTER_NAME) NODE_COUNTERS(COUNTER_NAME)};
#undef COUNTER_NAME
    uint64_t values[sizeof names / sizeof names[0]];
    size_t count = sizeof names / sizeof names[0];

    need(netname_counters(netname, 0, values, &count), "reading counters");
    for (size_t i = 0; i < count; i++)
        say("%s=%llu", names[i], (unsigned long long)values[i]);
}

// How this node sees its cluster; a line for itself, one for each other node, one a counter.
int command_state(char **words)
{
    uint64_t node, nodes, live, majority, incarnation;
    port_name_t netname;

    (void)words;
    need(corvus_netname(&netname), "finding the network server");
    need(netname_cluster(netname, &node, &nodes, &live, &majority, &incarnation),
         "asking for the cluster");
    say("node=%u nodes=%u live=%u majority=%u incarnation=%llx", (unsigned)node, (unsigned)nodes,
        (unsigned)live, (unsigned)majority, (unsigned long long)incarnation);
    for (uint64_t other = 1; other <= nodes; other++) {
        uint64_t state, sessions, imports, exports;
        if (other == node)
            continue;
        need(netname_node(netname, other, &state, &incarnation, &sessions, &imports, &exports),
             "asking for a node");
        say("peer=%u state=%u incarnation=%llx sessions=%u imports=%u exports=%u", (unsigned)other,
            (unsigned)state, (unsigned long long)incarnation, (unsigned)sessions, (unsigned)imports,
            (unsigned)exports);
    }
    say_counters(netname);
    return EXIT_SUCCESS;
}

// --- end --------------------------------------------------------------------------------

// Ends a server of the node's configuration, as if it had failed.
int command_end(char **words)
{
    uint64_t name[4];

    if (!corvus_name_words(words[0], name))
        fail("'%s' is no name", words[0]);
    need(supervisor_end_server(NAME_BOOTSTRAP, name[0], name[1], name[2], name[3]),
         "ending the server");
    return EXIT_SUCCESS;
}

// --- Which ------------------------------------------------------------------------------

int main(int count, char **words)
{
    for (size_t i = 0; count >= 2 && i < COMMANDS; i++)
        if (strcmp(words[1], commands[i].name) == 0 && count - 2 == commands[i].count)
            return commands[i].run(words + 2);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(stderr, "usage: ports %s %s\n", commands[i].name, commands[i].words);
    return 2;
}
