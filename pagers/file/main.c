// SPDX-License-Identifier: BSD-2-Clause
// The file pager: the files of the boot module `files`, a ustar archive, and what is written to
// them afterwards, as memory objects (files.def).
#include "pagers/file/store.h"

#include "lib/memory_object.h"
#include "lib/port.h"
#include "lib/serve.h"

#include <corvus/files.h>
#include <corvus/files_dispatch.h>
#include <corvus/host.h>
#include <corvus/init_stubs.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVICE_LABEL  1u // no address, as those of objects are
#define NOTICES_LABEL  3u
#define MODULE_ADDRESS 0x080000000000ull // where the archive is mapped; nobody else's

static port_name_t notices;

// --- Objects -----------------------------------------------------------------------------------

static void data_request(struct memory_manager *manager, const struct memory_request *request)
{
    const struct file_version *version = memory_object_context(memory_manager_object(manager));
    uint64_t index = request->offset / PAGE_BYTES;

    if (index >= version->page_count)
        (void)memory_error(manager, request->sequence, ERR_INVALID_RANGE);
    else if (version->pages[index] == NULL)
        (void)memory_unavailable(manager, request->sequence, PAGE_BYTES, ACCESS_WRITE, 0);
    else
        (void)memory_provide(manager, request->sequence, version->pages[index]->data, PAGE_BYTES,
                             ACCESS_WRITE, 0);
}

// Contents do not change: who wants to write maps privately.
static void data_unlock(struct memory_manager *manager, const struct memory_request *request)
{
    (void)memory_error(manager, request->sequence, ERR_ACCESS_DENIED);
}

static const struct memory_object_functions functions = {
    .data_request = data_request,
    .data_unlock = data_unlock,
};

static bool take_notice(const struct message *notice, struct message *reply)
{
    struct memory_object *object;

    reply->tag = 0;
    if (notice->id != MESSAGE_ID_NO_SENDERS)
        return false;
    // Its label is the object's address: nobody has it any more.
    object = (struct memory_object *)(uintptr_t)notice->words[0];
    struct file_version *version = memory_object_context(object);
    memory_object_destroy(object);
    version->object = NULL;
    if (!version->current)
        file_version_free(version);
    return true;
}

// --- Services ------------------------------------------------------------------------------------

static void name_of(char name[FILE_NAME_BYTES], uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    const uint64_t words[4] = {a, b, c, d};

    memcpy(name, words, FILE_NAME_BYTES);
}

static corvus_error_t open_file(uint64_t label, uint64_t name0, uint64_t name1, uint64_t name2,
                                uint64_t name3, uint64_t *size, struct message_right *right)
{
    char name[FILE_NAME_BYTES];
    struct file *file;
    port_name_t send;

    (void)label;
    name_of(name, name0, name1, name2, name3);
    file = file_find(name);
    if (file == NULL)
        return ERR_NOT_FOUND;
    struct file_version *version = file->version;
    bool made = version->object == NULL;
    if (made)
        version->object = memory_object_create(&functions, version, PORT_NULL);
    if (version->object == NULL)
        return ERR_NO_MEMORY;
    port_name_t receive = memory_object_port(version->object);
    corvus_error_t error = port_make_send(receive, &send);
    if (error == ERR_OK && made)
        error = port_request_notification(receive, NOTIFY_NO_SENDERS, notices);
    if (error != ERR_OK)
        return error;
    *size = version->size;
    *right = move_send(send);
    return ERR_OK;
}

static corvus_error_t write_file(uint64_t label, uint64_t name0, uint64_t name1, uint64_t name2,
                                 uint64_t name3, uint64_t offset, const void *bytes, size_t count)
{
    char name[FILE_NAME_BYTES];

    (void)label;
    name_of(name, name0, name1, name2, name3);
    if (name[0] == '\0' || count == 0)
        return ERR_INVALID_ARGUMENT;
    if (offset > FILES_SIZE_MAX || count > FILES_SIZE_MAX - offset)
        return ERR_TOO_LARGE;
    return file_store(name, offset, bytes, count) ? ERR_OK : ERR_NO_MEMORY;
}

static const struct files_operations operations = {
    .file_open = open_file,
    .file_write = write_file,
};

static bool serve_files(const struct message *request, struct message *reply)
{
    if (request->label == NOTICES_LABEL)
        return take_notice(request, reply);
    return request->label == SERVICE_LABEL && files_serve(request, reply, &operations);
}

// --- Start ---------------------------------------------------------------------------------------

static void take_module(void)
{
    static const char name[32] = "files";
    uint64_t word[4], offset = 0, length = 0;

    memcpy(word, name, sizeof word);
    corvus_error_t error = bootstrap_map_module(NAME_BOOTSTRAP, word[0], word[1], word[2], word[3],
                                                MODULE_ADDRESS, &offset, &length);
    if (error != ERR_OK) {
        printf("files: no boot module of that name: error %d\n", error);
        return;
    }
    unsigned count =
        file_take_archive((const uint8_t *)(uintptr_t)(MODULE_ADDRESS + offset), length);
    printf("files: %u of the boot archive\n", count);
    (void)memory_unmap(NAME_TASK_SELF, MODULE_ADDRESS,
                       (offset + length + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1),
                       ACCESS_ALL | MEMORY_SELF, NULL, NULL, NULL);
}

int main(void)
{
    static const char name[32] = FILES_NAME;
    port_name_t port;
    uint64_t word[4];

    memcpy(word, name, sizeof word);
    take_module();
    if (port_allocate(SERVICE_LABEL, &port) != ERR_OK ||
        port_allocate(NOTICES_LABEL, &notices) != ERR_OK ||
        port_enable(port, memory_object_set()) != ERR_OK ||
        port_enable(notices, memory_object_set()) != ERR_OK ||
        bootstrap_check_in(NAME_BOOTSTRAP, word[0], word[1], word[2], word[3], make_send(port)) !=
            ERR_OK) {
        printf("files: cannot start: no memory, or its name is taken\n");
        return EXIT_FAILURE;
    }
    corvus_error_t error = memory_object_run(serve_files);
    printf("files: receiving fails: error %d\n", error);
    return EXIT_FAILURE;
}
