// SPDX-License-Identifier: GPL-2.0-only
// corvus nodes, corvus names: what the network server knows of the cluster.
#include "corvus.h"

#include "lib/linux/corvus.h"

#include <corvus/netname_stubs.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct node {
    uint64_t number, state, incarnation, sessions, imports, exports;
};

// As netname_node tells it.
static const char *state_of(const struct node *node, uint64_t self)
{
    static const char *const states[] = {"never seen", "there", "suspect", "dead"};

    if (node->number == self)
        return "this node";
    return node->state < sizeof states / sizeof states[0] ? states[node->state] : "unknown";
}

static void print_node(const struct options *options, const struct node *node, uint64_t self)
{
    const char *state = state_of(node, self);

    if (options->json)
        printf("%s{\"node\": %" PRIu64 ", \"name\": \"node%" PRIu64
               "\", \"address\": \"10.67.0.%" PRIu64
               "\", \"state\": \"%s\", \"incarnation\": %" PRIu64 ", \"sessions\": %" PRIu64
               ", \"imports\": %" PRIu64 ", \"exports\": %" PRIu64 "}",
               node->number > 1 ? ", " : "", node->number, node->number, node->number, state,
               node->incarnation, node->sessions, node->imports, node->exports);
    else
        printf("%4" PRIu64 "  node%-4" PRIu64 "  10.67.0.%-3" PRIu64 "  %-10s  %20" PRIu64
               "  %8" PRIu64 "  %7" PRIu64 "  %7" PRIu64 "\n",
               node->number, node->number, node->number, state, node->incarnation, node->sessions,
               node->imports, node->exports);
}

static int list_nodes(const struct options *options, port_name_t server)
{
    uint64_t self, nodes, live, majority, incarnation;
    corvus_error_t error = netname_cluster(server, &self, &nodes, &live, &majority, &incarnation);

    if (error != ERR_OK)
        return fail_message("network server", (int)error);
    if (options->json)
        printf("{\"live\": %" PRIu64 ", \"majority\": %s, \"nodes\": [", live,
               majority != 0 ? "true" : "false");
    else
        puts("node  name      address      state                incarnation  sessions  imports  "
             "exports");
    for (uint64_t number = 1; number <= nodes; number++) {
        struct node node = {.number = number};
        error = netname_node(server, number, &node.state, &node.incarnation, &node.sessions,
                             &node.imports, &node.exports);
        if (error != ERR_OK)
            return fail_message("network server", (int)error);
        print_node(options, &node, self);
    }
    if (options->json)
        puts("]}");
    else
        printf("%" PRIu64 " of %" PRIu64 " are there, which is %s majority\n", live, nodes,
               majority != 0 ? "the" : "no");
    return STATUS_OK;
}

int command_nodes(const struct options *options, int argc, char **argv)
{
    port_name_t server;

    (void)argv;
    if (argc != 0)
        return wrong_arguments("no arguments are known");
    server = network_server();
    return server != PORT_NULL ? list_nodes(options, server) : STATUS_FAILED;
}

// --- Names ---------------------------------------------------------------------------------------

// Whoever checked it in chose the bytes.
static void print_name(const struct options *options, const uint64_t words[4], bool first)
{
    char name[sizeof(uint64_t[4]) + 1] = {0};

    memcpy(name, words, sizeof name - 1);
    for (char *byte = name; *byte != 0; byte++)
        if (*byte < ' ' || *byte > '~')
            *byte = '?';
    if (!options->json) {
        puts(name);
        return;
    }
    fputs(first ? "" : ", ", stdout);
    print_json_string(name);
}

static int list_names(const struct options *options, port_name_t server)
{
    uint64_t name[4];
    corvus_error_t error = ERR_OK;

    if (options->json)
        putchar('[');
    for (uint64_t index = 0; error == ERR_OK; index++) {
        error = netname_list(server, index, &name[0], &name[1], &name[2], &name[3]);
        if (error == ERR_OK)
            print_name(options, name, index == 0);
    }
    if (options->json)
        puts("]");
    return error == ERR_NOT_FOUND ? STATUS_OK : fail_message("name server", (int)error);
}

int command_names(const struct options *options, int argc, char **argv)
{
    uint64_t self, number = 0;
    port_name_t server, names;
    corvus_error_t error = ERR_OK;
    char *end = "";

    if (argc > 1)
        return wrong_arguments("one node at a time");
    if (argc == 1)
        number = strtoull(strncmp(argv[0], "node", 4) == 0 ? argv[0] + 4 : argv[0], &end, 10);
    if (argc == 1 && (number == 0 || *end != 0))
        return wrong_arguments("a node is a number, or node1 ...");
    server = network_server();
    if (server == PORT_NULL)
        return STATUS_FAILED;
    if (number == 0)
        error = netname_cluster(server, &self, NULL, NULL, NULL, NULL);
    if (error == ERR_OK)
        error = netname_server(server, number != 0 ? number : self, &names);
    if (error == ERR_NOT_FOUND)
        return fail(argc == 1 ? argv[0] : "this node", "is not a node of this cluster");
    if (error == ERR_PEER_DIED)
        return fail(argc == 1 ? argv[0] : "this node", "is not there");
    if (error != ERR_OK)
        return fail_message("network server", (int)error);
    return list_names(options, names);
}
