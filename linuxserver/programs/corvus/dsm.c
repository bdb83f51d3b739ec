// SPDX-License-Identifier: GPL-2.0-only
// corvus dsm: the cluster's segments as a node's DSM server tells of them
// (include/corvus/segments.def).
#include "corvus.h"

#include "lib/linux/corvus.h"

#include <corvus/init_stubs.h>
#include <corvus/netname_stubs.h>
#include <corvus/segments.h>
#include <corvus/segments_stubs.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_BYTES 16384
#define NODES_MAX    64
#define RECORDS_MAX  (1u << 22)

static const struct {
    const char *name, *text;
} counters[] = {
#define COUNTER(name, text)      {#name, text},
#define LOCK_COUNTER(name, text) {"lock_" #name, text},
    SEGMENT_COUNTERS(COUNTER) LOCK_COUNTERS(LOCK_COUNTER)
#undef COUNTER
#undef LOCK_COUNTER
};
#define COUNTER_COUNT (sizeof counters / sizeof counters[0])

enum {
#define ONE(name, text) COUNT_##name,
    SEGMENT_COUNTERS(ONE) SEGMENT_COUNTER_COUNT
#undef ONE
};

// What stands behind the sub-command.
struct query {
    bool json, all;
    uint64_t node;       // 0: this one
    const char *segment; // NULL: of all
};

// The DSM servers that are asked.
struct servers {
    size_t count;
    uint64_t nodes[NODES_MAX];
    port_name_t ports[NODES_MAX];
};

// --- Finding the servers -------------------------------------------------------------------------

static int fail_node(uint64_t node, corvus_error_t error)
{
    char name[48] = "DSM server";

    if (node != 0)
        snprintf(name, sizeof name, "DSM server of node%" PRIu64, node);
    if (error == ERR_NOT_FOUND)
        return fail(name, "does not run");
    if (error == ERR_PEER_DIED)
        return fail(name, "is not there, or in a minority of the cluster");
    return fail_message(name, (int)error);
}

// Of this node, by init's name: it is there without a network, too. That name is only root's to
// look up.
static corvus_error_t find_own(port_name_t *port)
{
    uint64_t name[4], self;
    port_name_t server;
    corvus_error_t error;

    (void)corvus_name_words("dsm", name);
    error = bootstrap_look_up(NAME_BOOTSTRAP, name[0], name[1], name[2], name[3], 0, port);
    if (error != ERR_ACCESS_DENIED)
        return error;
    error = corvus_netname(&server);
    if (error == ERR_OK)
        error = netname_cluster(server, &self, NULL, NULL, NULL, NULL);
    return error == ERR_OK ? corvus_look_up("dsm", self, false, port) : error;
}

static int add_server(struct servers *servers, uint64_t node)
{
    port_name_t *port = &servers->ports[servers->count];
    corvus_error_t error = node == 0 ? find_own(port) : corvus_look_up("dsm", node, false, port);

    if (error == ERR_OK && node == 0)
        error = segment_cluster(*port, &node, NULL, NULL, NULL, NULL, NULL);
    if (error != ERR_OK)
        return fail_node(node, error);
    servers->nodes[servers->count++] = node;
    return STATUS_OK;
}

// Of all nodes that take part, as this one's server knows them.
static int add_all(struct servers *servers)
{
    uint64_t self, members;
    int status = add_server(servers, 0);
    corvus_error_t error;

    if (status != STATUS_OK)
        return status;
    error = segment_cluster(servers->ports[0], &self, &members, NULL, NULL, NULL, NULL);
    if (error != ERR_OK)
        return fail_node(0, error);
    for (uint64_t node = 1; status == STATUS_OK && node <= NODES_MAX; node++)
        if ((members >> (node - 1) & 1) != 0 && node != self && servers->count < NODES_MAX)
            status = add_server(servers, node);
    return status;
}

static int find_servers(const struct query *query, struct servers *servers)
{
    servers->count = 0;
    if (corvus_file() < 0)
        return fail_errno(CORVUS_DEVICE);
    return query->all ? add_all(servers) : add_server(servers, query->node);
}

// The number of the segment that is asked for; 0: of all.
static int find_segment(const struct query *query, port_name_t server, uint64_t *segment)
{
    corvus_error_t error;

    *segment = 0;
    if (query->segment == NULL)
        return STATUS_OK;
    error = segment_look_up(server, query->segment, strlen(query->segment), segment);
    if (error == ERR_NOT_FOUND)
        return fail(query->segment, "there is no such segment");
    return error == ERR_OK ? STATUS_OK : fail_node(0, error);
}

// --- ls ------------------------------------------------------------------------------------------

