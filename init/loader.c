// SPDX-License-Identifier: BSD-2-Clause
// Loading: read-only pages come straight from the module where its layout allows
// it, the rest is copied into memory of the child's own account.
#include "loader.h"

#include "arguments.h"
#include "boot.h"
#include "elf.h"

#include "lib/call.h"
#include "lib/hooks.h"

#include <corvus/host.h>
#include <corvus/stubs.h>

#include <stdio.h>

static const char *failure(const char *what, corvus_error_t error)
{
    static char text[80];
    snprintf(text, sizeof text, "%s: error %d", what, (int)error);
    return text;
}

static uint64_t page_floor(uint64_t address)
{
    return address & ~(PAGE_BYTES - 1);
}

static uint64_t page_ceiling(uint64_t address)
{
    return page_floor(address + PAGE_BYTES - 1);
}

// --- Memory ------------------------------------------------------------------

// Pages of the module can stand for pages of the segment if they are congruent,
// nobody writes to them, and nothing behind the file's bytes must be zero.
static bool shareable(const struct boot_module *module, const struct elf_segment *segment)
{
    return !(segment->access & ACCESS_WRITE) && segment->memory_bytes == segment->file_bytes &&
           (module->base + segment->offset - segment->address) % PAGE_BYTES == 0;
}

static corvus_error_t share_segment(struct child *child, const struct boot_module *module,
                                    const struct elf_segment *segment)
{
    uint64_t address = page_floor(segment->address);
    uint64_t end = page_ceiling(segment->address + segment->memory_bytes);
    return memory_map(child->task, page_floor(module->base + segment->offset), address,
                      end - address, segment->access, NULL);
}

static corvus_error_t copy_segment(struct child *child, const struct boot_module *module,
                                   const struct elf_segment *segment)
{
    uint64_t address = page_floor(segment->address);
    uint64_t end = page_ceiling(segment->address + segment->memory_bytes);
    corvus_error_t error = sigma0_allocate(&child->memory, address, end - address, segment->access);
    if (error != ERR_OK)
        return error;
    const char *from = (const char *)(uintptr_t)module->base + segment->offset;
    return sigma0_write(&child->memory, segment->address, from, segment->file_bytes)
               ? ERR_OK
               : ERR_NOT_MAPPED;
}

static const char *load_segments(struct child *child, const struct boot_module *module,
                                 const struct elf_program *program)
{
    for (uint32_t i = 0; i < program->segment_count; i++) {
        const struct elf_segment *segment = &program->segments[i];
        corvus_error_t error = shareable(module, segment) ? share_segment(child, module, segment)
                                                          : copy_segment(child, module, segment);
        if (error != ERR_OK)
            return failure("its program cannot be mapped", error);
    }
    return NULL;
}

static const char *make_stack(struct child *child, const struct boot_module *module,
                              const struct elf_program *program, uint64_t *sp)
{
    uint64_t bytes = child->server->stack, bottom = CHILD_STACK_TOP - bytes;
    corvus_error_t error =
        sigma0_allocate(&child->memory, bottom, bytes, ACCESS_READ | ACCESS_WRITE);
    if (error != ERR_OK)
        return failure("no memory for its stack", error);
    struct arguments_block block;
    if (!arguments_build(child->server, module, program, CHILD_STACK_TOP, &block))
        return "its arguments are too long";
    *sp = CHILD_STACK_TOP - block.bytes;
    return sigma0_write(&child->memory, *sp, block.start, block.bytes) ? NULL : "no stack";
}

// --- Rights --------------------------------------------------------------------

static corvus_error_t insert(struct child *child, struct message_right right, uint64_t expected)
{
    uint64_t name;
    corvus_error_t error = task_insert_right(child->task, right, &name);
    if (error == ERR_OK && name != expected)
        error = ERR_PROTOCOL;
    return error;
}

// The names that every task finds (corvus/types.h).
static corvus_error_t insert_rights(struct child *child)
{
    corvus_error_t error = insert(child, copy_send(child->task), NAME_TASK_SELF);
    if (error == ERR_OK)
        error = insert(child, make_send(child->service), NAME_BOOTSTRAP);
    if (error == ERR_OK)
        error = insert(child, copy_send(child->thread), NAME_THREAD_MAIN);
    if (error == ERR_OK)
        error = insert(child, copy_send(NAME_HOST), NAME_HOST);
    return error;
}

static corvus_error_t give_io_ports(struct child *child)
{
    if (!child_has(child, CONFIG_IO))
        return ERR_OK;
    return memory_map(child->task, 0, 0, 65536, ACCESS_READ | ACCESS_WRITE | MEMORY_IO, NULL);
}

// Kernel memory of a server: what its configuration says, or a share of what is unused.
static uint64_t quota_of(const struct config_server *server)
{
    uint64_t id, quota, used, threads, rights, mapped;

    if (server->quota_share == 0 ||
        task_info(NAME_TASK_SELF, &id, &quota, &used, &threads, &rights, &mapped) != ERR_OK)
        return server->quota;
    return ((quota - used) / 100 * server->quota_share) & ~(PAGE_BYTES - 1);
}

static const char *make_task(struct child *child)
{
    corvus_error_t error =
        task_create(NAME_TASK_SELF, quota_of(child->server), 0, &child->task, NULL);
    if (error != ERR_OK)
        return failure("no task", error);
    child->memory.task = child->task;
    error = task_create_thread(child->task, CHILD_UTCB, child->server->priority, &child->thread,
                               &child->thread_id);
    if (error != ERR_OK)
        return failure("no thread", error);
    error = insert_rights(child);
    if (error == ERR_OK)
        error = give_io_ports(child);
    if (error == ERR_OK)
        error = thread_set_pager(child->thread, make_send(child->service));
    if (error == ERR_OK)
        error = thread_set_exception_port(child->thread, make_send(child->service));
    return error == ERR_OK ? NULL : failure("its rights cannot be set up", error);
}

// --- The whole -----------------------------------------------------------------

const char *loader_start(struct child *child)
{
    const struct boot_module *module = boot_find_module(child->server->module);
    struct elf_program program;
    uint64_t sp = 0;
    if (module == NULL)
        return "there is no boot module of that name";
    const char *problem = elf_read((const void *)(uintptr_t)module->base, module->length,
                                   RUNTIME_MEMORY_START, &program);
    if (problem == NULL)
        problem = make_task(child);
    if (problem == NULL)
        problem = load_segments(child, module, &program);
    if (problem == NULL)
        problem = make_stack(child, module, &program, &sp);
    if (problem != NULL)
        return problem;
    corvus_error_t error = thread_start(child->thread, program.entry, sp, 0, 0);
    return error == ERR_OK ? NULL : failure("its thread does not start", error);
}

static void drop(port_name_t *name)
{
    if (*name != PORT_NULL)
        (void)task_deallocate_right(NAME_TASK_SELF, *name);
    *name = PORT_NULL;
}

void loader_undo(struct child *child)
{
    // First the task, then its memory: nothing of it may run on freed pages.
    if (child->task != PORT_NULL)
        (void)task_terminate(child->task);
    drop(&child->service);
    drop(&child->thread);
    drop(&child->task);
    sigma0_reclaim(&child->memory);
}
