// SPDX-License-Identifier: BSD-2-Clause
// One function for each service of the bootstrap port. The label says which
// child asks; arguments are checked here, except where sigma0 does.
#include "requests.h"

#include "boot.h"
#include "devices.h"
#include "events.h"
#include "names.h"
#include "reply.h"
#include "supervise.h"

#include "platform/entropy.h"
#include "platform/serial.h"

#include "lib/port.h"
#include "lib/serve.h"

#include <corvus/init_dispatch.h>
#include <corvus/stubs.h>
#include <corvus/supervisor_dispatch.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TEXT_WORDS    58 // words 6..63 of a message
#define TEXT_BYTES    (TEXT_WORDS * sizeof(uint64_t))
#define COPY_BYTES    4096
#define ENTROPY_BYTES 256

static uint64_t real_time_epoch;

void requests_set_epoch(uint64_t epoch)
{
    real_time_epoch = epoch;
}

// --- Console ---------------------------------------------------------------------

static corvus_error_t write_text(uint64_t label, uint64_t count, const uint64_t *text, size_t words)
{
    if (count == 0 || count > words * sizeof *text)
        return ERR_INVALID_ARGUMENT;
    console_write(&child_of_label(label)->output, (const char *)text, count);
    return ERR_OK;
}

static corvus_error_t write_copy(uint64_t label, const void *text, size_t bytes)
{
    if (bytes == 0 || bytes > COPY_BYTES)
        return ERR_TOO_LARGE;
    console_write(&child_of_label(label)->output, text, bytes);
    return ERR_OK;
}

static corvus_error_t read_text(uint64_t label, uint64_t limit, uint64_t *count, uint64_t *text,
                                size_t *words)
{
    struct child *child = child_of_label(label);
    *words = 0;
    if (limit == 0 || limit > TEXT_BYTES)
        return ERR_INVALID_ARGUMENT;
    if (!child_has(child, CONFIG_CONSOLE))
        return ERR_OK; // 0 bytes: there will be no input
    *count = serial_read((char *)text, limit);
    *words = (*count + sizeof *text - 1) / sizeof *text;
    if (*count != 0)
        return ERR_OK;
    if (child->reader != PORT_NULL)
        return ERR_IN_USE;
    corvus_error_t error = message_save_reply(&child->reader);
    child->reader_limit = limit;
    return error == ERR_OK ? SERVE_LATER : error;
}

static void answer_reader(struct child *child)
{
    uint64_t text[TEXT_WORDS] = {0};
    size_t count = serial_read((char *)text, child->reader_limit);
    size_t words = (count + sizeof text[0] - 1) / sizeof text[0];
    if (count == 0)
        return;
    struct message message = {
        .tag = MESSAGE_REGISTER_WORDS + words,
        .destination = child->reader,
        .words = {ERR_OK, count},
    };
    message_copy_words(&utcb_self()->words[MESSAGE_REGISTER_WORDS], text, words);
    reply_send(&child->reader, &message);
}

void requests_input_arrived(void)
{
    for (uint32_t i = 0; i < child_count; i++) {
        if (children[i].reader != PORT_NULL)
            answer_reader(&children[i]);
    }
}

// --- Memory ----------------------------------------------------------------------

static corvus_error_t allocate(uint64_t label, uint64_t address, uint64_t length, uint64_t access)
{
    return sigma0_allocate(&child_of_label(label)->memory, address, length, access);
}

static corvus_error_t release(uint64_t label, uint64_t address, uint64_t length)
{
    return sigma0_free(&child_of_label(label)->memory, address, length);
}

static corvus_error_t protect(uint64_t label, uint64_t address, uint64_t length, uint64_t access)
{
    return sigma0_protect(&child_of_label(label)->memory, address, length, access);
}

// --- Boot modules ------------------------------------------------------------------

static bool may_read(const struct child *child, const char *module)
{
    const struct config_names *modules = &child->server->modules;

    for (uint32_t i = 0; i < modules->count; i++) {
        if (strcmp(modules->names[i], module) == 0)
            return true;
    }
    return false;
}

