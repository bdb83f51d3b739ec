// SPDX-License-Identifier: BSD-2-Clause
// Calls that need pages, one after the other: vm_read, vm_write and the wiring of vm_wire. Pages
// may have to come from pagers, so the answer is given later.
#include "pagers/vm/server.h"

#include "lib/serve.h"

#include <corvus/vm.h>

#include <stdlib.h>
#include <string.h>

enum job_kind { JOB_READ, JOB_WRITE, JOB_WIRE };

struct job {
    struct job *next;
    struct vm_fault fault;
    struct client *client;
    enum job_kind kind;
    port_name_t reply;
    uint64_t address, bytes, done;
    uint8_t data[];
};

static struct job *jobs;

static void answer(struct job *job, corvus_error_t error)
{
    struct message message = {.tag = 1, .destination = job->reply, .words = {error}};
    struct job **link = &jobs;

    while (*link != job)
        link = &(*link)->next;
    *link = job->next;
    if (job->kind == JOB_READ && error == ERR_OK) {
        message.tag |= TAG_ITEMS(1);
        utcb_self()->items[0] = message_copy_item(job->data, job->bytes);
    }
    if (message_exchange(&message, TAG_SEND, DEADLINE_NONE) != ERR_OK)
        (void)port_deallocate(job->reply);
    free(job);
}

static uint64_t part_of(const struct job *job)
{
    uint64_t at = job->address + job->done, left = job->bytes - job->done;
    uint64_t to_edge = PAGE_BYTES - at % PAGE_BYTES;

    return left < to_edge ? left : to_edge;
}

static void step(struct job *job);

static corvus_error_t take_page(struct job *job, struct vm_page *page)
{
    uint64_t at = (job->address + job->done) % PAGE_BYTES, part = part_of(job);
    uint8_t *bytes = core.environment->frame_bytes(core.context, page->frame);
    corvus_error_t error = ERR_OK;

    if (job->kind == JOB_READ)
        memcpy(job->data + job->done, bytes + at, part);
    else if (job->kind == JOB_WRITE)
        memcpy(bytes + at, job->data + job->done, part);
    else
        error = vm_map_wire_page(&core, job->client->map, job->address + job->done, page);
    // What the server writes itself the processor does not tell.
    page->changed |= job->kind == JOB_WRITE;
    job->done += part;
    return error;
}

static void got(struct vm_core *vm, struct vm_fault *fault, corvus_error_t error,
                struct vm_page *page, uint64_t access)
{
    struct job *job = fault->argument;

    (void)vm;
    (void)access;
    if (error == ERR_OK)
        error = take_page(job, page);
    if (error == ERR_OK) {
        step(job);
        return;
    }
    // A range is wired as a whole, or not.
    if (job->kind == JOB_WIRE && job->done != 0)
        (void)vm_map_unwire(&core, job->client->map, job->address, job->done);
    answer(job, error);
}

static uint64_t access_needed(const struct job *job)
{
    const struct vm_entry *entry = vm_map_entry(job->client->map, job->address + job->done);

    if (job->kind == JOB_WRITE)
        return ACCESS_READ | ACCESS_WRITE;
    // What is wired for somebody who may write is copied now.
    if (job->kind == JOB_WIRE && entry != NULL)
        return entry->access & (ACCESS_READ | ACCESS_WRITE);
    return ACCESS_READ;
}

// Asks for the next page. The core, which this may be called from, runs one fault after the other,
// so this does not go deeper with each page.
static void step(struct job *job)
{
    if (job->done == job->bytes) {
        answer(job, ERR_OK);
        return;
    }
    job->fault.map = job->client->map;
    job->fault.address = job->address + job->done;
    job->fault.access = access_needed(job);
    job->fault.done = got;
    job->fault.argument = job;
    vm_fault_start(&core, &job->fault);
}

static corvus_error_t start(struct client *client, enum job_kind kind, uint64_t address,
                            uint64_t bytes, const void *data)
{
    size_t room = kind == JOB_WIRE ? 0 : bytes;
    struct job *job = malloc(sizeof *job + room);

    if (job == NULL)
        return ERR_NO_MEMORY;
    *job = (struct job){.client = client, .kind = kind, .address = address, .bytes = bytes};
    if (data != NULL)
        memcpy(job->data, data, bytes);
    corvus_error_t error = message_save_reply(&job->reply);
    if (error != ERR_OK) {
        free(job);
        return error;
    }
    job->next = jobs;
    jobs = job;
    step(job);
    return SERVE_LATER;
}

static corvus_error_t check(uint64_t address, uint64_t bytes)
{
    if (bytes == 0 || address >= USER_MAP_END || bytes > USER_MAP_END - address)
        return ERR_INVALID_RANGE;
    return bytes <= VM_COPY_MAX ? ERR_OK : ERR_TOO_LARGE;
}

corvus_error_t job_read(struct client *client, uint64_t address, uint64_t bytes)
{
    corvus_error_t error = check(address, bytes);

    return error != ERR_OK ? error : start(client, JOB_READ, address, bytes, NULL);
}

corvus_error_t job_write(struct client *client, uint64_t address, const void *data, uint64_t bytes)
{
    corvus_error_t error = check(address, bytes);

    return error != ERR_OK ? error : start(client, JOB_WRITE, address, bytes, data);
}

corvus_error_t job_wire(struct client *client, uint64_t address, uint64_t bytes)
{
    return start(client, JOB_WIRE, address, bytes, NULL);
}

void jobs_cancel(struct client *client)
{
    for (struct job *job = jobs, *next; job != NULL; job = next) {
        next = job->next;
        if (job->client == client) {
            vm_fault_cancel(&core, &job->fault, ERR_TERMINATED);
            next = jobs;
        }
    }
}
