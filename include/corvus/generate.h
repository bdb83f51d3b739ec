// SPDX-License-Identifier: BSD-2-Clause
// What the parts of the generator share: a protocol description as a flat
// table, and questions about it.
#pragma once

#include <corvus/types.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum kind {
    KIND_OBJECT,
    KIND_SERVICE,
    KIND_MESSAGE,
    KIND_IN,
    KIND_IN_RIGHT,
    KIND_IN_ARRAY,
    KIND_IN_COPY,
    KIND_OUT,
    KIND_OUT_RIGHT,
    KIND_OUT_ARRAY,
    KIND_OUT_COPY,
    KIND_OUT_MAP,
    KIND_ERROR,
    KIND_END,
};

struct entry {
    enum kind kind;
    const char *name;
    unsigned number; // a service's or message's id, an array's first word
    const char *text;
};

extern const struct entry entries[]; // ends with KIND_END

#define FOR_EACH(variable)                                                                         \
    for (const struct entry *variable = entries; (variable)->kind != KIND_END; (variable)++)

// The parameters of one service or message: what follows its entry.
#define FOR_EACH_PARAMETER(variable, service)                                                      \
    for (const struct entry *variable = (service) + 1;                                             \
         (variable)->kind >= KIND_IN && (variable)->kind < KIND_END; (variable)++)

// The services and messages of one object: what follows its OBJECT entry.
#define FOR_EACH_SERVICE(variable, object)                                                         \
    for (const struct entry *variable = (object) + 1;                                              \
         (variable)->kind != KIND_OBJECT && (variable)->kind != KIND_END; (variable)++)            \
        if ((variable)->kind == KIND_SERVICE || (variable)->kind == KIND_MESSAGE)

// Whether the entry is a service, or a plain message, which has no answer.
bool is_request(const struct entry *entry);

bool is_input(const struct entry *parameter);
bool is_output(const struct entry *parameter);

// How many parameters of one kind a service has, and the first of them or NULL.
unsigned count(const struct entry *service, enum kind kind);
const struct entry *find(const struct entry *service, enum kind kind);

// Whether a service uses more of a message than its register words.
bool needs_page(const struct entry *service);

// Prints the tag bits that say how many rights and items a request or a reply carries.
void print_request_shape(const struct entry *service);
void print_reply_shape(const struct entry *service);

// Prints where word `index` of a message is, registers first.
void print_word(const char *message, unsigned index);

// The modes that have a file of their own. `views` names the header that the
// views of the same description are in.
void generate_stubs(const char *views);
void generate_dispatch(const char *views);
