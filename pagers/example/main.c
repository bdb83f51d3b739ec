// SPDX-License-Identifier: BSD-2-Clause
// An own pager, whole: a memory object of which each page begins with its number, until somebody
// writes something else there. It checks in as `example-pager`; docs/pagers.md goes through it.
#include "lib/memory_object.h"

#include <corvus/init_stubs.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGES 1024u

static uint64_t *contents[PAGES]; // NULL: nobody has written there

static void data_request(struct memory_manager *manager, const struct memory_request *request)
{
    static uint64_t page[PAGE_BYTES / sizeof(uint64_t)];
    uint64_t index = request->offset / PAGE_BYTES;

    if (index >= PAGES) {
        (void)memory_error(manager, request->sequence, ERR_INVALID_RANGE);
        return;
    }
    page[0] = index;
    (void)memory_provide(manager, request->sequence,
                         contents[index] != NULL ? contents[index] : page, PAGE_BYTES, 0, 0);
}

static void data_write(struct memory_manager *manager, uint64_t sequence, uint64_t offset,
                       const void *data, size_t bytes, bool kept, bool changed)
{
    uint64_t index = offset / PAGE_BYTES;

    (void)manager, (void)sequence, (void)kept, (void)changed;
    if (bytes != PAGE_BYTES || index >= PAGES)
        return;
    if (contents[index] == NULL)
        contents[index] = malloc(PAGE_BYTES);
    if (contents[index] != NULL)
        memcpy(contents[index], data, PAGE_BYTES);
}

int main(void)
{
    static const struct memory_object_functions functions = {
        .data_request = data_request,
        .data_write = data_write,
    };
    static const char name[32] = "example-pager";
    struct memory_object *object = memory_object_create(&functions, NULL, PORT_NULL);
    uint64_t word[4];

    memcpy(word, name, sizeof word);
    if (object == NULL || bootstrap_check_in(NAME_BOOTSTRAP, word[0], word[1], word[2], word[3],
                                             make_send(memory_object_port(object))) != ERR_OK) {
        printf("example pager: cannot start\n");
        return EXIT_FAILURE;
    }
    return (int)memory_object_run(NULL);
}
