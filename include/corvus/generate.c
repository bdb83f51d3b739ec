// SPDX-License-Identifier: BSD-2-Clause
// Makes, on the host, all that follows from a protocol description (a .def
// file in the format that services.def explains): the typed views, the caller's
// stubs, the server's dispatcher and the tables of the ABI reference. Compiled
// once for each description: -DDEFINITIONS='<corvus/services.def>'.
#include <corvus/error.h>
#include <corvus/trace.h>

#include <ctype.h>
#include <string.h>

#include "generate.h"

#define OBJECT(name, text)           {KIND_OBJECT, #name, 0, text},
#define SERVICE(name, id, text)      {KIND_SERVICE, #name, id, text},
#define MESSAGE(name, id, text)      {KIND_MESSAGE, #name, id, text},
#define IN(name, text)               {KIND_IN, #name, 0, text},
#define IN_RIGHT(name, text)         {KIND_IN_RIGHT, #name, 0, text},
#define IN_ARRAY(name, first, text)  {KIND_IN_ARRAY, #name, first, text},
#define IN_COPY(name, text)          {KIND_IN_COPY, #name, 0, text},
#define OUT(name, text)              {KIND_OUT, #name, 0, text},
#define OUT_RIGHT(name, text)        {KIND_OUT_RIGHT, #name, 0, text},
#define OUT_ARRAY(name, first, text) {KIND_OUT_ARRAY, #name, first, text},
#define OUT_COPY(name, text)         {KIND_OUT_COPY, #name, 0, text},
#define OUT_MAP(name, text)          {KIND_OUT_MAP, #name, 0, text},
#define ERROR(name)                  {KIND_ERROR, #name, 0, ""},

const struct entry entries[] = {
#include DEFINITIONS
    {KIND_END, "", 0, ""},
};

bool is_request(const struct entry *entry)
{
    return entry->kind == KIND_SERVICE || entry->kind == KIND_MESSAGE;
}

bool is_input(const struct entry *parameter)
{
    return parameter->kind >= KIND_IN && parameter->kind <= KIND_IN_COPY;
}

bool is_output(const struct entry *parameter)
{
    return parameter->kind >= KIND_OUT && parameter->kind <= KIND_OUT_MAP;
}

unsigned count(const struct entry *service, enum kind kind)
{
    unsigned found = 0;
    FOR_EACH_PARAMETER(parameter, service)
    found += parameter->kind == kind;
    return found;
}

const struct entry *find(const struct entry *service, enum kind kind)
{
    FOR_EACH_PARAMETER(parameter, service)
    if (parameter->kind == kind)
        return parameter;
    return NULL;
}

static void fail(const struct entry *entry, const char *complaint)
{
    fprintf(stderr, "generate: %s: %s\n", entry->name, complaint);
    exit(EXIT_FAILURE);
}

static void check_service(const struct entry *service)
{
    FOR_EACH_PARAMETER(parameter, service)
    {
        bool array = parameter->kind == KIND_IN_ARRAY || parameter->kind == KIND_OUT_ARRAY;
        if (array && parameter->number < MESSAGE_REGISTER_WORDS)
            fail(service, "an array must begin behind the register words");
    }
    if (count(service, KIND_IN_ARRAY) > 1 || count(service, KIND_OUT_ARRAY) > 1)
        fail(service, "more than one array");
    if (count(service, KIND_IN_ARRAY) == 1 &&
        find(service, KIND_IN_ARRAY)->number < count(service, KIND_IN))
        fail(service, "the words reach into the array");
    if (count(service, KIND_OUT_ARRAY) == 1 &&
        find(service, KIND_OUT_ARRAY)->number < 1 + count(service, KIND_OUT))
        fail(service, "the words reach into the array");
    if (count(service, KIND_IN_RIGHT) > MESSAGE_RIGHTS ||
        count(service, KIND_OUT_RIGHT) > MESSAGE_RIGHTS)
        fail(service, "too many rights");
    if (count(service, KIND_IN_COPY) > MESSAGE_ITEMS ||
        count(service, KIND_OUT_COPY) + count(service, KIND_OUT_MAP) > MESSAGE_ITEMS)
        fail(service, "too many memory items");
    if (count(service, KIND_OUT_MAP) > 1)
        fail(service, "more than one OUT_MAP: there is one window");
    FOR_EACH_PARAMETER(parameter, service)
    {
        bool of_answer = is_output(parameter) || parameter->kind == KIND_ERROR;
        if (service->kind == KIND_MESSAGE && of_answer)
            fail(service, "a message has no answer");
    }
}

