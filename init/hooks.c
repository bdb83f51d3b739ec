// SPDX-License-Identifier: BSD-2-Clause
// init has no bootstrap port: what the C library needs it gets from init itself.
#include "lib/hooks.h"

#include "console.h"
#include "sigma0.h"

#include "platform/entropy.h"
#include "platform/rtc.h"

#include <corvus/stubs.h>

static corvus_error_t write_console(const void *text, size_t bytes)
{
    console_write_own(text, bytes);
    return ERR_OK;
}

static corvus_error_t read_console(void *text, size_t *bytes)
{
    (void)text;
    *bytes = 0;
    return ERR_OK;
}

static corvus_error_t allocate(uint64_t address, uint64_t length, uint64_t access)
{
    return sigma0_allocate(&sigma0_own, address, length, access);
}

static corvus_error_t release(uint64_t address, uint64_t length)
{
    return sigma0_free(&sigma0_own, address, length);
}

static corvus_error_t protect(uint64_t address, uint64_t length, uint64_t access)
{
    return sigma0_protect(&sigma0_own, address, length, access);
}

static corvus_error_t random_bytes(void *buffer, size_t bytes)
{
    entropy_get(buffer, bytes);
    return ERR_OK;
}

// The node lives no longer than its first task.
static void end(int status)
{
    report("ended with status %d; the node is lost", status);
    (void)task_terminate(NAME_TASK_SELF);
}

const struct runtime_hooks runtime_hooks = {
    .console_write = write_console,
    .console_read = read_console,
    .memory_allocate = allocate,
    .memory_free = release,
    .memory_protect = protect,
    .entropy = random_bytes,
    .real_time = rtc_epoch,
    .exit = end,
};
