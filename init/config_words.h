// SPDX-License-Identifier: BSD-2-Clause
// The lexical half of the configuration's language: a line into words, a word
// into a number. Also used for the boot command line and module arguments.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_WORDS_MAX 40
#define CONFIG_LINE_MAX  1024 // bytes

// The words of one line, without their quotes.
struct config_words {
    uint32_t count;
    const char *words[CONFIG_WORDS_MAX];
    char text[CONFIG_LINE_MAX + CONFIG_WORDS_MAX];
};

// Splits a line at blanks. "…" keeps blanks together and knows \" and \\; `#`
// where a word could begin ends the line. Returns NULL, or what is wrong with it.
const char *config_split(const char *line, size_t length, struct config_words *words);

bool config_read_number(const char *word, uint64_t *value);
// With K, M or G (powers of 1024).
bool config_read_bytes(const char *word, uint64_t *value);
