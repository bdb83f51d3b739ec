// SPDX-License-Identifier: BSD-2-Clause
// sources: init/config.c init/config_words.c
// The configuration's parser: what it takes, what it refuses, and that a mistake
// costs its own stanza only.
#include "init/config.h"
#include "init/config_words.h"
#include "tap.h"

#include <string.h>

static struct config config;
static char messages[4096];

static void collect(void *context, uint32_t line, const char *message)
{
    size_t used = strlen(messages);
    (void)context;
    snprintf(messages + used, sizeof messages - used, "%u: %s\n", line, message);
}

static uint32_t parse(const char *text)
{
    messages[0] = '\0';
    return config_parse(text, strlen(text), &config, collect, NULL);
}

static void test_full_stanza(void)
{
    uint32_t mistakes = parse("# a node\n"
                              "server vm\n"
                              "  memory 64M   # much\n"
                              "\n"
                              "server linux\r\n"
                              "\tmodule linux-6.1\n"
                              "\targuments root=/dev/vda \"two words\" \"a \\\"quoted\\\" one\"\n"
                              "\targuments last\n"
                              "\tenvironment HOME=/ EMPTY=\n"
                              "\tmemory 1G\n"
                              "\tstack 30000\n"
                              "\tquota 512K\n"
                              "\tpriority 99\n"
                              "\trestart on-failure backoff 250 limit 3\n"
                              "\tprivileges devices console\n"
                              "\tafter vm\n"
                              "\tafter-end vm\n"
                              "\trequires names.vm net\n"
                              "\ttestsuite");
    const struct config_server *server = &config.servers[1];
    tap_ok(mistakes == 0 && config.count == 2, "two stanzas without a mistake");
    tap_ok(strcmp(config.servers[0].module, "vm") == 0, "the module is called like the server");
    tap_ok(config.servers[0].memory == 64 << 20 &&
               config.servers[0].stack == CONFIG_STACK_DEFAULT &&
               config.servers[0].quota == CONFIG_QUOTA_DEFAULT &&
               config.servers[0].priority == CONFIG_PRIORITY_DEFAULT &&
               config.servers[0].restart == RESTART_NEVER,
           "defaults stand where nothing is said");
    tap_ok(strcmp(server->name, "linux") == 0 && strcmp(server->module, "linux-6.1") == 0,
           "name and module");
    tap_ok(server->arguments.count == 4 &&
               memcmp(server->arguments.text, "root=/dev/vda\0two words\0a \"quoted\" one\0last",
                      sizeof "root=/dev/vda\0two words\0a \"quoted\" one\0last") == 0,
           "arguments: quotes, escapes, two lines");
    tap_ok(server->environment.count == 2 &&
               memcmp(server->environment.text, "HOME=/\0EMPTY=", sizeof "HOME=/\0EMPTY=") == 0,
           "environment");
    tap_ok(server->memory == 1 << 30 && server->stack == 32 << 10 && server->quota == 512 << 10 &&
               server->priority == 99,
           "sizes and priority");
    tap_ok(server->restart == RESTART_ON_FAILURE && server->backoff_ms == 250 &&
               server->restarts_max == 3,
           "restart policy");
    tap_ok(server->flags == (CONFIG_DEVICES | CONFIG_CONSOLE | CONFIG_TESTSUITE), "flags");
    tap_ok(server->after.count == 1 && strcmp(server->after.names[0], "vm") == 0, "after");
    tap_ok(server->requires.count == 2 && strcmp(server->requires.names[1], "net") == 0,
           "requires");
    tap_ok(server->line == 5, "the line where a stanza begins");
}

// `text` must give exactly this message and leave only `rest` servers.
static void expect(const char *text, const char *message, uint32_t rest)
{
    parse(text);
    bool right = strcmp(messages, message) == 0 && config.count == rest;
    char title[256];
    snprintf(title, sizeof title, "mistake %.*s", (int)strcspn(message, "\n"), message);
    tap_ok(right, message[0] == '\0' ? "no mistake" : title);
    if (!right)
        printf("# wanted %s# got %s# servers left: %u\n", message, messages, config.count);
}

