// SPDX-License-Identifier: BSD-2-Clause
// Prints a network driver's own counters, as `ethtool -S` does: NAME VALUE, a line each.
//
//   ethernet-counters INTERFACE
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define COUNTERS_MAX 64u

static int ask(int connection, const char *interface, void *question)
{
    struct ifreq request = {.ifr_data = question};

    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", interface);
    return ioctl(connection, SIOCETHTOOL, &request);
}

int main(int argc, char **argv)
{
    static union {
        struct ethtool_gstrings head;
        char bytes[sizeof(struct ethtool_gstrings) + COUNTERS_MAX * ETH_GSTRING_LEN];
    } names = {.head = {.cmd = ETHTOOL_GSTRINGS, .string_set = ETH_SS_STATS}};
    static union {
        struct ethtool_stats head;
        char bytes[sizeof(struct ethtool_stats) + COUNTERS_MAX * sizeof(__u64)];
    } values = {.head = {.cmd = ETHTOOL_GSTATS}};
    struct ethtool_drvinfo driver = {.cmd = ETHTOOL_GDRVINFO};
    int connection = socket(AF_INET, SOCK_DGRAM, 0);

    if (argc != 2 || ask(connection, argv[1], &driver) != 0 || driver.n_stats > COUNTERS_MAX)
        return 2;
    names.head.len = values.head.n_stats = driver.n_stats;
    if (ask(connection, argv[1], &names) != 0 || ask(connection, argv[1], &values) != 0)
        return 1;
    for (unsigned i = 0; i < driver.n_stats; i++) {
        const char *name = names.bytes + sizeof names.head + (size_t)i * ETH_GSTRING_LEN;
        unsigned long long value;
        memcpy(&value, values.bytes + sizeof values.head + i * sizeof value, sizeof value);
        printf("%.*s %llu\n", ETH_GSTRING_LEN, name, value);
    }
    return 0;
}
