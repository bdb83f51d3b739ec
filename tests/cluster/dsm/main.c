// SPDX-License-Identifier: BSD-2-Clause
// Asks the DSM server of a node for what its words say, and prints what it answers; a Linux program
// for the tests of tests/cluster/dsm*.sh. An error is printed by its number, as `error N`.
#include "tests/cluster/dsm/dsm.h"

#include <corvus/segments.h>
#include <corvus/segments_stubs.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

port_name_t server;

int tell(corvus_error_t error, const char *text)
{
    if (error != ERR_OK)
        printf("error %d\n", (int)error);
    else
        printf("%s\n", text);
    return error == ERR_OK ? 0 : 1;
}

uint64_t number(const char *word)
{
    return strtoull(word, NULL, 0);
}

static int create(char **words)
{
    uint64_t segment = 0;
    corvus_error_t error =
        segment_create(server, number(words[1]), 0, 0, words[0], strlen(words[0]), &segment);
    char text[32];

    snprintf(text, sizeof text, "segment %" PRIu64, segment);
    return tell(error, text);
}

static int find(char **words)
{
    uint64_t segment = 0;
    corvus_error_t error = segment_look_up(server, words[0], strlen(words[0]), &segment);
    char text[32];

    snprintf(text, sizeof text, "segment %" PRIu64, segment);
    return tell(error, text);
}

static int link_name(char **words)
{
    return tell(segment_link(server, number(words[0]), words[1], strlen(words[1])), "linked");
}

static int unlink_name(char **words)
{
    return tell(segment_unlink(server, words[0], strlen(words[0])), "unlinked");
}

static int rename_name(char **words)
{
    char names[2 * SEGMENT_NAME_MAX + 3];
    int bytes = snprintf(names, sizeof names, "%s%c%s", words[0], 0, words[1]);

    return tell(segment_rename(server, number(words[2]), names, (size_t)bytes), "renamed");
}

static int get(char **words)
{
    uint64_t size, mode, uid, gid, links, modified, changed, version;
    corvus_error_t error = segment_get(server, number(words[0]), &size, &mode, &uid, &gid, &links,
                                       &modified, &changed, &version);
    char text[128];

    if (error != ERR_OK)
        return tell(error, "");
    snprintf(text, sizeof text, "size %" PRIu64 " mode %" PRIo64 " uid %" PRIu64 " links %" PRIu64,
             size, mode, uid, links);
    return tell(error, text);
}

static int resize(char **words)
{
    return tell(
        segment_set(server, number(words[0]), SEGMENT_SET_SIZE, 0, 0, 0, number(words[1]), 0),
        "resized");
}

static int list(char **words)
{
    static uint8_t entries[4096];
    uint64_t cookie = 0;

    (void)words;
    for (;;) {
        size_t bytes = sizeof entries;
        corvus_error_t error = segment_list(server, cookie, &cookie, entries, &bytes);
        if (error != ERR_OK || bytes == 0)
            return tell(error, "end");
        for (size_t at = 0; at < bytes;) {
            struct segment_entry entry;
            memcpy(&entry, entries + at, sizeof entry);
            printf("%" PRIu64 " %" PRIu64 " %.*s\n", entry.segment, entry.size,
                   (int)entry.name_bytes, (const char *)entries + at + sizeof entry);
            at += segment_entry_bytes(entry.name_bytes);
        }
    }
}

static int state(char **words)
{
    uint64_t node, members, majority, coordinator, epoch, sequence;
    corvus_error_t error =
        segment_cluster(server, &node, &members, &majority, &coordinator, &epoch, &sequence);
    char text[160];

    (void)words;
    if (error != ERR_OK)
        return tell(error, "");
    snprintf(text, sizeof text,
             "node %" PRIu64 " members %" PRIx64 " majority %" PRIu64 " coordinator %" PRIu64
             " sequence %" PRIu64,
             node, members, majority, coordinator, sequence);
    return tell(error, text);
}

static int hold(char **words)
{
    port_name_t object;
    uint64_t size;
    corvus_error_t error = segment_open(server, number(words[0]), 0, &object, &size);

    if (error != ERR_OK)
        return tell(error, "");
    printf("open, size %" PRIu64 "\n", size);
    fflush(stdout);
    (void)getchar(); // until its input ends
    return 0;
}

static const struct command {
    const char *name;
    int words;
    int (*run)(char **words);
} commands[] = {
    {"create", 2, create},
    {"find", 1, find},
    {"link", 2, link_name},
    {"unlink", 1, unlink_name},
    {"rename", 3, rename_name},
    {"get", 1, get},
    {"resize", 2, resize},
    {"list", 0, list},
    {"state", 0, state},
    {"hold", 1, hold},
    {"cache", 2, command_cache},
    {"bench", 4, command_bench},
    {"partner", 1, command_partner},
    {"barrier", 3, command_barrier},
    {"lock", 1, command_lock},
    {"hostile", 3, command_hostile},
    {"many", 1, command_many},
    {"witness", 2, command_witness},
    {"stop", 2, command_stop},
    {"try", 0, command_try},
    {"sum", 2, command_sum},
    {"post", 1, command_post},
    {"wait", 0, command_wait},
    {NULL, 0, NULL},
};

int main(int count, char **words)
{
    const struct command *command = commands;

    while (command->name != NULL && (count < 2 || strcmp(command->name, words[1]) != 0))
        command++;
    if (command->name == NULL || command->words != count - 2) {
        fprintf(stderr, "usage: dsm COMMAND WORDS…\n");
        return 2;
    }
    corvus_error_t error = corvus_look_up("dsm", 0, true, &server);
    if (error != ERR_OK)
        return tell(error, "");
    return command->run(words + 2);
}
