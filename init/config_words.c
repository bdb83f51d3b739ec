// SPDX-License-Identifier: BSD-2-Clause
// A line into words and a word into a number, for the configuration and for
// command lines. Works on a copy, since the text may be read-only.
#include "config_words.h"

static bool blank(char character)
{
    return character == ' ' || character == '\t' || character == '\r';
}

// Copies one character of a quoted word, or the end of it. Returns bytes used,
// 0 when the line ends inside.
static size_t take_quoted(const char *text, size_t length, char *out, bool *quoted)
{
    if (text[0] == '"') {
        *quoted = false;
        *out = '\0'; // overwritten by what follows
        return 1;
    }
    if (text[0] == '\\') {
        if (length < 2 || (text[1] != '"' && text[1] != '\\'))
            return 0;
        *out = text[1];
        return 2;
    }
    *out = text[0];
    return 1;
}

// Reads one word at `at`, which is not blank. Returns what is wrong, or NULL.
static const char *take_word(const char *line, size_t length, size_t *at,
                             struct config_words *words, size_t *used)
{
    bool quoted = false;
    while (*at < length && (quoted || !blank(line[*at]))) {
        char character = line[*at];
        if (character == '\0')
            return "a NUL byte";
        if (!quoted && character == '"') {
            quoted = true;
            (*at)++;
        } else if (quoted) {
            size_t step = take_quoted(line + *at, length - *at, &words->text[*used], &quoted);
            if (step == 0)
                return "'\\' in quotes stands before '\"' or '\\' only";
            *used += quoted;
            *at += step;
        } else {
            words->text[(*used)++] = character;
            (*at)++;
        }
    }
    return quoted ? "no '\"' at the end of a quoted word" : NULL;
}

const char *config_split(const char *line, size_t length, struct config_words *words)
{
    size_t used = 0;
    words->count = 0;
    if (length > CONFIG_LINE_MAX)
        return "a line of more than 1024 bytes";
    for (size_t at = 0; at < length;) {
        if (blank(line[at])) {
            at++;
            continue;
        }
        if (line[at] == '#')
            return NULL;
        if (words->count == CONFIG_WORDS_MAX)
            return "more than 40 words in a line";
        words->words[words->count] = words->text + used;
        const char *problem = take_word(line, length, &at, words, &used);
        if (problem != NULL)
            return problem;
        words->text[used++] = '\0';
        words->count++;
    }
    return NULL;
}

static const char *read_digits(const char *word, uint64_t *value)
{
    uint64_t number = 0;
    const char *at = word;
    for (; *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (number > (UINT64_MAX - digit) / 10)
            return NULL;
        number = number * 10 + digit;
    }
    *value = number;
    return at == word ? NULL : at;
}

bool config_read_number(const char *word, uint64_t *value)
{
    const char *end = read_digits(word, value);
    return end != NULL && *end == '\0';
}

bool config_read_bytes(const char *word, uint64_t *value)
{
    const char *end = read_digits(word, value);
    unsigned shift = 0;
    if (end == NULL)
        return false;
    switch (*end) {
    case 'K':
        shift = 10;
        break;
    case 'M':
        shift = 20;
        break;
    case 'G':
        shift = 30;
        break;
    default:
        return *end == '\0';
    }
    if (end[1] != '\0' || *value > UINT64_MAX >> shift)
        return false;
    *value <<= shift;
    return true;
}