static void check(void)
{
    if (entries[0].kind != KIND_OBJECT)
        fail(&entries[0], "the first entry must be an OBJECT");
    FOR_EACH(entry)
    {
        if (!is_request(entry))
            continue;
        check_service(entry);
        FOR_EACH(other)
        if (is_request(other) && other != entry && other->number == entry->number)
            fail(entry, "its id is used twice");
    }
}

// ------------------------------------------- what stubs and servers share

void print_request_shape(const struct entry *service)
{
    printf("TAG_RIGHTS(%u) | TAG_ITEMS(%u)", count(service, KIND_IN_RIGHT),
           count(service, KIND_IN_COPY));
}

void print_reply_shape(const struct entry *service)
{
    printf("TAG_RIGHTS(%u) | TAG_ITEMS(%u)", count(service, KIND_OUT_RIGHT),
           count(service, KIND_OUT_COPY) + count(service, KIND_OUT_MAP));
}

void print_word(const char *message, unsigned index)
{
    if (index < MESSAGE_REGISTER_WORDS)
        printf("%s->words[%u]", message, index);
    else
        printf("page->words[%u]", index);
}

bool needs_page(const struct entry *service)
{
    FOR_EACH_PARAMETER(parameter, service)
    {
        bool plain = parameter->kind == KIND_IN || parameter->kind == KIND_OUT ||
                     parameter->kind == KIND_ERROR;
        if (!plain)
            return true;
    }
    return count(service, KIND_IN) > MESSAGE_REGISTER_WORDS ||
           count(service, KIND_OUT) + 1 > MESSAGE_REGISTER_WORDS;
}

// ------------------------------------------------------------------- views

static void print_view(const struct entry *service, const char *suffix, enum kind kind)
{
    printf("struct %s_%s {\n", service->name, suffix);
    FOR_EACH_PARAMETER(parameter, service)
    if (parameter->kind == kind)
        printf("    uint64_t %s; // %s\n", parameter->name, parameter->text);
    printf("};\n");
}

static void print_service_list(const struct entry *object)
{
    printf("#define ");
    for (const char *c = object->name; *c != '\0'; c++)
        putchar(toupper((unsigned char)*c));
    printf("_SERVICES(S)");
    FOR_EACH_SERVICE(s, object)
    printf(" \\\n    S(%s, %u, %u, %u, %u)", s->name, count(s, KIND_IN), count(s, KIND_IN_RIGHT),
           count(s, KIND_OUT), count(s, KIND_OUT_RIGHT));
    printf("\n\n");
}

static void generate_views(void)
{
    printf("#pragma once\n\n#include <stdint.h>\n\n");
    FOR_EACH(entry)
    {
        if (entry->kind == KIND_OBJECT) {
            printf("// %s: %s.\n"
                   "// S(name, words in, rights in, words out, rights out); arrays not counted.\n",
                   entry->name, entry->text);
            print_service_list(entry);
        } else if (is_request(entry)) {
            printf("// %s\n#define %s_%s 0x%xu\n", entry->text,
                   entry->kind == KIND_MESSAGE ? "MESSAGE" : "SERVICE", entry->name, entry->number);
            print_view(entry, "in", KIND_IN);
            if (entry->kind == KIND_SERVICE)
                print_view(entry, "out", KIND_OUT);
            printf("\n");
        }
    }
}