static void print_entry(const struct query *query, const struct segment_entry *entry, bool first)
{
    char name[SEGMENT_NAME_MAX + 1] = {0};

    memcpy(name, entry + 1, entry->name_bytes);
    if (query->json) {
        printf("%s{\"segment\": %" PRIu64 ", \"size\": %" PRIu64 ", \"mode\": %" PRIu32
               ", \"uid\": %" PRIu32 ", \"gid\": %" PRIu32 ", \"name\": ",
               first ? "" : ",\n ", entry->segment, entry->size, entry->mode, entry->uid,
               entry->gid);
        print_json_string(name);
        putchar('}');
        return;
    }
    // Whoever made it chose the bytes.
    for (char *byte = name; *byte != 0; byte++)
        if (*byte < ' ' || *byte > '~')
            *byte = '?';
    printf("%8" PRIu64 "  %14" PRIu64 "  %04" PRIo32 "  %5" PRIu32 "  %5" PRIu32 "  %s\n",
           entry->segment, entry->size, entry->mode, entry->uid, entry->gid, name);
}

// The entries of one answer; false: it is not what the protocol says.
static bool print_entries(const struct query *query, const uint8_t *answer, size_t bytes,
                          bool *first)
{
    while (bytes > 0) {
        const struct segment_entry *entry = (const struct segment_entry *)(const void *)answer;
        size_t whole;
        if (bytes < sizeof *entry || entry->name_bytes > SEGMENT_NAME_MAX)
            return false;
        whole = segment_entry_bytes(entry->name_bytes);
        if (bytes < sizeof *entry + entry->name_bytes)
            return false;
        print_entry(query, entry, *first);
        *first = false;
        answer += whole;
        bytes -= whole < bytes ? whole : bytes;
    }
    return true;
}

static int list(const struct query *query, const struct servers *servers)
{
    static _Alignas(8) uint8_t answer[ANSWER_BYTES];
    uint64_t cookie = 0;
    bool first = true;
    size_t bytes;

    if (query->json)
        putchar('[');
    else
        puts(" segment            size  mode    uid    gid  name");
    do {
        bytes = sizeof answer;
        corvus_error_t error = segment_list(servers->ports[0], cookie, &cookie, answer, &bytes);
        if (error != ERR_OK)
            return fail_node(0, error);
        if (!print_entries(query, answer, bytes, &first))
            return fail("DSM server", "answers with nonsense");
    } while (bytes > 0);
    if (query->json)
        puts("]");
    return STATUS_OK;
}

// --- stat ----------------------------------------------------------------------------------------

// Adds one node's counters; those of locks are of all segments.
static int add_counters(port_name_t server, uint64_t segment, uint64_t values[COUNTER_COUNT])
{
    uint64_t some[COUNTER_COUNT] = {0};
    size_t count = SEGMENT_COUNTER_COUNT;
    corvus_error_t error = segment_statistics(server, segment, 0, some, &count);
    port_name_t locks;

    if (error == ERR_OK && segment == 0)
        error = segment_locks(server, &locks);
    if (error == ERR_OK && segment == 0) {
        count = COUNTER_COUNT - SEGMENT_COUNTER_COUNT;
        error = sync_statistics(locks, 0, some + SEGMENT_COUNTER_COUNT, &count);
        (void)port_deallocate(locks);
    }
    for (size_t i = 0; error == ERR_OK && i < COUNTER_COUNT; i++)
        values[i] += some[i];
    return error == ERR_OK ? STATUS_OK : fail_node(0, error);
}

static int show_counters(const struct query *query, const struct servers *servers)
{
    uint64_t values[COUNTER_COUNT] = {0}, segment;
    int status = find_segment(query, servers->ports[0], &segment);
    size_t shown = segment == 0 ? COUNTER_COUNT : SEGMENT_COUNTER_COUNT;

    for (size_t i = 0; status == STATUS_OK && i < servers->count; i++)
        status = add_counters(servers->ports[i], segment, values);
    if (status != STATUS_OK)
        return status;
    for (size_t i = 0; i < shown; i++) {
        if (query->json)
            printf("%s\"%s\": %" PRIu64, i > 0 ? ", " : "{", counters[i].name, values[i]);
        else
            printf("%-25s %20" PRIu64 "  %s\n", counters[i].name, values[i], counters[i].text);
    }
    if (query->json)
        puts("}");
    return STATUS_OK;
}

// --- trace ---------------------------------------------------------------------------------------

struct records {
    struct segment_trace_record *list;
    size_t count, room;
};

static const char *event_name(uint8_t event)
{
    static const char *const names[] = {
#define EVENT_NAME(name, number, text) [number] = #name,
        SEGMENT_EVENTS(EVENT_NAME)
#undef EVENT_NAME
    };

    return event < sizeof names / sizeof names[0] && names[event] != NULL ? names[event] : "?";
}

