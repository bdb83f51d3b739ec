// SPDX-License-Identifier: BSD-2-Clause
// The virtual LAN of a cluster; deploy/wire/README.md describes it. This file reads the arguments.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/wire/commands.h"
#include "deploy/wire/hub.h"

static const char usage[] = "usage: wire serve FOLDER NODES [SPEC]   the hub, until SIGTERM\n"
                            "       wire tell FOLDER COMMAND…        a command to that hub\n"
                            "       wire check NODES COMMAND…        is it one?\n";

enum {
    STATUS_USAGE = 2,
};

static int wrong_arguments(const char *text)
{
    fprintf(stderr, "wire: %s\n%s", text, usage);
    return STATUS_USAGE;
}

static bool parse_count(const char *text, unsigned *count)
{
    char *end;
    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    *count = (unsigned)number;
    return text[0] >= '1' && text[0] <= '9' && *end == '\0' && errno == 0 &&
           number <= WIRE_PORTS_MAX;
}

// Joins words by spaces. False when they have no room.
static bool join(char **words, char *line, size_t room)
{
    size_t length = 0;
    line[0] = '\0';
    for (; *words != NULL; words++) {
        int more = snprintf(line + length, room - length, "%s%s", length > 0 ? " " : "", *words);
        length += (size_t)more;
        if (length >= room)
            return false;
    }
    return strchr(line, '\n') == NULL;
}

static int serve(char **words)
{
    static struct wire_spec spec;
    char message[SPEC_MESSAGE_BYTES];
    unsigned count;
    if (words[0] == NULL || words[1] == NULL || (words[2] != NULL && words[3] != NULL))
        return wrong_arguments("serve: a folder, a number of nodes, perhaps a SPEC");
    if (!parse_count(words[1], &count))
        return wrong_arguments("serve: 1 to 16 nodes");
    if (!spec_parse(words[2] != NULL ? words[2] : "none", count, &spec, message))
        return wrong_arguments(message);
    return hub_serve(words[0], count, &spec);
}

static int tell(char **words)
{
    char line[CONTROL_LINE_BYTES - 1];
    if (words[0] == NULL || words[1] == NULL)
        return wrong_arguments("tell: a folder and a command");
    if (!join(words + 1, line, sizeof line))
        return wrong_arguments("tell: a command is one line, of at most 4 KiB");
    return commands_tell(words[0], line);
}

// For whoever wants to refuse a mistake before there is a hub.
static int check(char **words)
{
    static struct control_request request;
    char line[CONTROL_LINE_BYTES - 1];
    char message[SPEC_MESSAGE_BYTES];
    unsigned count;
    if (words[0] == NULL || words[1] == NULL || !parse_count(words[0], &count))
        return wrong_arguments("check: a number of nodes, 1 to 16, and a command");
    if (!join(words + 1, line, sizeof line))
        return wrong_arguments("check: a command is one line, of at most 4 KiB");
    if (control_parse(line, count, &request, message))
        return 0;
    fprintf(stderr, "%s\n", message);
    return 1;
}

int main(int count, char **words)
{
    if (count >= 2 && strcmp(words[1], "serve") == 0)
        return serve(words + 2);
    if (count >= 2 && strcmp(words[1], "tell") == 0)
        return tell(words + 2);
    if (count >= 2 && strcmp(words[1], "check") == 0)
        return check(words + 2);
    return wrong_arguments("serve, tell or check");
}