// --------------------------------------------------------------- reference

static void print_reference_row(const struct entry *p, unsigned *word_in, unsigned *word_out)
{
    static const char *const what[] = {
        [KIND_IN] = "word",
        [KIND_IN_RIGHT] = "right",
        [KIND_IN_ARRAY] = "words from",
        [KIND_IN_COPY] = "COPY",
        [KIND_OUT] = "word",
        [KIND_OUT_RIGHT] = "right",
        [KIND_OUT_ARRAY] = "words from",
        [KIND_OUT_COPY] = "COPY",
        [KIND_OUT_MAP] = "MAP",
    };
    printf("| %s | %s", is_input(p) ? "in" : "out", what[p->kind]);
    if (p->kind == KIND_IN)
        printf(" %u", (*word_in)++);
    else if (p->kind == KIND_OUT)
        printf(" %u", (*word_out)++);
    else if (p->kind == KIND_IN_ARRAY || p->kind == KIND_OUT_ARRAY)
        printf(" %u", p->number);
    printf(" | `%s` | %s |\n", p->name, p->text);
}

static void print_service_reference(const struct entry *service)
{
    unsigned word_in = 0, word_out = 1, parameters = 0, errors = 0;

    printf("### %s (0x%x%s)\n\n%s\n\n", service->name, service->number,
           service->kind == KIND_MESSAGE ? ", a message" : "", service->text);
    FOR_EACH_PARAMETER(p, service)
    {
        if (p->kind == KIND_ERROR)
            continue;
        if (parameters++ == 0)
            printf("| | where | name | meaning |\n| --- | --- | --- | --- |\n");
        print_reference_row(p, &word_in, &word_out);
    }
    if (parameters != 0)
        printf("\n");
    FOR_EACH_PARAMETER(p, service)
    if (p->kind == KIND_ERROR)
        printf("%s%s", errors++ == 0 ? "Errors: " : ", ", p->name);
    if (errors != 0)
        printf(".\n\n");
}

static void generate_reference(void)
{
    FOR_EACH(entry)
    {
        if (entry->kind == KIND_OBJECT)
            printf("## Object `%s`\n\n%s.\n\n", entry->name, entry->text);
        else if (is_request(entry))
            print_service_reference(entry);
    }
}

#define ERROR_ROW(name, number, text) printf("| %d | %s | %s |\n", number, #name, text);
#define COUNTER_ROW(name, text)       printf("| %d | %s | %s |\n", COUNTER_##name, #name, text);

static void generate_tables(void)
{
    printf("## Errors\n\n| number | name | meaning |\n| --- | --- | --- |\n");
    CORVUS_ERRORS(ERROR_ROW)
    printf("\n## Counters\n\n| index | name | meaning |\n| --- | --- | --- |\n");
    CORVUS_COUNTERS(COUNTER_ROW)
    printf("\n## Trace kinds\n\n| kind | name | meaning |\n| --- | --- | --- |\n");
    CORVUS_TRACE_KINDS(ERROR_ROW)
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    const char *views = argc > 2 ? argv[2] : "services.h";
    bool code = strcmp(mode, "reference") != 0 && strcmp(mode, "tables") != 0;

    check();
    if (code)
        printf("// SPDX-License-Identifier: BSD-2-Clause\n"
               "// Generated by include/corvus/generate.c; do not edit.\n");
    if (strcmp(mode, "views") == 0)
        generate_views();
    else if (strcmp(mode, "stubs") == 0)
        generate_stubs(views);
    else if (strcmp(mode, "dispatch") == 0)
        generate_dispatch(views);
    else if (strcmp(mode, "reference") == 0)
        generate_reference();
    else if (strcmp(mode, "tables") == 0)
        generate_tables();
    else {
        fprintf(stderr, "usage: generate views|stubs|dispatch|reference|tables [VIEWS-HEADER]\n");
        return EXIT_FAILURE;
    }
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
