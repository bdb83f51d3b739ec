// SPDX-License-Identifier: BSD-2-Clause
// The hooks of an ordinary task: everything is asked of the bootstrap port.
#include "lib/entropy.h"
#include "lib/hooks.h"

#include <corvus/init_stubs.h>
#include <corvus/stubs.h>

#include <string.h>

#define CONSOLE_WORDS_BYTES 464u  // what bootstrap_console_write takes
#define CONSOLE_COPY_BYTES  4096u // what bootstrap_console_write_copy takes

static corvus_error_t write_words(const void *text, size_t bytes)
{
    uint64_t words[CONSOLE_WORDS_BYTES / sizeof(uint64_t)] = {0};

    memcpy(words, text, bytes);
    return bootstrap_console_write(NAME_BOOTSTRAP, bytes, words,
                                   (bytes + sizeof words[0] - 1) / sizeof words[0]);
}

static corvus_error_t console_write(const void *text, size_t bytes)
{
    const char *rest = text;

    while (bytes > CONSOLE_WORDS_BYTES) {
        size_t part = bytes < CONSOLE_COPY_BYTES ? bytes : CONSOLE_COPY_BYTES;
        corvus_error_t error = bootstrap_console_write_copy(NAME_BOOTSTRAP, rest, part);
        if (error != ERR_OK)
            return error;
        rest += part;
        bytes -= part;
    }
    return bytes == 0 ? ERR_OK : write_words(rest, bytes);
}

static corvus_error_t console_read(void *text, size_t *bytes)
{
    uint64_t words[CONSOLE_WORDS_BYTES / sizeof(uint64_t)];
    size_t arrived = sizeof words / sizeof words[0];
    uint64_t limit = *bytes < sizeof words ? *bytes : sizeof words;
    uint64_t count;
    corvus_error_t error = bootstrap_console_read(NAME_BOOTSTRAP, limit, &count, words, &arrived);

    if (error != ERR_OK)
        return error;
    if (count > limit || count > arrived * sizeof words[0])
        return ERR_PROTOCOL;
    memcpy(text, words, count);
    *bytes = count;
    return ERR_OK;
}

static corvus_error_t memory_allocate(uint64_t address, uint64_t length, uint64_t access)
{
    return bootstrap_allocate_memory(NAME_BOOTSTRAP, address, length, access);
}

static corvus_error_t memory_free(uint64_t address, uint64_t length)
{
    return bootstrap_free_memory(NAME_BOOTSTRAP, address, length);
}

static corvus_error_t memory_protect(uint64_t address, uint64_t length, uint64_t access)
{
    return bootstrap_protect_memory(NAME_BOOTSTRAP, address, length, access);
}

static corvus_error_t entropy(void *buffer, size_t bytes)
{
    uint64_t words[32];
    size_t arrived = sizeof words / sizeof words[0];

    if (entropy_from_processor(buffer, bytes))
        return ERR_OK;
    if (bytes > sizeof words)
        return ERR_TOO_LARGE;
    corvus_error_t error = bootstrap_entropy(NAME_BOOTSTRAP, bytes, words, &arrived);
    if (error != ERR_OK)
        return error;
    if (arrived * sizeof words[0] < bytes)
        return ERR_PROTOCOL;
    memcpy(buffer, words, bytes);
    return ERR_OK;
}

static corvus_error_t real_time(uint64_t *epoch)
{
    return bootstrap_real_time(NAME_BOOTSTRAP, epoch);
}

static void end(int status)
{
    (void)bootstrap_exit(NAME_BOOTSTRAP, (uint64_t)(unsigned)status);
    // No bootstrap server any more: nobody is left who would mind.
    (void)task_terminate(NAME_TASK_SELF);
}

const struct runtime_hooks runtime_hooks = {
    .console_write = console_write,
    .console_read = console_read,
    .memory_allocate = memory_allocate,
    .memory_free = memory_free,
    .memory_protect = memory_protect,
    .entropy = entropy,
    .real_time = real_time,
    .exit = end,
};
