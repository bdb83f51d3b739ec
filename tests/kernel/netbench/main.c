// SPDX-License-Identifier: BSD-2-Clause
// The native half of tests/bench/net: messages between tasks of two nodes.
#include "netbench.h"

#include <corvus/init_stubs.h>

#include <stdlib.h>
#include <string.h>

#define ROUNDS_DEFAULT 1000u

port_name_t netname;

static void name_words(const char *name, uint64_t words[4])
{
    char text[32] = {0};

    strcpy(text, name);
    memcpy(words, text, sizeof text);
}

void bench_name(uint64_t words[4])
{
    name_words("netbench", words);
}

// A word that was not given on the kernel command line is empty.
static unsigned number(int count, char **words, int index, unsigned otherwise)
{
    return count > index && words[index][0] != 0 ? (unsigned)strtoul(words[index], NULL, 10)
                                                 : otherwise;
}

int main(int count, char **words)
{
    unsigned node = number(count, words, 1, 1);
    uint64_t w[4];

    name_words("netname", w);
    if (bootstrap_look_up(NAME_BOOTSTRAP, w[0], w[1], w[2], w[3], 1, &netname) != ERR_OK)
        return EXIT_FAILURE;
    if (node % 2 == 0)
        return bench_serve();
    return bench_drive(node + 1, number(count, words, 2, ROUNDS_DEFAULT),
                       number(count, words, 3, 1));
}
