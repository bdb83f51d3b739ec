// SPDX-License-Identifier: BSD-2-Clause
// A guest task and its server, made and ended.
#include "vcpu_guest.h"

#include <string.h>

port_name_t guest_task;
char *guest_pages;
struct helper *server;

void guest_make(const char *start, const char *end)
{
    guest_pages = pages_allocate(2);
    memcpy(guest_pages, start, (size_t)(end - start));
    EXPECT_OK(task_create(NAME_TASK_SELF, CHILD_QUOTA, TASK_GUEST, &guest_task, NULL));
    // Its code has to come from a page that may be executed: this program's own
    // text stands in where data may not.
    corvus_error_t error = memory_map(guest_task, (uint64_t)guest_pages, GUEST_CODE, PAGE_BYTES,
                                      ACCESS_READ | ACCESS_EXECUTE, NULL);
    EXPECT_OK(error);
    EXPECT_OK(memory_map(guest_task, (uint64_t)guest_pages + PAGE_BYTES, GUEST_DATA, PAGE_BYTES,
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
    helper_join(server);
    EXPECT_OK(task_terminate(guest_task));
    right_drop(guest_task);
    pages_free(guest_pages, 2);
}

SERVER void guest_reset(void)
{
    volatile struct vcpu_registers *guest = &vcpu()->guest;

    for (unsigned i = 0; i < sizeof *guest / 8; i++)
        ((volatile uint64_t *)guest)[i] = 0;
    guest->rip = GUEST_CODE;
    guest->rsp = GUEST_DATA + PAGE_BYTES;
}
