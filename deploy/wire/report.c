// SPDX-License-Identifier: BSD-2-Clause
// Counters as text, in which what is 0 is left out, and as JSON, in which nothing is.
#include "deploy/wire/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct writer {
    char *text;
    size_t length;
};

static void __attribute__((format(printf, 2, 3)))
put(struct writer *writer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t room = REPORT_BYTES - writer->length;
    int length = vsnprintf(writer->text + writer->length, room, format, arguments);
    va_end(arguments);
    writer->length += (size_t)length < room ? (size_t)length : room - 1;
}

typedef void counter_writer(struct writer *writer, const char *name, uint64_t value);

static void text_counter(struct writer *writer, const char *name, uint64_t value)
{
    if (value != 0)
        put(writer, " %s %llu", name, (unsigned long long)value);
}

static void json_counter(struct writer *writer, const char *name, uint64_t value)
{
    put(writer, ", \"%s\": %llu", name, (unsigned long long)value);
}

static void put_link_counters(struct writer *writer, counter_writer *write,
                              const struct wire_link_counters *counters)
{
#define C(name) write(writer, #name, counters->name);
    WIRE_LINK_COUNTERS(C)
#undef C
}

static void put_port_counters(struct writer *writer, counter_writer *write,
                              const struct wire_port_counters *counters)
{
#define C(name) write(writer, #name, counters->name);
    WIRE_PORT_COUNTERS(C)
#undef C
}

// A string of JSON: file names and error texts are not ours.
static void put_string(struct writer *writer, const char *text)
{
    put(writer, "\"");
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            put(writer, "\\%c", *text);
        else if ((unsigned char)*text < ' ')
            put(writer, "\\u%04x", (unsigned)*text);
        else
            put(writer, "%c", *text);
    }
    put(writer, "\"");
}

static void put_spec(struct writer *writer, const struct wire *wire)
{
    static char spec[SPEC_TEXT_BYTES];
    spec_print(&wire->spec, wire->ports, spec);
    put(writer, "%s", spec);
}

// The cut links, as 1>2.
static unsigned put_cuts(struct writer *writer, const struct wire *wire, const char *separator,
                         const char *quote)
{
    unsigned count = 0;
    for (unsigned from = 0; from < wire->ports; from++)
        for (unsigned to = 0; to < wire->ports; to++)
            if (wire->links[from][to].cut)
                put(writer, "%s%s%u>%u%s", count++ > 0 ? separator : "", quote, from + 1, to + 1,
                    quote);
    return count;
}

size_t report_text(const struct report *report, char text[REPORT_BYTES])
{
    struct writer writer = {text, 0};
    const struct wire *wire = report->wire;
    const struct capture *capture = report->capture;
    put(&writer, "wire: ");
    put_spec(&writer, wire);
    put(&writer, "\ncut: ");
    put(&writer, "%s\n", put_cuts(&writer, wire, " ", "") == 0 ? "none" : "");
    if (capture->file != NULL)
        put(&writer, "pcap: %s, %llu frames\n", capture->name, (unsigned long long)capture->frames);
    if (capture->reason != NULL)
        put(&writer, "pcap: ended: %s\n", capture->reason);
    for (unsigned i = 0; i < wire->ports; i++) {
        put(&writer, "node %u:%s", i + 1, report->ports[i].present ? "" : " absent");
        put_port_counters(&writer, text_counter, &report->ports[i].counters);
        text_counter(&writer, "waiting", report->ports[i].count);
        put(&writer, "\n");
    }
    for (unsigned from = 0; from < wire->ports; from++) {
        for (unsigned to = 0; to < wire->ports; to++) {
            const struct wire_link *link = &wire->links[from][to];
            if (link->counters.offered == 0)
                continue;
            put(&writer, "%u>%u:", from + 1, to + 1);
            put_link_counters(&writer, text_counter, &link->counters);
            put(&writer, "\n");
        }
    }
    put(&writer, "under way: %u\n", wire->pending_count + wire->held);
    return writer.length;
}

static void put_links_json(struct writer *writer, const struct wire *wire)
{
    const char *separator = "";
    for (unsigned from = 0; from < wire->ports; from++) {
        for (unsigned to = 0; to < wire->ports; to++) {
            if (from == to)
                continue;
            put(writer, "%s{\"from\": %u, \"to\": %u", separator, from + 1, to + 1);
            put_link_counters(writer, json_counter, &wire->links[from][to].counters);
            put(writer, "}");
            separator = ", ";
        }
    }
}

size_t report_json(const struct report *report, char text[REPORT_BYTES])
{
    struct writer writer = {text, 0};
    const struct wire *wire = report->wire;
    const struct capture *capture = report->capture;
    put(&writer, "{\"spec\": \"");
    put_spec(&writer, wire);
    put(&writer, "\", \"cuts\": [");
    put_cuts(&writer, wire, ", ", "\"");
    put(&writer, "], \"pcap\": ");
    if (capture->file != NULL)
        put_string(&writer, capture->name);
    else
        put(&writer, "null");
    put(&writer, ", \"pcap_error\": ");
    if (capture->reason != NULL)
        put_string(&writer, capture->reason);
    else
        put(&writer, "null");
    put(&writer, ", \"pcap_frames\": %llu, \"under_way\": %u, \"ports\": [",
        (unsigned long long)capture->frames, wire->pending_count + wire->held);
    for (unsigned i = 0; i < wire->ports; i++) {
        put(&writer, "%s{\"node\": %u, \"present\": %s", i > 0 ? ", " : "", i + 1,
            report->ports[i].present ? "true" : "false");
        put_port_counters(&writer, json_counter, &report->ports[i].counters);
        json_counter(&writer, "waiting", report->ports[i].count);
        put(&writer, "}");
    }
    put(&writer, "], \"links\": [");
    put_links_json(&writer, wire);
    put(&writer, "]}\n");
    return writer.length;
}
