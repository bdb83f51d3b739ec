// SPDX-License-Identifier: BSD-2-Clause
// The multiplexer. `open_line` is whose unfinished line is on the wire; anyone
// else first ends it.
#include "console.h"

#include "platform/serial.h"

#include <corvus/stubs.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define KERNEL_LINE_BYTES 40 // host_console_write takes that many

static const struct console_source *open_line;
static bool use_serial;

void console_open(struct console_source *source, const char *name, bool interactive)
{
    *source = (struct console_source){.interactive = interactive};
    snprintf(source->name, sizeof source->name, "%s", name);
}

static void end_open_line(void)
{
    if (open_line != NULL)
        serial_write("\n", 1);
    open_line = NULL;
}

// Puts bytes that hold no newline, but perhaps end with one, on the wire.
static void emit(struct console_source *source, const char *text, size_t bytes)
{
    if (open_line != source) {
        end_open_line();
        serial_write("[", 1);
        serial_write(source->name, strlen(source->name));
        serial_write("] ", 2);
    }
    serial_write(text, bytes);
    open_line = text[bytes - 1] == '\n' ? NULL : source;
}

// Puts out what has been gathered, with an end.
static void emit_line(struct console_source *source)
{
    source->line[source->used++] = '\n';
    emit(source, source->line, source->used);
    source->used = 0;
}

// Without this a task could write lines that look like init's or another's.
static char harmless(char character)
{
    unsigned char byte = (unsigned char)character;
    return byte >= 0x20 || character == '\t' ? character : '?';
}

static void gather(struct console_source *source, char character)
{
    if (character == '\r')
        return;
    if (character == '\n' || source->used == CONSOLE_LINE_BYTES - 1) {
        emit_line(source);
        if (character == '\n')
            return;
    }
    source->line[source->used++] = harmless(character);
}

static void write_at_once(struct console_source *source, const char *text, size_t bytes)
{
    while (bytes > 0) {
        const char *newline = memchr(text, '\n', bytes);
        size_t part = newline == NULL ? bytes : (size_t)(newline - text) + 1;
        emit(source, text, part);
        text += part;
        bytes -= part;
    }
}

void console_write(struct console_source *source, const char *text, size_t bytes)
{
    if (source->interactive) {
        write_at_once(source, text, bytes);
        return;
    }
    for (size_t i = 0; i < bytes; i++)
        gather(source, text[i]);
}

void console_close(struct console_source *source)
{
    if (source->used != 0)
        emit_line(source);
    if (open_line == source)
        end_open_line();
}

void console_use_serial(void)
{
    use_serial = true;
}

static void write_by_kernel(const char *text, size_t bytes)
{
    while (bytes > 0) {
        uint64_t words[KERNEL_LINE_BYTES / sizeof(uint64_t)] = {0};
        size_t part = bytes < sizeof words ? bytes : sizeof words;
        memcpy(words, text, part);
        (void)host_console_write(NAME_HOST_PRIVILEGED, part, words[0], words[1], words[2], words[3],
                                 words[4]);
        text += part;
        bytes -= part;
    }
}

void console_write_own(const char *text, size_t bytes)
{
    if (!use_serial) {
        write_by_kernel(text, bytes);
        return;
    }
    end_open_line();
    serial_write(text, bytes);
}

void report(const char *format, ...)
{
    char line[CONSOLE_LINE_BYTES] = "init: ";
    size_t prefix = strlen(line);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line + prefix, sizeof line - prefix - 1, format, arguments);
    va_end(arguments);
    size_t length = strlen(line);
    line[length++] = '\n';
    console_write_own(line, length);
}
