// SPDX-License-Identifier: BSD-2-Clause
// Reads commands. It changes nothing: what a command does is the hub's affair.
#include "deploy/wire/control.h"

#include <stdio.h>
#include <string.h>

static bool complain(char *message, const char *text)
{
    snprintf(message, SPEC_MESSAGE_BYTES, "%s", text);
    return false;
}

// Skips a word and the spaces behind it; its length without these.
static size_t next_word(const char **text)
{
    size_t length = strcspn(*text, " ");
    *text += length;
    *text += strspn(*text, " ");
    return length;
}

static bool is(const char *word, size_t length, const char *text)
{
    return length == strlen(text) && memcmp(word, text, length) == 0;
}

// A decimal number below 10^9 at the head of the text.
static bool parse_number(const char **text, uint64_t *number)
{
    size_t length = strspn(*text, "0123456789");
    *number = 0;
    for (size_t i = 0; i < length && length < 10; i++)
        *number = *number * 10 + (uint64_t)((*text)[i] - '0');
    *text += length;
    return length > 0 && length < 10;
}

static bool parse_port(const char **text, unsigned ports, unsigned *port)
{
    uint64_t number;
    if (!parse_number(text, &number) || number < 1 || number > ports)
        return false;
    *port = (unsigned)number - 1;
    return true;
}

// "2,3": a group, or "1>2": a link.
static bool parse_cut(const char *text, unsigned ports, struct control_request *request,
                      char *message)
{
    static const char form[] = "cut: NODE,… or FROM>TO, of the nodes of this wire";
    if (!parse_port(&text, ports, &request->from))
        return complain(message, form);
    if (*text == '>') {
        text++;
        request->kind = CONTROL_CUT_LINK;
        if (!parse_port(&text, ports, &request->to) || *text != '\0')
            return complain(message, form);
        return request->from != request->to ||
               complain(message, "cut: a link leads from a node to another one");
    }
    request->kind = CONTROL_CUT_GROUP;
    request->group = UINT32_C(1) << request->from;
    while (*text == ',') {
        unsigned port;
        text++;
        if (!parse_port(&text, ports, &port))
            return complain(message, form);
        request->group |= UINT32_C(1) << port;
    }
    if (*text != '\0')
        return complain(message, form);
    return request->group != (UINT32_C(1) << ports) - 1 ||
           complain(message, "cut: these are all nodes, and they would still reach one another");
}

// A size in bytes, or with k or m.
static bool parse_size(const char *text, size_t length, uint64_t *size)
{
    const char *end = text;
    if (!parse_number(&end, size))
        return false;
    if (*end == 'k' || *end == 'm')
        *size <<= *end++ == 'k' ? 10 : 20;
    return end == text + length;
}

// [rotate=SIZE] [keep=N] FILE, or off.
static bool parse_capture(const char *text, struct control_request *request, char *message)
{
    request->kind = CONTROL_CAPTURE;
    request->rotate = 0;
    request->keep = 1;
    for (;;) {
        const char *word = text;
        const char *rest = text;
        size_t length = next_word(&rest);
        if (length > 7 && memcmp(word, "rotate=", 7) == 0) {
            if (!parse_size(word + 7, length - 7, &request->rotate) ||
                request->rotate < CAPTURE_ROTATE_MIN)
                return complain(message, "pcap: rotate=SIZE wants bytes, 64k or more");
        } else if (length > 5 && memcmp(word, "keep=", 5) == 0) {
            uint64_t keep;
            if (!parse_size(word + 5, length - 5, &keep) || keep < 1 || keep > CAPTURE_KEEP_MAX)
                return complain(message, "pcap: keep=N wants a number, 1 to 99");
            request->keep = (unsigned)keep;
        } else {
            break;
        }
        text = rest;
    }
    if (*text == '\0')
        return complain(message, "pcap: a file is missing, or off");
    if (strcmp(text, "off") == 0)
        request->kind = CONTROL_CAPTURE_OFF;
    request->file = text;
    return true;
}

bool control_parse(const char *line, unsigned ports, struct control_request *request,
                   char message[SPEC_MESSAGE_BYTES])
{
    const char *rest = line;
    size_t length = next_word(&rest);
    memset(request, 0, sizeof *request);
    message[0] = '\0';
    if (is(line, length, "wire")) {
        request->kind = CONTROL_WIRE;
        return spec_parse(rest, ports, &request->spec, message);
    }
    if (is(line, length, "cut"))
        return parse_cut(rest, ports, request, message);
    if (is(line, length, "pcap"))
        return parse_capture(rest, request, message);
    if (is(line, length, "heal")) {
        request->kind = CONTROL_HEAL;
        return *rest == '\0' || complain(message, "heal: ends all cuts, and takes no words");
    }
    if (is(line, length, "stats")) {
        request->kind = CONTROL_STATS;
        request->json = strcmp(rest, "json") == 0;
        return request->json || *rest == '\0' || complain(message, "stats: nothing, or json");
    }
    return complain(message, "no such command: wire, cut, heal, stats or pcap");
}
