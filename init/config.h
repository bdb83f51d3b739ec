// SPDX-License-Identifier: BSD-2-Clause
// The configuration of a node: which servers init starts, and with what. The
// text is a boot module (`name=config`); README.md describes its language. The
// parser is a pure function of the text, so that it is tested and fuzzed on the
// host.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_SERVERS_MAX      24
#define CONFIG_NAME_MAX         32   // with the final NUL
#define CONFIG_ARGUMENTS_MAX    32   // words after the server's own name
#define CONFIG_ENVIRONMENT_MAX  16   // NAME=VALUE words
#define CONFIG_STRINGS_BYTES    1024 // arguments and environment of one server, with their NULs
#define CONFIG_DEPENDENCIES_MAX 8    // of one server, in each of `after`, `after-end`, `requires`
#define CONFIG_MESSAGE_MAX      160

#define CONFIG_MEMORY_DEFAULT     (16ull << 20)
#define CONFIG_STACK_DEFAULT      (256ull << 10)
#define CONFIG_STACK_MAX          (16ull << 20)
#define CONFIG_QUOTA_DEFAULT      (1ull << 20)
#define CONFIG_PRIORITY_DEFAULT   128
#define CONFIG_PRIORITY_ALLOCATOR 80  // of tasks of strangers, by default: below Linux
#define CONFIG_PRIORITY_MAX       199 // init, at 200, stays able to end what runs wild
#define CONFIG_BACKOFF_DEFAULT_MS 100
#define CONFIG_BACKOFF_MAX_MS     60000
#define CONFIG_RESTARTS_DEFAULT   5

enum config_restart { RESTART_NEVER, RESTART_ON_FAILURE, RESTART_ALWAYS };

// Privileges, and the one other flag of a server.
#define CONFIG_DEVICES   1u  // PCI devices: their memory, interrupts and DMA
#define CONFIG_IO        2u  // all I/O ports
#define CONFIG_POWER     4u  // power-off and reset
#define CONFIG_CONSOLE   8u  // gets what is typed on the serial line
#define CONFIG_TESTSUITE 16u // its exit ends the node

// Words packed into one buffer, each ended by NUL.
struct config_strings {
    uint32_t count;
    uint32_t bytes;
    char text[CONFIG_STRINGS_BYTES];
};

struct config_names {
    uint32_t count;
    char names[CONFIG_DEPENDENCIES_MAX][CONFIG_NAME_MAX];
};

struct config_server {
    char name[CONFIG_NAME_MAX];
    char module[CONFIG_NAME_MAX]; // the boot module that holds its program
    struct config_strings arguments;
    struct config_strings environment;
    struct config_names after;     // servers that are started before this one
    struct config_names after_end; // servers that have ended before this one starts
    struct config_names modules;   // boot modules that it may read
    struct config_names requires;  // services that must have been checked in
    uint64_t memory;               // bytes it may take from init
    uint64_t stack;                // of this, bytes of its main thread's stack; whole pages
    uint64_t quota;                // bytes of kernel memory
    uint32_t quota_share;          // or, when not 0, percent of what init has at the server's start
    uint32_t priority;
    uint32_t flags; // CONFIG_*
    enum config_restart restart;
    uint32_t backoff_ms;   // wait before the first restart; doubles with each one in a row
    uint32_t restarts_max; // in a row
    uint32_t line;         // where its stanza begins
};

struct config {
    uint64_t allocator; // bytes for tasks that others have init make (allocator.h); 0: none
    uint32_t allocator_priority; // what their threads have at most
    uint32_t count;
    struct config_server servers[CONFIG_SERVERS_MAX];
};

// Told of each mistake. `message` is one line without its end.
typedef void config_report_t(void *context, uint32_t line, const char *message);

// Fills `config` with all stanzas that are without mistake, in their order, and
// returns the number of mistakes reported. A stanza with a mistake is left out,
// and so are those that wait for it: a server never starts with half of what
// its author asked for.
uint32_t config_parse(const char *text, size_t length, struct config *config,
                      config_report_t *report, void *context);

const char *config_restart_text(enum config_restart restart);
