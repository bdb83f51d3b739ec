// SPDX-License-Identifier: BSD-2-Clause
// Reads and writes the text of impairments. Every value has its unit and its bounds; what is left
// unsaid keeps its default, and a mistake refuses the whole text.
#include "deploy/wire/spec.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE_DEFAULT UINT64_C(262144)

// A piece of the text that is being read.
struct piece {
    const char *text;
    size_t length;
};

struct unit {
    const char *name;
    double factor;
};

static const struct unit time_units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {0}};
static const struct unit rate_units[] = {
    {"bit", 1}, {"kbit", 1e3}, {"mbit", 1e6}, {"gbit", 1e9}, {0}};
static const struct unit size_units[] = {{"", 1}, {"k", 1024}, {"m", 1024 * 1024}, {0}};
static const struct unit chance_units[] = {{"", 1}, {"%", 0.01}, {0}};

static bool __attribute__((format(printf, 2, 3))) complain(char *message, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, SPEC_MESSAGE_BYTES, format, arguments);
    va_end(arguments);
    return false;
}

// For "%.*s" in a complaint, which has no room for long pieces.
static int shown(const struct piece *piece)
{
    return piece->length < 40 ? (int)piece->length : 40;
}

static bool is(const struct piece *piece, const char *text)
{
    return piece->length == strlen(text) && memcmp(piece->text, text, piece->length) == 0;
}

// Cuts the piece before the first of `separators` off `rest`, and the separator with it.
static struct piece cut_off(struct piece *rest, const char *separators)
{
    struct piece first = {rest->text, 0};
    while (first.length < rest->length && strchr(separators, first.text[first.length]) == NULL)
        first.length++;
    size_t gone = first.length < rest->length ? first.length + 1 : first.length;
    rest->text += gone;
    rest->length -= gone;
    return first;
}

// A decimal number, 0 or more, and one of the units. strtod alone would take hexadecimal, infinity
// and white space; the number's characters are chosen here, the unit is what follows them.
static bool parse_number(const struct piece *value, const struct unit *units, double *number)
{
    char digits[32];
    size_t length = 0;
    while (length < value->length && strchr("0123456789.", value->text[length]) != NULL)
        length++;
    // An exponent, if that is what it is: "1e-6", but not the e of a unit.
    if (length + 1 < value->length && value->text[length] == 'e' &&
        strchr("+-0123456789", value->text[length + 1]) != NULL) {
        length += 2;
        while (length < value->length && strchr("0123456789", value->text[length]) != NULL)
            length++;
    }
    if (length == 0 || length >= sizeof digits || value->text[0] == '.')
        return false;
    memcpy(digits, value->text, length);
    digits[length] = '\0';
    char *end;
    *number = strtod(digits, &end);
    if (*end != '\0')
        return false;
    struct piece unit = {value->text + length, value->length - length};
    for (; units->name != NULL; units++) {
        if (is(&unit, units->name)) {
            *number *= units->factor;
            return true;
        }
    }
    return false;
}

static bool parse_chance(const struct piece *key, const struct piece *value, double *chance,
                         char *message)
{
    if (!parse_number(value, chance_units, chance) || *chance > 1)
        return complain(message, "%.*s: '%.*s' is no probability: 0 to 1, or 0%% to 100%%",
                        shown(key), key->text, shown(value), value->text);
    return true;
}

// A whole number of some unit, at most `most`.
static bool parse_amount(const struct piece *key, const struct piece *value,
                         const struct unit *units, double most, const char *form, uint64_t *amount,
                         char *message)
{
    double number;
    if (!parse_number(value, units, &number) || number > most)
        return complain(message, "%.*s: '%.*s' is not %s", shown(key), key->text, shown(value),
                        value->text, form);
    *amount = (uint64_t)(number + 0.5);
    return true;
}

static bool parse_time(const struct piece *key, const struct piece *value, uint64_t *time,
                       char *message)
{
    return parse_amount(key, value, time_units, SPEC_SECONDS_MAX * 1e9,
                        "a time: 3ms, ns, us or s, 60s at most", time, message);
}

static bool parse_seed(const struct piece *value, uint64_t *seed, char *message)
{
    uint64_t number = 0;
    for (size_t i = 0; i < value->length; i++) {
        uint64_t digit = (uint64_t)(value->text[i] - '0');
        if (digit > 9 || number > (UINT64_MAX - digit) / 10)
            return complain(message, "seed: '%.*s' is no number", shown(value), value->text);
        number = number * 10 + digit;
    }
    *seed = number;
    return value->length > 0 || complain(message, "seed: a number is missing");
}

