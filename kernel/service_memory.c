// SPDX-License-Identifier: BSD-2-Clause
// The memory services: map and unmap, donation of pages to a quota, devices.
// Each handler checks its arguments and starts an operation, whose steps do
// bounded work; `caller->operation.arguments` is the whole state of one.
#include "service.h"

#include <corvus/services.h>

#include "mapping.h"
#include "memory.h"
#include "node.h"
#include "x86/acpi.h"
#include "x86/features.h"

#define DONATION_PAGES_MAX 512u
#define DEVICE_BYTES_MAX   (64ull << 20)

// Pages treated in one step.
#define DONATION_STEP_PAGES 8u
#define DEVICE_STEP_PAGES   32u

static struct task *target_task(const struct service_call *call)
{
    return container_of(call->target, struct task, port);
}

// --- memory_map ---------------------------------------------------------------

// The arguments are those of the request, and `done`.
struct map_state {
    struct memory_map_in in;
    uint64_t done;
};
_Static_assert(sizeof(struct map_state) <= sizeof(((struct operation *)0)->arguments), "its home");

static bool map_step(struct thread *caller)
{
    struct map_state *state = (void *)caller->operation.arguments;
    const struct memory_map_in *in = &state->in;
    bool grant = in->access & MEMORY_GRANT;
    struct task *to = caller->operation.task;
    corvus_error_t error;

    if (in->access & MEMORY_IO)
        error = mapping_io_map_step(caller->task, to, in->source, in->length, grant, &state->done);
    else
        error = mapping_map_step(caller->task, in->source, to, in->destination, in->length,
                                 in->access & ACCESS_ALL, grant, &state->done);
    if (!error && state->done < in->length)
        return false;
    service_finish(caller, error, &state->done, 1);
    return true;
}

static corvus_error_t map_check(const struct memory_map_in *in)
{
    corvus_error_t error;

    if (in->access & ~(uint64_t)(ACCESS_ALL | MEMORY_GRANT | MEMORY_IO))
        return ERR_INVALID_ARGUMENT;
    if (in->access & MEMORY_IO) {
        if (in->source != in->destination)
            return ERR_INVALID_ARGUMENT;
        return mapping_io_check_range(in->source, in->length);
    }
    if (!(in->access & ACCESS_READ))
        return ERR_INVALID_ARGUMENT;
    error = mapping_check_range(in->source, in->length);
    return error ? error : mapping_check_range(in->destination, in->length);
}

corvus_error_t service_memory_map(struct service_call *call)
{
    const struct memory_map_in *in = (const void *)call->in;
    corvus_error_t error = call->local ? map_check(in) : ERR_LOCAL_ONLY;

    if (error)
        return error;
    *(struct map_state *)call->caller->operation.arguments = (struct map_state){.in = *in};
    service_start_operation(call, map_step, target_task(call));
    return ERR_OK;
}

// --- memory_unmap ---------------------------------------------------------------

struct unmap_state {
    struct memory_unmap_in in;
    uint64_t cursor;
};
_Static_assert(sizeof(struct unmap_state) <= sizeof(((struct operation *)0)->arguments),
               "its home");
_Static_assert(sizeof(struct unmap_result) == sizeof(struct memory_unmap_out) &&
                   offsetof(struct unmap_result, dirty) == offsetof(struct memory_unmap_out, dirty),
               "the result is the answer");

static bool unmap_step(struct thread *caller)
{
    struct unmap_state *state = (void *)caller->operation.arguments;
    struct unmap_result *result = (void *)caller->operation.results;
    const struct memory_unmap_in *in = &state->in;
    struct task *task = caller->operation.task;
    bool self = in->flags & MEMORY_SELF;
    corvus_error_t error = ERR_OK;
    bool done;

    if (in->flags & MEMORY_IO)
        done = mapping_io_unmap_step(task, in->address, in->length, self, &state->cursor,
                                     &result->pages);
    else
        done = mapping_unmap_step(task, in->address, in->length, in->flags & ACCESS_ALL, self,
                                  &state->cursor, result, &error);
    if (done)
        service_finish(caller, error, caller->operation.results, sizeof(*result) / 8);
    return done;
}

corvus_error_t service_memory_unmap(struct service_call *call)
{
    const struct memory_unmap_in *in = (const void *)call->in;
    corvus_error_t error;

    if (in->flags & ~(uint64_t)(ACCESS_ALL | MEMORY_SELF | MEMORY_IO))
        return ERR_INVALID_ARGUMENT;
    if (in->flags & MEMORY_IO && !(in->flags & ACCESS_READ))
        return ERR_INVALID_ARGUMENT;
    error = in->flags & MEMORY_IO ? mapping_io_check_range(in->address, in->length)
                                  : mapping_check_range(in->address, in->length);
    if (error)
        return error;
    *(struct unmap_state *)call->caller->operation.arguments = (struct unmap_state){.in = *in};
    *(struct unmap_result *)call->caller->operation.results = (struct unmap_result){0};
    service_start_operation(call, unmap_step, target_task(call));
    return ERR_OK;
}

