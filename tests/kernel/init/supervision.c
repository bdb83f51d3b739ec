// SPDX-License-Identifier: BSD-2-Clause
// What became of the servers around this one: how often each was started, that
// each has ended, and that init has all their memory back.
#include "init_test.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WAIT_SECONDS 200
#define NAME_WORDS   4

enum { WAITING, RUNNING, PAUSED, ENDED };

struct server {
    uint64_t state, memory, peak, starts, bad_requests;
    union {
        uint64_t words[NAME_WORDS];
        char text[NAME_WORDS * sizeof(uint64_t)];
    } name;
};

static const struct {
    const char *name;
    uint64_t starts;
} expected[] = {
    {"page-fault", 1},     {"invalid-instruction", 1},
    {"thread-fault", 1},   {"terminate", 1},
    {"fail", 4},           {"unmap", 1},
    {"wait", 1},           {"serve", 1},
    {"needs-name", 2},     {"random", 3},
    {"random-devices", 1}, {"random-allocator", 1},
};

// Init counts a start that fails.
static const char *const impossible[] = {"no-memory", "no-quota", "no-program", "no-module"};

static bool read_server(uint64_t index, struct server *server)
{
    size_t words = NAME_WORDS;

    *server = (struct server){0};
    return node_server(NAME_BOOTSTRAP, index, &server->state, &server->memory, &server->peak,
                       &server->starts, &server->bad_requests, server->name.words,
                       &words) == ERR_OK;
}

static bool find_server(const char *name, struct server *server)
{
    for (uint64_t i = 0; read_server(i, server); i++)
        if (strncmp(server->name.text, name, sizeof server->name.text) == 0)
            return true;
    return false;
}

static bool all_ended(void)
{
    struct server server;

    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        if (!find_server(expected[i].name, &server) || server.state != ENDED)
            return false;
    return true;
}

static void test_ends(void)
{
    struct server server;
    char text[80];

    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        bool found = find_server(expected[i].name, &server);
        snprintf(text, sizeof text, "supervision: %s", expected[i].name);
        ok(found && server.state == ENDED && server.starts == expected[i].starts &&
               server.memory == 0 && server.peak != 0,
           text);
        if (found)
            printf("#   state %lu, %lu starts, %lu bytes left, %lu at most\n", server.state,
                   server.starts, server.memory, server.peak);
    }
    for (size_t i = 0; i < sizeof impossible / sizeof impossible[0]; i++) {
        bool found = find_server(impossible[i], &server);
        snprintf(text, sizeof text, "supervision: %s cannot start", impossible[i]);
        ok(found && server.state == ENDED && server.starts == 1 && server.memory == 0, text);
    }
}

static void test_statistics(void)
{
    uint64_t servers = 0, total = 0, unused = 0, lost = 1, held = 0;
    struct server server;

    ok(node_statistics(NAME_BOOTSTRAP, &servers, &total, &unused, &lost) == ERR_OK,
       "statistics of the node");
    ok(lost == 0, "statistics: no memory was lost");
    for (uint64_t i = 0; read_server(i, &server); i++)
        held += server.memory;
    ok(held + unused <= total, "statistics: the parts are no more than the whole");
    ok(!read_server(servers, &server), "statistics: no server behind the last");
    ok(!find_server("mistaken", &server), "a stanza with a mistake is left out");
    ok(find_server("spin", &server) && server.state == RUNNING, "who never yields still runs");
    ok(find_server("kernel-init", &server) && server.starts == 1 && server.bad_requests > 0,
       "bad requests are counted");
}

void test_supervision(void)
{
    unsigned seconds = 0;

    for (; !all_ended() && seconds < WAIT_SECONDS; seconds++)
        sleep(1);
    ok(seconds < WAIT_SECONDS, "supervision: all servers have ended");
    test_ends();
    test_statistics();
}