// One KEY=VALUE of a link.
static bool parse_item(const struct piece *key, const struct piece *value, struct impairments *link,
                       char *message)
{
    if (is(key, "loss"))
        return parse_chance(key, value, &link->loss, message);
    if (is(key, "broadcast"))
        return parse_chance(key, value, &link->broadcast, message);
    if (is(key, "dup"))
        return parse_chance(key, value, &link->duplicate, message);
    if (is(key, "reorder"))
        return parse_chance(key, value, &link->reorder, message);
    if (is(key, "biterror"))
        return parse_chance(key, value, &link->bit_error, message);
    if (is(key, "delay"))
        return parse_time(key, value, &link->delay, message);
    if (is(key, "jitter"))
        return parse_time(key, value, &link->jitter, message);
    if (is(key, "rate"))
        return parse_amount(key, value, rate_units, 1e12, "a rate: 100mbit, bit, kbit or gbit",
                            &link->rate, message);
    if (is(key, "queue"))
        return parse_amount(key, value, size_units, SPEC_QUEUE_MAX, "a size: bytes, 256k or 1m",
                            &link->queue, message);
    if (is(key, "seed"))
        return complain(message, "seed: one for the whole wire, not for a link");
    return complain(
        message,
        "'%.*s' is none of loss, broadcast, dup, reorder, biterror, delay, jitter, rate, "
        "queue, seed",
        shown(key), key->text);
}

// "3" or "*", as the first and the last port meant, from 0.
static bool parse_port(const struct piece *text, unsigned ports, unsigned *first, unsigned *last,
                       char *message)
{
    *first = 0;
    *last = ports - 1;
    if (is(text, "*"))
        return true;
    unsigned number = 0;
    for (size_t i = 0; i < text->length && text->length <= 3; i++) {
        if (text->text[i] < '0' || text->text[i] > '9') {
            number = 0;
            break;
        }
        number = number * 10 + (unsigned)(text->text[i] - '0');
    }
    if (number < 1 || number > ports || text->text[0] == '0')
        return complain(message, "'%.*s' is not a node: 1 to %u, or *", shown(text), text->text,
                        ports);
    *first = *last = number - 1;
    return true;
}

// The links that a section is about.
struct section {
    unsigned from_first, from_last;
    unsigned to_first, to_last;
    bool general; // no links were named
};

static bool apply(const struct section *section, const struct piece *key, const struct piece *value,
                  struct wire_spec *spec, char *message)
{
    if (section->general && is(key, "seed"))
        return parse_seed(value, &spec->seed, message);
    for (unsigned from = section->from_first; from <= section->from_last; from++)
        for (unsigned to = section->to_first; to <= section->to_last; to++)
            if (!parse_item(key, value, &spec->links[from][to], message))
                return false;
    return true;
}

// [FROM>TO:]KEY=VALUE,…
static bool parse_section(struct piece text, unsigned ports, struct wire_spec *spec, char *message)
{
    struct section section = {0, ports - 1, 0, ports - 1, true};
    if (memchr(text.text, ':', text.length) != NULL) {
        struct piece to = cut_off(&text, ":");
        if (memchr(to.text, '>', to.length) == NULL)
            return complain(message, "'%.*s:' is not FROM>TO:", shown(&to), to.text);
        struct piece from = cut_off(&to, ">");
        if (!parse_port(&from, ports, &section.from_first, &section.from_last, message) ||
            !parse_port(&to, ports, &section.to_first, &section.to_last, message))
            return false;
        if (section.from_first == section.to_first && section.from_first == section.from_last &&
            section.to_first == section.to_last && ports > 1)
            return complain(message, "a link leads from a node to another one");
        section.general = false;
    }
    // The loop below would not see that nothing follows it.
    if (text.length > 0 && text.text[text.length - 1] == ',')
        return complain(message, "something is missing behind the last comma");
    do {
        struct piece value = cut_off(&text, ",");
        if (memchr(value.text, '=', value.length) == NULL)
            return complain(message, "'%.*s' is not KEY=VALUE", shown(&value), value.text);
        struct piece key = cut_off(&value, "=");
        if (!apply(&section, &key, &value, spec, message))
            return false;
    } while (text.length > 0);
    return true;
}

static void set_defaults(struct impairments *link)
{
    *link = (struct impairments){.queue = QUEUE_DEFAULT};
}

void spec_initialize(struct wire_spec *spec)
{
    spec->seed = 1;
    for (unsigned from = 0; from < WIRE_PORTS_MAX; from++)
        for (unsigned to = 0; to < WIRE_PORTS_MAX; to++)
            set_defaults(&spec->links[from][to]);
}

