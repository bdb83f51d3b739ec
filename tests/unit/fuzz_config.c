// SPDX-License-Identifier: BSD-2-Clause
// sources: init/config.c init/config_words.c
// Any bytes at all as configuration: no crash, and what is kept obeys the limits.
#include "init/config.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void count_report(void *context, uint32_t line, const char *message)
{
    uint32_t *count = context;
    if (line == 0 || strlen(message) >= CONFIG_MESSAGE_MAX)
        abort();
    (*count)++;
}

static void check_server(const struct config_server *server)
{
    if (strlen(server->name) == 0 || strlen(server->name) >= CONFIG_NAME_MAX ||
        server->priority > CONFIG_PRIORITY_MAX || server->after.count > CONFIG_DEPENDENCIES_MAX ||
        server->arguments.bytes > CONFIG_STRINGS_BYTES ||
        server->environment.count > CONFIG_ENVIRONMENT_MAX)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct config config;
    uint32_t reports = 0;
    uint32_t mistakes = config_parse((const char *)data, size, &config, count_report, &reports);
    if (mistakes != reports || config.count > CONFIG_SERVERS_MAX)
        abort();
    for (uint32_t i = 0; i < config.count; i++)
        check_server(&config.servers[i]);
    return 0;
}
