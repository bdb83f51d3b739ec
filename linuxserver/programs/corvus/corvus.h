// SPDX-License-Identifier: GPL-2.0-only
// The command `corvus`: what all its sub-commands share. A sub-command is a
// function, with a line in the table of main.c.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What stands before the sub-command.
struct options {
    const char *folder; // where the kernel shows itself, CORVUS_FOLDER by default
    bool json;
};

#define CORVUS_FOLDER "/sys/kernel/corvus"

// Exit statuses.
enum { STATUS_OK, STATUS_FAILED, STATUS_USAGE };
// Of commands that start programs, whose statuses these may be taken for: as of env, timeout and
// others.
enum { STATUS_NOT_RUN = 125, STATUS_NOT_EXECUTABLE, STATUS_NOT_FOUND, STATUS_SIGNAL };

// One line on standard error.
int fail(const char *what, const char *why);
int fail_errno(const char *what);

// Prints the sub-command's usage and returns STATUS_USAGE.
int wrong_arguments(const char *what);

// The whole contents of a file in the folder, followed by a zero byte; *size is
// without it. NULL when it cannot be read, which has been said then.
char *read_file(const struct options *options, const char *name, size_t *size);

// Writes a file in the folder; a status.
int write_file(const struct options *options, const char *name, const char *text);

// A string as JSON, quotes included.
void print_json_string(const char *text);

// One line of the microkernel's error: what could not be done; a status.
int fail_message(const char *what, int error);

// The network server's port (port_name_t); 0: there is none, which has been said.
uint32_t network_server(void);

// A counter of the network server: its name and what it counts; false: there are no more.
bool network_counter(size_t index, const char **name, const char **text);

// Their values. 0: there is no network server, or no device to ask it by.
size_t network_counters(uint64_t *values, size_t room);

int command_agentd(const struct options *options, int argc, char **argv);
int command_dsm(const struct options *options, int argc, char **argv);
int command_migrate(const struct options *options, int argc, char **argv);
int command_migrate_echo(const struct options *options, int argc, char **argv);
int command_names(const struct options *options, int argc, char **argv);
int command_nodes(const struct options *options, int argc, char **argv);
int command_ps(const struct options *options, int argc, char **argv);
int command_run(const struct options *options, int argc, char **argv);
int command_shared(const struct options *options, int argc, char **argv);
int command_shepherd(const struct options *options, int argc, char **argv);
int command_stats(const struct options *options, int argc, char **argv);
int command_top(const struct options *options, int argc, char **argv);
int command_trace(const struct options *options, int argc, char **argv);
