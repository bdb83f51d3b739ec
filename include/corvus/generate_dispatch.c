// SPDX-License-Identifier: BSD-2-Clause
// The generator's dispatchers: a server of an object is a table of functions,
// called with the parts of a checked request.
#include "generate.h"

static const struct entry *object_of(const struct entry *service)
{
    while (service->kind != KIND_OBJECT)
        service--;
    return service;
}

static bool has_messages(const struct entry *object)
{
    FOR_EACH_SERVICE(s, object)
    if (s->kind == KIND_MESSAGE)
        return true;
    return false;
}

static void print_operation_parameter(const struct entry *parameter)
{
    static const char *const format[] = {
        [KIND_IN] = "uint64_t %s",
        [KIND_IN_RIGHT] = "struct message_right %s",
        [KIND_IN_ARRAY] = "const uint64_t *%s, size_t %s_words",
        [KIND_IN_COPY] = "const void *%s, size_t %s_bytes",
        [KIND_OUT] = "uint64_t *%s",
        [KIND_OUT_RIGHT] = "struct message_right *%s",
        [KIND_OUT_ARRAY] = "uint64_t *%s, size_t *%s_words",
        [KIND_OUT_COPY] = "const void **%s, size_t *%s_bytes",
        [KIND_OUT_MAP] = "struct message_item *%s",
    };
    printf(",\n        ");
    printf(format[parameter->kind], parameter->name, parameter->name); // NOLINT: table above
}

static void print_operations(const struct entry *object)
{
    printf("// %s. Each operation gets the label of the port asked; one left out is\n"
           "// answered with UNKNOWN_SERVICE.\nstruct %s_operations {\n",
           object->text, object->name);
    FOR_EACH_SERVICE(s, object)
    {
        printf("    // %s\n    %s (*%s)(uint64_t port_label", s->text,
               s->kind == KIND_MESSAGE ? "void" : "corvus_error_t", s->name);
        FOR_EACH_PARAMETER(parameter, s)
        if (is_input(parameter))
            print_operation_parameter(parameter);
        FOR_EACH_PARAMETER(parameter, s)
        if (is_output(parameter))
            print_operation_parameter(parameter);
        printf(");\n");
    }
    if (has_messages(object))
        printf("    // A message that has not the parts it should, or no operation: it is dropped, "
               "with\n"
               "    // its rights. May be NULL.\n"
               "    void (*refused)(uint64_t port_label, uint32_t id);\n");
    printf("};\n\n");
}

// Takes everything out of the message page before the operation, which may
// send messages of its own, runs.
static void print_serve_locals(const struct entry *service)
{
    unsigned right = 0, item = 0;
    FOR_EACH_PARAMETER(p, service)
    {
        if (p->kind == KIND_IN_RIGHT)
            printf("    struct message_right %s = page->rights[%u];\n", p->name, right++);
        else if (p->kind == KIND_IN_ARRAY)
            printf("    uint64_t %s[MESSAGE_WORDS - %u];\n"
                   "    size_t %s_words = MESSAGE_WORDS - %u;\n"
                   "    message_take_words(%s, &%s_words, page, request->tag, %u);\n",
                   p->name, p->number, p->name, p->number, p->name, p->name, p->number);
        else if (p->kind == KIND_IN_COPY)
            printf("    struct message_item %s = page->items[%u];\n", p->name, item++);
        else if (p->kind == KIND_OUT)
            printf("    uint64_t %s = 0;\n", p->name);
        else if (p->kind == KIND_OUT_RIGHT)
            printf("    struct message_right %s = {0};\n", p->name);
        else if (p->kind == KIND_OUT_ARRAY)
            printf("    uint64_t %s[MESSAGE_WORDS - %u];\n"
                   "    size_t %s_words = MESSAGE_WORDS - %u;\n",
                   p->name, p->number, p->name, p->number);
        else if (p->kind == KIND_OUT_COPY)
            printf("    const void *%s = NULL;\n    size_t %s_bytes = 0;\n", p->name, p->name);
        else if (p->kind == KIND_OUT_MAP)
            printf("    struct message_item %s = {.kind = ITEM_MAP};\n", p->name);
    }
}

static void print_serve_arguments(const struct entry *service)
{
    unsigned word = 0;
    FOR_EACH_PARAMETER(p, service)
    {
        if (!is_input(p))
            continue;
        printf(", ");
        if (p->kind == KIND_IN)
            print_word("request", word++);
        else if (p->kind == KIND_IN_RIGHT)
            printf("%s", p->name);
        else if (p->kind == KIND_IN_ARRAY)
            printf("%s, %s_words", p->name, p->name);
        else
            printf("(const void *)%s.address, %s.length", p->name, p->name);
    }
    FOR_EACH_PARAMETER(p, service)
    {
        if (p->kind == KIND_OUT_ARRAY)
            printf(", %s, &%s_words", p->name, p->name);
        else if (p->kind == KIND_OUT_COPY)
            printf(", &%s, &%s_bytes", p->name, p->name);
        else if (is_output(p))
            printf(", &%s", p->name);
    }
}

