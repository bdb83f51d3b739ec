// SPDX-License-Identifier: BSD-2-Clause
// A twin: a second task with an address space of its own, into which this
// program's pages are mapped at their own addresses, so that a function and a
// static variable mean the same in both. Threads of a twin use only code that
// needs no C library state: lib/ and plain C.
#pragma once

#include "lib/call.h"
#include "lib/hooks.h"

#include <corvus/stubs.h>

extern char __executable_start[], _end[];

#define TWIN_STACK_BYTES (16ull << 10)

// A message page behind those that the runtime gives its own threads.
#define TWIN_UTCB(number) (RUNTIME_UTCB_START + (RUNTIME_THREADS_MAX + (number)) * PAGE_BYTES)

struct twin_stack {
    char bytes[TWIN_STACK_BYTES] __attribute__((aligned(16)));
};

static inline uint64_t twin_tls(void)
{
    uint64_t base;
    __asm__("mov %%fs:0, %0" : "=r"(base));
    return base;
}

// Makes a suspended thread in a task that has this program's pages.
static inline corvus_error_t twin_make_thread(port_name_t task, uint64_t number, uint64_t priority,
                                              port_name_t *thread)
{
    return task_create_thread(task, TWIN_UTCB(number), priority, thread, NULL);
}

// function(argument) is not returned from: that would be a fault at address 0.
static inline corvus_error_t twin_start(port_name_t thread, struct twin_stack *stack,
                                        void (*function)(uint64_t), uint64_t argument)
{
    uint64_t top = (uint64_t)(stack + 1) - 8; // as after a call instruction
    return thread_start(thread, (uint64_t)function, top, argument, twin_tls());
}

static inline corvus_error_t twin_map_image(port_name_t task)
{
    uint64_t address = (uint64_t)__executable_start & ~(PAGE_BYTES - 1);

    while (address < (uint64_t)_end) {
        uint64_t access = 0;
        corvus_error_t error = memory_info(NAME_TASK_SELF, address, &access, NULL, NULL, NULL);
        if (error == ERR_OK && access != 0)
            error = memory_map(task, address, address, PAGE_BYTES, access, NULL);
        if (error != ERR_OK)
            return error;
        address += PAGE_BYTES;
    }
    return ERR_OK;
}

// Gives the task the rights that every native task finds (corvus/types.h);
// `bootstrap` and `thread` are send rights.
static inline corvus_error_t twin_insert_rights(port_name_t task, port_name_t bootstrap,
                                                port_name_t thread)
{
    const port_name_t names[] = {task, bootstrap, thread, NAME_HOST};

    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        uint64_t name;
        corvus_error_t error = task_insert_right(task, copy_send(names[i]), &name);
        if (error != ERR_OK)
            return error;
        if (name != NAME_AT(i + 1))
            return ERR_PROTOCOL;
    }
    return ERR_OK;
}

// An empty task with the program's pages, charged to the caller's quota.
static inline corvus_error_t twin_make_task(uint64_t quota, port_name_t *task)
{
    corvus_error_t error = task_create(NAME_TASK_SELF, quota, 0, task, NULL);
    return error == ERR_OK ? twin_map_image(*task) : error;
}
