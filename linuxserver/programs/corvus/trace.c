// SPDX-License-Identifier: GPL-2.0-only
// corvus trace: the microkernel's trace ring. The file holds the records of
// include/corvus/trace.h, oldest first.
#include "corvus.h"

#include <corvus/trace.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define KINDS_MAX 64

_Static_assert(sizeof(struct trace_record) == 32, "the format of the file");
_Static_assert(TRACE_KIND_COUNT < KINDS_MAX, "kinds are bits of a word");

static const char *const kind_names[TRACE_KIND_COUNT] = {
#define KIND_NAME(name, number, text) [number] = #name,
    CORVUS_TRACE_KINDS(KIND_NAME)
#undef KIND_NAME
};

// How a and b are shown; kinds without an entry are shown in hexadecimal.
static const char *const formats[TRACE_KIND_COUNT] = {
    [TRACE_DELIVER] = "to thread %" PRIu64 ", label %#" PRIx64,
    [TRACE_SWITCH] = "thread %" PRIu64 " to %" PRIu64,
    [TRACE_FAULT] = "address %#" PRIx64 ", ip %#" PRIx64,
    [TRACE_EXCEPTION] = "vector %" PRIu64 ", ip %#" PRIx64,
    [TRACE_INTERRUPT] = "vector %" PRIu64 ", events %#" PRIx64,
    [TRACE_SERVICE] = "service %" PRIu64 ", result %" PRIu64,
    [TRACE_SERVICE_ERROR] = "service %" PRIu64 ", error %" PRIu64,
    [TRACE_VCPU_RUN] = "task %" PRIu64 ", ip %#" PRIx64,
    [TRACE_VCPU_EXIT] = "reason %" PRIu64 ", ip %#" PRIx64,
};

struct selection {
    uint64_t kinds; // bits
    size_t count;   // the last so many
};

static const char *kind_name(uint32_t kind)
{
    return kind < TRACE_KIND_COUNT && kind_names[kind] != NULL ? kind_names[kind] : NULL;
}

static void print_details(const struct trace_record *record)
{
    if (record->kind == TRACE_SEND) {
        printf("message %" PRIu64 " to %#" PRIx64 ", tag %#" PRIx64, record->a >> 32, record->b,
               record->a & UINT32_MAX);
        return;
    }
    const char *format = kind_name(record->kind) != NULL ? formats[record->kind] : NULL;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    printf(format != NULL ? format : "%#" PRIx64 " %#" PRIx64, record->a, record->b);
#pragma GCC diagnostic pop
}

// Ticks count from the first record that is shown.
static void print_row(const struct trace_record *record, uint64_t first, uint64_t before)
{
    const char *name = kind_name(record->kind);
    char number[16];
    snprintf(number, sizeof number, "%" PRIu32, record->kind);
    printf("%16" PRIu64 " %12" PRIu64 " %8" PRIu32 "  %-10s ", record->tsc - first,
           record->tsc - before, record->thread, name != NULL ? name : number);
    print_details(record);
    putchar('\n');
}

static void print_json(const struct trace_record *record)
{
    const char *name = kind_name(record->kind);
    printf("{\"tsc\": %" PRIu64 ", \"thread\": %" PRIu32 ", \"kind\": ", record->tsc,
           record->thread);
    if (name != NULL)
        print_json_string(name);
    else
        printf("%" PRIu32, record->kind);
    printf(", \"a\": %" PRIu64 ", \"b\": %" PRIu64 "}", record->a, record->b);
}

static bool is_wanted(const struct selection *selection, const struct trace_record *record)
{
    return record->kind >= KINDS_MAX ? selection->kinds == UINT64_MAX
                                     : (selection->kinds >> record->kind & 1) != 0;
}

// Leaves the wanted records only; returns how many.
static size_t select_records(struct trace_record *records, size_t count,
                             const struct selection *selection)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (is_wanted(selection, &records[i]))
            records[kept++] = records[i];
    if (kept <= selection->count)
        return kept;
    memmove(records, records + kept - selection->count, selection->count * sizeof *records);
    return selection->count;
}

static int show(const struct options *options, const struct selection *selection)
{
    size_t size;
    char *bytes = read_file(options, "trace", &size);
    if (bytes == NULL)
        return STATUS_FAILED;
    struct trace_record *records = (struct trace_record *)bytes; // malloc's, so aligned
    if (size % sizeof *records != 0) {
        free(bytes);
        return fail("trace", "not a whole number of records");
    }
    size_t count = select_records(records, size / sizeof *records, selection);
    if (options->json)
        fputs("[", stdout);
    else if (count > 0)
        printf("%16s %12s %8s  %-10s what\n", "ticks", "since last", "thread", "kind");
    for (size_t i = 0; i < count; i++) {
        if (options->json) {
            fputs(i > 0 ? ",\n " : "", stdout);
            print_json(&records[i]);
        } else {
            print_row(&records[i], records[0].tsc, records[i > 0 ? i - 1 : 0].tsc);
        }
    }
    if (options->json)
        puts("]");
    else if (count == 0)
        puts("no records; corvus trace on begins to record");
    free(bytes);
    return STATUS_OK;
}

static bool add_kind(struct selection *selection, const char *name)
{
    for (uint32_t kind = 0; kind < TRACE_KIND_COUNT; kind++) {
        if (kind_names[kind] != NULL && strcasecmp(kind_names[kind], name) == 0) {
            if (selection->kinds == UINT64_MAX)
                selection->kinds = 0;
            selection->kinds |= UINT64_C(1) << kind;
            return true;
        }
    }
    return false;
}

static bool parse_count(const char *text, size_t *count)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    *count = (size_t)value;
    return text[0] >= '1' && text[0] <= '9' && *end == 0;
}

int command_trace(const struct options *options, int argc, char **argv)
{
    struct selection selection = {.kinds = UINT64_MAX, .count = SIZE_MAX};
    if (argc == 1 && strcmp(argv[0], "on") == 0)
        return write_file(options, "trace_enable", "1\n");
    if (argc == 1 && strcmp(argv[0], "off") == 0)
        return write_file(options, "trace_enable", "0\n");
    for (int i = 0; i < argc; i += 2) {
        if (i + 1 == argc)
            return wrong_arguments("on, off, or options with their values");
        if (strcmp(argv[i], "-n") == 0) {
            if (!parse_count(argv[i + 1], &selection.count))
                return wrong_arguments("-n needs a number");
        } else if (strcmp(argv[i], "-k") == 0) {
            if (!add_kind(&selection, argv[i + 1]))
                return wrong_arguments("-k: there is no such kind of record");
        } else {
            return wrong_arguments("unknown argument");
        }
    }
    return show(options, &selection);
}