// --- Questions ------------------------------------------------------------------

corvus_error_t service_memory_info(struct service_call *call)
{
    const struct memory_info_in *in = (const void *)call->in;
    struct memory_info_out *out = (void *)call->out;
    struct task *task = target_task(call);
    uint64_t address = in->address;
    const struct mapping_node *node;
    struct place place;

    *out = (struct memory_info_out){0};
    if (address >= USER_END)
        return ERR_OK;
    place = space_find(task, address);
    if (!(*place.entry & PTE_PRESENT))
        return ERR_OK;
    out->access = space_entry_access(*place.entry);
    out->bytes = LEVEL_BYTES(place.level);
    if (*place.entry & PTE_PINNED)
        return ERR_OK;
    node = node_mapped_at(task, address, place.level == LEVEL_LARGE);
    out->derived = node_has_children(node);
    out->root = node->parent == 0;
    return ERR_OK;
}

corvus_error_t service_host_physical_address(struct service_call *call)
{
    const struct host_physical_address_in *in = (const void *)call->in;
    struct host_physical_address_out *out = (void *)call->out;
    uint64_t address = in->address;
    struct place place;
    uint64_t offset;

    if (!call->local)
        return ERR_LOCAL_ONLY;
    if (address >= USER_END)
        return ERR_NOT_MAPPED;
    place = space_find(call->caller->task, address);
    if (!(*place.entry & PTE_PRESENT) || *place.entry & PTE_PINNED)
        return ERR_NOT_MAPPED;
    offset = address & (LEVEL_BYTES(place.level) - 1);
    out->physical = (*place.entry & PTE_ADDRESS_MASK) + offset;
    out->bytes = LEVEL_BYTES(place.level) - offset;
    return ERR_OK;
}

// --- Donation -------------------------------------------------------------------

struct donation {
    uint64_t address;
    uint64_t pages;
    uint64_t checked;
    uint64_t done;
};

static corvus_error_t donation_check_range(uint64_t address, uint64_t pages)
{
    if (pages == 0 || pages > DONATION_PAGES_MAX)
        return ERR_INVALID_ARGUMENT;
    return mapping_check_range(address, pages * PAGE_BYTES);
}

// A root mapping of usable memory is the only claim that anybody has to it.
static corvus_error_t donation_check(struct task *task, uint64_t address)
{
    struct place place = space_find(task, address);
    uint64_t physical = *place.entry & PTE_ADDRESS_MASK;

    if (!(*place.entry & PTE_PRESENT))
        return ERR_NOT_MAPPED;
    if (*place.entry & PTE_PINNED || place.level != LEVEL_SMALL ||
        physical >= MEMORY_KERNEL_LIMIT || !memory_is_usable(physical, PAGE_BYTES))
        return ERR_ACCESS_DENIED;
    return node_mapped_at(task, address, false)->parent ? ERR_ACCESS_DENIED : ERR_OK;
}

// Moves one page; false when what is derived from it takes further steps.
static bool donate_page(struct task *from, struct task *to, uint64_t address)
{
    uint64_t physical = *space_find(from, address).entry & PTE_ADDRESS_MASK;
    uint64_t cursor = 0;
    struct unmap_result result = {0};
    corvus_error_t error;

    if (!mapping_unmap_step(from, address, PAGE_BYTES, ACCESS_ALL, true, &cursor, &result, &error))
        return false;
    memory_page_add(physical);
    to->quota.limit += PAGE_BYTES;
    to->quota.donated += PAGE_BYTES;
    return true;
}

// All pages are checked before the first is taken, and each once more when it
// is taken, since the task runs on in between.
static bool donate_step(struct thread *caller)
{
    struct donation *state = (void *)caller->operation.arguments;
    struct task *to = caller->operation.task;
    corvus_error_t error = ERR_OK;

    for (unsigned i = 0; i < DONATION_STEP_PAGES && !error; i++) {
        bool checking = state->checked < state->pages;
        uint64_t page = checking ? state->checked : state->done;
        uint64_t address = state->address + page * PAGE_BYTES;

        if (page == state->pages)
            break;
        error = to->terminated ? ERR_TERMINATED : donation_check(caller->task, address);
        if (!error && checking)
            state->checked++;
        else if (!error && donate_page(caller->task, to, address))
            state->done++;
        else
            break;
    }
    if (!error && state->done < state->pages)
        return false;
    service_finish(caller, error, NULL, 0);
    return true;
}

corvus_error_t service_task_donate(struct service_call *call)
{
    const struct task_donate_in *in = (const void *)call->in;
    corvus_error_t error = donation_check_range(in->address, in->pages);

    if (!call->local)
        return ERR_LOCAL_ONLY;
    if (error)
        return error;
    *(struct donation *)call->caller->operation.arguments =
        (struct donation){.address = in->address, .pages = in->pages};
    service_start_operation(call, donate_step, target_task(call));
    return ERR_OK;
}

