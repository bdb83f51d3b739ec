// SPDX-License-Identifier: BSD-2-Clause
// Reads struct boot_information. The loader's strings are outside data: cut at
// their array's end and split with the configuration's own words.
#include "boot.h"

#include <corvus/types.h>

#include <string.h>

static const struct boot_information *boot;

const struct boot_information *boot_check(void)
{
    const struct boot_information *found = (const void *)(uintptr_t)BOOT_INFO_ADDRESS;
    if (found->magic != BOOT_INFORMATION_MAGIC || found->range_count > BOOT_RANGES_MAX ||
        found->module_count > BOOT_MODULES_MAX)
        return NULL;
    boot = found;
    return boot;
}

static const struct config_words *split(const char *text, size_t room)
{
    static struct config_words words;
    if (config_split(text, strnlen(text, room), &words) != NULL)
        words.count = 0;
    return &words;
}

static const char *value_of(const char *word, const char *key)
{
    size_t length = strlen(key);
    if (strncmp(word, key, length) != 0)
        return NULL;
    if (word[length] == '=')
        return word + length + 1;
    return word[length] == '\0' ? word + length : NULL;
}

void boot_module_name(const struct boot_module *module, char *name, size_t bytes)
{
    const struct config_words *words = split(module->arguments, sizeof module->arguments);
    name[0] = '\0';
    for (uint32_t i = 0; i < words->count; i++) {
        const char *value = value_of(words->words[i], "name");
        if (value != NULL && strlen(value) < bytes)
            strcpy(name, value);
    }
}

const struct boot_module *boot_find_module(const char *name)
{
    char found[64];
    for (uint32_t i = 0; i < boot->module_count; i++) {
        boot_module_name(&boot->modules[i], found, sizeof found);
        if (strcmp(found, name) == 0)
            return &boot->modules[i];
    }
    return NULL;
}

// QEMU and iPXE put a path first, GRUB does not: `name=` is always first of ours.
const char *boot_module_argument(const struct boot_module *module, uint32_t next)
{
    const struct config_words *words = split(module->arguments, sizeof module->arguments);
    uint32_t i = 0;
    while (i < words->count && value_of(words->words[i], "name") == NULL)
        i++;
    i += 1 + next;
    return i < words->count ? words->words[i] : NULL;
}

const char *boot_option(const char *key)
{
    const struct config_words *words = split(boot->command_line, sizeof boot->command_line);
    for (uint32_t i = 0; i < words->count; i++) {
        const char *value = value_of(words->words[i], key);
        if (value != NULL)
            return value;
    }
    return NULL;
}