bool spec_parse(const char *text, unsigned ports, struct wire_spec *spec,
                char message[SPEC_MESSAGE_BYTES])
{
    struct piece rest = {text, strlen(text)};
    unsigned sections = 0;
    bool none = false;
    spec_initialize(spec);
    message[0] = '\0';
    while (rest.length > 0) {
        struct piece section = cut_off(&rest, " \t;");
        if (section.length == 0)
            continue;
        sections++;
        none = none || is(&section, "none");
        if (!is(&section, "none") && !parse_section(section, ports, spec, message))
            return false;
    }
    if (sections == 0)
        return complain(message, "nothing is said; 'none' is for a perfect wire");
    if (none && sections > 1)
        return complain(message, "'none' stands alone");
    return true;
}

// --- Writing ------------------------------------------------------------------------------------

struct writer {
    char *text;
    size_t length;
    bool first; // of its section
};

static void __attribute__((format(printf, 2, 3)))
put(struct writer *writer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(writer->text + writer->length, SPEC_TEXT_BYTES - writer->length, format,
                           arguments);
    va_end(arguments);
    writer->length += (size_t)length;
}

static void put_key(struct writer *writer, const char *key)
{
    put(writer, "%s%s=", writer->first ? "" : ",", key);
    writer->first = false;
}

// The shortest text that is read as the same number.
static void put_chance(struct writer *writer, const char *key, double chance)
{
    char text[40];
    if (chance == 0)
        return;
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, chance);
        if (strtod(text, NULL) == chance)
            break;
    }
    put_key(writer, key);
    put(writer, "%s", text);
}

static void put_amount(struct writer *writer, const char *key, uint64_t amount, const char *unit)
{
    put_key(writer, key);
    put(writer, "%llu%s", (unsigned long long)amount, unit);
}

static void put_time(struct writer *writer, const char *key, uint64_t time)
{
    if (time == 0)
        return;
    if (time % 1000000 == 0)
        put_amount(writer, key, time / 1000000, "ms");
    else if (time % 1000 == 0)
        put_amount(writer, key, time / 1000, "us");
    else
        put_amount(writer, key, time, "ns");
}

static void put_link(struct writer *writer, const struct impairments *link)
{
    writer->first = true;
    put_chance(writer, "loss", link->loss);
    put_chance(writer, "broadcast", link->broadcast);
    put_chance(writer, "dup", link->duplicate);
    put_chance(writer, "reorder", link->reorder);
    put_chance(writer, "biterror", link->bit_error);
    put_time(writer, "delay", link->delay);
    put_time(writer, "jitter", link->jitter);
    if (link->rate > 0)
        put_amount(writer, "rate", link->rate, "bit");
    if (link->queue != QUEUE_DEFAULT)
        put_amount(writer, "queue", link->queue, "");
}

static bool is_default(const struct impairments *link)
{
    return impairments_none(link) && link->queue == QUEUE_DEFAULT;
}

static bool same(const struct impairments *left, const struct impairments *right)
{
    return left->loss == right->loss && left->broadcast == right->broadcast &&
           left->duplicate == right->duplicate && left->reorder == right->reorder &&
           left->bit_error == right->bit_error && left->delay == right->delay &&
           left->jitter == right->jitter && left->rate == right->rate &&
           left->queue == right->queue;
}

static bool all_links_same(const struct wire_spec *spec, unsigned ports)
{
    for (unsigned from = 0; from < ports; from++)
        for (unsigned to = 0; to < ports; to++)
            if (from != to && !same(&spec->links[from][to], &spec->links[0][ports - 1]))
                return false;
    return true;
}

size_t spec_print(const struct wire_spec *spec, unsigned ports, char text[SPEC_TEXT_BYTES])
{
    struct writer writer = {text, 0, true};
    text[0] = '\0';
    if (all_links_same(spec, ports)) {
        put_link(&writer, &spec->links[0][ports - 1]);
        if (writer.length == 0 && spec->seed == 1)
            put(&writer, "none");
        else if (spec->seed != 1)
            put_amount(&writer, "seed", spec->seed, "");
        return writer.length;
    }
    put_amount(&writer, "seed", spec->seed, "");
    for (unsigned from = 0; from < ports; from++) {
        for (unsigned to = 0; to < ports; to++) {
            if (from == to || is_default(&spec->links[from][to]))
                continue;
            put(&writer, " %u>%u:", from + 1, to + 1);
            put_link(&writer, &spec->links[from][to]);
        }
    }
    return writer.length;
}
