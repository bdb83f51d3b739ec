// SPDX-License-Identifier: BSD-2-Clause
// Ports of another node, used like any other: node 2 serves, node 1 judges.
#include "exchange_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEATH_US 15000000u

static unsigned tests, failures;
port_name_t netname, echo;

bool ok(bool passed, const char *text)
{
    printf("%sok %u - %s\n", passed ? "" : "not ", ++tests, text);
    failures += !passed;
    return passed;
}

bool equal(uint64_t one, uint64_t other, const char *text)
{
    if (!ok(one == other, text))
        printf("# %llu, not %llu\n", (unsigned long long)one, (unsigned long long)other);
    return one == other;
}

void name_words(const char *name, uint64_t words[4])
{
    char text[32] = {0};

    strncpy(text, name, sizeof text - 1);
    memcpy(words, text, sizeof text);
}

corvus_error_t find(const char *name, uint64_t host, uint64_t wait, port_name_t *port)
{
    uint64_t w[4];

    name_words(name, w);
    return netname_look_up(netname, w[0], w[1], w[2], w[3], host, wait, port);
}

corvus_error_t echo_call(struct message *message)
{
    message->destination = echo;
    return msg_rpc(message, TIMEOUT_NONE);
}

corvus_error_t echo_ask(uint32_t id, uint64_t word, uint64_t *answer)
{
    struct message message = {.tag = 1, .id = id, .words = {word}};
    corvus_error_t error = echo_call(&message);

    if (error == ERR_OK && answer != NULL)
        *answer = message.words[0];
    return error;
}

uint64_t right_kind(port_name_t name)
{
    uint64_t kind = RIGHT_NONE;

    (void)task_right_info(NAME_TASK_SELF, name, &kind, NULL, NULL);
    return kind;
}

bool dies(port_name_t name)
{
    struct message message = {0};
    port_name_t notices;
    bool died = port_allocate(0, &notices) == ERR_OK;

    corvus_error_t error =
        died ? port_request_notification(name, NOTIFY_DEAD_NAME, notices) : ERR_NO_MEMORY;
    died = error == ERR_PEER_DIED ||
           (error == ERR_OK && msg_receive(&message, notices, DEATH_US) == ERR_OK &&
            message.id == MESSAGE_ID_DEAD_NAME && message.words[0] == name);
    (void)port_deallocate(notices);
    return died && right_kind(name) == RIGHT_DEAD;
}

static void judge_all(void)
{
    judge();
    judge_load();
    judge_rights();
    judge_task();
    struct message message = {.tag = 0, .id = ECHO_DIE};
    equal(echo_call(&message), ERR_PEER_DIED, "whose port dies owing an answer");
    ok(find("echo", 2, 0, &echo) != ERR_OK, "its name is gone");
}

// By the word `test=` of the kernel command line.
static const struct {
    const char *name;
    void (*judge)(void);
    bool strangers; // node 2 cannot be found
} runs[] = {
    {"all", judge_all, false},
    {"death", judge_death, false},
    {"restart", judge_restart, false},
    {"stranger", judge_stranger, true},
};

static int run(const char *name)
{
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        if (strcmp(runs[i].name, name) != 0)
            continue;
        if (!runs[i].strangers)
            equal(find("echo", 2, 1, &echo), ERR_OK, "a port of another node is found by its name");
        runs[i].judge();
        printf("1..%u\n", tests);
        return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    printf("# there is no test '%s'\n", name);
    return EXIT_FAILURE;
}

int main(int count, char **words)
{
    uint64_t w[4];
    unsigned node = count > 2 ? (unsigned)atoi(words[2]) : 1;
    const char *test = count > 4 && words[4][0] != '\0' ? words[4] : "all";

    name_words("netname", w);
    if (bootstrap_look_up(NAME_BOOTSTRAP, w[0], w[1], w[2], w[3], 1, &netname) != ERR_OK)
        return EXIT_FAILURE;
    if (node != 1)
        return serve_others();
    return run(test);
}
