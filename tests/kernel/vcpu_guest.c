// SPDX-License-Identifier: BSD-2-Clause
// A guest task and its server, made and ended.
#include "vcpu_guest.h"

port_name_t guest_task;
char *guest_data;
struct helper *server;
volatile uint64_t notes[NOTES];
volatile unsigned note_count;

void guest_make(const char *code)
{
    uint64_t page = (uint64_t)code & ~(PAGE_BYTES - 1);

    note_count = 0;
    guest_data = pages_allocate(1);
    EXPECT_OK(task_create(NAME_TASK_SELF, CHILD_QUOTA, TASK_GUEST, &guest_task, NULL));
    EXPECT_OK(
        memory_map(guest_task, page, page, 2 * PAGE_BYTES, ACCESS_READ | ACCESS_EXECUTE, NULL));
    EXPECT_OK(memory_map(guest_task, (uint64_t)guest_data, GUEST_DATA, PAGE_BYTES,
                         ACCESS_READ | ACCESS_WRITE, NULL));
    server = helper_create(0);
    EXPECT_OK(vcpu_attach(server->thread, VCPU_PAGE));
}

void guest_serve(void (*function)(void *))
{
    server->function = function;
    EXPECT_OK(thread_start(server->thread, (uint64_t)helper_begin, helper_stack(server),
                           (uint64_t)server, 0));
}

void guest_drop(void)
{
    helper_destroy(server);
    EXPECT_OK(task_terminate(guest_task));
    right_drop(guest_task);
    pages_free(guest_data, 1);
}