// For `more` records. False: they would be too many; the list is as it was.
static bool make_room(struct records *records, size_t more)
{
    size_t needed = records->count + more, room = needed * 2;

    if (records->count > RECORDS_MAX)
        return false;
    if (needed <= records->room)
        return true;
    struct segment_trace_record *list = realloc(records->list, room * sizeof *list);
    if (list == NULL)
        return false;
    records->list = list;
    records->room = room;
    return true;
}

// All that one node remembers.
static int read_records(port_name_t server, uint64_t segment, struct records *records)
{
    static _Alignas(8) struct segment_trace_record answer[ANSWER_BYTES / 32];
    uint64_t next = 0, first;

    for (;;) {
        size_t bytes = sizeof answer, count;
        corvus_error_t error = segment_trace(server, next, &first, answer, &bytes);
        if (error != ERR_OK)
            return fail_node(0, error);
        count = bytes / sizeof *answer;
        if (count == 0)
            return STATUS_OK;
        if (!make_room(records, count))
            return fail("trace", "too many records");
        for (size_t i = 0; i < count; i++)
            if (segment == 0 || answer[i].segment == segment)
                records->list[records->count++] = answer[i];
        next = first + count;
    }
}

static int earlier(const void *left, const void *right)
{
    uint64_t a = ((const struct segment_trace_record *)left)->time;
    uint64_t b = ((const struct segment_trace_record *)right)->time;

    return (a > b) - (a < b);
}

static void print_record(const struct query *query, const struct segment_trace_record *record,
                         bool first)
{
    if (query->json)
        printf("%s{\"time\": %" PRIu64 ", \"segment\": %" PRIu64 ", \"page\": %" PRIu64
               ", \"node\": %u, \"event\": \"%s\", \"other\": %u}",
               first ? "" : ",\n ", record->time, record->segment, record->page, record->node,
               event_name(record->event), record->other);
    else
        printf("%20" PRIu64 "  %7" PRIu64 "  %8" PRIu64 "  %4u  %-9s  %5u\n", record->time,
               record->segment, record->page, record->node, event_name(record->event),
               record->other);
}

static int show_trace(const struct query *query, const struct servers *servers)
{
    struct records records = {0};
    uint64_t segment;
    int status = find_segment(query, servers->ports[0], &segment);

    for (size_t i = 0; status == STATUS_OK && i < servers->count; i++)
        status = read_records(servers->ports[i], segment, &records);
    if (status == STATUS_OK) {
        if (records.count > 0)
            qsort(records.list, records.count, sizeof *records.list, earlier);
        puts(query->json ? "[" : "                time  segment      page  node  event      other");
        for (size_t i = 0; i < records.count; i++)
            print_record(query, &records.list[i], i == 0);
        if (query->json)
            puts("]");
    }
    free(records.list);
    return status;
}

// --- The command ---------------------------------------------------------------------------------

static const struct {
    const char *name;
    int (*run)(const struct query *query, const struct servers *servers);
} subjects[] = {
    {"ls", list},
    {"stat", show_counters},
    {"trace", show_trace},
};

// What is wrong with the arguments; NULL: nothing.
static const char *parse(struct query *query, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        char *end = argv[i];
        if (strcmp(argv[i], "-a") == 0) {
            query->all = true;
        } else if (strcmp(argv[i], "-n") == 0 && i + 1 < argc) {
            i++;
            query->node = strtoull(argv[i] + (strncmp(argv[i], "node", 4) == 0 ? 4 : 0), &end, 10);
            if (query->node == 0 || query->node > NODES_MAX || *end != 0)
                return "-n: a node is a number, or node1 ...";
        } else if (argv[i][0] == '-') {
            return "an option that there is not";
        } else if (query->segment != NULL) {
            return "one segment at a time";
        } else {
            query->segment = argv[i];
        }
    }
    if (query->all && query->node != 0)
        return "-a or -n";
    return NULL;
}

int command_dsm(const struct options *options, int argc, char **argv)
{
    static struct servers servers;
    struct query query = {.json = options->json};
    const char *wrong = NULL;
    size_t subject = 0;
    int status;

    if (argc > 0)
        wrong = parse(&query, argc, argv);
    while (argc > 0 && subject < sizeof subjects / sizeof subjects[0] &&
           strcmp(argv[0], subjects[subject].name) != 0)
        subject++;
    if (argc == 0 || subject == sizeof subjects / sizeof subjects[0])
        return wrong_arguments("ls, stat or trace");
    if (wrong == NULL && subjects[subject].run == list && (query.all || query.segment != NULL))
        wrong = "ls: the same on all nodes, and of all segments";
    if (wrong != NULL)
        return wrong_arguments(wrong);
    status = find_servers(&query, &servers);
    return status == STATUS_OK ? subjects[subject].run(&query, &servers) : status;
}
