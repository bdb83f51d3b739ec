// SPDX-License-Identifier: BSD-2-Clause
// Keys on the command line are for the servers; the serial line is kept in files.
#include "secrets.h"

#include <stdbool.h>
#include <stddef.h>

static bool names_key(const char *text, const char *equals)
{
    return equals - text >= 3 && equals[-3] == 'k' && equals[-2] == 'e' && equals[-1] == 'y';
}

static const char *end_of_value(const char *value)
{
    if (*value == '"') {
        do
            value++;
        while (*value != '\0' && *value != '"');
        return value;
    }
    while (*value != '\0' && *value != ' ' && *value != '\t' && *value != '"')
        value++;
    return value;
}

void secrets_hide(char *text)
{
    char *to = text;

    for (const char *from = text; *from != '\0';) {
        bool hidden = *from == '=' && names_key(text, to);

        *to++ = *from++;
        if (!hidden)
            continue;
        const char *end = end_of_value(from);
        if (*from == '"' && *end == '"')
            end++;
        if (end != from)
            *to++ = '*';
        from = end;
    }
    *to = '\0';
}
