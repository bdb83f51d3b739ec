// SPDX-License-Identifier: BSD-2-Clause
// Strings are laid down first, into the upper part of the block; then the
// vectors that point to them, whose final addresses are known by then.
#include "arguments.h"

#include "platform/entropy.h"

#include <corvus/types.h>

#include <elf.h>
#include <string.h>

#define STRINGS_BYTES 6144
#define VECTOR_WORDS  160
#define RANDOM_BYTES  16 // what AT_RANDOM points to
#define ALIGNMENT     16

struct builder {
    uint64_t vector[VECTOR_WORDS];
    char strings[STRINGS_BYTES];
    uint32_t words, used;
    uint64_t strings_address;
    bool failed;
};

static struct builder builder;

static void push(uint64_t word)
{
    if (builder.words == VECTOR_WORDS)
        builder.failed = true;
    else
        builder.vector[builder.words++] = word;
}

// Returns where the bytes will be.
static uint64_t store(const void *bytes, size_t count)
{
    uint64_t address = builder.strings_address + builder.used;
    if (count > STRINGS_BYTES - builder.used) {
        builder.failed = true;
        return 0;
    }
    memcpy(builder.strings + builder.used, bytes, count);
    builder.used += (uint32_t)count;
    return address;
}

static uint64_t store_text(const char *text)
{
    return store(text, strlen(text) + 1);
}

static const char *expand(const char *word)
{
    if (word[0] != '$')
        return word;
    const char *value = boot_option(word + 1);
    return value == NULL ? "" : value;
}

static void push_arguments(const struct config_server *server, const struct boot_module *module)
{
    uint64_t count = 1;
    const char *word = server->arguments.text;
    builder.words = 1; // room for argc
    push(store_text(server->name));
    for (uint32_t i = 0; i < server->arguments.count; i++, count++) {
        push(store_text(expand(word)));
        word += strlen(word) + 1;
    }
    for (uint32_t i = 0; (word = boot_module_argument(module, i)) != NULL; i++, count++)
        push(store_text(word));
    push(0);
    builder.vector[0] = count;
}

static void push_environment(const struct config_server *server)
{
    const char *word = server->environment.text;
    for (uint32_t i = 0; i < server->environment.count; i++) {
        push(store_text(word));
        word += strlen(word) + 1;
    }
    push(0);
}

static void push_auxiliary(const struct elf_program *program, const char *name)
{
    uint8_t random[RANDOM_BYTES];
    entropy_get(random, sizeof random);
    const uint64_t entries[] = {
        AT_PHDR,   program->headers_address,
        AT_PHENT,  sizeof(Elf64_Phdr),
        AT_PHNUM,  program->headers_address == 0 ? 0 : program->header_count,
        AT_PAGESZ, PAGE_BYTES,
        AT_ENTRY,  program->entry,
        AT_SECURE, 0,
        AT_RANDOM, store(random, sizeof random),
        AT_EXECFN, store_text(name),
        AT_NULL,   0,
    };
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++)
        push(entries[i]);
}

bool arguments_build(const struct config_server *server, const struct boot_module *module,
                     const struct elf_program *program, uint64_t top, struct arguments_block *block)
{
    memset(&builder, 0, sizeof builder);
    builder.strings_address = top - STRINGS_BYTES;
    push_arguments(server, module);
    push_environment(server);
    push_auxiliary(program, server->name);
    // The vectors end where the strings begin, and begin at a multiple of 16.
    uint64_t bytes = builder.words * sizeof builder.vector[0];
    uint64_t start = VECTOR_WORDS * sizeof builder.vector[0] - bytes;
    start &= ~(uint64_t)(ALIGNMENT - 1);
    memmove((char *)builder.vector + start, builder.vector, bytes);
    block->start = (char *)builder.vector + start;
    block->bytes = sizeof builder.vector - start + STRINGS_BYTES;
    return !builder.failed;
}
