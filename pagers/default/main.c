// SPDX-License-Identifier: BSD-2-Clause
// The default pager: keeps the anonymous memory that the VM server pages out, in memory of its own,
// which is never paged. Each object is a table of pages by number.
// Arguments: pages N (how many it keeps at most; 4096). What comes beyond is refused, and the
// objects that it belongs to with it: who touches them gets an exception, never other contents.
#include "lib/memory_object.h"
#include "lib/port.h"
#include "lib/serve.h"

#include <corvus/init_stubs.h>
#include <corvus/pager_dispatch.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGES_DEFAULT 4096ul
#define BUCKETS       64u
#define CREATE_LABEL  1u // no address, as those of objects are

struct stored {
    struct stored *next;
    uint64_t index;
    uint8_t *data;
};

struct store {
    struct memory_object *object;
    bool lost; // something of it could not be kept
    struct stored *buckets[BUCKETS];
};

static unsigned long room = PAGES_DEFAULT;

// --- Pages -------------------------------------------------------------------------------------

static struct stored **find(struct store *store, uint64_t index)
{
    struct stored **link = &store->buckets[index % BUCKETS];

    while (*link != NULL && (*link)->index != index)
        link = &(*link)->next;
    return link;
}

static bool keep(struct store *store, uint64_t index, const uint8_t *data)
{
    struct stored **link = find(store, index);

    if (*link == NULL) {
        struct stored *stored = room != 0 ? malloc(sizeof *stored) : NULL;
        uint8_t *page = stored != NULL ? malloc(PAGE_BYTES) : NULL;
        if (page == NULL) {
            free(stored);
            return false;
        }
        room--;
        *stored = (struct stored){NULL, index, page};
        *link = stored;
    }
    memcpy((*link)->data, data, PAGE_BYTES);
    return true;
}

static void free_store(struct store *store)
{
    for (unsigned i = 0; i < BUCKETS; i++) {
        while (store->buckets[i] != NULL) {
            struct stored *stored = store->buckets[i];
            store->buckets[i] = stored->next;
            free(stored->data);
            free(stored);
            room++;
        }
    }
    free(store);
}

// --- The object's functions ----------------------------------------------------------------------

static struct store *store_of(const struct memory_manager *manager)
{
    return memory_object_context(memory_manager_object(manager));
}

static void data_request(struct memory_manager *manager, const struct memory_request *request)
{
    struct store *store = store_of(manager);
    const struct stored *stored = *find(store, request->offset / PAGE_BYTES);

    if (store->lost)
        (void)memory_error(manager, request->sequence, ERR_NO_MEMORY);
    else if (stored == NULL)
        (void)memory_unavailable(manager, request->sequence, PAGE_BYTES, 0, 0);
    else
        (void)memory_provide(manager, request->sequence, stored->data, PAGE_BYTES, 0, 0);
}

static void data_write(struct memory_manager *manager, uint64_t sequence, uint64_t offset,
                       const void *data, size_t bytes, bool kept, bool changed)
{
    struct store *store = store_of(manager);

    (void)sequence;
    (void)kept;
    (void)changed;
    for (size_t at = 0; at < bytes; at += PAGE_BYTES) {
        if (keep(store, (offset + at) / PAGE_BYTES, (const uint8_t *)data + at) || store->lost)
            continue;
        store->lost = true;
        printf("default pager: full; an object is lost\n");
    }
}

static void terminate(struct memory_manager *manager, bool died)
{
    struct store *store = store_of(manager);

    (void)died;
    memory_object_retire(store->object);
    free_store(store);
}

static const struct memory_object_functions functions = {
    .data_request = data_request,
    .data_write = data_write,
    .terminate = terminate,
};

// --- New objects ---------------------------------------------------------------------------------

static void create(uint64_t label, uint64_t incarnation, uint64_t node, uint64_t length,
                   struct message_right object, struct message_right request,
                   struct message_right name)
{
    struct store *store = calloc(1, sizeof *store);

    (void)label;
    (void)length;
    if (store != NULL && memory_object_set_buffer(PAGER_DATA_MAX) == ERR_OK)
        store->object = memory_object_adopt(object.name, &functions, store, PORT_NULL);
    if (store == NULL || store->object == NULL) {
        free(store);
        (void)port_deallocate(object.name); // which tells the cache manager
        (void)port_deallocate(request.name);
        (void)port_deallocate(name.name);
        return;
    }
    if (memory_object_enrol(store->object, incarnation, node, request.name, name.name) == NULL) {
        memory_object_destroy(store->object);
        free(store);
    }
}

static const struct memory_object_operations operations = {.pager_create = create};

static bool serve_create(const struct message *request, struct message *reply)
{
    return request->label == CREATE_LABEL && memory_object_serve(request, reply, &operations);
}

int main(int count, char **words)
{
    static const char name[32] = "default-pager";
    uint64_t word[4];
    port_name_t port;

    for (int i = 1; i + 1 < count; i += 2)
        if (strcmp(words[i], "pages") == 0 && *words[i + 1] != '\0')
            room = strtoul(words[i + 1], NULL, 10);
    memcpy(word, name, sizeof word);
    // Little memory before there is an object.
    if (memory_object_set_buffer(PAGE_BYTES) != ERR_OK ||
        port_allocate(CREATE_LABEL, &port) != ERR_OK ||
        port_enable(port, memory_object_set()) != ERR_OK ||
        bootstrap_check_in(NAME_BOOTSTRAP, word[0], word[1], word[2], word[3], make_send(port)) !=
            ERR_OK) {
        printf("default pager: cannot start: no memory, or its name is taken\n");
        return EXIT_FAILURE;
    }
    corvus_error_t error = memory_object_run(serve_create);
    printf("default pager: receiving fails: error %d\n", error);
    return EXIT_FAILURE;
}
