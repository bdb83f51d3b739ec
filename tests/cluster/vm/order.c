// SPDX-License-Identifier: BSD-2-Clause
// The Linux program `order`: asks the native task of tests/cluster/vm.sh on a node, and prints the
// answer.
//
//   order NODE ORDER WORD…       the word that was answered, or "error N"
//   order number NAME            the number of the segment of that name
#include "orders.h"

#include "lib/linux/corvus.h"

#include <corvus/segments_stubs.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_US 60000000u

static const struct {
    uint32_t id;
    const char *word;
} orders[] = {
#define ORDER_ENTRY(name, number, word, text) {number, word},
    VM_TEST_ORDERS(ORDER_ENTRY)
#undef ORDER_ENTRY
};
#define ORDERS (sizeof orders / sizeof orders[0])

static int tell(corvus_error_t error, uint64_t value)
{
    if (error == ERR_OK)
        printf("%llu\n", (unsigned long long)value);
    else
        printf("error %d\n", (int)error);
    return error == ERR_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int tell_number(const char *name)
{
    port_name_t dsm;
    uint64_t segment = 0;
    corvus_error_t error = corvus_look_up("dsm", 0, true, &dsm);

    if (error == ERR_OK)
        error = segment_look_up(dsm, name, strlen(name), &segment);
    return tell(error, segment);
}

static int usage(void)
{
    fprintf(stderr, "usage: order NODE ORDER WORD… | order number NAME\n");
#define ORDER_USAGE(name, number, word, text) fprintf(stderr, "  %s %s\n", word, text);
    VM_TEST_ORDERS(ORDER_USAGE)
#undef ORDER_USAGE
    return 2;
}

int main(int count, char **words)
{
    struct message message = {.tag = VM_TEST_WORDS};
    port_name_t port;
    size_t which = 0;

    if (count == 3 && strcmp(words[1], "number") == 0)
        return tell_number(words[2]);
    while (count >= 3 && which < ORDERS && strcmp(words[2], orders[which].word) != 0)
        which++;
    if (count < 3 || which == ORDERS || count - 3 > (int)VM_TEST_WORDS)
        return usage();
    for (int i = 3; i < count; i++)
        message.words[i - 3] = strtoull(words[i], NULL, 10);
    corvus_error_t error = corvus_look_up(VM_TEST_NAME, strtoull(words[1], NULL, 10), true, &port);
    message.destination = port;
    message.id = orders[which].id;
    if (error == ERR_OK)
        error = msg_rpc(&message, LIMIT_US);
    return tell(error == ERR_OK ? (corvus_error_t)message.words[0] : error, message.words[1]);
}
