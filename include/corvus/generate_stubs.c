// SPDX-License-Identifier: BSD-2-Clause
// The generator's stubs: for each service an inline function that makes the
// request, traps, checks the reply and takes it apart; for each message one that
// sends it.
#include "generate.h"

static void print_stub_parameter(const struct entry *parameter)
{
    static const char *const format[] = {
        [KIND_IN] = "uint64_t %s",
        [KIND_IN_RIGHT] = "struct message_right %s",
        [KIND_IN_ARRAY] = "const uint64_t *%s, size_t %s_words",
        [KIND_IN_COPY] = "const void *%s, size_t %s_bytes",
        [KIND_OUT] = "uint64_t *%s",
        [KIND_OUT_RIGHT] = "port_name_t *%s",
        [KIND_OUT_ARRAY] = "uint64_t *%s, size_t *%s_words",
        [KIND_OUT_COPY] = "void *%s, size_t *%s_bytes",
        [KIND_OUT_MAP] = "void *%s, size_t *%s_bytes",
    };
    printf(",\n    ");
    printf(format[parameter->kind], parameter->name, parameter->name); // NOLINT: table above
}

static void print_stub_head(const struct entry *service)
{
    printf("// %s\n", service->text);
    FOR_EACH_PARAMETER(parameter, service)
    if (parameter->kind != KIND_ERROR)
        printf("// %s: %s.\n", parameter->name, parameter->text);
    if (service->kind == KIND_MESSAGE)
        printf("// deadline: absolute nanoseconds until when it waits to be taken, UINT64_MAX for\n"
               "// ever, 0 not at all. On an error nothing was sent and no right has gone.\n");
    printf("static inline corvus_error_t %s(port_name_t target", service->name);
    FOR_EACH_PARAMETER(parameter, service)
    if (is_input(parameter))
        print_stub_parameter(parameter);
    FOR_EACH_PARAMETER(parameter, service)
    if (is_output(parameter))
        print_stub_parameter(parameter);
    printf("%s)\n{\n", service->kind == KIND_MESSAGE ? ",\n    uint64_t deadline" : "");
}

static void print_stub_tag(const struct entry *service)
{
    const struct entry *array = find(service, KIND_IN_ARRAY);
    printf("%s | ", service->kind == KIND_MESSAGE ? "TAG_SEND" : "TAG_CALL");
    print_request_shape(service);
    if (array != NULL)
        printf(" | (%u + %s_words)", array->number, array->name);
    else
        printf(" | %u", count(service, KIND_IN));
}

static void print_stub_registers(const struct entry *service)
{
    unsigned word = 0;
    printf("    struct message call_ = {.tag = ");
    print_stub_tag(service);
    printf(",\n        .destination = target, .id = %s_%s, .words = {",
           service->kind == KIND_MESSAGE ? "MESSAGE" : "SERVICE", service->name);
    FOR_EACH_PARAMETER(parameter, service)
    {
        if (parameter->kind == KIND_IN && word < MESSAGE_REGISTER_WORDS)
            printf("%s%s", word++ == 0 ? "" : ", ", parameter->name);
    }
    printf("%s}};\n    struct message *call = &call_;\n", word == 0 ? "0" : "");
}

// Puts into the message page what does not travel in registers.
static void print_stub_inputs(const struct entry *service)
{
    unsigned word = 0, right = 0, item = 0;
    FOR_EACH_PARAMETER(p, service)
    {
        if (p->kind == KIND_IN) {
            if (word >= MESSAGE_REGISTER_WORDS)
                printf("    page->words[%u] = %s;\n", word, p->name);
            word++;
        } else if (p->kind == KIND_IN_RIGHT) {
            printf("    page->rights[%u] = %s;\n", right++, p->name);
        } else if (p->kind == KIND_IN_ARRAY) {
            printf("    if (%s_words > MESSAGE_WORDS - %u)\n        return ERR_TOO_LARGE;\n"
                   "    message_copy_words(&page->words[%u], %s, %s_words);\n",
                   p->name, p->number, p->number, p->name, p->name);
        } else if (p->kind == KIND_IN_COPY) {
            printf("    page->items[%u] = message_copy_item(%s, %s_bytes);\n", item++, p->name,
                   p->name);
        }
    }
    item = 0;
    FOR_EACH_PARAMETER(p, service)
    {
        if (p->kind == KIND_OUT_COPY)
            printf("    page->copy_buffers[%u] = message_buffer(%s, *%s_bytes);\n", item++, p->name,
                   p->name);
        else if (p->kind == KIND_OUT_MAP)
            printf("    page->copy_buffers[%u].length = 0;\n"
                   "    page->map_window = message_buffer(%s, *%s_bytes);\n",
                   item++, p->name, p->name);
    }
}

static void print_stub_outputs(const struct entry *service)
{
    unsigned word = 1, right = 0, item = 0;
    FOR_EACH_PARAMETER(p, service)
    {
        if (p->kind == KIND_OUT) {
            printf("    if (%s != NULL)\n        *%s = ", p->name, p->name);
            print_word("call", word++);
            printf(";\n");
        } else if (p->kind == KIND_OUT_RIGHT) {
            printf("    *%s = page->rights[%u].name;\n", p->name, right++);
        } else if (p->kind == KIND_OUT_ARRAY) {
            printf("    message_take_words(%s, %s_words, page, call->tag, %u);\n", p->name, p->name,
                   p->number);
        } else if (p->kind == KIND_OUT_COPY) {
            printf("    *%s_bytes = page->items[%u].length;\n", p->name, item++);
        } else if (p->kind == KIND_OUT_MAP) {
            printf("    *%s_bytes = message_mapped_bytes(&page->items[%u]);\n", p->name, item++);
        }
    }
}

// A plain message is over when it has been sent. There is no answer to check.
static void print_message_stub(const struct entry *message)
{
    print_stub_head(message);
    print_stub_registers(message);
    printf("    struct utcb *page = utcb_self();\n");
    print_stub_inputs(message);
    printf("    if (deadline != UINT64_MAX) {\n"
           "        page->send_deadline = deadline;\n"
           "        call->tag |= TAG_SEND_DEADLINE;\n"
           "    }\n"
           "    message_trap(call);\n"
           "    return TAG_ERROR(call->tag);\n}\n\n");
}

static void print_stub(const struct entry *service)
{
    print_stub_head(service);
    print_stub_registers(service);
    if (needs_page(service)) {
        printf("    struct utcb *page = utcb_self();\n");
        print_stub_inputs(service);
    }
    printf("    message_trap(call);\n");
    // Buffers are open only while a call that wants them runs, so that no other
    // server can write into them later.
    for (unsigned item = 0; item < count(service, KIND_OUT_COPY) + count(service, KIND_OUT_MAP);
         item++)
        printf("    page->copy_buffers[%u].length = 0;\n", item);
    if (find(service, KIND_OUT_MAP) != NULL)
        printf("    page->map_window.length = 0;\n");
    printf("    corvus_error_t error = message_check_reply(call, %u, ",
           1 + count(service, KIND_OUT));
    print_reply_shape(service);
    printf(");\n    if (error != ERR_OK)\n        return error;\n");
    print_stub_outputs(service);
    printf("    return ERR_OK;\n}\n\n");
}

void generate_stubs(const char *views)
{
    printf("#pragma once\n\n#include <corvus/%s>\n#include \"lib/call.h\"\n\n", views);
    FOR_EACH(entry)
    {
        if (entry->kind == KIND_SERVICE)
            print_stub(entry);
        else if (entry->kind == KIND_MESSAGE)
            print_message_stub(entry);
    }
}
