// SPDX-License-Identifier: BSD-2-Clause
// Many tasks on one serial line: each line says whose it is, and no line of one
// is torn by another's.
#pragma once

#include "config.h"

#define CONSOLE_LINE_BYTES 256

struct console_source {
    char name[CONFIG_NAME_MAX];
    bool interactive; // holds the line's input: its bytes go out at once and as they are
    uint32_t used;
    char line[CONSOLE_LINE_BYTES]; // the part of a line that has no end yet
};

void console_open(struct console_source *source, const char *name, bool interactive);
void console_write(struct console_source *source, const char *text, size_t bytes);
// Ends the last line, if it has no end.
void console_close(struct console_source *source);

// init's own text: before the serial driver runs the kernel prints it.
void console_use_serial(void);
void console_write_own(const char *text, size_t bytes);
// One line of init's own: `init: ` goes before, a newline behind.
__attribute__((format(printf, 1, 2))) void report(const char *format, ...);