static void print_serve_outputs(const struct entry *service)
{
    const struct entry *array = find(service, KIND_OUT_ARRAY);
    unsigned word = 1, right = 0, item = 0;

    printf("    reply->tag |= ");
    print_reply_shape(service);
    if (array != NULL)
        printf(" | (%u + %s_words);\n", array->number, array->name);
    else
        printf(" | %u;\n", 1 + count(service, KIND_OUT));
    FOR_EACH_PARAMETER(p, service)
    {
        if (p->kind == KIND_OUT) {
            printf("    ");
            print_word("reply", word++);
            printf(" = %s;\n", p->name);
        } else if (p->kind == KIND_OUT_RIGHT) {
            printf("    page->rights[%u] = %s;\n", right++, p->name);
        } else if (p->kind == KIND_OUT_ARRAY) {
            printf("    message_copy_words(&page->words[%u], %s, %s_words);\n", p->number, p->name,
                   p->name);
        } else if (p->kind == KIND_OUT_COPY) {
            printf("    page->items[%u] = message_copy_item(%s, %s_bytes);\n", item++, p->name,
                   p->name);
        } else if (p->kind == KIND_OUT_MAP) {
            printf("    page->items[%u] = %s;\n", item++, p->name);
        }
    }
}

static void print_serve(const struct entry *service)
{
    const char *object = object_of(service)->name;
    const struct entry *array = find(service, KIND_IN_ARRAY);
    unsigned words = array != NULL ? array->number : count(service, KIND_IN);

    printf("static inline void serve_%s(const struct message *request, struct message *reply,\n"
           "    const struct %s_operations *operations)\n{\n",
           service->name, object);
    printf("    if (operations->%s == NULL) {\n"
           "        message_refuse(request, reply);\n        return;\n    }\n",
           service->name);
    printf("    if (!message_begin_serve(request, reply, %u, ", words);
    print_request_shape(service);
    printf("))\n        return;\n");
    if (needs_page(service))
        printf("    struct utcb *page = utcb_self();\n");
    print_serve_locals(service);
    printf("    corvus_error_t error = operations->%s(request->label", service->name);
    print_serve_arguments(service);
    printf(");\n    if (!message_end_serve(reply, error))\n        return;\n");
    print_serve_outputs(service);
    printf("}\n\n");
}

static void print_serve_message(const struct entry *message)
{
    const struct entry *array = find(message, KIND_IN_ARRAY);
    unsigned words = array != NULL ? array->number : count(message, KIND_IN);

    printf("static inline void serve_%s(const struct message *request,\n"
           "    const struct %s_operations *operations)\n{\n",
           message->name, object_of(message)->name);
    printf("    if (operations->%s == NULL || !message_fits(request, %u, ", message->name, words);
    print_request_shape(message);
    printf(")) {\n"
           "        message_drop_rights(request->tag);\n"
           "        if (operations->refused != NULL)\n"
           "            operations->refused(request->label, (uint32_t)request->id);\n"
           "        return;\n    }\n");
    if (needs_page(message))
        printf("    struct utcb *page = utcb_self();\n");
    print_serve_locals(message);
    printf("    operations->%s(request->label", message->name);
    print_serve_arguments(message);
    printf(");\n}\n\n");
}

static void print_dispatch_case(const struct entry *s)
{
    if (s->kind == KIND_MESSAGE)
        printf("    case MESSAGE_%s:\n        serve_%s(request, operations);\n"
               "        reply->tag = 0;\n        return true;\n",
               s->name, s->name);
    else
        printf("    case SERVICE_%s:\n        serve_%s(request, reply, operations);\n"
               "        return true;\n",
               s->name, s->name);
}

static void print_dispatcher(const struct entry *object)
{
    printf("// False, with nothing done, when the message is no service of a %s.\n"
           "static inline bool %s_serve(const struct message *request, struct message *reply,\n"
           "    const struct %s_operations *operations)\n{\n    switch (request->id) {\n",
           object->name, object->name, object->name);
    FOR_EACH_SERVICE(s, object)
    print_dispatch_case(s);
    printf("    default:\n        return false;\n    }\n}\n\n");
}

void generate_dispatch(const char *views)
{
    printf("#pragma once\n\n#include <corvus/%s>\n#include \"lib/serve.h\"\n\n", views);
    FOR_EACH(object)
    {
        if (object->kind != KIND_OBJECT)
            continue;
        print_operations(object);
        FOR_EACH_SERVICE(s, object)
        {
            if (s->kind == KIND_MESSAGE)
                print_serve_message(s);
            else
                print_serve(s);
        }
        print_dispatcher(object);
    }
}
