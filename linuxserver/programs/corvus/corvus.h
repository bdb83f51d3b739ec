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

int command_stats(const struct options *options, int argc, char **argv);
int command_trace(const struct options *options, int argc, char **argv);