static corvus_error_t map_module(uint64_t label, uint64_t name0, uint64_t name1, uint64_t name2,
                                 uint64_t name3, uint64_t address, uint64_t *offset,
                                 uint64_t *length)
{
    struct child *child = child_of_label(label);
    struct service_name name;
    if (!names_from_words(&name, (const uint64_t[]){name0, name1, name2, name3}))
        return ERR_INVALID_ARGUMENT;
    if (!may_read(child, name.text))
        return ERR_ACCESS_DENIED;
    const struct boot_module *module = boot_find_module(name.text);
    if (module == NULL || module->length == 0)
        return ERR_NOT_FOUND;
    uint64_t first = module->base & ~(PAGE_BYTES - 1);
    uint64_t end = (module->base + module->length + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    if (regions_touch(&child->memory.regions, address, end - first))
        return ERR_IN_USE;
    *offset = module->base - first;
    *length = module->length;
    return memory_map(child->task, first, address, end - first, ACCESS_READ, NULL);
}

// --- Names -----------------------------------------------------------------------

static corvus_error_t check_in(uint64_t label, uint64_t name0, uint64_t name1, uint64_t name2,
                               uint64_t name3, struct message_right service)
{
    struct service_name name;
    corvus_error_t error = ERR_INVALID_ARGUMENT;
    if (service.disposition != RIGHT_SEND)
        error = ERR_INVALID_RIGHT;
    else if (names_from_words(&name, (const uint64_t[]){name0, name1, name2, name3}))
        error = names_check_in(child_of_label(label), &name, service.name);
    if (error != ERR_OK)
        (void)port_deallocate(service.name);
    else
        events_watch(service.name);
    return error;
}

static corvus_error_t look_up(uint64_t label, uint64_t name0, uint64_t name1, uint64_t name2,
                              uint64_t name3, uint64_t wait, struct message_right *service)
{
    struct service_name name;
    port_name_t reply;
    if (!names_from_words(&name, (const uint64_t[]){name0, name1, name2, name3}))
        return ERR_INVALID_ARGUMENT;
    *service = copy_send(names_find(&name));
    if (service->name != PORT_NULL)
        return ERR_OK;
    if (wait == 0)
        return ERR_NOT_FOUND;
    corvus_error_t error = message_save_reply(&reply);
    if (error != ERR_OK)
        return error;
    error = names_wait(child_of_label(label), &name, reply);
    if (error == ERR_OK)
        return SERVE_LATER;
    reply_error(&reply, error);
    return SERVE_LATER;
}

// --- The rest --------------------------------------------------------------------

static corvus_error_t end(uint64_t label, uint64_t status)
{
    char how[48];
    snprintf(how, sizeof how, "status %" PRIu64, status);
    supervise_end(child_of_label(label), status != 0, how);
    return SERVE_LATER; // nobody is left to answer
}

static corvus_error_t random_bytes(uint64_t label, uint64_t count, uint64_t *bytes, size_t *words)
{
    (void)label;
    if (count == 0 || count > ENTROPY_BYTES)
        return ERR_INVALID_ARGUMENT;
    *words = (count + sizeof *bytes - 1) / sizeof *bytes;
    entropy_get(bytes, *words * sizeof *bytes);
    return ERR_OK;
}

static corvus_error_t real_time(uint64_t label, uint64_t *epoch)
{
    (void)label;
    *epoch = real_time_epoch;
    return real_time_epoch == 0 ? ERR_NOT_SUPPORTED : ERR_OK;
}

static corvus_error_t shut_down(uint64_t label, uint64_t how, uint64_t status)
{
    if (!child_has(child_of_label(label), CONFIG_POWER))
        return ERR_ACCESS_DENIED;
    if (how > 1 || status > UINT32_MAX)
        return ERR_INVALID_ARGUMENT;
    supervise_shut_down(how == 1, (uint32_t)status, false);
}

static corvus_error_t end_server(uint64_t label, uint64_t name0, uint64_t name1, uint64_t name2,
                                 uint64_t name3)
{
    struct child *asks = child_of_label(label), *child = children;
    struct service_name name;
    if (!child_has(asks, CONFIG_POWER))
        return ERR_ACCESS_DENIED;
    if (!names_from_words(&name, (const uint64_t[]){name0, name1, name2, name3}))
        return ERR_INVALID_ARGUMENT;
    while (child < children + child_count && strcmp(child->server->name, name.text) != 0)
        child++;
    if (child == children + child_count || child->state != CHILD_RUNNING)
        return ERR_NOT_FOUND;
    supervise_end(child, true, "it was ended on request");
    return child == asks ? SERVE_LATER : ERR_OK;
}

// --- Statistics ------------------------------------------------------------------

static corvus_error_t statistics(uint64_t label, uint64_t *servers, uint64_t *total,
                                 uint64_t *unused, uint64_t *lost)
{
    struct memory_statistics memory = sigma0_statistics();
    (void)label;
    *servers = child_count;
    *total = memory.total;
    *unused = memory.free;
    *lost = memory.lost;
    return ERR_OK;
}

static corvus_error_t server(uint64_t label, uint64_t index, uint64_t *state, uint64_t *memory,
                             uint64_t *memory_peak, uint64_t *starts, uint64_t *bad_requests,
                             uint64_t *name, size_t *name_words)
{
    (void)label;
    if (index >= child_count)
        return ERR_NOT_FOUND;
    const struct child *child = &children[index];
    *state = child->state;
    *memory = child->memory.used;
    *memory_peak = child->memory.peak;
    *starts = child->starts;
    *bad_requests = child->bad_requests;
    *name_words = CONFIG_NAME_MAX / sizeof *name;
    memcpy(name, child->server->name, CONFIG_NAME_MAX);
    return ERR_OK;
}

static const struct node_operations node_operations = {
    .node_statistics = statistics,
    .node_server = server,
};

static const struct bootstrap_operations operations = {
    .bootstrap_console_write = write_text,
    .bootstrap_console_write_copy = write_copy,
    .bootstrap_console_read = read_text,
    .bootstrap_allocate_memory = allocate,
    .bootstrap_free_memory = release,
    .bootstrap_protect_memory = protect,
    .bootstrap_exit = end,
    .bootstrap_entropy = random_bytes,
    .bootstrap_real_time = real_time,
    .bootstrap_check_in = check_in,
    .bootstrap_look_up = look_up,
    .bootstrap_shut_down = shut_down,
    .bootstrap_map_module = map_module,
};

static const struct supervisor_operations supervisor_operations = {
    .supervisor_end_server = end_server,
};

bool requests_serve(const struct message *request, struct message *reply)
{
    bool known = bootstrap_serve(request, reply, &operations) ||
                 node_serve(request, reply, &node_operations) ||
                 supervisor_serve(request, reply, &supervisor_operations) ||
                 devices_serve(request, reply);
    // A new name may be what a server waits for before it starts.
    if (request->id == SERVICE_bootstrap_check_in)
        supervise_advance();
    return known;
}
