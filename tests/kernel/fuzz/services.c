// SPDX-License-Identifier: BSD-2-Clause
// Turns the description into a table, once, at the start.
#include "services.h"

#include <string.h>

enum entry_kind {
    ENTRY_OBJECT,
    ENTRY_SERVICE,
    ENTRY_IN,
    ENTRY_IN_RIGHT,
    ENTRY_IN_ARRAY,
    ENTRY_OUT,
    ENTRY_OUT_RIGHT,
    ENTRY_OTHER
};

struct entry {
    enum entry_kind kind;
    const char *name;
    uint32_t number;
};

#define OBJECT(name, text)           {ENTRY_OBJECT, #name, 0},
#define SERVICE(name, id, text)      {ENTRY_SERVICE, #name, id},
#define IN(name, text)               {ENTRY_IN, #name, 0},
#define IN_RIGHT(name, text)         {ENTRY_IN_RIGHT, #name, 0},
#define IN_ARRAY(name, first, text)  {ENTRY_IN_ARRAY, #name, first},
#define OUT(name, text)              {ENTRY_OUT, #name, 0},
#define OUT_RIGHT(name, text)        {ENTRY_OUT_RIGHT, #name, 0},
#define OUT_ARRAY(name, first, text) {ENTRY_OTHER, #name, first},
#define ERROR(name)                  {ENTRY_OTHER, #name, 0},

static const struct entry entries[] = {
#include <corvus/services.def>
};

struct fuzz_service fuzz_services[FUZZ_SERVICES_MAX];
uint32_t fuzz_service_count;

static enum object_kind object_kind(const char *name)
{
    static const char *const names[OBJECT_KINDS] = {
        [OBJECT_KIND_TASK] = "task",           [OBJECT_KIND_THREAD] = "thread",
        [OBJECT_KIND_HOST] = "host",           [OBJECT_KIND_PRIVILEGED] = "host_privileged",
        [OBJECT_KIND_INTERRUPT] = "interrupt", [OBJECT_KIND_TIMER] = "timer",
    };

    for (int kind = 0; kind < OBJECT_KINDS; kind++)
        if (strcmp(names[kind], name) == 0)
            return (enum object_kind)kind;
    return OBJECT_KIND_HOST;
}

static enum word_kind word_kind(const struct fuzz_service *service, const char *name)
{
    static const struct {
        const char *service; // NULL: any
        const char *name;
        enum word_kind kind;
    } kinds[] = {
        {"vcpu_attach", "address", WORD_PAGE_OF_KERNEL},
        {"task_create", "flags", WORD_SMALL},
        {"host_trace_control", "flags", WORD_SMALL},
        {"memory_unmap", "flags", WORD_ACCESS},
        {"task_move_quota", "bytes", WORD_QUOTA},
        {"task_fail_reply", "name", WORD_SEND_ONCE},
        {"task_fail_reply", "reason", WORD_ERROR},
        {NULL, "address", WORD_ADDRESS},
        {NULL, "source", WORD_ADDRESS},
        {NULL, "destination", WORD_ADDRESS},
        {NULL, "sp", WORD_ADDRESS},
        {NULL, "fs_base", WORD_ADDRESS},
        {NULL, "length", WORD_LENGTH},
        {NULL, "access", WORD_ACCESS},
        {NULL, "pages", WORD_PAGES},
        {NULL, "utcb", WORD_PAGE_OF_KERNEL},
        {NULL, "quota", WORD_QUOTA},
        {NULL, "priority", WORD_PRIORITY},
        {NULL, "name", WORD_NAME},
        {NULL, "port", WORD_PORT},
        {NULL, "argument", WORD_PORT},
        {NULL, "set", WORD_SET},
        {NULL, "disposition", WORD_DISPOSITION},
        {NULL, "backlog", WORD_BACKLOG},
        {NULL, "kind", WORD_NOTIFICATION},
        {NULL, "bit", WORD_BIT},
        {NULL, "bits", WORD_BITS},
        {NULL, "ip", WORD_CODE},
        {NULL, "deadline", WORD_TIME},
        {NULL, "period", WORD_PERIOD},
        {NULL, "mask", WORD_MASK},
        {NULL, "first", WORD_SMALL},
        {NULL, "sequence", WORD_SMALL},
    };

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].name, name) == 0 &&
            (kinds[i].service == NULL || strcmp(kinds[i].service, service->name) == 0))
            return kinds[i].kind;
    return WORD_ANY;
}

static void add_parameter(struct fuzz_service *service, const struct entry *entry)
{
    switch (entry->kind) {
    case ENTRY_IN:
        if (service->words < SERVICE_PARAMETERS_MAX)
            service->kinds[service->words++] = word_kind(service, entry->name);
        break;
    case ENTRY_IN_RIGHT:
        service->rights++;
        break;
    case ENTRY_IN_ARRAY:
        service->array = entry->number;
        break;
    case ENTRY_OUT:
        service->gives_name |= strcmp(entry->name, "name") == 0;
        break;
    case ENTRY_OUT_RIGHT:
        service->gives_right = true;
        break;
    default:
        break;
    }
}

void services_initialize(void)
{
    enum object_kind object = OBJECT_KIND_HOST;
    struct fuzz_service *service = NULL;

    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        const struct entry *entry = &entries[i];
        if (entry->kind == ENTRY_OBJECT) {
            object = object_kind(entry->name);
        } else if (entry->kind == ENTRY_SERVICE && fuzz_service_count < FUZZ_SERVICES_MAX) {
            service = &fuzz_services[fuzz_service_count++];
            *service =
                (struct fuzz_service){.name = entry->name, .id = entry->number, .object = object};
        } else if (service != NULL) {
            add_parameter(service, entry);
        }
    }
}

const struct fuzz_service *services_find(const char *name)
{
    for (uint32_t i = 0; i < fuzz_service_count; i++)
        if (strcmp(fuzz_services[i].name, name) == 0)
            return &fuzz_services[i];
    return NULL;
}