static void test_mistakes(void)
{
    expect("memory 4M\nserver a\n", "1: 'memory' before the first 'server' line\n", 1);
    expect("server a\nmemroy 4M\nserver b\n", "2: 'memroy' is not a key\n", 1);
    expect("server a\nmemory 4X\nserver b\n",
           "2: '4X' is not a size: a number with K, M, G or nothing\n", 1);
    expect("server a\nstack 1\n", "2: 1 is too little: at least 16384 bytes\n", 0);
    expect("server a\nstack 17M\n", "2: 17M is too much: at most 16777216 bytes\n", 0);
    expect("server a\nmemory 1\n", "2: 1 is too little: at least 65536 bytes\n", 0);
    expect("server a\nmemory 99999999999G\n",
           "2: '99999999999G' is not a size: a number with K, M, G or nothing\n", 0);
    expect("server a\nmemory\n", "2: 'memory' needs a value\n", 0);
    expect("server a\nmemory 1M 2M\n", "2: 'memory' has too many values\n", 0);
    expect("server a\nmemory 1M\nmemory 2M\n", "3: 'memory' a second time for 'a'\n", 0);
    expect("server a\npriority 200\n", "2: '200' is not a number from 0 to 199\n", 0);
    expect("server a\nrestart often\n",
           "2: 'often' is not a restart policy: never, on-failure or always\n", 0);
    expect("server a\nrestart always backoff\n", "2: 'backoff' needs a number after it\n", 0);
    expect("server a\nrestart always soon 3\n", "2: 'soon' is not known here: backoff or limit\n",
           0);
    expect("server a\nprivileges root\n",
           "2: 'root' is not a privilege: devices, io, power or console\n", 0);
    expect("server a\nenvironment =x\n", "2: '=x' is not NAME=VALUE\n", 0);
    expect("server a\narguments \"open\n", "2: no '\"' at the end of a quoted word\n", 0);
    expect("server a\narguments \"\\n\"\n", "2: '\\' in quotes stands before '\"' or '\\' only\n",
           0);
    expect("server a\nserver a\nserver b\n", "2: 'a' is in line 1 already\n", 2);
    expect("server\nmemory 4M\nserver b\n", "1: 'server' needs one name\n", 1);
    expect("server a/b\n", "1: 'a/b' is not a name: up to 31 letters, digits, '-', '_', '.'\n", 0);
}

static void test_allocator(void)
{
    expect("allocator 4M\nserver a\n", "", 1);
    tap_ok(config.allocator == 4 << 20, "the allocator's limit");
    expect("server a\n", "", 1);
    tap_ok(config.allocator == 0, "none, if none is said");
    expect("allocator 4M\nserver a\n", "", 1);
    tap_ok(config.allocator_priority == 80, "the priority of its tasks, if none is said");
    expect("allocator 4M 7\nserver a\n", "", 1);
    tap_ok(config.allocator == 4 << 20 && config.allocator_priority == 7, "one that is said");
    expect("allocator 4M 200\nserver a\n", "1: '200' is not a number from 0 to 199\n", 1);
    expect("allocator 1\nserver a\n", "1: 1 is too little: at least 65536 bytes\n", 1);
    expect("allocator 4M\nallocator 4M\n", "2: 'allocator' a second time\n", 0);
    expect("server a\nallocator 4M\nserver b\n", "2: 'allocator' behind the first 'server' line\n",
           1);
}

static void test_dependencies(void)
{
    expect("server a\nafter b\nserver b\n",
           "1: 'a' starts after 'b', which no earlier server is called\n", 1);
    expect("server a\nafter-end b\n",
           "1: 'a' starts after 'b', which no earlier server is called\n", 0);
    expect("server a\nafter a\n", "1: 'a' starts after 'a', which no earlier server is called\n",
           0);
    expect("server a\nwrong\nserver b\nafter a\nserver c\nafter b\nserver d\n",
           "2: 'wrong' is not a key\n"
           "3: 'b' starts after 'a', which no earlier server is called\n"
           "5: 'c' starts after 'b', which no earlier server is called\n",
           1);
    expect("server a\nprivileges console\nserver b\nprivileges console\n",
           "3: 'b' cannot have the console: an earlier server has it\n", 1);
}

static void test_limits(void)
{
    char text[8192] = "";
    for (int i = 0; i <= CONFIG_SERVERS_MAX; i++)
        snprintf(text + strlen(text), 64, "server s%d\nmemory 1M\n", i);
    expect(text, "49: more than 24 servers\n", CONFIG_SERVERS_MAX);

    memset(text, 'x', 2000);
    text[2000] = '\0';
    expect(text, "1: a line of more than 1024 bytes\n", 0);
    expect("server a\narguments 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 "
           "25 26 27 28 29 30 31 32 33\n",
           "2: more than 32 words\n", 0);
    tap_ok(config_parse("server a\0b\n", 11, &config, collect, NULL) == 1 && config.count == 0,
           "a NUL byte is a mistake");
    expect("", "", 0);
}

static void test_numbers(void)
{
    uint64_t value;
    tap_ok(config_read_number("18446744073709551615", &value) && value == UINT64_MAX,
           "the largest number");
    tap_ok(!config_read_number("18446744073709551616", &value), "one more");
    tap_ok(!config_read_bytes("17179869184G", &value), "a size that overflows");
    tap_ok(!config_read_bytes("1MB", &value) && !config_read_bytes("", &value) &&
               !config_read_number("-1", &value),
           "what is no number");
}

int main(void)
{
    test_full_stanza();
    test_mistakes();
    test_allocator();
    test_dependencies();
    test_limits();
    test_numbers();
    return tap_end();
}