static bool quota_take_back(struct quota *quota)
{
    if (quota->donated < PAGE_BYTES || quota->limit - quota->used < PAGE_BYTES)
        return false;
    quota->donated -= PAGE_BYTES;
    quota->limit -= PAGE_BYTES;
    return true;
}

static corvus_error_t reclaim_page(struct task *from, struct task *to, uint64_t address)
{
    corvus_error_t error = ERR_NO_MEMORY;
    uint64_t physical;

    if (!quota_take_back(&from->quota))
        return ERR_NO_MEMORY;
    physical = memory_page_take();
    if (physical) {
        error = mapping_root(to, address, physical, false, ACCESS_ALL, HOST_CACHE_ON);
        if (!error)
            return ERR_OK;
        memory_page_add(physical);
    }
    from->quota.limit += PAGE_BYTES;
    from->quota.donated += PAGE_BYTES;
    return error;
}

static bool reclaim_step(struct thread *caller)
{
    struct donation *state = (void *)caller->operation.arguments;
    struct task *from = caller->operation.task;
    corvus_error_t error = ERR_OK;

    for (unsigned i = 0; i < DONATION_STEP_PAGES && state->done < state->pages; i++) {
        uint64_t address = state->address + state->done * PAGE_BYTES;

        error = from->terminated ? ERR_TERMINATED : reclaim_page(from, caller->task, address);
        if (error)
            break;
        state->done++;
    }
    if (!error && state->done < state->pages)
        return false;
    // Some pages are an answer, none is an error.
    service_finish(caller, state->done > 0 ? ERR_OK : error, &state->done, 1);
    return true;
}

corvus_error_t service_task_reclaim(struct service_call *call)
{
    const struct task_reclaim_in *in = (const void *)call->in;
    corvus_error_t error = donation_check_range(in->address, in->pages);

    if (!call->local)
        return ERR_LOCAL_ONLY;
    if (error)
        return error;
    *(struct donation *)call->caller->operation.arguments =
        (struct donation){.address = in->address, .pages = in->pages};
    service_start_operation(call, reclaim_step, target_task(call));
    return ERR_OK;
}

// --- Devices --------------------------------------------------------------------

struct device_state {
    struct host_map_device_in in;
    uint64_t done;
};

// The interrupt controllers are the kernel's.
static bool device_is_kernels(uint64_t physical, uint64_t length)
{
    if (acpi_info.lapic_address + PAGE_BYTES > physical &&
        acpi_info.lapic_address < physical + length)
        return true;
    for (uint32_t i = 0; i < acpi_info.ioapic_count; i++) {
        uint64_t address = acpi_info.ioapics[i].address;

        if (address + PAGE_BYTES > physical && address < physical + length)
            return true;
    }
    return false;
}

static corvus_error_t device_check(const struct host_map_device_in *in)
{
    uint64_t end = 1ull << cpu_features.physical_bits;

    if (in->cache > HOST_CACHE_ON || in->length > DEVICE_BYTES_MAX)
        return ERR_INVALID_ARGUMENT;
    if (in->physical % PAGE_BYTES || in->physical >= end || in->length > end - in->physical)
        return ERR_INVALID_RANGE;
    if (memory_is_usable(in->physical, in->length) || device_is_kernels(in->physical, in->length))
        return ERR_IN_USE;
    return mapping_check_range(in->address, in->length);
}

static bool device_step(struct thread *caller)
{
    struct device_state *state = (void *)caller->operation.arguments;
    const struct host_map_device_in *in = &state->in;
    corvus_error_t error = ERR_OK;

    for (unsigned i = 0; i < DEVICE_STEP_PAGES && !error && state->done < in->length; i++) {
        uint64_t physical = in->physical + state->done;
        uint64_t address = in->address + state->done;
        bool large = (physical | address) % LARGE_PAGE_BYTES == 0 &&
                     in->length - state->done >= LARGE_PAGE_BYTES;

        error = mapping_root(caller->task, address, physical, large, ACCESS_READ | ACCESS_WRITE,
                             (uint32_t)in->cache | MAPPING_DEVICE);
        if (!error)
            state->done += large ? LARGE_PAGE_BYTES : PAGE_BYTES;
    }
    if (!error && state->done < in->length)
        return false;
    service_finish(caller, error, NULL, 0);
    return true;
}

corvus_error_t service_host_map_device(struct service_call *call)
{
    const struct host_map_device_in *in = (const void *)call->in;
    corvus_error_t error = call->local ? device_check(in) : ERR_LOCAL_ONLY;

    if (error)
        return error;
    *(struct device_state *)call->caller->operation.arguments = (struct device_state){.in = *in};
    service_start_operation(call, device_step, call->caller->task);
    return ERR_OK;
}

corvus_error_t service_host_map_io(struct service_call *call)
{
    return call->local ? mapping_io_root(call->caller->task) : ERR_LOCAL_ONLY;
}
