// SPDX-License-Identifier: BSD-2-Clause
// What a page fault costs that the VM server serves (pagers/vm): a page of zeroes, one that it has
// in memory, one that the default pager keeps. The last one asks, since memory is full, for the
// eviction of another, which has not changed.
#include "vmbench.h"

#include "tests/kernel/bench/measure.h"

#include "lib/port.h"

#include <corvus/init_stubs.h>
#include <corvus/vm.h>
#include <corvus/vm_stubs.h>

#include <string.h>

// More than the server's frames (vmbench.conf), less than the default pager keeps.
#define MANY 600u

static port_name_t server, map;

static uint64_t pages_brought_in(void)
{
    uint64_t n[14] = {0};

    (void)vm_server_statistics(server, &n[0], &n[1], &n[2], &n[3], &n[4], &n[5], &n[6], &n[7],
                               &n[8], &n[9], &n[10], &n[11], &n[12], &n[13]);
    return n[6];
}

// The time of each of ROUNDS accesses, a page each.
static void measure(const char *name, uint64_t at, bool write)
{
    struct row *row = measure_row(name, "instructions", "");

    for (unsigned i = 0; i < ROUNDS; i++) {
        volatile char *byte = (volatile char *)(uintptr_t)(at + i * PAGE_BYTES);
        uint64_t start = processor_time();
        if (write)
            *byte = 1;
        else
            (void)*byte;
        uint64_t end = processor_time();
        if (i >= WARM)
            row->samples[row->count++] = end - start;
    }
    (void)measure_print(row);
}

static corvus_error_t rows_in_memory(void)
{
    uint64_t at, bytes = ROUNDS * PAGE_BYTES;
    corvus_error_t error = vm_allocate(map, 0, bytes, VM_ANYWHERE, &at);

    if (error != ERR_OK)
        return error;
    measure("vm_zero_fault", at, true);
    // The pages stay, their mappings go.
    error = vm_protect(map, at, bytes, 0, 0);
    if (error == ERR_OK)
        error = vm_protect(map, at, bytes, 0, ACCESS_READ | ACCESS_WRITE);
    if (error != ERR_OK)
        return error;
    measure("vm_cached_fault", at, true);
    return vm_deallocate(map, at, bytes);
}

static corvus_error_t row_paged_out(void)
{
    uint64_t at, bytes = MANY * PAGE_BYTES, before;
    corvus_error_t error = vm_allocate(map, 0, bytes, VM_ANYWHERE, &at);

    if (error != ERR_OK)
        return error;
    for (unsigned i = 0; i < MANY; i++)
        *(volatile uint64_t *)(uintptr_t)(at + i * PAGE_BYTES) = i;
    // Those written last go, too, so that what is evicted while it is measured has not changed.
    for (unsigned i = 0; i < MANY; i++)
        (void)*(volatile uint64_t *)(uintptr_t)(at + i * PAGE_BYTES);
    before = pages_brought_in();
    measure("vm_default_pager_fault", at, false);
    if (pages_brought_in() - before != ROUNDS)
        return ERR_STATE; // it was something else that was measured
    return vm_deallocate(map, at, bytes);
}

corvus_error_t rows_of_served_faults(void)
{
    static const char name[32] = VM_NAME;
    uint64_t words[4];
    port_name_t pager;

    memcpy(words, name, sizeof words);
    corvus_error_t error =
        bootstrap_look_up(NAME_BOOTSTRAP, words[0], words[1], words[2], words[3], 1, &server);
    if (error == ERR_OK)
        error = vm_attach(server, copy_send(NAME_TASK_SELF), &map, &pager);
    if (error == ERR_OK)
        error = thread_set_pager(NAME_THREAD_MAIN, move_send(pager));
    if (error == ERR_OK)
        error = rows_in_memory();
    if (error == ERR_OK)
        error = row_paged_out();
    if (error == ERR_OK)
        error = thread_set_pager(NAME_THREAD_MAIN, copy_send(NAME_BOOTSTRAP));
    return error;
}
