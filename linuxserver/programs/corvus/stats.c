// SPDX-License-Identifier: GPL-2.0-only
// corvus stats: the microkernel's counters, a line "name value" each in the file.
#include "corvus.h"

#include <corvus/trace.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define COUNTERS_MAX 256

struct counter {
    const char *name;
    uint64_t value;
};

struct counters {
    char *text; // names point into it
    size_t count;
    struct counter list[COUNTERS_MAX];
};

static const struct {
    const char *name, *text;
} descriptions[] = {
    {"guests", "address spaces of processes that are present in the microkernel"},
    {"guests_made", "how many have been"},
    {"guests_ended_for_room", "of these ended because others needed their kernel memory"},
    {"guests_begun_anew", "emptied because they alone needed more than there is"},
    {"kernel_memory_unused", "bytes of kernel memory that Linux may still use"},
#define DESCRIPTION(name, text) {#name, text},
    CORVUS_COUNTERS(DESCRIPTION)
#undef DESCRIPTION
};

// A kernel newer than this program may count more than it can explain.
static const char *describe(const char *name)
{
    for (size_t i = 0; i < sizeof descriptions / sizeof descriptions[0]; i++)
        if (strcasecmp(descriptions[i].name, name) == 0)
            return descriptions[i].text;
    const char *known, *text;
    for (size_t i = 0; network_counter(i, &known, &text); i++)
        if (strcmp(known, name) == 0)
            return text;
    return "";
}

// Splits off one line; false when it is not "name value".
static bool parse_line(char *line, struct counter *counter)
{
    char *blank = strchr(line, ' '), *end;
    if (blank == NULL || blank == line || blank[1] < '0' || blank[1] > '9')
        return false;
    *blank = 0;
    counter->name = line;
    counter->value = strtoull(blank + 1, &end, 10);
    return *end == 0;
}

// Those of the network server behind the others. Without one there are none.
static void add_network(struct counters *counters)
{
    uint64_t values[COUNTERS_MAX];
    size_t count = network_counters(values, COUNTERS_MAX - counters->count);
    const char *text;

    for (size_t i = 0; i < count; i++) {
        struct counter *counter = &counters->list[counters->count];
        counter->value = values[i];
        if (network_counter(i, &counter->name, &text))
            counters->count++;
    }
}

static int read_counters(const struct options *options, struct counters *counters)
{
    size_t size;
    counters->count = 0;
    counters->text = read_file(options, "counters", &size);
    if (counters->text == NULL)
        return STATUS_FAILED;
    char *rest = counters->text, *line;
    while ((line = strsep(&rest, "\n")) != NULL) {
        if (line[0] == 0)
            continue;
        if (counters->count == COUNTERS_MAX || !parse_line(line, &counters->list[counters->count]))
            return fail("counters", "a line that is not 'name value'");
        counters->count++;
    }
    if (strcmp(options->folder, CORVUS_FOLDER) == 0)
        add_network(counters);
    return STATUS_OK;
}

static void print_table(const struct counters *counters)
{
    int width = 0;
    for (size_t i = 0; i < counters->count; i++) {
        int length = (int)strlen(counters->list[i].name);
        width = length > width ? length : width;
    }
    for (size_t i = 0; i < counters->count; i++)
        printf("%-*s %20" PRIu64 "  %s\n", width, counters->list[i].name, counters->list[i].value,
               describe(counters->list[i].name));
}

static void print_json(const struct counters *counters)
{
    putchar('{');
    for (size_t i = 0; i < counters->count; i++) {
        fputs(i > 0 ? ", " : "", stdout);
        print_json_string(counters->list[i].name);
        printf(": %" PRIu64, counters->list[i].value);
    }
    puts("}");
}

// What was added since an earlier reading. A counter that is less than it was
// is not one that only counts: it is shown as it is.
static void subtract(struct counters *counters, const struct counters *before)
{
    for (size_t i = 0; i < counters->count && i < before->count; i++)
        if (strcmp(counters->list[i].name, before->list[i].name) == 0 &&
            counters->list[i].value >= before->list[i].value)
            counters->list[i].value -= before->list[i].value;
}

static bool parse_seconds(const char *text, struct timespec *time)
{
    char *end;
    double seconds = strtod(text, &end);
    if (end == text || *end != 0 || !(seconds > 0) || seconds > 86400)
        return false;
    time->tv_sec = (time_t)seconds;
    time->tv_nsec = (long)((seconds - (double)time->tv_sec) * 1e9);
    return true;
}

int command_stats(const struct options *options, int argc, char **argv)
{
    static struct counters before, counters;
    struct timespec interval = {0};
    if (argc != 0 && (argc != 2 || strcmp(argv[0], "-i") != 0))
        return wrong_arguments("unknown arguments");
    if (argc == 2 && !parse_seconds(argv[1], &interval))
        return wrong_arguments("-i needs seconds, more than 0 and at most a day");

    int status = STATUS_OK;
    if (argc == 2) {
        status = read_counters(options, &before);
        if (status == STATUS_OK)
            nanosleep(&interval, NULL);
    }
    if (status == STATUS_OK)
        status = read_counters(options, &counters);
    if (status == STATUS_OK) {
        subtract(&counters, &before);
        if (options->json)
            print_json(&counters);
        else
            print_table(&counters);
    }
    free(before.text);
    free(counters.text);
    return status;
}
