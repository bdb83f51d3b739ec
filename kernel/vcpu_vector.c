// SPDX-License-Identifier: BSD-2-Clause
// The vector state of guests. The thread's own save area and the registers hold
// the context of the guest whose area is vector_address; others lie in the
// server's memory.
#include "cpu.h"
#include "mapping.h"
#include "memory.h"
#include "vcpu.h"
#include "vector.h"
#include "x86/features.h"
#include "x86/memory.h"
#include "x86/paging.h"
#include "x86/vector_unit.h"

// Copies between the kernel's area and the server's, page by page.
static bool copy_vector_area(struct thread *thread, uint64_t address, bool to_server)
{
    uint64_t length = cpu_features.fpu_area_size;
    char *area = thread->vector_area;

    if (address > USER_END - length)
        return false;
    while (length) {
        uint64_t chunk = PAGE_BYTES - address % PAGE_BYTES;
        uint64_t physical =
            space_translate(thread->task, address, to_server ? ACCESS_WRITE : ACCESS_READ);

        if (!physical)
            return false;
        if (chunk > length)
            chunk = length;
        if (to_server)
            memcpy(physical_to_virtual(physical), area, chunk);
        else
            memcpy(area, physical_to_virtual(physical), chunk);
        area += chunk;
        address += chunk;
        length -= chunk;
    }
    return true;
}

corvus_error_t vcpu_flush_vector(struct thread *thread)
{
    struct vcpu *vcpu = thread->vcpu;
    uint64_t address = vcpu->vector_address;

    if (!address)
        return ERR_OK;
    vector_save(thread);
    vcpu->vector_address = 0;
    vcpu->state->fpu_held = 0;
    return copy_vector_area(thread, address, true) ? ERR_OK : ERR_FAULT;
}

bool vcpu_load_vector(struct thread *thread)
{
    struct vcpu *vcpu = thread->vcpu;
    uint64_t address = vcpu->state->fpu_area;

    if (!address)
        return false;
    if (!thread->vector_area) {
        thread->vector_area = memory_object_allocate(thread->task, cpu_features.fpu_area_size);
        if (!thread->vector_area)
            return false;
    }
    if (vcpu->vector_address != address) {
        bool whole = copy_vector_area(thread, address, false);

        // Also of a part: whatever is in the kernel's area must be loadable.
        vector_unit_sanitise(thread->vector_area);
        if (!whole)
            return false;
        vcpu->vector_address = address;
        vcpu->state->fpu_held = address;
    }
    vector_trap();
    return true;
}
