// SPDX-License-Identifier: BSD-2-Clause
// The DSM server of a node: who it is, and the order in which its parts begin. Arguments: node N
// nodes N lend MIB test 1; empty values are as if they were not there, and make it node 1 of 1,
// which lends nothing.
#include "dsm/server/server.h"

#include <corvus/init_stubs.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEND_MAX 1048576u // MiB

struct dsm_node this_node = {.number = 1};

uint64_t real_time_ns(void)
{
    static uint64_t epoch;

    // A machine without a calendar begins in 1970.
    if (epoch == 0 && bootstrap_real_time(NAME_BOOTSTRAP, &epoch) != ERR_OK)
        epoch = 1;
    return epoch + clock_now_ns();
}

bool is_majority(const struct directory_nodes *members)
{
    unsigned count = 0;

    for (unsigned node = 1; node <= this_node.nodes; node++)
        count += directory_has_node(members, node);
    return 2 * count > this_node.nodes ||
           (2 * count == this_node.nodes && directory_has_node(members, 1));
}

static bool read_number(const char *text, unsigned most, unsigned *number)
{
    char *end;
    unsigned long value;

    if (*text == '\0')
        return true;
    value = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || value < 1 || value > most)
        return false;
    *number = (unsigned)value;
    return true;
}

static const char *read_arguments(int count, char **words)
{
    if (count % 2 != 0)
        return "an argument without a value";
    for (int i = 0; i < count; i += 2) {
        bool node = strcmp(words[i], "node") == 0, lend = strcmp(words[i], "lend") == 0;
        if (strcmp(words[i], "test") == 0) {
            if (words[i + 1][0] != '\0')
                stop_allow();
            continue;
        }
        if (!node && !lend && strcmp(words[i], "nodes") != 0)
            return "an argument that there is not";
        if (lend && !read_number(words[i + 1], LEND_MAX, &this_node.lend))
            return "lend is 1 to 1048576 (MiB)";
        if (!lend && !read_number(words[i + 1], DIRECTORY_NODES_MAX,
                                  node ? &this_node.number : &this_node.nodes))
            return "node and nodes are 1 to 254";
    }
    if (this_node.nodes == 0)
        this_node.nodes = this_node.number;
    return this_node.number <= this_node.nodes ? NULL : "the node is beyond the number of nodes";
}

static corvus_error_t start(void)
{
    corvus_error_t (*const parts[])(void) = {loop_open, pages_start, locks_start, names_start,
                                             peers_start};
    corvus_error_t error = ERR_OK;

    for (unsigned i = 0; i < sizeof parts / sizeof parts[0] && error == ERR_OK; i++)
        error = parts[i]();
    return error;
}

int main(int count, char **words)
{
    const char *wrong = read_arguments(count - 1, words + 1);
    corvus_error_t error;

    if (wrong != NULL) {
        printf("dsm: %s\n", wrong);
        return EXIT_FAILURE;
    }
    this_node.life = real_time_ns();
    error = start();
    if (error == ERR_OK)
        error = loop_run();
    printf("dsm: ended by error %d\n", error);
    return EXIT_FAILURE;
}
